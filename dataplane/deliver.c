/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 6: verdicts go out of the worker. Accepted ones into the delivery rings of their groups,
 * all others into the lossy, rate-bounded refusal ring, each into a counter. Heads are published
 * once a burst.
 */

#include "dataplane/burst.h"

/* What comes in in one burst and what is handed over in it: each has one verdict. */
#define DELIVER_REFUSAL_SLOTS (2 * BURST_FRAMES_MAX)
static_assert(2 * BURST_FRAMES_MAX * (1 + VERDICT_PAYLOAD_SLOTS(CRED_PAYLOAD_SIZE_MAX)) <=
		      VERDICT_RING_SLOTS_MIN,
	"what is not published yet must not be overwritten");

static void
ring_init(struct deliver *deliver, unsigned index, struct verdict_ring *ring)
{
	if (ring == NULL)
		return;
	verdict_writer_init(&deliver->rings[index].writer, ring);
	deliver->present |= 1u << index;
}

void
deliver_init(struct worker *worker)
{
	unsigned group;

	for (group = 0; group < TABLE_GROUPS_MAX; group++)
		ring_init(&worker->deliver, group, worker->config.delivery[group]);
	ring_init(&worker->deliver, DELIVER_REFUSAL, worker->config.refusal);
}

void
deliver_touch(struct deliver *deliver, unsigned index, uint32_t slots)
{
	struct deliver_ring *ring = &deliver->rings[index];
	const uint32_t room = verdict_writer_room(&ring->writer);

	if (slots > room)
		slots = room;
	deliver->touched |= 1u << index;
	verdict_writer_reserve(&ring->writer, slots);
	ring->limit = ring->writer.position + slots;
}

/* Straight into the first ring of each. */
static void
payloads_unseal(struct worker *worker, const struct own_accepted *creds, unsigned count)
{
	const struct key_slot *slots[OWN_RUN_MAX];
	const uint8_t *sealed[OWN_RUN_MAX];
	uint64_t serials[OWN_RUN_MAX];
	uint32_t salts[OWN_RUN_MAX];
	uint16_t sizes[OWN_RUN_MAX];
	uint8_t *clear[OWN_RUN_MAX];
	unsigned n = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		if (creds[i].cred.record->payload_size == 0 || creds[i].payload_count == 0)
			continue;
		slots[n] = creds[i].cred.key->slot;
		serials[n] = creds[i].cred.record->serial;
		salts[n] = creds[i].cred.record->stamp;
		sealed[n] = creds[i].cred.payload;
		clear[n] = creds[i].payloads[0];
		sizes[n++] = creds[i].cred.record->payload_size;
	}
	if (n != 0)
		tag_batch_unseal(worker->engine, slots, serials, salts, sealed, clear, sizes, n);
}

void
deliver_payloads(struct worker *worker, const struct own_accepted *creds, unsigned count)
{
	unsigned i, ring;

	payloads_unseal(worker, creds, count);
	for (i = 0; i < count; i++)
		for (ring = 1; ring < creds[i].payload_count; ring++)
			memcpy(creds[i].payloads[ring], creds[i].payloads[0],
				creds[i].cred.record->payload_size);
}

/*
 * Observers may lose: a forger must not be able to keep the worker busy writing. The ring is not
 * even touched where nothing is due.
 */
static bool
refusal_is_due(struct worker *worker)
{
	struct deliver *deliver = &worker->deliver;
	const struct deliver_ring *ring = &deliver->rings[DELIVER_REFUSAL];

	if (!bucket_take(
		    &deliver->refusal_bucket, worker->burst.mono_ms, worker->config.refusals_per_s))
		return false;
	if (!(deliver->touched & 1u << DELIVER_REFUSAL))
		deliver_touch(deliver, DELIVER_REFUSAL, DELIVER_REFUSAL_SLOTS);
	return ring->writer.position != ring->limit;
}

/*
 * What modes advise to let pass: in observe everything, for nobody relies on verdicts yet; in
 * permissive what is genuine and new, and refused by policy or by a clock.
 */
#define ADVISED_PERMISSIVE                                                                    \
	(1u << VERDICT_WRONG_ORIGIN | 1u << VERDICT_WRONG_AUDIENCE | 1u << VERDICT_EXPIRED |  \
		1u << VERDICT_NOT_YET_VALID | 1u << VERDICT_FLOOR | 1u << VERDICT_FORBIDDEN | \
		1u << VERDICT_UNAUTHORIZED | 1u << VERDICT_OVER_RATE | 1u << VERDICT_BUSY)

static uint8_t
refusal_advice(const struct worker *worker, const struct verdict_record *record,
	enum verdict verdict, bool is_proved)
{
	const struct table_realm *realm =
		record->realm != 0 ? view_realm(&worker->burst.view, record->realm) : NULL;

	if (realm == NULL || realm->mode == TABLE_MODE_ENFORCE)
		return 0;
	if (realm->mode == TABLE_MODE_OBSERVE)
		return VERDICT_RECORD_ADVISED;
	return is_proved && (ADVISED_PERMISSIVE >> verdict & 1) ? VERDICT_RECORD_ADVISED : 0;
}

/* Whom it speaks for is left out unless it was proved. */
static void
refusal_show(struct worker *worker, const struct verdict_record *record, enum verdict verdict,
	bool is_proved)
{
	struct verdict_record shown = *record;

	shown.kind &= (uint8_t)~HANDOFF_KIND_ANSWER;
	shown.verdict = (uint8_t)verdict | (is_proved ? 0 : VERDICT_RECORD_UNPROVED) |
			refusal_advice(worker, record, verdict, is_proved);
	shown.uid = is_proved ? record->uid : 0;
	shown.gid = is_proved ? record->gid : 0;
	shown.time_us = worker->burst.now_us;
	shown.payload_size = 0;
	verdict_writer_append(&worker->deliver.rings[DELIVER_REFUSAL].writer, &shown);
}

void
deliver_refusal(struct worker *worker, const struct verdict_record *record, enum verdict verdict,
	bool is_proved)
{
	struct deliver *deliver = &worker->deliver;

	if (!(deliver->present & 1u << DELIVER_REFUSAL))
		return;
	/* One source must not drown the others' refusals. */
	if (!is_proved && !budget_take(&worker->budget, record->source, worker->burst.mono_us)) {
		stat_add(&worker->stats->refusals_budgeted, 1);
		return;
	}
	if (refusal_is_due(worker)) {
		refusal_show(worker, record, verdict, is_proved);
	} else {
		deliver->has_refused_enough = true; /* time stands still in a burst */
		deliver->refusals_dropped++;
	}
}

void
deliver_publish(struct worker *worker)
{
	struct deliver *deliver = &worker->deliver;

	for (; deliver->touched != 0; deliver->touched &= deliver->touched - 1)
		verdict_writer_publish(&deliver->rings[__builtin_ctz(deliver->touched)].writer);
	stat_add(&worker->stats->delivered, deliver->written);
	deliver->written = 0;
	if (deliver->refusals_dropped != 0)
		stat_add(&worker->config.refusal->dropped, deliver->refusals_dropped);
	deliver->refusals_dropped = 0;
	deliver->has_refused_enough = false;
}

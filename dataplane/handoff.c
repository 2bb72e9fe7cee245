/* SPDX-License-Identifier: BSD-3-Clause */

/* Stage 4: proved credentials of other owners go to them (dataplane/handoff.h). */

#include "dataplane/handoff.h"

#include "dataplane/burst.h"

/* How many slots ahead the reader fetches: the lines come from another core's cache. */
#define HANDOFF_PREFETCH_SLOTS 8u

size_t
handoff_ring_size(uint32_t slots)
{
	return sizeof(struct handoff_ring) + slots * sizeof(struct handoff_slot);
}

void
handoff_ring_format(struct handoff_ring *ring, uint32_t slots)
{
	assert(slots >= HANDOFF_SLOTS_MIN && (slots & (slots - 1)) == 0);
	memset(ring, 0, handoff_ring_size(slots));
	ring->mask = slots - 1;
}

static struct handoff_slot *
ring_slot(struct handoff_ring *ring, uint64_t position)
{
	return &ring->slots[position & ring->mask];
}

/* Slots from `position` to the end of the ring's memory. */
static uint64_t
ring_run(const struct handoff_ring *ring, uint64_t position)
{
	return ring->mask + 1 - (position & ring->mask);
}

static uint64_t
message_slots(uint16_t payload_size, bool has_answer)
{
	return 1 + has_answer + VERDICT_PAYLOAD_SLOTS((uint64_t)payload_size);
}

static bool
ring_has_room(struct handoff_ring *ring, uint64_t slots)
{
	const uint64_t end = ring->writer_position + slots;

	if (end - ring->writer_tail <= ring->mask + 1)
		return true;
	ring->writer_tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	return end - ring->writer_tail <= ring->mask + 1;
}

bool
handoff_ring_put(struct handoff_ring *ring, const struct verdict_record *record,
	const struct answer_context *answer, const uint8_t *payload)
{
	static const struct verdict_record go_to_start;
	const uint64_t slots = message_slots(record->payload_size, answer != NULL);
	const uint64_t run = ring_run(ring, ring->writer_position);
	const uint64_t skipped = slots > run ? run : 0;
	struct handoff_slot *slot;

	if (!ring_has_room(ring, skipped + slots))
		return false;
	if (skipped != 0)
		memcpy(ring_slot(ring, ring->writer_position), &go_to_start, sizeof(go_to_start));
	slot = ring_slot(ring, ring->writer_position + skipped);
	memcpy(slot++, record, sizeof(*record));
	if (answer != NULL)
		memcpy(slot++, answer, sizeof(*answer));
	if (record->payload_size != 0)
		memcpy(slot, payload, record->payload_size);
	ring->writer_position += skipped + slots;
	return true;
}

void
handoff_ring_publish(struct handoff_ring *ring)
{
	atomic_store_explicit(&ring->head, ring->writer_position, memory_order_release);
}

/* Bytes that make no sense: only damaged memory does that. Everything published is dropped. */
static bool
ring_empty(struct handoff_ring *ring)
{
	ring->reader_position = ring->reader_head;
	return false;
}

static bool
ring_has_next(struct handoff_ring *ring)
{
	if (ring->reader_position == ring->reader_head)
		ring->reader_head = atomic_load_explicit(&ring->head, memory_order_acquire);
	return ring->reader_position != ring->reader_head;
}

bool
handoff_ring_take(struct handoff_ring *ring, struct handoff_message *message)
{
	struct verdict_record *record;
	const struct handoff_slot *slot;
	uint64_t slots;

	if (!ring_has_next(ring))
		return false;
	record = (void *)ring_slot(ring, ring->reader_position);
	if (record->realm == 0) {
		ring->reader_position += ring_run(ring, ring->reader_position);
		if (!ring_has_next(ring))
			return false;
		record = (void *)ring_slot(ring, ring->reader_position);
	}
	__builtin_prefetch(ring_slot(ring, ring->reader_position + HANDOFF_PREFETCH_SLOTS));
	message->answer = NULL;
	slot = (const struct handoff_slot *)record + 1;
	if (record->kind & HANDOFF_KIND_ANSWER)
		message->answer = (const void *)slot++;
	message->record = record;
	message->payload = slot->bytes;
	slots = message_slots(record->payload_size, message->answer != NULL);
	if (record->realm == 0 || record->payload_size > CRED_PAYLOAD_SIZE_MAX ||
		slots > ring->reader_head - ring->reader_position ||
		slots > ring_run(ring, ring->reader_position))
		return ring_empty(ring);
	ring->reader_position += slots;
	return true;
}

void
handoff_ring_release(struct handoff_ring *ring)
{
	atomic_store_explicit(&ring->tail, ring->reader_position, memory_order_release);
}

/* No room: refused here and now. A refusal that stands already keeps its own name. */
static void
handoff_refuse(struct worker *worker, const struct own_cred *cred)
{
	const enum verdict verdict =
		cred->record->verdict != VERDICT_NONE ? cred->record->verdict : VERDICT_BUSY;

	deliver_refused(worker, cred->record, verdict, true);
	answer_refused_here(worker, cred, verdict);
}

/* Sends item `n` of live to its owner. */
static void
handoff_item(struct worker *worker, unsigned n, uint8_t owner)
{
	struct answer_context answer;
	const struct own_cred cred = own_cred_from_item(worker, n, &answer);

	if (handoff_ring_put(
		    worker->config.handoff_out[owner], cred.record, cred.answer, cred.payload))
		stat_add(&worker->stats->handed_off, 1);
	else
		handoff_refuse(worker, &cred);
}

unsigned
burst_handoff(struct worker *worker, unsigned count)
{
	struct burst *burst = &worker->burst;
	uint32_t owners = 0;
	unsigned live = 0;
	unsigned n;

	if (worker->worker_count == 1)
		return count;
	for (n = 0; n < count; n++) {
		const uint8_t owner = burst->items[burst->live[n]].owner;

		if (owner == worker->index) {
			burst->sizes[live] = burst->sizes[n];
			burst->ids[live] = burst->ids[n];
			burst->live[live++] = burst->live[n];
		} else {
			handoff_item(worker, n, owner);
			owners |= 1u << owner;
		}
	}
	for (; owners != 0; owners &= owners - 1)
		handoff_ring_publish(worker->config.handoff_out[__builtin_ctz(owners)]);
	return live;
}

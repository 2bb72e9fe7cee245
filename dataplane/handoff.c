/* SPDX-License-Identifier: BSD-3-Clause */

/* Stage 4: proved credentials of other owners go to them (dataplane/handoff.h). */

#include "dataplane/handoff.h"

#include "dataplane/burst.h"
#include "dataplane/ids.h"
#include "dataplane/record.h"

/* How many slots ahead both sides fetch: the lines come from the other core's cache, which takes
 * about the time of so many messages. */
#define HANDOFF_PREFETCH_SLOTS 16u

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

/* Sends the reader to the start. */
static void
ring_skip(struct handoff_ring *ring, uint64_t run)
{
	static const struct verdict_record go_to_start;

	memcpy(ring_slot(ring, ring->writer_position), &go_to_start, sizeof(go_to_start));
	ring->writer_position += run;
}

/* Where a message of so many slots goes, in one piece; NULL: full. */
static inline struct handoff_slot *
ring_place(struct handoff_ring *ring, uint64_t slots)
{
	const uint64_t run = ring_run(ring, ring->writer_position);
	const uint64_t skipped = slots > run ? run : 0;
	uint64_t position;

	if (!ring_has_room(ring, skipped + slots))
		return NULL;
	if (skipped != 0)
		ring_skip(ring, run);
	position = ring->writer_position;
	__builtin_prefetch(ring_slot(ring, position + HANDOFF_PREFETCH_SLOTS), 1);
	ring->writer_position = position + slots;
	return ring_slot(ring, position);
}

bool
handoff_ring_put(struct handoff_ring *ring, const struct verdict_record *record,
	const struct answer_context *answer, const uint8_t *payload)
{
	struct handoff_slot *slot =
		ring_place(ring, message_slots(record->payload_size, answer != NULL));

	if (slot == NULL)
		return false;
	memcpy(slot++, record, sizeof(*record));
	if (answer != NULL)
		memcpy(slot++, answer, sizeof(*answer));
	if (record->payload_size != 0)
		memcpy(slot, payload, record->payload_size);
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

uint64_t
handoff_ring_look(struct handoff_ring *ring)
{
	uint64_t slots, n;

	ring->reader_head = atomic_load_explicit(&ring->head, memory_order_acquire);
	slots = ring->reader_head - ring->reader_position;
	for (n = 0; n < slots && n < HANDOFF_PREFETCH_SLOTS; n++)
		__builtin_prefetch(ring_slot(ring, ring->reader_position + n));
	return slots;
}

/* Never of what is being written now: that line would have to go there and back once more. */
static inline void
ring_prefetch(struct handoff_ring *ring)
{
	const uint64_t ahead = ring->reader_position + HANDOFF_PREFETCH_SLOTS;
	const uint64_t last = ring->reader_head - 1;

	__builtin_prefetch(ring_slot(ring, ahead < last ? ahead : last));
}

static inline bool
ring_take(struct handoff_ring *ring, struct handoff_message *message)
{
	struct verdict_record *record = (void *)ring_slot(ring, ring->reader_position);
	const struct handoff_slot *slot = (const struct handoff_slot *)record + 1;
	const bool has_answer = record->kind & HANDOFF_KIND_ANSWER;
	const uint64_t slots = message_slots(record->payload_size, has_answer);

	ring_prefetch(ring);
	message->record = record;
	message->answer = has_answer ? (const void *)slot : NULL;
	message->payload = slot[has_answer].bytes;
	if (record->realm == 0 || record->payload_size > CRED_PAYLOAD_SIZE_MAX ||
		slots > ring->reader_head - ring->reader_position ||
		slots > ring_run(ring, ring->reader_position))
		return ring_empty(ring);
	ring->reader_position += slots;
	return true;
}

/* Nothing but a realm of 0, which no credential has, says that the reader is to go to the start. */
static inline bool
ring_has_next(struct handoff_ring *ring)
{
	const struct verdict_record *record = (void *)ring_slot(ring, ring->reader_position);

	if (ring->reader_position == ring->reader_head)
		return false;
	if (record->realm == 0)
		ring->reader_position += ring_run(ring, ring->reader_position);
	return ring->reader_position < ring->reader_head || ring_empty(ring);
}

unsigned
handoff_ring_take(struct handoff_ring *ring, struct handoff_message *messages, unsigned max)
{
	unsigned count = 0;

	while (count < max && ring_has_next(ring) && ring_take(ring, &messages[count]))
		count++;
	return count;
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
	const enum verdict found = cred->record->verdict;
	const enum verdict verdict =
		found != VERDICT_NONE && found != HANDOFF_SPARED ? found : VERDICT_BUSY;

	stat_add(&realm_stats_of(worker, cred->key->realm)->proved[verdict], 1);
	deliver_refused(worker, cred->record, verdict, true);
	answer_refused_here(worker, cred, verdict);
}

/* The usual one: no payload, no reply, no beacon, whose origin has to cross over. */
static inline bool
handoff_is_short(const struct verdict_record *record)
{
	return record->payload_size == 0 && record->kind == CRED_KIND_ASSERT;
}

/* Straight from registers: the ids, just loaded, need not join the record here as well. */
static inline bool
handoff_put_short(struct handoff_ring *ring, const struct verdict_record *record,
	const struct tag_identity *id)
{
	const __m128i *from = (const __m128i *)record;
	const __m128i ids = ids_load(id);
	__m128i *to = (__m128i *)ring_place(ring, 1);

	if (to == NULL)
		return false;
	_mm_store_si128(&to[0], _mm_blend_epi16(_mm_load_si128(&from[0]), ids, 0xf0));
	_mm_store_si128(&to[1], _mm_load_si128(&from[1]));
	_mm_store_si128(&to[2], _mm_load_si128(&from[2]));
	_mm_store_si128(&to[3], _mm_blend_epi16(ids, _mm_load_si128(&from[3]), 0xf0));
	return true;
}

/* Any: with what a reply needs, and payload. Refused if there is no room. */
static __attribute__((noinline)) bool
handoff_put_any(struct worker *worker, unsigned n, struct handoff_ring *ring)
{
	struct answer_context answer;
	const struct own_cred cred = own_cred_from_item(worker, n, &answer);
	const struct answer_context *context = cred.answer;

	if (cred.record->kind == CRED_KIND_BEACON) {
		answer_context_fill(worker, &worker->burst.items[worker->burst.live[n]], &answer);
		answer.flags |= ANSWER_IS_SILENT;
		cred.record->kind |= HANDOFF_KIND_ANSWER;
		context = &answer;
	}
	if (handoff_ring_put(ring, cred.record, context, cred.payload))
		return true;
	handoff_refuse(worker, &cred);
	return false;
}

/* Sends those of live whose bits are set to their owners, and publishes. */
static void
handoff_send(struct worker *worker, uint64_t others)
{
	const struct burst *burst = &worker->burst;
	uint32_t owners = 0;
	unsigned sent = 0;

	for (; others != 0; others &= others - 1) {
		const unsigned n = (unsigned)__builtin_ctzll(others);
		const struct burst_item *item = &burst->items[burst->live[n]];
		struct handoff_ring *ring = worker->config.handoff_out[item->owner];

		owners |= 1u << item->owner;
		if (handoff_is_short(&item->record) &&
			handoff_put_short(ring, &item->record, &burst->ids[n]))
			sent++;
		else
			sent += handoff_put_any(worker, n, ring);
	}
	for (; owners != 0; owners &= owners - 1)
		handoff_ring_publish(worker->config.handoff_out[__builtin_ctz(owners)]);
	stat_add(&worker->stats->handed_off, sent);
}

/*
 * Which of live are others'. Owners come in no order, so that a branch upon each would be wrong
 * every other time: here and below bits are set and walked instead.
 */
static uint64_t
handoff_others(const struct worker *worker, unsigned count)
{
	const struct burst *burst = &worker->burst;
	uint64_t others = 0;
	unsigned n;

	for (n = 0; n < count; n++)
		others |= (uint64_t)(burst->items[burst->live[n]].owner != worker->index) << n;
	return others;
}

/* Keeps those whose bits are set. */
static unsigned
handoff_keep(struct burst *burst, uint64_t ours)
{
	unsigned live = 0;

	for (; ours != 0; ours &= ours - 1) {
		const unsigned n = (unsigned)__builtin_ctzll(ours);

		burst->sizes[live] = burst->sizes[n];
		burst->ids[live] = burst->ids[n];
		burst->policies[live] = burst->policies[n];
		burst->live[live++] = burst->live[n];
	}
	return live;
}

unsigned
burst_handoff(struct worker *worker, unsigned count)
{
	uint64_t others;
	unsigned peer;

	if (worker->worker_count == 1)
		return count;
	for (peer = 0; peer < worker->worker_count; peer++)
		if (worker->config.handoff_in[peer] != NULL)
			handoff_ring_prefetch(worker->config.handoff_in[peer]);
	if (count == 0)
		return 0;
	others = handoff_others(worker, count);
	if (others == 0)
		return count;
	handoff_send(worker, others);
	return handoff_keep(&worker->burst, ~others & UINT64_MAX >> (64 - count));
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "verdict/ring.h"

#include <errno.h>
#include <string.h>

/* The test of torn reads switches this off, to prove that it would notice. */
#ifndef VERDICT_READER_IS_INTACT
#define VERDICT_READER_IS_INTACT(is_intact) (is_intact)
#endif

#define PAGE_SIZE 4096u

static bool
capacity_is_valid(uint32_t capacity)
{
	return capacity >= VERDICT_RING_SLOTS_MIN && capacity <= VERDICT_RING_SLOTS_MAX &&
	       (capacity & (capacity - 1)) == 0;
}

uint64_t
verdict_ring_size(uint32_t capacity)
{
	if (!capacity_is_valid(capacity))
		return 0;
	return VERDICT_SLOTS_OFFSET + (uint64_t)capacity * VERDICT_SLOT_SIZE + VERDICT_TAIL_SIZE;
}

/* Volatile, or the compiler would drop stores of zeroes to memory it is told is zero. */
static void
touch_pages(void *mapping, uint64_t size)
{
	volatile uint8_t *bytes = mapping;
	uint64_t i;

	for (i = 0; i < size; i += PAGE_SIZE)
		bytes[i] = 0;
}

/* Magic last: a half formatted ring does not pass verdict_ring_check. */
void
verdict_ring_format(struct verdict_ring *ring, uint32_t capacity, enum verdict_ring_kind kind,
	uint16_t group, uint16_t worker)
{
	touch_pages(ring, verdict_ring_size(capacity));
	ring->version = VERDICT_RING_VERSION;
	ring->capacity = capacity;
	ring->size = verdict_ring_size(capacity);
	ring->kind = kind;
	ring->group = group;
	ring->worker = worker;
	atomic_store_explicit(&ring->floor, UINT64_MAX, memory_order_relaxed);
	__atomic_store_n(&ring->magic, VERDICT_RING_MAGIC, __ATOMIC_RELEASE);
}

int
verdict_ring_check(const struct verdict_ring *ring, uint64_t size)
{
	if (size < VERDICT_SLOTS_OFFSET || ring->magic != VERDICT_RING_MAGIC ||
		ring->version != VERDICT_RING_VERSION || ring->size != size ||
		verdict_ring_size(ring->capacity) != size)
		return -EBADMSG;
	return 0;
}

/* Slots of a mapping whose size was checked; not read from the ring, whose writer may change it. */
static uint64_t
capacity_of(uint64_t size)
{
	return (size - VERDICT_SLOTS_OFFSET - VERDICT_TAIL_SIZE) / VERDICT_SLOT_SIZE;
}

static struct verdict_record *
ring_slots(struct verdict_ring *ring)
{
	return (struct verdict_record *)((uint8_t *)ring + VERDICT_SLOTS_OFFSET);
}

/* ---- writer ---- */

void
verdict_writer_init(struct verdict_writer *writer, struct verdict_ring *ring)
{
	writer->ring = ring;
	writer->slots = ring_slots(ring);
	writer->mask = ring->capacity - 1;
	writer->position = atomic_load_explicit(&ring->head, memory_order_relaxed);
	writer->end = atomic_load_explicit(&ring->reserved, memory_order_relaxed);
}

static bool
record_is_at(const struct verdict_record *record, uint64_t position, uint64_t end)
{
	return record->stamp == (uint32_t)(position + 1) &&
	       record->payload_size <= VERDICT_PAYLOAD_SIZE_MAX &&
	       position + 1 + VERDICT_PAYLOAD_SLOTS(record->payload_size) <= end;
}

unsigned
verdict_ring_recover(struct verdict_ring *ring,
	bool (*is_marked)(const struct verdict_record *record, void *context), void *context)
{
	const struct verdict_record *slots = ring_slots(ring);
	const uint64_t end = atomic_load_explicit(&ring->reserved, memory_order_acquire);
	uint64_t position = atomic_load_explicit(&ring->head, memory_order_relaxed);
	unsigned published = 0;

	if (atomic_load_explicit(&ring->voided, memory_order_relaxed) != position ||
		end - position > ring->capacity)
		return 0;
	while (position < end) {
		const struct verdict_record *record = &slots[position & (ring->capacity - 1)];

		if (!record_is_at(record, position, end) || !is_marked(record, context))
			break;
		position += 1 + VERDICT_PAYLOAD_SLOTS(record->payload_size);
		published++;
	}
	atomic_store_explicit(&ring->head, position, memory_order_release);
	return published;
}

/* ---- reader ---- */

int
verdict_reader_init(struct verdict_reader *reader, const struct verdict_ring *ring, uint64_t size,
	bool from_oldest)
{
	const uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
	uint64_t reserved;

	if (verdict_ring_check(ring, size) != 0)
		return -EBADMSG;
	reserved = atomic_load_explicit(&ring->reserved, memory_order_relaxed);
	reader->ring = ring;
	reader->slots =
		(const struct verdict_record *)((const uint8_t *)ring + VERDICT_SLOTS_OFFSET);
	reader->mask = capacity_of(size) - 1;
	reader->position = from_oldest && reserved <= capacity_of(size) ? 0 : head;
	reader->lost_slots = 0;
	reader->head = head;
	reader->copy_start = reader->position;
	reader->copy_end = reader->position;
	return 0;
}

/* Each word once, so that what is checked is what is used. */
static void
copy_slots(struct verdict_record *to, const struct verdict_record *from, uint64_t count)
{
	const size_t words = count * VERDICT_SLOT_SIZE / sizeof(verdict_word_t);
	const verdict_word_t *source = (const verdict_word_t *)from;
	verdict_word_t *target = (verdict_word_t *)to;
	size_t i;

	for (i = 0; i < words; i++)
		target[i] = __atomic_load_n(&source[i], __ATOMIC_RELAXED);
}

/* Was nothing that was copied from position on overwritten meanwhile? */
static bool
reader_is_intact(const struct verdict_reader *reader)
{
	uint64_t reserved;

	atomic_thread_fence(memory_order_acquire);
	reserved = atomic_load_explicit(&reader->ring->reserved, memory_order_relaxed);
	return VERDICT_READER_IS_INTACT(reserved - reader->position <= reader->mask + 1);
}

/* Lapped, or there is no record where one must be: on at head, and what lies between is lost. */
static int
reader_skip(struct verdict_reader *reader)
{
	reader->lost_slots += reader->head - reader->position;
	reader->position = reader->head;
	return 0;
}

/* Copies what there is from position on. False: nothing, or lapped. */
static bool
reader_fill(struct verdict_reader *reader)
{
	uint64_t count;

	reader->head = atomic_load_explicit(&reader->ring->head, memory_order_acquire);
	count = reader->head - reader->position;
	if (count == 0)
		return false;
	if (count > VERDICT_READER_SLOTS)
		count = VERDICT_READER_SLOTS;
	copy_slots(reader->copy, &reader->slots[reader->position & reader->mask], count);
	if (!reader_is_intact(reader))
		return reader_skip(reader);
	reader->copy_start = reader->position;
	reader->copy_end = reader->position + count;
	return true;
}

/* The record at position; NULL if it is not in the copy, which does not go over the ring's end. */
static const struct verdict_record *
reader_record(const struct verdict_reader *reader)
{
	const uint64_t at = reader->position - reader->copy_start;

	if (at >= reader->copy_end - reader->copy_start ||
		(reader->position & reader->mask) < (reader->copy_start & reader->mask))
		return NULL;
	return &reader->copy[at];
}

/* It, or what would be it, with all of its payload, if one was published. */
static const struct verdict_record *
reader_look(struct verdict_reader *reader)
{
	const struct verdict_record *record = reader_record(reader);

	if (record != NULL &&
		(record->payload_size > VERDICT_PAYLOAD_SIZE_MAX ||
			reader->position + 1 + VERDICT_PAYLOAD_SLOTS(record->payload_size) <=
				reader->copy_end))
		return record;
	return reader_fill(reader) ? reader->copy : NULL;
}

int
verdict_reader_next(struct verdict_reader *reader, struct verdict_record *record, uint8_t *payload)
{
	const struct verdict_record *found = reader_look(reader);

	if (found == NULL)
		return 0;
	if (!record_is_at(found, reader->position, reader->head))
		return reader_skip(reader);
	memcpy(record, found, sizeof(*record));
	if (found->payload_size != 0)
		memcpy(payload, found + 1, found->payload_size);
	reader->position += 1 + VERDICT_PAYLOAD_SLOTS(found->payload_size);
	return 1;
}

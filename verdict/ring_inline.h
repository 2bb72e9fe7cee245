/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The writer of verdict/ring.h, inline: it runs once per credential. Include "verdict/ring.h"
 * instead.
 *
 * Implementation notes: a stamp is voided by storing the low 32 bits of the position itself, which
 * differ from those of position + 1. A slot is voided only if it is reserved: behind that, readers
 * may still be at what it held a lap ago. So if the last record ends where the reservation does,
 * the slot behind keeps its old stamp; recovery never looks there, it stops at reserved.
 */

#include "verdict/ring.h"

#include <string.h>

/* Comes after each store whose place in the order counts; a test stops here. */
#ifndef VERDICT_STORE_STEP
#define VERDICT_STORE_STEP() ((void)0)
#endif

/* A slot's bytes as the words they are copied by. */
typedef uint64_t __attribute__((may_alias)) verdict_word_t;

static inline struct verdict_record *
verdict_writer_slot(const struct verdict_writer *writer, uint64_t position)
{
	return &writer->slots[position & writer->mask];
}

static inline void
verdict_slot_void(struct verdict_record *slot, uint64_t position)
{
	__atomic_store_n(&slot->stamp, (uint32_t)position, __ATOMIC_RELEASE);
	VERDICT_STORE_STEP();
}

/* Release: stores before it are seen before it, by readers and by who recovers from a kill. */
static inline void
verdict_counter_store(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_store_explicit(counter, value, memory_order_release);
	VERDICT_STORE_STEP();
}

static inline uint32_t
verdict_writer_room(const struct verdict_writer *writer)
{
	const uint64_t floor = atomic_load_explicit(&writer->ring->floor, memory_order_acquire);
	const uint64_t unread = floor < writer->position ? writer->position - floor : 0;

	return unread > writer->mask ? 0 : (uint32_t)(writer->mask + 1 - unread);
}

static inline void
verdict_writer_reserve(struct verdict_writer *writer, uint32_t slots)
{
	struct verdict_ring *ring = writer->ring;
	const uint64_t end = writer->position + slots;

	if (slots == 0)
		return;
	if (end > writer->end) {
		writer->end = end;
		verdict_counter_store(&ring->reserved, end);
	}
	atomic_thread_fence(memory_order_release);
	verdict_slot_void(verdict_writer_slot(writer, writer->position), writer->position);
	verdict_counter_store(&ring->voided, writer->position);
}

/* In words, since the fields were just stored one by one; stamp and audience are the last. */
static inline void
verdict_slot_fill(struct verdict_record *slot, const struct verdict_record *record, uint64_t stamp)
{
	const uint32_t first[2] = {(uint32_t)stamp, record->audience};
	const verdict_word_t *from = (const verdict_word_t *)record;
	verdict_word_t *to = (verdict_word_t *)slot;
	uint64_t word;
	size_t i;

#pragma GCC unroll 8
	for (i = 1; i < sizeof(*slot) / sizeof(word); i++)
		__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
	memcpy(&word, first, sizeof(word));
	__atomic_store_n(&to[0], word, __ATOMIC_RELEASE);
	VERDICT_STORE_STEP();
}

static inline uint8_t *
verdict_writer_append(struct verdict_writer *writer, const struct verdict_record *record)
{
	const uint64_t position = writer->position;
	const uint64_t next = position + 1 + VERDICT_PAYLOAD_SLOTS(record->payload_size);
	struct verdict_record *slot = verdict_writer_slot(writer, position);

	assert(next <= writer->end);
	if (next < writer->end)
		verdict_slot_void(verdict_writer_slot(writer, next), next);
	verdict_slot_fill(slot, record, position + 1);
	writer->position = next;
	return (uint8_t *)(slot + 1);
}

static inline void
verdict_writer_publish(struct verdict_writer *writer)
{
	verdict_counter_store(&writer->ring->head, writer->position);
}

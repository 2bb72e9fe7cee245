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

/* A slot's bytes as the words readers copy them by. */
typedef uint64_t __attribute__((may_alias)) verdict_word_t;

/* A slot as the four pieces it is written in: aligned, so that no kill finds half of one. */
typedef uint64_t verdict_quarter_t __attribute__((vector_size(16), may_alias));
typedef uint32_t verdict_stamped_t __attribute__((vector_size(16)));
#define VERDICT_QUARTERS 4u
static_assert(
	VERDICT_QUARTERS * sizeof(verdict_quarter_t) == sizeof(struct verdict_record), "a slot");

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

/* The stamp is in the first quarter, which is the last to be stored. */
static inline void
verdict_slot_fill(struct verdict_record *slot, const verdict_quarter_t quarters[VERDICT_QUARTERS],
	uint64_t position)
{
	verdict_quarter_t *to = (verdict_quarter_t *)slot;
	verdict_stamped_t first = (verdict_stamped_t)quarters[0];

	first[0] = (uint32_t)(position + 1);
	to[1] = quarters[1];
	to[2] = quarters[2];
	to[3] = quarters[3];
	atomic_thread_fence(memory_order_release);
	to[0] = (verdict_quarter_t)first;
	VERDICT_STORE_STEP();
}

static inline uint8_t *
verdict_writer_append_quarters(struct verdict_writer *writer,
	const verdict_quarter_t quarters[VERDICT_QUARTERS], uint32_t payload_size)
{
	const uint64_t position = writer->position;
	const uint64_t next = position + 1 + VERDICT_PAYLOAD_SLOTS(payload_size);
	struct verdict_record *slot = verdict_writer_slot(writer, position);

	assert(next <= writer->end);
	if (next < writer->end)
		verdict_slot_void(verdict_writer_slot(writer, next), next);
	verdict_slot_fill(slot, quarters, position);
	writer->position = next;
	return (uint8_t *)(slot + 1);
}

/*
 * By words, as records are made (atomic, or the compiler joins them): a quarter whose halves were
 * stored apart a moment ago would wait until all stores before them have left the CPU, those to the
 * ring's far lines too.
 */
static inline void
verdict_quarters_load(
	verdict_quarter_t quarters[VERDICT_QUARTERS], const struct verdict_record *record)
{
	const verdict_word_t *words = (const verdict_word_t *)record;
	unsigned i;

	for (i = 0; i < VERDICT_QUARTERS; i++)
		quarters[i] = (verdict_quarter_t){
			__atomic_load_n(&words[2 * i], __ATOMIC_RELAXED),
			__atomic_load_n(&words[2 * i + 1], __ATOMIC_RELAXED),
		};
}

static inline uint8_t *
verdict_writer_append(struct verdict_writer *writer, const struct verdict_record *record)
{
	verdict_quarter_t quarters[VERDICT_QUARTERS];

	verdict_quarters_load(quarters, record);
	return verdict_writer_append_quarters(writer, quarters, record->payload_size);
}

static inline void
verdict_writer_publish(struct verdict_writer *writer)
{
	verdict_counter_store(&writer->ring->head, writer->position);
}

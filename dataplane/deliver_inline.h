/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The part of stage deliver that runs once per accepted credential (dataplane/deliver.c). */

#include "dataplane/burst.h"

/* How far ahead of the writer a ring's lines are fetched: stores leave the CPU in order, so each
 * record would wait for its line to come from L3 or memory, one after the other. */
#define DELIVER_PREFETCH_SLOTS 16u

/*
 * Is there room for `slots` slots in the ring of every group in `groups`? deliver.slots MUST hold
 * what the burst may need of any one ring.
 */
static inline bool
deliver_has_room(struct deliver *deliver, uint32_t groups, uint32_t slots)
{
	for (; groups != 0; groups &= groups - 1) {
		const unsigned group = (unsigned)__builtin_ctz(groups);
		const struct deliver_ring *ring = &deliver->rings[group];

		if (!(deliver->touched >> group & 1))
			deliver_touch(deliver, group, deliver->slots);
		if (slots > ring->limit - ring->writer.position)
			return false;
	}
	return true;
}

/* As many lines as are going to be written now. */
static inline void
deliver_ring_prefetch(const struct verdict_writer *writer, uint32_t slots)
{
	uint64_t position = writer->position + DELIVER_PREFETCH_SLOTS;

	for (; slots != 0; slots--, position++)
		__builtin_prefetch(&writer->slots[position & writer->mask], 1);
}

/* Writes the record into the ring of every group, and notes where payloads go. MUST have room. */
static inline void
deliver_records(struct worker *worker, struct own_accepted *accepted, uint32_t groups)
{
	const uint32_t slots = deliver_slots(accepted->cred.record->payload_size);
	unsigned count = 0;

	for (; groups != 0; groups &= groups - 1) {
		struct deliver_ring *ring = &worker->deliver.rings[__builtin_ctz(groups)];

		deliver_ring_prefetch(&ring->writer, slots);
		accepted->payloads[count++] =
			verdict_writer_append(&ring->writer, accepted->cred.record);
	}
	accepted->payload_count = count;
	worker->deliver.written += count;
}

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

static inline void
deliver_ring_prefetch(const struct verdict_writer *writer)
{
	__builtin_prefetch(
		&writer->slots[(writer->position + DELIVER_PREFETCH_SLOTS) & writer->mask], 1);
}

/* Writes record and unsealed payload into the ring of every group. MUST have room. */
static inline void
deliver_accepted(struct worker *worker, const struct own_cred *cred, uint32_t groups)
{
	const uint8_t *clear = NULL;

	for (; groups != 0; groups &= groups - 1) {
		struct deliver_ring *ring = &worker->deliver.rings[__builtin_ctz(groups)];
		uint8_t *payload;

		deliver_ring_prefetch(&ring->writer);
		payload = verdict_writer_append(&ring->writer, &cred->record);
		worker->deliver.written++;
		if (cred->record.payload_size != 0) {
			deliver_payload(worker, cred, payload, clear);
			clear = payload;
		}
	}
}

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

/*
 * Writes the record into the ring of every group; returns in how many. Where its payload goes in
 * each is noted in `payloads`, if that is not NULL. MUST have room.
 */
static inline unsigned
deliver_quarters(struct worker *worker, const verdict_quarter_t record[VERDICT_QUARTERS],
	uint32_t payload_size, uint32_t groups, uint8_t **payloads)
{
	unsigned count = 0;

	for (; groups != 0; groups &= groups - 1, count++) {
		struct deliver_ring *ring = &worker->deliver.rings[__builtin_ctz(groups)];
		uint8_t *payload;

		deliver_ring_prefetch(&ring->writer, deliver_slots(payload_size));
		payload = verdict_writer_append_quarters(&ring->writer, record, payload_size);
		if (payloads != NULL)
			payloads[count] = payload;
	}
	worker->deliver.written += count;
	return count;
}

static inline unsigned
deliver_records(struct worker *worker, const struct verdict_record *record, uint32_t groups,
	uint8_t **payloads)
{
	verdict_quarter_t quarters[VERDICT_QUARTERS];

	verdict_quarters_load(quarters, record);
	return deliver_quarters(worker, quarters, record->payload_size, groups, payloads);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * When packets are due. At a set rate packet i is due at start + i / rate, whatever became of those
 * before: latency counts from there, so a receiver that stalls the sender is not forgiven the
 * packets that were held up (coordinated omission). Flat out a packet is due when it is made.
 */

#include <stdbool.h>
#include <stdint.h>

#include "perf/loadgen/mint.h"

struct pacer {
	uint64_t start;
	uint64_t made;
	uint64_t count_max; /* no more than these */
	double interval;    /* TSC cycles; 0: flat out */
};

static inline void
pacer_init(struct pacer *pacer, uint64_t start, uint64_t tsc_hz, double rate, uint64_t count_max)
{
	*pacer = (struct pacer){
		.start = start,
		.count_max = count_max != 0 ? count_max : UINT64_MAX,
		.interval = rate > 0 ? (double)tsc_hz / rate : 0,
	};
}

/* Due time of packet `index`: a double is exact to a cycle for 2^53 of them, a month. */
static inline uint64_t
pacer_due(const struct pacer *pacer, uint64_t index)
{
	return pacer->start + (uint64_t)((double)index * pacer->interval);
}

static inline bool
pacer_is_done(const struct pacer *pacer)
{
	return pacer->made == pacer->count_max;
}

/* How many (up to MINT_BURST_MAX) are due at `now`, and since when. They count as made. */
static inline unsigned
pacer_take(struct pacer *pacer, uint64_t now, uint64_t dues[MINT_BURST_MAX])
{
	const uint64_t left = pacer->count_max - pacer->made;
	const unsigned limit = left < MINT_BURST_MAX ? (unsigned)left : MINT_BURST_MAX;
	unsigned count;

	for (count = 0; count < limit; count++) {
		dues[count] = pacer->interval > 0 ? pacer_due(pacer, pacer->made + count) : now;
		if (dues[count] > now)
			break;
	}
	pacer->made += count;
	return count;
}

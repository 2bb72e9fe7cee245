/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Counts of latencies in log-linear buckets, after Gil Tene's HdrHistogram: the range is cut into
 * octaves and each octave into HISTOGRAM_STEPS equal buckets, so that every bucket is at most 1 / HISTOGRAM_STEPS
 * (0.1 %) of what it holds wide: three significant figures from 1 ns to 18 minutes. Recording is
 * one increment; nothing is allocated, nothing is lost but the figures behind the third.
 */

#include <stdint.h>

#define HISTOGRAM_STEP_BITS 10u
#define HISTOGRAM_STEPS     (1u << HISTOGRAM_STEP_BITS) /* buckets to an octave */
#define HISTOGRAM_BITS      40u                         /* values have at most so many bits */
#define HISTOGRAM_BUCKETS   ((HISTOGRAM_BITS - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS)
#define HISTOGRAM_VALUE_MAX (((uint64_t)1 << HISTOGRAM_BITS) - 1)

struct histogram {
	uint64_t count;
	uint64_t min; /* UINT64_MAX while there is none */
	uint64_t max;
	uint64_t sum;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_init(struct histogram *histogram);

/*
 * The bucket of a value: below HISTOGRAM_STEPS each value has its own; above, the leading bit says
 * the octave and the HISTOGRAM_STEP_BITS bits after it the step. `value` MUST be at most HISTOGRAM_VALUE_MAX.
 */
static inline unsigned
histogram_index(uint64_t value)
{
	const unsigned octave =
		63 - (unsigned)__builtin_clzll(value | HISTOGRAM_STEPS) - HISTOGRAM_STEP_BITS;

	return octave * HISTOGRAM_STEPS + (unsigned)(value >> octave);
}

/* The least and the greatest value of a bucket. */
uint64_t histogram_low(unsigned index);
uint64_t histogram_high(unsigned index);

/* Values above the range count as its last. One thread. */
static inline void
histogram_record(struct histogram *histogram, uint64_t value)
{
	if (value > HISTOGRAM_VALUE_MAX)
		value = HISTOGRAM_VALUE_MAX;
	histogram->buckets[histogram_index(value)]++;
	histogram->count++;
	histogram->sum += value;
	if (value < histogram->min)
		histogram->min = value;
	if (value > histogram->max)
		histogram->max = value;
}

/*
 * The value that `share` (0 ... 1) of what was recorded does not exceed: the top of its bucket,
 * so at most 0.1 % too high, never above max. 0 if nothing was recorded.
 */
uint64_t histogram_quantile(const struct histogram *histogram, double share);

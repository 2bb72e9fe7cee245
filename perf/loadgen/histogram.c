/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/histogram.h"

#include <math.h>
#include <string.h>

void
histogram_init(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
	histogram->min = UINT64_MAX;
}

/* Buckets [0, 2 * HISTOGRAM_STEPS) are one value wide: the first octave and all below it. */
static unsigned
octave_of(unsigned index)
{
	return index < HISTOGRAM_STEPS ? 0 : index / HISTOGRAM_STEPS - 1;
}

uint64_t
histogram_low(unsigned index)
{
	const unsigned octave = octave_of(index);

	return (uint64_t)(index - octave * HISTOGRAM_STEPS) << octave;
}

uint64_t
histogram_high(unsigned index)
{
	return histogram_low(index) + ((uint64_t)1 << octave_of(index)) - 1;
}

uint64_t
histogram_quantile(const struct histogram *histogram, double share)
{
	const double wanted = ceil(share * (double)histogram->count);
	uint64_t seen = 0;
	unsigned i;

	if (histogram->count == 0)
		return 0;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += histogram->buckets[i];
		if (seen > 0 && (double)seen >= wanted)
			break;
	}
	return i == HISTOGRAM_BUCKETS || histogram_high(i) > histogram->max ? histogram->max
									    : histogram_high(i);
}

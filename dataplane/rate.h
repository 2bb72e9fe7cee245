/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Token buckets of rules' limits and of the failure budget: the generic cell rate algorithm (ITU-T
 * I.371), one word each. The word is the time at which the bucket is full again; a token moves it
 * on by the interval between two tokens, and at most `depth_ns` may be owed. No division, and any
 * rate from one token in centuries to one each nanosecond.
 *
 * A word from before a restart of the monotonic clock, or from a deeper bucket, lies impossibly far
 * ahead and reads as a full bucket, once.
 */

#include <stdbool.h>
#include <stdint.h>

#define RATE_NONE UINT64_MAX /* an interval: no tokens at all */

/* When the bucket is full again, as of now. */
static inline uint64_t
rate_full_ns(uint64_t word, uint64_t now_ns, uint64_t depth_ns)
{
	return word - now_ns > depth_ns ? now_ns : word; /* also if it lies in the past */
}

/* `depth_ns` MUST be at least the interval: then a full bucket has a token. */
static inline bool
rate_has_token(uint64_t word, uint64_t now_ns, uint64_t interval_ns, uint64_t depth_ns)
{
	const uint64_t full_ns = rate_full_ns(word, now_ns, depth_ns);

	return interval_ns != RATE_NONE && full_ns - now_ns <= depth_ns - interval_ns;
}

static inline uint64_t
rate_spend(uint64_t word, uint64_t now_ns, uint64_t interval_ns, uint64_t depth_ns)
{
	return rate_full_ns(word, now_ns, depth_ns) + interval_ns;
}

/* Takes a token if there is one. */
static inline bool
rate_take(uint64_t *word, uint64_t now_ns, uint64_t interval_ns, uint64_t depth_ns)
{
	if (!rate_has_token(*word, now_ns, interval_ns, depth_ns))
		return false;
	*word = rate_spend(*word, now_ns, interval_ns, depth_ns);
	return true;
}

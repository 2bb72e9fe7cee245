/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A token bucket in one word, without division: a clock that runs at rate tokens a second, and how
 * far along it tokens have been taken. It holds at most one second's tokens. A word from another
 * rate or from before a restart of the monotonic clock reads as a full bucket, once.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BUCKET_TOKEN 1000u /* rate times milliseconds */
/* With a monotonic clock of up to 2^43 ms (278 years) the product fits 64 bits. */
#define BUCKET_RATE_MAX (1u << 20)

static inline bool
bucket_take(uint64_t *bucket, uint64_t mono_ms, uint32_t rate)
{
	const uint64_t tokens_a_s = rate < BUCKET_RATE_MAX ? rate : BUCKET_RATE_MAX;
	const uint64_t now = mono_ms * tokens_a_s;
	const uint64_t depth = tokens_a_s * BUCKET_TOKEN;
	uint64_t taken = *bucket;

	if (now - taken > depth) /* also if taken lies ahead */
		taken = now > depth ? now - depth : 0;
	if (now - taken < BUCKET_TOKEN)
		return false;
	*bucket = taken + BUCKET_TOKEN;
	return true;
}

/* The same for a word that others may read: one writer, so that a load and a store do. */
static inline bool
bucket_take_shared(_Atomic uint64_t *bucket, uint64_t mono_ms, uint32_t rate)
{
	uint64_t word = atomic_load_explicit(bucket, memory_order_relaxed);
	const bool has_token = bucket_take(&word, mono_ms, rate);

	if (has_token)
		atomic_store_explicit(bucket, word, memory_order_relaxed);
	return has_token;
}

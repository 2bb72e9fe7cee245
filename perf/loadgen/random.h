/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014). Any
 * seed is good, each number takes a few independent cycles. Not for secrets.
 */

#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t
random_next(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* A number from 0 to below `limit`, out of 32 random bits; the bias is at most 2^-12. */
static inline uint32_t
random_scale(uint32_t bits, uint32_t limit)
{
	return (uint32_t)((uint64_t)bits * limit >> 32);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Constant-time helpers: no branch, index or early exit on their arguments. A verification result
 * is an all-ones or zero mask, never memcmp's convention.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Hides a value from the optimiser, so that it cannot turn mask arithmetic back into a branch. */
static inline uint64_t
ct_hide(uint64_t v)
{
	__asm__("" : "+r"(v));
	return v;
}

/* All ones if v is 0, else 0. */
static inline uint64_t
ct_mask_zero(uint64_t v)
{
	v = ct_hide(v);
	return (uint64_t)0 - ((~v & (v - 1)) >> 63);
}

/* All ones if the 16 bytes at a and b are the same, else 0. */
static inline uint64_t
ct_mask_equal16(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ct_mask_zero((x[0] ^ y[0]) | (x[1] ^ y[1]));
}

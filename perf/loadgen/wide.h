/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What minting does to every byte of a frame, in the widest way that the CPU has: copying the
 * template, and summing for the UDP checksum (RFC 1071), where a real node's NIC would do it.
 */

#include <stddef.h>
#include <stdint.h>

#define WIDE_BLOCK 64u

struct wide {
	/* Copies so many blocks of WIDE_BLOCK bytes; `from` is aligned to them. */
	void (*copy)(uint8_t *to, const uint8_t *from, unsigned block_count);
	/* As checksum_add of dataplane/checksum.h: adds `size` (below 2^16) bytes. */
	uint64_t (*sum_add)(uint64_t sum, const uint8_t *data, size_t size);
};

extern const struct wide wide_plain;
extern const struct wide wide_avx512; /* needs AVX-512 BW */

/* The widest that this CPU runs. */
const struct wide *wide_choose(void);

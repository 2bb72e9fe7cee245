/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The Internet checksum (RFC 1071). Sums are kept in the machine's order: the sum does not care,
 * as long as constants that join it are swapped (checksum_be16) and the result is stored as it is.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The last 0 ... 7 bytes; an odd one counts as if a zero followed. */
static inline uint64_t
checksum_rest(const uint8_t *data, size_t size)
{
	uint64_t sum = 0;
	uint32_t word;
	uint16_t half;

	if (size & 4) {
		memcpy(&word, data, sizeof(word));
		sum += word;
		data += 4;
	}
	if (size & 2) {
		memcpy(&half, data, sizeof(half));
		sum += half;
		data += 2;
	}
	return size & 1 ? sum + data[0] : sum;
}

/* Adds `size` (below 2^16) bytes. */
static inline uint64_t
checksum_add(uint64_t sum, const uint8_t *data, size_t size)
{
	uint64_t high = 0;
	uint64_t word;

	/* Two halves without carries between them: one addition each, and none waits for another. */
	for (; size >= 8; size -= 8, data += 8) {
		memcpy(&word, data, sizeof(word));
		sum += (uint32_t)word;
		high += word >> 32;
	}
	return sum + high + checksum_rest(data, size);
}

static inline uint64_t
checksum_be16(uint16_t value)
{
	return __builtin_bswap16(value);
}

/* The 16-bit one's-complement sum, not complemented. */
static inline uint16_t
checksum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (uint32_t)sum;
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

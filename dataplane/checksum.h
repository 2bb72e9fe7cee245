/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The Internet checksum (RFC 1071). Sums are kept in the machine's order: the sum does not care,
 * as long as constants that join it are swapped (checksum_be16) and the result is stored as it is.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <x86intrin.h>

/* The last 0 ... 15 bytes; an odd one counts as if a zero followed. */
static inline uint64_t
checksum_rest(const uint8_t *data, size_t size)
{
	uint64_t sum = 0;
	uint64_t word;
	uint32_t half;
	uint16_t quarter;

	if (size & 8) {
		memcpy(&word, data, sizeof(word));
		sum += (word >> 32) + (uint32_t)word;
		data += 8;
	}
	if (size & 4) {
		memcpy(&half, data, sizeof(half));
		sum += half;
		data += 4;
	}
	if (size & 2) {
		memcpy(&quarter, data, sizeof(quarter));
		sum += quarter;
		data += 2;
	}
	return size & 1 ? sum + data[0] : sum;
}

static inline uint64_t
checksum_word(const uint8_t *data)
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return word;
}

/* Adds two words; what is carried out at the top comes in again at the bottom. */
static inline uint64_t
checksum_add_16(uint64_t sum, const uint8_t *data)
{
	unsigned long long sums[3];
	unsigned char carry;

	carry = _addcarry_u64(0, sum, checksum_word(data), &sums[0]);
	carry = _addcarry_u64(carry, sums[0], checksum_word(data + 8), &sums[1]);
	_addcarry_u64(carry, sums[1], 0, &sums[2]);
	return sums[2];
}

static inline uint64_t
checksum_add_32(uint64_t sum, const uint8_t *data)
{
	unsigned long long sums[5];
	unsigned char carry;

	carry = _addcarry_u64(0, sum, checksum_word(data), &sums[0]);
	carry = _addcarry_u64(carry, sums[0], checksum_word(data + 8), &sums[1]);
	carry = _addcarry_u64(carry, sums[1], checksum_word(data + 16), &sums[2]);
	carry = _addcarry_u64(carry, sums[2], checksum_word(data + 24), &sums[3]);
	_addcarry_u64(carry, sums[3], 0, &sums[4]);
	return sums[4];
}

/* Adds `size` bytes. Sums are far below 2^64: a few may be added up. */
static inline uint64_t
checksum_add(uint64_t sum, const uint8_t *data, size_t size)
{
	for (; size >= 32; size -= 32, data += 32)
		sum = checksum_add_32(sum, data);
	if (size & 16) {
		sum = checksum_add_16(sum, data);
		data += 16;
	}
	return (sum >> 32) + (uint32_t)sum + checksum_rest(data, size & 15);
}

static inline uint64_t
checksum_be16(uint16_t value)
{
	return __builtin_bswap16(value);
}

/*
 * The 16-bit one's-complement sum, not complemented. Of a number and itself with its halves
 * exchanged, the upper half of the sum has the lower half's carry in it.
 */
static inline uint16_t
checksum_fold(uint64_t sum)
{
	const uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

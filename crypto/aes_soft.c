/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * AES (FIPS 197) without tables and without AES instructions: eight bytes at a time in a 64-bit
 * word, the S-box computed as the inverse in GF(2^8) and an affine map. Constant-time: no branch
 * and no index depends on key or block. Some microseconds a block, for CMAC subkeys on machines
 * that only mint or manage keys, and as the kernels' slow obvious twin.
 */

#include <sodium.h>

#include "crypto/tag_priv.h"

#define EACH_BYTE(byte) (0x0101010101010101u * (byte))

/* Every byte times x, modulo x^8 + x^4 + x^3 + x + 1. */
static uint64_t
bytes_double(uint64_t a)
{
	return ((a & EACH_BYTE(0x7fu)) << 1) ^ (((a >> 7) & EACH_BYTE(1u)) * 0x1b);
}

static uint64_t
bytes_multiply(uint64_t a, uint64_t b)
{
	uint64_t product = 0;
	int bit;

	for (bit = 0; bit < 8; bit++) {
		product ^= a & (((b >> bit) & EACH_BYTE(1u)) * 0xff);
		a = bytes_double(a);
	}
	return product;
}

/* Every byte to the power of 254: its inverse, and 0 for 0. */
static uint64_t
bytes_invert(uint64_t a)
{
	uint64_t a2 = bytes_multiply(a, a);
	uint64_t a3 = bytes_multiply(a2, a);
	uint64_t a6 = bytes_multiply(a3, a3);
	uint64_t a12 = bytes_multiply(a6, a6);
	uint64_t a15 = bytes_multiply(a12, a3);
	uint64_t a30 = bytes_multiply(a15, a15);
	uint64_t a60 = bytes_multiply(a30, a30);
	uint64_t a120 = bytes_multiply(a60, a60);
	uint64_t a240 = bytes_multiply(a120, a120);

	return bytes_multiply(bytes_multiply(a240, a12), a2);
}

static uint64_t
bytes_rotate(uint64_t a, unsigned left)
{
	uint64_t low = EACH_BYTE((1u << left) - 1u);

	return ((a << left) & ~low) | ((a >> (8 - left)) & low);
}

static uint64_t
bytes_substitute(uint64_t a)
{
	a = bytes_invert(a);
	return a ^ bytes_rotate(a, 1) ^ bytes_rotate(a, 2) ^ bytes_rotate(a, 3) ^
	       bytes_rotate(a, 4) ^ EACH_BYTE(0x63u);
}

static void
block_substitute(uint8_t block[AES_BLOCK_SIZE])
{
	uint64_t half[2];

	memcpy(half, block, sizeof(half));
	half[0] = bytes_substitute(half[0]);
	half[1] = bytes_substitute(half[1]);
	memcpy(block, half, sizeof(half));
}

/* Row r, the bytes at r, r + 4, r + 8 and r + 12, turns left by r places. */
static void
block_shift_rows(uint8_t block[AES_BLOCK_SIZE])
{
	uint8_t old[AES_BLOCK_SIZE];
	unsigned i;

	memcpy(old, block, sizeof(old));
	for (i = 0; i < AES_BLOCK_SIZE; i++)
		block[i] = old[(i + 4 * (i % 4)) % AES_BLOCK_SIZE];
}

static uint32_t
column_turn(uint32_t column, unsigned rows)
{
	return column >> 8 * rows | column << (32 - 8 * rows);
}

static void
block_mix_columns(uint8_t block[AES_BLOCK_SIZE])
{
	uint32_t column[4], next;
	unsigned i;

	memcpy(column, block, sizeof(column));
	for (i = 0; i < 4; i++) {
		next = column_turn(column[i], 1);
		column[i] = (uint32_t)bytes_double(column[i] ^ next) ^ next ^
			    column_turn(column[i], 2) ^ column_turn(column[i], 3);
	}
	memcpy(block, column, sizeof(column));
}

static void
block_add(uint8_t block[AES_BLOCK_SIZE], const uint32_t *round_key)
{
	uint32_t column[4];
	unsigned i;

	memcpy(column, block, sizeof(column));
	for (i = 0; i < 4; i++)
		column[i] ^= round_key[i];
	memcpy(block, column, sizeof(column));
}

static void
key_expand(uint32_t *words, const uint8_t *key, unsigned key_size)
{
	const unsigned key_words = key_size / 4;
	const unsigned word_count = 4 * (key_words + 7);
	uint32_t word, constant = 1;
	unsigned i;

	memcpy(words, key, key_size);
	for (i = key_words; i < word_count; i++) {
		word = words[i - 1];
		if (i % key_words == 0) {
			word = (uint32_t)bytes_substitute(column_turn(word, 1)) ^ constant;
			constant = (uint32_t)bytes_double(constant);
		} else if (key_words == 8 && i % 8 == 4) {
			word = (uint32_t)bytes_substitute(word);
		}
		words[i] = words[i - key_words] ^ word;
	}
}

void
aes_soft_block(uint8_t block[AES_BLOCK_SIZE], const uint8_t *key, unsigned key_size)
{
	uint32_t words[4 * (AES_ROUNDS_MAX + 1)];
	const unsigned rounds = key_size / 4 + 6;
	unsigned r;

	key_expand(words, key, key_size);
	block_add(block, words);
	for (r = 1; r <= rounds; r++) {
		block_substitute(block);
		block_shift_rows(block);
		if (r < rounds)
			block_mix_columns(block);
		block_add(block, words + 4 * r);
	}
	sodium_memzero(words, sizeof(words));
}

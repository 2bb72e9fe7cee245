/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Sixteen messages at once on VAES: four 512-bit registers of four lanes, a lane being one message
 * under its own key. What tag_vaes512.c (CMAC) and tag_vaes512_ctr.c (CTR) share; both are built
 * with the flags of crypto/meson.build and reached only where cpu_has_vaes512() holds.
 *
 * Implementation notes
 *
 * - One AES round of the four registers is four independent instructions, which hides the latency
 *   of each behind the others: whole sets of four are written as arrays indexed by `q`.
 * - Keys come raw. The schedule is computed for all 16 lanes together in words: words[i] holds word
 *   i of 16 round keys, so a step of FIPS 197 section 5.2 is one shuffle, one AESENCLAST (SubWord)
 *   and five XORs, and a 4x4 transpose brings round keys to where the rounds want them. That is 15
 *   instructions a round instead of 24 for four registers expanded side by side.
 * - Schedules that are used more than once are stored in the engine's scratch, which is wiped, and
 *   not left to the compiler, which would spill them to the stack.
 * - Sizes, counts and suites are public and branch. Keys, tags, states and plaintext stay in vector
 *   registers and mask registers until the bitmap is returned.
 */

#include <immintrin.h>

#include "crypto/tag_priv.h"

#define QUADS      4u /* registers */
#define QUAD_LANES 4u
#define LANES      (QUADS * QUAD_LANES)

/* The rounds are only worth their registers if nothing of this is a call. */
#define INLINE static inline __attribute__((always_inline))

#define XOR3 0x96 /* truth table of a ^ b ^ c for vpternlog */

/* Sixteen inputs, picked in some order out of a batch and filled up with dummies. */
struct group {
	const struct key_slot *slots[LANES];
	const uint8_t *srcs[LANES];
	uint16_t sizes[LANES];
	struct tag_identity ids[LANES];
};

struct scratch {
	__m512i round_keys[AES_ROUNDS_MAX + 1][QUADS];
	/* What a group of lanes came to: tags, and bytes [64, 80) in clear, not masked yet. */
	__m512i tags[QUADS];
	__m512i identities[QUADS];
	struct group group;
	/* Lanes without an input work on these. */
	struct key_slot dummy_slot;
	uint8_t dummy_msg[CRED_SIZE_MAX];
};

/* A schedule on its way: the raw key, and the words of the latest round keys. */
struct schedule {
	__m512i raw[2][QUADS];   /* [1] is the second half of a 256-bit key */
	__m512i words[2][QUADS]; /* likewise */
};

/* AES-CTR of up to LANES pieces. */
void tag_vaes512_pieces(
	void *context, uint8_t suite, const struct tag_piece *pieces, unsigned count);

INLINE __m512i
lanes_of(const uint8_t bytes[static AES_BLOCK_SIZE])
{
	return _mm512_broadcast_i32x4(_mm_loadu_si128((const void *)bytes));
}

/*
 * Shuffles. A word that goes through AESENCLAST for SubWord alone goes through ShiftRows as well,
 * so it is placed where ShiftRows will pick it; RotWord comes with it for nothing.
 */
static const uint8_t words_rotated[16] = {1, 14, 11, 4, 5, 2, 15, 8, 9, 6, 3, 12, 13, 10, 7, 0};
static const uint8_t words_plain[16] = {0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3};
/* Round constants (FIPS 197 section 5.2), index 0 is unused. */
static const uint8_t round_constants[11] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36};

/* From registers to registers: memcpy would have both in memory. */
INLINE void
lanes_copy(__m512i to[QUADS], const __m512i from[QUADS])
{
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++)
		to[q] = from[q];
}

INLINE __m512i
quad_load(const uint8_t *a, const uint8_t *b, const uint8_t *c, const uint8_t *d)
{
	__m256i low = _mm256_castsi128_si256(_mm_loadu_si128((const void *)a));
	__m256i high = _mm256_castsi128_si256(_mm_loadu_si128((const void *)c));

	low = _mm256_inserti128_si256(low, _mm_loadu_si128((const void *)b), 1);
	high = _mm256_inserti128_si256(high, _mm_loadu_si128((const void *)d), 1);
	return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* The 16 bytes at `offset` of each message. */
INLINE void
lanes_load(__m512i x[QUADS], const uint8_t *const *at, size_t offset)
{
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++, at += QUAD_LANES)
		x[q] = quad_load(at[0] + offset, at[1] + offset, at[2] + offset, at[3] + offset);
}

/* The 16 bytes at an offset of its own of each message. */
INLINE void
lanes_load_each(__m512i x[QUADS], const uint8_t *const *at, const uint32_t *offsets)
{
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++, at += QUAD_LANES, offsets += QUAD_LANES)
		x[q] = quad_load(at[0] + offsets[0], at[1] + offsets[1], at[2] + offsets[2],
			at[3] + offsets[3]);
}

/* The counterpart of lanes_load. */
INLINE void
lanes_store(const __m512i x[QUADS], uint8_t *const *at, size_t offset)
{
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++, at += QUAD_LANES) {
		_mm_storeu_si128((void *)(at[0] + offset), _mm512_castsi512_si128(x[q]));
		_mm_storeu_si128((void *)(at[1] + offset), _mm512_extracti64x2_epi64(x[q], 1));
		_mm_storeu_si128((void *)(at[2] + offset), _mm512_extracti64x2_epi64(x[q], 2));
		_mm_storeu_si128((void *)(at[3] + offset), _mm512_extracti64x2_epi64(x[q], 3));
	}
}

/* The 16 bytes at `offset` of each slot. */
INLINE void
slots_load(__m512i x[QUADS], const struct key_slot *const *slots, size_t offset)
{
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++, slots += QUAD_LANES)
		x[q] = quad_load((const uint8_t *)slots[0] + offset,
			(const uint8_t *)slots[1] + offset, (const uint8_t *)slots[2] + offset,
			(const uint8_t *)slots[3] + offset);
}

/* Four registers of lanes to four of words, and back: it is its own inverse. */
INLINE void
words_transpose(__m512i out[QUADS], const __m512i in[QUADS])
{
	const __m512i low01 = _mm512_unpacklo_epi32(in[0], in[1]);
	const __m512i low23 = _mm512_unpacklo_epi32(in[2], in[3]);
	const __m512i high01 = _mm512_unpackhi_epi32(in[0], in[1]);
	const __m512i high23 = _mm512_unpackhi_epi32(in[2], in[3]);

	out[0] = _mm512_unpacklo_epi64(low01, low23);
	out[1] = _mm512_unpackhi_epi64(low01, low23);
	out[2] = _mm512_unpacklo_epi64(high01, high23);
	out[3] = _mm512_unpackhi_epi64(high01, high23);
}

INLINE void
schedule_begin(struct schedule *schedule, const struct key_slot *const *slots, size_t offset,
	const unsigned rounds)
{
	slots_load(schedule->raw[0], slots, offset);
	words_transpose(schedule->words[0], schedule->raw[0]);
	if (rounds == 14) {
		slots_load(schedule->raw[1], slots, offset + AES_BLOCK_SIZE);
		words_transpose(schedule->words[1], schedule->raw[1]);
	}
}

/*
 * FIPS 197 section 5.2: the next four words from those a key's length before and the latest one.
 * What does not wait for SubWord is XORed first: this chain is the longest there is.
 */
INLINE void
words_next(__m512i words[4], __m512i latest, const uint8_t *placing, uint8_t constant)
{
	const __m512i placed = _mm512_shuffle_epi8(latest, lanes_of(placing));
	const __m512i word = _mm512_aesenclast_epi128(placed, _mm512_set1_epi32(constant));
	const __m512i sum2 = _mm512_ternarylogic_epi64(words[0], words[1], words[2], XOR3);

	words[3] = _mm512_ternarylogic_epi64(sum2, words[3], word, XOR3);
	words[1] = _mm512_ternarylogic_epi64(words[0], words[1], word, XOR3);
	words[0] = _mm512_xor_si512(words[0], word);
	words[2] = _mm512_xor_si512(sum2, word);
}

/* Round key r; MUST be asked for in order. */
INLINE void
schedule_key(struct schedule *schedule, const unsigned r, const unsigned rounds, __m512i key[QUADS])
{
	const unsigned half = rounds == 14 ? r & 1 : 0;

	if (r < (rounds == 14 ? 2 : 1)) {
		lanes_copy(key, schedule->raw[half]);
		return;
	}
	if (rounds == 10)
		words_next(schedule->words[0], schedule->words[0][3], words_rotated,
			round_constants[r]);
	else if (half == 0)
		words_next(schedule->words[0], schedule->words[1][3], words_rotated,
			round_constants[r / 2]);
	else
		words_next(schedule->words[1], schedule->words[0][3], words_plain, 0);
	words_transpose(key, schedule->words[half]);
}

/* Round r of AES on all lanes; round 0 is the first key alone. */
INLINE void
lanes_round(__m512i s[QUADS], const __m512i key[QUADS], const unsigned r, const unsigned rounds)
{
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++) {
		if (r == 0)
			s[q] = _mm512_xor_si512(s[q], key[q]);
		else if (r < rounds)
			s[q] = _mm512_aesenc_epi128(s[q], key[q]);
		else
			s[q] = _mm512_aesenclast_epi128(s[q], key[q]);
	}
}

/* Expands the keys at `offset` of the slots into `keys`. */
INLINE void
keys_expand(__m512i (*keys)[QUADS], const struct key_slot *const *slots, const size_t offset,
	const unsigned rounds)
{
	struct schedule schedule;

	schedule_begin(&schedule, slots, offset, rounds);
#pragma GCC unroll 15
	for (unsigned r = 0; r <= rounds; r++)
		schedule_key(&schedule, r, rounds, keys[r]);
}

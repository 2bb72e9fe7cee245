/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Eight messages side by side on AES-NI: for CPUs without VAES, and for programs that tag one
 * message at a time, since an engine costs nothing to make.
 *
 * Implementation notes
 *
 * - Eight independent AES instructions per round hide the latency of each; arrays indexed by `l`
 *   (lane) are unrolled into registers as far as there are any.
 * - Keys come raw, and schedules are computed in words, four lanes in a register: as in
 *   tag_vaes512_priv.h, which explains it, and without AESKEYGENASSIST, which is slow.
 * - Lanes of different lengths are aligned on the right, and batches ordered by block count first:
 *   as in tag_vaes512.c.
 * - Sizes, counts and suites are public and branch; keys, tags and plaintext do not.
 */

#include <smmintrin.h>
#include <sodium.h>
#include <wmmintrin.h>

#include "crypto/cpu_priv.h"
#include "crypto/tag_priv.h"

#define LANES      8u
#define QUADS      2u
#define QUAD_LANES 4u

/* The rounds are only worth their registers if nothing of this is a call. */
#define INLINE static inline __attribute__((always_inline))

struct scratch {
	__m128i round_keys[AES_ROUNDS_MAX + 1][LANES];
	/* What a group of lanes came to: tags, and bytes [64, 80) in clear, not masked yet. */
	__m128i tags[LANES];
	__m128i identities[LANES];
	__m128i last[LANES]; /* last blocks: padded, subkey added */
	/* Lanes without an input work on these. */
	struct key_slot dummy_slot;
	uint8_t dummy_msg[CRED_SIZE_MAX];
};

/* Eight inputs, filled up with dummies; all end with block `blocks` - 1. */
struct group {
	const struct key_slot *slots[LANES];
	const uint8_t *msgs[LANES];
	unsigned sizes[LANES];
	unsigned waits[LANES]; /* blocks until a lane begins */
	unsigned blocks;       /* of the longest */
	unsigned begun;        /* from this block on all lanes have begun */
};

/* Where a word must be for AESENCLAST's ShiftRows to put it right; with RotWord, and without. */
static const uint8_t words_rotated[16] = {1, 14, 11, 4, 5, 2, 15, 8, 9, 6, 3, 12, 13, 10, 7, 0};
static const uint8_t words_plain[16] = {0, 13, 10, 7, 4, 1, 14, 11, 8, 5, 2, 15, 12, 9, 6, 3};
static const uint8_t block_reversed[16] = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
static const uint8_t number_reversed[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12};

/* Round constants (FIPS 197 section 5.2), index 0 is unused. */
static const uint8_t round_constants[11] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36};

/* Read at 16 - n: n bytes of ones, then zeroes; and 0x80 at the index of byte n. */
static const uint8_t kept[32] = {
	255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
static const uint8_t padding[32] = {[16] = 0x80};

INLINE __m128i
load(const uint8_t *p)
{
	return _mm_loadu_si128((const void *)p);
}

/* Four lanes to four of words, and back: it is its own inverse. */
INLINE void
words_transpose(__m128i out[QUAD_LANES], const __m128i in[QUAD_LANES])
{
	const __m128i low01 = _mm_unpacklo_epi32(in[0], in[1]);
	const __m128i low23 = _mm_unpacklo_epi32(in[2], in[3]);
	const __m128i high01 = _mm_unpackhi_epi32(in[0], in[1]);
	const __m128i high23 = _mm_unpackhi_epi32(in[2], in[3]);

	out[0] = _mm_unpacklo_epi64(low01, low23);
	out[1] = _mm_unpackhi_epi64(low01, low23);
	out[2] = _mm_unpacklo_epi64(high01, high23);
	out[3] = _mm_unpackhi_epi64(high01, high23);
}

/* FIPS 197 section 5.2: the next four words from those a key's length before and the latest one. */
INLINE void
words_next(__m128i words[4], __m128i latest, const uint8_t *placing, uint8_t constant)
{
	const __m128i placed = _mm_shuffle_epi8(latest, load(placing));

	words[0] = _mm_xor_si128(words[0], _mm_aesenclast_si128(placed, _mm_set1_epi32(constant)));
	words[1] = _mm_xor_si128(words[1], words[0]);
	words[2] = _mm_xor_si128(words[2], words[1]);
	words[3] = _mm_xor_si128(words[3], words[2]);
}

/* Round key r of four lanes; words[1] is used for 256-bit keys only. */
INLINE void
quad_key_next(__m128i words[2][4], const unsigned r, const unsigned rounds, __m128i *keys)
{
	const unsigned half = rounds == 14 ? r & 1 : 0;

	if (rounds == 10)
		words_next(words[0], words[0][3], words_rotated, round_constants[r]);
	else if (half == 0)
		words_next(words[0], words[1][3], words_rotated, round_constants[r / 2]);
	else
		words_next(words[1], words[0][3], words_plain, 0);
	words_transpose(keys, words[half]);
}

/* Expands the keys at `offset` of the slots. */
INLINE void
keys_expand(__m128i keys[][LANES], const struct key_slot *const *slots, const size_t offset,
	const unsigned rounds)
{
	const unsigned given = rounds == 14 ? 2 : 1;
	__m128i words[QUADS][2][4];

	for (unsigned q = 0; q < QUADS; q++) {
		for (unsigned r = 0; r < given; r++) {
			__m128i *raw = &keys[r][q * QUAD_LANES];

			for (unsigned i = 0; i < QUAD_LANES; i++)
				raw[i] = load((const uint8_t *)slots[q * QUAD_LANES + i] + offset +
					      r * AES_BLOCK_SIZE);
			words_transpose(words[q][r], raw);
		}
	}
#pragma GCC unroll 15
	for (unsigned r = given; r <= rounds; r++)
		for (unsigned q = 0; q < QUADS; q++)
			quad_key_next(words[q], r, rounds, &keys[r][q * QUAD_LANES]);
}

/* AES of eight blocks under eight keys. */
INLINE void
lanes_encrypt(__m128i s[LANES], __m128i (*const keys)[LANES], const unsigned rounds)
{
	for (unsigned l = 0; l < LANES; l++)
		s[l] = _mm_xor_si128(s[l], keys[0][l]);
	for (unsigned r = 1; r < rounds; r++)
		for (unsigned l = 0; l < LANES; l++)
			s[l] = _mm_aesenc_si128(s[l], keys[r][l]);
	for (unsigned l = 0; l < LANES; l++)
		s[l] = _mm_aesenclast_si128(s[l], keys[rounds][l]);
}

/*
 * Doubling in GF(2^128): a carry out of the low half goes up, one out of the high half comes back
 * as 0x87; both by multiplication, not by choice.
 */
INLINE __m128i
block_double(__m128i x)
{
	const __m128i reversed = _mm_shuffle_epi8(x, load(block_reversed));
	const __m128i carries = _mm_shuffle_epi32(_mm_srli_epi64(reversed, 63), 0x4e);
	const __m128i fold = _mm_mul_epu32(carries, _mm_set_epi64x(1, 0x87));

	return _mm_shuffle_epi8(
		_mm_xor_si128(_mm_slli_epi64(reversed, 1), fold), load(block_reversed));
}

/*
 * RFC 4493 section 2.4, step 4: the last block, whole with K1 or padded with K2. Reads up to 16
 * bytes past the message, where its tag is.
 */
INLINE __m128i
last_block(const struct key_slot *slot, const uint8_t *msg, unsigned size)
{
	const unsigned at = (tag_block_count(size) - 1) * AES_BLOCK_SIZE;
	const unsigned left = size - at;
	const __m128i k1 = load(slot->k1);
	__m128i block = _mm_and_si128(load(msg + at), load(kept + 16 - left));

	block = _mm_or_si128(block, load(padding + 16 - left));
	return _mm_xor_si128(block, left == AES_BLOCK_SIZE ? k1 : block_double(k1));
}

/* Block b of lane l, or its first while it waits. */
INLINE __m128i
lane_block(const struct group *group, unsigned l, unsigned b)
{
	const unsigned wait = group->waits[l];

	return load(group->msgs[l] + (b > wait ? b - wait : 0) * AES_BLOCK_SIZE);
}

INLINE void
cmac_lanes(struct scratch *scratch, const struct group *group, const unsigned rounds)
{
	__m128i s[LANES];
	unsigned b;

	keys_expand(scratch->round_keys, group->slots, offsetof(struct key_slot, tag_key), rounds);
	for (unsigned l = 0; l < LANES; l++) {
		s[l] = _mm_setzero_si128();
		scratch->last[l] = last_block(group->slots[l], group->msgs[l], group->sizes[l]);
	}
	for (b = 0; b < group->begun; b++) {
		for (unsigned l = 0; l < LANES; l++)
			s[l] = _mm_xor_si128(s[l], lane_block(group, l, b));
		lanes_encrypt(s, scratch->round_keys, rounds);
		for (unsigned l = 0; l < LANES; l++)
			s[l] = _mm_and_si128(s[l], _mm_set1_epi32(-(b >= group->waits[l])));
	}
	for (; b < group->blocks - 1; b++) {
		for (unsigned l = 0; l < LANES; l++)
			s[l] = _mm_xor_si128(s[l], lane_block(group, l, b));
		lanes_encrypt(s, scratch->round_keys, rounds);
	}
	for (unsigned l = 0; l < LANES; l++)
		s[l] = _mm_xor_si128(s[l], scratch->last[l]);
	lanes_encrypt(s, scratch->round_keys, rounds);
	memcpy(scratch->tags, s, sizeof(scratch->tags));
}

/* Not inlined into their callers: one copy per key size is enough. */
static __attribute__((noinline)) void
cmac_lanes_128(struct scratch *scratch, const struct group *group)
{
	cmac_lanes(scratch, group, 10);
}

static __attribute__((noinline)) void
cmac_lanes_256(struct scratch *scratch, const struct group *group)
{
	cmac_lanes(scratch, group, 14);
}

static void
group_cmac(struct scratch *scratch, uint8_t suite, const struct group *group)
{
	if (tag_suite_rounds(suite) == 10)
		cmac_lanes_128(scratch, group);
	else
		cmac_lanes_256(scratch, group);
}

static __attribute__((noinline)) void
seal_keys_expand_128(struct scratch *scratch, const struct key_slot *const *slots)
{
	keys_expand(scratch->round_keys, slots, offsetof(struct key_slot, seal_key), 10);
}

static __attribute__((noinline)) void
seal_keys_expand_256(struct scratch *scratch, const struct key_slot *const *slots)
{
	keys_expand(scratch->round_keys, slots, offsetof(struct key_slot, seal_key), 14);
}

static void
seal_keys_expand(struct scratch *scratch, uint8_t suite, const struct key_slot *const *slots)
{
	if (tag_suite_rounds(suite) == 10)
		seal_keys_expand_128(scratch, slots);
	else
		seal_keys_expand_256(scratch, slots);
}

/* Key stream of counter blocks, under sealing keys expanded before. */
static void
stream_next(struct scratch *scratch, uint8_t suite, __m128i c[LANES])
{
	if (tag_suite_rounds(suite) == 10)
		lanes_encrypt(c, scratch->round_keys, 10);
	else
		lanes_encrypt(c, scratch->round_keys, 14);
}

/* The first counter block of a message: salt, serial, number 0. */
INLINE __m128i
msg_counter(const uint8_t *msg)
{
	const __m128i salt = _mm_srli_si128(load(msg + CRED_AT_SALT - 12), 12);
	const __m128i serial = _mm_loadl_epi64((const void *)(msg + CRED_AT_SERIAL));

	return _mm_or_si128(salt, _mm_slli_si128(serial, 4));
}

/* Bytes [64, 80) in clear, for every lane, proved or not: they are masked later. */
static void
group_identities(struct scratch *scratch, uint8_t suite, const struct group *group)
{
	__m128i c[LANES];

	for (unsigned l = 0; l < LANES; l++)
		scratch->identities[l] = load(group->msgs[l] + CRED_SEALED_FIRST);
	if (!cred_suite_is_sealed(suite))
		return;
	for (unsigned l = 0; l < LANES; l++)
		c[l] = msg_counter(group->msgs[l]);
	seal_keys_expand(scratch, suite, group->slots);
	stream_next(scratch, suite, c);
	for (unsigned l = 0; l < LANES; l++)
		scratch->identities[l] = _mm_xor_si128(scratch->identities[l], c[l]);
}

/* Picks inputs order[0] ... order[count - 1], and dummies of the last one's size. */
static void
group_gather(struct scratch *scratch, struct group *group, const uint8_t *order,
	const struct key_slot *const *slots, const uint8_t *const *msgs, const uint16_t *sizes,
	unsigned count)
{
	unsigned l, least = TAG_BLOCKS_MAX;

	group->blocks = 0;
	for (l = 0; l < LANES; l++) {
		const unsigned i = order[l < count ? l : count - 1];
		const unsigned blocks = tag_block_count(sizes[i]);

		group->slots[l] = l < count ? slots[i] : &scratch->dummy_slot;
		group->msgs[l] = l < count ? msgs[i] : scratch->dummy_msg;
		group->sizes[l] = sizes[i];
		group->blocks = blocks > group->blocks ? blocks : group->blocks;
		least = blocks < least ? blocks : least;
	}
	group->begun = group->blocks - least;
	for (l = 0; l < LANES; l++)
		group->waits[l] = group->blocks - tag_block_count(group->sizes[l]);
}

/* All ones if two tags are the same, else zero: every 32-bit part must say so. */
INLINE __m128i
tags_equal(__m128i a, __m128i b)
{
	__m128i equal = _mm_cmpeq_epi32(a, b);

	equal = _mm_and_si128(equal, _mm_shuffle_epi32(equal, 0x4e));
	return _mm_and_si128(equal, _mm_shuffle_epi32(equal, 0xb1));
}

/* Scatters what the lanes came to; identities of lanes that are not proved become zero. */
static uint64_t
group_judge(const struct scratch *scratch, const struct group *group, const uint8_t *order,
	struct tag_identity *ids, unsigned count)
{
	uint64_t proved = 0;

	for (unsigned l = 0; l < count; l++) {
		const __m128i equal =
			tags_equal(scratch->tags[l], load(group->msgs[l] + group->sizes[l]));

		_mm_storeu_si128(
			(void *)ids[order[l]].bytes, _mm_and_si128(scratch->identities[l], equal));
		proved |= (uint64_t)(_mm_cvtsi128_si32(equal) & 1) << order[l];
	}
	return proved;
}

static uint64_t
aesni_verify(void *context, uint8_t suite, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, struct tag_identity *ids, unsigned count)
{
	struct scratch *scratch = context;
	uint8_t order[TAG_BATCH_MAX];
	uint64_t proved = 0;
	struct group group;

	tag_order(order, sizes, count);
	for (unsigned i = 0; i < count; i += LANES) {
		const unsigned lanes = count - i < LANES ? count - i : LANES;

		group_gather(scratch, &group, order + i, slots, msgs, sizes, lanes);
		group_cmac(scratch, suite, &group);
		group_identities(scratch, suite, &group);
		proved |= group_judge(scratch, &group, order + i, ids, lanes);
	}
	return proved;
}

/* Block b of a piece, or the part of it there is: no byte past the piece is touched. */
static void
piece_xor(const struct tag_piece *piece, unsigned b, __m128i stream)
{
	const unsigned at = b * AES_BLOCK_SIZE;
	uint8_t part[AES_BLOCK_SIZE];

	if (at + AES_BLOCK_SIZE <= piece->size) {
		_mm_storeu_si128(
			(void *)(piece->dst + at), _mm_xor_si128(load(piece->src + at), stream));
	} else if (at < piece->size) {
		_mm_storeu_si128((void *)part, stream);
		for (unsigned i = 0; at + i < piece->size; i++)
			piece->dst[at + i] = piece->src[at + i] ^ part[i];
	}
}

/* The piece's counter block of its block b; the number counts big-endian, as the last word. */
INLINE __m128i
piece_counter(const struct tag_piece *piece, unsigned b)
{
	const __m128i number = _mm_set_epi32((int)(piece->number + b), 0, 0, 0);
	const __m128i counter =
		_mm_shuffle_epi8(load(piece->counter->bytes), load(number_reversed));

	return _mm_shuffle_epi8(_mm_add_epi32(counter, number), load(number_reversed));
}

/* AES-CTR of up to LANES pieces; lanes without one do the first again and do not store it. */
static void
aesni_pieces(void *context, uint8_t suite, const struct tag_piece *pieces, unsigned count)
{
	struct scratch *scratch = context;
	const struct key_slot *slots[LANES];
	unsigned blocks = 0;

	for (unsigned l = 0; l < LANES; l++) {
		const struct tag_piece *piece = &pieces[l < count ? l : 0];

		slots[l] = piece->slot;
		if (tag_block_count(piece->size) > blocks)
			blocks = tag_block_count(piece->size);
	}
	seal_keys_expand(scratch, suite, slots);
	for (unsigned b = 0; b < blocks; b++) {
		__m128i c[LANES];

		for (unsigned l = 0; l < LANES; l++)
			c[l] = piece_counter(&pieces[l < count ? l : 0], b);
		stream_next(scratch, suite, c);
		for (unsigned l = 0; l < count; l++)
			piece_xor(&pieces[l], b, c[l]);
	}
}

static void
aesni_ctr(void *scratch, uint8_t suite, const struct key_slot *const *slots,
	const struct tag_counter *counters, const uint8_t *const *srcs, uint8_t *const *dsts,
	const uint16_t *sizes, unsigned count)
{
	tag_pieces_run(
		LANES, aesni_pieces, scratch, suite, slots, counters, srcs, dsts, sizes, count);
}

static void
aesni_seal(void *context, uint8_t suite, const struct key_slot *const *slots, uint8_t *const *msgs,
	const uint16_t *sizes, unsigned count)
{
	struct scratch *scratch = context;
	uint8_t order[TAG_BATCH_MAX];
	struct group group;

	if (cred_suite_is_sealed(suite))
		tag_pieces_seal(LANES, aesni_pieces, scratch, suite, slots, msgs, sizes,
			CRED_SEALED_FIRST, count);
	tag_order(order, sizes, count);
	for (unsigned i = 0; i < count; i += LANES) {
		const unsigned lanes = count - i < LANES ? count - i : LANES;

		group_gather(scratch, &group, order + i, slots, (const uint8_t *const *)msgs, sizes,
			lanes);
		group_cmac(scratch, suite, &group);
		for (unsigned l = 0; l < lanes; l++)
			_mm_storeu_si128((void *)(msgs[order[i + l]] + sizes[order[i + l]]),
				scratch->tags[l]);
	}
}

static int
aesni_init(void *scratch)
{
	(void)scratch;
	return 0;
}

/* All there is to wipe lies in the scratch. */
static void
aesni_fini(void *scratch)
{
	(void)scratch;
}

/* K1's one block, in all lanes; not for the packet path. */
void
tag_aesni_block(uint8_t block[AES_BLOCK_SIZE], const uint8_t *key, unsigned key_size)
{
	const uint8_t suite = key_size == 16 ? CRED_SUITE_SEALED128 : CRED_SUITE_SEALED256;
	struct key_slot slot = {0};
	const struct key_slot *slots[LANES];
	struct scratch scratch;
	__m128i c[LANES];

	memcpy(slot.seal_key, key, key_size);
	for (unsigned l = 0; l < LANES; l++) {
		slots[l] = &slot;
		c[l] = load(block);
	}
	seal_keys_expand(&scratch, suite, slots);
	stream_next(&scratch, suite, c);
	_mm_storeu_si128((void *)block, c[0]);
	sodium_memzero(scratch.round_keys, sizeof(scratch.round_keys));
	sodium_memzero(&slot, sizeof(slot));
}

const struct tag_kernel tag_kernel_aesni = {
	.id = TAG_KERNEL_AESNI,
	.name = "aesni",
	.is_supported = cpu_has_aesni,
	.scratch_size = sizeof(struct scratch),
	.scratch_init = aesni_init,
	.scratch_fini = aesni_fini,
	.verify = aesni_verify,
	.seal = aesni_seal,
	.ctr = aesni_ctr,
};

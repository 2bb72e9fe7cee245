/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Sixteen messages at once on VAES: four 512-bit registers of four lanes, a lane being one message
 * under its own key. Built with the flags of crypto/meson.build and reached only where
 * cpu_has_vaes512() holds.
 *
 * Implementation notes
 *
 * - One AES round of the four registers is four independent instructions, which hides the latency
 *   of each behind the others: whole sets of four are written as arrays indexed by `q`.
 * - Keys come raw. The schedule is computed for all 16 lanes together in words: w[i] holds word i
 *   of 16 round keys, so a step of FIPS 197 section 5.2 is one shuffle, one AESENCLAST (SubWord)
 *   and four XORs, and a 4x4 transpose brings round keys to where the rounds want them. That is 14
 *   instructions a round instead of 24 for four registers expanded side by side.
 * - The tag key's schedule is stored in the engine's scratch, since every block uses it; the
 *   sealing key's is used once and never stored.
 * - A sealed credential's counter block is complete when block 3 (the salt) is loaded, so its AES
 *   runs beside block 3 of the CMAC.
 * - Lanes of different lengths are aligned on the right: they end together, and a lane that has not
 *   begun keeps the zero state, which is CMAC's initial value. So only last blocks are special, and
 *   they are built once per group.
 * - Sizes, counts and suites are public and branch. Keys, tags, states and plaintext stay in vector
 *   registers and mask registers until the bitmap is returned.
 */

#include <immintrin.h>

#include "crypto/cpu_priv.h"
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
	uint8_t *dsts[LANES];
	uint16_t sizes[LANES];
	struct tag_identity ids[LANES];
};

struct scratch {
	__m512i round_keys[AES_ROUNDS_MAX + 1][QUADS];
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

/* What becomes of bytes [64, 80) while the CMAC goes over them. */
enum identity_mode {
	IDENTITY_COPY,   /* in clear already */
	IDENTITY_UNSEAL, /* after the CMAC has seen them */
};

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
static const uint8_t block_reversed[16] = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
static const uint8_t number_reversed[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12};
/* The serial of block 1 and the salt of block 3 where the counter block wants them; 255: zero. */
static const uint8_t counter_serial[16] = {
	255, 255, 255, 255, 8, 9, 10, 11, 12, 13, 14, 15, 255, 255, 255, 255};
static const uint8_t counter_salt[16] = {
	12, 13, 14, 15, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

/* Round constants (FIPS 197 section 5.2), index 0 is unused. */
static const uint8_t round_constants[11] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36};

/* 0x80 at the index of the first byte past the message, read at 16 - index. */
static const uint8_t padding[32] = {[16] = 0x80};

INLINE __m512i
quad_load(const uint8_t *a, const uint8_t *b, const uint8_t *c, const uint8_t *d)
{
	__m512i x = _mm512_castsi128_si512(_mm_loadu_si128((const void *)a));

	x = _mm512_inserti64x2(x, _mm_loadu_si128((const void *)b), 1);
	x = _mm512_inserti64x2(x, _mm_loadu_si128((const void *)c), 2);
	return _mm512_inserti64x2(x, _mm_loadu_si128((const void *)d), 3);
}

/* The 16 bytes at `offset` of each message. */
INLINE void
lanes_load(__m512i x[QUADS], const uint8_t *const *at, size_t offset)
{
	for (unsigned q = 0; q < QUADS; q++, at += QUAD_LANES)
		x[q] = quad_load(at[0] + offset, at[1] + offset, at[2] + offset, at[3] + offset);
}

/* The 16 bytes at `offset` of each slot. */
INLINE void
slots_load(__m512i x[QUADS], const struct key_slot *const *slots, size_t offset)
{
	for (unsigned q = 0; q < QUADS; q++, slots += QUAD_LANES)
		x[q] = quad_load((const uint8_t *)slots[0] + offset,
			(const uint8_t *)slots[1] + offset, (const uint8_t *)slots[2] + offset,
			(const uint8_t *)slots[3] + offset);
}

/* Bits of four lanes, as the mask of their 64-bit halves. */
INLINE __mmask8
quad_mask(uint32_t lanes, unsigned q)
{
	return (__mmask8)(_pdep_u32(lanes >> (q * QUAD_LANES), 0x55) * 3);
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
		memcpy(key, schedule->raw[half], sizeof(schedule->raw[half]));
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
	for (unsigned q = 0; q < QUADS; q++) {
		if (r == 0)
			s[q] = _mm512_xor_si512(s[q], key[q]);
		else if (r < rounds)
			s[q] = _mm512_aesenc_epi128(s[q], key[q]);
		else
			s[q] = _mm512_aesenclast_epi128(s[q], key[q]);
	}
}

/* One block of CMAC: s becomes AES(s ^ block). */
INLINE void
cmac_absorb(__m512i s[QUADS], const __m512i block[QUADS], __m512i (*const keys)[QUADS],
	const unsigned rounds)
{
	for (unsigned q = 0; q < QUADS; q++)
		s[q] = _mm512_ternarylogic_epi64(s[q], block[q], keys[0][q], XOR3);
#pragma GCC unroll 15
	for (unsigned r = 1; r <= rounds; r++)
		lanes_round(s, keys[r], r, rounds);
}

/* Expands the tag keys into `keys`, and has the first block absorbed by the way. */
INLINE void
cmac_begin(__m512i s[QUADS], __m512i (*keys)[QUADS], const struct key_slot *const *slots,
	const unsigned rounds)
{
	struct schedule schedule;
	__m512i key[QUADS];

	schedule_begin(&schedule, slots, offsetof(struct key_slot, tag_key), rounds);
#pragma GCC unroll 15
	for (unsigned r = 0; r <= rounds; r++) {
		schedule_key(&schedule, r, rounds, key);
		memcpy(keys[r], key, sizeof(key));
		lanes_round(s, key, r, rounds);
	}
	__asm__ volatile("" ::: "memory");
}

/* AES of the counter blocks c under the sealing keys, beside one block of CMAC. */
INLINE void
cmac_absorb_beside_ctr(__m512i s[QUADS], const __m512i block[QUADS], __m512i (*const keys)[QUADS],
	__m512i c[QUADS], const struct key_slot *const *slots, const unsigned rounds)
{
	struct schedule schedule;
	__m512i key[QUADS];

	schedule_begin(&schedule, slots, offsetof(struct key_slot, seal_key), rounds);
	for (unsigned q = 0; q < QUADS; q++)
		s[q] = _mm512_xor_si512(s[q], block[q]);
#pragma GCC unroll 15
	for (unsigned r = 0; r <= rounds; r++) {
		schedule_key(&schedule, r, rounds, key);
		lanes_round(s, keys[r], r, rounds);
		lanes_round(c, key, r, rounds);
	}
}

INLINE void
counters_build(__m512i c[QUADS], const __m512i block1[QUADS], const __m512i block3[QUADS])
{
	for (unsigned q = 0; q < QUADS; q++)
		c[q] = _mm512_or_si512(_mm512_shuffle_epi8(block1[q], lanes_of(counter_serial)),
			_mm512_shuffle_epi8(block3[q], lanes_of(counter_salt)));
}

/*
 * CMAC of sixteen messages of the same whole number of blocks, at least five. Leaves the tags in s
 * and the identities in `identity`, in clear.
 */
INLINE void
cmac_whole(__m512i (*keys)[QUADS], const struct key_slot *const *slots, const uint8_t *const *msgs,
	unsigned blocks, const unsigned rounds, const enum identity_mode mode, __m512i s[QUADS],
	__m512i identity[QUADS])
{
	__m512i block[QUADS], serials[QUADS], c[QUADS], k1[QUADS];
	unsigned b;

	lanes_load(s, msgs, 0);
	cmac_begin(s, keys, slots, rounds);
	lanes_load(serials, msgs, 1 * AES_BLOCK_SIZE);
	cmac_absorb(s, serials, keys, rounds);
	lanes_load(block, msgs, 2 * AES_BLOCK_SIZE);
	cmac_absorb(s, block, keys, rounds);
	lanes_load(block, msgs, 3 * AES_BLOCK_SIZE);
	if (mode == IDENTITY_COPY) {
		cmac_absorb(s, block, keys, rounds);
	} else {
		counters_build(c, serials, block);
		cmac_absorb_beside_ctr(s, block, keys, c, slots, rounds);
	}

	lanes_load(block, msgs, 4 * AES_BLOCK_SIZE);
	for (unsigned q = 0; q < QUADS; q++)
		identity[q] = mode == IDENTITY_COPY ? block[q] : _mm512_xor_si512(block[q], c[q]);
	for (b = 5; b < blocks; b++) {
		cmac_absorb(s, block, keys, rounds);
		lanes_load(block, msgs, b * AES_BLOCK_SIZE);
	}
	slots_load(k1, slots, offsetof(struct key_slot, k1));
	for (unsigned q = 0; q < QUADS; q++)
		block[q] = _mm512_xor_si512(block[q], k1[q]);
	cmac_absorb(s, block, keys, rounds);
}

/* AES of counter blocks under the sealing keys, whose schedule is not kept. */
INLINE void
stream_once(__m512i c[QUADS], const struct key_slot *const *slots, const unsigned rounds)
{
	struct schedule schedule;
	__m512i key[QUADS];

	schedule_begin(&schedule, slots, offsetof(struct key_slot, seal_key), rounds);
#pragma GCC unroll 15
	for (unsigned r = 0; r <= rounds; r++) {
		schedule_key(&schedule, r, rounds, key);
		lanes_round(c, key, r, rounds);
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

/* Doubling in GF(2^128), each lane; the carry is folded back as a mask. */
INLINE __m512i
lanes_double(__m512i x)
{
	const __m512i reversed = _mm512_shuffle_epi8(x, lanes_of(block_reversed));
	const __m512i carries = _mm512_shuffle_epi32(_mm512_srli_epi64(reversed, 63), 0x4e);
	const __m512i fold = _mm512_maskz_mullo_epi64(0x55, carries, _mm512_set1_epi64(0x87));
	const __m512i up = _mm512_maskz_mov_epi64(0xaa, carries);
	const __m512i sum =
		_mm512_ternarylogic_epi64(_mm512_slli_epi64(reversed, 1), fold, up, XOR3);

	return _mm512_shuffle_epi8(sum, lanes_of(block_reversed));
}

/* The last block of a message, padded if it is not whole (RFC 4493 section 2.4). */
INLINE __m128i
last_block(const uint8_t *msg, unsigned size, unsigned blocks)
{
	const unsigned at = (blocks - 1) * AES_BLOCK_SIZE;
	const unsigned left = size - at;
	const __m128i bytes =
		_mm_maskz_loadu_epi8((__mmask16)((1u << left) - 1), (const void *)(msg + at));

	return _mm_or_si128(bytes, _mm_loadu_si128((const void *)(padding + 16 - left)));
}

INLINE __m512i
quad_join(const __m128i x[QUAD_LANES])
{
	__m512i y = _mm512_castsi128_si512(x[0]);

	y = _mm512_inserti64x2(y, x[1], 1);
	y = _mm512_inserti64x2(y, x[2], 2);
	return _mm512_inserti64x2(y, x[3], 3);
}

/* Where mixed lanes stand: all end with block `blocks` - 1. */
struct mixed {
	unsigned blocks;      /* of the longest */
	unsigned begun;       /* from this block on all lanes have begun */
	unsigned skip[LANES]; /* blocks a lane waits */
	uint32_t partial;     /* bitmap: the last block is not whole */
	__m512i last[QUADS];  /* last blocks, padded, subkey added */
};

INLINE void
mixed_last(struct mixed *mixed, const struct key_slot *const *slots, const uint8_t *const *msgs,
	const uint16_t *sizes)
{
	__m512i k1[QUADS];

	slots_load(k1, slots, offsetof(struct key_slot, k1));
	for (unsigned q = 0; q < QUADS; q++) {
		__m128i blocks[QUAD_LANES];
		__m512i subkey;

		for (unsigned i = 0; i < QUAD_LANES; i++) {
			const unsigned l = q * QUAD_LANES + i;

			blocks[i] = last_block(msgs[l], sizes[l], tag_block_count(sizes[l]));
		}
		subkey = _mm512_mask_mov_epi64(
			k1[q], quad_mask(mixed->partial, q), lanes_double(k1[q]));
		mixed->last[q] = _mm512_xor_si512(quad_join(blocks), subkey);
	}
}

static inline void
mixed_plan(struct mixed *mixed, const uint16_t *sizes)
{
	mixed->blocks = 0;
	mixed->begun = 0;
	mixed->partial = 0;
	for (unsigned l = 0; l < LANES; l++) {
		const unsigned blocks = tag_block_count(sizes[l]);

		if (blocks > mixed->blocks)
			mixed->blocks = blocks;
		mixed->partial |= (uint32_t)(blocks * AES_BLOCK_SIZE != sizes[l]) << l;
	}
	for (unsigned l = 0; l < LANES; l++) {
		mixed->skip[l] = mixed->blocks - tag_block_count(sizes[l]);
		if (mixed->skip[l] > mixed->begun)
			mixed->begun = mixed->skip[l];
	}
	if (mixed->begun > mixed->blocks - 1)
		mixed->begun = mixed->blocks - 1;
}

/* Where each lane's block b is, for lanes that have begun, and which have. */
static inline uint32_t
mixed_blocks(
	const struct mixed *mixed, const uint8_t *const *msgs, unsigned b, const uint8_t *at[LANES])
{
	uint32_t begun = 0;

	for (unsigned l = 0; l < LANES; l++) {
		const bool is_begun = b >= mixed->skip[l];

		begun |= (uint32_t)is_begun << l;
		at[l] = msgs[l] + (is_begun ? (size_t)(b - mixed->skip[l]) * AES_BLOCK_SIZE : 0);
	}
	return begun;
}

/* CMAC of sixteen messages of any lengths. */
INLINE void
cmac_mixed(__m512i (*keys)[QUADS], const struct key_slot *const *slots, const uint8_t *const *msgs,
	const uint16_t *sizes, const unsigned rounds, __m512i s[QUADS])
{
	const uint8_t *at[LANES];
	struct mixed mixed;
	__m512i block[QUADS];
	unsigned b;

	mixed_plan(&mixed, sizes);
	mixed_last(&mixed, slots, msgs, sizes);
	keys_expand(keys, slots, offsetof(struct key_slot, tag_key), rounds);
	for (unsigned q = 0; q < QUADS; q++)
		s[q] = _mm512_setzero_si512();
	for (b = 0; b < mixed.blocks - 1; b++) {
		const uint32_t begun = mixed_blocks(&mixed, msgs, b, at);

		lanes_load(block, at, 0);
		cmac_absorb(s, block, keys, rounds);
		for (unsigned q = 0; b < mixed.begun && q < QUADS; q++)
			s[q] = _mm512_maskz_mov_epi64(quad_mask(begun, q), s[q]);
	}
	cmac_absorb(s, mixed.last, keys, rounds);
}

/* Bytes [64, 80) of mixed messages in clear. */
INLINE void
identity_mixed(const struct key_slot *const *slots, const uint8_t *const *msgs,
	const unsigned rounds, const enum identity_mode mode, __m512i identity[QUADS])
{
	__m512i serials[QUADS], salts[QUADS], c[QUADS];

	lanes_load(identity, msgs, CRED_SEALED_FIRST);
	if (mode == IDENTITY_COPY)
		return;
	lanes_load(serials, msgs, 1 * AES_BLOCK_SIZE);
	lanes_load(salts, msgs, 3 * AES_BLOCK_SIZE);
	counters_build(c, serials, salts);
	stream_once(c, slots, rounds);
	for (unsigned q = 0; q < QUADS; q++)
		identity[q] = _mm512_xor_si512(identity[q], c[q]);
}

/* Bitmap of the lanes whose tag is right; identities of the others become zero. */
INLINE uint32_t
lanes_judge(const __m512i s[QUADS], const uint8_t *const *msgs, const uint16_t *sizes,
	const __m512i identity[QUADS], struct tag_identity *ids)
{
	uint32_t proved = 0;

	for (unsigned q = 0; q < QUADS; q++) {
		const unsigned l = q * QUAD_LANES;
		const __m512i tags = quad_load(msgs[l] + sizes[l], msgs[l + 1] + sizes[l + 1],
			msgs[l + 2] + sizes[l + 2], msgs[l + 3] + sizes[l + 3]);
		const uint32_t halves = _mm512_cmpeq_epi64_mask(s[q], tags);
		const uint32_t lanes = _pext_u32(halves & halves >> 1, 0x55);

		_mm512_storeu_si512(
			&ids[l], _mm512_maskz_mov_epi64(quad_mask(lanes, 0), identity[q]));
		proved |= lanes << l;
	}
	return proved;
}

/* One function per suite and shape, so that the rounds and the mode are constants inside. */
#define VERIFY_WHOLE(name, rounds, mode)                                                        \
	static __attribute__((noinline)) uint32_t name(struct scratch *scratch,                 \
		const struct key_slot *const *slots, const uint8_t *const *msgs,                \
		const uint16_t *sizes, struct tag_identity *ids)                                \
	{                                                                                       \
		__m512i s[QUADS], identity[QUADS];                                              \
                                                                                                \
		cmac_whole(scratch->round_keys, slots, msgs, sizes[0] / AES_BLOCK_SIZE, rounds, \
			mode, s, identity);                                                     \
		return lanes_judge(s, msgs, sizes, identity, ids);                              \
	}

#define VERIFY_MIXED(name, rounds, mode)                                         \
	static __attribute__((noinline)) uint32_t name(struct scratch *scratch,  \
		const struct key_slot *const *slots, const uint8_t *const *msgs, \
		const uint16_t *sizes, struct tag_identity *ids)                 \
	{                                                                        \
		__m512i s[QUADS], identity[QUADS];                               \
                                                                                 \
		cmac_mixed(scratch->round_keys, slots, msgs, sizes, rounds, s);  \
		identity_mixed(slots, msgs, rounds, mode, identity);             \
		return lanes_judge(s, msgs, sizes, identity, ids);               \
	}

VERIFY_WHOLE(verify_whole_cmac128, 10, IDENTITY_COPY)
VERIFY_WHOLE(verify_whole_cmac256, 14, IDENTITY_COPY)
VERIFY_WHOLE(verify_whole_sealed128, 10, IDENTITY_UNSEAL)
VERIFY_WHOLE(verify_whole_sealed256, 14, IDENTITY_UNSEAL)
VERIFY_MIXED(verify_mixed_cmac128, 10, IDENTITY_COPY)
VERIFY_MIXED(verify_mixed_cmac256, 14, IDENTITY_COPY)
VERIFY_MIXED(verify_mixed_sealed128, 10, IDENTITY_UNSEAL)
VERIFY_MIXED(verify_mixed_sealed256, 14, IDENTITY_UNSEAL)

typedef uint32_t verify_lanes_t(struct scratch *scratch, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, struct tag_identity *ids);

static verify_lanes_t *const verify_whole[CRED_SUITE_COUNT] = {NULL, verify_whole_cmac128,
	verify_whole_cmac256, verify_whole_sealed128, verify_whole_sealed256};
static verify_lanes_t *const verify_mixed[CRED_SUITE_COUNT] = {NULL, verify_mixed_cmac128,
	verify_mixed_cmac256, verify_mixed_sealed128, verify_mixed_sealed256};

/* The one size of all, if it is whole blocks and a credential's; else 0. */
static uint16_t
batch_whole_size(const uint16_t *sizes, unsigned count)
{
	unsigned i, differences = sizes[0] % AES_BLOCK_SIZE;

	for (i = 1; i < count; i++)
		differences |= sizes[i] ^ sizes[0];
	return differences == 0 && sizes[0] >= CRED_HEADER_SIZE ? sizes[0] : 0;
}

/* Numbers of the inputs, those of fewer blocks first: lanes of one length waste nothing. */
static void
batch_order(uint8_t order[TAG_BATCH_MAX], const uint16_t *sizes, unsigned count)
{
	uint8_t places[TAG_BLOCKS_MAX + 2] = {0};
	unsigned i;

	for (i = 0; i < count; i++)
		places[tag_block_count(sizes[i]) + 1]++;
	for (i = 1; i < TAG_BLOCKS_MAX + 2; i++)
		places[i] += places[i - 1];
	for (i = 0; i < count; i++)
		order[places[tag_block_count(sizes[i])]++] = (uint8_t)i;
}

/* Fills lanes [from, LANES) with dummies of the size of the lane before. */
static void
group_pad(struct scratch *scratch, unsigned from)
{
	struct group *group = &scratch->group;
	unsigned l;

	for (l = from; l < LANES; l++) {
		group->slots[l] = &scratch->dummy_slot;
		group->srcs[l] = scratch->dummy_msg;
		group->dsts[l] = scratch->dummy_msg;
		group->sizes[l] = group->sizes[from - 1];
	}
}

/* A group that is not sixteen inputs in a row: gathered, and its results scattered again. */
static uint64_t
verify_gathered(struct scratch *scratch, verify_lanes_t *verify, const uint8_t *order,
	const struct key_slot *const *slots, const uint8_t *const *msgs, const uint16_t *sizes,
	struct tag_identity *ids, unsigned count)
{
	struct group *group = &scratch->group;
	uint64_t proved = 0;
	uint32_t lanes;
	unsigned l;

	for (l = 0; l < count; l++) {
		group->slots[l] = slots[order[l]];
		group->srcs[l] = msgs[order[l]];
		group->sizes[l] = sizes[order[l]];
	}
	group_pad(scratch, count);
	lanes = verify(scratch, group->slots, group->srcs, group->sizes, group->ids);
	for (l = 0; l < count; l++) {
		ids[order[l]] = group->ids[l];
		proved |= (uint64_t)(lanes >> l & 1) << order[l];
	}
	return proved;
}

static uint64_t
vaes512_verify(void *context, uint8_t suite, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, struct tag_identity *ids, unsigned count)
{
	struct scratch *scratch = context;
	const bool is_whole = batch_whole_size(sizes, count) != 0;
	verify_lanes_t *verify = is_whole ? verify_whole[suite] : verify_mixed[suite];
	uint8_t order[TAG_BATCH_MAX];
	uint64_t proved = 0;
	unsigned i = 0;

	if (is_whole) {
		for (; i + LANES <= count; i += LANES)
			proved |= (uint64_t)verify(scratch, slots + i, msgs + i, sizes + i, ids + i)
				  << i;
		if (i == count)
			return proved;
	}
	batch_order(order, sizes, count);
	for (; i < count; i += LANES) {
		const unsigned lanes = count - i < LANES ? count - i : LANES;

		proved |=
			verify_gathered(scratch, verify, order + i, slots, msgs, sizes, ids, lanes);
	}
	return proved;
}

/* 16 bytes of `left` (1 ... 16) at src, XORed with the key stream, to dst. */
INLINE void
lane_xor(const uint8_t *src, uint8_t *dst, unsigned left, __m128i stream)
{
	const __mmask16 mask = (__mmask16)((1u << left) - 1);
	const __m128i bytes = _mm_maskz_loadu_epi8(mask, (const void *)src);

	_mm_mask_storeu_epi8((void *)dst, mask, _mm_xor_si128(bytes, stream));
}

/* Block b of every lane that has one. */
INLINE void
lanes_xor(const struct group *group, unsigned b, const __m512i stream[QUADS])
{
	const unsigned at = b * AES_BLOCK_SIZE;
	__m128i parts[LANES];

	memcpy(parts, stream, sizeof(parts));
	for (unsigned l = 0; l < LANES; l++) {
		const unsigned size = group->sizes[l];

		if (at < size)
			lane_xor(group->srcs[l] + at, group->dsts[l] + at,
				size - at < AES_BLOCK_SIZE ? size - at : AES_BLOCK_SIZE, parts[l]);
	}
}

/* The key stream's numbers count up, big-endian, in word 3 of each lane. */
INLINE void
counters_advance(__m512i c[QUADS], const __m512i start[QUADS], unsigned b)
{
	const __m512i step = _mm512_maskz_set1_epi32(0x8888, (int)b);

	for (unsigned q = 0; q < QUADS; q++) {
		const __m512i number = _mm512_shuffle_epi8(start[q], lanes_of(number_reversed));

		c[q] = _mm512_shuffle_epi8(
			_mm512_add_epi32(number, step), lanes_of(number_reversed));
	}
}

/* AES-CTR over the group's lanes from the counter blocks `start`, at most `blocks` each. */
INLINE void
ctr_lanes(struct scratch *scratch, const uint8_t *const start[LANES], unsigned blocks,
	const unsigned rounds)
{
	const struct group *group = &scratch->group;
	__m512i first[QUADS], c[QUADS];
	unsigned b;

	lanes_load(first, start, 0);
	keys_expand(scratch->round_keys, group->slots, offsetof(struct key_slot, seal_key), rounds);
	for (b = 0; b < blocks; b++) {
		counters_advance(c, first, b);
#pragma GCC unroll 15
		for (unsigned r = 0; r <= rounds; r++)
			lanes_round(c, scratch->round_keys[r], r, rounds);
		lanes_xor(group, b, c);
	}
}

static __attribute__((noinline)) void
ctr_lanes_128(struct scratch *scratch, const uint8_t *const start[LANES], unsigned blocks)
{
	ctr_lanes(scratch, start, blocks, 10);
}

static __attribute__((noinline)) void
ctr_lanes_256(struct scratch *scratch, const uint8_t *const start[LANES], unsigned blocks)
{
	ctr_lanes(scratch, start, blocks, 14);
}

/*
 * A message is cut into pieces of one key each, one a lane: a burst of short payloads fills the
 * lanes with messages, a single long one with its own blocks.
 */
struct ctr_pieces {
	unsigned count; /* lanes in use */
	unsigned blocks;
	struct tag_counter counters[LANES];
};

static void
pieces_flush(struct scratch *scratch, uint8_t suite, struct ctr_pieces *pieces)
{
	const uint8_t *start[LANES];
	unsigned l;

	if (pieces->count == 0)
		return;
	for (l = 0; l < LANES; l++)
		start[l] = pieces->counters[l].bytes;
	for (l = pieces->count; l < LANES; l++) {
		scratch->group.slots[l] = &scratch->dummy_slot;
		scratch->group.sizes[l] = 0;
	}
	if (tag_suite_rounds(suite) == 10)
		ctr_lanes_128(scratch, start, pieces->blocks);
	else
		ctr_lanes_256(scratch, start, pieces->blocks);
	pieces->count = 0;
	pieces->blocks = 0;
}

static void
pieces_add(struct scratch *scratch, uint8_t suite, struct ctr_pieces *pieces,
	const struct key_slot *slot, const struct tag_counter *counter, unsigned number,
	const uint8_t *src, uint8_t *dst, unsigned size)
{
	struct group *group = &scratch->group;
	const unsigned l = pieces->count++;
	const unsigned blocks = tag_block_count(size);

	group->slots[l] = slot;
	group->srcs[l] = src;
	group->dsts[l] = dst;
	group->sizes[l] = (uint16_t)size;
	pieces->counters[l] = *counter;
	store_be32(pieces->counters[l].bytes + 12, load_be32(counter->bytes + 12) + number);
	if (blocks > pieces->blocks)
		pieces->blocks = blocks;
	if (pieces->count == LANES)
		pieces_flush(scratch, suite, pieces);
}

/* Blocks to a piece: as few as fill all lanes. */
static unsigned
piece_blocks(const uint16_t *sizes, unsigned count)
{
	unsigned i, blocks = 0;

	for (i = 0; i < count; i++)
		blocks += tag_block_count(sizes[i]);
	return (blocks + LANES - 1) / LANES;
}

static void
vaes512_ctr(void *context, uint8_t suite, const struct key_slot *const *slots,
	const struct tag_counter *counters, const uint8_t *const *srcs, uint8_t *const *dsts,
	const uint16_t *sizes, unsigned count)
{
	struct scratch *scratch = context;
	const unsigned blocks = piece_blocks(sizes, count);
	struct ctr_pieces pieces = {0};
	unsigned i, b;

	for (i = 0; i < count; i++) {
		for (b = 0; b * AES_BLOCK_SIZE < sizes[i]; b += blocks) {
			const unsigned at = b * AES_BLOCK_SIZE;
			const unsigned left = sizes[i] - at;
			const unsigned most = blocks * AES_BLOCK_SIZE;

			pieces_add(scratch, suite, &pieces, slots[i], &counters[i], b, srcs[i] + at,
				dsts[i] + at, left < most ? left : most);
		}
	}
	pieces_flush(scratch, suite, &pieces);
}

/* Tags of up to sixteen messages, written behind them. */
static void
tag_gathered(struct scratch *scratch, uint8_t suite, const uint8_t *order,
	const struct key_slot *const *slots, uint8_t *const *msgs, const uint16_t *sizes,
	unsigned count)
{
	struct group *group = &scratch->group;
	__m128i tags[LANES];
	__m512i s[QUADS];
	unsigned l;

	for (l = 0; l < count; l++) {
		group->slots[l] = slots[order[l]];
		group->srcs[l] = msgs[order[l]];
		group->sizes[l] = sizes[order[l]];
	}
	group_pad(scratch, count);
	if (tag_suite_rounds(suite) == 10)
		cmac_mixed(scratch->round_keys, group->slots, group->srcs, group->sizes, 10, s);
	else
		cmac_mixed(scratch->round_keys, group->slots, group->srcs, group->sizes, 14, s);
	memcpy(tags, s, sizeof(tags));
	for (l = 0; l < count; l++)
		_mm_storeu_si128((void *)(msgs[order[l]] + sizes[order[l]]), tags[l]);
}

static void
batch_seal_bytes(struct scratch *scratch, uint8_t suite, const struct key_slot *const *slots,
	uint8_t *const *msgs, const uint16_t *sizes, unsigned count)
{
	struct tag_counter counters[TAG_BATCH_MAX];
	uint8_t *sealed[TAG_BATCH_MAX];
	uint16_t sealed_sizes[TAG_BATCH_MAX];
	unsigned i;

	for (i = 0; i < count; i++) {
		tag_counter_of(&counters[i], msgs[i]);
		sealed[i] = msgs[i] + CRED_SEALED_FIRST;
		sealed_sizes[i] = sizes[i] - CRED_SEALED_FIRST;
	}
	vaes512_ctr(scratch, suite, slots, counters, (const uint8_t *const *)sealed, sealed,
		sealed_sizes, count);
}

static void
vaes512_seal(void *context, uint8_t suite, const struct key_slot *const *slots,
	uint8_t *const *msgs, const uint16_t *sizes, unsigned count)
{
	struct scratch *scratch = context;
	uint8_t order[TAG_BATCH_MAX];
	unsigned i;

	if (cred_suite_is_sealed(suite))
		batch_seal_bytes(scratch, suite, slots, msgs, sizes, count);
	batch_order(order, sizes, count);
	for (i = 0; i < count; i += LANES)
		tag_gathered(scratch, suite, order + i, slots, msgs, sizes,
			count - i < LANES ? count - i : LANES);
}

static int
vaes512_init(void *scratch)
{
	(void)scratch;
	return 0;
}

/* All there is to wipe lies in the scratch. */
static void
vaes512_fini(void *scratch)
{
	(void)scratch;
}

const struct tag_kernel tag_kernel_vaes512 = {
	.id = TAG_KERNEL_VAES512,
	.name = "vaes512",
	.is_supported = cpu_has_vaes512,
	.scratch_size = sizeof(struct scratch),
	.scratch_init = vaes512_init,
	.scratch_fini = vaes512_fini,
	.verify = vaes512_verify,
	.seal = vaes512_seal,
	.ctr = vaes512_ctr,
};

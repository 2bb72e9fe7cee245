/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The fastest kernel: AES-CMAC of sixteen messages at once (crypto/tag_vaes512_priv.h).
 *
 * Implementation notes
 *
 * - The tag keys are expanded while the first block is absorbed; both are chains of waits, and
 *   fill each other's.
 * - A sealed credential's counter block needs blocks 1 (the serial) and 3 (the salt) only, so its
 *   AES and its key's expansion run beside blocks 2 and 3 of the CMAC. Sealing has block 4 in clear,
 *   seals it and goes on with it: there is a CTR pass for payloads only.
 * - States, and as many round keys as fit, stay in registers from block to block. Whole sets are
 *   copied by lanes_copy and loops over `q` are unrolled by order, because memcpy or a loop that is
 *   unrolled late leaves an array in memory, and a chain of AES then waits for every store.
 * - Lanes of different lengths are aligned on the right: they end together, and a lane that has not
 *   begun keeps the zero state, which is CMAC's initial value. So only last blocks are special, and
 *   they are built once per group.
 * - A batch whose block counts differ is ordered by them first, so that few groups are mixed.
 */

#include "crypto/cpu_priv.h"
#include "crypto/tag_vaes512_priv.h"

static const uint8_t block_reversed[16] = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};
/* The serial of block 1 and the salt of block 3 where the counter block wants them; 255: zero. */
static const uint8_t counter_serial[16] = {
	255, 255, 255, 255, 8, 9, 10, 11, 12, 13, 14, 15, 255, 255, 255, 255};
static const uint8_t counter_salt[16] = {
	12, 13, 14, 15, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};

/* 0x80 at the index of the first byte past the message, read at 16 - index. */
static const uint8_t padding[32] = {[16] = 0x80};

/* Numbers of a batch's inputs in the order they came in. */
static const uint8_t inputs_in_order[TAG_BATCH_MAX] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
	14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36,
	37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59,
	60, 61, 62, 63};

/* What becomes of bytes [64, 80) while the CMAC goes over them. */
enum identity_mode {
	IDENTITY_COPY,   /* in clear already */
	IDENTITY_UNSEAL, /* after the CMAC has seen them */
	IDENTITY_SEAL,   /* before, and stored in place */
};

/* Bits of four lanes, as the mask of their 64-bit halves. */
INLINE __mmask8
quad_mask(uint32_t lanes, unsigned q)
{
	return (__mmask8)(_pdep_u32(lanes >> (q * QUAD_LANES), 0x55) * 3);
}

/*
 * Keys of the first rounds are held in registers from block to block, as many as there are
 * registers for: if all came from the scratch, loading them would take longer than AES does.
 */
#define HELD_ROUNDS 4u

/* What is in the scratch is used from there: the compiler would copy it to the stack first. */
INLINE void
keys_settle(__m512i (*keys)[QUADS])
{
	__asm__("" : "+m"(*(__m512i(*)[AES_ROUNDS_MAX + 1][QUADS]) keys));
}

INLINE void
keys_hold(__m512i held[HELD_ROUNDS][QUADS], __m512i (*keys)[QUADS])
{
	keys_settle(keys);
#pragma GCC unroll 4
	for (unsigned r = 0; r < HELD_ROUNDS; r++)
#pragma GCC unroll 4
		for (unsigned q = 0; q < QUADS; q++)
			held[r][q] = keys[r][q];
}

/* One block of CMAC: s becomes AES(s ^ block). */
INLINE void
cmac_absorb(__m512i s[QUADS], const __m512i block[QUADS], __m512i held[HELD_ROUNDS][QUADS],
	__m512i (*const keys)[QUADS], const unsigned rounds)
{
	keys_settle(keys);
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++)
		s[q] = _mm512_ternarylogic_epi64(s[q], block[q], held[0][q], XOR3);
#pragma GCC unroll 15
	for (unsigned r = 1; r <= rounds; r++)
		lanes_round(s, r < HELD_ROUNDS ? held[r] : keys[r], r, rounds);
}

/* Expands the tag keys into `keys`, and has the first block absorbed by the way. */
INLINE void
cmac_begin(__m512i s[QUADS], __m512i held[HELD_ROUNDS][QUADS], __m512i (*keys)[QUADS],
	const struct key_slot *const *slots, const unsigned rounds)
{
	struct schedule schedule;
	__m512i key[QUADS];

	schedule_begin(&schedule, slots, offsetof(struct key_slot, tag_key), rounds);
#pragma GCC unroll 15
	for (unsigned r = 0; r <= rounds; r++) {
		schedule_key(&schedule, r, rounds, key);
		lanes_copy(keys[r], key);
		if (r < HELD_ROUNDS)
			lanes_copy(held[r], key);
		lanes_round(s, key, r, rounds);
	}
}

/* AES of the first counter blocks under the sealing keys, on its way. */
struct stream {
	struct schedule schedule;
	__m512i c[QUADS];
};

INLINE void
counters_build(__m512i c[QUADS], const __m512i block1[QUADS], const __m512i block3[QUADS])
{
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++)
		c[q] = _mm512_or_si512(_mm512_shuffle_epi8(block1[q], lanes_of(counter_serial)),
			_mm512_shuffle_epi8(block3[q], lanes_of(counter_salt)));
}

INLINE void
stream_round(struct stream *stream, const unsigned r, const unsigned rounds)
{
	__m512i key[QUADS];

	schedule_key(&stream->schedule, r, rounds, key);
	lanes_round(stream->c, key, r, rounds);
}

/* One block of CMAC, and beside it half of the stream: the one from `step` 0 or `rounds` on. */
INLINE void
cmac_absorb_beside(__m512i s[QUADS], const __m512i block[QUADS], __m512i (*const keys)[QUADS],
	struct stream *stream, const unsigned step, const unsigned rounds)
{
	keys_settle(keys);
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++)
		s[q] = _mm512_ternarylogic_epi64(s[q], block[q], keys[0][q], XOR3);
#pragma GCC unroll 15
	for (unsigned r = 1; r <= rounds; r++) {
		if (r % 2 == 1)
			stream_round(stream, (step + r) / 2, rounds);
		lanes_round(s, keys[r], r, rounds);
	}
	if (step == rounds)
		stream_round(stream, rounds, rounds);
}

/* The first four blocks, and unless all is in clear, the stream of the fifth. */
INLINE void
cmac_head(__m512i s[QUADS], struct stream *stream, __m512i held[HELD_ROUNDS][QUADS],
	__m512i (*const keys)[QUADS], const struct key_slot *const *slots,
	const uint8_t *const *msgs, const unsigned rounds, const enum identity_mode mode)
{
	__m512i serials[QUADS], block[QUADS], salts[QUADS];

	lanes_load(s, msgs, 0 * AES_BLOCK_SIZE);
	cmac_begin(s, held, keys, slots, rounds);
	lanes_load(serials, msgs, 1 * AES_BLOCK_SIZE);
	cmac_absorb(s, serials, held, keys, rounds);
	if (mode == IDENTITY_COPY) {
		lanes_load(block, msgs, 2 * AES_BLOCK_SIZE);
		cmac_absorb(s, block, held, keys, rounds);
		lanes_load(block, msgs, 3 * AES_BLOCK_SIZE);
		cmac_absorb(s, block, held, keys, rounds);
		return;
	}
	lanes_load(salts, msgs, 3 * AES_BLOCK_SIZE);
	counters_build(stream->c, serials, salts);
	schedule_begin(&stream->schedule, slots, offsetof(struct key_slot, seal_key), rounds);
	lanes_load(block, msgs, 2 * AES_BLOCK_SIZE);
	cmac_absorb_beside(s, block, keys, stream, 0, rounds);
	cmac_absorb_beside(s, salts, keys, stream, rounds, rounds);
	keys_hold(held, keys);
}

/* Sixteen messages of the same whole number of blocks, at least five. */
INLINE void
cmac_whole(struct scratch *scratch, const struct key_slot *const *slots, const uint8_t *const *msgs,
	uint8_t *const *sealed, unsigned blocks, const unsigned rounds,
	const enum identity_mode mode)
{
	__m512i(*const keys)[QUADS] = scratch->round_keys;
	__m512i s[QUADS], block[QUADS], k1[QUADS], held[HELD_ROUNDS][QUADS];
	struct stream stream;

	cmac_head(s, &stream, held, keys, slots, msgs, rounds, mode);
	lanes_load(block, msgs, 4 * AES_BLOCK_SIZE);
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++) {
		const __m512i other =
			mode == IDENTITY_COPY ? block[q] : _mm512_xor_si512(block[q], stream.c[q]);

		if (mode == IDENTITY_SEAL)
			block[q] = other;
		else
			scratch->identities[q] = other;
	}
	if (mode == IDENTITY_SEAL)
		lanes_store(block, sealed, 4 * AES_BLOCK_SIZE);
	for (unsigned b = 5; b < blocks; b++) {
		cmac_absorb(s, block, held, keys, rounds);
		lanes_load(block, msgs, b * AES_BLOCK_SIZE);
	}
	slots_load(k1, slots, offsetof(struct key_slot, k1));
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++)
		block[q] = _mm512_xor_si512(block[q], k1[q]);
	cmac_absorb(s, block, held, keys, rounds);
	lanes_copy(scratch->tags, s);
}

/* Expands the tag keys into `keys`, and meanwhile AES of the counter blocks c, sealing keys. */
INLINE void
keys_expand_beside_ctr(__m512i (*keys)[QUADS], __m512i c[QUADS],
	const struct key_slot *const *slots, const unsigned rounds)
{
	struct schedule tag, seal;
	__m512i key[QUADS];

	schedule_begin(&tag, slots, offsetof(struct key_slot, tag_key), rounds);
	schedule_begin(&seal, slots, offsetof(struct key_slot, seal_key), rounds);
#pragma GCC unroll 15
	for (unsigned r = 0; r <= rounds; r++) {
		schedule_key(&tag, r, rounds, keys[r]);
		schedule_key(&seal, r, rounds, key);
		lanes_round(c, key, r, rounds);
	}
}

/*
 * Doubling in GF(2^128), each lane: a carry out of the low half goes up, one out of the high half
 * comes back as 0x87; both by multiplication, not by choice.
 */
INLINE __m512i
lanes_double(__m512i x)
{
	const __m512i reversed = _mm512_shuffle_epi8(x, lanes_of(block_reversed));
	const __m512i carries = _mm512_shuffle_epi32(_mm512_srli_epi64(reversed, 63), 0x4e);
	const __m512i fold =
		_mm512_mul_epu32(carries, _mm512_broadcast_i32x4(_mm_set_epi64x(1, 0x87)));
	const __m512i sum = _mm512_xor_si512(_mm512_slli_epi64(reversed, 1), fold);

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
	unsigned blocks;   /* of the longest */
	unsigned begun;    /* from this block on all lanes have begun */
	__m512i counts;    /* of blocks, 32 bits a lane */
	__m512i waits;     /* blocks until a lane begins, likewise */
	__mmask16 partial; /* lanes whose last block is not whole */
};

INLINE void
mixed_plan(struct mixed *mixed, const uint16_t *sizes)
{
	const __m512i bytes = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)sizes));
	const __m512i up = _mm512_add_epi32(bytes, _mm512_set1_epi32(AES_BLOCK_SIZE - 1));

	/* An empty message is one padded block. */
	mixed->counts = _mm512_max_epi32(_mm512_srli_epi32(up, 4), _mm512_set1_epi32(1));
	mixed->blocks = _mm512_reduce_max_epu32(mixed->counts);
	mixed->begun = mixed->blocks - _mm512_reduce_min_epu32(mixed->counts);
	mixed->waits = _mm512_sub_epi32(_mm512_set1_epi32((int)mixed->blocks), mixed->counts);
	mixed->partial = _mm512_cmpneq_epi32_mask(_mm512_slli_epi32(mixed->counts, 4), bytes);
}

/* Last blocks, padded, with K1 or K2 added. */
INLINE void
mixed_last(const struct mixed *mixed, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, __m512i last[QUADS])
{
	slots_load(last, slots, offsetof(struct key_slot, k1));
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++) {
		__m128i blocks[QUAD_LANES];

		for (unsigned i = 0; i < QUAD_LANES; i++) {
			const unsigned l = q * QUAD_LANES + i;

			blocks[i] = last_block(msgs[l], sizes[l], tag_block_count(sizes[l]));
		}
		last[q] = _mm512_mask_mov_epi64(
			last[q], quad_mask(mixed->partial, q), lanes_double(last[q]));
		last[q] = _mm512_xor_si512(last[q], quad_join(blocks));
	}
}

/* Offsets of the blocks that step b absorbs; lanes that have not begun stay at their first. */
INLINE void
mixed_offsets(const struct mixed *mixed, unsigned b, uint32_t offsets[LANES])
{
	const __m512i steps = _mm512_sub_epi32(_mm512_set1_epi32((int)b), mixed->waits);

	_mm512_storeu_si512(
		offsets, _mm512_slli_epi32(_mm512_max_epi32(steps, _mm512_setzero_si512()), 4));
}

/* All blocks but the last, from the zero state. */
INLINE void
mixed_absorb(const struct mixed *mixed, const uint8_t *const *msgs,
	__m512i held[HELD_ROUNDS][QUADS], __m512i (*const keys)[QUADS], const unsigned rounds,
	__m512i s[QUADS])
{
	alignas(64) uint32_t offsets[LANES];
	const uint8_t *at[LANES];
	__m512i block[QUADS];
	unsigned b;

	for (b = 0; b < mixed->begun; b++) {
		const __mmask16 begun =
			_mm512_cmple_epu32_mask(mixed->waits, _mm512_set1_epi32((int)b));

		mixed_offsets(mixed, b, offsets);
		lanes_load_each(block, msgs, offsets);
		cmac_absorb(s, block, held, keys, rounds);
#pragma GCC unroll 4
		for (unsigned q = 0; q < QUADS; q++)
			s[q] = _mm512_maskz_mov_epi64(quad_mask(begun, q), s[q]);
	}
	mixed_offsets(mixed, b, offsets);
	for (unsigned l = 0; l < LANES; l++)
		at[l] = msgs[l] + offsets[l];
	for (; b < mixed->blocks - 1; b++) {
		lanes_load(block, at, (b - mixed->begun) * AES_BLOCK_SIZE);
		cmac_absorb(s, block, held, keys, rounds);
	}
}

/* Sixteen messages of any sizes. */
INLINE void
cmac_mixed(struct scratch *scratch, const struct key_slot *const *slots, const uint8_t *const *msgs,
	uint8_t *const *sealed, const uint16_t *sizes, const unsigned rounds,
	const enum identity_mode mode)
{
	__m512i(*const keys)[QUADS] = scratch->round_keys;
	__m512i s[QUADS], last[QUADS], identities[QUADS], serials[QUADS], c[QUADS];
	__m512i held[HELD_ROUNDS][QUADS];
	struct mixed mixed;

	lanes_load(identities, msgs, CRED_SEALED_FIRST);
	if (mode == IDENTITY_COPY) {
		keys_expand(keys, slots, offsetof(struct key_slot, tag_key), rounds);
	} else {
		lanes_load(serials, msgs, 1 * AES_BLOCK_SIZE);
		lanes_load(c, msgs, 3 * AES_BLOCK_SIZE);
		counters_build(c, serials, c);
		keys_expand_beside_ctr(keys, c, slots, rounds);
#pragma GCC unroll 4
		for (unsigned q = 0; q < QUADS; q++)
			identities[q] = _mm512_xor_si512(identities[q], c[q]);
	}
	if (mode == IDENTITY_SEAL)
		lanes_store(identities, sealed, CRED_SEALED_FIRST);
	else
		lanes_copy(scratch->identities, identities);

	mixed_plan(&mixed, sizes);
	mixed_last(&mixed, slots, msgs, sizes, last);
#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++)
		s[q] = _mm512_setzero_si512();
	keys_hold(held, keys);
	mixed_absorb(&mixed, msgs, held, keys, rounds, s);
	cmac_absorb(s, last, held, keys, rounds);
	lanes_copy(scratch->tags, s);
}

/*
 * Leaves tags of sixteen messages in the scratch, and identities in clear too; or seals the
 * identities at `sealed`, which are the messages again.
 */
typedef void cmac_lanes_t(struct scratch *scratch, const struct key_slot *const *slots,
	const uint8_t *const *msgs, uint8_t *const *sealed, const uint16_t *sizes);

/* One function per work and shape, so that the rounds and the mode are constants inside. */
#define CMAC_LANES(work, rounds, mode)                                                             \
	static __attribute__((noinline)) void cmac_whole_##work(struct scratch *scratch,           \
		const struct key_slot *const *slots, const uint8_t *const *msgs,                   \
		uint8_t *const *sealed, const uint16_t *sizes)                                     \
	{                                                                                          \
		cmac_whole(scratch, slots, msgs, sealed, sizes[0] / AES_BLOCK_SIZE, rounds, mode); \
	}                                                                                          \
	static __attribute__((noinline)) void cmac_mixed_##work(struct scratch *scratch,           \
		const struct key_slot *const *slots, const uint8_t *const *msgs,                   \
		uint8_t *const *sealed, const uint16_t *sizes)                                     \
	{                                                                                          \
		cmac_mixed(scratch, slots, msgs, sealed, sizes, rounds, mode);                     \
	}

CMAC_LANES(clear128, 10, IDENTITY_COPY)
CMAC_LANES(clear256, 14, IDENTITY_COPY)
CMAC_LANES(unseal128, 10, IDENTITY_UNSEAL)
CMAC_LANES(unseal256, 14, IDENTITY_UNSEAL)
CMAC_LANES(seal128, 10, IDENTITY_SEAL)
CMAC_LANES(seal256, 14, IDENTITY_SEAL)

/* What verifying and sealing do with the lanes of a suite. */
struct cmac_work {
	cmac_lanes_t *whole;
	cmac_lanes_t *mixed;
};

static const struct cmac_work verify_work[CRED_SUITE_COUNT] = {
	[CRED_SUITE_CMAC128] = {cmac_whole_clear128, cmac_mixed_clear128},
	[CRED_SUITE_CMAC256] = {cmac_whole_clear256, cmac_mixed_clear256},
	[CRED_SUITE_SEALED128] = {cmac_whole_unseal128, cmac_mixed_unseal128},
	[CRED_SUITE_SEALED256] = {cmac_whole_unseal256, cmac_mixed_unseal256},
};

static const struct cmac_work seal_work[CRED_SUITE_COUNT] = {
	[CRED_SUITE_CMAC128] = {cmac_whole_clear128, cmac_mixed_clear128},
	[CRED_SUITE_CMAC256] = {cmac_whole_clear256, cmac_mixed_clear256},
	[CRED_SUITE_SEALED128] = {cmac_whole_seal128, cmac_mixed_seal128},
	[CRED_SUITE_SEALED256] = {cmac_whole_seal256, cmac_mixed_seal256},
};

/* Are all sixteen of one size, of whole blocks, and a credential's? */
static bool
lanes_are_whole(const uint16_t *sizes)
{
	const __m256i all = _mm256_loadu_si256((const void *)sizes);
	const __m256i first = _mm256_set1_epi16((short)sizes[0]);

	return sizes[0] % AES_BLOCK_SIZE == 0 && sizes[0] >= CRED_HEADER_SIZE &&
	       _mm256_cmpneq_epi16_mask(all, first) == 0;
}

static void
lanes_cmac(struct scratch *scratch, const struct cmac_work *work,
	const struct key_slot *const *slots, const uint8_t *const *msgs, uint8_t *const *sealed,
	const uint16_t *sizes)
{
	cmac_lanes_t *cmac = lanes_are_whole(sizes) ? work->whole : work->mixed;

	cmac(scratch, slots, msgs, sealed, sizes);
}

/* Bitmap of the lanes whose tag is right; the identities of the others become zero. */
static uint32_t
lanes_judge(const struct scratch *scratch, const uint8_t *const *msgs, const uint16_t *sizes,
	struct tag_identity *ids)
{
	uint32_t proved = 0;

#pragma GCC unroll 4
	for (unsigned q = 0; q < QUADS; q++) {
		const unsigned l = q * QUAD_LANES;
		const __m512i tags = quad_load(msgs[l] + sizes[l], msgs[l + 1] + sizes[l + 1],
			msgs[l + 2] + sizes[l + 2], msgs[l + 3] + sizes[l + 3]);
		const uint32_t halves = _mm512_cmpeq_epi64_mask(scratch->tags[q], tags);
		const uint32_t lanes = _pext_u32(halves & halves >> 1, 0x55);

		_mm512_storeu_si512(&ids[l],
			_mm512_maskz_mov_epi64(quad_mask(lanes, 0), scratch->identities[q]));
		proved |= lanes << l;
	}
	return proved;
}

/* Block counts of a batch, a byte each; 255 past its end. */
static __m512i
batch_block_counts(const uint16_t *sizes, unsigned count)
{
	const __mmask64 all = _bzhi_u64(UINT64_MAX, count);
	const __m512i up = _mm512_set1_epi16(AES_BLOCK_SIZE - 1), one = _mm512_set1_epi16(1);
	__m512i low = _mm512_maskz_loadu_epi16((__mmask32)all, sizes);
	__m512i high = _mm512_maskz_loadu_epi16((__mmask32)(all >> 32), sizes + 32);
	__m512i counts;

	low = _mm512_max_epu16(_mm512_srli_epi16(_mm512_add_epi16(low, up), 4), one);
	high = _mm512_max_epu16(_mm512_srli_epi16(_mm512_add_epi16(high, up), 4), one);
	counts = _mm512_castsi256_si512(_mm512_cvtepi16_epi8(low));
	counts = _mm512_inserti64x4(counts, _mm512_cvtepi16_epi8(high), 1);
	return _mm512_mask_mov_epi8(_mm512_set1_epi8(-1), all, counts);
}

static unsigned
bytes_min(__m512i x)
{
	const __m256i half =
		_mm256_min_epu8(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
	__m128i quarter =
		_mm_min_epu8(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));

	quarter = _mm_min_epu8(quarter, _mm_srli_epi16(quarter, 8));
	quarter = _mm_minpos_epu16(_mm_and_si128(quarter, _mm_set1_epi16(0xff)));
	return (unsigned)_mm_cvtsi128_si32(quarter) & 0xff;
}

/*
 * Numbers of the inputs, those of fewer blocks first: lanes of one length waste nothing. One round
 * per count there is, which are few in life. Returns whether they stay as they came.
 */
static bool
batch_order(uint8_t order[2 * TAG_BATCH_MAX], const uint16_t *sizes, unsigned count)
{
	const __m512i inputs = _mm512_loadu_si512(inputs_in_order);
	__m512i counts = batch_block_counts(sizes, count);
	uint64_t same, placed = 0;
	unsigned least;

	do {
		least = bytes_min(counts);
		same = _mm512_cmpeq_epi8_mask(counts, _mm512_set1_epi8((char)least));
		_mm512_storeu_si512(order + placed, _mm512_maskz_compress_epi8(same, inputs));
		placed += (unsigned)__builtin_popcountll(same);
		counts = _mm512_mask_mov_epi8(counts, same, _mm512_set1_epi8(-1));
	} while (placed < count);
	return (unsigned)__builtin_popcountll(same) == count;
}

/* Picks inputs order[0] ... order[count - 1], and dummies of the last one's size. */
static void
group_gather(struct scratch *scratch, const uint8_t *order, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, unsigned count)
{
	struct group *group = &scratch->group;
	unsigned l;

	for (l = 0; l < count; l++) {
		group->slots[l] = slots[order[l]];
		group->srcs[l] = msgs[order[l]];
		group->sizes[l] = sizes[order[l]];
	}
	for (; l < LANES; l++) {
		group->slots[l] = &scratch->dummy_slot;
		group->srcs[l] = scratch->dummy_msg;
		group->sizes[l] = group->sizes[count - 1];
	}
}

/* A group that is not sixteen inputs in a row: gathered, and its results scattered again. */
static uint64_t
verify_gathered(struct scratch *scratch, const struct cmac_work *work, const uint8_t *order,
	const struct key_slot *const *slots, const uint8_t *const *msgs, const uint16_t *sizes,
	struct tag_identity *ids, unsigned count)
{
	struct group *group = &scratch->group;
	uint64_t proved = 0;
	uint32_t lanes;
	unsigned l;

	group_gather(scratch, order, slots, msgs, sizes, count);
	lanes_cmac(scratch, work, group->slots, group->srcs, NULL, group->sizes);
	lanes = lanes_judge(scratch, group->srcs, group->sizes, group->ids);
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
	const struct cmac_work *work = &verify_work[suite];
	uint8_t order[2 * TAG_BATCH_MAX]; /* written 64 bytes at a time */
	const bool is_in_order = batch_order(order, sizes, count);
	uint64_t proved = 0;
	unsigned i;

	for (i = 0; i + LANES <= count && is_in_order; i += LANES) {
		lanes_cmac(scratch, work, slots + i, msgs + i, NULL, sizes + i);
		proved |= (uint64_t)lanes_judge(scratch, msgs + i, sizes + i, ids + i) << i;
	}
	for (; i < count; i += LANES)
		proved |= verify_gathered(scratch, work, order + i, slots, msgs, sizes, ids,
			count - i < LANES ? count - i : LANES);
	return proved;
}

/* Seals and tags sixteen messages in a row. */
static void
seal_lanes(struct scratch *scratch, const struct cmac_work *work,
	const struct key_slot *const *slots, uint8_t *const *msgs, const uint16_t *sizes)
{
	const __m128i *tags = (const __m128i *)scratch->tags;

	lanes_cmac(scratch, work, slots, (const uint8_t *const *)msgs, msgs, sizes);
	for (unsigned l = 0; l < LANES; l++)
		_mm_storeu_si128((void *)(msgs[l] + sizes[l]), tags[l]);
}

/* Up to sixteen, picked. */
static void
seal_gathered(struct scratch *scratch, const struct cmac_work *work, const uint8_t *order,
	const struct key_slot *const *slots, uint8_t *const *msgs, const uint16_t *sizes,
	unsigned count)
{
	struct group *group = &scratch->group;
	uint8_t *dsts[LANES];

	group_gather(scratch, order, slots, (const uint8_t *const *)msgs, sizes, count);
	for (unsigned l = 0; l < LANES; l++)
		dsts[l] = l < count ? msgs[order[l]] : scratch->dummy_msg;
	seal_lanes(scratch, work, group->slots, dsts, group->sizes);
}

static void
vaes512_ctr(void *scratch, uint8_t suite, const struct key_slot *const *slots,
	const struct tag_counter *counters, const uint8_t *const *srcs, uint8_t *const *dsts,
	const uint16_t *sizes, unsigned count)
{
	tag_pieces_run(LANES, tag_vaes512_pieces, scratch, suite, slots, counters, srcs, dsts,
		sizes, count);
}

static void
vaes512_seal(void *context, uint8_t suite, const struct key_slot *const *slots,
	uint8_t *const *msgs, const uint16_t *sizes, unsigned count)
{
	struct scratch *scratch = context;
	const struct cmac_work *work = &seal_work[suite];
	uint8_t order[2 * TAG_BATCH_MAX]; /* written 64 bytes at a time */
	const bool is_in_order = batch_order(order, sizes, count);
	unsigned i;

	if (cred_suite_is_sealed(suite))
		tag_pieces_seal(LANES, tag_vaes512_pieces, scratch, suite, slots, msgs, sizes,
			CRED_AT_PAYLOAD, count);
	for (i = 0; i + LANES <= count && is_in_order; i += LANES)
		seal_lanes(scratch, work, slots + i, msgs + i, sizes + i);
	for (; i < count; i += LANES)
		seal_gathered(scratch, work, order + i, slots, msgs, sizes,
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

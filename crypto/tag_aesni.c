/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Eight messages side by side on AES-NI: for CPUs without VAES, and for programs that tag one
 * message at a time, since an engine costs nothing to make.
 *
 * Implementation notes
 *
 * - Eight independent AES instructions per round hide the latency of each; arrays indexed by `l`
 *   (lane) are unrolled into registers as far as there are any.
 * - Keys come raw. SubWord is AESENCLAST on a register whose four words are the same (ShiftRows then
 *   changes nothing), with the round constant as its key: no AESKEYGENASSIST, which is slow.
 * - Lanes of different lengths are aligned on the right: they end together, and a lane that has not
 *   begun keeps the zero state, CMAC's initial value.
 * - Sizes, counts and suites are public and branch; keys, tags and plaintext do not.
 */

#include <smmintrin.h>
#include <wmmintrin.h>

#include "crypto/cpu_priv.h"
#include "crypto/ct.h"
#include "crypto/tag_priv.h"

#define LANES 8u

#define INLINE static inline __attribute__((always_inline))

struct scratch {
	__m128i round_keys[AES_ROUNDS_MAX + 1][LANES];
	__m128i last[LANES]; /* last blocks: padded, subkey added */
	__m128i tags[LANES];
	/* Lanes without an input work on these. */
	struct key_slot dummy_slot;
	uint8_t dummy_msg[CRED_SIZE_MIN];
};

/* Up to eight inputs, filled up with dummies. */
struct group {
	const struct key_slot *slots[LANES];
	const uint8_t *msgs[LANES];
	unsigned sizes[LANES];
	unsigned blocks[LANES];
	unsigned blocks_max;
};

/* Round constants (FIPS 197 section 5.2), index 0 is unused. */
static const uint8_t round_constants[11] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36};

INLINE __m128i
load(const uint8_t *p)
{
	return _mm_loadu_si128((const void *)p);
}

/* k ^ k << 32 ^ k << 64 ^ k << 96: each word XORed with all the words before it. */
INLINE __m128i
words_sum(__m128i k)
{
	k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
	return _mm_xor_si128(k, _mm_slli_si128(k, 8));
}

/* The round key after `before`, from SubWord(RotWord(last word of `latest`)) ^ constant. */
INLINE __m128i
key_next(__m128i before, __m128i latest, uint8_t constant)
{
	const __m128i rotated = _mm_shuffle_epi8(latest, _mm_set1_epi32(0x0c0f0e0d));

	return _mm_xor_si128(
		words_sum(before), _mm_aesenclast_si128(rotated, _mm_set1_epi32(constant)));
}

/* AES-256's odd round keys: SubWord alone. */
INLINE __m128i
key_next_plain(__m128i before, __m128i latest)
{
	const __m128i words = _mm_shuffle_epi32(latest, 0xff);

	return _mm_xor_si128(words_sum(before), _mm_aesenclast_si128(words, _mm_setzero_si128()));
}

/* Round key r of FIPS 197 section 5.2, given the two before it. */
INLINE __m128i
key_of_round(__m128i before2, __m128i before1, const unsigned r, const unsigned rounds)
{
	if (rounds == 10)
		return key_next(before1, before1, round_constants[r]);
	if (r % 2 == 0)
		return key_next(before2, before1, round_constants[r / 2]);
	return key_next_plain(before2, before1);
}

/* Expands `lanes` keys, all rounds of all lanes side by side. */
INLINE void
keys_expand(__m128i keys[][LANES], const struct key_slot *const *slots, const size_t offset,
	const unsigned rounds)
{
	const unsigned given = rounds == 14 ? 2 : 1;

	for (unsigned l = 0; l < LANES; l++) {
		const uint8_t *raw = (const uint8_t *)slots[l] + offset;

		for (unsigned r = 0; r < given; r++)
			keys[r][l] = load(raw + r * AES_BLOCK_SIZE);
	}
#pragma GCC unroll 15
	for (unsigned r = given; r <= rounds; r++)
		for (unsigned l = 0; l < LANES; l++)
			keys[r][l] = key_of_round(
				keys[r >= 2 ? r - 2 : 0][l], keys[r - 1][l], r, rounds);
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

static void
group_fill(struct scratch *scratch, struct group *group, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, unsigned count)
{
	group->blocks_max = 0;
	for (unsigned l = 0; l < LANES; l++) {
		const bool is_used = l < count;

		group->slots[l] = is_used ? slots[l] : &scratch->dummy_slot;
		group->msgs[l] = is_used ? msgs[l] : scratch->dummy_msg;
		group->sizes[l] = is_used ? sizes[l] : CRED_HEADER_SIZE;
		group->blocks[l] = tag_block_count(group->sizes[l]);
		if (group->blocks[l] > group->blocks_max)
			group->blocks_max = group->blocks[l];
	}
}

/* RFC 4493 section 2.4, step 4: the last block, whole with K1 or padded with K2. */
static __m128i
last_block(const struct key_slot *slot, const uint8_t *msg, unsigned size, unsigned blocks)
{
	const unsigned at = (blocks - 1) * AES_BLOCK_SIZE;
	const unsigned left = size - at;
	uint8_t padded[AES_BLOCK_SIZE] = {0};
	uint8_t k2[AES_BLOCK_SIZE];

	if (left == AES_BLOCK_SIZE)
		return _mm_xor_si128(load(msg + at), load(slot->k1));
	memcpy(padded, msg + at, left);
	padded[left] = 0x80;
	tag_subkey_double(k2, slot->k1);
	return _mm_xor_si128(load(padded), load(k2));
}

/* Block b of a lane that ends with block blocks_max - 1; false if the lane has not begun. */
INLINE bool
lane_block(const struct group *group, const __m128i *last, unsigned l, unsigned b, __m128i *block)
{
	const unsigned start = group->blocks_max - group->blocks[l];

	if (b < start)
		return false;
	*block = b == group->blocks_max - 1
			 ? last[l]
			 : load(group->msgs[l] + (size_t)(b - start) * AES_BLOCK_SIZE);
	return true;
}

INLINE void
cmac_lanes(struct scratch *scratch, const struct group *group, const unsigned rounds)
{
	__m128i s[LANES];

	keys_expand(scratch->round_keys, group->slots, offsetof(struct key_slot, tag_key), rounds);
	for (unsigned l = 0; l < LANES; l++) {
		s[l] = _mm_setzero_si128();
		scratch->last[l] = last_block(
			group->slots[l], group->msgs[l], group->sizes[l], group->blocks[l]);
	}
	for (unsigned b = 0; b < group->blocks_max; b++) {
		__m128i begun[LANES];

		for (unsigned l = 0; l < LANES; l++) {
			__m128i block = _mm_setzero_si128();

			begun[l] = _mm_set1_epi32(
				-(int)lane_block(group, scratch->last, l, b, &block));
			s[l] = _mm_xor_si128(s[l], block);
		}
		lanes_encrypt(s, scratch->round_keys, rounds);
		for (unsigned l = 0; l < LANES; l++)
			s[l] = _mm_and_si128(s[l], begun[l]);
	}
	for (unsigned l = 0; l < LANES; l++)
		scratch->tags[l] = s[l];
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
cmac_group(struct scratch *scratch, uint8_t suite, const struct group *group)
{
	if (tag_suite_rounds(suite) == 10)
		cmac_lanes_128(scratch, group);
	else
		cmac_lanes_256(scratch, group);
}

INLINE void
stream_lanes(struct scratch *scratch, const struct key_slot *const *slots, __m128i stream[LANES],
	const unsigned rounds)
{
	keys_expand(scratch->round_keys, slots, offsetof(struct key_slot, seal_key), rounds);
	lanes_encrypt(stream, scratch->round_keys, rounds);
}

static __attribute__((noinline)) void
stream_lanes_128(
	struct scratch *scratch, const struct key_slot *const *slots, __m128i stream[LANES])
{
	stream_lanes(scratch, slots, stream, 10);
}

static __attribute__((noinline)) void
stream_lanes_256(
	struct scratch *scratch, const struct key_slot *const *slots, __m128i stream[LANES])
{
	stream_lanes(scratch, slots, stream, 14);
}

/* Key stream of eight counter blocks under eight sealing keys. */
static void
stream_group(struct scratch *scratch, uint8_t suite, const struct key_slot *const *slots,
	__m128i stream[LANES])
{
	if (tag_suite_rounds(suite) == 10)
		stream_lanes_128(scratch, slots, stream);
	else
		stream_lanes_256(scratch, slots, stream);
}

/* Bytes [64, 80) in clear, for every lane, proved or not: the caller masks them. */
static void
identities_of(struct scratch *scratch, uint8_t suite, const struct group *group,
	__m128i identities[LANES])
{
	__m128i stream[LANES];
	struct tag_counter counter;

	for (unsigned l = 0; l < LANES; l++)
		identities[l] = load(group->msgs[l] + CRED_SEALED_FIRST);
	if (!cred_suite_is_sealed(suite))
		return;
	for (unsigned l = 0; l < LANES; l++) {
		tag_counter_of(&counter, group->msgs[l]);
		stream[l] = load(counter.bytes);
	}
	stream_group(scratch, suite, group->slots, stream);
	for (unsigned l = 0; l < LANES; l++)
		identities[l] = _mm_xor_si128(identities[l], stream[l]);
}

static uint64_t
verify_group(struct scratch *scratch, uint8_t suite, const struct group *group,
	struct tag_identity *ids, unsigned count)
{
	__m128i identities[LANES];
	uint64_t proved = 0;

	cmac_group(scratch, suite, group);
	identities_of(scratch, suite, group, identities);
	for (unsigned l = 0; l < count; l++) {
		uint8_t tag[CRED_TAG_SIZE];
		uint64_t mask;
		__m128i wide;

		_mm_storeu_si128((void *)tag, scratch->tags[l]);
		mask = ct_mask_equal16(tag, group->msgs[l] + group->sizes[l]);
		wide = _mm_set1_epi64x((long long)mask);
		_mm_storeu_si128((void *)ids[l].bytes, _mm_and_si128(identities[l], wide));
		proved |= (mask & 1) << l;
	}
	return proved;
}

static uint64_t
aesni_verify(void *context, uint8_t suite, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, struct tag_identity *ids, unsigned count)
{
	struct scratch *scratch = context;
	uint64_t proved = 0;
	struct group group;

	for (unsigned i = 0; i < count; i += LANES) {
		const unsigned lanes = count - i < LANES ? count - i : LANES;

		group_fill(scratch, &group, slots + i, msgs + i, sizes + i, lanes);
		proved |= verify_group(scratch, suite, &group, ids + i, lanes) << i;
	}
	return proved;
}

/* `size` bytes of one message, eight counter blocks at a time. */
static void
ctr_message(struct scratch *scratch, uint8_t suite, const struct key_slot *slot,
	const struct tag_counter *first, const uint8_t *src, uint8_t *dst, unsigned size)
{
	const struct key_slot *slots[LANES];
	struct tag_counter counter = *first;
	uint32_t number = load_be32(first->bytes + 12);
	uint8_t bytes[LANES * AES_BLOCK_SIZE];
	__m128i stream[LANES];

	for (unsigned l = 0; l < LANES; l++)
		slots[l] = slot;
	for (unsigned at = 0; at < size; at += sizeof(bytes)) {
		const unsigned part = size - at < sizeof(bytes) ? size - at : sizeof(bytes);

		for (unsigned l = 0; l < LANES; l++) {
			store_be32(counter.bytes + 12, number++);
			stream[l] = load(counter.bytes);
		}
		stream_group(scratch, suite, slots, stream);
		memcpy(bytes, stream, sizeof(bytes));
		for (unsigned i = 0; i < part; i++)
			dst[at + i] = src[at + i] ^ bytes[i];
	}
}

static void
aesni_ctr(void *scratch, uint8_t suite, const struct key_slot *const *slots,
	const struct tag_counter *counters, const uint8_t *const *srcs, uint8_t *const *dsts,
	const uint16_t *sizes, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		ctr_message(scratch, suite, slots[i], &counters[i], srcs[i], dsts[i], sizes[i]);
}

static void
aesni_seal(void *context, uint8_t suite, const struct key_slot *const *slots, uint8_t *const *msgs,
	const uint16_t *sizes, unsigned count)
{
	struct scratch *scratch = context;
	struct tag_counter counter;
	struct group group;

	for (unsigned i = 0; cred_suite_is_sealed(suite) && i < count; i++) {
		tag_counter_of(&counter, msgs[i]);
		ctr_message(scratch, suite, slots[i], &counter, msgs[i] + CRED_SEALED_FIRST,
			msgs[i] + CRED_SEALED_FIRST, sizes[i] - CRED_SEALED_FIRST);
	}
	for (unsigned i = 0; i < count; i += LANES) {
		const unsigned lanes = count - i < LANES ? count - i : LANES;

		group_fill(scratch, &group, slots + i, (const uint8_t *const *)msgs + i, sizes + i,
			lanes);
		cmac_group(scratch, suite, &group);
		for (unsigned l = 0; l < lanes; l++)
			_mm_storeu_si128((void *)(msgs[i + l] + sizes[i + l]), scratch->tags[l]);
	}
}

static int
aesni_init(void *scratch)
{
	(void)scratch;
	return 0;
}

static void
aesni_fini(void *scratch)
{
	(void)scratch;
}

/* K1's one block; not for the packet path. */
void
tag_aesni_block(uint8_t block[AES_BLOCK_SIZE], const uint8_t *key, unsigned key_size)
{
	const unsigned rounds = key_size == 16 ? 10 : 14;
	__m128i keys[AES_ROUNDS_MAX + 1];
	__m128i s = load(block);

	keys[0] = load(key);
	keys[1] = rounds == 10 ? key_of_round(keys[0], keys[0], 1, 10) : load(key + 16);
	s = _mm_aesenc_si128(_mm_xor_si128(s, keys[0]), keys[1]);
#pragma GCC unroll 15
	for (unsigned r = 2; r <= rounds; r++) {
		if (rounds == 10)
			keys[r] = key_of_round(keys[r - 2], keys[r - 1], r <= 10 ? r : 0, 10);
		else
			keys[r] = key_of_round(keys[r - 2], keys[r - 1], r, 14);
		s = r < rounds ? _mm_aesenc_si128(s, keys[r]) : _mm_aesenclast_si128(s, keys[r]);
	}
	_mm_storeu_si128((void *)block, s);
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

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * AES-CTR, sixteen pieces of messages at once (crypto/tag_vaes512_priv.h): the payloads at
 * delivery, and all that is sealed when minting.
 */

#include "crypto/tag_vaes512_priv.h"

/* The number, a counter block's last word, as this CPU counts; its own inverse. */
static const uint8_t number_reversed[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12};

/* A piece per lane, dummies among them. */
struct ctr_lanes {
	const struct key_slot *slots[LANES];
	const uint8_t *counters[LANES];
	uint32_t numbers[LANES]; /* to add to them */
	const uint8_t *srcs[LANES];
	uint8_t *dsts[LANES];
	unsigned sizes[LANES];
	unsigned blocks; /* of the longest */
	unsigned whole;  /* whole blocks of the shortest */
};

/* Block b of every lane, all of which have it whole. */
INLINE void
lanes_xor_whole(const struct ctr_lanes *lanes, unsigned b, const __m512i stream[QUADS])
{
	const size_t at = (size_t)b * AES_BLOCK_SIZE;
	__m512i bytes[QUADS];

	lanes_load(bytes, lanes->srcs, at);
	for (unsigned q = 0; q < QUADS; q++)
		bytes[q] = _mm512_xor_si512(bytes[q], stream[q]);
	lanes_store(bytes, lanes->dsts, at);
}

/* Block b of every lane that has one, or a part of one: no byte past a piece is touched. */
static void
lanes_xor_partial(const struct ctr_lanes *lanes, unsigned b, const __m128i stream[LANES])
{
	const unsigned at = b * AES_BLOCK_SIZE;

	for (unsigned l = 0; l < LANES; l++) {
		const unsigned left = lanes->sizes[l] > at ? lanes->sizes[l] - at : 0;
		const __mmask16 mask = left < AES_BLOCK_SIZE ? (1u << left) - 1 : 0xffff;

		if (left == 0)
			continue;
		_mm_mask_storeu_epi8(lanes->dsts[l] + at, mask,
			_mm_xor_si128(stream[l], _mm_maskz_loadu_epi8(mask, lanes->srcs[l] + at)));
	}
}

/* Number l of `numbers` in word 3 of lane l; the other words zero. */
INLINE __m512i
numbers_place(__m512i numbers, unsigned q)
{
	const __m512i lanes = _mm512_set1_epi32((int)(q * QUAD_LANES));
	const __m512i places = _mm512_add_epi32(
		lanes, _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3));

	return _mm512_maskz_permutexvar_epi32(0x8888, places, numbers);
}

/* Counter blocks with `numbers` added; a number counts big-endian, as the last word. */
INLINE void
counters_add(__m512i c[QUADS], const __m512i first[QUADS], __m512i numbers)
{
	for (unsigned q = 0; q < QUADS; q++) {
		const __m512i number = _mm512_shuffle_epi8(first[q], lanes_of(number_reversed));

		c[q] = _mm512_shuffle_epi8(_mm512_add_epi32(number, numbers_place(numbers, q)),
			lanes_of(number_reversed));
	}
}

/* A single block: the schedule need not be kept. */
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

INLINE void
stream_next(__m512i c[QUADS], __m512i (*const keys)[QUADS], const unsigned rounds)
{
#pragma GCC unroll 15
	for (unsigned r = 0; r <= rounds; r++)
		lanes_round(c, keys[r], r, rounds);
}

INLINE void
ctr_run(struct scratch *scratch, const struct ctr_lanes *lanes, const unsigned rounds)
{
	const __m512i numbers = _mm512_loadu_si512(lanes->numbers);
	__m512i first[QUADS], c[QUADS];

	lanes_load(first, lanes->counters, 0);
	if (lanes->blocks > 1)
		keys_expand(scratch->round_keys, lanes->slots, offsetof(struct key_slot, seal_key),
			rounds);
	for (unsigned b = 0; b < lanes->blocks; b++) {
		counters_add(c, first, _mm512_add_epi32(numbers, _mm512_set1_epi32((int)b)));
		if (lanes->blocks > 1)
			stream_next(c, scratch->round_keys, rounds);
		else
			stream_once(c, lanes->slots, rounds);
		if (b < lanes->whole) {
			lanes_xor_whole(lanes, b, c);
		} else {
			/* Scratch is wiped in the end, the stack is not. */
			memcpy(scratch->tags, c, sizeof(c));
			lanes_xor_partial(lanes, b, (const __m128i *)scratch->tags);
		}
	}
}

static __attribute__((noinline)) void
ctr_run_128(struct scratch *scratch, const struct ctr_lanes *lanes)
{
	ctr_run(scratch, lanes, 10);
}

static __attribute__((noinline)) void
ctr_run_256(struct scratch *scratch, const struct ctr_lanes *lanes)
{
	ctr_run(scratch, lanes, 14);
}

/* Lanes without a piece do whole blocks of the dummy, so that they do not make the rest slow. */
static void
ctr_lanes_fill(struct ctr_lanes *lanes, struct scratch *scratch, const struct tag_piece *pieces,
	unsigned count)
{
	lanes->blocks = 0;
	lanes->whole = TAG_BLOCKS_MAX;
	for (unsigned l = 0; l < count; l++) {
		const struct tag_piece *piece = &pieces[l];
		const unsigned blocks = tag_block_count(piece->size);
		const unsigned whole = piece->size / AES_BLOCK_SIZE;

		lanes->slots[l] = piece->slot;
		lanes->counters[l] = piece->counter->bytes;
		lanes->numbers[l] = piece->number;
		lanes->srcs[l] = piece->src;
		lanes->dsts[l] = piece->dst;
		lanes->sizes[l] = piece->size;
		lanes->blocks = blocks > lanes->blocks ? blocks : lanes->blocks;
		lanes->whole = whole < lanes->whole ? whole : lanes->whole;
	}
	for (unsigned l = count; l < LANES; l++) {
		lanes->slots[l] = &scratch->dummy_slot;
		lanes->counters[l] = scratch->dummy_msg;
		lanes->numbers[l] = 0;
		lanes->srcs[l] = scratch->dummy_msg;
		lanes->dsts[l] = scratch->dummy_msg;
		lanes->sizes[l] = lanes->whole * AES_BLOCK_SIZE;
	}
}

void
tag_vaes512_pieces(void *context, uint8_t suite, const struct tag_piece *pieces, unsigned count)
{
	struct ctr_lanes lanes;

	ctr_lanes_fill(&lanes, context, pieces, count);
	if (tag_suite_rounds(suite) == 10)
		ctr_run_128(context, &lanes);
	else
		ctr_run_256(context, &lanes);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * AES-CTR, sixteen pieces of messages at once (crypto/tag_vaes512_priv.h): the payloads at
 * delivery, and all that is sealed when minting.
 */

#include "crypto/tag_vaes512_priv.h"

/* The number, a counter block's last word, as this CPU counts; its own inverse. */
static const uint8_t number_reversed[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12};

/* Block b of every lane, all of which have it whole. */
INLINE void
lanes_xor_whole(const struct group *group, unsigned b, const __m512i stream[QUADS])
{
	const size_t at = (size_t)b * AES_BLOCK_SIZE;
	__m512i bytes[QUADS];

	lanes_load(bytes, group->srcs, at);
	for (unsigned q = 0; q < QUADS; q++)
		bytes[q] = _mm512_xor_si512(bytes[q], stream[q]);
	lanes_store(bytes, group->dsts, at);
}

/* Block b of every lane that has one, or a part of one: no byte past a piece is touched. */
static void
lanes_xor_partial(const struct group *group, unsigned b, const __m128i stream[LANES])
{
	const unsigned at = b * AES_BLOCK_SIZE;

	for (unsigned l = 0; l < LANES; l++) {
		const unsigned left = group->sizes[l] > at ? group->sizes[l] - at : 0;
		const __mmask16 mask = left < AES_BLOCK_SIZE ? (1u << left) - 1 : 0xffff;

		if (left == 0)
			continue;
		_mm_mask_storeu_epi8(group->dsts[l] + at, mask,
			_mm_xor_si128(stream[l], _mm_maskz_loadu_epi8(mask, group->srcs[l] + at)));
	}
}

/* Counter blocks b steps after `first`: the number counts, big-endian, in word 3 of each lane. */
INLINE void
counters_advance(__m512i c[QUADS], const __m512i first[QUADS], unsigned b)
{
	const __m512i step = _mm512_maskz_set1_epi32(0x8888, (int)b);

	for (unsigned q = 0; q < QUADS; q++) {
		const __m512i number = _mm512_shuffle_epi8(first[q], lanes_of(number_reversed));

		c[q] = _mm512_shuffle_epi8(
			_mm512_add_epi32(number, step), lanes_of(number_reversed));
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

/*
 * The group's pieces, from the counter blocks `start`: at most `blocks` each, of which all lanes
 * have `whole` whole ones.
 */
INLINE void
ctr_lanes(struct scratch *scratch, const uint8_t *const start[LANES], unsigned blocks,
	unsigned whole, const unsigned rounds)
{
	const struct group *group = &scratch->group;
	__m512i first[QUADS], c[QUADS];

	lanes_load(first, start, 0);
	if (blocks > 1)
		keys_expand(scratch->round_keys, group->slots, offsetof(struct key_slot, seal_key),
			rounds);
	for (unsigned b = 0; b < blocks; b++) {
		counters_advance(c, first, b);
		if (blocks > 1)
			stream_next(c, scratch->round_keys, rounds);
		else
			stream_once(c, group->slots, rounds);
		if (b < whole) {
			lanes_xor_whole(group, b, c);
		} else {
			memcpy(scratch->tags, c, sizeof(c)); /* scratch is wiped, the stack not */
			lanes_xor_partial(group, b, (const __m128i *)scratch->tags);
		}
	}
}

static __attribute__((noinline)) void
ctr_lanes_128(
	struct scratch *scratch, const uint8_t *const start[LANES], unsigned blocks, unsigned whole)
{
	ctr_lanes(scratch, start, blocks, whole, 10);
}

static __attribute__((noinline)) void
ctr_lanes_256(
	struct scratch *scratch, const uint8_t *const start[LANES], unsigned blocks, unsigned whole)
{
	ctr_lanes(scratch, start, blocks, whole, 14);
}

/*
 * A message is cut into pieces of one key each, one a lane: a burst of short payloads fills the
 * lanes with messages, a single long one with its own blocks.
 */
struct ctr_pieces {
	unsigned count;  /* lanes in use */
	unsigned blocks; /* of the longest */
	unsigned whole;  /* whole blocks of the shortest */
	struct tag_counter counters[LANES];
};

static void
pieces_clear(struct ctr_pieces *pieces)
{
	pieces->count = 0;
	pieces->blocks = 0;
	pieces->whole = TAG_BLOCKS_MAX;
}

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
		scratch->group.srcs[l] = scratch->dummy_msg;
		scratch->group.dsts[l] = scratch->dummy_msg;
		scratch->group.sizes[l] = (uint16_t)(pieces->whole * AES_BLOCK_SIZE);
	}
	if (tag_suite_rounds(suite) == 10)
		ctr_lanes_128(scratch, start, pieces->blocks, pieces->whole);
	else
		ctr_lanes_256(scratch, start, pieces->blocks, pieces->whole);
	pieces_clear(pieces);
}

static void
pieces_add(struct scratch *scratch, uint8_t suite, struct ctr_pieces *pieces,
	const struct key_slot *slot, const struct tag_counter *counter, unsigned number,
	const uint8_t *src, uint8_t *dst, unsigned size)
{
	struct group *group = &scratch->group;
	const unsigned l = pieces->count++;

	group->slots[l] = slot;
	group->srcs[l] = src;
	group->dsts[l] = dst;
	group->sizes[l] = (uint16_t)size;
	pieces->counters[l] = *counter;
	store_be32(pieces->counters[l].bytes + 12, load_be32(counter->bytes + 12) + number);
	if (tag_block_count(size) > pieces->blocks)
		pieces->blocks = tag_block_count(size);
	if (size / AES_BLOCK_SIZE < pieces->whole)
		pieces->whole = size / AES_BLOCK_SIZE;
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

void
tag_vaes512_ctr(void *context, uint8_t suite, const struct key_slot *const *slots,
	const struct tag_counter *counters, const uint8_t *const *srcs, uint8_t *const *dsts,
	const uint16_t *sizes, unsigned count)
{
	struct scratch *scratch = context;
	const unsigned blocks = piece_blocks(sizes, count);
	struct ctr_pieces pieces;
	unsigned i, b;

	pieces_clear(&pieces);
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

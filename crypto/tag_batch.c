/* SPDX-License-Identifier: BSD-3-Clause */

/* What kernels share: the order of a batch, and messages cut into pieces for CTR. */

#include "crypto/tag_priv.h"

/* Pieces on their way to a kernel's lanes. */
struct pieces {
	struct tag_piece pieces[TAG_BATCH_MAX];
	unsigned count;
	unsigned lanes;
	tag_pieces_t *run;
	void *scratch;
	uint8_t suite;
};

/* Do all have the same number of blocks? Most batches are so, and need no counting. */
static bool
sizes_are_alike(const uint16_t *sizes, unsigned count)
{
	const unsigned blocks = tag_block_count(sizes[0]);
	unsigned i, differences = 0;

	for (i = 1; i < count; i++)
		differences |= tag_block_count(sizes[i]) ^ blocks;
	return differences == 0;
}

void
tag_order(uint8_t order[TAG_BATCH_MAX], const uint16_t *sizes, unsigned count)
{
	uint8_t places[TAG_BLOCKS_MAX + 2] = {0};
	unsigned i;

	if (sizes_are_alike(sizes, count)) {
		for (i = 0; i < count; i++)
			order[i] = (uint8_t)i;
		return;
	}
	for (i = 0; i < count; i++)
		places[tag_block_count(sizes[i]) + 1]++;
	for (i = 1; i < TAG_BLOCKS_MAX + 2; i++)
		places[i] += places[i - 1];
	for (i = 0; i < count; i++)
		order[places[tag_block_count(sizes[i])]++] = (uint8_t)i;
}

static void
pieces_flush(struct pieces *pieces)
{
	if (pieces->count > 0)
		pieces->run(pieces->scratch, pieces->suite, pieces->pieces, pieces->count);
	pieces->count = 0;
}

/* Cuts a message, itself given as a piece, into such of at most `blocks`. */
static void
pieces_cut(struct pieces *pieces, const struct tag_piece *whole, unsigned blocks)
{
	const unsigned size_max = blocks * AES_BLOCK_SIZE;
	unsigned at;

	for (at = 0; at < whole->size; at += size_max) {
		struct tag_piece *piece = &pieces->pieces[pieces->count++];

		piece->slot = whole->slot;
		piece->counter = whole->counter;
		piece->src = whole->src + at;
		piece->dst = whole->dst + at;
		piece->size = whole->size - at < size_max ? whole->size - at : size_max;
		piece->number = at / AES_BLOCK_SIZE;
		if (pieces->count == pieces->lanes)
			pieces_flush(pieces);
	}
}

/* Blocks to a piece; 0 if all messages are empty. */
static unsigned
pieces_blocks(const uint16_t *sizes, unsigned count, unsigned lanes)
{
	unsigned i, blocks = 0;

	for (i = 0; i < count; i++)
		blocks += (sizes[i] + AES_BLOCK_SIZE - 1) / AES_BLOCK_SIZE;
	return (blocks + lanes - 1) / lanes;
}

void
tag_pieces_run(unsigned lanes, tag_pieces_t *run, void *scratch, uint8_t suite,
	const struct key_slot *const *slots, const struct tag_counter *counters,
	const uint8_t *const *srcs, uint8_t *const *dsts, const uint16_t *sizes, unsigned count)
{
	const unsigned blocks = pieces_blocks(sizes, count, lanes);
	uint8_t order[TAG_BATCH_MAX];
	struct pieces pieces;
	struct tag_piece whole;
	unsigned i, n;

	if (blocks == 0)
		return;
	pieces.count = 0;
	pieces.lanes = lanes;
	pieces.run = run;
	pieces.scratch = scratch;
	pieces.suite = suite;
	tag_order(order, sizes, count);
	for (n = 0; n < count; n++) {
		i = order[n];
		whole.slot = slots[i];
		whole.src = srcs[i];
		whole.dst = dsts[i];
		whole.size = sizes[i];
		whole.counter = &counters[i];
		pieces_cut(&pieces, &whole, blocks);
	}
	pieces_flush(&pieces);
}

void
tag_pieces_seal(unsigned lanes, tag_pieces_t *run, void *scratch, uint8_t suite,
	const struct key_slot *const *slots, uint8_t *const *msgs, const uint16_t *sizes,
	unsigned first, unsigned count)
{
	struct tag_counter counters[TAG_BATCH_MAX];
	uint8_t *sealed[TAG_BATCH_MAX];
	uint16_t sealed_sizes[TAG_BATCH_MAX];
	unsigned i, some = 0;

	for (i = 0; i < count; i++) {
		sealed[i] = msgs[i] + first;
		sealed_sizes[i] = sizes[i] - first;
		some |= sealed_sizes[i];
	}
	if (some == 0)
		return;
	for (i = 0; i < count; i++) {
		tag_counter_of(&counters[i], msgs[i]);
		store_be32(counters[i].bytes + 12, (first - CRED_SEALED_FIRST) / AES_BLOCK_SIZE);
	}
	tag_pieces_run(lanes, run, scratch, suite, slots, counters, (const uint8_t *const *)sealed,
		sealed, sealed_sizes, count);
}

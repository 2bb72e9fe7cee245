/* SPDX-License-Identifier: BSD-3-Clause */

/* The long way of replay/window.h: the window moves, or an old serial is looked up in the ring. */

#include "replay/window.h"

/* One node's words behind the line. */
struct window_ring {
	uint64_t *words;
	uint64_t mask;
	uint64_t skew;
};

/* Geometry comes from the header, which open has checked; the line is believed if it agrees. */
static bool
window_ring_find(const struct replay_store *store, uint32_t slot, struct window_ring *ring)
{
	const struct replay_window_header *header = &store->headers[slot];

	if (header->bits_log2 == 0 || header->bits_log2 != store->nodes[slot].bits_log2)
		return false;
	ring->words = store->ring + header->ring_word;
	ring->mask = ((uint64_t)1 << header->bits_log2) / REPLAY_WORD_BITS - 1;
	ring->skew = (uint64_t)REPLAY_RING_SKEW * slot;
	return true;
}

static uint64_t *
ring_word(const struct window_ring *ring, uint64_t word)
{
	return &ring->words[(word + ring->skew) & ring->mask];
}

/*
 * Copies the words that leave the line when `next` becomes the newest one. Near serial 0 word
 * numbers below 0 wrap: these words of the line are still empty, and so are their places.
 */
static void
window_retire(
	struct replay_node *node, const struct window_ring *ring, uint64_t newest, uint64_t next)
{
	const uint64_t step = next - newest;
	const uint64_t count = step < REPLAY_INLINE_WORDS ? step : REPLAY_INLINE_WORDS;
	uint64_t word = newest + 1 - REPLAY_INLINE_WORDS;
	uint64_t i;

	/* The newest word is going to lie where the oldest one does: let that fall out first. */
	if (count == REPLAY_INLINE_WORDS)
		replay_word_store(&node->top, node->top | (REPLAY_WORD_BITS - 1));
	for (i = 0; i < count; i++, word++)
		replay_word_store(ring_word(ring, word), node->words[word % REPLAY_INLINE_WORDS]);
}

/* Empties the words between the line as it was and as it is; at most the window's own number. */
static void
window_clear_skipped(const struct window_ring *ring, uint64_t newest, uint64_t next)
{
	const uint64_t count = ring->mask + 1;
	uint64_t word = newest + 1;

	if (next - newest > count)
		word = next - count;
	for (; word + REPLAY_INLINE_WORDS <= next; word++)
		replay_word_store(ring_word(ring, word), 0);
}

/* Moves the window on to a serial in a later word and marks it. */
static void
window_advance(struct replay_node *node, const struct window_ring *ring, uint64_t serial)
{
	const uint64_t newest = node->top / REPLAY_WORD_BITS;
	const uint64_t next = serial / REPLAY_WORD_BITS;
	uint64_t word =
		next - newest < REPLAY_INLINE_WORDS ? newest + 1 : next + 1 - REPLAY_INLINE_WORDS;

	window_retire(node, ring, newest, next);
	replay_word_store(&node->top, serial);
	for (; word < next; word++)
		replay_word_store(&node->words[word % REPLAY_INLINE_WORDS], 0);
	window_clear_skipped(ring, newest, next);
	replay_word_store(&node->words[next % REPLAY_INLINE_WORDS], replay_serial_bit(serial));
}

void
replay_ring_prefetch(const struct replay_store *store, uint32_t slot)
{
	const uint64_t newest = replay_word_load(&store->nodes[slot].top) / REPLAY_WORD_BITS;
	struct window_ring ring;

	if (window_ring_find(store, slot, &ring))
		__builtin_prefetch(ring_word(&ring, newest + 1 - REPLAY_INLINE_WORDS), 1);
}

/* The same for the next word, as it is in order: nothing is skipped, one word leaves the line. */
static void
window_step(struct replay_node *node, const struct window_ring *ring, uint64_t serial)
{
	const uint64_t leaving = serial / REPLAY_WORD_BITS - REPLAY_INLINE_WORDS;
	uint64_t *word = &node->words[leaving % REPLAY_INLINE_WORDS];

	replay_word_store(ring_word(ring, leaving), *word);
	replay_word_store(&node->top, serial);
	replay_word_store(word, replay_serial_bit(serial));
}

enum replay_result
replay_window_peek_slow(const struct replay_store *store, uint32_t slot, uint64_t serial)
{
	const struct replay_node *node = &store->nodes[slot];
	const uint64_t top = replay_word_load(&node->top);
	struct window_ring ring;

	if (replay_line_is_stale(node, top, serial))
		return REPLAY_STALE;
	if (serial > top)
		return REPLAY_NEW;
	if (!window_ring_find(store, slot, &ring))
		return REPLAY_STALE;
	return replay_word_load(ring_word(&ring, serial / REPLAY_WORD_BITS)) &
			       replay_serial_bit(serial)
		       ? REPLAY_SEEN
		       : REPLAY_NEW;
}

enum replay_result
replay_window_commit_slow(struct replay_store *store, uint32_t slot, uint64_t serial)
{
	struct replay_node *node = &store->nodes[slot];
	struct window_ring ring;
	uint64_t *word;

	if (!window_ring_find(store, slot, &ring))
		return REPLAY_STALE;
	if (serial / REPLAY_WORD_BITS == node->top / REPLAY_WORD_BITS + 1) {
		window_step(node, &ring, serial);
		return REPLAY_NEW;
	}
	if (replay_line_is_stale(node, node->top, serial))
		return REPLAY_STALE;
	if (serial > node->top) {
		window_advance(node, &ring, serial);
		return REPLAY_NEW;
	}
	word = ring_word(&ring, serial / REPLAY_WORD_BITS);
	if (*word & replay_serial_bit(serial))
		return REPLAY_SEEN;
	replay_word_store(word, *word | replay_serial_bit(serial));
	return REPLAY_NEW;
}

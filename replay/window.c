/* SPDX-License-Identifier: BSD-3-Clause */

/* The long way of replay/window.h: the window moves, or an old serial is looked up in the ring. */

#include "replay/window.h"

/*
 * Copies the words that leave the line when `next` becomes the newest one. Near serial 0 word
 * numbers below 0 wrap: these words of the line are still empty, and so are their places.
 */
static void
window_retire(
	struct replay_node *node, const struct replay_ring *ring, uint64_t newest, uint64_t next)
{
	const uint64_t step = next - newest;
	const uint64_t count = step < REPLAY_INLINE_WORDS ? step : REPLAY_INLINE_WORDS;
	uint64_t word = newest + 1 - REPLAY_INLINE_WORDS;
	uint64_t i;

	/* The newest word is going to lie where the oldest one does: let that fall out first. */
	if (count == REPLAY_INLINE_WORDS)
		replay_word_store(&node->top, node->top | (REPLAY_WORD_BITS - 1));
	for (i = 0; i < count; i++, word++)
		replay_word_store(
			replay_ring_word(ring, word), node->words[word % REPLAY_INLINE_WORDS]);
}

/* Empties the words between the line as it was and as it is; at most the window's own number. */
static void
window_clear_skipped(const struct replay_ring *ring, uint64_t newest, uint64_t next)
{
	const uint64_t count = ring->mask + 1;
	uint64_t word = newest + 1;

	if (next - newest > count)
		word = next - count;
	for (; word + REPLAY_INLINE_WORDS <= next; word++)
		replay_word_store(replay_ring_word(ring, word), 0);
}

/* Moves the window on to a serial in a later word and marks it. */
static void
window_advance(struct replay_node *node, const struct replay_ring *ring, uint64_t serial)
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

enum replay_result
replay_window_peek_slow(const struct replay_store *store, uint32_t slot, uint64_t serial)
{
	const struct replay_node *node = &store->nodes[slot];
	const uint64_t top = replay_word_load(&node->top);
	struct replay_ring ring;

	if (replay_line_is_stale(node, top, serial))
		return REPLAY_STALE;
	if (serial > top)
		return REPLAY_NEW;
	if (!replay_ring_find(store, slot, &ring))
		return REPLAY_STALE;
	return replay_word_load(replay_ring_word(&ring, serial / REPLAY_WORD_BITS)) &
			       replay_serial_bit(serial)
		       ? REPLAY_SEEN
		       : REPLAY_NEW;
}

enum replay_result
replay_window_commit_slow(struct replay_store *store, uint32_t slot, uint64_t serial)
{
	struct replay_node *node = &store->nodes[slot];
	struct replay_ring ring;
	uint64_t *word;

	if (!replay_ring_find(store, slot, &ring))
		return REPLAY_STALE;
	if (serial / REPLAY_WORD_BITS == node->top / REPLAY_WORD_BITS + 1) {
		replay_window_step(node, &ring, serial);
		return REPLAY_NEW;
	}
	if (replay_line_is_stale(node, node->top, serial))
		return REPLAY_STALE;
	if (serial > node->top) {
		window_advance(node, &ring, serial);
		return REPLAY_NEW;
	}
	word = replay_ring_word(&ring, serial / REPLAY_WORD_BITS);
	if (*word & replay_serial_bit(serial))
		return REPLAY_SEEN;
	replay_word_store(word, *word | replay_serial_bit(serial));
	return REPLAY_NEW;
}

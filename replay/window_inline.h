/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The short way of replay/window.h: everything that the node's one line can answer. Include
 * "replay/window.h" instead.
 *
 * Implementation notes
 *
 * Word k of the bitmap holds serials 64k .. 64k + 63. With x = top / 64, words x - 3 .. x are in
 * the line, word k in words[k & 3], and words x - W/64 .. x - 4 in the ring. As the ring has W/64
 * places it holds three words more than the window can reach, and needs no spare word.
 *
 * Order of stores: what survives a kill is a prefix of the stores in program order, on every
 * machine (interrupts are precise), so the compiler is all that must be kept from reordering:
 * relaxed atomic stores, each between signal fences. The same relaxed atomics make another
 * worker's peek a race without torn words; it needs no more, since it is a hint.
 */

#include <string.h>

#include "replay/window.h"

/* Comes after each store whose place in the order counts; the crash test stops here. */
#ifndef REPLAY_STORE_STEP
#define REPLAY_STORE_STEP(word) ((void)(word))
#endif

#define REPLAY_WORD_BITS 64u

/* A serial in the line is less than 2^this behind top. */
#define REPLAY_LINE_BITS_LOG2 8u
static_assert(
	REPLAY_INLINE_WORDS * REPLAY_WORD_BITS == 1u << REPLAY_LINE_BITS_LOG2, "replay_line_peek");

static inline uint64_t
replay_word_load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void
replay_word_store(uint64_t *word, uint64_t value)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	REPLAY_STORE_STEP(word);
}

static inline uint64_t
replay_serial_bit(uint64_t serial)
{
	return (uint64_t)1 << (serial % REPLAY_WORD_BITS);
}

/* Is the serial's word one of the four in the line? False for a serial in a word still to come. */
static inline bool
replay_line_has(uint64_t top, uint64_t serial)
{
	return top / REPLAY_WORD_BITS - serial / REPLAY_WORD_BITS < REPLAY_INLINE_WORDS;
}

/*
 * Is the serial behind the window, or is there no window? 1 << 0 would be a window of one serial,
 * so the lowest bit is masked away and bits_log2 = 0 makes every age too great.
 */
static inline bool
replay_line_is_stale(const struct replay_node *node, uint64_t top, uint64_t serial)
{
	const uint64_t window_bits = ((uint64_t)1 << (node->bits_log2 & 63)) & ~(uint64_t)1;
	const uint64_t age = top > serial ? top - serial : 0;

	return age >= window_bits;
}

/* The bit decides, even when serial > top: a writer may have died between bit and top. */
static inline enum replay_result
replay_line_peek(const struct replay_node *node, uint64_t top, uint64_t serial)
{
	const uint64_t index = serial / REPLAY_WORD_BITS % REPLAY_INLINE_WORDS;

	/* No window but the smallest ends within the line; none at all has bits_log2 = 0. */
	if (node->bits_log2 < REPLAY_LINE_BITS_LOG2 && replay_line_is_stale(node, top, serial))
		return REPLAY_STALE;
	return replay_word_load(&node->words[index]) & replay_serial_bit(serial) ? REPLAY_SEEN
										 : REPLAY_NEW;
}

/* Is the serial new, for certain and by the line alone? */
static inline bool
replay_line_is_new(const struct replay_node *node, uint64_t top, uint64_t serial)
{
	const uint64_t *word = &node->words[serial / REPLAY_WORD_BITS % REPLAY_INLINE_WORDS];

	return replay_line_has(top, serial) && node->bits_log2 >= REPLAY_LINE_BITS_LOG2 &&
	       !(replay_word_load(word) & replay_serial_bit(serial));
}

/* Is the serial marked, for certain and by the line alone? */
static inline bool
replay_line_is_seen(const struct replay_node *node, uint64_t top, uint64_t serial)
{
	const uint64_t *word = &node->words[serial / REPLAY_WORD_BITS % REPLAY_INLINE_WORDS];

	return replay_line_has(top, serial) && node->bits_log2 >= REPLAY_LINE_BITS_LOG2 &&
	       replay_word_load(word) & replay_serial_bit(serial);
}

/* Is the serial in a word still to come, of a window that has a ring? Then it is new. */
static inline bool
replay_window_is_ahead(const struct replay_store *store, uint32_t slot, uint64_t serial)
{
	const struct replay_node *node = &store->nodes[slot];

	return replay_word_load(&node->top) / REPLAY_WORD_BITS < serial / REPLAY_WORD_BITS &&
	       node->bits_log2 >= REPLAY_LINE_BITS_LOG2;
}

/* MUST be new, and in the line. */
static inline void
replay_line_mark(struct replay_node *node, uint64_t top, uint64_t serial)
{
	uint64_t *word = &node->words[serial / REPLAY_WORD_BITS % REPLAY_INLINE_WORDS];

	replay_word_store(word, *word | replay_serial_bit(serial));
	if (serial > top)
		replay_word_store(&node->top, serial);
}

static inline enum replay_result
replay_line_commit(struct replay_node *node, uint64_t top, uint64_t serial)
{
	const enum replay_result result = replay_line_peek(node, top, serial);

	if (result == REPLAY_NEW)
		replay_line_mark(node, top, serial);
	return result;
}

/* Statistics of the node: their order does not matter. */
static inline void
replay_node_touch(struct replay_node *node, uint16_t epoch, uint64_t now_us)
{
	node->last_seen_us = now_us;
	node->uses = node->epoch == epoch ? node->uses + 1 : 1;
	node->epoch = epoch;
}

/* uses, epoch, bits_log2 and flags in one load. */
static inline uint64_t
replay_node_counters(const struct replay_node *node)
{
	uint64_t word;

	memcpy(&word, &node->uses, sizeof(word));
	return word;
}

/* replay/window.c: serials outside the line. */
enum replay_result replay_window_peek_slow(
	const struct replay_store *store, uint32_t slot, uint64_t serial);
enum replay_result replay_window_commit_slow(
	struct replay_store *store, uint32_t slot, uint64_t serial);

/* Finds damage, not malice: who can write here can compute it too. Zeroed memory is damage. */
static inline uint64_t
replay_header_checksum(const struct replay_window_header *header)
{
	uint64_t fields[3];
	uint64_t sum = 0x9e3779b97f4a7c15ull;
	size_t i;

	memcpy(fields, header, sizeof(fields));
	for (i = 0; i < 3; i++) {
		sum = (sum ^ fields[i]) * 0xbf58476d1ce4e5b9ull;
		sum ^= sum >> 29;
	}
	return sum;
}
static_assert(offsetof(struct replay_window_header, checksum) == 24, "three words are summed");

static inline bool
replay_window_is_clean(
	const struct replay_store *store, uint32_t slot, uint32_t realm, uint32_t node)
{
	const struct replay_window_header *header = &store->headers[slot];

	return header->realm == realm && header->node == node &&
	       header->bits_log2 == store->nodes[slot].bits_log2 &&
	       header->checksum == replay_header_checksum(header);
}

/* One node's words behind the line. */
struct replay_ring {
	uint64_t *words;
	uint64_t mask;
	uint64_t skew;
};

/* Geometry comes from the header, which open has checked; the line is believed if it agrees. */
static inline bool
replay_ring_find(const struct replay_store *store, uint32_t slot, struct replay_ring *ring)
{
	const struct replay_window_header *header = &store->headers[slot];

	if (header->bits_log2 == 0 || header->bits_log2 != store->nodes[slot].bits_log2)
		return false;
	ring->words = store->ring + header->ring_word;
	ring->mask = ((uint64_t)1 << header->bits_log2) / REPLAY_WORD_BITS - 1;
	ring->skew = (uint64_t)REPLAY_RING_SKEW * slot;
	return true;
}

static inline uint64_t *
replay_ring_word(const struct replay_ring *ring, uint64_t word)
{
	return &ring->words[(word + ring->skew) & ring->mask];
}

/* Moves the window on to the next word, as in order: nothing is skipped, one word leaves the line. */
static inline void
replay_window_step(struct replay_node *node, const struct replay_ring *ring, uint64_t serial)
{
	const uint64_t leaving = serial / REPLAY_WORD_BITS - REPLAY_INLINE_WORDS;
	uint64_t *word = &node->words[leaving % REPLAY_INLINE_WORDS];

	replay_word_store(replay_ring_word(ring, leaving), *word);
	replay_word_store(&node->top, serial);
	replay_word_store(word, replay_serial_bit(serial));
}

static inline void
replay_ring_prefetch(const struct replay_store *store, uint32_t slot, uint64_t serial)
{
	const uint64_t newest = replay_word_load(&store->nodes[slot].top) / REPLAY_WORD_BITS;
	const uint64_t word = serial / REPLAY_WORD_BITS;
	struct replay_ring ring;

	/* Ahead of the line: the word that leaves it for the next one. */
	if (replay_ring_find(store, slot, &ring))
		__builtin_prefetch(replay_ring_word(&ring,
					   word > newest ? newest + 1 - REPLAY_INLINE_WORDS : word),
			1);
}

/*
 * Commits a serial that is ahead of the node's line (replay_window_is_ahead). Inline, since it comes
 * once a burst: what is called then lies in no near cache.
 */
static inline void
replay_window_commit_ahead(struct replay_store *store, uint32_t slot, uint64_t serial)
{
	struct replay_node *node = &store->nodes[slot];
	struct replay_ring ring;

	if (serial / REPLAY_WORD_BITS == node->top / REPLAY_WORD_BITS + 1 &&
		replay_ring_find(store, slot, &ring))
		replay_window_step(node, &ring, serial);
	else
		replay_window_commit_slow(store, slot, serial);
}

static inline enum replay_result
replay_window_peek(const struct replay_store *store, uint32_t slot, uint64_t serial)
{
	const struct replay_node *node = &store->nodes[slot];
	const uint64_t top = replay_word_load(&node->top);

	if (replay_line_has(top, serial))
		return replay_line_peek(node, top, serial);
	return replay_window_peek_slow(store, slot, serial);
}

static inline enum replay_result
replay_window_commit(
	struct replay_store *store, uint32_t slot, uint64_t serial, uint16_t epoch, uint64_t now_us)
{
	struct replay_node *node = &store->nodes[slot];
	const uint64_t top = replay_word_load(&node->top);
	enum replay_result result;

	if (replay_line_has(top, serial))
		result = replay_line_commit(node, top, serial);
	else
		result = replay_window_commit_slow(store, slot, serial);
	if (result == REPLAY_NEW)
		replay_node_touch(node, epoch, now_us);
	return result;
}

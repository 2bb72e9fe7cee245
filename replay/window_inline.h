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

/* replay/window.c: serials outside the line. */
enum replay_result replay_window_peek_slow(
	const struct replay_store *store, uint32_t slot, uint64_t serial);
enum replay_result replay_window_commit_slow(
	struct replay_store *store, uint32_t slot, uint64_t serial);

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
replay_window_peek_line(const struct replay_store *store, uint32_t slot, uint64_t serial)
{
	const struct replay_node *node = &store->nodes[slot];
	const uint64_t top = replay_word_load(&node->top);

	if (replay_line_has(top, serial))
		return replay_line_peek(node, top, serial);
	return replay_line_is_stale(node, top, serial) ? REPLAY_STALE : REPLAY_NEW;
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

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The window that replay windows are measured against: RFC 6479 as it stands, a ring of words with
 * one to spare, per node the highest serial and then the words. No crash safety, no readers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer_window {
	uint64_t top;
	uint64_t words[];
};

/* Of the ring: a power of two (RFC 6479 section 3). One of them is to spare. */
static inline uint64_t
peer_window_words(uint32_t window_bits)
{
	return window_bits / 64;
}

/* Of one node, whole cache lines. */
static inline size_t
peer_window_size(uint32_t window_bits)
{
	return (sizeof(struct peer_window) + window_bits / 8 + 63) / 64 * 64;
}

/* Inside the window, and not seen? */
static inline bool
peer_window_is_new(const struct peer_window *window, uint64_t words, uint64_t serial)
{
	if (serial > window->top)
		return true;
	if (window->top - serial >= (words - 1) * 64)
		return false;
	return !(window->words[serial / 64 & (words - 1)] >> serial % 64 & 1);
}

static inline void
peer_window_advance(struct peer_window *window, uint64_t words, uint64_t serial)
{
	const uint64_t last = window->top / 64;
	uint64_t fresh = serial / 64 - last;
	uint64_t i;

	if (fresh > words)
		fresh = words;
	for (i = 1; i <= fresh; i++)
		window->words[(last + i) & (words - 1)] = 0;
	window->top = serial;
}

/* Marks a new serial. False, and nothing is changed, if it was not. */
static inline bool
peer_window_commit(struct peer_window *window, uint64_t words, uint64_t serial)
{
	if (!peer_window_is_new(window, words, serial))
		return false;
	if (serial > window->top)
		peer_window_advance(window, words, serial);
	window->words[serial / 64 & (words - 1)] |= (uint64_t)1 << serial % 64;
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Replay window after RFC 6479: a ring of words, cleared as the window moves on, never shifted. One
 * word of the ring is spare, as there. Smaller than a gateway's (65,536 serials), which is to the
 * peers' advantage: their nodes take less memory.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define WINDOW_WORDS 128u
#define WINDOW_BITS  ((WINDOW_WORDS - 1) * 64)

enum window_answer {
	WINDOW_NEW,
	WINDOW_SEEN,
	WINDOW_STALE,
};

struct window {
	uint64_t top; /* the highest serial taken, 0: none */
	uint64_t words[WINDOW_WORDS];
};

static inline enum window_answer
window_peek(const struct window *window, uint64_t serial)
{
	if (serial > window->top)
		return WINDOW_NEW;
	if (window->top - serial >= WINDOW_BITS)
		return WINDOW_STALE;
	return window->words[serial / 64 % WINDOW_WORDS] >> serial % 64 & 1 ? WINDOW_SEEN
									    : WINDOW_NEW;
}

/* MUST follow a peek that said WINDOW_NEW, for a credential whose tag was right. */
static inline void
window_commit(struct window *window, uint64_t serial)
{
	uint64_t word = window->top / 64;

	if (serial > window->top) {
		if (serial / 64 - word >= WINDOW_WORDS)
			memset(window->words, 0, sizeof(window->words));
		else
			while (word < serial / 64)
				window->words[++word % WINDOW_WORDS] = 0;
		window->top = serial;
	}
	window->words[serial / 64 % WINDOW_WORDS] |= (uint64_t)1 << serial % 64;
}

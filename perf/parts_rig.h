/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Parts of the packet path alone, for benchmarks in C++: the parser, replay windows. Plain C types
 * only, since the project's headers use C11 atomics. One thread. Creators return NULL with a
 * message on standard error.
 */

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- parse ---- */

struct parts_parse;

/* `count` credentials of `size` bytes each (96 ... 1,232), one after another in memory. */
struct parts_parse *parts_parse_create(uint32_t count, uint32_t size);
void parts_parse_destroy(struct parts_parse *parse);

/* Breaks every credential's length field, or mends it. */
void parts_parse_break(struct parts_parse *parse, bool is_broken);

/* Parses all of them as the path does; returns how many are good. */
uint32_t parts_parse_pass(const struct parts_parse *parse);

/* ---- windows ---- */

enum parts_pattern {
	PARTS_IN_ORDER, /* each node's serials one after another */
	PARTS_IN_LINE,  /* 64 at a time, shuffled: late ones are still in the node's line */
	PARTS_IN_RING,  /* late by hundreds up to half the window, anywhere in it: the worst case */
};

struct parts_window_params {
	uint32_t nodes;
	uint32_t window_bits; /* at least 2,048 */
	uint32_t count;       /* operations of a pass */
	enum parts_pattern pattern;
};

struct parts_window;

/* The windows, and the peer's (perf/peer_window.h) with the same serials accepted. */
struct parts_window *parts_window_create(const struct parts_window_params *params);
void parts_window_destroy(struct parts_window *window);

/*
 * The next pass's operations: nodes drawn at random, of each a serial that it has not used. Those
 * drawn for commits MUST be committed, by us and by the peer, before the next draw.
 */
void parts_window_draw_commits(struct parts_window *window);
void parts_window_draw_peeks(struct parts_window *window);

/* Each node's line is fetched a burst ahead. They return how many serials were new: all. */
uint32_t parts_window_peek(const struct parts_window *window);
uint32_t parts_window_commit(struct parts_window *window);
uint32_t parts_window_peer_peek(const struct parts_window *window);
uint32_t parts_window_peer_commit(struct parts_window *window);

#ifdef __cplusplus
}
#endif

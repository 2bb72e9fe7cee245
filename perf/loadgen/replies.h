/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Replies: found in what was received, matched with their requests, proved, timed. */

#include "perf/loadgen/flight.h"
#include "perf/loadgen/mint.h"
#include "perf/loadgen/report.h"

struct replies {
	const struct settings *settings;
	const struct keys *keys;
	struct tag_engine *engine;
	struct flight flight; /* by request tag */
};

/* 0, or -1 and said why. Nothing is kept if no replies are wanted. */
int replies_init(struct replies *replies, const struct mint *mint);
void replies_fini(struct replies *replies);

/* The frames of the burst that want a reply are under way. */
void replies_expect(struct replies *replies, const struct mint *mint, const uint64_t *dues);

/* `count` (up to 64) frames came in at `now`. */
void replies_take(struct replies *replies, const uint8_t *const *frames, const uint16_t *sizes,
	unsigned count, uint64_t now, struct results *results);

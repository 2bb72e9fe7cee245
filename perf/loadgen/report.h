/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What was counted and timed, and how it is told. */

#include <stdio.h>

#include "perf/loadgen/histogram.h"
#include "perf/loadgen/mint.h"
#include "perf/loadgen/settings.h"
#include "verdict/verdict.h"

/* Written by the busy loop alone; the main thread looks at some of it each second. */
struct results {
	uint64_t tsc_hz;
	uint64_t tsc_spent; /* from the first burst to the last */
	uint64_t minted;
	uint64_t mint_tsc; /* in minting */
	uint64_t sent;
	uint64_t sent_bytes; /* of frames */
	uint64_t tx_dropped;
	uint64_t tx_retries;   /* bursts that were offered again */
	uint64_t late_tsc_max; /* between due and made */
	uint64_t sent_class[MINT_CLASSES];
	uint64_t sent_wanting; /* a reply */
	uint64_t replies[VERDICT_COUNTERS];
	uint64_t reply_count;
	uint64_t replies_unmatched; /* to nothing we know of (any more) */
	uint64_t replies_unproved;
	uint64_t received_other; /* frames that are no replies */
	uint64_t accepted_seen;  /* verdicts read */
	uint64_t accepted_timed;
	uint64_t verdicts_lost; /* slots of the rings, by reading too slowly */
	uint64_t forgotten;     /* under way, and put out of a table: not timed, not matched */
	bool is_gateway_gone;
	struct histogram mint_bursts; /* TSC cycles of each full burst: robust against preemption */
	struct histogram send_to_reply;
	struct histogram send_to_verdict;
};

/* Counters of the device, by name. */
struct report_counter {
	char name[64];
	uint64_t value;
};

struct report_device {
	unsigned count;
	struct report_counter counters[64];
};

/* The counter that another thread may look at meanwhile. */
static inline void
results_store(uint64_t *counter, uint64_t value)
{
	__atomic_store_n(counter, value, __ATOMIC_RELAXED);
}

static inline uint64_t
results_load(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

/* One line of progress on standard error, a heading before the first. */
void report_progress(const struct results *results, const struct settings *settings);

/* The whole, for people or as JSON (docs/loadgen.md), on `to`. */
void report_table(FILE *to, const struct results *results, const struct settings *settings,
	const struct mint *mint, const struct report_device *device);
void report_json(FILE *to, const struct results *results, const struct settings *settings,
	const struct mint *mint, const struct report_device *device);

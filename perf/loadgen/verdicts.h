/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Reading delivered verdicts while sending, as a consumer of the gateway: how long it takes from
 * the time a credential was due until its verdict can be read. The time is in the payload, or, if
 * there is no room, in a table by node and serial.
 */

#include "perf/loadgen/flight.h"
#include "perf/loadgen/mint.h"
#include "perf/loadgen/report.h"

struct cg_reader;

struct verdicts {
	const struct mint *mint;
	uint32_t sample_mask;
	struct cg_reader *reader; /* NULL: not wanted */
	struct flight flight;
};

/*
 * Attaches, for the moment as another user if --verdicts-as says so. Before other threads are
 * started. 0, or -1 and said why.
 */
int verdicts_init(
	struct verdicts *verdicts, const struct settings *settings, const struct mint *mint);
void verdicts_fini(struct verdicts *verdicts);

/* The burst is under way. */
void verdicts_expect(struct verdicts *verdicts, const uint64_t *dues);

/* Reads what there is, at most `count_max`, so that sending goes on. */
void verdicts_read(struct verdicts *verdicts, unsigned count_max, struct results *results);

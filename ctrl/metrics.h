/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Metrics of a running gateway as OpenMetrics 1.0 text over HTTP, GET /metrics (docs/metrics.md).
 * Whoever reaches the port may read: there are counters and names of realms, groups and limits, no
 * secrets and no nodes; so it listens on loopback unless told otherwise.
 *
 * A client costs at most METRICS_HEAD_MAX bytes and one of METRICS_VISITORS_MAX places, for
 * METRICS_VISIT_S at most, however slowly it writes or reads; when all places are taken the
 * oldest one is given away. The text is made at most once in METRICS_AGE_US and shared by all who
 * ask meanwhile, so a flood of requests costs the event loop no more than its own bytes.
 *
 * Implementation notes: not libevent's evhttp, which in 2.1.12 bounds neither the number of its
 * connections nor the time of one (only that between two bytes), offers no hook at their end, and,
 * behind a filtering bufferevent that would be one, dies of a request it cannot parse.
 */

#include "ctrl/ctrl.h"
#include "ctrl/metrics_text.h"

#define METRICS_VISITORS_MAX 16u
#define METRICS_VISIT_S      5
#define METRICS_HEAD_MAX     8192u
#define METRICS_AGE_US       200000u

struct metrics;

/*
 * Listens as ctrl->config says; off, or without the default address because somebody has it (told in the
 * log), it only counts. NULL with the cure if an address that was asked for cannot be had.
 */
struct metrics *metrics_create(const struct ctrl *ctrl, struct reason *reason);
void metrics_destroy(struct metrics *metrics);

/* Each second: looks at the next METRICS_DRAIN_NODES nodes' rotations. */
#define METRICS_DRAIN_NODES 8192u
void metrics_tick(struct metrics *metrics);

/* Of a realm's nodes that have more than one key. */
struct metrics_drain_counts {
	uint32_t moved;
	uint32_t in_use;
	uint32_t silent;
};
struct metrics_drain_counts metrics_drain_counts(const struct metrics *metrics, unsigned realm);

/* How often the page was given out, and how many requests got another answer or none. */
struct metrics_visits {
	uint64_t served;
	uint64_t refused;
};
struct metrics_visits metrics_visits(const struct metrics *metrics);

/* ---- metrics_nouns.c: what is told ---- */

/* The whole text, for free(); NULL without memory. */
char *metrics_make(const struct ctrl *ctrl, size_t *size);

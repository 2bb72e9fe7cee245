/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Limits that many nodes share (a role, the aggregate default) are enforced by several workers that
 * do not talk to each other: each has a share of the rate. Here the shares are made anew each
 * LIMITS_PERIOD_MS from what every worker was asked for (statistics) and written where the workers
 * read them (struct meters_header). docs/limits.md has the arithmetic.
 *
 * Everything but limits_divide runs in the thread of the event loop.
 */

#include <event2/event.h>
#include <stdint.h>

#include "dataplane/meters.h"
#include "dataplane/table.h"

#define LIMITS_PERIOD_MS 200
#define LIMITS_NAME_SIZE 64u
/* Of the rate, this part is kept for workers that nobody asks: rate / LIMITS_FLOOR in all. */
#define LIMITS_FLOOR 16u

struct limits;

/* One shared limit as the compiled policies have it. */
struct limits_entry {
	char name[LIMITS_NAME_SIZE]; /* as people know it; one of its own in the realm */
	unsigned realm_index;
	double rate;  /* credentials per second of all workers together; 0: not used */
	double burst; /* credentials; below 1 counts as 1 */
};

/* What is known of a limit; rates are per second, over about the last second. */
struct limits_view {
	const struct limits_entry *entry;
	uint64_t taken; /* since it came into force */
	uint64_t refused;
	double taken_per_s;
	double refused_per_s;
	const double *shares; /* per second, one for each worker */
	unsigned worker_count;
};

/* `meters` and `stats` MUST outlive it. NULL without memory. */
struct limits *limits_create(struct event_base *base, struct meters_header *meters,
	struct stats_header *stats, unsigned worker_count);
void limits_destroy(struct limits *limits);

/*
 * The limits of the policies that are about to be published: entries[i] is what classes call limit
 * i, so entries[0] is not looked at and `count` is 0 or one more than there are limits, at most
 * TABLE_LIMITS_MAX. MUST be called before the table is published: a worker that meets a limit
 * without a share lets everything pass. A limit of the same realm and name keeps what is known of
 * the demand.
 */
void limits_set(struct limits *limits, const struct limits_entry *entries, unsigned count);

/* One more than there are limits, or 0; and what is known of limit 1 ... count - 1. */
unsigned limits_count(const struct limits *limits);
struct limits_view limits_view(const struct limits *limits, unsigned index);

/* Looks at what was asked for in the last `elapsed_us` and divides anew; the timer does it. */
void limits_look(struct limits *limits, uint64_t elapsed_us);

/*
 * Divides `rate` among workers that were asked for `demand` each (both per second). Nobody gets
 * less than rate / LIMITS_FLOOR / worker_count, so that it can start before the next division. What
 * is asked for is given if it is there, and the rest in equal parts; else those who ask for most
 * get the same, so that none can drown the others. The shares make `rate`, never more.
 */
void limits_divide(double rate, const double *demand, unsigned worker_count, double *shares);

/* A worker's share as it reads it. `part` of the burst, but room for one credential at least. */
struct limits_share {
	uint64_t interval_ns;
	uint64_t depth_ns;
};
struct limits_share limits_share_of(double rate, double burst, double share);

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/rate_limits.h"

#include <stdlib.h>
#include <string.h>

#include "ctrl/clock.h"

#define NS_PER_S 1e9
#define US_PER_S 1e6

/* Demand rises at once and falls by this part in a period; slower where tokens are few. */
#define FALL_MAX    0.75
#define FALL_MIN    (1.0 / 64)
#define FALL_TOKENS 8.0 /* a period that could have seen less than this says little */

/* What is shown follows the last second: five periods. */
#define SHOWN_PART 0.3

/* UINT64_MAX would mean "nothing"; one credential a day is the least there is. */
#define INTERVAL_NS_MAX 86400000000000ull
#define DEPTH_NS_MAX    (365 * INTERVAL_NS_MAX)

struct limit {
	struct limits_entry entry;
	double demand[TABLE_WORKERS_MAX];
	double shares[TABLE_WORKERS_MAX];
	/* The workers' counters as last seen. */
	uint64_t taken_seen[TABLE_WORKERS_MAX];
	uint64_t refused_seen[TABLE_WORKERS_MAX];
	uint64_t taken;
	uint64_t refused;
	double taken_per_s;
	double refused_per_s;
};

struct limits {
	struct event *timer;
	struct meters_header *meters;
	struct stats_header *stats;
	unsigned worker_count;
	uint64_t looked_us; /* monotonic clock */
	unsigned count;
	struct limit limits[TABLE_LIMITS_MAX];
};

/* ---- arithmetic ---- */

static double
sum_of(const double *values, unsigned count)
{
	double sum = 0;

	for (unsigned i = 0; i < count; i++)
		sum += values[i];
	return sum;
}

/*
 * The level at which the cut demands make the rate. Each pass takes out those who ask for less than
 * an equal part of what is left; who is out stays out, so passes are at most as many as workers.
 */
static double
level_of(double rate, const double *asked, unsigned count)
{
	double level = rate / count, before;

	do {
		double small = 0;
		unsigned large = 0;

		before = level;
		for (unsigned i = 0; i < count; i++) {
			if (asked[i] <= level)
				small += asked[i];
			else
				large++;
		}
		if (large > 0)
			level = (rate - small) / large;
	} while (level > before);
	return level;
}

void
limits_divide(double rate, const double *demand, unsigned worker_count, double *shares)
{
	const double floor = rate / LIMITS_FLOOR / worker_count;
	double asked[TABLE_WORKERS_MAX], rest, level;

	for (unsigned i = 0; i < worker_count; i++)
		asked[i] = demand[i] > floor ? demand[i] : floor;
	rest = rate - sum_of(asked, worker_count);
	if (rest >= 0) {
		for (unsigned i = 0; i < worker_count; i++)
			shares[i] = asked[i] + rest / worker_count;
		return;
	}
	level = level_of(rate, asked, worker_count);
	for (unsigned i = 0; i < worker_count; i++)
		shares[i] = asked[i] < level ? asked[i] : level;
}

/* Rounded up, so that the workers' rates never make more than the limit's. */
struct limits_share
limits_share_of(double rate, double burst, double share)
{
	const double interval = NS_PER_S / share;
	double tokens = burst * share / rate;
	struct limits_share made = {.interval_ns = INTERVAL_NS_MAX};

	if (tokens < 1)
		tokens = 1;
	if (interval < (double)INTERVAL_NS_MAX) {
		made.interval_ns = (uint64_t)interval;
		made.interval_ns += (double)made.interval_ns < interval;
	}
	tokens *= (double)made.interval_ns;
	made.depth_ns = tokens < (double)DEPTH_NS_MAX ? (uint64_t)tokens : DEPTH_NS_MAX;
	return made;
}

/* ---- shares ---- */

static bool
is_used(const struct limit *limit)
{
	return limit->entry.rate > 0;
}

/* The pair is not stored at once: for a moment the depth may be that of another share. */
static void
shares_write(const struct limits *limits, unsigned index)
{
	const struct limit *limit = &limits->limits[index];

	for (unsigned i = 0; i < limits->worker_count; i++) {
		struct meter_share *share = &limits->meters->shares[index][i];
		struct limits_share made = {.interval_ns = UINT64_MAX};

		if (is_used(limit))
			made = limits_share_of(
				limit->entry.rate, limit->entry.burst, limit->shares[i]);
		atomic_store_explicit(&share->depth_ns, made.depth_ns, memory_order_relaxed);
		atomic_store_explicit(&share->interval_ns, made.interval_ns, memory_order_relaxed);
	}
}

static uint64_t
counter(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

/* What a counter grew by; one that went back has begun anew. */
static uint64_t
growth(uint64_t now, uint64_t *seen)
{
	uint64_t grown = now >= *seen ? now - *seen : now;

	*seen = now;
	return grown;
}

/* More than the rate is as good as the rate, and would take longer to be forgotten. */
static double
demand_next(const struct limit *limit, double before, double now, double elapsed_s)
{
	double fall = limit->entry.rate * elapsed_s / FALL_TOKENS;

	if (now > limit->entry.rate)
		now = limit->entry.rate;
	if (now >= before)
		return now;
	fall = fall > FALL_MAX ? FALL_MAX : fall < FALL_MIN ? FALL_MIN : fall;
	return before + fall * (now - before);
}

static void
limit_look(struct limits *limits, unsigned index, double elapsed_s)
{
	struct limit *limit = &limits->limits[index];
	uint64_t taken_all = 0, refused_all = 0;

	for (unsigned i = 0; i < limits->worker_count; i++) {
		const struct worker_stats *stats = stats_worker(limits->stats, i);
		uint64_t taken = growth(counter(&stats->limit_taken[index]), &limit->taken_seen[i]);
		uint64_t refused =
			growth(counter(&stats->limit_refused[index]), &limit->refused_seen[i]);

		limit->demand[i] = demand_next(
			limit, limit->demand[i], (double)(taken + refused) / elapsed_s, elapsed_s);
		taken_all += taken;
		refused_all += refused;
	}
	limit->taken += taken_all;
	limit->refused += refused_all;
	limit->taken_per_s += SHOWN_PART * ((double)taken_all / elapsed_s - limit->taken_per_s);
	limit->refused_per_s +=
		SHOWN_PART * ((double)refused_all / elapsed_s - limit->refused_per_s);
	limits_divide(limit->entry.rate, limit->demand, limits->worker_count, limit->shares);
	shares_write(limits, index);
}

void
limits_look(struct limits *limits, uint64_t elapsed_us)
{
	for (unsigned i = 1; i < limits->count && elapsed_us > 0; i++)
		if (is_used(&limits->limits[i]))
			limit_look(limits, i, (double)elapsed_us / US_PER_S);
}

static void
timer_due(evutil_socket_t fd, short what, void *context)
{
	struct limits *limits = context;
	uint64_t now_us = clock_mono_us();

	(void)fd;
	(void)what;
	limits_look(limits, now_us - limits->looked_us);
	limits->looked_us = now_us;
}

/* ---- the limits in force ---- */

static const struct limit *
limit_find(const struct limit *limits, unsigned count, const struct limits_entry *entry)
{
	for (unsigned i = 1; i < count; i++)
		if (is_used(&limits[i]) && limits[i].entry.realm_index == entry->realm_index &&
			strcmp(limits[i].entry.name, entry->name) == 0)
			return &limits[i];
	return NULL;
}

static void
limit_begin(struct limits *limits, unsigned index, const struct limits_entry *entry,
	const struct limit *known)
{
	struct limit *limit = &limits->limits[index];

	*limit = known != NULL ? *known : (struct limit){0};
	limit->entry = *entry;
	for (unsigned i = 0; i < limits->worker_count; i++) {
		const struct worker_stats *stats = stats_worker(limits->stats, i);

		/* The index may have been another limit's. */
		limit->taken_seen[i] = counter(&stats->limit_taken[index]);
		limit->refused_seen[i] = counter(&stats->limit_refused[index]);
	}
	if (is_used(limit))
		limits_divide(entry->rate, limit->demand, limits->worker_count, limit->shares);
	shares_write(limits, index);
}

void
limits_set(struct limits *limits, const struct limits_entry *entries, unsigned count)
{
	struct limit *before = malloc(sizeof(limits->limits));
	unsigned before_count = before != NULL ? limits->count : 0;

	if (before != NULL)
		memcpy(before, limits->limits, sizeof(limits->limits));
	for (unsigned i = 1; i < count; i++)
		limit_begin(limits, i, &entries[i], limit_find(before, before_count, &entries[i]));
	limits->count = count;
	free(before);
}

unsigned
limits_count(const struct limits *limits)
{
	return limits->count;
}

struct limits_view
limits_view(const struct limits *limits, unsigned index)
{
	const struct limit *limit = &limits->limits[index];

	return (struct limits_view){
		.entry = &limit->entry,
		.taken = limit->taken,
		.refused = limit->refused,
		.taken_per_s = limit->taken_per_s,
		.refused_per_s = limit->refused_per_s,
		.shares = limit->shares,
		.worker_count = limits->worker_count,
	};
}

struct limits *
limits_create(struct event_base *base, struct meters_header *meters, struct stats_header *stats,
	unsigned worker_count)
{
	const struct timeval period = {0, LIMITS_PERIOD_MS * 1000};
	struct limits *limits = calloc(1, sizeof(*limits));

	if (limits == NULL)
		return NULL;
	limits->meters = meters;
	limits->stats = stats;
	limits->worker_count = worker_count;
	limits->looked_us = clock_mono_us();
	limits->timer = event_new(base, -1, EV_PERSIST, timer_due, limits);
	if (limits->timer == NULL || event_add(limits->timer, &period) != 0) {
		limits_destroy(limits);
		return NULL;
	}
	return limits;
}

void
limits_destroy(struct limits *limits)
{
	if (limits == NULL)
		return;
	if (limits->timer != NULL)
		event_free(limits->timer);
	free(limits);
}

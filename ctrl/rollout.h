/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Is it safe to enforce? What mode enforce would have refused in each realm since a mark, by verdict
 * and by node. The workers count in shared memory that begins at zero with each start; here are the
 * mark, what was counted before it, and what earlier runs counted behind it. The file `rollout` in
 * the state directory keeps that over a restart; a crash forgets the last minute at most.
 *
 * All functions: the thread of the event loop.
 */

#include <stdint.h>

#include "ctrl/config.h"
#include "ctrl/reason.h"
#include "dataplane/meters.h"
#include "dataplane/table.h"

struct rollout;

/* Looked at by rollout_create only; a realm's id, place and nodes_max never change after. */
struct rollout_config {
	const struct config *config;
	const uint32_t *bases; /* of each realm: slot of its node 0 */
	struct stats_header *stats;
	struct meters_header *meters;
	unsigned worker_count;
};

struct rollout_view {
	uint64_t mark_us; /* real-time clock: counted since then */
	uint64_t would[VERDICT_COUNTERS];
	uint64_t refused[VERDICT_COUNTERS]; /* proved, and not accepted */
	uint64_t accepted;
	uint64_t would_all;
};

struct rollout_node {
	uint32_t node;
	uint32_t count;
	uint8_t verdict; /* the last one */
	uint32_t last_s; /* real-time clock */
};

/*
 * Takes up what the last run left. Where it left nothing, or something that cannot be read (which
 * is logged), counting begins at `now_us`. NULL without memory. `stats` and `meters` MUST outlive
 * it.
 */
struct rollout *rollout_create(const struct rollout_config *config, uint64_t now_us);
void rollout_destroy(struct rollout *rollout);

/* Begins anew for a realm. */
void rollout_mark(struct rollout *rollout, unsigned realm_index, uint64_t now_us);

struct rollout_view rollout_view(const struct rollout *rollout, unsigned realm_index);

/*
 * The `room` nodes that would have been refused most, in that order; returns how many nodes there
 * are in all. Looks at every node of the realm: milliseconds for 100,000.
 */
uint32_t rollout_nodes(const struct rollout *rollout, unsigned realm_index,
	struct rollout_node *nodes, unsigned room, unsigned *count);

/* Writes the file. 0, or -errno with the one line; then the old file is whole. */
int rollout_save(struct rollout *rollout, struct reason *reason);

/*
 * To be called each second: saves each minute if there is news, and logs it if that fails. Looks at
 * every node then: milliseconds for 100,000.
 */
void rollout_tick(struct rollout *rollout);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * All shared memory of a gateway: key table, statistics, replay state, meters, and a ring for each (group,
 * worker) and each worker's refusals. Made once, before the first dataplane; every dataplane gets
 * the same, so that what it leaves behind is found by the next one.
 */

#include "ctrl/config.h"
#include "ctrl/keytable.h"
#include "ctrl/memory.h"
#include "ctrl/supervise.h"
#include "dataplane/meters.h"
#include "replay/replay.h"

#define SHARED_OBJECTS_MAX (4 + (TABLE_GROUPS_MAX + 1) * TABLE_WORKERS_MAX)

struct shared {
	struct memory_object table;
	struct memory_object stats;
	struct memory_object replay;
	struct memory_object meters;
	struct memory_object delivery[TABLE_GROUPS_MAX][TABLE_WORKERS_MAX];
	struct memory_object refusal[TABLE_WORKERS_MAX];
	struct keytable_shape shape;
	struct replay_store store;
	uint64_t rings_bytes;
	bool is_locked; /* the key table is kept out of swap */
};

/* Makes and formats everything; states the memory if it is not there. 0 or -errno. */
int shared_create(struct shared *shared, const struct config *config, bool has_hugepages,
	struct reason *reason);
void shared_destroy(struct shared *shared);

/* What a dataplane is handed, in its order; returns how many. */
unsigned shared_objects(const struct shared *shared, const struct config *config,
	struct supervise_object objects[SHARED_OBJECTS_MAX]);

static inline struct meters_header *
shared_meters(const struct shared *shared)
{
	return shared->meters.mapping;
}

static inline struct stats_header *
shared_stats(const struct shared *shared)
{
	return shared->stats.mapping;
}

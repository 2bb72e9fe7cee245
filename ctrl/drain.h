/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The drain meter: which nodes still use a key that was rotated (docs/rotation.md). It looks at
 * accepted credentials only, so nobody can keep an old key alive by replaying what was sent under
 * it. All functions: control's one thread; measuring a realm takes about 0.6 us per node.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctrl/ctrl.h"

#define DRAIN_QUIET_S  600u /* unless told otherwise */
#define DRAIN_ROWS_MAX 64u

enum drain_state {
	DRAIN_MOVED,  /* uses the newest key, and no older one any more */
	DRAIN_IN_USE, /* an older key was accepted within the quiet time, or last of all */
	DRAIN_SILENT, /* nothing of it was accepted since the newest key was opened */
};

/* A node that has more than one live key. */
struct drain_node {
	uint32_t node;
	enum drain_state state;
	uint16_t epoch;    /* of its older keys the one that was used last */
	uint32_t last_s;   /* when; 0: never */
	uint64_t accepted; /* under it */
	uint32_t newest_s; /* when the newest was used last; 0: never */
	uint16_t newest;   /* its epoch */
};

/* All nodes that have an epoch of this number, as their newest key or as an older one. */
struct drain_row {
	uint16_t epoch; /* 0: the rest of more numbers than there are rows */
	bool is_newest;
	uint32_t nodes;
	uint32_t
		in_use; /* nodes that used it since the newest was opened and within the quiet time, or last */
	uint64_t accepted;
	uint64_t per_minute;
	uint64_t refused;
	uint32_t last_s;
};

struct drain {
	uint32_t now_s;
	uint32_t quiet_s;
	uint32_t opened_s;  /* when the last of the newest keys was opened; 0: no node has two */
	uint32_t watched_s; /* for how long: since then, and since credgated was started */
	uint32_t nodes;     /* live ones */
	uint32_t rotating;  /* of them with more than one key */
	uint32_t in_use;
	uint32_t silent;
	struct drain_row rows[DRAIN_ROWS_MAX]; /* by epoch, the highest first */
	unsigned row_count;
};

/*
 * Measures a realm; `each` (may be NULL) is called for every node that has more than one key,
 * ascending, until it returns false. `node` not 0: that node only.
 */
void drain_measure(const struct ctrl *ctrl, unsigned realm_index, uint32_t node, uint32_t quiet_s,
	bool (*each)(const struct drain_node *node, void *context), void *context,
	struct drain *drain);

/* The same from node `first` on. */
void drain_measure_from(const struct ctrl *ctrl, unsigned realm_index, uint32_t first,
	uint32_t quiet_s, bool (*each)(const struct drain_node *node, void *context), void *context,
	struct drain *drain);

/* For nodes `first` ... `last`, which MUST be within 1 ... nodes_max. */
void drain_measure_range(const struct ctrl *ctrl, unsigned realm_index, uint32_t first,
	uint32_t last, uint32_t quiet_s, struct drain *drain);

/* May older keys be closed: is none in use, and was that watched for the quiet time? */
bool drain_is_done(const struct drain *drain);

/* When an epoch of a node was last used; 0: never, as far as is known. */
uint32_t drain_last_s(const struct ctrl *ctrl, unsigned realm_index, uint32_t node, uint16_t epoch);

/* Adds accepted, refused and last_used_s to the JSON of an epoch of a node. */
void drain_epoch_fill(
	const struct ctrl *ctrl, unsigned realm_index, uint32_t node, uint16_t epoch, json_t *item);

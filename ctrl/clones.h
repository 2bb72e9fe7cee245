/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Nodes of which two are alive (docs/enrolment.md, "Clones"): looks at the evidence that the
 * dataplane leaves in their meters, tells when it grew, and suspends the node where its realm's
 * `clones` says so. Control's one thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/meters.h"

struct ctrl;
struct clones;

#define CLONES_LOOK_MAX   65536u /* meters in one look: about a millisecond */
#define CLONES_REPORT_MAX 8u     /* nodes told of in one look; the rest in the next */
#define CLONES_NOTE       "two live incarnations"

/* For ctrl->shared.meters, ctrl->bases and ctrl->registry, which MUST be there. NULL: no memory. */
struct clones *clones_create(struct ctrl *ctrl);
void clones_destroy(struct clones *clones);

/* Each second: looks at the next meters, all of them if they are not more than CLONES_LOOK_MAX. */
void clones_tick(struct clones *clones);

/* How many nodes of a realm have shown a clone since this start. */
uint32_t clones_count(const struct clones *clones, unsigned realm_index);

/* The evidence of one node, as it is now. */
struct clone_view {
	uint32_t incarnation; /* the newest */
	uint64_t since_us;    /* when it was first heard */
	uint32_t other;       /* an older one that is alive beside it; 0: none seen */
	uint32_t count;       /* proofs of that */
	uint32_t collisions;  /* one serial under two tags */
	uint64_t last_us;     /* of either */
	uint8_t source[16];   /* whence the last of `count` came */
};

/* Of a node of a realm; false if there is none. */
bool clones_view(
	const struct clones *clones, unsigned realm_index, uint32_t node, struct clone_view *view);

/* The node is deleted: whoever gets its number next begins without evidence. */
void clones_node_clear(struct clones *clones, unsigned realm_index, uint32_t node);

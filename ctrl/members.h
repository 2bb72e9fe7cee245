/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Membership: makes the member table (verdict/members.h) from what the registry says of each node
 * and what the dataplane noted of its beacons (dataplane/meters.h).
 *
 * Time. How long ago a beacon came is never taken from a time that is written somewhere: control
 * sees that a node's beacon_us is another one than before, and notes its own membership clock. That
 * clock is monotonic, runs only while a dataplane serves, and goes on by a second at most between
 * two looks. So nobody is late because the real-time clock was set, the dataplane was down, or
 * credgated was stopped in a debugger. Real times in the table are for people.
 *
 * Cost. Each look touches one cache line of the meters for each node and nothing of the table
 * unless something changed; no more than MEMBERS_LOOK_MAX nodes at a time. All functions: control's
 * one thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/config.h"
#include "ctrl/memory.h"
#include "ctrl/reason.h"
#include "ctrl/registry.h"
#include "dataplane/meters.h"
#include "verdict/members.h"

#define MEMBERS_LOOK_MS  250u
#define MEMBERS_LOOK_MAX 16384u /* nodes; about a millisecond */

struct members;

/*
 * Makes the table for the realms of `config`, empty; `now_us` is the real-time clock. NULL with the
 * cure.
 */
struct members *members_create(const struct config *config, uint64_t now_us, struct reason *reason);
void members_destroy(struct members *members);

/* Takes the intervals of `config`, whose realms MUST be those of the start. */
void members_configure(struct members *members, const struct config *config);

/* What consumers are handed: reader_fd, size. */
const struct memory_object *members_object(const struct members *members);

/*
 * A node is as the registry has it now: shown at once. One above nodes_max is left out, as it is
 * from the key table; an empty name leaves the one it had. `members` may be NULL: nobody keeps a
 * table then.
 */
void members_node_set(
	struct members *members, unsigned realm_index, const struct registry_node *node);

/* A node is there no more. */
void members_node_clear(struct members *members, unsigned realm_index, uint32_t node);

struct members_moment {
	uint64_t real_us;
	uint64_t mono_us;
	bool is_serving; /* a dataplane polls its ports */
};

/*
 * Looks at the next `count` slots, at most MEMBERS_LOOK_MAX, and begins anew behind the last one.
 * `meters` has at least as many slots as the table. True when a pass over all nodes ended.
 */
bool members_look(struct members *members, struct meters_header *meters, uint32_t count,
	const struct members_moment *now);

/* How many nodes of a realm are in each state. */
void members_count(
	const struct members *members, unsigned realm_index, uint32_t counts[MEMBERS_STATES]);

/* So far. */
struct members_cost {
	uint64_t events;
	uint64_t looks;
	uint64_t looks_us; /* spent in them, and in saving */
};

void members_cost(const struct members *members, struct members_cost *cost);

/* The table as a reader sees it. */
const struct members_view *members_view(const struct members *members);

/* ---- members_file.c: over a restart ---- */

/*
 * Takes who was a member from the file `members` of the state directory: those that were up or late
 * are `unknown` until left_after intervals have passed without a beacon, those that had left stay
 * so, all of them with their last addresses. After the nodes are set, before the first look. The
 * file decides nothing about any key, so one that is missing or damaged is only told.
 */
void members_restore(struct members *members, const char *dir);

/*
 * Writes the next part of the file: MEMBERS_LOOK_MAX entries at most, and at the end puts it in the
 * place of the last one. 1 then; 0: there is more; -errno with the cure, and the next call begins
 * anew.
 */
int members_save(struct members *members, const char *dir, struct reason *reason);

/* ---- members_watch.c: in a running gateway ---- */

struct ctrl;

/* Sets everything up before the nodes are loaded. 0 or -errno with the cure. */
int members_begin(struct ctrl *ctrl, struct reason *reason);

/* Restores, and looks each MEMBERS_LOOK_MS from now on. */
int members_watch(struct ctrl *ctrl, struct reason *reason);

/* Saves and frees. */
void members_end(struct ctrl *ctrl);

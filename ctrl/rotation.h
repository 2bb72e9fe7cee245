/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Rotation of keys, in steps that can be taken back (docs/rotation.md):
 *
 *	rotate		a new epoch beside the old, both accepted; rollback closes the new one
 *	retire		the old epochs are held: refused, not forgotten; rollback brings them back
 *	final		held epochs are closed for good; also by itself ROTATION_HOLD_S after retire
 *
 * What would refuse a key that is in use is not done unless it is forced; the reason names the
 * nodes. A whole realm is one transaction. All functions: control's one thread; the caller asks for
 * the uptake.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/ctrl.h"
#include "ctrl/drain.h"
#include "ctrl/registry_epochs.h"

#define ROTATION_HOLD_S     (7u * 86400u)
#define ROTATION_CHECK_S    60u
#define ROTATION_NAMES_SIZE 400u

/* A realm, or one node of it. */
struct rotation_ask {
	unsigned realm_index;
	uint32_t node;    /* 0: all */
	const char *name; /* of the node */
	uint32_t epoch;   /* of the node; 0: all older ones */
	uint32_t quiet_s;
	bool is_forced;
	bool is_final;
};

struct rotation_done {
	uint32_t held;     /* epochs */
	uint32_t closed;   /* for good */
	uint32_t restored; /* live again */
	uint32_t undone;   /* new epochs closed */
	uint32_t rotation; /* that was undone; 0: none */
	uint32_t silent;   /* nodes not heard under their newest key, among those retired */
	char silent_names[ROTATION_NAMES_SIZE];
};

/* A new epoch for every live node (of a role); with is_new_master derived from a new master. */
int rotation_rotate(struct ctrl *ctrl, unsigned realm_index, const struct registry_rotate *ask,
	bool is_new_master, struct registry_rotation *done, struct reason *reason);

/*
 * Holds old epochs and, if is_final, closes all that are held. -EBUSY with names while they are in
 * use, or were not watched for quiet_s; -ENOENT if there is nothing to do.
 */
int rotation_retire(struct ctrl *ctrl, const struct rotation_ask *ask, struct rotation_done *done,
	struct reason *reason);

/*
 * Takes the last step back: held epochs live again; else the new epochs are closed (-EBUSY with
 * names while they are in use). -ENOENT, saying why, if nothing can be taken back.
 */
int rotation_rollback(struct ctrl *ctrl, const struct rotation_ask *ask, struct rotation_done *done,
	struct reason *reason);

/* Once a second: closes what has been held for ROTATION_HOLD_S. */
void rotation_second(struct ctrl *ctrl);

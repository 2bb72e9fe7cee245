/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Epochs of many nodes at once: rotations of a realm, epochs that are held and closed, and the
 * masters that a realm has (docs/rotation.md). An epoch is LIVE, then HELD (refused, and may become
 * live again), then CLOSED for good. Each function is one transaction over the whole realm, in
 * which SQLite does the work: with the key table about 20 us per node (docs/rotation.md).
 */

#include "ctrl/registry.h"

enum registry_rotation_state {
	REGISTRY_ROTATION_PENDING = 0, /* written before the high-water file knows its epochs */
	REGISTRY_ROTATION_OPEN = 1,
	REGISTRY_ROTATION_UNDONE = 2,
	REGISTRY_ROTATION_FINAL = 3,
};

struct registry_rotation {
	uint32_t rotation; /* its number in the realm, from 1 */
	enum registry_rotation_state state;
	uint32_t opened_s;
	uint32_t nodes; /* that got a new epoch */
	char master[SECRETS_FINGERPRINT_SIZE];
	char previous_master[SECRETS_FINGERPRINT_SIZE]; /* empty: it is the same */
	char role[REGISTRY_ROLE_SIZE];                  /* empty: all nodes */
};

/* What a rotation needs; zero is "not given" apart from realm, realm_name, until_s and master. */
struct registry_rotate {
	uint32_t realm;
	const char *realm_name; /* for messages */
	uint8_t suite;          /* 0: each node's own */
	uint32_t not_before_s;
	uint32_t not_after_s; /* 0: no end */
	uint32_t until_s;     /* older epochs hold no longer; UINT32_MAX: as they would anyway */
	const char *role;     /* only nodes that have it */
	const char *master;
	const char *previous_master; /* `master` is new and becomes the current one */
};

/* How many nodes a rotation would give a new epoch. 0 or -errno. */
int registry_rotate_count(struct registry *registry, const struct registry_rotate *ask,
	uint32_t *count, struct reason *reason);

/*
 * Gives every live node (of a role) a further epoch, all or none; the old ones stay live, but for
 * those more than TABLE_EPOCHS_MAX - 1 numbers behind. 0 or -errno.
 */
int registry_rotate(struct registry *registry, const struct registry_rotate *ask,
	struct registry_rotation *done, struct reason *reason);

/* The newest rotation that is open: 1, 0 if there is none, -errno. */
int registry_rotation_last(struct registry *registry, uint32_t realm,
	struct registry_rotation *rotation, struct reason *reason);

/*
 * Holds the live epochs of the realm's nodes but for each node's newest. `node` not 0: of that node
 * only; `epoch` not 0: that one only. *count gets how many. 0 or -errno.
 */
int registry_epochs_hold(struct registry *registry, uint32_t realm, uint32_t node, uint32_t epoch,
	uint32_t *count, struct reason *reason);

/* Makes held epochs live again (of one node unless 0). *count gets how many. 0 or -errno. */
int registry_epochs_restore(struct registry *registry, uint32_t realm, uint32_t node,
	uint32_t *count, struct reason *reason);

/*
 * Closes epochs that were held at `held_s` or before, for good (of one node unless 0): they are
 * over in the high-water file too. *count gets how many. 0 or -errno.
 */
int registry_epochs_close(struct registry *registry, uint32_t realm, uint32_t node, uint32_t held_s,
	uint32_t *count, struct reason *reason);

/* How many epochs are held (of one node unless 0). 0 or -errno. */
int registry_epochs_held(struct registry *registry, uint32_t realm, uint32_t node, uint32_t *count,
	struct reason *reason);

/* The realm of some epoch that was held at `held_s` or before: 1, 0 if there is none, -errno. */
int registry_epochs_due(
	struct registry *registry, uint32_t held_s, uint32_t *realm, struct reason *reason);

/*
 * Closes the epochs of a rotation, where a node has another live one, and makes the previous master
 * the current one again. *count gets how many. 0 or -errno.
 */
int registry_rotation_undo(struct registry *registry, uint32_t realm,
	const struct registry_rotation *rotation, uint32_t *count, struct reason *reason);

/* Closes one epoch. 0 or -errno. */
int registry_epoch_undo(struct registry *registry, uint32_t realm, uint32_t node, uint16_t epoch,
	struct reason *reason);

/*
 * Calls `each` for the nodes of the realm that have live epochs (for one node unless 0), ascending,
 * until it returns false. Of the node only realm, id and epochs are filled in. `each` MUST NOT
 * change the registry. 0 or -errno.
 */
int registry_epochs_walk(struct registry *registry, uint32_t realm, uint32_t node,
	bool (*each)(const struct registry_node *node, void *context), void *context,
	struct reason *reason);

/* The name of a node: 1, 0 if there is none, -errno. */
int registry_node_name(struct registry *registry, uint32_t realm, uint32_t node,
	char name[REGISTRY_NAME_SIZE], struct reason *reason);

/* ---- masters ---- */

enum registry_master_state {
	REGISTRY_MASTER_CURRENT = 1, /* new epochs are derived from it */
	REGISTRY_MASTER_OLD = 2,     /* some epoch may still be */
	REGISTRY_MASTER_OUT = 3,     /* out of service: no epoch is */
};

struct registry_master {
	char fingerprint[SECRETS_FINGERPRINT_SIZE];
	enum registry_master_state state;
	bool is_used; /* by an epoch that is live or held */
};

#define REGISTRY_MASTERS_MAX 64u /* of a realm, those out of service included: the newest */

/* The realm's masters as it knows them; *count 0: there was never but one. 0 or -errno. */
int registry_masters(struct registry *registry, uint32_t realm,
	struct registry_master masters[REGISTRY_MASTERS_MAX], unsigned *count,
	struct reason *reason);

/* Notes the state of a master. 0 or -errno. */
int registry_master_put(struct registry *registry, uint32_t realm, const char *fingerprint,
	enum registry_master_state state, struct reason *reason);

/* Is an epoch derived from it live or held? 1, 0, -errno. */
int registry_master_used(
	struct registry *registry, uint32_t realm, const char *fingerprint, struct reason *reason);

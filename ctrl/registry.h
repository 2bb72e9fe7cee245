/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The registry: which nodes a realm has, their epochs and prefixes (SQLite, registry.db in the state
 * directory), and the rule that (realm, node, epoch) is used once for ever. A deleted node leaves a
 * tombstone with its highest epoch; the high-water file (ctrl/highwater.h) keeps an old copy of the
 * database from reviving a key.
 *
 * A change is durable before it is answered. Whatever fails (disk full, SQLite) leaves what was in
 * force in force and is one reason to the caller. Only a revocation holds at once: if it cannot be
 * written it is remembered, and written before any other change. All functions: control's one
 * thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/highwater.h"
#include "ctrl/reason.h"
#include "ctrl/revocations.h"
#include "ctrl/secrets.h"
#include "dataplane/table.h"

#define REGISTRY_NAME_SIZE 64u
#define REGISTRY_ROLES_MAX 8u
#define REGISTRY_ROLE_SIZE 32u
#define REGISTRY_NOTE_SIZE 128u

struct registry_epoch {
	uint16_t epoch;
	uint8_t suite;
	uint32_t not_before_s;
	uint32_t not_after_s;                  /* UINT32_MAX: no end */
	char master[SECRETS_FINGERPRINT_SIZE]; /* of the master it is derived from */
	uint32_t opened_s;                     /* real-time clock; 0: before this was noted */
	uint32_t rotation; /* of the whole realm that opened it; 0: none (registry_epochs_walk) */
	uint8_t master_place; /* among the loaded masters of the realm; ctrl/nodes.c fills it in */
};

struct registry_prefix {
	uint8_t address[16];
	uint8_t bits;
};

struct registry_node {
	uint32_t realm;
	uint32_t node;
	char name[REGISTRY_NAME_SIZE];
	bool is_live;      /* else revoked */
	bool is_suspended; /* live, with keys, of which none is to be taken for now */
	uint16_t highest;
	struct registry_epoch epochs[TABLE_EPOCHS_MAX]; /* live ones, newest first */
	unsigned epoch_count;
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX];
	unsigned prefix_count;
	char roles[REGISTRY_ROLES_MAX][REGISTRY_ROLE_SIZE]; /* sorted */
	unsigned role_count;
	char note[REGISTRY_NOTE_SIZE]; /* why it is revoked or suspended */
};

/* What node_add, node_rotate and node_set need; zero is "not given" apart from realm, nodes_max, master. */
struct registry_request {
	uint32_t realm;
	const char *realm_name; /* for messages */
	uint32_t nodes_max;
	const char *name;
	uint32_t node; /* 0: the next free id */
	uint8_t suite; /* 0: the default */
	uint32_t not_before_s;
	uint32_t not_after_s; /* 0: no end */
	const struct registry_prefix *prefixes;
	unsigned prefix_count;
	bool has_prefixes; /* else a node added again keeps those it had */
	const char (*roles)[REGISTRY_ROLE_SIZE];
	unsigned role_count;
	bool has_roles;     /* likewise */
	const char *rename; /* node_set: the new name */
	const char *master;
	/*
	 * If given: may the node be as it is going to be? Asked before anything is committed; what
	 * it answers but 0 is the answer, and nothing is changed. MUST NOT change the registry.
	 */
	int (*admit)(const struct registry_node *node, void *context, struct reason *reason);
	void *admit_context;
};

struct registry;

/*
 * Opens or makes registry.db and the high-water file in `dir`, checks, migrates, and reconciles the
 * two: a node of which the high-water file knows more than the database is revoked, loudly. NULL
 * with the cure: if the database is damaged, or if the high-water file is gone from a directory that
 * was used (nodes, tombstones, or one of the files of running: clock, serials, windows).
 */
struct registry *registry_open(const char *dir, struct reason *reason);
void registry_close(struct registry *registry);

/* Notes a configured realm. -EEXIST if its name belongs to another id. */
int registry_realm_enter(
	struct registry *registry, uint32_t realm, const char *name, struct reason *reason);

/* Was any epoch of the realm ever used? */
bool registry_realm_is_used(const struct registry *registry, uint32_t realm);

/*
 * Calls `each` for the realm's nodes with ids above `after`, ascending, until it returns false.
 * `each` MUST NOT change the registry. 0 or -errno.
 */
int registry_walk(struct registry *registry, uint32_t realm, uint32_t after,
	bool (*each)(const struct registry_node *node, void *context), void *context,
	struct reason *reason);

/* A node by name, or by id if name is NULL. 0, -ENOENT or another -errno with the cure. */
int registry_node_find(struct registry *registry, uint32_t realm, const char *realm_name,
	const char *name, uint32_t id, struct registry_node *node, struct reason *reason);

/*
 * Adds a node, or gives a revoked one a new epoch above every one it ever had. `node` gets the
 * result. -EEXIST if it is there and live, -ENOSPC if the realm is full.
 */
int registry_node_add(struct registry *registry, const struct registry_request *request,
	struct registry_node *node, struct reason *reason);

/*
 * Gives a live node a further epoch; the old ones live on until `until_s` (UINT32_MAX: as long as
 * they would anyway). At most TABLE_EPOCHS_MAX live at once, none older than that many numbers.
 */
int registry_node_rotate(struct registry *registry, const struct registry_request *request,
	uint32_t until_s, struct registry_node *node, struct reason *reason);

/*
 * Changes prefixes, roles and name, as far as the request has them, and no key. `node` gets the
 * result. -EEXIST if the new name is another node's.
 */
int registry_node_set(struct registry *registry, const struct registry_request *request,
	struct registry_node *node, struct reason *reason);

/*
 * Suspends a live node, or takes that back; `note` (NULL: none) says why. Its keys stay. A revoked
 * node stays as it is. A suspension that cannot be written is remembered like a revocation: 1, with
 * the reason.
 */
int registry_node_suspend(struct registry *registry, uint32_t realm, uint32_t node,
	bool is_suspended, const char *note, struct reason *reason);

/*
 * Closes all epochs of nodes, in one transaction; a `note` of NULL leaves that of each as it is.
 * Again for a revoked one: 0. Returns 1, with the reason, if it could not be written: from now on
 * the nodes are revoked for every function here, and registry_sync tries again. -ENOMEM if it could
 * not even be remembered. The other is of one node.
 */
int registry_revoke(struct registry *registry, const struct revocation *items, size_t count,
	const char *note, struct reason *reason);
int registry_node_revoke(
	struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason);

/* Writes remembered revocations and suspensions. 0 if none is left, or -errno. */
int registry_sync(struct registry *registry, struct reason *reason);

/* How many of them are remembered and not written. */
size_t registry_unwritten(const struct registry *registry);

/* Revokes, forgets the name and leaves a tombstone; the id may be given out again. */
int registry_node_delete(
	struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason);

/* ---- selections ---- */

/* A node that was chosen: what revoking it takes. */
struct registry_selected {
	uint32_t node;
	uint16_t highest;
	bool is_live;
	bool is_partial; /* by prefix: some of it lies inside, and some does not */
};

struct registry_selection {
	struct registry_selected *items; /* by id */
	size_t count;
	size_t room;
};

/*
 * All nodes with a role, or all nodes with a prefix that has something in common with `prefix`. An
 * empty selection comes zeroed; the caller gives it back. Takes about half a microsecond per node of
 * the role, or per prefix of the realm. 0 or -errno.
 */
int registry_select_role(struct registry *registry, uint32_t realm, const char *role,
	struct registry_selection *selection, struct reason *reason);
int registry_select_prefix(struct registry *registry, uint32_t realm,
	const struct registry_prefix *prefix, struct registry_selection *selection,
	struct reason *reason);

/* Adds the node of that name: 1, 0 if there is none, -errno. */
int registry_select_name(struct registry *registry, uint32_t realm, const char *name,
	struct registry_selection *selection, struct reason *reason);

void registry_selection_fini(struct registry_selection *selection);

/* ---- imports ---- */

/*
 * Very many nodes as one change: rows are checked and written as they come, in one transaction of a
 * connection of their own, so that nobody sees them before the commit, and all of them or none are
 * there after a crash. Meanwhile every other change is -EAGAIN, and revocations are remembered.
 */
struct registry_import;

enum registry_import_outcome {
	REGISTRY_IMPORT_ADDED,
	REGISTRY_IMPORT_CHANGED,
	REGISTRY_IMPORT_UNCHANGED,
	REGISTRY_IMPORT_SKIPPED, /* revoked here, or meant to be: an import gives no new keys */
};

enum registry_import_state {
	REGISTRY_IMPORT_ANY, /* live, if it is new; else as it is */
	REGISTRY_IMPORT_LIVE,
	REGISTRY_IMPORT_SUSPENDED,
	REGISTRY_IMPORT_REVOKED,
};

/* -EAGAIN if another one is under way. `nodes_max` is that of the realm, of which alone it is. */
int registry_import_begin(struct registry *registry, uint32_t nodes_max,
	struct registry_import **import, struct reason *reason);

/*
 * One row; the request is that of node_add, but `admit` is not asked. *node gets the node's id, 0 if
 * it was skipped. After an error the import MUST be aborted.
 */
int registry_import_row(struct registry_import *import, const struct registry_request *request,
	enum registry_import_state state, uint32_t *node, enum registry_import_outcome *outcome,
	struct reason *reason);

/* Makes the rows durable: 0, or -errno and nothing of them is there. Either way it is over. */
int registry_import_commit(struct registry_import *import, struct reason *reason);
void registry_import_abort(struct registry_import *import);

/* ---- documents ---- */

/*
 * Texts that belong to a realm (or to the gateway: realm 0), each kind with its history: a policy, a
 * mode that was set live. The newest REGISTRY_DOCUMENTS_KEPT versions of a kind are kept.
 */
#define REGISTRY_DOCUMENTS_KEPT    100u
#define REGISTRY_DOCUMENT_SIZE_MAX (4u << 20)
#define REGISTRY_WHO_SIZE          64u

struct registry_document {
	uint32_t version; /* 1 ... */
	bool is_removed;  /* this version says that there is none any more */
	int64_t added_s;
	size_t size; /* of the text in bytes, without its NUL */
	char *text;  /* from registry_document_get: the caller's to free; else NULL */
	char who[REGISTRY_WHO_SIZE];
};

/*
 * Appends a version: durable when it returns 0. `text` NULL marks removal; `who` is shown in the
 * history. *version (may be NULL) gets its number. -EFBIG above REGISTRY_DOCUMENT_SIZE_MAX.
 */
int registry_document_put(struct registry *registry, uint32_t realm, const char *kind,
	const char *text, const char *who, uint32_t *version, struct reason *reason);

/*
 * Version `version`, or the newest for 0. -ENOENT if there is none, or if it is a removal: then
 * `document` tells all but a text.
 */
int registry_document_get(struct registry *registry, uint32_t realm, const char *kind,
	uint32_t version, struct registry_document *document, struct reason *reason);

/*
 * Calls `each` for all versions, newest first and without their texts, until it returns false. It
 * MUST NOT change the registry. 0 or -errno.
 */
int registry_document_walk(struct registry *registry, uint32_t realm, const char *kind,
	bool (*each)(const struct registry_document *document, void *context), void *context,
	struct reason *reason);

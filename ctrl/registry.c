/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/log.h"
#include "ctrl/registry_priv.h"
#include "wire/cred.h"

/* ---- a state directory without its high-water file ---- */

/* 1 if credgated has run on this directory before, 0 if not, -errno. */
static int
dir_was_used(struct registry *registry, const char *dir, struct reason *reason)
{
	static const char *const traces[] = {"clock", "serials", "windows"};
	char path[PATH_MAX];
	sqlite3_stmt *row;
	int state;

	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, traces[i]);
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return 1;
	}
	state = registry_db_query(registry, &row, reason, SQL_ANY, "");
	if (state == 1)
		sqlite3_reset(row);
	return state;
}

/*
 * Made on the first start only. Where it was lost, epoch 1 of node 1 would be given out again with
 * the very key that it had before, revoked or not, and no floor would keep old credentials out.
 */
static int
highwater_begin(struct registry *registry, const char *dir, struct reason *reason)
{
	int used;

	if (!highwater_is_new(registry->highwater))
		return 0;
	used = dir_was_used(registry, dir, reason);
	if (used == 0)
		return highwater_create(registry->highwater, reason);
	if (used < 0)
		return used;
	return reason_set(reason, ENOENT,
		"%s/highwater is gone, and without it used and revoked keys come back; restore its "
		"newest copy. If it is lost for good, no key of the old master secrets may be used "
		"again: move %s and the master secret of every realm away, run credgate realm init "
		"for each realm, start credgated, add all nodes again and give them their new keys",
		dir, dir);
}

/* The permission to begin anew is good for once. */
static void
anew_end(const struct registry *registry, const char *dir)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" REGISTRY_ANEW, dir);
	if (unlink(path) == 0 && registry->is_new)
		log_warning("registry",
			"a new registry.db is begun: nodes, policies and modes of before are gone");
	else if (errno != ENOENT && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		log_error("registry", "%s cannot be removed: %s; remove it", path, strerror(errno));
}

struct registry *
registry_open(const char *dir, struct reason *reason)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	char path[PATH_MAX];

	if (registry == NULL) {
		reason_set(reason, ENOMEM, "no memory for the registry");
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/highwater", dir);
	registry->highwater = highwater_open(path, reason);
	if (registry->highwater == NULL)
		goto err;
	snprintf(path, sizeof(path), "%s/registry.db", dir);
	if (registry_db_open(registry, path, reason) != 0 ||
		highwater_begin(registry, dir, reason) != 0 ||
		registry_reconcile(registry, reason) != 0)
		goto err;
	anew_end(registry, dir);
	return registry;

err:
	registry_close(registry);
	return NULL;
}

void
registry_close(struct registry *registry)
{
	if (registry == NULL)
		return;
	if (registry->import != NULL)
		registry_import_abort(registry->import);
	registry_revocations_fini(registry);
	registry_db_close(registry);
	highwater_close(registry->highwater);
	free(registry);
}

/* ---- changing ---- */

int
registry_change_begin(struct registry *registry, struct reason *reason)
{
	int error = registry_import_check(registry, reason);

	if (error == 0)
		error = registry_sync(registry, reason);
	return error != 0 ? error : registry_db_begin(registry, reason);
}

/* The next id never used, else the lowest of a deleted node; 0 with a reason if the realm is full. */
static int
id_choose(struct registry *registry, const struct registry_request *request, uint32_t *id,
	struct reason *reason)
{
	sqlite3_stmt *row;
	int64_t last = 0;
	int state;

	state = registry_db_query(
		registry, &row, reason, SQL_NODE_LAST, "i", (int64_t)request->realm);
	if (state < 0)
		return state;
	if (state == 1) {
		last = sqlite3_column_int64(row, 0);
		sqlite3_reset(row);
	}
	if (last < (int64_t)request->nodes_max) {
		*id = (uint32_t)last + 1;
		return 0;
	}
	state = registry_db_query(registry, &row, reason, SQL_TOMBSTONE_FREE, "ii",
		(int64_t)request->realm, (int64_t)request->nodes_max);
	if (state < 0)
		return state;
	if (state == 0)
		return reason_set(reason, ENOSPC,
			"realm %s is full (%u nodes); delete nodes, or raise nodes_max and restart "
			"credgated",
			request->realm_name, request->nodes_max);
	*id = (uint32_t)sqlite3_column_int64(row, 0);
	sqlite3_reset(row);
	return 0;
}

/* Checks an id the caller asked for. */
static int
id_check(struct registry *registry, const struct registry_request *request, struct reason *reason)
{
	struct registry_node other;
	int state;

	if (request->node > request->nodes_max)
		return reason_set(reason, ERANGE,
			"node %u is above nodes_max (%u) of realm %s; choose a lower id",
			request->node, request->nodes_max, request->realm_name);
	state = registry_node_lookup(registry, request->realm, NULL, request->node, &other, reason);
	if (state != 1)
		return state;
	return reason_set(reason, EEXIST,
		"id %u of realm %s is node %s; choose another id, or none", request->node,
		request->realm_name, other.name);
}

/* Makes the row of a new node, revoked until its epoch is open; *used gets its highest epoch. */
static int
node_make(struct registry *registry, const struct registry_request *request, uint32_t *id,
	uint16_t *used, struct reason *reason)
{
	sqlite3_stmt *row;
	int error, state;

	*id = request->node;
	error = *id != 0 ? id_check(registry, request, reason)
			 : id_choose(registry, request, id, reason);
	if (error != 0)
		return error;
	*used = highwater_find(registry->highwater, request->realm, *id).highest;
	state = registry_db_query(registry, &row, reason, SQL_TOMBSTONE_OF, "ii",
		(int64_t)request->realm, (int64_t)*id);
	if (state < 0)
		return state;
	if (state == 1) {
		uint16_t highest = (uint16_t)sqlite3_column_int(row, 0);

		sqlite3_reset(row);
		*used = highest > *used ? highest : *used;
		error = registry_db_run(registry, reason, SQL_TOMBSTONE_DROP, "ii",
			(int64_t)request->realm, (int64_t)*id);
	}
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_NODE_MAKE, "iitii",
			(int64_t)request->realm, (int64_t)*id, request->name, (int64_t)*used,
			registry_now_s());
	return error;
}

static struct registry_epoch
epoch_asked(const struct registry_request *request, uint16_t number)
{
	struct registry_epoch epoch = {
		.epoch = number,
		.suite = request->suite != 0 ? request->suite : CRED_SUITE_DEFAULT,
		.not_before_s = request->not_before_s,
		.not_after_s = request->not_after_s != 0 ? request->not_after_s : UINT32_MAX,
	};

	snprintf(epoch.master, sizeof(epoch.master), "%s", request->master);
	return epoch;
}

/* Asks whoever is to put the node in force, while all can still be taken back. */
static int
node_admit(struct registry *registry, const struct registry_request *request, uint32_t id,
	const struct registry_epoch *epoch, struct reason *reason)
{
	struct registry_node node;
	int error;

	if (request->admit == NULL)
		return 0;
	error = registry_node_find(
		registry, request->realm, request->realm_name, NULL, id, &node, reason);
	if (error != 0)
		return error;
	/* Those that are closed for it. */
	while (node.epoch_count > 0 &&
		node.epochs[node.epoch_count - 1].epoch + TABLE_EPOCHS_MAX <= epoch->epoch)
		node.epoch_count--;
	memmove(&node.epochs[1], node.epochs, node.epoch_count * sizeof(node.epochs[0]));
	node.epochs[0] = *epoch;
	node.epoch_count++;
	node.highest = epoch->epoch;
	node.is_live = true;
	return request->admit(&node, request->admit_context, reason);
}

/* The row of an epoch that is not used yet, if the node may have it. */
static int
epoch_make(struct registry *registry, const struct registry_request *request, uint32_t id,
	uint16_t number, struct reason *reason)
{
	struct registry_epoch epoch = epoch_asked(request, number);
	int error = node_admit(registry, request, id, &epoch, reason);

	if (error == 0)
		error = registry_db_run(registry, reason, SQL_EPOCH_MAKE, "iiiiiit",
			(int64_t)request->realm, (int64_t)id, (int64_t)number, (int64_t)epoch.suite,
			(int64_t)epoch.not_before_s, (int64_t)epoch.not_after_s, epoch.master);
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_NODE_RAISE, "iiii",
			(int64_t)request->realm, (int64_t)id, (int64_t)number, registry_now_s());
	return error;
}

int
registry_epoch_open(struct registry *registry, uint32_t realm, uint32_t id, uint16_t epoch,
	struct reason *reason)
{
	int error = registry_db_run(registry, reason, SQL_EPOCH_OPEN, "iii", (int64_t)realm,
		(int64_t)id, (int64_t)epoch);

	if (error == 0)
		error = registry_db_run(registry, reason, SQL_NODE_OPEN, "iii", (int64_t)realm,
			(int64_t)id, registry_now_s());
	return error;
}

/*
 * Opens what epoch_make wrote: first the high-water file, then the database. A crash in between
 * costs an epoch number and nothing else.
 */
static int
epoch_open(struct registry *registry, uint32_t realm, uint32_t id, uint16_t epoch,
	struct reason *reason)
{
	int error;

	error = highwater_use(registry->highwater, realm, id, epoch, reason);
	if (error == 0)
		error = registry_db_begin(registry, reason);
	if (error != 0)
		return error;
	error = registry_epoch_open(registry, realm, id, epoch, reason);
	return registry_db_finish(registry, error, reason);
}

/*
 * The same for a node that was not there, within the transaction that makes it: nothing of it is left
 * if that fails, and the database has no row that the high-water file could be ahead of.
 */
static int
first_epoch_open(struct registry *registry, uint32_t realm, uint32_t id, uint16_t epoch,
	struct reason *reason)
{
	int error = highwater_use(registry->highwater, realm, id, epoch, reason);

	return error != 0 ? error : registry_epoch_open(registry, realm, id, epoch, reason);
}

static int
epoch_next(const struct registry_request *request, uint16_t used, uint16_t *epoch,
	struct reason *reason)
{
	if (used == UINT16_MAX)
		return reason_set(reason, ENOSPC,
			"node %s of realm %s has used all 65535 epochs; delete it and add it under "
			"another id",
			request->name, request->realm_name);
	*epoch = (uint16_t)(used + 1);
	return 0;
}

int
registry_node_prepare(struct registry *registry, const struct registry_request *request,
	uint32_t *id, uint16_t *epoch, struct reason *reason)
{
	struct registry_node known;
	uint16_t used = 0;
	int state, error;

	state = registry_node_lookup(registry, request->realm, request->name, 0, &known, reason);
	if (state < 0)
		return state;
	if (state == 1 && known.is_live)
		return reason_set(reason, EEXIST,
			"node %s is there already in realm %s (id %u); choose another name, or "
			"revoke it "
			"first",
			request->name, request->realm_name, known.node);
	if (state == 1 && request->node != 0 && request->node != known.node)
		return reason_set(reason, EEXIST,
			"node %s of realm %s has id %u, not %u; leave the id out", request->name,
			request->realm_name, known.node, request->node);
	*id = known.node;
	used = known.highest;
	error = state == 1 ? 0 : node_make(registry, request, id, &used, reason);
	if (error == 0)
		error = epoch_next(request, used, epoch, reason);
	if (error == 0)
		error = registry_lists_write(registry, request, *id, reason);
	if (error == 0)
		error = epoch_make(registry, request, *id, *epoch, reason);
	return error;
}

int
registry_node_add(struct registry *registry, const struct registry_request *request,
	struct registry_node *node, struct reason *reason)
{
	struct registry_node known;
	uint16_t epoch = 0;
	uint32_t id = 0;
	int error, state;

	error = registry_change_begin(registry, reason);
	if (error != 0)
		return error;
	state = registry_node_lookup(registry, request->realm, request->name, 0, &known, reason);
	error = state < 0 ? state : registry_node_prepare(registry, request, &id, &epoch, reason);
	if (error == 0 && state == 0)
		error = first_epoch_open(registry, request->realm, id, epoch, reason);
	error = registry_db_finish(registry, error, reason);
	if (error == 0 && state == 1)
		error = epoch_open(registry, request->realm, id, epoch, reason);
	if (error == 0)
		error = registry_node_find(
			registry, request->realm, request->realm_name, NULL, id, node, reason);
	return error;
}

static int
rotate_prepare(struct registry *registry, const struct registry_request *request, uint32_t *id,
	uint16_t *epoch, struct reason *reason)
{
	struct registry_node known;
	int error;

	error = registry_node_find(registry, request->realm, request->realm_name, request->name,
		request->node, &known, reason);
	if (error != 0)
		return error;
	if (!known.is_live)
		return reason_set(reason, EINVAL,
			"node %s of realm %s is revoked; add it again for a new key", known.name,
			request->realm_name);
	*id = known.node;
	error = epoch_next(request, known.highest, epoch, reason);
	return error != 0 ? error : epoch_make(registry, request, *id, *epoch, reason);
}

/* The old ones end with the transaction that opens the new one, so that none is left without. */
static int
rotate_open(struct registry *registry, uint32_t realm, uint32_t id, uint16_t epoch,
	uint32_t until_s, struct reason *reason)
{
	int error = highwater_use(registry->highwater, realm, id, epoch, reason);

	if (error == 0)
		error = registry_db_begin(registry, reason);
	if (error != 0)
		return error;
	if (epoch > TABLE_EPOCHS_MAX)
		error = registry_db_run(registry, reason, SQL_EPOCHS_CLOSE, "iii", (int64_t)realm,
			(int64_t)id, (int64_t)(epoch - TABLE_EPOCHS_MAX));
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_EPOCHS_END, "iii", (int64_t)realm,
			(int64_t)id, (int64_t)until_s);
	if (error == 0)
		error = registry_epoch_open(registry, realm, id, epoch, reason);
	return registry_db_finish(registry, error, reason);
}

int
registry_node_rotate(struct registry *registry, const struct registry_request *request,
	uint32_t until_s, struct registry_node *node, struct reason *reason)
{
	uint16_t epoch = 0;
	uint32_t id = 0;
	int error;

	error = registry_change_begin(registry, reason);
	if (error != 0)
		return error;
	error = rotate_prepare(registry, request, &id, &epoch, reason);
	error = registry_db_finish(registry, error, reason);
	if (error == 0)
		error = rotate_open(registry, request->realm, id, epoch, until_s, reason);
	if (error == 0)
		error = registry_node_find(
			registry, request->realm, request->realm_name, NULL, id, node, reason);
	return error;
}

int
registry_node_delete(
	struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason)
{
	static const enum registry_statement steps[] = {
		SQL_EPOCHS_DROP, SQL_PREFIXES_DROP, SQL_ROLES_DROP, SQL_NODE_DROP};
	int error = registry_change_begin(registry, reason);

	if (error != 0)
		return error;
	error = registry_db_run(registry, reason, SQL_TOMBSTONE_MAKE, "iii", (int64_t)realm,
		(int64_t)node, registry_now_s());
	for (size_t i = 0; error == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		error = registry_db_run(
			registry, reason, steps[i], "ii", (int64_t)realm, (int64_t)node);
	error = registry_db_finish(registry, error, reason);
	/* The tombstone is written; the next start makes up for what the file lacks. */
	if (error == 0 && registry_highest_shut(registry, realm, node, reason) != 0)
		log_warning("registry", "node %u of realm id %u is deleted, but %s", node, realm,
			reason->text);
	return error;
}

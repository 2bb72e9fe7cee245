/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/registry_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wire/cred.h"

int
registry_realm_enter(
	struct registry *registry, uint32_t realm, const char *name, struct reason *reason)
{
	sqlite3_stmt *row;
	int64_t known = realm;
	int state;

	state = registry_db_query(registry, &row, reason, SQL_REALM_BY_NAME, "t", name);
	if (state < 0)
		return state;
	if (state == 1) {
		known = sqlite3_column_int64(row, 0);
		sqlite3_reset(row);
		if (known == (int64_t)realm)
			return 0;
		return reason_set(reason, EEXIST,
			"realm %s has id %lld in the registry and %u in the configuration; keys "
			"depend on "
			"the id: give a new realm a new name",
			name, (long long)known, realm);
	}
	return registry_db_run(registry, reason, SQL_REALM_ENTER, "it", (int64_t)realm, name);
}

bool
registry_realm_is_used(const struct registry *registry, uint32_t realm)
{
	return highwater_has_realm(registry->highwater, realm);
}

static int
epochs_read(struct registry *registry, struct registry_node *node, struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(registry, &row, reason, SQL_EPOCHS_OF, "ii",
		(int64_t)node->realm, (int64_t)node->node);

	for (; state == 1; state = registry_db_next(registry, row, reason)) {
		struct registry_epoch *epoch = &node->epochs[node->epoch_count++];

		epoch->epoch = (uint16_t)sqlite3_column_int(row, 0);
		epoch->suite = (uint8_t)sqlite3_column_int(row, 1);
		epoch->not_before_s = (uint32_t)sqlite3_column_int64(row, 2);
		epoch->not_after_s = (uint32_t)sqlite3_column_int64(row, 3);
		snprintf(epoch->master, sizeof(epoch->master), "%s",
			(const char *)sqlite3_column_text(row, 4));
		epoch->opened_s = (uint32_t)sqlite3_column_int64(row, 5);
		if (!cred_suite_is_known(epoch->suite))
			node->epoch_count--;
	}
	return state;
}

static int
prefixes_read(struct registry *registry, struct registry_node *node, struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(registry, &row, reason, SQL_PREFIXES_OF, "ii",
		(int64_t)node->realm, (int64_t)node->node);

	for (; state == 1; state = registry_db_next(registry, row, reason)) {
		struct registry_prefix *prefix = &node->prefixes[node->prefix_count];

		if (sqlite3_column_bytes(row, 0) != sizeof(prefix->address))
			continue;
		memcpy(prefix->address, sqlite3_column_blob(row, 0), sizeof(prefix->address));
		prefix->bits = (uint8_t)sqlite3_column_int(row, 1);
		node->prefix_count++;
	}
	return state;
}

static int
roles_read(struct registry *registry, struct registry_node *node, struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(registry, &row, reason, SQL_ROLES_OF, "ii",
		(int64_t)node->realm, (int64_t)node->node);

	for (; state == 1; state = registry_db_next(registry, row, reason))
		snprintf(node->roles[node->role_count++], REGISTRY_ROLE_SIZE, "%s",
			(const char *)sqlite3_column_text(row, 0));
	return state;
}

/* From a row of REGISTRY_NODE_COLUMNS. */
static int
node_read(struct registry *registry, sqlite3_stmt *row, uint32_t realm, struct registry_node *node,
	struct reason *reason)
{
	int error;

	memset(node, 0, sizeof(*node));
	node->realm = realm;
	node->node = (uint32_t)sqlite3_column_int64(row, 0);
	snprintf(node->name, sizeof(node->name), "%s", (const char *)sqlite3_column_text(row, 1));
	node->is_live = sqlite3_column_int(row, 2) == REGISTRY_NODE_LIVE;
	node->highest = (uint16_t)sqlite3_column_int(row, 3);
	node->is_suspended = node->is_live &&
			     (sqlite3_column_int(row, 4) != 0 ||
				     revocations_has(&registry->suspensions, realm, node->node));
	snprintf(node->note, sizeof(node->note), "%s", (const char *)sqlite3_column_text(row, 5));
	error = epochs_read(registry, node, reason);
	if (revocations_has(&registry->unwritten, realm, node->node)) {
		node->is_live = false;
		node->is_suspended = false;
		node->epoch_count = 0;
	}
	if (error == 0)
		error = prefixes_read(registry, node, reason);
	return error != 0 ? error : roles_read(registry, node, reason);
}

int
registry_walk(struct registry *registry, uint32_t realm, uint32_t after,
	bool (*each)(const struct registry_node *node, void *context), void *context,
	struct reason *reason)
{
	struct registry_node node;
	sqlite3_stmt *row;
	int state;

	state = registry_db_query(
		registry, &row, reason, SQL_NODES_WALK, "ii", (int64_t)realm, (int64_t)after);
	while (state == 1) {
		int error = node_read(registry, row, realm, &node, reason);

		if (error != 0 || !each(&node, context)) {
			sqlite3_reset(row);
			return error;
		}
		state = registry_db_next(registry, row, reason);
	}
	return state;
}

int
registry_node_lookup(struct registry *registry, uint32_t realm, const char *name, uint32_t id,
	struct registry_node *node, struct reason *reason)
{
	sqlite3_stmt *row;
	int state, error;

	if (name != NULL)
		state = registry_db_query(
			registry, &row, reason, SQL_NODE_BY_NAME, "it", (int64_t)realm, name);
	else
		state = registry_db_query(
			registry, &row, reason, SQL_NODE_BY_ID, "ii", (int64_t)realm, (int64_t)id);
	if (state != 1)
		return state;
	error = node_read(registry, row, realm, node, reason);
	sqlite3_reset(row);
	return error != 0 ? error : 1;
}

int
registry_node_find(struct registry *registry, uint32_t realm, const char *realm_name,
	const char *name, uint32_t id, struct registry_node *node, struct reason *reason)
{
	int state = registry_node_lookup(registry, realm, name, id, node, reason);

	if (state != 0)
		return state < 0 ? state : 0;
	if (name != NULL)
		return reason_set(reason, ENOENT,
			"there is no node %s in realm %s; see credgate node list %s", name,
			realm_name, realm_name);
	return reason_set(reason, ENOENT,
		"there is no node %u in realm %s; see credgate node list %s", id, realm_name,
		realm_name);
}

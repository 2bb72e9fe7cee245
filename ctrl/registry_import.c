/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Imports. In WAL mode the other connection goes on reading what was there before; the lock of the
 * open transaction keeps its writes out. The order at the end is that of one addition: first the
 * high-water file has all new epochs, then the database commits; a crash in between costs numbers.
 */
#include "ctrl/registry_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct registry_import {
	struct registry *owner;
	struct registry rows; /* with a connection of its own and the owner's high-water file */
	uint64_t *touched;    /* a bit per node id: no node twice */
	uint32_t nodes_max;
	struct highwater_line *lines; /* of the new epochs */
	size_t line_count;
	size_t line_room;
};

int
registry_import_check(const struct registry *registry, struct reason *reason)
{
	if (registry->import == NULL)
		return 0;
	return reason_set(reason, EAGAIN,
		"an import of nodes is under way; ask again when it is over, in a few seconds");
}

static void
import_free(struct registry_import *import)
{
	import->owner->import = NULL;
	registry_db_close(&import->rows);
	free(import->touched);
	free(import->lines);
	free(import);
}

int
registry_import_begin(struct registry *registry, uint32_t nodes_max,
	struct registry_import **import, struct reason *reason)
{
	struct registry_import *begun;
	int error = registry_import_check(registry, reason);

	if (error == 0)
		error = registry_sync(registry, reason);
	if (error != 0)
		return error;
	begun = calloc(1, sizeof(*begun));
	if (begun == NULL)
		return reason_set(reason, ENOMEM, "no memory for an import");
	begun->owner = registry;
	begun->nodes_max = nodes_max;
	begun->rows.highwater = registry->highwater;
	begun->touched = calloc(nodes_max / 64 + 1, sizeof(*begun->touched));
	error = begun->touched != NULL ? registry_db_connect(&begun->rows,
						 sqlite3_db_filename(registry->db, "main"), reason)
				       : reason_set(reason, ENOMEM, "no memory for an import");
	if (error == 0)
		error = registry_db_begin(&begun->rows, reason);
	if (error != 0) {
		import_free(begun);
		return error;
	}
	registry->import = begun;
	*import = begun;
	return 0;
}

static int
line_add(struct registry_import *import, uint32_t realm, uint32_t node, uint16_t epoch,
	struct reason *reason)
{
	if (import->line_count == import->line_room) {
		size_t room = import->line_room == 0 ? 1024 : 2 * import->line_room;
		struct highwater_line *more = realloc(import->lines, room * sizeof(*more));

		if (more == NULL)
			return reason_set(reason, ENOMEM, "no memory for so many nodes");
		import->lines = more;
		import->line_room = room;
	}
	import->lines[import->line_count++] = (struct highwater_line){realm, node, epoch, false};
	return 0;
}

/* No node twice: the second row would silently win. Ids above nodes_max stay as they are. */
static int
touch(struct registry_import *import, const struct registry_request *request, uint32_t node,
	struct reason *reason)
{
	uint64_t bit = 1ull << (node % 64);

	if (node > import->nodes_max)
		return reason_set(reason, ERANGE,
			"node %s has id %u, above nodes_max (%u) of realm %s; leave it out, or "
			"raise nodes_max and restart credgated",
			request->name, node, import->nodes_max, request->realm_name);
	if ((import->touched[node / 64] & bit) != 0)
		return reason_set(reason, EEXIST, "node %s comes twice; leave one of them out",
			request->name);
	import->touched[node / 64] |= bit;
	return 0;
}

static int
suspension_write(struct registry_import *import, const struct registry_request *request,
	uint32_t node, bool is_suspended, struct reason *reason)
{
	return registry_db_run(&import->rows, reason, SQL_NODE_SUSPEND, "iiiti",
		(int64_t)request->realm, (int64_t)node, (int64_t)is_suspended, "",
		registry_now_s());
}

static int
row_add(struct registry_import *import, const struct registry_request *request, bool is_suspended,
	uint32_t *node, struct reason *reason)
{
	uint16_t epoch = 0;
	int error = registry_node_prepare(&import->rows, request, node, &epoch, reason);

	if (error == 0)
		error = touch(import, request, *node, reason);
	if (error == 0)
		error = registry_epoch_open(&import->rows, request->realm, *node, epoch, reason);
	if (error == 0 && is_suspended)
		error = suspension_write(import, request, *node, true, reason);
	if (error == 0)
		error = line_add(import, request->realm, *node, epoch, reason);
	return error;
}

static bool
is_same_roles(const struct registry_request *request, const struct registry_node *known)
{
	if (request->role_count != known->role_count)
		return false;
	for (unsigned i = 0; i < known->role_count; i++)
		if (strcmp(request->roles[i], known->roles[i]) != 0)
			return false;
	return true;
}

static bool
is_same_prefixes(const struct registry_request *request, const struct registry_node *known)
{
	if (request->prefix_count != known->prefix_count)
		return false;
	for (unsigned i = 0; i < known->prefix_count; i++)
		if (request->prefixes[i].bits != known->prefixes[i].bits ||
			memcmp(request->prefixes[i].address, known->prefixes[i].address, 16) != 0)
			return false;
	return true;
}

/* A node that is there and live. */
static int
row_change(struct registry_import *import, const struct registry_request *request,
	const struct registry_node *known, enum registry_import_state state,
	enum registry_import_outcome *outcome, struct reason *reason)
{
	bool is_suspended = state == REGISTRY_IMPORT_ANY ? known->is_suspended
							 : state == REGISTRY_IMPORT_SUSPENDED;
	int error = 0;

	if (request->node != 0 && request->node != known->node)
		return reason_set(reason, EEXIST,
			"node %s of realm %s has id %u, not %u; correct the id, or leave it out",
			request->name, request->realm_name, known->node, request->node);
	*outcome = REGISTRY_IMPORT_UNCHANGED;
	if ((request->has_roles && !is_same_roles(request, known)) ||
		(request->has_prefixes && !is_same_prefixes(request, known))) {
		*outcome = REGISTRY_IMPORT_CHANGED;
		error = registry_lists_write(&import->rows, request, known->node, reason);
	}
	if (error == 0 && is_suspended != known->is_suspended) {
		*outcome = REGISTRY_IMPORT_CHANGED;
		error = suspension_write(import, request, known->node, is_suspended, reason);
	}
	return error;
}

int
registry_import_row(struct registry_import *import, const struct registry_request *request,
	enum registry_import_state state, uint32_t *node, enum registry_import_outcome *outcome,
	struct reason *reason)
{
	struct registry_node known;
	int error, found = registry_node_lookup(
			   &import->rows, request->realm, request->name, 0, &known, reason);

	if (found < 0)
		return found;
	if (found == 1 && known.is_live && state == REGISTRY_IMPORT_REVOKED)
		return reason_set(reason, EINVAL,
			"node %s is live here, and an import revokes nothing; revoke it first: "
			"credgate node revoke %s %s",
			request->name, request->realm_name, request->name);
	*node = 0;
	*outcome = REGISTRY_IMPORT_SKIPPED;
	if (found == 1 ? !known.is_live : state == REGISTRY_IMPORT_REVOKED)
		return found == 1 ? touch(import, request, known.node, reason) : 0;
	if (found == 1) {
		*node = known.node;
		error = touch(import, request, known.node, reason);
		return error != 0 ? error
				  : row_change(import, request, &known, state, outcome, reason);
	}
	*outcome = REGISTRY_IMPORT_ADDED;
	return row_add(import, request, state == REGISTRY_IMPORT_SUSPENDED, node, reason);
}

int
registry_import_commit(struct registry_import *import, struct reason *reason)
{
	int error =
		highwater_append(import->rows.highwater, import->lines, import->line_count, reason);

	error = registry_db_finish(&import->rows, error, reason);
	import_free(import);
	return error;
}

void
registry_import_abort(struct registry_import *import)
{
	registry_db_finish(&import->rows, -ECANCELED, NULL);
	import_free(import);
}

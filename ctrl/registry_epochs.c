/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/registry_epochs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/log.h"
#include "ctrl/registry_priv.h"

/* ---- lines for the high-water file ---- */

struct lines {
	struct highwater_line *items;
	size_t count;
	size_t room;
};

static int
line_add(struct lines *lines, const struct highwater_line *line, struct reason *reason)
{
	if (lines->count == lines->room) {
		size_t room = lines->room == 0 ? 1024 : lines->room * 2;
		struct highwater_line *more = realloc(lines->items, room * sizeof(*more));

		if (more == NULL)
			return reason_set(reason, ENOMEM, "no memory for the realm's epochs");
		lines->items = more;
		lines->room = room;
	}
	lines->items[lines->count++] = *line;
	return 0;
}

/* From rows of a node and an epoch: used up to that one, or closed up to the one before it. */
static int
lines_read(struct registry *registry, uint32_t realm, bool is_closed, sqlite3_stmt *row, int state,
	struct lines *lines, struct reason *reason)
{
	for (; state == 1; state = registry_db_next(registry, row, reason)) {
		struct highwater_line line = {
			.realm = realm,
			.node = (uint32_t)sqlite3_column_int64(row, 0),
			.epoch = (uint16_t)(sqlite3_column_int(row, 1) - is_closed),
			.is_closed = is_closed,
		};
		int error = 0;

		/* Of a node without any live epoch nothing is said here. */
		if (sqlite3_column_int(row, 1) > is_closed)
			error = line_add(lines, &line, reason);
		if (error != 0) {
			sqlite3_reset(row);
			return error;
		}
	}
	return state;
}

static int
lines_write(struct registry *registry, struct lines *lines, int error, struct reason *reason)
{
	if (error == 0)
		error = highwater_append(registry->highwater, lines->items, lines->count, reason);
	free(lines->items);
	return error;
}

/* ---- rotations ---- */

static void
rotation_read(struct registry_rotation *rotation, sqlite3_stmt *row)
{
	*rotation = (struct registry_rotation){
		.rotation = (uint32_t)sqlite3_column_int64(row, 0),
		.state = (enum registry_rotation_state)sqlite3_column_int(row, 1),
		.opened_s = (uint32_t)sqlite3_column_int64(row, 2),
		.nodes = (uint32_t)sqlite3_column_int64(row, 3),
	};
	snprintf(rotation->master, sizeof(rotation->master), "%s",
		(const char *)sqlite3_column_text(row, 4));
	snprintf(rotation->previous_master, sizeof(rotation->previous_master), "%s",
		(const char *)sqlite3_column_text(row, 5));
	snprintf(rotation->role, sizeof(rotation->role), "%s",
		(const char *)sqlite3_column_text(row, 6));
}

static int
rotation_find(struct registry *registry, enum registry_statement which, uint32_t realm,
	struct registry_rotation *rotation, struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(registry, &row, reason, which, "i", (int64_t)realm);

	if (state != 1)
		return state;
	rotation_read(rotation, row);
	sqlite3_reset(row);
	return 1;
}

int
registry_rotation_last(struct registry *registry, uint32_t realm,
	struct registry_rotation *rotation, struct reason *reason)
{
	return rotation_find(registry, SQL_ROTATION_OPEN, realm, rotation, reason);
}

int
registry_rotate_count(struct registry *registry, const struct registry_rotate *ask, uint32_t *count,
	struct reason *reason)
{
	sqlite3_stmt *row;
	int highest, state = registry_db_query(registry, &row, reason, SQL_ROTATE_COUNT, "it",
			     (int64_t)ask->realm, ask->role);

	if (state < 0)
		return state;
	*count = (uint32_t)sqlite3_column_int64(row, 0);
	highest = sqlite3_column_int(row, 1);
	sqlite3_reset(row);
	if (*count == 0)
		return reason_set(reason, ENOENT, "realm %s has no live node%s%s to rotate",
			ask->realm_name, ask->role != NULL ? " of role " : "",
			ask->role != NULL ? ask->role : "");
	if (highest < UINT16_MAX)
		return 0;
	return reason_set(reason, ENOSPC,
		"a node of realm %s has used all 65535 epochs; find it with credgate node list, "
		"delete it and add it under another id",
		ask->realm_name);
}

/* What an attempt that failed half-way left behind is never opened. */
static int
leftovers_drop(struct registry *registry, uint32_t realm, struct reason *reason)
{
	int error = registry_db_run(registry, reason, SQL_ROTATE_CLEAN, "i", (int64_t)realm);

	return error != 0 ? error
			  : registry_db_run(
				    registry, reason, SQL_ROTATIONS_CLEAN, "i", (int64_t)realm);
}

/* The first transaction: epochs that nobody uses yet. */
static int
rotate_prepare(struct registry *registry, const struct registry_rotate *ask,
	struct registry_rotation *done, struct reason *reason)
{
	int64_t realm = ask->realm, now_s = registry_now_s();
	int64_t not_after_s = ask->not_after_s != 0 ? ask->not_after_s : UINT32_MAX;
	uint32_t count = 0;
	int error, state;

	error = leftovers_drop(registry, ask->realm, reason);
	if (error == 0)
		error = registry_rotate_count(registry, ask, &count, reason);
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_ROTATION_MAKE, "itiitt", realm,
			ask->role, now_s, (int64_t)count, ask->master,
			ask->previous_master != NULL ? ask->previous_master : "");
	if (error != 0)
		return error;
	state = rotation_find(registry, SQL_ROTATION_NEWEST, ask->realm, done, reason);
	if (state != 1)
		return state < 0 ? state : -EIO;
	error = registry_db_run(registry, reason, SQL_ROTATE_EPOCHS, "itiiitii", realm, ask->role,
		(int64_t)ask->suite, (int64_t)ask->not_before_s, not_after_s, ask->master, now_s,
		(int64_t)done->rotation);
	if (error == 0)
		error = registry_db_run(
			registry, reason, SQL_ROTATE_RAISE, "iti", realm, ask->role, now_s);
	return error;
}

/* Before they are opened: a crash behind this costs epoch numbers and nothing else. */
static int
rotate_mark(struct registry *registry, uint32_t realm, uint32_t rotation, struct reason *reason)
{
	struct lines lines = {0};
	sqlite3_stmt *row;
	int state = registry_db_query(
		registry, &row, reason, SQL_ROTATE_MARKS, "ii", (int64_t)realm, (int64_t)rotation);

	state = lines_read(registry, realm, false, row, state, &lines, reason);
	return lines_write(registry, &lines, state, reason);
}

/* A realm without rows in masters had one master: that one is old from now on. */
static int
master_change(struct registry *registry, uint32_t realm, const char *current, const char *old,
	enum registry_master_state old_state, struct reason *reason)
{
	int error = registry_master_put(registry, realm, old, old_state, reason);

	return error != 0 ? error
			  : registry_master_put(
				    registry, realm, current, REGISTRY_MASTER_CURRENT, reason);
}

/* The second transaction: all of them at once. */
static int
rotate_open(struct registry *registry, const struct registry_rotate *ask,
	const struct registry_rotation *done, struct reason *reason)
{
	int64_t realm = ask->realm, rotation = done->rotation;
	int error;

	error = registry_db_run(registry, reason, SQL_ROTATE_OPEN, "ii", realm, rotation);
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_ROTATE_CLOSE, "i", realm);
	if (error == 0 && ask->until_s != UINT32_MAX)
		error = registry_db_run(registry, reason, SQL_ROTATE_END, "iii", realm, rotation,
			(int64_t)ask->until_s);
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_ROTATION_STATE, "iii", realm,
			rotation, (int64_t)REGISTRY_ROTATION_OPEN);
	if (error == 0 && ask->previous_master != NULL)
		error = master_change(registry, ask->realm, ask->master, ask->previous_master,
			REGISTRY_MASTER_OLD, reason);
	return error;
}

int
registry_rotate(struct registry *registry, const struct registry_rotate *ask,
	struct registry_rotation *done, struct reason *reason)
{
	int error = registry_change_begin(registry, reason);

	if (error != 0)
		return error;
	error = rotate_prepare(registry, ask, done, reason);
	error = registry_db_finish(registry, error, reason);
	if (error == 0)
		error = rotate_mark(registry, ask->realm, done->rotation, reason);
	if (error == 0)
		error = registry_db_begin(registry, reason);
	if (error != 0)
		return error;
	error = rotate_open(registry, ask, done, reason);
	if (error == 0)
		done->state = REGISTRY_ROTATION_OPEN;
	return registry_db_finish(registry, error, reason);
}

int
registry_rotation_undo(struct registry *registry, uint32_t realm,
	const struct registry_rotation *rotation, uint32_t *count, struct reason *reason)
{
	int error = registry_change_begin(registry, reason);

	if (error != 0)
		return error;
	error = registry_db_run(registry, reason, SQL_ROTATION_UNDO, "ii", (int64_t)realm,
		(int64_t)rotation->rotation);
	*count = (uint32_t)sqlite3_changes(registry->db);
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_ROTATION_STATE, "iii", (int64_t)realm,
			(int64_t)rotation->rotation, (int64_t)REGISTRY_ROTATION_UNDONE);
	if (error == 0 && rotation->previous_master[0] != '\0')
		error = master_change(registry, realm, rotation->previous_master, rotation->master,
			REGISTRY_MASTER_OLD, reason);
	return registry_db_finish(registry, error, reason);
}

/* ---- held and closed ---- */

/* One statement as a transaction of its own; *count gets how many rows it changed. */
static int
change_finish(struct registry *registry, int error, uint32_t *count, struct reason *reason)
{
	*count = error == 0 ? (uint32_t)sqlite3_changes(registry->db) : 0;
	return registry_db_finish(registry, error, reason);
}

int
registry_epochs_hold(struct registry *registry, uint32_t realm, uint32_t node, uint32_t epoch,
	uint32_t *count, struct reason *reason)
{
	int error = registry_change_begin(registry, reason);

	if (error != 0)
		return error;
	error = registry_db_run(registry, reason, SQL_EPOCHS_HOLD, "iiii", (int64_t)realm,
		(int64_t)node, (int64_t)epoch, registry_now_s());
	return change_finish(registry, error, count, reason);
}

int
registry_epochs_restore(struct registry *registry, uint32_t realm, uint32_t node, uint32_t *count,
	struct reason *reason)
{
	int error = registry_change_begin(registry, reason);

	if (error != 0)
		return error;
	error = registry_db_run(
		registry, reason, SQL_EPOCHS_RESTORE, "ii", (int64_t)realm, (int64_t)node);
	return change_finish(registry, error, count, reason);
}

/* Before they are closed: a crash behind this closes them at the next start (registry_marks.c). */
static int
close_mark(struct registry *registry, uint32_t realm, uint32_t node, uint32_t held_s,
	struct reason *reason)
{
	struct lines lines = {0};
	sqlite3_stmt *row;
	int state = registry_db_query(registry, &row, reason, SQL_CLOSE_MARKS, "iii",
		(int64_t)realm, (int64_t)node, (int64_t)held_s);

	state = lines_read(registry, realm, true, row, state, &lines, reason);
	return lines_write(registry, &lines, state, reason);
}

static int
held_close(struct registry *registry, uint32_t realm, uint32_t node, uint32_t held_s,
	uint32_t *count, struct reason *reason)
{
	int error = registry_db_begin(registry, reason);

	if (error != 0)
		return error;
	error = registry_db_run(registry, reason, SQL_CLOSE_HELD, "iii", (int64_t)realm,
		(int64_t)node, (int64_t)held_s);
	*count = (uint32_t)sqlite3_changes(registry->db);
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_ROTATIONS_FINAL, "i", (int64_t)realm);
	error = registry_db_finish(registry, error, reason);
	if (error != 0)
		*count = 0;
	return error;
}

int
registry_epochs_close(struct registry *registry, uint32_t realm, uint32_t node, uint32_t held_s,
	uint32_t *count, struct reason *reason)
{
	int error = registry_sync(registry, reason);

	*count = 0;
	if (error == 0)
		error = close_mark(registry, realm, node, held_s, reason);
	if (error != 0)
		return error;
	error = held_close(registry, realm, node, held_s, count, reason);
	/* Else a later start would close keys that were brought back meanwhile. */
	if (error != 0 && highwater_take_back(registry->highwater) != 0)
		log_error("registry",
			"keys of realm id %u are marked as closed in the high-water file and that "
			"cannot be taken back: do not roll them back, ask again to make them final",
			realm);
	return error;
}

int
registry_epochs_held(struct registry *registry, uint32_t realm, uint32_t node, uint32_t *count,
	struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(
		registry, &row, reason, SQL_EPOCHS_HELD, "ii", (int64_t)realm, (int64_t)node);

	*count = 0;
	if (state < 0)
		return state;
	*count = (uint32_t)sqlite3_column_int64(row, 0);
	sqlite3_reset(row);
	return 0;
}

int
registry_epochs_due(
	struct registry *registry, uint32_t held_s, uint32_t *realm, struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(registry, &row, reason, SQL_EPOCHS_DUE, "i", (int64_t)held_s);

	if (state != 1)
		return state;
	*realm = (uint32_t)sqlite3_column_int64(row, 0);
	sqlite3_reset(row);
	return 1;
}

int
registry_epoch_undo(struct registry *registry, uint32_t realm, uint32_t node, uint16_t epoch,
	struct reason *reason)
{
	int error = registry_change_begin(registry, reason);

	if (error != 0)
		return error;
	error = registry_db_run(registry, reason, SQL_EPOCH_UNDO, "iii", (int64_t)realm,
		(int64_t)node, (int64_t)epoch);
	return registry_db_finish(registry, error, reason);
}

/* ---- reading ---- */

/* Rows come oldest first, nodes have the newest first. */
static void
epoch_put(struct registry_node *node, sqlite3_stmt *row)
{
	if (node->epoch_count == TABLE_EPOCHS_MAX)
		node->epoch_count--;
	memmove(&node->epochs[1], &node->epochs[0], node->epoch_count * sizeof(node->epochs[0]));
	node->epochs[0] = (struct registry_epoch){
		.epoch = (uint16_t)sqlite3_column_int(row, 1),
		.suite = (uint8_t)sqlite3_column_int(row, 2),
		.not_before_s = (uint32_t)sqlite3_column_int64(row, 3),
		.not_after_s = (uint32_t)sqlite3_column_int64(row, 4),
		.opened_s = (uint32_t)sqlite3_column_int64(row, 6),
		.rotation = (uint32_t)sqlite3_column_int64(row, 7),
	};
	snprintf(node->epochs[0].master, sizeof(node->epochs[0].master), "%s",
		(const char *)sqlite3_column_text(row, 5));
	node->epoch_count++;
}

static bool
node_tell(struct registry *registry, struct registry_node *node,
	bool (*each)(const struct registry_node *node, void *context), void *context)
{
	node->highest = node->epochs[0].epoch;
	node->is_live = true;
	return node->node == 0 || revocations_has(&registry->unwritten, node->realm, node->node) ||
	       each(node, context);
}

int
registry_epochs_walk(struct registry *registry, uint32_t realm, uint32_t node,
	bool (*each)(const struct registry_node *node, void *context), void *context,
	struct reason *reason)
{
	struct registry_node known = {.realm = realm};
	sqlite3_stmt *row;
	int state = registry_db_query(registry, &row, reason, SQL_EPOCHS_WALK, "iii",
		(int64_t)realm, (int64_t)node, (int64_t)(node != 0 ? node : UINT32_MAX));

	for (; state == 1; state = registry_db_next(registry, row, reason)) {
		uint32_t id = (uint32_t)sqlite3_column_int64(row, 0);

		if (id != known.node) {
			if (!node_tell(registry, &known, each, context)) {
				sqlite3_reset(row);
				return 0;
			}
			known.node = id;
			known.epoch_count = 0;
		}
		epoch_put(&known, row);
	}
	if (state == 0)
		node_tell(registry, &known, each, context);
	return state;
}

int
registry_node_name(struct registry *registry, uint32_t realm, uint32_t node,
	char name[REGISTRY_NAME_SIZE], struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(
		registry, &row, reason, SQL_NODE_NAME, "ii", (int64_t)realm, (int64_t)node);

	if (state != 1)
		return state;
	snprintf(name, REGISTRY_NAME_SIZE, "%s", (const char *)sqlite3_column_text(row, 0));
	sqlite3_reset(row);
	return 1;
}

/* ---- masters ---- */

int
registry_master_used(
	struct registry *registry, uint32_t realm, const char *fingerprint, struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(
		registry, &row, reason, SQL_MASTER_USED, "it", (int64_t)realm, fingerprint);

	if (state == 1)
		sqlite3_reset(row);
	return state;
}

int
registry_masters(struct registry *registry, uint32_t realm,
	struct registry_master masters[REGISTRY_MASTERS_MAX], unsigned *count,
	struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(registry, &row, reason, SQL_MASTERS_OF, "i", (int64_t)realm);

	for (*count = 0; state == 1; state = registry_db_next(registry, row, reason)) {
		struct registry_master *master = &masters[(*count)++];

		*master = (struct registry_master){
			.state = (enum registry_master_state)sqlite3_column_int(row, 1)};
		snprintf(master->fingerprint, sizeof(master->fingerprint), "%s",
			(const char *)sqlite3_column_text(row, 0));
	}
	for (unsigned i = 0; state == 0 && i < *count; i++) {
		int used = registry_master_used(registry, realm, masters[i].fingerprint, reason);

		if (used < 0)
			return used;
		masters[i].is_used = used == 1;
	}
	return state;
}

int
registry_master_put(struct registry *registry, uint32_t realm, const char *fingerprint,
	enum registry_master_state state, struct reason *reason)
{
	return registry_db_run(registry, reason, SQL_MASTER_PUT, "itii", (int64_t)realm,
		fingerprint, (int64_t)state, registry_now_s());
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/registry_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctrl/log.h"

struct mark_row {
	uint32_t realm;
	uint32_t node;
	char name[REGISTRY_NAME_SIZE];
	bool is_live;
	uint16_t highest;
};

/* The database is an old copy: what it says of this node was overtaken. */
static int
node_overtaken(struct registry *registry, const struct mark_row *row, struct highwater_mark mark,
	struct reason *reason)
{
	int error;

	log_warning("registry",
		"node %s (realm id %u, node %u): the high-water file knows %s epoch %u, the "
		"database "
		"%u: an old copy was restored; the node is revoked, add it again for a new key",
		row->name, row->realm, row->node,
		mark.closed >= mark.highest ? "a closed" : "a used", mark.highest, row->highest);
	error = registry_db_run(registry, reason, SQL_EPOCHS_CLOSE, "iii", (int64_t)row->realm,
		(int64_t)row->node, (int64_t)UINT16_MAX);
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_NODE_STATE, "iiii",
			(int64_t)row->realm, (int64_t)row->node, (int64_t)REGISTRY_NODE_REVOKED,
			registry_now_s());
	if (error == 0 && mark.highest > row->highest)
		error = registry_db_run(registry, reason, SQL_NODE_RAISE, "iiii",
			(int64_t)row->realm, (int64_t)row->node, (int64_t)mark.highest,
			registry_now_s());
	return error;
}

struct marks {
	struct mark_row *rows;
	size_t count;
	size_t room;
	struct highwater_line *lines; /* what the high-water file lacks: room for two per row */
	size_t line_count;
};

static void
line_note(struct marks *marks, const struct mark_row *row, bool is_closed)
{
	marks->lines[marks->line_count++] =
		(struct highwater_line){row->realm, row->node, row->highest, is_closed};
}

static int
node_reconcile(struct registry *registry, struct marks *marks, const struct mark_row *row,
	struct reason *reason)
{
	struct highwater_mark mark = highwater_find(registry->highwater, row->realm, row->node);

	if (mark.highest > row->highest || (row->is_live && mark.closed >= row->highest))
		return node_overtaken(registry, row, mark, reason);
	if (mark.highest < row->highest)
		line_note(marks, row, false);
	if (!row->is_live && mark.closed < row->highest)
		line_note(marks, row, true);
	/* Rotated since: what the file says is closed stays closed. */
	if (row->is_live && mark.closed > 0)
		return registry_db_run(registry, reason, SQL_EPOCHS_CLOSE, "iii",
			(int64_t)row->realm, (int64_t)row->node, (int64_t)mark.closed);
	return 0;
}

static int
mark_append(struct marks *marks, sqlite3_stmt *row, struct reason *reason)
{
	struct mark_row *mark;

	if (marks->count == marks->room) {
		size_t room = marks->room == 0 ? 1024 : marks->room * 2;
		struct mark_row *more = realloc(marks->rows, room * sizeof(*more));

		if (more == NULL)
			return reason_set(reason, ENOMEM, "no memory for the registry's nodes");
		marks->rows = more;
		marks->room = room;
	}
	mark = &marks->rows[marks->count++];
	mark->realm = (uint32_t)sqlite3_column_int64(row, 0);
	mark->node = (uint32_t)sqlite3_column_int64(row, 1);
	snprintf(mark->name, sizeof(mark->name), "%s", (const char *)sqlite3_column_text(row, 2));
	mark->is_live = sqlite3_column_int(row, 3) == REGISTRY_NODE_LIVE;
	mark->highest = (uint16_t)sqlite3_column_int(row, 4);
	return 0;
}

static int
marks_read(struct registry *registry, struct marks *marks, struct reason *reason)
{
	sqlite3_stmt *row;
	int error, state = registry_db_query(registry, &row, reason, SQL_MARKS, "");

	while (state == 1) {
		error = mark_append(marks, row, reason);
		if (error != 0) {
			sqlite3_reset(row);
			return error;
		}
		state = registry_db_next(registry, row, reason);
	}
	return state;
}

/* A used epoch is in the file before it is in the database: the file was cut, or is an old copy. */
static void
lack_tell(const struct marks *marks)
{
	size_t lacking = 0;

	for (size_t i = 0; i < marks->line_count; i++)
		lacking += !marks->lines[i].is_closed;
	if (lacking > 0)
		log_warning("registry",
			"the high-water file lacked %zu nodes of the database: it was cut, or is "
			"an "
			"old copy; they are added from the database, but what neither knows can "
			"come back: merge the newest copy in",
			lacking);
}

/* A crash behind a mass revocation leaves very many lines to write: all with one sync. */
static int
marks_reconcile(struct registry *registry, struct marks *marks, struct reason *reason)
{
	int error = 0;

	marks->lines = calloc(2 * marks->count + 1, sizeof(*marks->lines));
	if (marks->lines == NULL)
		return reason_set(reason, ENOMEM, "no memory for the registry's nodes");
	for (size_t i = 0; error == 0 && i < marks->count; i++)
		error = node_reconcile(registry, marks, &marks->rows[i], reason);
	lack_tell(marks);
	if (error == 0)
		error = highwater_append(
			registry->highwater, marks->lines, marks->line_count, reason);
	free(marks->lines);
	return error;
}

int
registry_reconcile(struct registry *registry, struct reason *reason)
{
	struct marks marks = {0};
	int error;

	error = registry_db_run(registry, reason, SQL_EPOCHS_DROP_PENDING, "");
	if (error == 0)
		error = marks_read(registry, &marks, reason);
	if (error == 0) {
		error = registry_db_begin(registry, reason);
		if (error == 0)
			error = marks_reconcile(registry, &marks, reason);
		error = registry_db_finish(registry, error, reason);
	}
	free(marks.rows);
	return error;
}

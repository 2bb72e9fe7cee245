/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/log.h"
#include "ctrl/revocations.h"
#include "wire/cred.h"

#define BUSY_TIMEOUT_MS 2000

enum node_state {
	NODE_LIVE = 1,
	NODE_REVOKED = 2,
};

/* PENDING: written before the high-water file knows it; such a row is never used. */
enum epoch_state {
	EPOCH_PENDING = 0,
	EPOCH_LIVE = 1,
	EPOCH_CLOSED = 2,
};

/* Each entry takes the database from version index to index + 1. Never change one: add. */
static const char *const migrations[] = {
	"CREATE TABLE realms("
	"  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE nodes("
	"  realm INTEGER NOT NULL REFERENCES realms(id), node INTEGER NOT NULL,"
	"  name TEXT NOT NULL, state INTEGER NOT NULL, highest INTEGER NOT NULL,"
	"  added_s INTEGER NOT NULL, changed_s INTEGER NOT NULL,"
	"  PRIMARY KEY(realm, node), UNIQUE(realm, name)) WITHOUT ROWID;"
	"CREATE TABLE epochs("
	"  realm INTEGER NOT NULL, node INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	"  suite INTEGER NOT NULL, state INTEGER NOT NULL, not_before_s INTEGER NOT NULL,"
	"  not_after_s INTEGER NOT NULL, master TEXT NOT NULL,"
	"  PRIMARY KEY(realm, node, epoch),"
	"  FOREIGN KEY(realm, node) REFERENCES nodes(realm, node)) WITHOUT ROWID;"
	"CREATE TABLE prefixes("
	"  realm INTEGER NOT NULL, node INTEGER NOT NULL, place INTEGER NOT NULL,"
	"  address BLOB NOT NULL, bits INTEGER NOT NULL,"
	"  PRIMARY KEY(realm, node, place),"
	"  FOREIGN KEY(realm, node) REFERENCES nodes(realm, node)) WITHOUT ROWID;"
	"CREATE TABLE tombstones("
	"  realm INTEGER NOT NULL, node INTEGER NOT NULL, highest INTEGER NOT NULL,"
	"  name TEXT NOT NULL, deleted_s INTEGER NOT NULL,"
	"  PRIMARY KEY(realm, node)) WITHOUT ROWID;",
};
#define REGISTRY_VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])))

#define NODE_COLUMNS "node, name, state, highest"

#define STATEMENTS(X)                                                                              \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(COMMIT, "COMMIT")                                                                        \
	X(ROLLBACK, "ROLLBACK")                                                                    \
	X(REALM_BY_NAME, "SELECT id FROM realms WHERE name = ?1")                                  \
	X(REALM_ENTER, "INSERT INTO realms(id, name) VALUES(?1, ?2)"                               \
		       " ON CONFLICT(id) DO UPDATE SET name = excluded.name")                      \
	X(NODES_WALK,                                                                              \
		"SELECT " NODE_COLUMNS " FROM nodes WHERE realm = ?1 AND node > ?2 ORDER BY node") \
	X(NODE_BY_ID, "SELECT " NODE_COLUMNS " FROM nodes WHERE realm = ?1 AND node = ?2")         \
	X(NODE_BY_NAME, "SELECT " NODE_COLUMNS " FROM nodes WHERE realm = ?1 AND name = ?2")       \
	X(EPOCHS_OF, "SELECT epoch, suite, not_before_s, not_after_s, master FROM epochs"          \
		     " WHERE realm = ?1 AND node = ?2 AND state = 1 ORDER BY epoch DESC LIMIT 8")  \
	X(PREFIXES_OF, "SELECT address, bits FROM prefixes WHERE realm = ?1 AND node = ?2"         \
		       " ORDER BY place LIMIT 16")                                                 \
	X(NODE_LAST, "SELECT max(node) FROM (SELECT max(node) AS node FROM nodes"                  \
		     " WHERE realm = ?1 UNION SELECT max(node) FROM tombstones WHERE realm = ?1)") \
	X(TOMBSTONE_FREE, "SELECT node FROM tombstones WHERE realm = ?1 AND node <= ?2"            \
			  " AND highest < 65535 ORDER BY node LIMIT 1")                            \
	X(TOMBSTONE_OF, "SELECT highest FROM tombstones WHERE realm = ?1 AND node = ?2")           \
	X(TOMBSTONE_DROP, "DELETE FROM tombstones WHERE realm = ?1 AND node = ?2")                 \
	X(TOMBSTONE_MAKE, "INSERT INTO tombstones(realm, node, highest, name, deleted_s)"          \
			  " SELECT realm, node, highest, name, ?3 FROM nodes"                      \
			  " WHERE realm = ?1 AND node = ?2")                                       \
	X(NODE_MAKE, "INSERT INTO nodes(realm, node, name, state, highest, added_s, changed_s)"    \
		     " VALUES(?1, ?2, ?3, 2, ?4, ?5, ?5)")                                         \
	X(NODE_RAISE, "UPDATE nodes SET highest = ?3, changed_s = ?4"                              \
		      " WHERE realm = ?1 AND node = ?2")                                           \
	X(NODE_STATE, "UPDATE nodes SET state = ?3, changed_s = ?4"                                \
		      " WHERE realm = ?1 AND node = ?2")                                           \
	X(NODE_DROP, "DELETE FROM nodes WHERE realm = ?1 AND node = ?2")                           \
	X(EPOCH_MAKE, "INSERT INTO epochs(realm, node, epoch, suite, state, not_before_s,"         \
		      " not_after_s, master) VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7)")               \
	X(EPOCH_OPEN, "UPDATE epochs SET state = 1 WHERE realm = ?1 AND node = ?2"                 \
		      " AND epoch = ?3")                                                           \
	X(EPOCHS_CLOSE, "UPDATE epochs SET state = 2 WHERE realm = ?1 AND node = ?2"               \
			" AND epoch <= ?3 AND state <> 2")                                         \
	X(EPOCHS_END, "UPDATE epochs SET not_after_s = min(not_after_s, ?3)"                       \
		      " WHERE realm = ?1 AND node = ?2 AND state = 1")                             \
	X(EPOCHS_DROP, "DELETE FROM epochs WHERE realm = ?1 AND node = ?2")                        \
	X(EPOCHS_DROP_PENDING, "DELETE FROM epochs WHERE state = 0")                               \
	X(PREFIX_MAKE, "INSERT INTO prefixes(realm, node, place, address, bits)"                   \
		       " VALUES(?1, ?2, ?3, ?4, ?5)")                                              \
	X(PREFIXES_DROP, "DELETE FROM prefixes WHERE realm = ?1 AND node = ?2")                    \
	X(MARKS, "SELECT realm, node, name, state, highest FROM nodes")                            \
	X(ANY, "SELECT 1 FROM nodes UNION ALL SELECT 1 FROM tombstones LIMIT 1")

enum statement {
#define STATEMENT_ENUM(NAME, sql) SQL_##NAME,
	STATEMENTS(STATEMENT_ENUM)
#undef STATEMENT_ENUM
	STATEMENT_COUNT
};

static const char *const statement_texts[] = {
#define STATEMENT_TEXT(NAME, sql) [SQL_##NAME] = (sql),
	STATEMENTS(STATEMENT_TEXT)
#undef STATEMENT_TEXT
};

struct registry {
	sqlite3 *db;
	struct highwater *highwater;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	struct revocations unwritten;
};

/* ---- SQLite, wrapped ---- */

static int
sqlite_errno(int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EBADMSG;
	default:
		return EIO;
	}
}

/* Without the database every id starts above the epochs that the high-water file knows. */
static int
damage_say(struct registry *registry, const char *what, struct reason *reason)
{
	return reason_set(reason, EBADMSG,
		"%s is damaged: %s; stop credgated, remove registry.db-wal and registry.db-shm, "
		"and put the newest backup of registry.db in its place (leave highwater as it is: "
		"what was revoked since stays revoked); without a backup move registry.db* away "
		"and add all nodes again, under new keys",
		sqlite3_db_filename(registry->db, "main"), what);
}

static int
fail(struct registry *registry, struct reason *reason)
{
	int error = sqlite_errno(sqlite3_extended_errcode(registry->db));

	if (error == EBADMSG)
		return damage_say(registry, sqlite3_errmsg(registry->db), reason);
	return reason_set(reason, error,
		"the registry cannot be used: %s; nothing was changed, check disk space and the "
		"state directory",
		sqlite3_errmsg(registry->db));
}

/* The prepared statement with its parameters: 'i' int64_t, 't' text, 'a' 16 bytes. */
static sqlite3_stmt *
bind(struct registry *registry, enum statement which, const char *kinds, va_list args)
{
	sqlite3_stmt **statement = &registry->statements[which];

	if (*statement == NULL && sqlite3_prepare_v3(registry->db, statement_texts[which], -1,
					  SQLITE_PREPARE_PERSISTENT, statement, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_reset(*statement);
	for (int i = 0; kinds[i] != '\0'; i++) {
		if (kinds[i] == 'i')
			sqlite3_bind_int64(*statement, i + 1, va_arg(args, int64_t));
		else if (kinds[i] == 't')
			sqlite3_bind_text(*statement, i + 1, va_arg(args, const char *), -1,
				SQLITE_TRANSIENT);
		else
			sqlite3_bind_blob(*statement, i + 1, va_arg(args, const uint8_t *), 16,
				SQLITE_TRANSIENT);
	}
	return *statement;
}

/*
 * The next row: 1, 0 after the last, -errno. An error is not the end of the rows: what a walk did
 * not see would be taken for revoked or never used. The statement is reset unless there is a row.
 */
static int
row_next(struct registry *registry, sqlite3_stmt *row, struct reason *reason)
{
	int code = sqlite3_step(row);

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		fail(registry, reason);
	sqlite3_reset(row);
	return code == SQLITE_DONE ? 0 : -sqlite_errno(code);
}

/* Runs to the first row, as row_next. The caller resets after reading. */
static int
query(struct registry *registry, sqlite3_stmt **row, struct reason *reason, enum statement which,
	const char *kinds, ...)
{
	va_list args;

	va_start(args, kinds);
	*row = bind(registry, which, kinds, args);
	va_end(args);
	return *row != NULL ? row_next(registry, *row, reason) : fail(registry, reason);
}

/* Runs a statement without rows. */
static int
run(struct registry *registry, struct reason *reason, enum statement which, const char *kinds, ...)
{
	sqlite3_stmt *statement;
	va_list args;
	int code;

	va_start(args, kinds);
	statement = bind(registry, which, kinds, args);
	va_end(args);
	if (statement == NULL)
		return fail(registry, reason);
	code = sqlite3_step(statement);
	if (code != SQLITE_DONE && code != SQLITE_ROW) {
		fail(registry, reason);
		sqlite3_reset(statement);
		return -sqlite_errno(code);
	}
	sqlite3_reset(statement);
	return 0;
}

static int
begin(struct registry *registry, struct reason *reason)
{
	return run(registry, reason, SQL_BEGIN, "");
}

/* Commits if `error` is 0, else (or if that fails) takes everything back. Returns the error. */
static int
finish(struct registry *registry, int error, struct reason *reason)
{
	if (error == 0)
		error = run(registry, reason, SQL_COMMIT, "");
	if (error != 0 && !sqlite3_get_autocommit(registry->db))
		run(registry, NULL, SQL_ROLLBACK, "");
	return error;
}

static int64_t
now_s(void)
{
	return (int64_t)time(NULL);
}

/* ---- opening ---- */

static int
db_version(struct registry *registry)
{
	sqlite3_stmt *statement;
	int version = -1;

	if (sqlite3_prepare_v2(registry->db, "PRAGMA user_version", -1, &statement, NULL) !=
		SQLITE_OK)
		return -1;
	if (sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return version;
}

static int
db_migrate(struct registry *registry, const char *path, struct reason *reason)
{
	int version = db_version(registry);
	char pragma[64];

	if (version < 0)
		return fail(registry, reason);
	if (version > REGISTRY_VERSION)
		return reason_set(reason, EPROTO,
			"%s was made by a newer credgate (version %d, this one knows %d); run that "
			"one",
			path, version, REGISTRY_VERSION);
	for (; version < REGISTRY_VERSION; version++) {
		int error = begin(registry, reason);

		if (error != 0)
			return error;
		snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", version + 1);
		if (sqlite3_exec(registry->db, migrations[version], NULL, NULL, NULL) !=
				SQLITE_OK ||
			sqlite3_exec(registry->db, pragma, NULL, NULL, NULL) != SQLITE_OK)
			error = fail(registry, reason);
		error = finish(registry, error, reason);
		if (error != 0)
			return error;
	}
	return 0;
}

/* All pages are read once: damage is found now, not when a revocation is looked for. */
static int
db_check(struct registry *registry, struct reason *reason)
{
	sqlite3_stmt *row;
	int state, error = 0;

	if (sqlite3_prepare_v2(registry->db, "PRAGMA quick_check(1)", -1, &row, NULL) != SQLITE_OK)
		return fail(registry, reason);
	state = row_next(registry, row, reason);
	if (state == 1 && strcmp((const char *)sqlite3_column_text(row, 0), "ok") != 0)
		error = damage_say(registry, (const char *)sqlite3_column_text(row, 0), reason);
	sqlite3_finalize(row);
	return state < 0 ? state : error;
}

static int
db_open(struct registry *registry, const char *path, struct reason *reason)
{
	mode_t mask = umask(077);
	int error, code = sqlite3_open_v2(path, &registry->db,
			   SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
				   SQLITE_OPEN_NOFOLLOW,
			   NULL);

	umask(mask);
	if (code != SQLITE_OK)
		return reason_set(reason, sqlite_errno(code),
			"%s cannot be opened: %s; check owner and mode of the state directory",
			path, registry->db != NULL ? sqlite3_errmsg(registry->db) : "no memory");
	sqlite3_extended_result_codes(registry->db, 1);
	sqlite3_busy_timeout(registry->db, BUSY_TIMEOUT_MS);
	/* A key is handed out when its row is committed: it must survive a power cut. */
	if (sqlite3_exec(registry->db,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
		    NULL, NULL, NULL) != SQLITE_OK)
		return fail(registry, reason);
	error = db_check(registry, reason);
	return error != 0 ? error : db_migrate(registry, path, reason);
}

/* ---- the database against the high-water file ---- */

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
	error = run(registry, reason, SQL_EPOCHS_CLOSE, "iii", (int64_t)row->realm,
		(int64_t)row->node, (int64_t)UINT16_MAX);
	if (error == 0)
		error = run(registry, reason, SQL_NODE_STATE, "iiii", (int64_t)row->realm,
			(int64_t)row->node, (int64_t)NODE_REVOKED, now_s());
	if (error == 0 && mark.highest > row->highest)
		error = run(registry, reason, SQL_NODE_RAISE, "iiii", (int64_t)row->realm,
			(int64_t)row->node, (int64_t)mark.highest, now_s());
	return error;
}

static int
node_reconcile(struct registry *registry, const struct mark_row *row, struct reason *reason)
{
	struct highwater_mark mark = highwater_find(registry->highwater, row->realm, row->node);
	int error = 0;

	if (mark.highest > row->highest || (row->is_live && mark.closed >= row->highest))
		return node_overtaken(registry, row, mark, reason);
	if (mark.highest < row->highest)
		error = highwater_use(
			registry->highwater, row->realm, row->node, row->highest, reason);
	if (error == 0 && !row->is_live)
		error = highwater_shut(
			registry->highwater, row->realm, row->node, row->highest, reason);
	/* Rotated since: what the file says is closed stays closed. */
	if (error == 0 && row->is_live && mark.closed > 0)
		error = run(registry, reason, SQL_EPOCHS_CLOSE, "iii", (int64_t)row->realm,
			(int64_t)row->node, (int64_t)mark.closed);
	return error;
}

struct marks {
	struct mark_row *rows;
	size_t count;
	size_t room;
};

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
	mark->is_live = sqlite3_column_int(row, 3) == NODE_LIVE;
	mark->highest = (uint16_t)sqlite3_column_int(row, 4);
	return 0;
}

static int
marks_read(struct registry *registry, struct marks *marks, struct reason *reason)
{
	sqlite3_stmt *row;
	int error, state = query(registry, &row, reason, SQL_MARKS, "");

	while (state == 1) {
		error = mark_append(marks, row, reason);
		if (error != 0) {
			sqlite3_reset(row);
			return error;
		}
		state = row_next(registry, row, reason);
	}
	return state;
}

static int
reconcile(struct registry *registry, struct reason *reason)
{
	struct marks marks = {0};
	int error;

	error = run(registry, reason, SQL_EPOCHS_DROP_PENDING, "");
	if (error == 0)
		error = marks_read(registry, &marks, reason);
	if (error == 0) {
		error = begin(registry, reason);
		for (size_t i = 0; error == 0 && i < marks.count; i++)
			error = node_reconcile(registry, &marks.rows[i], reason);
		error = finish(registry, error, reason);
	}
	free(marks.rows);
	return error;
}

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
	state = query(registry, &row, reason, SQL_ANY, "");
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
	if (db_open(registry, path, reason) != 0 || highwater_begin(registry, dir, reason) != 0 ||
		reconcile(registry, reason) != 0)
		goto err;
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
	for (size_t i = 0; i < registry->unwritten.count; i++)
		log_error("registry",
			"node %u of realm id %u: its revocation could not be written in full; look "
			"at "
			"it after the next start, and revoke it again if it is live",
			registry->unwritten.items[i].node, registry->unwritten.items[i].realm);
	revocations_fini(&registry->unwritten);
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(registry->statements[i]);
	sqlite3_close(registry->db);
	highwater_close(registry->highwater);
	free(registry);
}

/* ---- reading ---- */

int
registry_realm_enter(
	struct registry *registry, uint32_t realm, const char *name, struct reason *reason)
{
	sqlite3_stmt *row;
	int64_t known = realm;
	int state;

	state = query(registry, &row, reason, SQL_REALM_BY_NAME, "t", name);
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
	return run(registry, reason, SQL_REALM_ENTER, "it", (int64_t)realm, name);
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
	int state = query(registry, &row, reason, SQL_EPOCHS_OF, "ii", (int64_t)node->realm,
		(int64_t)node->node);

	for (; state == 1; state = row_next(registry, row, reason)) {
		struct registry_epoch *epoch = &node->epochs[node->epoch_count++];

		epoch->epoch = (uint16_t)sqlite3_column_int(row, 0);
		epoch->suite = (uint8_t)sqlite3_column_int(row, 1);
		epoch->not_before_s = (uint32_t)sqlite3_column_int64(row, 2);
		epoch->not_after_s = (uint32_t)sqlite3_column_int64(row, 3);
		snprintf(epoch->master, sizeof(epoch->master), "%s",
			(const char *)sqlite3_column_text(row, 4));
		if (!cred_suite_is_known(epoch->suite))
			node->epoch_count--;
	}
	return state;
}

static int
prefixes_read(struct registry *registry, struct registry_node *node, struct reason *reason)
{
	sqlite3_stmt *row;
	int state = query(registry, &row, reason, SQL_PREFIXES_OF, "ii", (int64_t)node->realm,
		(int64_t)node->node);

	for (; state == 1; state = row_next(registry, row, reason)) {
		struct registry_prefix *prefix = &node->prefixes[node->prefix_count];

		if (sqlite3_column_bytes(row, 0) != sizeof(prefix->address))
			continue;
		memcpy(prefix->address, sqlite3_column_blob(row, 0), sizeof(prefix->address));
		prefix->bits = (uint8_t)sqlite3_column_int(row, 1);
		node->prefix_count++;
	}
	return state;
}

/* From a row of NODE_COLUMNS. */
static int
node_read(struct registry *registry, sqlite3_stmt *row, uint32_t realm, struct registry_node *node,
	struct reason *reason)
{
	int error;

	memset(node, 0, sizeof(*node));
	node->realm = realm;
	node->node = (uint32_t)sqlite3_column_int64(row, 0);
	snprintf(node->name, sizeof(node->name), "%s", (const char *)sqlite3_column_text(row, 1));
	node->is_live = sqlite3_column_int(row, 2) == NODE_LIVE;
	node->highest = (uint16_t)sqlite3_column_int(row, 3);
	error = epochs_read(registry, node, reason);
	if (revocations_has(&registry->unwritten, realm, node->node)) {
		node->is_live = false;
		node->epoch_count = 0;
	}
	return error != 0 ? error : prefixes_read(registry, node, reason);
}

int
registry_walk(struct registry *registry, uint32_t realm, uint32_t after,
	bool (*each)(const struct registry_node *node, void *context), void *context,
	struct reason *reason)
{
	struct registry_node node;
	sqlite3_stmt *row;
	int state;

	state = query(registry, &row, reason, SQL_NODES_WALK, "ii", (int64_t)realm, (int64_t)after);
	while (state == 1) {
		int error = node_read(registry, row, realm, &node, reason);

		if (error != 0 || !each(&node, context)) {
			sqlite3_reset(row);
			return error;
		}
		state = row_next(registry, row, reason);
	}
	return state;
}

/* 1 if found, 0 if not, -errno. */
static int
node_lookup(struct registry *registry, uint32_t realm, const char *name, uint32_t id,
	struct registry_node *node, struct reason *reason)
{
	sqlite3_stmt *row;
	int state, error;

	if (name != NULL)
		state = query(registry, &row, reason, SQL_NODE_BY_NAME, "it", (int64_t)realm, name);
	else
		state = query(
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
	int state = node_lookup(registry, realm, name, id, node, reason);

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

/* ---- revocations ---- */

/*
 * The high-water file follows the database here: a crash in between is healed at the next start
 * (reconcile), and a file that cannot be written does not keep a key alive.
 */
static int
highest_shut(struct registry *registry, uint32_t realm, uint32_t id, struct reason *reason)
{
	struct highwater_mark mark = highwater_find(registry->highwater, realm, id);

	return mark.highest != 0
		       ? highwater_shut(registry->highwater, realm, id, mark.highest, reason)
		       : 0;
}

/* Both files are tried: either alone keeps the node out after a restart. */
static int
revocation_write(struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason)
{
	int shut, error = begin(registry, reason);

	if (error == 0) {
		error = run(registry, reason, SQL_EPOCHS_CLOSE, "iii", (int64_t)realm,
			(int64_t)node, (int64_t)UINT16_MAX);
		if (error == 0)
			error = run(registry, reason, SQL_NODE_STATE, "iiii", (int64_t)realm,
				(int64_t)node, (int64_t)NODE_REVOKED, now_s());
		error = finish(registry, error, reason);
	}
	shut = highest_shut(registry, realm, node, error == 0 ? reason : NULL);
	return error != 0 ? error : shut;
}

int
registry_node_revoke(
	struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason)
{
	int error = revocation_write(registry, realm, node, reason);

	if (error == 0)
		return 0;
	if (revocations_has(&registry->unwritten, realm, node))
		return 1;
	if (revocations_add(&registry->unwritten, realm, node) != 0)
		return reason_set(reason, ENOMEM,
			"node %u is refused from now on, but only until the next start: neither "
			"disk nor memory has room for its revocation; make room and ask again",
			node);
	log_warning("registry",
		"node %u of realm id %u: its revocation is in force, but not yet on disk: %s; "
		"writing it is tried again each second",
		node, realm, strerror(-error));
	return 1;
}

int
registry_sync(struct registry *registry, struct reason *reason)
{
	struct revocations *unwritten = &registry->unwritten;
	int error = 0;

	if (unwritten->count == 0)
		return 0;
	/* Somebody else's lock on the database must not hold up the event loop each second. */
	sqlite3_busy_timeout(registry->db, 0);
	while (error == 0 && unwritten->count > 0) {
		const struct revocation *last = &unwritten->items[unwritten->count - 1];

		error = revocation_write(registry, last->realm, last->node, reason);
		unwritten->count -= error == 0;
	}
	sqlite3_busy_timeout(registry->db, BUSY_TIMEOUT_MS);
	if (error == 0)
		log_info("registry", "all revocations are on disk");
	return error;
}

size_t
registry_unwritten(const struct registry *registry)
{
	return registry->unwritten.count;
}

/* ---- changing ---- */

/* Begins a change behind all revocations: it must not be overtaken by one that came before it. */
static int
change_begin(struct registry *registry, struct reason *reason)
{
	int error = registry_sync(registry, reason);

	return error != 0 ? error : begin(registry, reason);
}

/* The next id never used, else the lowest of a deleted node; 0 with a reason if the realm is full. */
static int
id_choose(struct registry *registry, const struct registry_request *request, uint32_t *id,
	struct reason *reason)
{
	sqlite3_stmt *row;
	int64_t last = 0;
	int state;

	state = query(registry, &row, reason, SQL_NODE_LAST, "i", (int64_t)request->realm);
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
	state = query(registry, &row, reason, SQL_TOMBSTONE_FREE, "ii", (int64_t)request->realm,
		(int64_t)request->nodes_max);
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
	state = node_lookup(registry, request->realm, NULL, request->node, &other, reason);
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
	state = query(registry, &row, reason, SQL_TOMBSTONE_OF, "ii", (int64_t)request->realm,
		(int64_t)*id);
	if (state < 0)
		return state;
	if (state == 1) {
		uint16_t highest = (uint16_t)sqlite3_column_int(row, 0);

		sqlite3_reset(row);
		*used = highest > *used ? highest : *used;
		error = run(registry, reason, SQL_TOMBSTONE_DROP, "ii", (int64_t)request->realm,
			(int64_t)*id);
	}
	if (error == 0)
		error = run(registry, reason, SQL_NODE_MAKE, "iitii", (int64_t)request->realm,
			(int64_t)*id, request->name, (int64_t)*used, now_s());
	return error;
}

static int
prefixes_write(struct registry *registry, const struct registry_request *request, uint32_t id,
	struct reason *reason)
{
	int error = run(
		registry, reason, SQL_PREFIXES_DROP, "ii", (int64_t)request->realm, (int64_t)id);

	for (unsigned i = 0; error == 0 && i < request->prefix_count; i++)
		error = run(registry, reason, SQL_PREFIX_MAKE, "iiiai", (int64_t)request->realm,
			(int64_t)id, (int64_t)i, request->prefixes[i].address,
			(int64_t)request->prefixes[i].bits);
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
	if (node.epoch_count == TABLE_EPOCHS_MAX)
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
		error = run(registry, reason, SQL_EPOCH_MAKE, "iiiiiit", (int64_t)request->realm,
			(int64_t)id, (int64_t)number, (int64_t)epoch.suite,
			(int64_t)epoch.not_before_s, (int64_t)epoch.not_after_s, epoch.master);
	if (error == 0)
		error = run(registry, reason, SQL_NODE_RAISE, "iiii", (int64_t)request->realm,
			(int64_t)id, (int64_t)number, now_s());
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
		error = begin(registry, reason);
	if (error != 0)
		return error;
	error = run(registry, reason, SQL_EPOCH_OPEN, "iii", (int64_t)realm, (int64_t)id,
		(int64_t)epoch);
	if (error == 0)
		error = run(registry, reason, SQL_NODE_STATE, "iiii", (int64_t)realm, (int64_t)id,
			(int64_t)NODE_LIVE, now_s());
	return finish(registry, error, reason);
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

/* The first transaction of add: node, prefixes and an epoch nobody uses yet. */
static int
node_prepare(struct registry *registry, const struct registry_request *request, uint32_t *id,
	uint16_t *epoch, struct reason *reason)
{
	struct registry_node known;
	uint16_t used = 0;
	int state, error;

	state = node_lookup(registry, request->realm, request->name, 0, &known, reason);
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
	if (error == 0 && request->has_prefixes)
		error = prefixes_write(registry, request, *id, reason);
	if (error == 0)
		error = epoch_make(registry, request, *id, *epoch, reason);
	return error;
}

int
registry_node_add(struct registry *registry, const struct registry_request *request,
	struct registry_node *node, struct reason *reason)
{
	uint16_t epoch = 0;
	uint32_t id = 0;
	int error;

	error = change_begin(registry, reason);
	if (error != 0)
		return error;
	error = node_prepare(registry, request, &id, &epoch, reason);
	error = finish(registry, error, reason);
	if (error == 0)
		error = epoch_open(registry, request->realm, id, epoch, reason);
	if (error == 0)
		error = registry_node_find(
			registry, request->realm, request->realm_name, NULL, id, node, reason);
	return error;
}

/* Closes the live epochs that are too old, or too many, beside `epoch`. */
static int
rotate_prepare(struct registry *registry, const struct registry_request *request, uint32_t until_s,
	uint32_t *id, uint16_t *epoch, struct reason *reason)
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
	if (error == 0 && *epoch > TABLE_EPOCHS_MAX)
		error = run(registry, reason, SQL_EPOCHS_CLOSE, "iii", (int64_t)request->realm,
			(int64_t)*id, (int64_t)(*epoch - TABLE_EPOCHS_MAX));
	if (error == 0)
		error = run(registry, reason, SQL_EPOCHS_END, "iii", (int64_t)request->realm,
			(int64_t)*id, (int64_t)until_s);
	if (error == 0)
		error = epoch_make(registry, request, *id, *epoch, reason);
	return error;
}

int
registry_node_rotate(struct registry *registry, const struct registry_request *request,
	uint32_t until_s, struct registry_node *node, struct reason *reason)
{
	uint16_t epoch = 0;
	uint32_t id = 0;
	int error;

	error = change_begin(registry, reason);
	if (error != 0)
		return error;
	error = rotate_prepare(registry, request, until_s, &id, &epoch, reason);
	error = finish(registry, error, reason);
	if (error == 0)
		error = epoch_open(registry, request->realm, id, epoch, reason);
	if (error == 0)
		error = registry_node_find(
			registry, request->realm, request->realm_name, NULL, id, node, reason);
	return error;
}

int
registry_node_delete(
	struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason)
{
	static const enum statement steps[] = {SQL_EPOCHS_DROP, SQL_PREFIXES_DROP, SQL_NODE_DROP};
	int error = change_begin(registry, reason);

	if (error != 0)
		return error;
	error = run(registry, reason, SQL_TOMBSTONE_MAKE, "iii", (int64_t)realm, (int64_t)node,
		now_s());
	for (size_t i = 0; error == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		error = run(registry, reason, steps[i], "ii", (int64_t)realm, (int64_t)node);
	error = finish(registry, error, reason);
	/* The tombstone is written; the next start makes up for what the file lacks. */
	if (error == 0 && highest_shut(registry, realm, node, reason) != 0)
		log_warning("registry", "node %u of realm id %u is deleted, but %s", node, realm,
			reason->text);
	return error;
}

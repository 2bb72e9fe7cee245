/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/registry_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

	/* A document without a text says that it was removed. */
	"ALTER TABLE nodes ADD COLUMN is_suspended INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE nodes ADD COLUMN note TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE roles("
	"  realm INTEGER NOT NULL, node INTEGER NOT NULL, role TEXT NOT NULL,"
	"  PRIMARY KEY(realm, node, role),"
	"  FOREIGN KEY(realm, node) REFERENCES nodes(realm, node)) WITHOUT ROWID;"
	"CREATE INDEX roles_by_role ON roles(realm, role, node);"
	"CREATE TABLE documents("
	"  realm INTEGER NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL, text TEXT,"
	"  who TEXT NOT NULL, added_s INTEGER NOT NULL,"
	"  PRIMARY KEY(realm, kind, version));",

	/*
	 * Rotations of a whole realm, and which of its masters are in service. A realm without rows
	 * in masters has the one that the configuration names.
	 */
	"ALTER TABLE epochs ADD COLUMN opened_s INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE epochs ADD COLUMN held_s INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE epochs ADD COLUMN rotation INTEGER NOT NULL DEFAULT 0;"
	"CREATE INDEX epochs_held ON epochs(realm, held_s) WHERE state = 3;"
	"CREATE TABLE rotations("
	"  realm INTEGER NOT NULL, rotation INTEGER NOT NULL, state INTEGER NOT NULL,"
	"  opened_s INTEGER NOT NULL, nodes INTEGER NOT NULL, master TEXT NOT NULL,"
	"  previous_master TEXT NOT NULL, role TEXT NOT NULL,"
	"  PRIMARY KEY(realm, rotation)) WITHOUT ROWID;"
	"CREATE TABLE masters("
	"  realm INTEGER NOT NULL, fingerprint TEXT NOT NULL, state INTEGER NOT NULL,"
	"  changed_s INTEGER NOT NULL, PRIMARY KEY(realm, fingerprint)) WITHOUT ROWID;",

	/*
	 * Join codes, without their secrets. Whoever throws a node out, or gives its name to another,
	 * means the code too that would let it in again.
	 */
	"CREATE TABLE codes("
	"  id INTEGER PRIMARY KEY, realm INTEGER NOT NULL, name TEXT NOT NULL,"
	"  state INTEGER NOT NULL, suite INTEGER NOT NULL, flags INTEGER NOT NULL,"
	"  made_s INTEGER NOT NULL, expires_s INTEGER NOT NULL, prefixes TEXT NOT NULL,"
	"  roles TEXT NOT NULL, who TEXT NOT NULL, wrong INTEGER NOT NULL DEFAULT 0,"
	"  public TEXT, source TEXT, claimed_s INTEGER NOT NULL DEFAULT 0,"
	"  node INTEGER NOT NULL DEFAULT 0, epoch INTEGER NOT NULL DEFAULT 0,"
	"  UNIQUE(realm, name));"
	"CREATE INDEX codes_by_end ON codes(expires_s);"
	"CREATE TRIGGER codes_of_revoked AFTER UPDATE OF state ON nodes"
	"  WHEN NEW.state = 2 AND OLD.state <> 2"
	"  BEGIN DELETE FROM codes WHERE realm = OLD.realm AND name = OLD.name; END;"
	"CREATE TRIGGER codes_of_renamed AFTER UPDATE OF name ON nodes WHEN NEW.name <> OLD.name"
	"  BEGIN DELETE FROM codes WHERE realm = OLD.realm AND name = OLD.name; END;"
	"CREATE TRIGGER codes_of_deleted AFTER DELETE ON nodes"
	"  BEGIN DELETE FROM codes WHERE realm = OLD.realm AND name = OLD.name; END;",
};
#define REGISTRY_VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])))

static const char *const statement_texts[] = {
#define STATEMENT_TEXT(NAME, sql) [SQL_##NAME] = (sql),
	REGISTRY_STATEMENTS(STATEMENT_TEXT)
#undef STATEMENT_TEXT
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
		"what was revoked since stays revoked); without a backup move registry.db* away, "
		"make the file " REGISTRY_ANEW " there and add all nodes and policies again",
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
bind(struct registry *registry, enum registry_statement which, const char *kinds, va_list args)
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

int
registry_db_next(struct registry *registry, sqlite3_stmt *row, struct reason *reason)
{
	int code = sqlite3_step(row);

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		fail(registry, reason);
	sqlite3_reset(row);
	return code == SQLITE_DONE ? 0 : -sqlite_errno(code);
}

int
registry_db_query(struct registry *registry, sqlite3_stmt **row, struct reason *reason,
	enum registry_statement which, const char *kinds, ...)
{
	va_list args;

	va_start(args, kinds);
	*row = bind(registry, which, kinds, args);
	va_end(args);
	return *row != NULL ? registry_db_next(registry, *row, reason) : fail(registry, reason);
}

int
registry_db_run(struct registry *registry, struct reason *reason, enum registry_statement which,
	const char *kinds, ...)
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

int
registry_db_begin(struct registry *registry, struct reason *reason)
{
	return registry_db_run(registry, reason, SQL_BEGIN, "");
}

int
registry_db_finish(struct registry *registry, int error, struct reason *reason)
{
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_COMMIT, "");
	if (error != 0 && !sqlite3_get_autocommit(registry->db))
		registry_db_run(registry, NULL, SQL_ROLLBACK, "");
	return error;
}

/* ---- opening and closing ---- */

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
		int error = registry_db_begin(registry, reason);

		if (error != 0)
			return error;
		snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", version + 1);
		if (sqlite3_exec(registry->db, migrations[version], NULL, NULL, NULL) !=
				SQLITE_OK ||
			sqlite3_exec(registry->db, pragma, NULL, NULL, NULL) != SQLITE_OK)
			error = fail(registry, reason);
		error = registry_db_finish(registry, error, reason);
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
	state = registry_db_next(registry, row, reason);
	if (state == 1 && strcmp((const char *)sqlite3_column_text(row, 0), "ok") != 0)
		error = damage_say(registry, (const char *)sqlite3_column_text(row, 0), reason);
	sqlite3_finalize(row);
	return state < 0 ? state : error;
}

int
registry_db_connect(struct registry *registry, const char *path, struct reason *reason)
{
	mode_t mask = umask(077);
	int code = sqlite3_open_v2(path, &registry->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
			SQLITE_OPEN_NOFOLLOW,
		NULL);

	umask(mask);
	if (code != SQLITE_OK)
		return reason_set(reason, sqlite_errno(code),
			"%s cannot be opened: %s; check owner and mode of the state directory",
			path, registry->db != NULL ? sqlite3_errmsg(registry->db) : "no memory");
	sqlite3_extended_result_codes(registry->db, 1);
	sqlite3_busy_timeout(registry->db, REGISTRY_BUSY_TIMEOUT_MS);
	/* A key is handed out when its row is committed: it must survive a power cut. */
	if (sqlite3_exec(registry->db,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
		    "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
		    NULL, NULL, NULL) != SQLITE_OK)
		return fail(registry, reason);
	return 0;
}

/* A new database has no nodes, no policies and no modes: nobody may get there by accident. */
static int
db_new_check(struct registry *registry, const char *path, struct reason *reason)
{
	int dir_size = (int)(strrchr(path, '/') - path);
	char anew[PATH_MAX];

	registry->is_new = db_version(registry) == 0;
	if (!registry->is_new || highwater_is_empty(registry->highwater))
		return 0;
	snprintf(anew, sizeof(anew), "%.*s/" REGISTRY_ANEW, dir_size, path);
	if (faccessat(AT_FDCWD, anew, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	return reason_set(reason, ENOENT,
		"%s is gone or empty, but nodes were in it (highwater): put its newest backup "
		"there; "
		"without one, make the file %s and add all nodes, policies and modes again",
		path, anew);
}

int
registry_db_open(struct registry *registry, const char *path, struct reason *reason)
{
	int error = registry_db_connect(registry, path, reason);

	if (error == 0)
		error = db_check(registry, reason);
	if (error == 0)
		error = db_new_check(registry, path, reason);
	return error != 0 ? error : db_migrate(registry, path, reason);
}

void
registry_db_close(struct registry *registry)
{
	for (size_t i = 0; i < REGISTRY_STATEMENT_COUNT; i++)
		sqlite3_finalize(registry->statements[i]);
	sqlite3_close(registry->db);
}

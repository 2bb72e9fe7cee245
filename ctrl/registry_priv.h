/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the files of the registry share: the database, its schema and its statements
 * (registry_db.c), the database against the high-water file (registry_marks.c), the reading of
 * nodes (registry_rows.c), their changes (registry.c, registry_set.c), revocations
 * (registry_revoke.c), imports (registry_import.c) and documents (registry_documents.c).
 */

#include <sqlite3.h>
#include <stdint.h>
#include <time.h>

#include "ctrl/registry.h"
#include "ctrl/registry_epochs_sql.h"
#include "ctrl/revocations.h"

#define REGISTRY_BUSY_TIMEOUT_MS 2000

enum registry_node_state {
	REGISTRY_NODE_LIVE = 1,
	REGISTRY_NODE_REVOKED = 2,
};

/* PENDING: written before the high-water file knows it; such a row is never used. CLOSED is for good. */
enum registry_epoch_state {
	REGISTRY_EPOCH_PENDING = 0,
	REGISTRY_EPOCH_LIVE = 1,
	REGISTRY_EPOCH_CLOSED = 2,
	REGISTRY_EPOCH_HELD = 3, /* refused, but may become LIVE again */
};

#define REGISTRY_NODE_COLUMNS "node, name, state, highest, is_suspended, note"

#define REGISTRY_CODE_COLUMNS                                                                   \
	"id, realm, name, state, suite, flags, made_s, expires_s, prefixes, roles, who, wrong," \
	" public, source, claimed_s, node, epoch"

/* All SQL but the schema: each is prepared once, when it is first run. */
#define REGISTRY_STATEMENTS(X)                                                                     \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(COMMIT, "COMMIT")                                                                        \
	X(ROLLBACK, "ROLLBACK")                                                                    \
	X(REALM_BY_NAME, "SELECT id FROM realms WHERE name = ?1")                                  \
	X(REALM_ENTER, "INSERT INTO realms(id, name) VALUES(?1, ?2)"                               \
		       " ON CONFLICT(id) DO UPDATE SET name = excluded.name")                      \
	X(NODES_WALK, "SELECT " REGISTRY_NODE_COLUMNS                                              \
		      " FROM nodes WHERE realm = ?1 AND node > ?2 ORDER BY node")                  \
	X(NODE_BY_ID,                                                                              \
		"SELECT " REGISTRY_NODE_COLUMNS " FROM nodes WHERE realm = ?1 AND node = ?2")      \
	X(NODE_BY_NAME,                                                                            \
		"SELECT " REGISTRY_NODE_COLUMNS " FROM nodes WHERE realm = ?1 AND name = ?2")      \
	X(EPOCHS_OF,                                                                               \
		"SELECT epoch, suite, not_before_s, not_after_s, master, opened_s FROM epochs"     \
		" WHERE realm = ?1 AND node = ?2 AND state = 1 ORDER BY epoch DESC LIMIT 8")       \
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
	X(NODE_OPEN, "UPDATE nodes SET state = 1, changed_s = ?3,"                                 \
		     " note = CASE state WHEN 1 THEN note ELSE '' END"                             \
		     " WHERE realm = ?1 AND node = ?2")                                            \
	X(NODE_REVOKE, "UPDATE nodes SET state = 2, is_suspended = 0, changed_s = ?3,"             \
		       " note = coalesce(?4, note) WHERE realm = ?1 AND node = ?2")                \
	X(NODE_SUSPEND, "UPDATE nodes SET is_suspended = ?3, note = ?4, changed_s = ?5"            \
			" WHERE realm = ?1 AND node = ?2 AND state = 1")                           \
	X(NODE_RENAME, "UPDATE nodes SET name = ?3 WHERE realm = ?1 AND node = ?2")                \
	X(NODE_TOUCH, "UPDATE nodes SET changed_s = ?3 WHERE realm = ?1 AND node = ?2")            \
	X(NODE_DROP, "DELETE FROM nodes WHERE realm = ?1 AND node = ?2")                           \
	X(EPOCH_MAKE, "INSERT INTO epochs(realm, node, epoch, suite, state, not_before_s,"         \
		      " not_after_s, master, opened_s) VALUES(?1, ?2, ?3, ?4, 0, ?5, ?6, ?7,"      \
		      " CAST(strftime('%s', 'now') AS INTEGER))")                                  \
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
	X(ROLES_OF, "SELECT role FROM roles WHERE realm = ?1 AND node = ?2 ORDER BY role LIMIT 8") \
	X(ROLE_MAKE, "INSERT OR IGNORE INTO roles(realm, node, role) VALUES(?1, ?2, ?3)")          \
	X(ROLES_DROP, "DELETE FROM roles WHERE realm = ?1 AND node = ?2")                          \
	X(SELECT_NAME, "SELECT node, highest, state FROM nodes WHERE realm = ?1 AND name = ?2")    \
	X(SELECT_ROLE, "SELECT n.node, n.highest, n.state FROM roles r JOIN nodes n"               \
		       " ON n.realm = r.realm AND n.node = r.node"                                 \
		       " WHERE r.realm = ?1 AND r.role = ?2 ORDER BY r.node")                      \
	X(SELECT_PREFIXES,                                                                         \
		"SELECT p.node, n.highest, n.state, p.address, p.bits"                             \
		" FROM prefixes p JOIN nodes n ON n.realm = p.realm AND n.node = p.node"           \
		" WHERE p.realm = ?1 ORDER BY p.node")                                             \
	X(DOCUMENT_LAST, "SELECT max(version) FROM documents WHERE realm = ?1 AND kind = ?2")      \
	X(DOCUMENT_MAKE, "INSERT INTO documents(realm, kind, version, text, who, added_s)"         \
			 " VALUES(?1, ?2, ?3, ?4, ?5, ?6)")                                        \
	X(DOCUMENTS_DROP, "DELETE FROM documents WHERE realm = ?1 AND kind = ?2"                   \
			  " AND version <= ?3")                                                    \
	X(DOCUMENT_GET, "SELECT version, who, added_s, length(CAST(text AS BLOB)), text"           \
			" FROM documents WHERE realm = ?1 AND kind = ?2 AND version = ?3")         \
	X(DOCUMENTS_WALK, "SELECT version, who, added_s, length(CAST(text AS BLOB))"               \
			  " FROM documents WHERE realm = ?1 AND kind = ?2 ORDER BY version DESC")  \
	X(CODES_DROP_NAME, "DELETE FROM codes WHERE realm = ?1 AND name = ?2")                     \
	X(CODE_MAKE, "INSERT INTO codes(id, realm, name, state, suite, flags, made_s, expires_s,"  \
		     " prefixes, roles, who)"                                                      \
		     " VALUES(?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                        \
	X(CODE_FIND, "SELECT " REGISTRY_CODE_COLUMNS " FROM codes WHERE id = ?1")                  \
	X(CODES_WALK, "SELECT " REGISTRY_CODE_COLUMNS " FROM codes"                                \
		      " WHERE realm = ?1 AND name > ?2 ORDER BY name")                             \
	X(CODE_WRONG, "UPDATE codes SET wrong = wrong + 1,"                                        \
		      " state = CASE WHEN wrong + 1 >= ?2 THEN 3 ELSE state END WHERE id = ?1")    \
	X(CODE_CLAIM, "UPDATE codes SET state = 2, public = ?2, source = ?3, claimed_s = ?4"       \
		      " WHERE id = ?1 AND state = 1")                                              \
	X(CODE_DONE, "UPDATE codes SET node = ?2, epoch = ?3 WHERE id = ?1 AND state = 2")         \
	X(CODES_EXPIRE, "DELETE FROM codes WHERE expires_s <= ?1")                                 \
	X(CODES_CLEAR, "DELETE FROM codes")                                                        \
	X(CODES_COUNT, "SELECT count(*) FROM codes")                                               \
	REGISTRY_EPOCH_STATEMENTS(X)                                                               \
	X(MARKS, "SELECT realm, node, name, state, highest FROM nodes")                            \
	X(ANY, "SELECT 1 FROM nodes UNION ALL SELECT 1 FROM tombstones LIMIT 1")

enum registry_statement {
#define STATEMENT_ENUM(NAME, sql) SQL_##NAME,
	REGISTRY_STATEMENTS(STATEMENT_ENUM)
#undef STATEMENT_ENUM
	REGISTRY_STATEMENT_COUNT
};

struct registry {
	sqlite3 *db;
	bool is_new; /* the database was not there, or had nothing in it */
	struct highwater *highwater;
	sqlite3_stmt *statements[REGISTRY_STATEMENT_COUNT];
	struct revocations unwritten;
	struct revocations suspensions; /* likewise in force and not yet on disk */
	struct registry_import *import; /* under way; NULL: none is */
};

static inline int64_t
registry_now_s(void)
{
	return (int64_t)time(NULL);
}

/* ---- registry_db.c ---- */

/*
 * Opens or makes the database at `path`, checks every page of it and migrates. Refuses to make one
 * where one was (the high-water file knows its nodes), unless the file ANEW is there. 0 or -errno.
 */
#define REGISTRY_ANEW "registry.anew"
int registry_db_open(struct registry *registry, const char *path, struct reason *reason);

/* A further connection to a database that is open. 0 or -errno. */
int registry_db_connect(struct registry *registry, const char *path, struct reason *reason);
void registry_db_close(struct registry *registry);

/*
 * The next row: 1, 0 after the last, -errno. An error is not the end of the rows: what a walk did
 * not see would be taken for revoked or never used. The statement is reset unless there is a row.
 */
int registry_db_next(struct registry *registry, sqlite3_stmt *row, struct reason *reason);

/*
 * Runs to the first row, as registry_db_next. The caller resets after reading. `kinds` has a letter
 * for each parameter: 'i' int64_t, 't' text (NULL is SQL's NULL), 'a' 16 bytes.
 */
int registry_db_query(struct registry *registry, sqlite3_stmt **row, struct reason *reason,
	enum registry_statement which, const char *kinds, ...);

/* Runs a statement without rows; parameters as registry_db_query. 0 or -errno. */
int registry_db_run(struct registry *registry, struct reason *reason, enum registry_statement which,
	const char *kinds, ...);

/* Begins a transaction. */
int registry_db_begin(struct registry *registry, struct reason *reason);

/* Commits if `error` is 0, else (or if that fails) takes everything back. Returns the error. */
int registry_db_finish(struct registry *registry, int error, struct reason *reason);

/* ---- registry.c ---- */

/* Begins a change behind all revocations: it must not be overtaken by one that came before it. */
int registry_change_begin(struct registry *registry, struct reason *reason);

/*
 * Within a transaction, the first part of an addition: node, prefixes, roles and an epoch that
 * nobody uses yet.
 */
int registry_node_prepare(struct registry *registry, const struct registry_request *request,
	uint32_t *id, uint16_t *epoch, struct reason *reason);

/* Likewise the second part, when the high-water file has the epoch: it is live, and so is the node. */
int registry_epoch_open(struct registry *registry, uint32_t realm, uint32_t id, uint16_t epoch,
	struct reason *reason);

/* ---- registry_import.c ---- */

/* -EAGAIN with the reason while an import is under way. */
int registry_import_check(const struct registry *registry, struct reason *reason);

/* ---- registry_revoke.c ---- */

/* Notes in the high-water file that all epochs of the node are over. 0 or -errno. */
int registry_highest_shut(
	struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason);

/* Says which revocations are lost with the process. */
void registry_revocations_fini(struct registry *registry);

/* ---- registry_set.c ---- */

/* Prefixes and roles of the node, if the request has them. */
int registry_lists_write(struct registry *registry, const struct registry_request *request,
	uint32_t id, struct reason *reason);

/* Writes what suspensions are remembered. 0 or -errno. */
int registry_suspensions_write(struct registry *registry, struct reason *reason);

/* ---- registry_marks.c ---- */

/* Revokes, loudly, each node of which the high-water file knows more than the database. */
int registry_reconcile(struct registry *registry, struct reason *reason);

/* ---- registry_rows.c ---- */

/* A node by name, or by id if name is NULL: 1 if found, 0 if not, -errno. */
int registry_node_lookup(struct registry *registry, uint32_t realm, const char *name, uint32_t id,
	struct registry_node *node, struct reason *reason);

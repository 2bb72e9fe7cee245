/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Statements of registry_epochs.c; states are those of registry_priv.h. ?2 NULL: nodes of any role. */
#define REGISTRY_OF_ROLE                                                                      \
	" WHERE n.realm = ?1 AND n.state = 1 AND (?2 IS NULL OR EXISTS(SELECT 1 FROM roles r" \
	" WHERE r.realm = n.realm AND r.node = n.node AND r.role = ?2))"
#define REGISTRY_ROTATION_COLUMNS "rotation, state, opened_s, nodes, master, previous_master, role"
#define REGISTRY_LIVE_OF(what)                                        \
	"(SELECT " what " FROM epochs e WHERE e.realm = epochs.realm" \
	" AND e.node = epochs.node AND e.state = 1)"

#define REGISTRY_EPOCH_STATEMENTS(X)                                                               \
	X(ROTATE_COUNT,                                                                            \
		"SELECT count(*), coalesce(max(n.highest), 0) FROM nodes n" REGISTRY_OF_ROLE)      \
	X(ROTATE_CLEAN, "DELETE FROM epochs WHERE realm = ?1 AND state = 0")                       \
	X(ROTATIONS_CLEAN, "DELETE FROM rotations WHERE realm = ?1 AND state = 0")                 \
	X(ROTATION_MAKE, "INSERT INTO rotations(realm, rotation, state, opened_s, nodes, master,"  \
			 " previous_master, role) SELECT ?1, 1 + coalesce(max(rotation), 0), 0,"   \
			 " ?3, ?4, ?5, ?6, coalesce(?2, '') FROM rotations WHERE realm = ?1")      \
	X(ROTATION_NEWEST, "SELECT " REGISTRY_ROTATION_COLUMNS                                     \
			   " FROM rotations WHERE realm = ?1 ORDER BY rotation DESC LIMIT 1")      \
	X(ROTATION_OPEN, "SELECT " REGISTRY_ROTATION_COLUMNS " FROM rotations"                     \
			 " WHERE realm = ?1 AND state = 1 ORDER BY rotation DESC LIMIT 1")         \
	X(ROTATION_STATE, "UPDATE rotations SET state = ?3 WHERE realm = ?1 AND rotation = ?2")    \
	X(ROTATIONS_FINAL, "UPDATE rotations SET state = 3 WHERE realm = ?1 AND state = 1"         \
			   " AND NOT EXISTS(SELECT 1 FROM epochs n JOIN epochs o"                  \
			   " ON o.realm = n.realm AND o.node = n.node AND o.epoch < n.epoch"       \
			   " AND o.state IN (1, 3) WHERE n.realm = rotations.realm"                \
			   " AND n.rotation = rotations.rotation AND n.state = 1)")                \
	X(ROTATE_EPOCHS, "INSERT INTO epochs(realm, node, epoch, suite, state, not_before_s,"      \
			 " not_after_s, master, opened_s, rotation)"                               \
			 " SELECT n.realm, n.node, n.highest + 1, CASE ?3 WHEN 0 THEN"             \
			 " coalesce((SELECT e.suite FROM epochs e WHERE e.realm = n.realm"         \
			 " AND e.node = n.node AND e.state = 1 ORDER BY e.epoch DESC LIMIT 1), 3)" \
			 " ELSE ?3 END, 0, ?4, ?5, ?6, ?7, ?8 FROM nodes n" REGISTRY_OF_ROLE)      \
	X(ROTATE_RAISE,                                                                            \
		"UPDATE nodes AS n SET highest = highest + 1, changed_s = ?3" REGISTRY_OF_ROLE)    \
	X(ROTATE_MARKS, "SELECT node, epoch FROM epochs"                                           \
			" WHERE realm = ?1 AND rotation = ?2 AND state = 0")                       \
	X(ROTATE_OPEN, "UPDATE epochs SET state = 1"                                               \
		       " WHERE realm = ?1 AND rotation = ?2 AND state = 0")                        \
	X(ROTATE_CLOSE, "UPDATE epochs SET state = 2 WHERE realm = ?1 AND state IN (1, 3)"         \
			" AND epoch + 8 <= (SELECT n.highest FROM nodes n"                         \
			" WHERE n.realm = epochs.realm AND n.node = epochs.node)")                 \
	X(ROTATE_END, "UPDATE epochs SET not_after_s = min(not_after_s, ?3)"                       \
		      " WHERE realm = ?1 AND state = 1 AND rotation <> ?2"                         \
		      " AND EXISTS(SELECT 1 FROM epochs e WHERE e.realm = epochs.realm"            \
		      " AND e.node = epochs.node AND e.rotation = ?2)")                            \
	X(EPOCHS_HOLD, "UPDATE epochs SET state = 3, held_s = ?4 WHERE realm = ?1 AND state = 1"   \
		       " AND (?2 = 0 OR node = ?2) AND (?3 = 0 OR epoch = ?3)"                     \
		       " AND epoch < " REGISTRY_LIVE_OF("max(e.epoch)"))                           \
	X(EPOCHS_RESTORE, "UPDATE epochs SET state = 1, held_s = 0"                                \
			  " WHERE realm = ?1 AND state = 3 AND (?2 = 0 OR node = ?2)")             \
	X(EPOCHS_HELD, "SELECT count(*) FROM epochs"                                               \
		       " WHERE realm = ?1 AND state = 3 AND (?2 = 0 OR node = ?2)")                \
	X(EPOCHS_DUE, "SELECT realm FROM epochs WHERE state = 3 AND held_s <= ?1 LIMIT 1")         \
	X(CLOSE_MARKS, "SELECT h.node, (SELECT min(e.epoch) FROM epochs e"                         \
		       " WHERE e.realm = h.realm AND e.node = h.node"                              \
		       " AND (e.state = 1 OR (e.state = 3 AND e.held_s > ?3)))"                    \
		       " FROM epochs h WHERE h.realm = ?1 AND h.state = 3"                         \
		       " AND (?2 = 0 OR h.node = ?2) AND h.held_s <= ?3 GROUP BY h.node")          \
	X(CLOSE_HELD, "UPDATE epochs SET state = 2 WHERE realm = ?1 AND state = 3"                 \
		      " AND (?2 = 0 OR node = ?2) AND held_s <= ?3")                               \
	X(ROTATION_UNDO, "UPDATE epochs SET state = 2"                                             \
			 " WHERE realm = ?1 AND rotation = ?2 AND state = 1"                       \
			 " AND epoch = " REGISTRY_LIVE_OF(                                         \
				 "max(e.epoch)") " AND 1 < " REGISTRY_LIVE_OF("count(*)"))         \
	X(EPOCH_UNDO, "UPDATE epochs SET state = 2 WHERE realm = ?1 AND node = ?2 AND epoch = ?3") \
	X(EPOCHS_WALK, "SELECT node, epoch, suite, not_before_s, not_after_s, master, opened_s,"   \
		       " rotation FROM epochs WHERE realm = ?1 AND node BETWEEN ?2 AND ?3"         \
		       " AND state = 1 ORDER BY node, epoch")                                      \
	X(NODE_NAME, "SELECT name FROM nodes WHERE realm = ?1 AND node = ?2")                      \
	X(MASTERS_OF, "SELECT fingerprint, state FROM masters WHERE realm = ?1"                    \
		      " ORDER BY state, changed_s DESC LIMIT 64")                                  \
	X(MASTER_PUT, "INSERT INTO masters(realm, fingerprint, state, changed_s)"                  \
		      " VALUES(?1, ?2, ?3, ?4) ON CONFLICT(realm, fingerprint)"                    \
		      " DO UPDATE SET state = excluded.state, changed_s = excluded.changed_s")     \
	X(MASTER_USED, "SELECT 1 FROM epochs WHERE realm = ?1 AND master = ?2"                     \
		       " AND state IN (0, 1, 3) LIMIT 1")

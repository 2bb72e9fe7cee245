/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Revocations: of one node or of very many, in one transaction and one append of the high-water
 * file. What cannot be written is remembered, for it is in force already.
 */
#include "ctrl/registry_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/log.h"

/* More lines than this about one trouble help nobody. */
#define COMPLAINTS_MAX 20u

/*
 * The high-water file follows the database here: a crash in between is healed at the next start
 * (registry_reconcile), and a file that cannot be written does not keep a key alive.
 */
static int
highest_shut_all(struct registry *registry, const struct revocation *items, size_t count,
	struct reason *reason)
{
	struct highwater_line *lines = calloc(count, sizeof(*lines));
	size_t used = 0;
	int error;

	if (lines == NULL)
		return reason_set(reason, ENOMEM, "no memory for the high-water file");
	for (size_t i = 0; i < count; i++) {
		const struct revocation *item = &items[i];
		uint16_t highest =
			highwater_find(registry->highwater, item->realm, item->node).highest;

		if (highest != 0)
			lines[used++] =
				(struct highwater_line){item->realm, item->node, highest, true};
	}
	error = highwater_append(registry->highwater, lines, used, reason);
	free(lines);
	return error;
}

int
registry_highest_shut(
	struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason)
{
	const struct revocation item = {realm, node};

	return highest_shut_all(registry, &item, 1, reason);
}

static int
row_revoke(struct registry *registry, const struct revocation *item, const char *note,
	struct reason *reason)
{
	int error = registry_db_run(registry, reason, SQL_EPOCHS_CLOSE, "iii", (int64_t)item->realm,
		(int64_t)item->node, (int64_t)UINT16_MAX);

	if (error == 0)
		error = registry_db_run(registry, reason, SQL_NODE_REVOKE, "iiit",
			(int64_t)item->realm, (int64_t)item->node, registry_now_s(), note);
	return error;
}

/* Both files are tried: either alone keeps the nodes out after a restart. */
static int
revocations_write(struct registry *registry, const struct revocation *items, size_t count,
	const char *note, struct reason *reason)
{
	int shut, error = registry_import_check(registry, reason);

	if (error == 0)
		error = registry_db_begin(registry, reason);
	if (error == 0) {
		for (size_t i = 0; error == 0 && i < count; i++)
			error = row_revoke(registry, &items[i], note, reason);
		error = registry_db_finish(registry, error, reason);
	}
	shut = highest_shut_all(registry, items, count, error == 0 ? reason : NULL);
	return error != 0 ? error : shut;
}

/* 1: some were not remembered before. */
static int
revocations_remember(struct registry *registry, const struct revocation *items, size_t count)
{
	size_t before = registry->unwritten.count;

	for (size_t i = 0; i < count; i++)
		if (revocations_add(&registry->unwritten, items[i].realm, items[i].node) != 0)
			return -ENOMEM;
	return registry->unwritten.count != before;
}

int
registry_revoke(struct registry *registry, const struct revocation *items, size_t count,
	const char *note, struct reason *reason)
{
	int error, remembered;

	if (count == 0)
		return 0;
	error = revocations_write(registry, items, count, note, reason);
	if (error == 0)
		return 0;
	remembered = revocations_remember(registry, items, count);
	if (remembered < 0)
		return reason_set(reason, ENOMEM,
			"node %u%s is refused from now on, but only until the next start: neither "
			"disk nor memory has room for its revocation; make room and ask again",
			items[0].node, count > 1 ? " and the others" : "");
	if (remembered == 1)
		log_warning("registry",
			"node %u of realm id %u%s: the revocation is in force, but not yet on "
			"disk: %s; writing it is tried again each second",
			items[0].node, items[0].realm, count > 1 ? " and others" : "",
			strerror(-error));
	return 1;
}

int
registry_node_revoke(
	struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason)
{
	const struct revocation item = {realm, node};

	return registry_revoke(registry, &item, 1, NULL, reason);
}

static int
remembered_write(struct registry *registry, struct reason *reason)
{
	struct revocations *unwritten = &registry->unwritten;
	int error = 0;

	if (unwritten->count > 0)
		error = revocations_write(
			registry, unwritten->items, unwritten->count, NULL, reason);
	if (error != 0)
		return error;
	revocations_fini(unwritten);
	return registry_suspensions_write(registry, reason);
}

int
registry_sync(struct registry *registry, struct reason *reason)
{
	int error;

	if (registry_unwritten(registry) == 0)
		return 0;
	error = registry_import_check(registry, reason);
	if (error != 0)
		return error;
	/* Somebody else's lock on the database must not hold up the event loop each second. */
	sqlite3_busy_timeout(registry->db, 0);
	error = remembered_write(registry, reason);
	sqlite3_busy_timeout(registry->db, REGISTRY_BUSY_TIMEOUT_MS);
	if (error == 0)
		log_info("registry", "all revocations and suspensions are on disk");
	return error;
}

size_t
registry_unwritten(const struct registry *registry)
{
	return registry->unwritten.count + registry->suspensions.count;
}

void
registry_revocations_fini(struct registry *registry)
{
	const struct revocations *unwritten = &registry->unwritten;

	for (size_t i = 0; i < unwritten->count && i < COMPLAINTS_MAX; i++)
		log_error("registry",
			"node %u of realm id %u: its revocation could not be written in full; look "
			"at it after the next start, and revoke it again if it is live",
			unwritten->items[i].node, unwritten->items[i].realm);
	if (unwritten->count > COMPLAINTS_MAX)
		log_error("registry", "and %zu nodes more are like that",
			unwritten->count - COMPLAINTS_MAX);
	if (registry->suspensions.count > 0)
		log_error("registry",
			"%zu suspensions could not be written; look at node %u of realm id %u "
			"after "
			"the next start",
			registry->suspensions.count, registry->suspensions.items[0].node,
			registry->suspensions.items[0].realm);
	revocations_fini(&registry->suspensions);
	revocations_fini(&registry->unwritten);
}

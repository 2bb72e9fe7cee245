/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/registry_codes.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/address.h"
#include "ctrl/registry_priv.h"

enum code_flags {
	CODE_BINDS_ADDRESS = 1,
	CODE_CLOSES_OLD = 2,
};

#define PUBLIC_TEXT_SIZE (2 * JOIN_PUBLIC_SIZE + 1)

/* ---- lists as texts: "a,b" ---- */

static void
list_append(char text[REGISTRY_CODE_TEXT_SIZE], const char *item)
{
	size_t length = strlen(text);

	snprintf(text + length, REGISTRY_CODE_TEXT_SIZE - length, "%s%s", length > 0 ? "," : "",
		item);
}

/* Cuts the next item out of the text; NULL after the last. */
static const char *
list_next(char **text)
{
	const char *item;

	do {
		item = strsep(text, ",");
	} while (item != NULL && item[0] == '\0');
	return item;
}

static void
prefixes_parse(struct registry_code *code, const char *list)
{
	char copy[REGISTRY_CODE_TEXT_SIZE], *rest = copy;
	const char *item;

	snprintf(copy, sizeof(copy), "%s", list);
	while ((item = list_next(&rest)) != NULL && code->prefix_count < TABLE_NODE_PREFIXES_MAX) {
		struct registry_prefix *prefix = &code->prefixes[code->prefix_count];

		code->prefix_count += address_parse(item, prefix->address, &prefix->bits) == NULL;
	}
}

static void
roles_parse(struct registry_code *code, const char *list)
{
	char copy[REGISTRY_CODE_TEXT_SIZE], *rest = copy;
	const char *item;

	snprintf(copy, sizeof(copy), "%s", list);
	while ((item = list_next(&rest)) != NULL && code->role_count < REGISTRY_ROLES_MAX)
		snprintf(code->roles[code->role_count++], REGISTRY_ROLE_SIZE, "%s", item);
}

/* ---- rows ---- */

static const char *
column_text(sqlite3_stmt *row, int column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	return text != NULL ? text : "";
}

/* Whoever cannot be read whole is nobody: a key that matches no request. */
static void
claim_read(sqlite3_stmt *row, struct registry_code *code)
{
	const char *public = column_text(row, 12), *source = column_text(row, 13);
	uint8_t bits;

	if (sodium_hex2bin(code->public, sizeof(code->public), public, strlen(public), NULL, NULL,
		    NULL) != 0)
		memset(code->public, 0, sizeof(code->public));
	if (address_parse(source, code->source, &bits) != NULL)
		memset(code->source, 0, sizeof(code->source));
	code->claimed_s = sqlite3_column_int64(row, 14);
	code->node = (uint32_t)sqlite3_column_int64(row, 15);
	code->epoch = (uint16_t)sqlite3_column_int(row, 16);
}

static void
code_read(sqlite3_stmt *row, struct registry_code *code)
{
	int flags = sqlite3_column_int(row, 5);

	memset(code, 0, sizeof(*code));
	code->id = (uint64_t)sqlite3_column_int64(row, 0);
	code->realm = (uint32_t)sqlite3_column_int64(row, 1);
	snprintf(code->name, sizeof(code->name), "%s", column_text(row, 2));
	code->state = (enum registry_code_state)sqlite3_column_int(row, 3);
	code->suite = (uint8_t)sqlite3_column_int(row, 4);
	code->binds_address = (flags & CODE_BINDS_ADDRESS) != 0;
	code->closes_old = (flags & CODE_CLOSES_OLD) != 0;
	code->made_s = sqlite3_column_int64(row, 6);
	code->expires_s = sqlite3_column_int64(row, 7);
	prefixes_parse(code, column_text(row, 8));
	roles_parse(code, column_text(row, 9));
	snprintf(code->who, sizeof(code->who), "%s", column_text(row, 10));
	code->wrong = (unsigned)sqlite3_column_int(row, 11);
	claim_read(row, code);
}

int
registry_code_find(
	struct registry *registry, uint64_t id, struct registry_code *code, struct reason *reason)
{
	sqlite3_stmt *row;
	int state = registry_db_query(registry, &row, reason, SQL_CODE_FIND, "i", (int64_t)id);

	if (state != 1)
		return state;
	code_read(row, code);
	sqlite3_reset(row);
	return 1;
}

int
registry_code_walk(struct registry *registry, uint32_t realm, const char *after,
	bool (*each)(const struct registry_code *code, void *context), void *context,
	struct reason *reason)
{
	struct registry_code code;
	sqlite3_stmt *row;
	int state = registry_db_query(
		registry, &row, reason, SQL_CODES_WALK, "it", (int64_t)realm, after);

	while (state == 1) {
		code_read(row, &code);
		if (!each(&code, context)) {
			sqlite3_reset(row);
			return 0;
		}
		state = registry_db_next(registry, row, reason);
	}
	return state;
}

/* ---- changes ---- */

static int
codes_have_room(struct registry *registry, struct reason *reason)
{
	sqlite3_stmt *row;
	int64_t count = 0;
	int state = registry_db_query(registry, &row, reason, SQL_CODES_COUNT, "");

	if (state < 0)
		return state;
	if (state == 1) {
		count = sqlite3_column_int64(row, 0);
		sqlite3_reset(row);
	}
	if (count < (int64_t)REGISTRY_CODES_MAX)
		return 0;
	return reason_set(reason, ENOSPC,
		"%u join codes are outstanding, which is the most; wait until some expire, or "
		"take them back with credgate node uninvite",
		REGISTRY_CODES_MAX);
}

static int
code_insert(struct registry *registry, const struct registry_code *code, struct reason *reason)
{
	char prefixes[REGISTRY_CODE_TEXT_SIZE] = "", roles[REGISTRY_CODE_TEXT_SIZE] = "";
	int64_t flags = (code->binds_address ? CODE_BINDS_ADDRESS : 0) |
			(code->closes_old ? CODE_CLOSES_OLD : 0);
	char text[ADDRESS_TEXT_SIZE];

	for (unsigned i = 0; i < code->prefix_count; i++) {
		address_format(text, code->prefixes[i].address, code->prefixes[i].bits, 0);
		list_append(prefixes, text);
	}
	for (unsigned i = 0; i < code->role_count; i++)
		list_append(roles, code->roles[i]);
	return registry_db_run(registry, reason, SQL_CODE_MAKE, "iitiiiittt", (int64_t)code->id,
		(int64_t)code->realm, code->name, (int64_t)code->suite, flags, code->made_s,
		code->expires_s, prefixes, roles, code->who);
}

int
registry_code_add(
	struct registry *registry, const struct registry_code *code, struct reason *reason)
{
	int error = registry_change_begin(registry, reason);

	if (error != 0)
		return error;
	error = registry_db_run(
		registry, reason, SQL_CODES_DROP_NAME, "it", (int64_t)code->realm, code->name);
	if (error == 0)
		error = codes_have_room(registry, reason);
	if (error == 0)
		error = code_insert(registry, code, reason);
	return registry_db_finish(registry, error, reason);
}

/* One statement by itself is one transaction, durable when it returns. */

int
registry_code_wrong(struct registry *registry, uint64_t id, struct reason *reason)
{
	return registry_db_run(registry, reason, SQL_CODE_WRONG, "ii", (int64_t)id,
		(int64_t)REGISTRY_CODE_WRONG_MAX);
}

int
registry_code_claim(struct registry *registry, uint64_t id, const uint8_t public[JOIN_PUBLIC_SIZE],
	const uint8_t source[16], struct reason *reason)
{
	char key[PUBLIC_TEXT_SIZE], place[ADDRESS_TEXT_SIZE];
	int error = registry_sync(registry, reason);

	sodium_bin2hex(key, sizeof(key), public, JOIN_PUBLIC_SIZE);
	address_format(place, source, 128, 1);
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_CODE_CLAIM, "itti", (int64_t)id, key,
			place, registry_now_s());
	if (error == 0 && sqlite3_changes(registry->db) != 1)
		error = reason_set(reason, EALREADY, "the join code was used just now");
	return error;
}

int
registry_code_done(struct registry *registry, uint64_t id, uint32_t node, uint16_t epoch,
	struct reason *reason)
{
	return registry_db_run(
		registry, reason, SQL_CODE_DONE, "iii", (int64_t)id, (int64_t)node, (int64_t)epoch);
}

int
registry_code_drop(struct registry *registry, uint32_t realm, const char *name, unsigned *count,
	struct reason *reason)
{
	int error =
		registry_db_run(registry, reason, SQL_CODES_DROP_NAME, "it", (int64_t)realm, name);

	*count = error == 0 ? (unsigned)sqlite3_changes(registry->db) : 0;
	return error;
}

/* Somebody else's lock on the database must not hold up the event loop: the next time will do. */
int
registry_codes_expire(struct registry *registry, int64_t now_s, struct reason *reason)
{
	int error;

	sqlite3_busy_timeout(registry->db, 0);
	error = registry_db_run(registry, reason, SQL_CODES_EXPIRE, "i", now_s);
	sqlite3_busy_timeout(registry->db, REGISTRY_BUSY_TIMEOUT_MS);
	return error;
}

int
registry_codes_clear(struct registry *registry, struct reason *reason)
{
	return registry_db_run(registry, reason, SQL_CODES_CLEAR, "");
}

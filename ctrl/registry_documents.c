/* SPDX-License-Identifier: BSD-3-Clause */
/* Texts with a history: each change is a new version, and a removal is one without a text. */
#include "ctrl/registry_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number of the newest version, 0 if there is none yet, or -errno. */
static int64_t
version_last(struct registry *registry, uint32_t realm, const char *kind, struct reason *reason)
{
	sqlite3_stmt *row;
	int64_t last = 0;
	int state = registry_db_query(
		registry, &row, reason, SQL_DOCUMENT_LAST, "it", (int64_t)realm, kind);

	if (state < 0)
		return state;
	if (state == 1) {
		last = sqlite3_column_int64(row, 0);
		sqlite3_reset(row);
	}
	return last;
}

/* Within a transaction: the new version, and the end of the oldest. */
static int
version_make(struct registry *registry, uint32_t realm, const char *kind, const char *text,
	const char *who, int64_t *version, struct reason *reason)
{
	int64_t last = version_last(registry, realm, kind, reason);
	int error;

	if (last < 0)
		return (int)last;
	*version = last + 1;
	error = registry_db_run(registry, reason, SQL_DOCUMENT_MAKE, "ititti", (int64_t)realm, kind,
		*version, text, who, registry_now_s());
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_DOCUMENTS_DROP, "iti", (int64_t)realm,
			kind, *version - (int64_t)REGISTRY_DOCUMENTS_KEPT);
	return error;
}

int
registry_document_put(struct registry *registry, uint32_t realm, const char *kind, const char *text,
	const char *who, uint32_t *version, struct reason *reason)
{
	int64_t made = 0;
	int error;

	if (text != NULL && strlen(text) > REGISTRY_DOCUMENT_SIZE_MAX)
		return reason_set(reason, EFBIG, "the %s is larger than %u bytes; make it smaller",
			kind, REGISTRY_DOCUMENT_SIZE_MAX);
	error = registry_change_begin(registry, reason);
	if (error != 0)
		return error;
	error = version_make(registry, realm, kind, text, who, &made, reason);
	error = registry_db_finish(registry, error, reason);
	if (error == 0 && version != NULL)
		*version = (uint32_t)made;
	return error;
}

/* From a row whose first columns are version, who, added_s and size. */
static void
document_read(struct registry_document *document, sqlite3_stmt *row)
{
	*document = (struct registry_document){
		.version = (uint32_t)sqlite3_column_int64(row, 0),
		.added_s = sqlite3_column_int64(row, 2),
		.is_removed = sqlite3_column_type(row, 3) == SQLITE_NULL,
		.size = (size_t)sqlite3_column_int64(row, 3),
	};
	snprintf(document->who, sizeof(document->who), "%s",
		(const char *)sqlite3_column_text(row, 1));
}

int
registry_document_get(struct registry *registry, uint32_t realm, const char *kind, uint32_t version,
	struct registry_document *document, struct reason *reason)
{
	int64_t number = version != 0 ? version : version_last(registry, realm, kind, reason);
	sqlite3_stmt *row;
	int state;

	*document = (struct registry_document){0};
	if (number < 0)
		return (int)number;
	state = registry_db_query(
		registry, &row, reason, SQL_DOCUMENT_GET, "iti", (int64_t)realm, kind, number);
	if (state < 0)
		return state;
	if (state == 0 && version != 0)
		return reason_set(
			reason, ENOENT, "there is no version %u of the %s", version, kind);
	if (state == 0)
		return reason_set(reason, ENOENT, "there is no %s", kind);
	document_read(document, row);
	if (!document->is_removed)
		document->text = strdup((const char *)sqlite3_column_text(row, 4));
	sqlite3_reset(row);
	if (document->is_removed)
		return reason_set(reason, ENOENT, "the %s was removed with version %u", kind,
			document->version);
	if (document->text == NULL)
		return reason_set(reason, ENOMEM, "no memory for the %s", kind);
	return 0;
}

int
registry_document_walk(struct registry *registry, uint32_t realm, const char *kind,
	bool (*each)(const struct registry_document *document, void *context), void *context,
	struct reason *reason)
{
	struct registry_document document;
	sqlite3_stmt *row;
	int state = registry_db_query(
		registry, &row, reason, SQL_DOCUMENTS_WALK, "it", (int64_t)realm, kind);

	for (; state == 1; state = registry_db_next(registry, row, reason)) {
		document_read(&document, row);
		if (!each(&document, context)) {
			sqlite3_reset(row);
			return 0;
		}
	}
	return state;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verbs of imports: begin, rows in pieces, commit. Only the first and the last say that something
 * changes; the rows between them are no changes of their own.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/inventory.h"
#include "ctrl/verbs_priv.h"
#include "wire/cred.h"

/* Rows in one request: more would hold up everybody else. */
#define ROWS_MAX 1024u

static int
state_parse(struct verb_call *row, enum registry_import_state *state)
{
	static const char *const texts[] = {"", "live", "suspended", "revoked"};
	const char *text;
	int error = verb_arg_text(row, "state", &text);

	*state = REGISTRY_IMPORT_ANY;
	if (error != 0 || text == NULL)
		return error;
	for (unsigned i = REGISTRY_IMPORT_ANY; i <= REGISTRY_IMPORT_REVOKED; i++)
		if (strcmp(text, texts[i]) == 0) {
			*state = (enum registry_import_state)i;
			return 0;
		}
	return reason_set(&row->reason, EINVAL,
		"state \"%.40s\" is none: write live, suspended or revoked, or nothing", text);
}

static int
members_check(struct verb_call *row)
{
	static const char *const known[] = {
		"at", "name", "id", "prefixes", "roles", "suite", "state"};
	const char *name;
	json_t *value;
	size_t i;

	json_object_foreach(row->args, name, value)
	{
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strcmp(name, known[i]) == 0)
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			return reason_set(&row->reason, EINVAL,
				"a node has no \"%.40s\": name, id, prefixes, roles, suite and "
				"state are all",
				name);
	}
	return 0;
}

static int
row_run(struct verb_call *row, uint32_t number)
{
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX];
	struct registry_request request = {0};
	struct verb_roles roles = {.count = 0};
	enum registry_import_state state;
	uint32_t suite = 0;
	int error = members_check(row);

	if (error == 0)
		error = verb_arg_text(row, "name", &request.name);
	if (error == 0)
		error = verb_name_check(row, request.name);
	if (error == 0)
		error = verb_arg_number(row, "id", 1, TABLE_NODES_MAX, &request.node);
	if (error == 0)
		error = verb_arg_number(
			row, "suite", CRED_SUITE_CMAC128, CRED_SUITE_SEALED256, &suite);
	request.suite = (uint8_t)suite;
	if (error == 0)
		error = verb_arg_prefixes(row, &request, prefixes);
	if (error == 0)
		error = verb_arg_roles(row, &request, &roles);
	if (error == 0)
		error = state_parse(row, &state);
	if (error == 0)
		error = inventory_row(row->ctrl->inventory, number, &request, state, &row->reason);
	return error;
}

/* What is wrong, and where: `at` is what the client calls the place, "line 17". */
static int
row_fail(struct verb_call *call, const struct verb_call *row, size_t i)
{
	const char *at = json_string_value(json_object_get(row->args, "at"));
	char place[32];

	snprintf(place, sizeof(place), "row %zu", i + 1);
	return reason_set(&call->reason, row->reason.error, "%.40s: %s", at != NULL ? at : place,
		row->reason.text);
}

static int
arg_import(struct verb_call *call, uint32_t *number)
{
	int error = verb_arg_number(call, "import", 1, UINT32_MAX, number);

	if (error == 0 && *number == 0)
		error = verb_fail(call, EINVAL, "import is missing: the number that begin gave");
	return error;
}

static int
rows_run(struct verb_call *call, const json_t *rows, uint32_t number)
{
	json_t *object;
	size_t i;

	json_array_foreach(rows, i, object)
	{
		struct verb_call row = {.ctrl = call->ctrl, .peer = call->peer, .args = object};
		int error = json_is_object(object)
				    ? row_run(&row, number)
				    : reason_set(&row.reason, EINVAL, "a node is an object");

		if (error != 0)
			return row_fail(call, &row, i);
	}
	return 0;
}

static int
run_rows(struct verb_call *call)
{
	const json_t *rows = json_object_get(call->args, "rows");
	struct inventory_counts counts;
	unsigned realm_index;
	uint32_t number = 0;
	int error = arg_import(call, &number);

	if (error == 0)
		error = inventory_realm(call->ctrl->inventory, number, &realm_index, &call->reason);
	if (error != 0)
		return error;
	if (json_is_array(rows) && json_array_size(rows) <= ROWS_MAX)
		error = rows_run(call, rows, number);
	else
		error = reason_set(
			&call->reason, EINVAL, "rows must be a list of at most %u nodes", ROWS_MAX);
	/* Whatever was wrong: nothing of it is kept. */
	if (error != 0)
		inventory_abort(call->ctrl->inventory, number, &counts, NULL);
	else
		call->result = json_object();
	return error;
}

static int
run_begin(struct verb_call *call)
{
	unsigned realm = 0;
	uint32_t number;
	int error = verb_arg_realm(call, &realm);

	if (error == 0)
		error = inventory_begin(call->ctrl->inventory, realm, &number, &call->reason);
	if (error == 0)
		call->result = json_pack("{s:I}", "import", (json_int_t)number);
	return error;
}

/* Ends an import in one of two ways. */
static int
end(struct verb_call *call, int (*how)(struct inventory *inventory, uint32_t number,
				    struct inventory_counts *counts, struct reason *reason))
{
	struct inventory_counts counts;
	uint32_t number = 0;
	int error = arg_import(call, &number);

	if (error == 0)
		error = how(call->ctrl->inventory, number, &counts, &call->reason);
	if (error == 0)
		call->result = json_pack("{s:I, s:I, s:I, s:I}", "added", (json_int_t)counts.added,
			"changed", (json_int_t)counts.changed, "unchanged",
			(json_int_t)counts.unchanged, "skipped", (json_int_t)counts.skipped);
	return error;
}

/* The realm is said again, for the record of changes. */
static int
run_commit(struct verb_call *call)
{
	unsigned wanted = 0, realm = 0;
	uint32_t number = 0;
	int error = verb_arg_realm(call, &wanted);

	if (error == 0)
		error = arg_import(call, &number);
	if (error == 0)
		error = inventory_realm(call->ctrl->inventory, number, &realm, &call->reason);
	if (error == 0 && wanted != realm)
		error = verb_fail(call, EINVAL, "the import was begun for another realm");
	return error != 0 ? error : end(call, inventory_commit);
}

static int
run_abort(struct verb_call *call)
{
	return end(call, inventory_abort);
}

static int
run_state(struct verb_call *call)
{
	call->result =
		json_pack("{s:I}", "left", (json_int_t)inventory_left(call->ctrl->inventory));
	return 0;
}

const struct verb verbs_import[] = {
	{"import.begin", run_begin, 0, {"realm", NULL}},
	{"import.rows", run_rows, 0, {"import", "rows", NULL}},
	{"import.commit", run_commit, VERB_CHANGES, {"realm", "import", NULL}},
	{"import.abort", run_abort, 0, {"import", NULL}},
	{"import.state", run_state, 0, {NULL}},
	{NULL, NULL, 0, {NULL}},
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs that change what nodes are, and whether they are let in. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/clock.h"
#include "ctrl/verbs_priv.h"

/* Names in the answer of a mass revocation: whoever wants more asks node.list. */
#define NAMES_REVOKED_MAX 20u
#define NAMES_PARTIAL_MAX 1000u

#define NAMES_ASKED_MAX 16384u

/* ---- node.set ---- */

/* The arguments of node.set but for the node itself, which comes as it is now. */
static int
set_args(struct verb_call *call, const struct registry_node *known,
	struct registry_request *request, struct verb_roles *roles,
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX])
{
	int error = verb_arg_text(call, "rename", &request->rename);

	if (error == 0 && request->rename != NULL)
		error = verb_name_check(call, request->rename);
	if (error == 0)
		error = verb_arg_prefixes(call, request, prefixes);
	memcpy(roles->items, known->roles, sizeof(known->roles));
	roles->count = known->role_count;
	if (error == 0)
		error = verb_arg_roles(call, request, roles);
	if (error == 0 && !request->has_prefixes && !request->has_roles && request->rename == NULL)
		error = verb_fail(call, EINVAL,
			"nothing to change: give roles, add_roles, drop_roles, prefixes or rename");
	return error;
}

static int
run_node_set(struct verb_call *call)
{
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX];
	struct registry_request request = {0};
	struct verb_roles roles = {.count = 0};
	struct registry_node known, node;
	unsigned realm = 0;
	int error = verb_arg_realm_node(call, &realm, &known);

	if (error == 0)
		error = set_args(call, &known, &request, &roles, prefixes);
	if (error != 0)
		return error;
	request.name = known.name;
	error = nodes_set(call->ctrl, realm, &request, &node, &call->reason);
	if (error != 0)
		return error;
	call->is_change = true;
	call->result = json_pack("{s:I, s:s}", "node", (json_int_t)node.node, "name", node.name);
	return 0;
}

/* ---- node.suspend, node.resume ---- */

/* What the peer said, as far as there is room, and whole letters of it. */
static const char *
note_make(const struct verb_call *call, char note[REGISTRY_NOTE_SIZE])
{
	size_t length = call->why != NULL ? strlen(call->why) : 0;

	if (length >= REGISTRY_NOTE_SIZE)
		for (length = REGISTRY_NOTE_SIZE - 1; (call->why[length] & 0xc0) == 0x80;)
			length--;
	memcpy(note, call->why != NULL ? call->why : "", length);
	note[length] = '\0';
	return note;
}

/* What holds at once does so whatever becomes of the disk; whoever asked should know. */
static void
unwritten_warn(struct verb_call *call)
{
	const char *cure = call->reason.error == EAGAIN
				   ? "it is written when the import that is under way is over"
				   : "make room on the disk";

	json_object_set_new(call->result, "warning",
		json_sprintf("in force now, but not yet on disk: %s; until it is, a restart "
			     "forgets it: %s",
			strerror(call->reason.error), cure));
}

static int
suspend(struct verb_call *call, bool is_suspended)
{
	char note[REGISTRY_NOTE_SIZE];
	struct registry_node node;
	unsigned realm = 0;
	int error = verb_arg_realm_node(call, &realm, &node);

	if (error != 0)
		return error;
	if (!node.is_live)
		return reason_set(&call->reason, EINVAL,
			"node %s is revoked; add it again for a new key", node.name);
	note_make(call, note);
	error = nodes_suspend(call->ctrl, realm, node.node, is_suspended,
		is_suspended ? note : NULL, &call->reason);
	if (error < 0)
		return error;
	call->is_change = true;
	call->result = json_pack("{s:I}", "node", (json_int_t)node.node);
	if (error > 0)
		unwritten_warn(call);
	return 0;
}

static int
run_node_suspend(struct verb_call *call)
{
	return suspend(call, true);
}

static int
run_node_resume(struct verb_call *call)
{
	return suspend(call, false);
}

/* ---- node.revoke ---- */

static int
revoke_one(struct verb_call *call, unsigned realm)
{
	char note[REGISTRY_NOTE_SIZE];
	struct registry_node node;
	int error = verb_arg_node(call, realm, &node);

	if (error != 0)
		return error;
	snprintf(node.note, sizeof(node.note), "%s", note_make(call, note));
	error = nodes_revoke(call->ctrl, realm, &node, &call->reason);
	if (error < 0)
		return error;
	call->is_change = true;
	call->result = json_pack("{s:I}", "node", (json_int_t)node.node);
	if (error > 0)
		unwritten_warn(call);
	return 0;
}

/* Those of a list of names; *unknown gets the names of no node. */
static int
names_select(struct verb_call *call, uint32_t realm, const json_t *names,
	struct registry_selection *selection, json_t *unknown)
{
	const json_t *name;
	size_t i;

	if (!json_is_array(names) || json_array_size(names) > NAMES_ASKED_MAX)
		return reason_set(&call->reason, EINVAL, "names must be a list of at most %u names",
			NAMES_ASKED_MAX);
	json_array_foreach(names, i, name)
	{
		int state;

		if (!json_is_string(name))
			return verb_fail(call, EINVAL, "names must be a list of texts");
		state = registry_select_name(call->ctrl->registry, realm, json_string_value(name),
			selection, &call->reason);
		if (state < 0)
			return state;
		if (state == 0)
			json_array_append_new(unknown, json_string(json_string_value(name)));
	}
	return 0;
}

/* Exactly one of names, role and prefix says which. */
static int
nodes_select(struct verb_call *call, unsigned realm_index, struct registry_selection *selection,
	json_t *unknown)
{
	const json_t *names = json_object_get(call->args, "names");
	const json_t *role = json_object_get(call->args, "role");
	const json_t *prefix = json_object_get(call->args, "prefix");
	uint32_t realm = call->ctrl->config->realms[realm_index].id;
	struct registry_prefix wanted = {0};
	const char *name;
	int error;

	if ((names != NULL) + (role != NULL) + (prefix != NULL) != 1 ||
		json_object_get(call->args, "name") != NULL ||
		json_object_get(call->args, "node") != NULL)
		return verb_fail(call, EINVAL,
			"say which nodes in one way: name, node, names, role or prefix");
	if (names != NULL)
		return names_select(call, realm, names, selection, unknown);
	if (role != NULL) {
		error = verb_arg_role(call, role, &name);
		return error != 0 ? error
				  : registry_select_role(call->ctrl->registry, realm, name,
					    selection, &call->reason);
	}
	error = verb_arg_prefix(call, "prefix", &wanted);
	return error != 0 ? error
			  : registry_select_prefix(
				    call->ctrl->registry, realm, &wanted, selection, &call->reason);
}

static void
name_append(const struct verb_call *call, unsigned realm_index, uint32_t id, json_t *names)
{
	const struct config_realm *realm = &call->ctrl->config->realms[realm_index];
	struct registry_node node;

	if (registry_node_find(
		    call->ctrl->registry, realm->id, realm->name, NULL, id, &node, NULL) == 0)
		json_array_append_new(names, json_string(node.name));
}

/* Only live nodes that are meant as a whole stay; the answer names some of them, and the others. */
static void
selection_keep(struct verb_call *call, unsigned realm_index, struct registry_selection *selection)
{
	json_t *nodes = json_array(), *partial = json_array();
	size_t kept = 0, revoked = 0, partials = 0;

	for (size_t i = 0; i < selection->count; i++) {
		const struct registry_selected item = selection->items[i];

		if (!item.is_live) {
			revoked++;
		} else if (item.is_partial) {
			if (++partials <= NAMES_PARTIAL_MAX)
				name_append(call, realm_index, item.node, partial);
		} else {
			if (kept < NAMES_REVOKED_MAX)
				name_append(call, realm_index, item.node, nodes);
			selection->items[kept++] = item;
		}
	}
	selection->count = kept;
	json_object_update_new(
		call->result, json_pack("{s:I, s:o, s:I, s:I, s:o}", "count", (json_int_t)kept,
				      "nodes", nodes, "already", (json_int_t)revoked,
				      "partial_count", (json_int_t)partials, "partial", partial));
}

static int
selection_revoke(struct verb_call *call, unsigned realm_index,
	const struct registry_selection *selection, uint64_t begun_us)
{
	char note[REGISTRY_NOTE_SIZE];
	uint64_t in_force_us;
	int error = nodes_revoke_many(call->ctrl, realm_index, selection, note_make(call, note),
		begun_us, &in_force_us, &call->reason);

	if (error < 0)
		return error;
	call->is_change = true;
	if (in_force_us > 0)
		json_object_set_new(
			call->result, "in_force_us", json_integer((json_int_t)in_force_us));
	if (error > 0)
		unwritten_warn(call);
	return 0;
}

static int
revoke_many(struct verb_call *call, unsigned realm_index)
{
	uint64_t begun_us = clock_mono_us();
	bool is_dry_run = json_is_true(json_object_get(call->args, "dry_run"));
	struct registry_selection selection = {0};
	json_t *unknown = json_array();
	int error;

	call->result = json_pack("{s:o}", "unknown", unknown);
	error = nodes_select(call, realm_index, &selection, unknown);
	if (error == 0) {
		selection_keep(call, realm_index, &selection);
		if (!is_dry_run && selection.count > 0)
			error = selection_revoke(call, realm_index, &selection, begun_us);
	}
	registry_selection_fini(&selection);
	return error;
}

static int
run_node_revoke(struct verb_call *call)
{
	static const char *const many[] = {"names", "role", "prefix", "dry_run"};
	unsigned realm = 0;
	int error = verb_arg_realm(call, &realm);

	if (error != 0)
		return error;
	for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		if (json_object_get(call->args, many[i]) != NULL)
			return revoke_many(call, realm);
	return revoke_one(call, realm);
}

const struct verb verbs_node_state[] = {
	{"node.set", run_node_set, VERB_CHANGES,
		{"realm", "name", "node", "roles", "add_roles", "drop_roles", "prefixes", "rename",
			NULL}},
	{"node.suspend", run_node_suspend, VERB_CHANGES | VERB_URGENT,
		{"realm", "name", "node", NULL}},
	{"node.resume", run_node_resume, VERB_CHANGES, {"realm", "name", "node", NULL}},
	{"node.revoke", run_node_revoke, VERB_CHANGES | VERB_URGENT,
		{"realm", "name", "node", "names", "role", "prefix", "dry_run", NULL}},
	{NULL, NULL, 0, {NULL}},
};

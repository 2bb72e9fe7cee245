/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs that change the keys of a whole realm, step by step, and show how far that is. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "ctrl/drain.h"
#include "ctrl/fold.h"
#include "ctrl/masters.h"
#include "ctrl/rotation.h"
#include "ctrl/verbs_priv.h"
#include "wire/cred.h"

#define QUIET_S_MAX     (366u * 86400u)
#define LIST_MAX        1024u /* nodes in one answer */
#define DRAIN_TEXT_SIZE 4096u
/* Names of so many nodes of a state are looked up, some microseconds each. */
#define NAMES_MAX_TOLD 4096u

/* A truth value; *value stays if it is not there. */
static int
arg_bool(struct verb_call *call, const char *name, bool *value)
{
	const json_t *given = json_object_get(call->args, name);

	if (given == NULL)
		return 0;
	if (!json_is_boolean(given))
		return reason_set(&call->reason, EINVAL, "%s must be true or false", name);
	*value = json_is_true(given);
	return 0;
}

/* ---- realm.rotate ---- */

static int
args_rotate(struct verb_call *call, struct registry_rotate *ask, bool *is_new_master)
{
	uint32_t suite = 0;
	int error;

	ask->until_s = UINT32_MAX;
	error = verb_arg_number(call, "suite", CRED_SUITE_CMAC128, CRED_SUITE_SEALED256, &suite);
	if (error == 0)
		error = verb_arg_number(
			call, "not_before_s", 0, UINT32_MAX - 1, &ask->not_before_s);
	if (error == 0)
		error = verb_arg_number(call, "not_after_s", 1, UINT32_MAX - 1, &ask->not_after_s);
	if (error == 0)
		error = verb_arg_number(call, "until_s", 1, UINT32_MAX - 1, &ask->until_s);
	if (error == 0)
		error = verb_arg_text(call, "role", &ask->role);
	if (error == 0)
		error = arg_bool(call, "master", is_new_master);
	ask->suite = (uint8_t)suite;
	if (error == 0 && ask->not_after_s != 0 && ask->not_after_s < ask->not_before_s)
		error = verb_fail(call, EINVAL,
			"not_after_s is before not_before_s: the keys would never hold");
	return error;
}

static int
run_realm_rotate(struct verb_call *call)
{
	struct registry_rotation done = {0};
	struct registry_rotate ask = {0};
	bool is_new_master = false;
	char path[PATH_MAX];
	unsigned realm = 0;
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = args_rotate(call, &ask, &is_new_master);
	if (error == 0)
		error = rotation_rotate(
			call->ctrl, realm, &ask, is_new_master, &done, &call->reason);
	if (error != 0)
		return error;
	call->is_change = true;
	masters_path(call->ctrl, realm, done.master, path);
	call->result = json_pack("{s:s, s:I, s:I, s:s, s:s, s:b}", "realm",
		call->ctrl->config->realms[realm].name, "rotation", (json_int_t)done.rotation,
		"nodes", (json_int_t)done.nodes, "master", done.master, "master_file", path,
		"is_new_master", is_new_master);
	return 0;
}

/* ---- realm.drain ---- */

struct listing {
	struct verb_call *call;
	unsigned realm_index;
	uint32_t after;
	uint32_t limit;
	bool has_all;  /* those that moved, too */
	json_t *nodes; /* NULL: none are listed */
	uint32_t next; /* 0: no more */
	uint32_t last;
	uint32_t named[3]; /* names that were looked up, by state */
	struct fold in_use;
	struct fold silent;
};

static const char *const state_texts[] = {
	[DRAIN_MOVED] = "moved",
	[DRAIN_IN_USE] = "in-use",
	[DRAIN_SILENT] = "silent",
};

static void
node_list(struct listing *listing, const struct drain_node *node, const char *name)
{
	if (listing->nodes == NULL || (node->state == DRAIN_MOVED && !listing->has_all))
		return;
	if (json_array_size(listing->nodes) >= listing->limit) {
		listing->next = listing->last;
		return;
	}
	listing->last = node->node;
	json_array_append_new(listing->nodes,
		json_pack("{s:I, s:s, s:s, s:i, s:I, s:I, s:i, s:I}", "node",
			(json_int_t)node->node, "name", name, "state", state_texts[node->state],
			"old_epoch", node->epoch, "old_last_s", (json_int_t)node->last_s,
			"old_accepted", (json_int_t)(node->accepted & INT64_MAX), "new_epoch",
			node->newest, "new_last_s", (json_int_t)node->newest_s));
}

/* Names are dear; those that nobody asked for are not looked up. */
static bool
node_each(const struct drain_node *node, void *context)
{
	struct listing *listing = context;
	bool is_listed = listing->nodes != NULL && listing->next == 0;
	struct fold *fold = node->state == DRAIN_IN_USE ? &listing->in_use : &listing->silent;
	char name[REGISTRY_NAME_SIZE];

	if (node->state == DRAIN_MOVED && !(is_listed && listing->has_all))
		return true;
	if (!is_listed && listing->named[node->state] >= NAMES_MAX_TOLD) {
		fold->left_out++;
		return true;
	}
	listing->named[node->state]++;
	if (registry_node_name(listing->call->ctrl->registry,
		    listing->call->ctrl->config->realms[listing->realm_index].id, node->node, name,
		    NULL) != 1)
		return true;
	if (node->state != DRAIN_MOVED)
		fold_add(fold, name);
	node_list(listing, node, name);
	/* Only the first answer counts all nodes; a later one ends with its list. */
	return listing->after == 0 || listing->next == 0;
}

static json_t *
rows_json(const struct drain *drain)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < drain->row_count; i++) {
		const struct drain_row *row = &drain->rows[i];

		json_array_append_new(
			list, json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:I}", "epoch",
				      row->epoch, "key", row->is_newest ? "new" : "old", "nodes",
				      (json_int_t)row->nodes, "in_use", (json_int_t)row->in_use,
				      "accepted", (json_int_t)(row->accepted & INT64_MAX),
				      "per_minute", (json_int_t)(row->per_minute & INT64_MAX),
				      "refused", (json_int_t)(row->refused & INT64_MAX),
				      "last_used_s", (json_int_t)row->last_s));
	}
	return list;
}

/* The last rotation that is open, or null. */
static json_t *
rotation_json(struct verb_call *call, unsigned realm_index)
{
	const struct config_realm *realm = &call->ctrl->config->realms[realm_index];
	struct registry_rotation last;

	if (registry_rotation_last(call->ctrl->registry, realm->id, &last, NULL) != 1)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:s, s:b, s:s}", "rotation", (json_int_t)last.rotation,
		"opened_s", (json_int_t)last.opened_s, "nodes", (json_int_t)last.nodes, "master",
		last.master, "has_new_master", last.previous_master[0] != '\0', "role", last.role);
}

static json_t *
drain_json(struct verb_call *call, unsigned realm_index, const struct drain *drain, uint32_t held)
{
	const struct config_realm *realm = &call->ctrl->config->realms[realm_index];

	return json_pack("{s:s, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "realm",
		realm->name, "rotation", rotation_json(call, realm_index), "is_drained",
		drain_is_done(drain), "quiet_s", (json_int_t)drain->quiet_s, "watched_s",
		(json_int_t)drain->watched_s, "nodes", (json_int_t)drain->nodes, "rotating",
		(json_int_t)drain->rotating, "in_use", (json_int_t)drain->in_use, "silent",
		(json_int_t)drain->silent, "held", (json_int_t)held, "epochs", rows_json(drain));
}

static int
args_drain(struct verb_call *call, struct listing *listing, uint32_t *quiet_s)
{
	bool has_nodes = false;
	int error;

	error = verb_arg_realm(call, &listing->realm_index);
	if (error == 0)
		error = verb_arg_number(call, "quiet_s", 0, QUIET_S_MAX, quiet_s);
	if (error == 0)
		error = arg_bool(call, "nodes", &has_nodes);
	if (error == 0)
		error = arg_bool(call, "all", &listing->has_all);
	if (error == 0)
		error = verb_arg_number(call, "after", 0, TABLE_NODES_MAX, &listing->after);
	if (error == 0)
		error = verb_arg_number(call, "limit", 1, LIST_MAX, &listing->limit);
	if (error == 0 && (has_nodes || listing->has_all))
		listing->nodes = json_array();
	return error;
}

static int
run_realm_drain(struct verb_call *call)
{
	struct listing listing = {.call = call, .limit = LIST_MAX};
	char in_use[DRAIN_TEXT_SIZE], silent[DRAIN_TEXT_SIZE];
	uint32_t quiet_s = DRAIN_QUIET_S, held = 0;
	struct drain drain;
	int error;

	error = args_drain(call, &listing, &quiet_s);
	if (error == 0)
		error = registry_epochs_held(call->ctrl->registry,
			call->ctrl->config->realms[listing.realm_index].id, 0, &held,
			&call->reason);
	if (error != 0) {
		json_decref(listing.nodes);
		return error;
	}
	fold_begin(&listing.in_use, in_use, sizeof(in_use));
	fold_begin(&listing.silent, silent, sizeof(silent));
	drain_measure_from(call->ctrl, listing.realm_index, listing.after + 1, quiet_s, node_each,
		&listing, &drain);
	fold_end(&listing.in_use);
	fold_end(&listing.silent);
	call->result = drain_json(call, listing.realm_index, &drain, held);
	json_object_set_new(call->result, "in_use_names", json_string(in_use));
	json_object_set_new(call->result, "silent_names", json_string(silent));
	if (listing.nodes != NULL)
		json_object_set_new(call->result, "list", listing.nodes);
	if (listing.next != 0)
		json_object_set_new(call->result, "next", json_integer((json_int_t)listing.next));
	return 0;
}

/* ---- retire and rollback, of a realm or a node ---- */

/* `node` gets the node that is asked about, if it is one. */
static int
args_step(
	struct verb_call *call, bool is_node, struct registry_node *node, struct rotation_ask *ask)
{
	int error;

	ask->quiet_s = DRAIN_QUIET_S;
	error = verb_arg_realm(call, &ask->realm_index);
	if (error == 0 && is_node)
		error = verb_arg_node(call, ask->realm_index, node);
	if (error == 0 && is_node)
		error = verb_arg_number(call, "epoch", 1, UINT16_MAX, &ask->epoch);
	if (error == 0)
		error = verb_arg_number(call, "quiet_s", 0, QUIET_S_MAX, &ask->quiet_s);
	if (error == 0)
		error = arg_bool(call, "force", &ask->is_forced);
	if (error == 0)
		error = arg_bool(call, "final", &ask->is_final);
	if (error == 0 && is_node && !node->is_live)
		error = reason_set(&call->reason, EINVAL,
			"node %s is revoked: none of its keys holds; add it again for a new one",
			node->name);
	if (is_node) {
		ask->node = node->node;
		ask->name = node->name;
	}
	return error;
}

static int
step_run(struct verb_call *call, bool is_node,
	int (*step)(struct ctrl *ctrl, const struct rotation_ask *ask, struct rotation_done *done,
		struct reason *reason))
{
	struct rotation_ask ask = {0};
	struct registry_node node;
	struct rotation_done done;
	int error;

	error = args_step(call, is_node, &node, &ask);
	if (error == 0)
		error = step(call->ctrl, &ask, &done, &call->reason);
	if (error != 0)
		return error;
	call->is_change = true;
	call->result = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "realm",
		call->ctrl->config->realms[ask.realm_index].name, "held", (json_int_t)done.held,
		"closed", (json_int_t)done.closed, "restored", (json_int_t)done.restored, "undone",
		(json_int_t)done.undone, "rotation", (json_int_t)done.rotation, "silent",
		(json_int_t)done.silent, "silent_names", done.silent > 0 ? done.silent_names : "");
	if (is_node)
		json_object_set_new(call->result, "name", json_string(ask.name));
	return 0;
}

static int
run_realm_retire(struct verb_call *call)
{
	return step_run(call, false, rotation_retire);
}

static int
run_realm_rollback(struct verb_call *call)
{
	return step_run(call, false, rotation_rollback);
}

static int
run_node_retire(struct verb_call *call)
{
	return step_run(call, true, rotation_retire);
}

static int
run_node_rollback(struct verb_call *call)
{
	return step_run(call, true, rotation_rollback);
}

const struct verb verbs_rotation[] = {
	{"realm.rotate", run_realm_rotate, VERB_CHANGES,
		{"realm", "suite", "not_before_s", "not_after_s", "until_s", "role", "master",
			NULL}},
	{"realm.drain", run_realm_drain, 0,
		{"realm", "quiet_s", "nodes", "all", "after", "limit", NULL}},
	{"realm.retire", run_realm_retire, VERB_CHANGES,
		{"realm", "quiet_s", "force", "final", NULL}},
	{"realm.rollback", run_realm_rollback, VERB_CHANGES, {"realm", "quiet_s", "force", NULL}},
	{"node.retire", run_node_retire, VERB_CHANGES,
		{"realm", "name", "node", "epoch", "quiet_s", "force", "final", NULL}},
	{"node.rollback", run_node_rollback, VERB_CHANGES,
		{"realm", "name", "node", "quiet_s", "force", NULL}},
	{NULL, NULL, 0, {NULL}},
};

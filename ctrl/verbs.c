/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/verbs.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "crypto/kdf.h"
#include "ctrl/address.h"
#include "wire/cred.h"
#include "wire/text.h"

/* Nodes in one answer: with 16 prefixes and 8 epochs each, still below 1 MiB. */
#define LIST_NODES_MAX 512u

/* ---- arguments ---- */

static int
fail(struct verb_call *call, int error, const char *text)
{
	return reason_set(&call->reason, error, "%s", text);
}

/* A number in [min, max]; *value stays if it is not there. */
static int
arg_number(struct verb_call *call, const char *name, uint32_t min, uint32_t max, uint32_t *value)
{
	const json_t *arg = json_object_get(call->args, name);
	json_int_t number;

	if (arg == NULL)
		return 0;
	number = json_integer_value(arg);
	if (!json_is_integer(arg) || number < (json_int_t)min || number > (json_int_t)max)
		return reason_set(&call->reason, EINVAL, "%s must be a whole number from %u to %u",
			name, min, max);
	*value = (uint32_t)number;
	return 0;
}

/* A text; *value is NULL if it is not there. */
static int
arg_text(struct verb_call *call, const char *name, const char **value)
{
	const json_t *arg = json_object_get(call->args, name);

	*value = json_string_value(arg);
	if (arg != NULL && *value == NULL)
		return reason_set(&call->reason, EINVAL, "%s must be a text", name);
	return 0;
}

static int
arg_realm(struct verb_call *call, unsigned *index)
{
	const char *name;
	int found, error;

	error = arg_text(call, "realm", &name);
	if (error != 0)
		return error;
	if (name == NULL)
		return fail(call, EINVAL, "realm is missing: give its name");
	found = config_realm_find(call->ctrl->config, name);
	if (found < 0)
		return reason_set(&call->reason, ENOENT,
			"there is no realm %.64s; see credgate realm list", name);
	*index = (unsigned)found;
	return 0;
}

/* The node that `name` or `node` says. */
static int
arg_node(struct verb_call *call, unsigned realm_index, struct registry_node *node)
{
	const struct config_realm *realm = &call->ctrl->config->realms[realm_index];
	const char *name;
	uint32_t id = 0;
	int error;

	error = arg_text(call, "name", &name);
	if (error == 0)
		error = arg_number(call, "node", 1, UINT32_MAX, &id);
	if (error != 0)
		return error;
	if ((name == NULL) == (id == 0))
		return fail(call, EINVAL, "give the node's name, or its id as node");
	return registry_node_find(
		call->ctrl->registry, realm->id, realm->name, name, id, node, &call->reason);
}

static int
name_check(struct verb_call *call, const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t length;

	if (name == NULL)
		return fail(call, EINVAL, "name is missing: give the node's");
	length = strlen(name);
	if (length == 0 || length >= REGISTRY_NAME_SIZE || strspn(name, letters) != length ||
		name[0] == '-' || name[0] == '.')
		return reason_set(&call->reason, EINVAL,
			"\"%.70s\" is no name for a node: use up to %u letters, digits, '.', '_' "
			"and "
			"'-', and begin with a letter or digit",
			name, REGISTRY_NAME_SIZE - 1);
	return 0;
}

static int
prefix_parse(struct verb_call *call, const json_t *text, struct registry_prefix *prefix)
{
	const char *wrong;

	if (!json_is_string(text))
		return fail(call, EINVAL, "prefixes must be texts such as \"10.0.0.1/32\"");
	wrong = address_parse(json_string_value(text), prefix->address, &prefix->bits);
	if (wrong != NULL)
		return reason_set(&call->reason, EINVAL, "prefix \"%.64s\" %s",
			json_string_value(text), wrong);
	if (address_has_host_bits(prefix->address, prefix->bits))
		return reason_set(&call->reason, EINVAL,
			"prefix \"%.64s\" has bits set behind its length; clear them, or leave the "
			"length "
			"out for one address",
			json_string_value(text));
	return 0;
}

static int
arg_prefixes(struct verb_call *call, struct registry_request *request,
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX])
{
	const json_t *list = json_object_get(call->args, "prefixes"), *text;
	size_t i;

	if (list == NULL)
		return 0;
	if (!json_is_array(list) || json_array_size(list) > TABLE_NODE_PREFIXES_MAX)
		return reason_set(&call->reason, EINVAL,
			"prefixes must be a list of at most %u texts", TABLE_NODE_PREFIXES_MAX);
	json_array_foreach(list, i, text)
	{
		int error = prefix_parse(call, text, &prefixes[i]);

		if (error != 0)
			return error;
	}
	request->prefixes = prefixes;
	request->prefix_count = (unsigned)json_array_size(list);
	request->has_prefixes = true;
	return 0;
}

static int
arg_epoch(struct verb_call *call, struct registry_request *request)
{
	uint32_t suite = 0;
	int error;

	error = arg_number(call, "suite", CRED_SUITE_CMAC128, CRED_SUITE_SEALED256, &suite);
	if (error == 0)
		error = arg_number(call, "not_before_s", 0, UINT32_MAX - 1, &request->not_before_s);
	if (error == 0)
		error = arg_number(call, "not_after_s", 1, UINT32_MAX - 1, &request->not_after_s);
	if (error != 0)
		return error;
	request->suite = (uint8_t)suite;
	if (request->not_after_s != 0 && request->not_after_s < request->not_before_s)
		return fail(call, EINVAL,
			"not_after_s is before not_before_s: the key would never hold");
	return 0;
}

/* ---- results ---- */

static json_t *
epochs_json(const struct registry_node *node)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < node->epoch_count; i++) {
		const struct registry_epoch *epoch = &node->epochs[i];
		json_t *item = json_pack("{s:i, s:i, s:I}", "epoch", epoch->epoch, "suite",
			epoch->suite, "not_before_s", (json_int_t)epoch->not_before_s);

		if (epoch->not_after_s != UINT32_MAX)
			json_object_set_new(
				item, "not_after_s", json_integer((json_int_t)epoch->not_after_s));
		json_array_append_new(list, item);
	}
	return list;
}

static json_t *
prefixes_json(const struct registry_node *node)
{
	json_t *list = json_array();
	char text[ADDRESS_TEXT_SIZE];

	for (unsigned i = 0; i < node->prefix_count; i++) {
		address_format(text, node->prefixes[i].address, node->prefixes[i].bits, 0);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *
node_json(const struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	uint64_t seen_us = 0;

	if (node->node <= realm->nodes_max)
		seen_us = ctrl->shared.store.nodes[ctrl->bases[realm_index] + node->node]
				  .last_seen_us;
	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:I}", "node", (json_int_t)node->node, "name",
		node->name, "state", node->is_live ? "live" : "revoked", "epochs",
		epochs_json(node), "prefixes", prefixes_json(node), "last_seen_us",
		(json_int_t)(seen_us & INT64_MAX));
}

/* What add and rotate answer. */
static int
added_result(struct verb_call *call, unsigned realm_index, const struct registry_node *node)
{
	call->is_change = true;
	call->result = json_pack("{s:s, s:I, s:s, s:i, s:i}", "realm",
		call->ctrl->config->realms[realm_index].name, "node", (json_int_t)node->node,
		"name", node->name, "epoch", node->epochs[0].epoch, "suite", node->epochs[0].suite);
	return 0;
}

/* ---- verbs ---- */

static int
run_status(struct verb_call *call)
{
	call->result = status_make(call->ctrl);
	return call->result != NULL ? 0 : fail(call, ENOMEM, "no memory for the status");
}

static int
run_realm_list(struct verb_call *call)
{
	const struct config *config = call->ctrl->config;
	json_t *list = json_array();

	for (unsigned i = 0; i < config->realm_count; i++) {
		const struct config_realm *realm = &config->realms[i];
		struct keytable_counts counts = keytable_counts(call->ctrl->keys, i);

		json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s}", "name", realm->name,
				"id", (json_int_t)realm->id, "nodes", (json_int_t)counts.live,
				"revoked", (json_int_t)counts.revoked, "nodes_max",
				(json_int_t)realm->nodes_max, "mode", config_mode_text(realm->mode),
				"freshness", config_freshness_text(realm->freshness), "origin",
				config_origin_text(realm->origin)));
	}
	call->result = json_pack("{s:o}", "realms", list);
	return 0;
}

static int
run_node_add(struct verb_call *call)
{
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX];
	struct registry_request request = {0};
	struct registry_node node;
	unsigned realm = 0;
	int error;

	error = arg_realm(call, &realm);
	if (error == 0)
		error = arg_text(call, "name", &request.name);
	if (error == 0)
		error = name_check(call, request.name);
	if (error == 0)
		error = arg_number(call, "node", 1, TABLE_NODES_MAX, &request.node);
	if (error == 0)
		error = arg_epoch(call, &request);
	if (error == 0)
		error = arg_prefixes(call, &request, prefixes);
	if (error == 0)
		error = nodes_add(call->ctrl, realm, &request, &node, &call->reason);
	return error != 0 ? error : added_result(call, realm, &node);
}

static int
run_node_rotate(struct verb_call *call)
{
	struct registry_request request = {0};
	struct registry_node node;
	uint32_t until_s = UINT32_MAX;
	unsigned realm = 0;
	int error;

	error = arg_realm(call, &realm);
	if (error == 0)
		error = arg_node(call, realm, &node);
	if (error == 0)
		error = arg_epoch(call, &request);
	if (error == 0)
		error = arg_number(call, "until_s", 1, UINT32_MAX - 1, &until_s);
	request.name = node.name;
	if (error == 0)
		error = nodes_rotate(call->ctrl, realm, &request, until_s, &node, &call->reason);
	return error != 0 ? error : added_result(call, realm, &node);
}

struct listing {
	const struct ctrl *ctrl;
	unsigned realm_index;
	json_t *nodes;
	uint32_t last;
	bool has_more;
};

static bool
list_one(const struct registry_node *node, void *context)
{
	struct listing *listing = context;

	if (json_array_size(listing->nodes) == LIST_NODES_MAX) {
		listing->has_more = true;
		return false;
	}
	json_array_append_new(listing->nodes, node_json(listing->ctrl, listing->realm_index, node));
	listing->last = node->node;
	return true;
}

static int
list_many(struct verb_call *call, struct listing *listing)
{
	uint32_t realm = call->ctrl->config->realms[listing->realm_index].id, after = 0;
	int error = arg_number(call, "after", 0, UINT32_MAX, &after);

	if (error == 0)
		error = registry_walk(
			call->ctrl->registry, realm, after, list_one, listing, &call->reason);
	return error;
}

static int
run_node_list(struct verb_call *call)
{
	struct listing listing = {.ctrl = call->ctrl};
	struct registry_node node;
	int error;

	error = arg_realm(call, &listing.realm_index);
	if (error != 0)
		return error;
	listing.nodes = json_array();
	if (json_object_get(call->args, "name") == NULL) {
		error = list_many(call, &listing);
	} else {
		error = arg_node(call, listing.realm_index, &node);
		if (error == 0)
			list_one(&node, &listing);
	}
	call->result = json_pack("{s:o}", "nodes", listing.nodes);
	if (listing.has_more)
		json_object_set_new(call->result, "next", json_integer((json_int_t)listing.last));
	return error;
}

static int
run_node_revoke(struct verb_call *call)
{
	struct registry_node node;
	unsigned realm = 0;
	int error;

	error = arg_realm(call, &realm);
	if (error == 0)
		error = arg_node(call, realm, &node);
	if (error == 0)
		error = nodes_revoke(call->ctrl, realm, &node, &call->reason);
	if (error < 0)
		return error;
	call->is_change = true;
	call->result = json_pack("{s:I}", "node", (json_int_t)node.node);
	if (error > 0)
		json_object_set_new(call->result, "warning",
			json_sprintf("in force now, but not yet on disk: %s; until it is, a "
				     "restart forgets it: make room on the disk",
				strerror(call->reason.error)));
	return 0;
}

static int
run_node_delete(struct verb_call *call)
{
	struct registry_node node;
	unsigned realm = 0;
	int error;

	error = arg_realm(call, &realm);
	if (error == 0)
		error = arg_node(call, realm, &node);
	if (error == 0)
		error = nodes_delete(call->ctrl, realm, &node, &call->reason);
	if (error != 0)
		return error;
	call->is_change = true;
	call->result = json_pack("{s:I}", "node", (json_int_t)node.node);
	return 0;
}

/* The newest epoch of the master that is loaded. */
static const struct registry_epoch *
epoch_of_ours(const struct registry_node *node, const char *master)
{
	for (unsigned i = 0; i < node->epoch_count; i++)
		if (strcmp(node->epochs[i].master, master) == 0)
			return &node->epochs[i];
	return NULL;
}

static int
key_result(struct verb_call *call, unsigned realm_index, const struct registry_node *node,
	const struct registry_epoch *epoch)
{
	struct node_key key = {
		.realm = node->realm,
		.node = node->node,
		.epoch = epoch->epoch,
		.suite = epoch->suite,
	};
	char text[NODE_KEY_TEXT_SIZE + 1];

	kdf_node(key.key, call->ctrl->secrets[realm_index].key, node->node, epoch->epoch);
	node_key_encode(text, &key);
	call->result = json_pack("{s:s, s:I, s:i}", "key", text, "node", (json_int_t)node->node,
		"epoch", epoch->epoch);
	sodium_memzero(&key, sizeof(key));
	sodium_memzero(text, sizeof(text));
	return 0;
}

static int
run_node_key(struct verb_call *call)
{
	const struct registry_epoch *epoch;
	struct registry_node node;
	unsigned realm = 0;
	int error;

	error = arg_realm(call, &realm);
	if (error == 0)
		error = arg_node(call, realm, &node);
	if (error != 0)
		return error;
	epoch = epoch_of_ours(&node, call->ctrl->secrets[realm].fingerprint);
	if (node.is_live && epoch != NULL)
		return key_result(call, realm, &node, epoch);
	return reason_set(&call->reason, ENOKEY,
		node.is_live
			? "node %s has keys of another master secret only; revoke it and add it "
			  "again"
			: "node %s is revoked; add it again for a new key",
		node.name);
}

static int
run_reload(struct verb_call *call)
{
	int error = ctrl_reload(call->ctrl, &call->reason);

	if (error != 0)
		return error;
	call->is_change = true;
	call->result = json_pack("{s:i, s:i}", "realms", (int)call->ctrl->config->realm_count,
		"groups", (int)call->ctrl->config->group_count);
	return 0;
}

/* ---- the table ---- */

#define ARGS_MAX 8

static const struct verb {
	const char *name;
	int (*run)(struct verb_call *call);
	const char *args[ARGS_MAX];
} verbs[] = {
	{"status", run_status, {NULL}},
	{"realm.list", run_realm_list, {NULL}},
	{"node.add", run_node_add,
		{"realm", "name", "prefixes", "suite", "node", "not_before_s", "not_after_s",
			NULL}},
	{"node.rotate", run_node_rotate,
		{"realm", "name", "node", "suite", "not_before_s", "not_after_s", "until_s", NULL}},
	{"node.list", run_node_list, {"realm", "after", "name", NULL}},
	{"node.revoke", run_node_revoke, {"realm", "name", "node", NULL}},
	{"node.delete", run_node_delete, {"realm", "name", "node", NULL}},
	{"node.key", run_node_key, {"realm", "name", "node", NULL}},
	{"reload", run_reload, {NULL}},
};

static bool
is_argument(const struct verb *verb, const char *name)
{
	for (const char *const *arg = verb->args; *arg != NULL; arg++)
		if (strcmp(*arg, name) == 0)
			return true;
	return false;
}

static int
args_check(struct verb_call *call, const struct verb *verb)
{
	const char *name;
	json_t *value;

	json_object_foreach(call->args, name, value)
	{
		if (!is_argument(verb, name))
			return reason_set(&call->reason, EINVAL, "%s takes no argument %.64s",
				verb->name, name);
	}
	return 0;
}

int
verb_run(struct verb_call *call, const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		int error;

		if (strcmp(verbs[i].name, name) != 0)
			continue;
		error = args_check(call, &verbs[i]);
		return error != 0 ? error : verbs[i].run(call);
	}
	return reason_set(
		&call->reason, ENOSYS, "there is no verb %.64s; see docs/admin-protocol.md", name);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about nodes and their keys. */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "crypto/kdf.h"
#include "ctrl/address.h"
#include "ctrl/drain.h"
#include "ctrl/verbs_priv.h"
#include "wire/cred.h"
#include "wire/text.h"

/* Nodes in one answer: with 16 prefixes and 8 epochs each, still below 1 MiB. */
#define LIST_NODES_MAX 256u
/* Nodes that one request looks at, however few of them are wanted: some 10 ms. */
#define LIST_SCAN_MAX 1024u

static int
arg_epoch(struct verb_call *call, struct registry_request *request)
{
	uint32_t suite = 0;
	int error;

	error = verb_arg_number(call, "suite", CRED_SUITE_CMAC128, CRED_SUITE_SEALED256, &suite);
	if (error == 0)
		error = verb_arg_number(
			call, "not_before_s", 0, UINT32_MAX - 1, &request->not_before_s);
	if (error == 0)
		error = verb_arg_number(
			call, "not_after_s", 1, UINT32_MAX - 1, &request->not_after_s);
	if (error != 0)
		return error;
	request->suite = (uint8_t)suite;
	if (request->not_after_s != 0 && request->not_after_s < request->not_before_s)
		return verb_fail(call, EINVAL,
			"not_after_s is before not_before_s: the key would never hold");
	return 0;
}

/* ---- results ---- */

static json_t *
epochs_json(const struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < node->epoch_count; i++) {
		const struct registry_epoch *epoch = &node->epochs[i];
		json_t *item = json_pack("{s:i, s:i, s:I}", "epoch", epoch->epoch, "suite",
			epoch->suite, "not_before_s", (json_int_t)epoch->not_before_s);

		if (epoch->not_after_s != UINT32_MAX)
			json_object_set_new(
				item, "not_after_s", json_integer((json_int_t)epoch->not_after_s));
		drain_epoch_fill(ctrl, realm_index, node->node, epoch->epoch, item);
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
roles_json(const struct registry_node *node)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < node->role_count; i++)
		json_array_append_new(list, json_string(node->roles[i]));
	return list;
}

const char *
verb_node_state(const struct registry_node *node)
{
	if (!node->is_live)
		return "revoked";
	return node->is_suspended ? "suspended" : "live";
}

static json_t *
node_json(const struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	uint64_t seen_us = 0;
	json_t *object;

	if (node->node <= realm->nodes_max)
		seen_us = ctrl->shared.store.nodes[ctrl->bases[realm_index] + node->node]
				  .last_seen_us;
	object = json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:I}", "node", (json_int_t)node->node,
		"name", node->name, "state", verb_node_state(node), "epochs",
		epochs_json(ctrl, realm_index, node), "prefixes", prefixes_json(node), "roles",
		roles_json(node), "last_seen_us", (json_int_t)(seen_us & INT64_MAX));
	if (node->note[0] != '\0')
		json_object_set_new(object, "note", json_string(node->note));
	return object;
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
run_node_add(struct verb_call *call)
{
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX];
	struct registry_request request = {0};
	struct verb_roles roles = {.count = 0};
	struct registry_node node;
	unsigned realm = 0;
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = verb_arg_text(call, "name", &request.name);
	if (error == 0)
		error = verb_name_check(call, request.name);
	if (error == 0)
		error = verb_arg_number(call, "node", 1, TABLE_NODES_MAX, &request.node);
	if (error == 0)
		error = arg_epoch(call, &request);
	if (error == 0)
		error = verb_arg_prefixes(call, &request, prefixes);
	if (error == 0)
		error = verb_arg_roles(call, &request, &roles);
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
	int error = verb_arg_realm_node(call, &realm, &node);

	if (error == 0)
		error = arg_epoch(call, &request);
	if (error == 0)
		error = verb_arg_number(call, "until_s", 1, UINT32_MAX - 1, &until_s);
	request.name = node.name;
	if (error == 0)
		error = nodes_rotate(call->ctrl, realm, &request, until_s, &node, &call->reason);
	return error != 0 ? error : added_result(call, realm, &node);
}

struct listing {
	const struct ctrl *ctrl;
	unsigned realm_index;
	const char *role; /* filters; NULL: any */
	const char *state;
	struct registry_prefix prefix;
	bool has_prefix; /* only nodes with a prefix inside it */
	json_t *nodes;
	uint32_t last;
	unsigned scanned;
	bool has_more;
};

static bool
has_role(const struct registry_node *node, const char *role)
{
	for (unsigned i = 0; i < node->role_count; i++)
		if (strcmp(node->roles[i], role) == 0)
			return true;
	return false;
}

static bool
has_prefix_in(const struct registry_node *node, const struct registry_prefix *prefix)
{
	for (unsigned i = 0; i < node->prefix_count; i++)
		if (node->prefixes[i].bits >= prefix->bits &&
			address_is_in(node->prefixes[i].address, prefix->address, prefix->bits))
			return true;
	return false;
}

static bool
is_listed(const struct listing *listing, const struct registry_node *node)
{
	if (listing->role != NULL && !has_role(node, listing->role))
		return false;
	if (listing->state != NULL && strcmp(listing->state, verb_node_state(node)) != 0)
		return false;
	return !listing->has_prefix || has_prefix_in(node, &listing->prefix);
}

static bool
list_one(const struct registry_node *node, void *context)
{
	struct listing *listing = context;

	if (json_array_size(listing->nodes) == LIST_NODES_MAX ||
		listing->scanned == LIST_SCAN_MAX) {
		listing->has_more = true;
		return false;
	}
	if (is_listed(listing, node))
		json_array_append_new(
			listing->nodes, node_json(listing->ctrl, listing->realm_index, node));
	listing->last = node->node;
	listing->scanned++;
	return true;
}

static int
list_filters(struct verb_call *call, struct listing *listing)
{
	const json_t *role = json_object_get(call->args, "role");
	int error = verb_arg_text(call, "state", &listing->state);

	if (error == 0 && role != NULL)
		error = verb_arg_role(call, role, &listing->role);
	if (error == 0)
		error = verb_arg_prefix(call, "prefix", &listing->prefix);
	listing->has_prefix = json_object_get(call->args, "prefix") != NULL;
	if (error == 0 && listing->state != NULL && strcmp(listing->state, "live") != 0 &&
		strcmp(listing->state, "suspended") != 0 && strcmp(listing->state, "revoked") != 0)
		error = verb_fail(call, EINVAL, "state must be live, suspended or revoked");
	return error;
}

static int
list_many(struct verb_call *call, struct listing *listing)
{
	uint32_t realm = call->ctrl->config->realms[listing->realm_index].id, after = 0;
	int error = verb_arg_number(call, "after", 0, UINT32_MAX, &after);

	if (error == 0)
		error = list_filters(call, listing);
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

	error = verb_arg_realm(call, &listing.realm_index);
	if (error != 0)
		return error;
	listing.nodes = json_array();
	if (json_object_get(call->args, "name") == NULL) {
		error = list_many(call, &listing);
	} else {
		error = verb_arg_node(call, listing.realm_index, &node);
		if (error == 0)
			list_one(&node, &listing);
	}
	call->result = json_pack("{s:o}", "nodes", listing.nodes);
	if (listing.has_more)
		json_object_set_new(call->result, "next", json_integer((json_int_t)listing.last));
	return error;
}

static int
run_node_delete(struct verb_call *call)
{
	struct registry_node node;
	unsigned realm = 0;
	int error = verb_arg_realm_node(call, &realm, &node);

	if (error == 0)
		error = nodes_delete(call->ctrl, realm, &node, &call->reason);
	if (error != 0)
		return error;
	call->is_change = true;
	call->result = json_pack("{s:I}", "node", (json_int_t)node.node);
	return 0;
}

/* The epoch of that number, or (0) the newest, if its master is loaded. */
static const struct registry_epoch *
epoch_of_ours(
	const struct registry_node *node, const struct secrets_realm *secrets, uint32_t number)
{
	for (unsigned i = 0; i < node->epoch_count; i++)
		if ((number == 0 || node->epochs[i].epoch == number) &&
			secrets_master_find(secrets, node->epochs[i].master) >= 0)
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
	const struct secrets_realm *secrets = &call->ctrl->secrets[realm_index];
	int master = secrets_master_find(secrets, epoch->master);
	char text[NODE_KEY_TEXT_SIZE + 1];

	kdf_node(key.key, secrets->masters[master].key, node->node, epoch->epoch);
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
	uint32_t number = 0;
	unsigned realm = 0;
	int error = verb_arg_realm_node(call, &realm, &node);

	if (error == 0)
		error = verb_arg_number(call, "epoch", 1, UINT16_MAX, &number);
	if (error != 0)
		return error;
	epoch = epoch_of_ours(&node, &call->ctrl->secrets[realm], number);
	if (node.is_live && epoch != NULL)
		return key_result(call, realm, &node, epoch);
	if (node.is_live && number != 0)
		return reason_set(&call->reason, ENOKEY,
			"node %s has no key of epoch %u; see credgate node list", node.name,
			number);
	return reason_set(&call->reason, ENOKEY,
		node.is_live
			? "node %s has keys of another master secret only; revoke it and add it "
			  "again"
			: "node %s is revoked; add it again for a new key",
		node.name);
}

const struct verb verbs_node[] = {
	{"node.add", run_node_add, VERB_CHANGES,
		{"realm", "name", "prefixes", "roles", "suite", "node", "not_before_s",
			"not_after_s", NULL}},
	{"node.rotate", run_node_rotate, VERB_CHANGES,
		{"realm", "name", "node", "suite", "not_before_s", "not_after_s", "until_s", NULL}},
	{"node.list", run_node_list, 0,
		{"realm", "after", "name", "role", "state", "prefix", NULL}},
	{"node.delete", run_node_delete, VERB_CHANGES, {"realm", "name", "node", NULL}},
	{"node.key", run_node_key, VERB_TELLS_SECRET, {"realm", "name", "node", "epoch", NULL}},
	{NULL, NULL, 0, {NULL}},
};

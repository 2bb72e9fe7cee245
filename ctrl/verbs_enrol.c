/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about join codes and clones (docs/enrolment.md). */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctrl/address.h"
#include "ctrl/clones.h"
#include "ctrl/enrol.h"
#include "ctrl/registry_codes.h"
#include "ctrl/verbs_priv.h"
#include "wire/cred.h"

#define TTL_DEFAULT_S   600u
#define TTL_MAX_S       (7u * 86400)
#define LIST_CODES_MAX  1024u
#define LIST_METERS_MAX 131072u /* looked at for one answer: a few milliseconds */
#define ID_TEXT_SIZE    17u

/* ---- node.invite ---- */

static int
arg_flag(struct verb_call *call, const char *name, bool *value)
{
	const json_t *arg = json_object_get(call->args, name);

	*value = json_is_true(arg);
	return arg == NULL || json_is_boolean(arg)
		       ? 0
		       : reason_set(&call->reason, EINVAL, "%s must be true or false", name);
}

static int
arg_prefixes(struct verb_call *call, struct registry_code *code)
{
	struct registry_request request = {0};
	int error = verb_arg_prefixes(call, &request, code->prefixes);

	code->prefix_count = request.prefix_count;
	return error;
}

static int
arg_roles(struct verb_call *call, struct registry_code *code)
{
	struct registry_request request = {0};
	struct verb_roles roles = {.count = 0};
	int error = verb_arg_roles(call, &request, &roles);

	code->role_count = request.role_count;
	memcpy(code->roles, roles.items, sizeof(code->roles));
	return error;
}

static int
arg_code(struct verb_call *call, struct registry_code *code)
{
	uint32_t ttl_s = TTL_DEFAULT_S, suite = 0;
	const char *name;
	int error = verb_arg_text(call, "name", &name);

	if (error == 0)
		error = verb_name_check(call, name);
	if (error == 0)
		error = verb_arg_number(call, "ttl_s", 1, TTL_MAX_S, &ttl_s);
	if (error == 0)
		error = verb_arg_number(
			call, "suite", CRED_SUITE_CMAC128, CRED_SUITE_SEALED256, &suite);
	if (error == 0)
		error = arg_flag(call, "bind_address", &code->binds_address);
	if (error == 0)
		error = arg_flag(call, "close_old", &code->closes_old);
	if (error == 0)
		error = arg_prefixes(call, code);
	if (error == 0)
		error = arg_roles(call, code);
	if (error != 0)
		return error;
	snprintf(code->name, sizeof(code->name), "%s", name);
	code->suite = (uint8_t)suite;
	code->made_s = (int64_t)time(NULL);
	code->expires_s = code->made_s + ttl_s;
	return 0;
}

/* What would keep the node from joining is better known now than on the node. */
static int
invite_check(struct verb_call *call, unsigned realm_index, const struct registry_code *code,
	const struct registry_node *known)
{
	const struct config_realm *realm = &call->ctrl->config->realms[realm_index];

	if (realm->origin == TABLE_ORIGIN_CLAIMED && code->prefix_count == 0 &&
		!code->binds_address && (known == NULL || known->prefix_count == 0))
		return reason_set(&call->reason, EINVAL,
			"realm %s has origin mode claimed, where a node without prefixes can be "
			"nowhere; give prefixes or bind_address",
			realm->name);
	return 0;
}

static json_t *
invite_result(const struct verb_call *call, const struct registry_code *code, bool is_again)
{
	char text[JOIN_CODE_TEXT_SIZE + 1];
	struct join_code secret;
	json_t *result;

	enrol_code(call->ctrl->enrol, code->id, code->realm, &secret);
	join_code_encode(text, &secret);
	result = json_pack("{s:s, s:s, s:I, s:b}", "name", code->name, "code", text, "expires_s",
		(json_int_t)code->expires_s, "again", is_again);
	sodium_memzero(&secret, sizeof(secret));
	sodium_memzero(text, sizeof(text));
	return result;
}

static void
invited_by(const struct verb_call *call, struct registry_code *code)
{
	if (call->peer != NULL)
		snprintf(code->who, sizeof(code->who), "uid %u", call->peer->uid);
	else
		snprintf(code->who, sizeof(code->who), "credgated");
}

static int
enrol_check(struct verb_call *call)
{
	if (call->ctrl->enrol != NULL)
		return 0;
	return verb_fail(call, ENOTSUP,
		"nodes cannot join: the configuration has no enrol; add \"enrol: {listen: "
		"ADDRESS:PORT}\" and restart credgated");
}

static int
run_node_invite(struct verb_call *call)
{
	struct registry_code code = {.state = REGISTRY_CODE_OPEN};
	struct registry_node known;
	unsigned realm = 0;
	int found, error = enrol_check(call);

	if (error == 0)
		error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = arg_code(call, &code);
	if (error != 0)
		return error;
	code.realm = call->ctrl->config->realms[realm].id;
	found = registry_node_find(call->ctrl->registry, code.realm,
		call->ctrl->config->realms[realm].name, code.name, 0, &known, &call->reason);
	if (found != 0 && found != -ENOENT)
		return found;
	error = invite_check(call, realm, &code, found == 0 ? &known : NULL);
	if (error != 0)
		return error;
	randombytes_buf(&code.id, sizeof(code.id));
	invited_by(call, &code);
	error = registry_code_add(call->ctrl->registry, &code, &call->reason);
	if (error == 0)
		call->result = invite_result(call, &code, found == 0);
	return error;
}

/* ---- node.invites ---- */

static const char *
state_text(const struct registry_code *code)
{
	if (code->state == REGISTRY_CODE_BURNT)
		return "burnt";
	return code->state == REGISTRY_CODE_CLAIMED ? "used" : "open";
}

static json_t *
prefixes_json(const struct registry_code *code)
{
	json_t *list = json_array();
	char text[ADDRESS_TEXT_SIZE];

	for (unsigned i = 0; i < code->prefix_count; i++) {
		address_format(text, code->prefixes[i].address, code->prefixes[i].bits, 0);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *
roles_json(const struct registry_code *code)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < code->role_count; i++)
		json_array_append_new(list, json_string(code->roles[i]));
	return list;
}

/* Everything but the secret, which is not even known here. */
static json_t *
code_json(const struct registry_code *code)
{
	char id[ID_TEXT_SIZE], source[ADDRESS_TEXT_SIZE];
	json_t *item;

	snprintf(id, sizeof(id), "%016llx", (unsigned long long)code->id);
	item = json_pack("{s:s, s:s, s:s, s:I, s:I, s:s, s:o, s:o, s:b, s:b, s:i}", "name",
		code->name, "id", id, "state", state_text(code), "made_s", (json_int_t)code->made_s,
		"expires_s", (json_int_t)code->expires_s, "who", code->who, "prefixes",
		prefixes_json(code), "roles", roles_json(code), "bind_address", code->binds_address,
		"close_old", code->closes_old, "wrong", (int)code->wrong);
	if (code->suite != 0)
		json_object_set_new(item, "suite", json_integer(code->suite));
	if (code->state == REGISTRY_CODE_CLAIMED) {
		address_format(source, code->source, 128, 1);
		json_object_set_new(item, "source", json_string(source));
		json_object_set_new(item, "claimed_s", json_integer(code->claimed_s));
		json_object_set_new(item, "node", json_integer((json_int_t)code->node));
		json_object_set_new(item, "epoch", json_integer(code->epoch));
	}
	return item;
}

struct listing {
	json_t *codes;
	int64_t now_s;
	char last[REGISTRY_NAME_SIZE];
	bool has_more;
};

static bool
list_one(const struct registry_code *code, void *context)
{
	struct listing *listing = context;

	if (json_array_size(listing->codes) == LIST_CODES_MAX) {
		listing->has_more = true;
		return false;
	}
	if (code->expires_s > listing->now_s)
		json_array_append_new(listing->codes, code_json(code));
	snprintf(listing->last, sizeof(listing->last), "%s", code->name);
	return true;
}

static int
run_node_invites(struct verb_call *call)
{
	struct listing listing = {.now_s = (int64_t)time(NULL)};
	const char *after = NULL;
	unsigned realm = 0;
	int error = verb_arg_realm(call, &realm);

	if (error == 0)
		error = verb_arg_text(call, "after", &after);
	if (error != 0)
		return error;
	listing.codes = json_array();
	error = registry_code_walk(call->ctrl->registry, call->ctrl->config->realms[realm].id,
		after != NULL ? after : "", list_one, &listing, &call->reason);
	call->result = json_pack("{s:o}", "invites", listing.codes);
	if (listing.has_more)
		json_object_set_new(call->result, "next", json_string(listing.last));
	return error;
}

/* ---- node.uninvite ---- */

static int
run_node_uninvite(struct verb_call *call)
{
	const struct config_realm *realm;
	unsigned index = 0, count = 0;
	const char *name = NULL;
	int error = verb_arg_realm(call, &index);

	if (error == 0)
		error = verb_arg_text(call, "name", &name);
	if (error == 0)
		error = verb_name_check(call, name);
	if (error != 0)
		return error;
	realm = &call->ctrl->config->realms[index];
	error = registry_code_drop(call->ctrl->registry, realm->id, name, &count, &call->reason);
	if (error == 0 && count == 0)
		error = reason_set(&call->reason, ENOENT,
			"there is no join code for %s in realm %s; see credgate node invites %s",
			name, realm->name, realm->name);
	if (error == 0)
		call->result = json_pack("{s:s}", "name", name);
	return error;
}

/* ---- node.clones ---- */

struct evidence {
	const struct ctrl *ctrl;
	unsigned realm_index;
	uint32_t node; /* the next to be looked at */
	json_t *clones;
	struct reason *reason;
};

static json_t *
clone_json(const struct registry_node *node, const struct clone_view *view)
{
	char source[ADDRESS_TEXT_SIZE];
	json_t *item = json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "node",
		(json_int_t)node->node, "name", node->name, "state", verb_node_state(node),
		"incarnation", (json_int_t)view->incarnation, "since_us",
		(json_int_t)(view->since_us & INT64_MAX), "count", (json_int_t)view->count,
		"collisions", (json_int_t)view->collisions, "last_us",
		(json_int_t)(view->last_us & INT64_MAX));

	if (view->count > 0) {
		address_format(source, view->source, 128, 1);
		json_object_set_new(
			item, "other_incarnation", json_integer((json_int_t)view->other));
		json_object_set_new(item, "source", json_string(source));
	}
	return item;
}

/* Looks at LIST_METERS_MAX meters at most. 0 or -errno. */
static int
evidence_collect(struct evidence *evidence)
{
	const struct ctrl *ctrl = evidence->ctrl;
	const struct config_realm *realm = &ctrl->config->realms[evidence->realm_index];
	struct registry_node node;
	struct clone_view view;
	int error;

	for (unsigned i = 0; i < LIST_METERS_MAX && evidence->node <= realm->nodes_max &&
			     json_array_size(evidence->clones) < LIST_CODES_MAX;
		i++, evidence->node++) {
		if (!clones_view(ctrl->clones, evidence->realm_index, evidence->node, &view))
			continue;
		error = registry_node_find(ctrl->registry, realm->id, realm->name, NULL,
			evidence->node, &node, evidence->reason);
		if (error == 0)
			json_array_append_new(evidence->clones, clone_json(&node, &view));
		else if (error != -ENOENT)
			return error;
	}
	return 0;
}

static int
run_node_clones(struct verb_call *call)
{
	struct evidence evidence = {.ctrl = call->ctrl, .reason = &call->reason};
	const struct config_realm *realm;
	uint32_t after = 0;
	int error = verb_arg_realm(call, &evidence.realm_index);

	if (error == 0)
		error = verb_arg_number(call, "after", 0, UINT32_MAX - 1, &after);
	if (error != 0)
		return error;
	realm = &call->ctrl->config->realms[evidence.realm_index];
	evidence.node = after + 1;
	evidence.clones = json_array();
	error = evidence_collect(&evidence);
	call->result = json_pack("{s:s, s:o}", "policy", config_clones_text(realm->clones),
		"clones", evidence.clones);
	if (evidence.node <= realm->nodes_max)
		json_object_set_new(
			call->result, "next", json_integer((json_int_t)evidence.node - 1));
	return error;
}

const struct verb verbs_enrol[] = {
	{"node.invite", run_node_invite, VERB_CHANGES | VERB_TELLS_SECRET,
		{"realm", "name", "prefixes", "roles", "ttl_s", "suite", "bind_address",
			"close_old", NULL}},
	{"node.invites", run_node_invites, 0, {"realm", "after", NULL}},
	{"node.clones", run_node_clones, 0, {"realm", "after", NULL}},
	{"node.uninvite", run_node_uninvite, VERB_CHANGES, {"realm", "name", NULL}},
	{NULL, NULL, 0, {NULL}},
};

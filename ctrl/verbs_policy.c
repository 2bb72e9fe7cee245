/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about policies: rules and limits of a realm. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/address.h"
#include "ctrl/log.h"
#include "ctrl/policies.h"
#include "ctrl/policy_explain.h"
#include "ctrl/signature.h"
#include "ctrl/verbs_priv.h"
#include "ctrl/whitelist.h"

#define FILE_NAME_SIZE 128
#define WARNINGS_MAX   20u
#define HISTORY_MAX    100u

/* ---- what several verbs have in common ---- */

static const struct config_realm *
realm_of(const struct verb_call *call, unsigned realm)
{
	return &call->ctrl->config->realms[realm];
}

static void
who_make(const struct verb_call *call, char who[REGISTRY_WHO_SIZE])
{
	if (call->peer == NULL)
		snprintf(who, REGISTRY_WHO_SIZE, "credgated");
	else
		snprintf(who, REGISTRY_WHO_SIZE, "uid %u", call->peer->uid);
}

/* The text and what errors call it. */
static int
arg_text(struct verb_call *call, const char **text, char path[FILE_NAME_SIZE])
{
	const char *file = NULL;
	int error = verb_arg_text(call, "text", text);

	if (error == 0)
		error = verb_arg_text(call, "file", &file);
	if (error != 0)
		return error;
	if (*text == NULL)
		return verb_fail(call, EINVAL, "text is missing: give the policy itself");
	snprintf(path, FILE_NAME_SIZE, "%s", file != NULL ? file : "policy");
	for (char *c = path; *c != '\0'; c++)
		if ((unsigned char)*c < ' ')
			*c = '?';
	return 0;
}

struct warnings {
	json_t *list;
	unsigned count;
};

static void
warning_add(void *context, unsigned line, const char *text)
{
	struct warnings *warnings = context;

	if (++warnings->count <= WARNINGS_MAX)
		json_array_append_new(
			warnings->list, json_pack("{s:i, s:s}", "line", (int)line, "text", text));
}

static json_t *
warnings_make(const struct ctrl *ctrl, unsigned realm)
{
	struct warnings warnings = {.list = json_array()};

	policies_warn(ctrl, realm, warning_add, &warnings);
	return warnings.list;
}

static json_t *
sizes_make(const struct policy_sizes *sizes)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "classes", (int)sizes->classes, "cells",
		(int)sizes->cells, "programs", (int)sizes->programs, "lane_groups",
		(int)sizes->lane_groups, "prefixes", (int)sizes->prefixes, "limits",
		(int)sizes->limits);
}

static int
applied_result(struct verb_call *call, unsigned realm, uint32_t version)
{
	struct policies_view view = policies_view(call->ctrl, realm);
	struct policy_sizes sizes = policies_sizes(call->ctrl);
	char who[REGISTRY_WHO_SIZE];

	who_make(call, who);
	log_info(realm_of(call, realm)->name, "policy version %u %s, set by %s", version,
		view.policy != NULL ? "is in force" : "says that there is none any more", who);
	call->is_change = true;
	call->result = json_pack("{s:s, s:i, s:i, s:i, s:s, s:o, s:o}", "realm",
		realm_of(call, realm)->name, "version", (int)version, "rules",
		view.policy != NULL ? (int)view.policy->rule_count : 0, "limits",
		view.policy != NULL ? (int)view.policy->limit_count : 0, "mode",
		config_mode_text(view.mode), "sizes", sizes_make(&sizes), "warnings",
		warnings_make(call->ctrl, realm));
	return 0;
}

/* ---- apply, check, remove, rollback ---- */

/* As policies_apply, with the signature that came with the text, if one is required. */
static int
apply_signed(struct verb_call *call, unsigned realm, const char *path, const char *text,
	uint32_t *version)
{
	char who[REGISTRY_WHO_SIZE], purpose[SIGNATURE_PURPOSE_SIZE];
	const char *signature = NULL;
	struct reason reason;
	uint64_t serial = 0;
	int error;

	snprintf(purpose, sizeof(purpose), SIGNATURE_FOR_POLICY "%s", realm_of(call, realm)->name);
	who_make(call, who);
	error = verb_arg_text(call, "signature", &signature);
	if (error == 0)
		error = signature_text_check(
			call->ctrl, purpose, text, signature, &serial, &call->reason);
	if (error == 0)
		error = policies_apply(call->ctrl, realm, path, text, who, version, &call->reason);
	if (error == 0 &&
		signature_rule_accept(&call->ctrl->signature, purpose, serial, &reason) != 0)
		log_warning("signature", "%s", reason.text);
	return error;
}

/* What nobody signed for today: an old text, or none at all. */
static int
unsigned_refuse(struct verb_call *call, unsigned realm)
{
	const char *name = realm_of(call, realm)->name;

	if (!signature_is_required(call->ctrl))
		return 0;
	return reason_set(&call->reason, EPERM,
		"signatures are required, and this has none: take the text that is meant (credgate "
		"policy show %s VERSION), then credgate sign FILE --for policy/%s and credgate "
		"policy apply %s FILE",
		name, name, name);
}

static int
run_policy_apply(struct verb_call *call)
{
	char path[FILE_NAME_SIZE];
	const char *text = NULL;
	uint32_t version = 0;
	unsigned realm = 0;
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = arg_text(call, &text, path);
	if (error == 0)
		error = apply_signed(call, realm, path, text, &version);
	return error != 0 ? error : applied_result(call, realm, version);
}

static int
run_policy_check(struct verb_call *call)
{
	char path[FILE_NAME_SIZE];
	struct policy_sizes sizes;
	const char *text = NULL;
	unsigned realm = 0;
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = arg_text(call, &text, path);
	if (error == 0)
		error = policies_try(call->ctrl, realm, path, text, &sizes, &call->reason);
	if (error != 0)
		return error;
	call->result = json_pack(
		"{s:s, s:o}", "realm", realm_of(call, realm)->name, "sizes", sizes_make(&sizes));
	return 0;
}

static int
run_policy_remove(struct verb_call *call)
{
	char who[REGISTRY_WHO_SIZE];
	uint32_t version = 0;
	unsigned realm = 0;
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = unsigned_refuse(call, realm);
	if (error != 0)
		return error;
	if (policies_view(call->ctrl, realm).policy == NULL)
		return reason_set(&call->reason, ENOENT, "realm %s has no policy; nothing changed",
			realm_of(call, realm)->name);
	who_make(call, who);
	error = policies_apply(call->ctrl, realm, "", NULL, who, &version, &call->reason);
	return error != 0 ? error : applied_result(call, realm, version);
}

/* The text of a version; the newest for 0. */
static int
document_get(struct verb_call *call, unsigned realm, uint32_t version,
	struct registry_document *document)
{
	const struct config_realm *it = realm_of(call, realm);
	int error = registry_document_get(
		call->ctrl->registry, it->id, POLICIES_KIND, version, document, &call->reason);

	if (error == -ENOENT && version == 0)
		return reason_set(&call->reason, ENOENT,
			"realm %s has no policy; see credgate policy apply --help", it->name);
	if (error == -ENOENT)
		return reason_set(&call->reason, ENOENT,
			"realm %s has no policy of version %u; see credgate policy history %s",
			it->name, version, it->name);
	return error;
}

static int
run_policy_rollback(struct verb_call *call)
{
	struct registry_document document;
	char who[REGISTRY_WHO_SIZE], path[FILE_NAME_SIZE];
	uint32_t version = 0;
	unsigned realm = 0;
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = verb_arg_number(call, "version", 1, UINT32_MAX, &version);
	if (error == 0 && version == 0)
		error = verb_fail(call, EINVAL, "version is missing: give the one to go back to");
	if (error == 0)
		error = unsigned_refuse(call, realm);
	if (error == 0)
		error = document_get(call, realm, version, &document);
	if (error != 0)
		return error;
	snprintf(path, sizeof(path), "version %u", version);
	who_make(call, who);
	error = policies_apply(
		call->ctrl, realm, path, document.text, who, &version, &call->reason);
	free(document.text);
	return error != 0 ? error : applied_result(call, realm, version);
}

/* ---- show, history ---- */

static json_t *
document_json(const struct registry_document *document)
{
	return json_pack("{s:i, s:b, s:I, s:I, s:s}", "version", (int)document->version, "removed",
		document->is_removed, "added_s", (json_int_t)document->added_s, "size",
		(json_int_t)document->size, "who", document->who);
}

static int
run_policy_show(struct verb_call *call)
{
	struct registry_document document;
	struct policies_view view;
	struct policy_sizes sizes;
	uint32_t version = 0;
	unsigned realm = 0;
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = verb_arg_number(call, "version", 1, UINT32_MAX, &version);
	if (error != 0)
		return error;
	view = policies_view(call->ctrl, realm);
	error = document_get(call, realm, version != 0 ? version : view.version, &document);
	if (error != 0)
		return error;
	sizes = policies_sizes(call->ctrl);
	call->result = document_json(&document);
	json_object_set_new(call->result, "realm", json_string(realm_of(call, realm)->name));
	json_object_set_new(call->result, "text", json_string(document.text));
	json_object_set_new(
		call->result, "in_force", json_boolean(document.version == view.version));
	json_object_set_new(call->result, "fallback", json_boolean(view.is_fallback));
	json_object_set_new(call->result, "mode", json_string(config_mode_text(view.mode)));
	json_object_set_new(call->result, "sizes", sizes_make(&sizes));
	if (document.version == view.version)
		json_object_set_new(call->result, "warnings", warnings_make(call->ctrl, realm));
	free(document.text);
	return 0;
}

static bool
history_add(const struct registry_document *document, void *context)
{
	json_array_append_new(context, document_json(document));
	return json_array_size(context) < HISTORY_MAX;
}

static int
run_policy_history(struct verb_call *call)
{
	json_t *list;
	unsigned realm = 0;
	int error = verb_arg_realm(call, &realm);

	if (error != 0)
		return error;
	list = json_array();
	error = registry_document_walk(call->ctrl->registry, realm_of(call, realm)->id,
		POLICIES_KIND, history_add, list, &call->reason);
	call->result = json_pack("{s:s, s:i, s:o}", "realm", realm_of(call, realm)->name,
		"in_force", (int)policies_view(call->ctrl, realm).version, "versions", list);
	return error;
}

/* ---- explain ---- */

static int
arg_id(struct verb_call *call, const char *name, bool *has_id, uint32_t *id)
{
	*has_id = json_object_get(call->args, name) != NULL;
	return verb_arg_number(call, name, 0, UINT32_MAX, id);
}

static int
arg_kind(struct verb_call *call, unsigned *kind)
{
	static const char *const names[] = {"assert", "beacon", "ask"};
	const char *name = NULL;
	int error = verb_arg_text(call, "kind", &name);

	*kind = 0;
	for (unsigned i = 0; name != NULL && i < 3; i++)
		if (strcmp(names[i], name) == 0)
			*kind = i + 1;
	if (error == 0 && name != NULL && *kind == 0)
		error = verb_fail(call, EINVAL, "kind must be assert, beacon or ask");
	return error;
}

static int
arg_origin(struct verb_call *call, struct policy_question *question)
{
	const char *text = NULL, *wrong;
	int error = verb_arg_text(call, "origin", &text);
	uint8_t bits;

	if (error != 0 || text == NULL)
		return error;
	wrong = address_parse(text, question->origin, &bits);
	question->has_origin = true;
	if (wrong != NULL || bits != 128)
		return reason_set(&call->reason, EINVAL, "origin \"%.64s\" %s", text,
			wrong != NULL ? wrong : "is no single address; leave the length out");
	return 0;
}

/* A node of the registry brings its roles along; roles that are given hold instead. */
static int
arg_roles(struct verb_call *call, const struct registry_node *node,
	struct policy_question *question, const char *roles[REGISTRY_ROLES_MAX])
{
	const json_t *list = json_object_get(call->args, "roles"), *role;
	size_t i;

	question->roles = roles;
	question->has_roles = list != NULL || node != NULL;
	for (i = 0; list == NULL && node != NULL && i < node->role_count; i++)
		roles[question->role_count++] = node->roles[i];
	if (list != NULL && (!json_is_array(list) || json_array_size(list) > REGISTRY_ROLES_MAX))
		return reason_set(&call->reason, EINVAL, "roles must be a list of at most %u texts",
			REGISTRY_ROLES_MAX);
	json_array_foreach(list, i, role)
	{
		if (!json_is_string(role))
			return verb_fail(call, EINVAL, "roles must be texts");
		roles[question->role_count++] = json_string_value(role);
	}
	return 0;
}

/* The node in the registry, if it is there. */
static int
arg_node(struct verb_call *call, unsigned realm, const char **name, struct registry_node *node,
	bool *is_known)
{
	int error = verb_arg_text(call, "node", name);

	*is_known = false;
	if (error != 0 || *name == NULL)
		return error;
	error = registry_node_find(call->ctrl->registry, realm_of(call, realm)->id,
		realm_of(call, realm)->name, *name, 0, node, &call->reason);
	*is_known = error == 0;
	return error == -ENOENT ? 0 : error;
}

/* What comes before any rule. */
static void
standing_add(const struct verb_call *call, unsigned realm, const char *name,
	const struct registry_node *node, bool is_known)
{
	const char *state = "live";

	if (name == NULL)
		return;
	if (!is_known)
		state = "unknown";
	else if (!node->is_live)
		state = "revoked";
	else if (node->is_suspended)
		state = "suspended";
	else if (!whitelist_has(call->ctrl->whitelists, realm, name))
		state = "not-listed";
	json_object_set_new(call->result, "state", json_string(state));
}

static int
run_policy_explain(struct verb_call *call)
{
	const char *roles[REGISTRY_ROLES_MAX];
	struct policy_question question = {0};
	struct registry_node node;
	bool is_known = false;
	unsigned realm = 0;
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = arg_node(call, realm, &question.node, &node, &is_known);
	if (error == 0)
		error = arg_roles(call, is_known ? &node : NULL, &question, roles);
	if (error == 0)
		error = arg_id(call, "uid", &question.has_uid, &question.uid);
	if (error == 0)
		error = arg_id(call, "gid", &question.has_gid, &question.gid);
	if (error == 0)
		error = arg_kind(call, &question.kind);
	if (error == 0)
		error = arg_origin(call, &question);
	if (error == 0)
		error = verb_arg_text(call, "audience", &question.audience);
	if (error != 0)
		return error;
	call->result = policy_explain(policies_view(call->ctrl, realm).policy, &question);
	json_object_set_new(call->result, "mode",
		json_string(config_mode_text(policies_view(call->ctrl, realm).mode)));
	standing_add(call, realm, question.node, &node, is_known);
	return 0;
}

const struct verb verbs_policy[] = {
	{"policy.apply", run_policy_apply, VERB_CHANGES,
		{"realm", "text", "file", "signature", NULL}},
	{"policy.check", run_policy_check, 0, {"realm", "text", "file", NULL}},
	{"policy.show", run_policy_show, 0, {"realm", "version", NULL}},
	{"policy.history", run_policy_history, 0, {"realm", NULL}},
	{"policy.rollback", run_policy_rollback, VERB_CHANGES, {"realm", "version", NULL}},
	{"policy.remove", run_policy_remove, VERB_CHANGES, {"realm", NULL}},
	{"policy.explain", run_policy_explain, 0,
		{"realm", "node", "roles", "uid", "gid", "kind", "audience", "origin", NULL}},
	{NULL, NULL, 0, {NULL}},
};

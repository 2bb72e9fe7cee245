/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about the roll-out of a realm: its mode, and what enforce would have refused. */
#include <errno.h>
#include <stdlib.h>

#include "ctrl/clock.h"
#include "ctrl/log.h"
#include "ctrl/policies.h"
#include "ctrl/rollout.h"
#include "ctrl/verbs_priv.h"
#include "verdict/verdict.h"

#define NODES_DEFAULT 10u
#define NODES_MAX     1000u

static json_t *
number(uint64_t value)
{
	return json_integer((json_int_t)(value & INT64_MAX));
}

/* mode, configured, and of a mode that was set live since when, by whom and why. */
static json_t *
mode_json(const struct ctrl *ctrl, unsigned realm)
{
	const struct mode_setting *setting = &ctrl->modes.settings[realm];
	const struct config_realm *config = &ctrl->config->realms[realm];
	json_t *json = json_pack("{s:s, s:s, s:s, s:b}", "realm", config->name, "mode",
		config_mode_text(modes_get(&ctrl->modes, ctrl->config, realm)), "configured",
		config_mode_text(config->mode), "live", setting->is_live);

	if (setting->is_live) {
		json_object_set_new(json, "since_s", json_integer(setting->since_s));
		json_object_set_new(json, "who", json_string(setting->who));
		json_object_set_new(json, "why", json_string(setting->why));
	}
	return json;
}

static int
arg_mode(struct verb_call *call, unsigned *mode)
{
	const char *text;
	int parsed, error = verb_arg_text(call, "mode", &text);

	if (error != 0)
		return error;
	parsed = text != NULL ? modes_parse(text) : -EINVAL;
	if (parsed < 0)
		return verb_fail(call, EINVAL,
			"mode must be observe, permissive, enforce, or configured (as the "
			"configuration says)");
	*mode = (unsigned)parsed;
	return 0;
}

/* Counts anew from now on, also after a crash. */
static void
mark(struct ctrl *ctrl, unsigned realm, uint64_t now_us)
{
	struct reason reason;

	rollout_mark(ctrl->rollout, realm, now_us);
	if (rollout_save(ctrl->rollout, &reason) != 0)
		log_error("rollout", "%s", reason.text);
}

static int
run_realm_mode(struct verb_call *call)
{
	struct ctrl *ctrl = call->ctrl;
	struct mode_setting was;
	enum table_mode before;
	unsigned realm = 0, mode = 0;
	char who[REGISTRY_WHO_SIZE] = "credgated";
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = arg_mode(call, &mode);
	if (error != 0)
		return error;
	if (call->peer != NULL)
		snprintf(who, sizeof(who), "uid %u", call->peer->uid);
	before = modes_get(&ctrl->modes, ctrl->config, realm);
	was = ctrl->modes.settings[realm];
	error = modes_set(&ctrl->modes, ctrl->config, ctrl->registry, realm, mode, who, call->why,
		&call->reason);
	if (error != 0)
		return error;
	error = policies_refresh(ctrl, &call->reason);
	if (error != 0) {
		modes_set(&ctrl->modes, ctrl->config, ctrl->registry, realm,
			was.is_live ? was.mode : MODES_CONFIGURED, who, was.why, NULL);
		return error;
	}
	if (modes_get(&ctrl->modes, ctrl->config, realm) != before)
		mark(ctrl, realm, clock_real_us());
	ctrl_policy_set(ctrl);
	call->is_change = true;
	call->result = mode_json(ctrl, realm);
	json_object_set_new(call->result, "before", json_string(config_mode_text(before)));
	log_info(ctrl->config->realms[realm].name, "mode %s instead of %s, set by %s",
		config_mode_text(modes_get(&ctrl->modes, ctrl->config, realm)),
		config_mode_text(before), who);
	return 0;
}

static json_t *
counts_json(const uint64_t counts[VERDICT_COUNTERS])
{
	json_t *json = json_object();

	for (unsigned v = 1; v < VERDICT_COUNT; v++)
		if (counts[v] != 0)
			json_object_set_new(json, verdict_text(v), number(counts[v]));
	return json;
}

static json_t *
node_json(const struct ctrl *ctrl, unsigned realm, const struct rollout_node *node)
{
	const struct config_realm *config = &ctrl->config->realms[realm];
	struct registry_node known;
	bool is_known = registry_node_find(ctrl->registry, config->id, config->name, NULL,
				node->node, &known, NULL) == 0;
	const char *verdict = verdict_text(node->verdict);

	return json_pack("{s:I, s:s?, s:I, s:s?, s:I}", "node", (json_int_t)node->node, "name",
		is_known ? known.name : NULL, "count", (json_int_t)node->count, "verdict", verdict,
		"last_s", (json_int_t)node->last_s);
}

/* Top nodes into the result; the walk over all nodes is only made for who wants it. */
static int
nodes_add_to(struct verb_call *call, unsigned realm, unsigned room)
{
	struct rollout_node *nodes = calloc(room, sizeof(*nodes));
	json_t *list = json_array();
	unsigned count = 0;
	uint32_t all;

	if (nodes == NULL)
		return verb_fail(call, ENOMEM, "no memory for the nodes");
	all = rollout_nodes(call->ctrl->rollout, realm, nodes, room, &count);
	for (unsigned i = 0; i < count; i++)
		json_array_append_new(list, node_json(call->ctrl, realm, &nodes[i]));
	free(nodes);
	json_object_set_new(call->result, "node_count", json_integer((json_int_t)all));
	json_object_set_new(call->result, "nodes", list);
	return 0;
}

static int
run_realm_would(struct verb_call *call)
{
	struct rollout_view view;
	uint32_t room = NODES_DEFAULT;
	unsigned realm = 0;
	int error;

	error = verb_arg_realm(call, &realm);
	if (error == 0)
		error = verb_arg_number(call, "nodes", 0, NODES_MAX, &room);
	if (error != 0)
		return error;
	view = rollout_view(call->ctrl->rollout, realm);
	call->result = mode_json(call->ctrl, realm);
	json_object_set_new(call->result, "mark_us", number(view.mark_us));
	json_object_set_new(call->result, "accepted", number(view.accepted));
	json_object_set_new(call->result, "would_refuse", number(view.would_all));
	json_object_set_new(call->result, "would", counts_json(view.would));
	json_object_set_new(call->result, "refused", counts_json(view.refused));
	return room != 0 ? nodes_add_to(call, realm, room) : 0;
}

static int
run_realm_mark(struct verb_call *call)
{
	uint64_t now_us = clock_real_us();
	unsigned realm = 0;
	int error = verb_arg_realm(call, &realm);

	if (error != 0)
		return error;
	mark(call->ctrl, realm, now_us);
	call->result = json_pack("{s:s, s:o}", "realm", call->ctrl->config->realms[realm].name,
		"mark_us", number(now_us));
	return 0;
}

const struct verb verbs_modes[] = {
	{"realm.mode", run_realm_mode, VERB_CHANGES, {"realm", "mode", NULL}},
	{"realm.would", run_realm_would, 0, {"realm", "nodes", NULL}},
	{"realm.mark", run_realm_mark, VERB_CHANGES, {"realm", NULL}},
	{NULL, NULL, 0, {NULL}},
};

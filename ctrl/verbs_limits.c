/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about limits: what is asked of them, and who asks for more than there is. */
#include <errno.h>
#include <string.h>

#include "ctrl/policies.h"
#include "ctrl/rate_limits.h"
#include "ctrl/verbs_priv.h"
#include "verdict/verdict.h"

#define NODES_MAX 100u

static json_t *
number(uint64_t value)
{
	return json_integer((json_int_t)(value & INT64_MAX));
}

static json_t *
limit_json(const struct ctrl *ctrl, const struct limits_view *limit)
{
	json_t *shares = json_array();

	for (unsigned i = 0; i < limit->worker_count; i++)
		json_array_append_new(shares, json_real(limit->shares[i]));
	return json_pack("{s:s, s:s, s:f, s:f, s:o, s:o, s:f, s:f, s:o}", "realm",
		ctrl->config->realms[limit->entry->realm_index].name, "name", limit->entry->name,
		"rate", limit->entry->rate, "burst", limit->entry->burst, "taken",
		number(limit->taken), "refused", number(limit->refused), "taken_per_s",
		limit->taken_per_s, "refused_per_s", limit->refused_per_s, "shares", shares);
}

/* Of one realm, or of all if it is negative. */
static json_t *
limits_json(const struct ctrl *ctrl, int realm)
{
	json_t *list = json_array();

	for (unsigned i = 1; i < limits_count(ctrl->limits); i++) {
		struct limits_view limit = limits_view(ctrl->limits, i);

		if (limit.entry->rate > 0 &&
			(realm < 0 || limit.entry->realm_index == (unsigned)realm))
			json_array_append_new(list, limit_json(ctrl, &limit));
	}
	return list;
}

/* Limits that each node has for itself: nobody counts them one by one. */
static void
each_add(json_t *list, const struct ctrl *ctrl, unsigned realm)
{
	const struct policy *policy = policies_view(ctrl, realm).policy;
	char text[POLICY_LIMIT_TEXT_SIZE];

	for (unsigned i = 0; policy != NULL && i < policy->limit_count; i++) {
		const struct policy_limit *limit = &policy->limits[i];

		if (limit->kind != POLICY_LIMIT_NODES && limit->kind != POLICY_LIMIT_EACH)
			continue;
		policy_limit_text(text, limit);
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:o, s:o}", "realm", ctrl->config->realms[realm].name,
				"name", text, "rate",
				limit->is_unlimited ? json_null() : json_real(limit->rate), "burst",
				limit->is_unlimited ? json_null() : json_real(limit->burst)));
	}
}

static json_t *
each_json(const struct ctrl *ctrl, int realm)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		if (realm < 0 || (unsigned)realm == i)
			each_add(list, ctrl, i);
	return list;
}

/* ---- nodes that were refused as over-rate ---- */

struct over {
	unsigned realm;
	uint32_t node;
	uint64_t refused; /* proved refusals of any kind: they are not counted apart */
	uint32_t last_s;
};

struct overs {
	struct over nodes[NODES_MAX]; /* most refused first */
	unsigned room;
	unsigned count;
};

static void
over_rank(struct overs *overs, struct over node)
{
	unsigned at = overs->count;

	if (at == overs->room) {
		if (at == 0 || overs->nodes[at - 1].refused >= node.refused)
			return;
		at--;
	} else {
		overs->count++;
	}
	for (; at > 0 && overs->nodes[at - 1].refused < node.refused; at--)
		overs->nodes[at] = overs->nodes[at - 1];
	overs->nodes[at] = node;
}

static void
meter_look(struct overs *overs, const struct meter_node *meter, unsigned realm, uint32_t node)
{
	struct over over = {.realm = realm, .node = node};

	if (atomic_load_explicit(&meter->refused_verdict, memory_order_relaxed) !=
		VERDICT_OVER_RATE)
		return;
	for (unsigned i = 0; i < TABLE_EPOCHS_MAX; i++)
		over.refused += atomic_load_explicit(&meter->uses[i].refused, memory_order_relaxed);
	over.last_s = atomic_load_explicit(&meter->refused_s, memory_order_relaxed);
	over_rank(overs, over);
}

static json_t *
over_json(const struct ctrl *ctrl, const struct over *over)
{
	const struct config_realm *realm = &ctrl->config->realms[over->realm];
	struct registry_node node;
	bool is_known = registry_node_find(ctrl->registry, realm->id, realm->name, NULL, over->node,
				&node, NULL) == 0;

	return json_pack("{s:s, s:I, s:s?, s:o, s:I}", "realm", realm->name, "node",
		(json_int_t)over->node, "name", is_known ? node.name : NULL, "refused",
		number(over->refused), "last_s", (json_int_t)over->last_s);
}

/* Looks at every node's meter: milliseconds for 100,000. */
static json_t *
overs_json(const struct ctrl *ctrl, int wanted, unsigned room)
{
	struct meters_header *meters = shared_meters(&ctrl->shared);
	struct overs overs = {.room = room};
	json_t *list = json_array();

	for (unsigned i = 0; room > 0 && i < ctrl->config->realm_count; i++) {
		if (wanted >= 0 && (unsigned)wanted != i)
			continue;
		for (uint32_t node = 1; node <= ctrl->config->realms[i].nodes_max; node++)
			meter_look(&overs, meters_node(meters, ctrl->bases[i] + node), i, node);
	}
	for (unsigned i = 0; i < overs.count; i++)
		json_array_append_new(list, over_json(ctrl, &overs.nodes[i]));
	return list;
}

/* ---- sources that had enough ---- */

static json_t *
budget_json(const struct ctrl *ctrl)
{
	uint64_t refusals = 0;

	for (unsigned i = 0; i < ctrl->config->dataplane.workers; i++) {
		const struct worker_stats *stats = stats_worker(shared_stats(&ctrl->shared), i);

		refusals += atomic_load_explicit(&stats->refusals_budgeted, memory_order_relaxed);
	}
	return json_pack("{s:o}", "refusals_budgeted", number(refusals));
}

static int
run_limits_list(struct verb_call *call)
{
	unsigned realm = 0;
	uint32_t room = 10;
	bool is_one = json_object_get(call->args, "realm") != NULL;
	int error = is_one ? verb_arg_realm(call, &realm) : 0, wanted;

	if (error == 0)
		error = verb_arg_number(call, "nodes", 0, NODES_MAX, &room);
	if (error != 0)
		return error;
	wanted = is_one ? (int)realm : -1;
	call->result = json_pack("{s:o, s:o, s:o, s:o}", "limits", limits_json(call->ctrl, wanted),
		"each", each_json(call->ctrl, wanted), "nodes",
		overs_json(call->ctrl, wanted, room), "sources", budget_json(call->ctrl));
	return 0;
}

const struct verb verbs_limits[] = {
	{"limits.list", run_limits_list, 0, {"realm", "nodes", NULL}},
	{NULL, NULL, 0, {NULL}},
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about members: how many there are, and what it costs to know (the table is shared memory). */
#include <errno.h>

#include "ctrl/members.h"
#include "ctrl/verbs_priv.h"

static json_t *
counts_make(const struct members *members, unsigned realm_index)
{
	uint32_t counts[MEMBERS_STATES];
	json_t *object = json_object();

	members_count(members, realm_index, counts);
	for (unsigned state = MEMBERS_SILENT; state < MEMBERS_STATES; state++)
		json_object_set_new(
			object, members_state_text(state), json_integer((json_int_t)counts[state]));
	return object;
}

static json_t *
realm_make(const struct ctrl *ctrl, unsigned realm_index)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];

	return json_pack("{s:s, s:i, s:f, s:f, s:o}", "realm", realm->name, "beacon_s",
		(int)realm->beacon_s, "late_after", realm->late_tenths / 10.0, "left_after",
		realm->left_tenths / 10.0, "members", counts_make(ctrl->members, realm_index));
}

static int
run_member_counts(struct verb_call *call)
{
	const struct ctrl *ctrl = call->ctrl;
	struct members_cost cost;
	json_t *realms = json_array();

	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		json_array_append_new(realms, realm_make(ctrl, i));
	members_cost(ctrl->members, &cost);
	call->result = json_pack("{s:o, s:I, s:I, s:I}", "realms", realms, "events",
		(json_int_t)cost.events, "looks", (json_int_t)cost.looks, "looks_us",
		(json_int_t)cost.looks_us);
	return call->result != NULL ? 0 : verb_fail(call, ENOMEM, "no memory for the counts");
}

const struct verb verbs_members[] = {
	{"member.counts", run_member_counts, 0, {NULL}},
	{NULL, NULL, 0, {NULL}},
};

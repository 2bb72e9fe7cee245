/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "ctrl/audit.h"
#include "ctrl/verbs_priv.h"

static const struct verb *const tables[] = {
	verbs_enrol,
	verbs_gateway,
	verbs_limits,
	verbs_members,
	verbs_modes,
	verbs_node,
	verbs_node_state,
	verbs_import,
	verbs_policy,
	verbs_realm,
	verbs_rotation,
	verbs_signature,
};

static const struct verb *
verb_find(const char *name)
{
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct verb *verb = tables[i]; verb->name != NULL; verb++)
			if (strcmp(verb->name, name) == 0)
				return verb;
	return NULL;
}

/* Whoever changes something may say why. */
static bool
is_argument(const struct verb *verb, const char *name)
{
	for (const char *const *arg = verb->args; *arg != NULL; arg++)
		if (strcmp(*arg, name) == 0)
			return true;
	return verb->flags != 0 && strcmp(name, "why") == 0;
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
	if (verb->flags == 0)
		return 0;
	if (json_string_length(json_object_get(call->args, "why")) > VERB_WHY_MAX)
		return reason_set(&call->reason, EINVAL, "why may have %u bytes; say it shorter",
			VERB_WHY_MAX);
	return verb_arg_text(call, "why", &call->why);
}

/* An urgent change is made all the same; whoever asked should know that nobody could prove it. */
static void
waiting_tell(struct verb_call *call)
{
	static const char text[] = "not yet in the audit log, whose disk takes nothing: make room";
	const char *other = json_string_value(json_object_get(call->result, "warning"));

	if (audit_waiting(call->ctrl->audit) > 0 && call->result != NULL)
		json_object_set_new(call->result, "warning",
			json_sprintf("%s%s%s", other != NULL ? other : "",
				other != NULL ? "; " : "", text));
}

/* What it is asked for is durable before it is done; what came of it follows. */
static int
run_audited(struct verb_call *call, const struct verb *verb)
{
	const struct audit_event event = {
		.verb = verb->name,
		.peer = call->peer,
		.why = call->why,
		.args = call->args,
		.is_urgent = (verb->flags & VERB_URGENT) != 0,
	};
	uint64_t asked;
	int error = audit_asked(call->ctrl->audit, &event, &asked, &call->reason);

	if (error != 0)
		return error;
	error = verb->run(call);
	audit_outcome(call->ctrl->audit, &event, asked, error, &call->reason, call->result);
	if (error == 0 && event.is_urgent)
		waiting_tell(call);
	return error;
}

int
verb_run(struct verb_call *call, const char *name)
{
	const struct verb *verb = verb_find(name);
	int error;

	if (verb == NULL)
		return reason_set(&call->reason, ENOSYS,
			"there is no verb %.64s; see docs/admin-protocol.md", name);
	error = args_check(call, verb);
	if (error != 0)
		return error;
	return verb->flags != 0 ? run_audited(call, verb) : verb->run(call);
}

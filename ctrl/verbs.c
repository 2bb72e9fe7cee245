/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "ctrl/verbs_priv.h"

static const struct verb *const tables[] = {
	verbs_gateway,
	verbs_limits,
	verbs_modes,
	verbs_node,
	verbs_node_state,
	verbs_realm,
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
	return verb->flags != 0 ? verb_arg_text(call, "why", &call->why) : 0;
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
	return error != 0 ? error : verb->run(call);
}

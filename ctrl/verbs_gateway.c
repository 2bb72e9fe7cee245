/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about the gateway as a whole. */
#include <errno.h>

#include "ctrl/verbs_priv.h"

static int
run_status(struct verb_call *call)
{
	call->result = status_make(call->ctrl);
	return call->result != NULL ? 0 : verb_fail(call, ENOMEM, "no memory for the status");
}

static int
run_reload(struct verb_call *call)
{
	int error = ctrl_reload(call->ctrl, &call->reason);

	if (error != 0)
		return error;
	call->is_change = true;
	call->result = json_pack("{s:i, s:i, s:o}", "realms", (int)call->ctrl->config->realm_count,
		"groups", (int)call->ctrl->config->group_count, "digest",
		gateway_config_digest(call->ctrl->config));
	return 0;
}

const struct verb verbs_gateway[] = {
	{"status", run_status, 0, {NULL}},
	{"reload", run_reload, VERB_CHANGES, {NULL}},
	{NULL, NULL, 0, {NULL}},
};

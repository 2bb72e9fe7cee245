/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The verbs of the admin socket: arguments in, result out. */

#include <jansson.h>
#include <stdbool.h>

#include "ctrl/ctrl.h"

struct verb_call {
	struct ctrl *ctrl;
	json_t *args;   /* an object, or NULL */
	json_t *result; /* an object, the caller's to release */
	bool is_change; /* answer when the workers have taken it up */
	struct reason reason;
};

/* Runs the verb called `name`. 0 with call->result, or -errno with call->reason. */
int verb_run(struct verb_call *call, const char *name);

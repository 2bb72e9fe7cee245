/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The verbs of the admin socket: arguments in, result out. */

#include <jansson.h>
#include <stdbool.h>

#include "ctrl/ctrl.h"
#include "ctrl/peer.h"

struct verb_call {
	struct ctrl *ctrl;
	const struct peer *peer; /* who asks; NULL: credgated itself */
	json_t *args;            /* an object, or NULL */
	const char *why;         /* what the peer says the change is for; NULL: nothing */
	json_t *result;          /* an object, the caller's to release */
	bool is_change;          /* answer when the workers have taken it up */
	struct reason reason;
};

/* Runs the verb called `name`. 0 with call->result, or -errno with call->reason. */
int verb_run(struct verb_call *call, const char *name);

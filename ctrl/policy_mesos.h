/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Makes a policy of a Mesos ACL file and a Mesos rate limits file (docs/policy.md, "From Mesos").
 * Order, `permissive`, ANY and NONE keep their meaning. A principal is a role of nodes here, a Mesos
 * role an audience, a user a uid. What cannot be said is noted, one line each, and a denial that
 * would be lost makes a policy that cannot be applied before somebody has decided. Any thread.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctrl/reason.h"

struct policy_mesos_input {
	const char *acls_name; /* of the file, for notes */
	const json_t *acls;    /* NULL: none */
	const char *limits_name;
	const json_t *limits;
	/* The number of a user; false if it is not known. */
	bool (*uid_of)(void *context, const char *user, uint32_t *uid);
	void *context;
};

struct policy_mesos {
	char *text;   /* the policy */
	char **notes; /* lines without a newline */
	unsigned note_count;
	unsigned gap_count; /* of them, about what was not imported */
};

/* 0, or -EINVAL with the one line if a file is no such file. MUST be given back either way. */
int policy_mesos_import(
	const struct policy_mesos_input *input, struct policy_mesos *made, struct reason *reason);
void policy_mesos_fini(struct policy_mesos *made);

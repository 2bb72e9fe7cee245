/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which rule decides about a credential, and why those before it do not. What is not said of the
 * credential is open: a rule that asks for it may match or not. Any thread.
 */

#include <jansson.h>
#include <stdbool.h>

#include "ctrl/policy_file.h"

struct policy_question {
	const char *node; /* NULL: open */
	const char *const *roles;
	unsigned role_count;
	bool has_roles; /* else open */
	bool has_uid;
	bool has_gid;
	bool has_origin;
	uint32_t uid;
	uint32_t gid;
	uint8_t origin[16];
	const char *audience; /* NULL: open */
	unsigned kind;        /* enum cred_kind; 0: open */
};

/*
 * An object: `rules` [{rule (from 1), line, name, action, match (yes, no, maybe), why}] up to the
 * one that decides; `decides` (its number, or null: the default does); `certain` (no earlier rule
 * may match); `outcomes` {observe, permissive, enforce: allow, deny, or allow-would-deny}; `limits`
 * [{line, limit, shared}]. `policy` NULL: there is none. NULL without memory.
 */
json_t *policy_explain(const struct policy *policy, const struct policy_question *question);

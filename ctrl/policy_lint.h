/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What is probably wrong with a policy that parses: rules that can never decide, lists that are
 * empty, names that nobody has, an allow that asks for nothing. Exact: a rule is called shadowed
 * only if earlier rules together decide every credential that it would; roles are taken to be
 * independent of each other and of names. Any thread.
 */

#include "ctrl/config.h"
#include "ctrl/policy_file.h"

/* Names in lists of nodes that are looked at one by one; above, equal lists are equal and no more. */
#define POLICY_LINT_NAMES_MAX 65536u
/* Pieces that a rule may be cut into by those before it; above, it is not looked at further. */
#define POLICY_LINT_BOXES_MAX 4096u

enum policy_finding_kind {
	POLICY_FINDING_EMPTY,         /* matches nothing: a list is empty */
	POLICY_FINDING_SHADOWED,      /* earlier rules decide it all, and alike */
	POLICY_FINDING_CONTRADICTORY, /* earlier rules decide it all, the other way */
	POLICY_FINDING_UNREACHABLE,   /* earlier rules decide it all, some alike and some not */
	POLICY_FINDING_WIDE,          /* allows every node and every user */
	POLICY_FINDING_UNKNOWN,       /* a name that is not in the configuration */
	POLICY_FINDING_UNCHECKED,     /* too large to be looked at in full */
};

#define POLICY_FINDING_SIZE 320

struct policy_finding {
	enum policy_finding_kind kind;
	unsigned line;
	char text[POLICY_FINDING_SIZE]; /* without file and line; ends with the cure */
};

struct policy_findings {
	struct policy_finding *items;
	unsigned count;
	unsigned room;
};

/*
 * Looks at a policy; `realm` (may be NULL) knows which audiences there are. Findings come in the
 * order of lines. 0 or -ENOMEM; MUST be given back to policy_findings_fini either way.
 */
int policy_lint(const struct policy *policy, const struct config_realm *realm,
	struct policy_findings *found);
void policy_findings_fini(struct policy_findings *found);

/* "shadowed", ... */
const char *policy_finding_text(enum policy_finding_kind kind);

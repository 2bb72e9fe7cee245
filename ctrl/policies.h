/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The policies of a running gateway: from the registry's documents through the compiler into the key
 * table, together with the class of every node. Whatever is refused leaves what was in force in
 * force. All functions: the thread of the event loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/policy_compile.h"
#include "ctrl/policy_file.h"
#include "ctrl/reason.h"
#include "ctrl/registry.h"

#define POLICIES_KIND "policy"

struct ctrl;
struct policies;

/*
 * Loads the newest good policy of each realm and puts the rules into the key table, which MUST be
 * there and have no nodes yet. A version that no longer compiles is logged, and the newest that does
 * is in force; if none does, a policy without a rule: nobody may in mode enforce. 0 or -errno.
 */
int policies_begin(struct ctrl *ctrl, struct reason *reason);
void policies_end(struct ctrl *ctrl);

/*
 * Compiles everything again, as modes, audiences, whitelists and states are now, and gives each node
 * its class. 0, or -errno with the one line: then nothing changed. The caller asks for the uptake.
 */
int policies_refresh(struct ctrl *ctrl, struct reason *reason);

/*
 * A live node that was added or changed: gives it its class. If there is no room for one more class,
 * it gets the one that is denied, and the log says so. The caller asks for the uptake.
 */
void policies_node(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node);

/* A node that is no more. */
void policies_forget(struct ctrl *ctrl, unsigned realm_index, uint32_t node);

/*
 * Checks a text and puts it in force as a new version; NULL takes the realm's policy away. `path` is
 * what errors call the text, `who` is for the history. 0, or -errno with the one line: then nothing
 * changed. The caller asks for the uptake.
 */
int policies_apply(struct ctrl *ctrl, unsigned realm_index, const char *path, const char *text,
	const char *who, uint32_t *version, struct reason *reason);

/* Does the text compile beside the other realms' policies? As policies_apply, but changes nothing. */
int policies_try(struct ctrl *ctrl, unsigned realm_index, const char *path, const char *text,
	struct policy_sizes *sizes, struct reason *reason);

/* What is in force; policy is NULL if there is none. */
struct policies_view {
	const struct policy *policy;
	uint32_t version; /* 0: none */
	bool is_fallback; /* newer versions are there, and do not compile */
	enum table_mode mode;
};
struct policies_view policies_view(const struct ctrl *ctrl, unsigned realm_index);
struct policy_sizes policies_sizes(const struct ctrl *ctrl);

/*
 * What nobody has: "rule 3 (line 12): no node is called ...", one call for each; for a policy that
 * is in force.
 */
void policies_warn(const struct ctrl *ctrl, unsigned realm_index,
	void (*each)(void *context, unsigned line, const char *text), void *context);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the files of verbs share. A verb is a row of data and one function; rows stand in tables,
 * one per file verbs_*.c, which verbs.c looks through.
 */

#include "ctrl/verbs.h"

#define VERB_ARGS_MAX 16
#define VERB_WHY_MAX  500u /* bytes */

enum verb_flags {
	VERB_CHANGES = 1,      /* takes the argument `why` too, and is written to the audit log */
	VERB_TELLS_SECRET = 2, /* likewise, though it changes nothing */
	VERB_URGENT = 4,       /* with CHANGES: is done even if it cannot be audited first */
};

struct verb {
	const char *name; /* NULL ends a table */
	int (*run)(struct verb_call *call);
	unsigned flags; /* set of enum verb_flags */
	const char *args[VERB_ARGS_MAX];
};

extern const struct verb verbs_gateway[];
extern const struct verb verbs_realm[];
extern const struct verb verbs_rotation[];
extern const struct verb verbs_members[];
extern const struct verb verbs_import[];
extern const struct verb verbs_node[];
extern const struct verb verbs_signature[];
extern const struct verb verbs_node_state[];
extern const struct verb verbs_policy[];
extern const struct verb verbs_limits[];
extern const struct verb verbs_modes[];
extern const struct verb verbs_enrol[];

/* ---- verb_args.c: 0, or -errno with call->reason ---- */

/* Fills in the reason and returns -error. */
int verb_fail(struct verb_call *call, int error, const char *text);

/* A number in [min, max]; *value stays if it is not there. */
int verb_arg_number(
	struct verb_call *call, const char *name, uint32_t min, uint32_t max, uint32_t *value);

/* A text; *value is NULL if it is not there. */
int verb_arg_text(struct verb_call *call, const char *name, const char **value);

/* The index of the realm that `realm` names; it MUST be there. */
int verb_arg_realm(struct verb_call *call, unsigned *index);

/* The node that `name` or `node` says. */
int verb_arg_node(struct verb_call *call, unsigned realm_index, struct registry_node *node);

/* Both: the realm, and its node. */
int verb_arg_realm_node(struct verb_call *call, unsigned *realm_index, struct registry_node *node);

/* May a node be called that? */
int verb_name_check(struct verb_call *call, const char *name);

/* The list `prefixes` into the request, if it is there. */
int verb_arg_prefixes(struct verb_call *call, struct registry_request *request,
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX]);

/* A prefix; *prefix stays if it is not there. */
int verb_arg_prefix(struct verb_call *call, const char *name, struct registry_prefix *prefix);

/* A sorted set. */
struct verb_roles {
	char items[REGISTRY_ROLES_MAX + 1][REGISTRY_ROLE_SIZE];
	unsigned count;
};

/* One role: `arg` MUST be a text that may be a role's. */
int verb_arg_role(struct verb_call *call, const json_t *arg, const char **role);

/*
 * `roles` in place of what the set has, then without `drop_roles` and with `add_roles`, into the
 * request, if one of them is there. `roles` comes with what the node has, and MUST outlive it.
 */
int verb_arg_roles(
	struct verb_call *call, struct registry_request *request, struct verb_roles *roles);

/* ---- verbs_node.c ---- */

/* "live", "suspended" or "revoked" */
const char *verb_node_state(const struct registry_node *node);

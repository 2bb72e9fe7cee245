/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the files of verbs share. A verb is a row of data and one function; rows stand in tables,
 * one per file verbs_*.c, which verbs.c looks through.
 */

#include "ctrl/verbs.h"

#define VERB_ARGS_MAX 16

enum verb_flags {
	VERB_CHANGES = 1,      /* takes the argument `why` too, and is written to the audit log */
	VERB_TELLS_SECRET = 2, /* likewise, though it changes nothing */
};

struct verb {
	const char *name; /* NULL ends a table */
	int (*run)(struct verb_call *call);
	unsigned flags; /* set of enum verb_flags */
	const char *args[VERB_ARGS_MAX];
};

extern const struct verb verbs_gateway[];
extern const struct verb verbs_realm[];
extern const struct verb verbs_node[];

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

/* May a node be called that? */
int verb_name_check(struct verb_call *call, const char *name);

/* The list `prefixes` into the request, if it is there. */
int verb_arg_prefixes(struct verb_call *call, struct registry_request *request,
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX]);

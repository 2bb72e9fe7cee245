/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The text of a realm's policy (docs/policy.md): who may, in the order in which it is asked, and how
 * often. An error is one line, "FILE:LINE: key: what is wrong; cure". Any thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctrl/policy_names.h"
#include "ctrl/reason.h"
#include "ctrl/registry.h"

#define POLICY_SIZE_MAX     (512u << 10) /* of a text, in bytes */
#define POLICY_RULES_MAX    1000u
#define POLICY_LIMITS_MAX   255u
#define POLICY_LIST_MAX     10000u /* entries of one list */
#define POLICY_NAME_SIZE    32u
#define POLICY_RATE_MIN     0.001
#define POLICY_RATE_MAX     1e8
#define POLICY_BURST_MAX    1000000000u
#define POLICY_AUDIENCE_ANY "any" /* audience 0 */

/* Kinds of credentials as a set: bit `kind - 1`. */
#define POLICY_KINDS_ALL 7u

/* Names or patterns, as they stand in the text. Not given: any. */
struct policy_texts {
	char **items;
	unsigned count;
	bool is_given;
};

/* Numbers in ascending order, apart from each other. Not given: any. */
struct policy_range {
	uint32_t first;
	uint32_t last;
};
struct policy_ranges {
	struct policy_range *items;
	unsigned count;
	bool is_given;
};

struct policy_prefixes {
	struct registry_prefix *items;
	unsigned count;
	bool is_given;
};

struct policy_rule {
	bool is_allow; /* else deny */
	unsigned line;
	char name[POLICY_NAME_SIZE]; /* "" without */
	struct policy_texts nodes;
	struct policy_texts roles;
	struct policy_texts audiences;
	struct policy_prefixes from;
	struct policy_ranges uids;
	struct policy_ranges gids;
	uint8_t kinds;
};

enum policy_limit_kind {
	POLICY_LIMIT_NODES,   /* each of the nodes */
	POLICY_LIMIT_EACH,    /* each node of the role */
	POLICY_LIMIT_ROLE,    /* all nodes of the role together */
	POLICY_LIMIT_DEFAULT, /* all nodes together that no other limit names */
};

struct policy_limit {
	enum policy_limit_kind kind;
	unsigned line;
	struct policy_texts nodes;
	char role[REGISTRY_ROLE_SIZE];
	bool is_unlimited; /* named, so not in the default; rate and burst are 0 */
	double rate;       /* per second */
	double burst;
};

struct policy {
	bool has_rules; /* else nothing is asked, in any mode */
	struct policy_rule *rules;
	unsigned rule_count;
	struct policy_limit *limits;
	unsigned limit_count;
};

/*
 * Parses a text of `size` bytes; `path` is what errors call it. NULL with the one line. The time it
 * takes grows with the size alone.
 */
struct policy *policy_parse(const char *path, const char *text, size_t size, struct reason *reason);
void policy_destroy(struct policy *policy);

/* "allow" or "deny", with the rule's name or line: "rule 3 (allow, line 12)". */
#define POLICY_RULE_TEXT_SIZE 96
void policy_rule_text(
	char text[POLICY_RULE_TEXT_SIZE], const struct policy *policy, unsigned index);

/* How a limit is called where it is counted, one of its own in the policy: "role batch". */
#define POLICY_LIMIT_TEXT_SIZE 64
void policy_limit_text(char text[POLICY_LIMIT_TEXT_SIZE], const struct policy_limit *limit);

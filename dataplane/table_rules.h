/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Compiled rules and limits of one half of the key and policy table (dataplane/table.h). Control
 * compiles, workers evaluate: one look-up for most credentials, a few vector comparisons for those
 * whose rules ask for uid and gid, which are proved plaintext and neither branched upon nor used as
 * an index.
 *
 * A node has a class (key_slot.policy): what it has in common with all nodes that the same rules
 * and limits concern. A class has one cell for each column of its realm; a column is a pair of kind
 * and audience (table_rules_column). A cell names a program: the rules that may decide there, in
 * their order, up to the first that needs no look at uid, gid or origin. That one, or the default,
 * is the program's `otherwise`. A rule takes one lane for each pair of a uid and a gid range.
 * The first lane that matches decides.
 *
 * Class 0 has no rules and no limits; programs 0, 1 and 2 are the three outcomes without a look.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_CLASSES_MAX        4096u
#define TABLE_CELLS_MAX          262144u
#define TABLE_PROGRAMS_MAX       8192u
#define TABLE_LANES              16u
#define TABLE_LANE_GROUPS_MAX    4096u
#define TABLE_PROGRAM_GROUPS_MAX 64u /* of one program: 1,024 lanes */
#define TABLE_RULE_PREFIXES_MAX  8192u
#define TABLE_LIMITS_MAX         256u
#define TABLE_RULE_KINDS         3u /* assert, beacon, ask */

enum table_outcome {
	TABLE_OUTCOME_ALLOW = 0,
	TABLE_OUTCOME_DENY = 1, /* FORBIDDEN */
	TABLE_OUTCOME_SPARE =
		2, /* allowed by the realm's mode; counted, for enforce would deny it */
	TABLE_OUTCOMES
};

/* All its cells deny (suspended, not on the whitelist): asked again when a credential is handed over. */
#define TABLE_CLASS_DENIES 1u

/* Rates are intervals: one token each interval_ns, at most depth_ns of them saved up. */
struct table_class {
	uint64_t node_interval_ns; /* of each node of the class; 0: no limit */
	uint64_t node_depth_ns;
	uint32_t cells; /* its first one */
	uint16_t limit; /* shared with other classes, an index into the workers' shares; 0: none */
	uint16_t flags; /* TABLE_CLASS_* */
	uint64_t reserved2;
};
static_assert(sizeof(struct table_class) == 32, "docs/shared-memory.md");

struct table_program {
	uint32_t group; /* its first lane group */
	uint32_t prefix;
	uint16_t group_count;  /* at most TABLE_PROGRAM_GROUPS_MAX */
	uint16_t prefix_count; /* of lanes that are bound to the origin */
	uint8_t otherwise;     /* enum table_outcome, if no lane matches */
	uint8_t reserved[3];
};
static_assert(sizeof(struct table_program) == 16, "docs/shared-memory.md");

/* 16 lanes side by side: uid - uid_min <= uid_span and gid - gid_min <= gid_span, unsigned. */
struct table_lane_group {
	_Alignas(64) uint32_t uid_min[TABLE_LANES];
	uint32_t uid_span[TABLE_LANES];
	uint32_t gid_min[TABLE_LANES];
	uint32_t gid_span[TABLE_LANES];
	uint16_t used;   /* bitmap: others never match */
	uint16_t allows; /* those that allow; others deny */
	uint16_t bound;  /* match only if the origin lies in one of the lane's prefixes */
	uint16_t reserved[29];
};
static_assert(sizeof(struct table_lane_group) == 320, "docs/shared-memory.md");

struct table_rule_prefix {
	uint8_t prefix[16];
	uint32_t lane; /* in its program: group * TABLE_LANES + lane */
	uint8_t bits;
	uint8_t reserved[3];
};
static_assert(sizeof(struct table_rule_prefix) == 24, "docs/shared-memory.md");

struct table_rules {
	uint32_t class_count;
	uint32_t cell_count;
	uint32_t program_count;
	uint32_t group_count;
	uint32_t prefix_count;
	uint32_t limit_count; /* shared limits are 1 ... limit_count - 1; 0: none */
	uint32_t has_rules;   /* some class has a program other than 0 */
	uint32_t has_limits;  /* some class has a limit */
	uint32_t reserved[8];
	struct table_class classes[TABLE_CLASSES_MAX];
	struct table_program programs[TABLE_PROGRAMS_MAX];
	uint16_t cells[TABLE_CELLS_MAX];
	struct table_lane_group groups[TABLE_LANE_GROUPS_MAX];
	struct table_rule_prefix prefixes[TABLE_RULE_PREFIXES_MAX];
};
static_assert(offsetof(struct table_rules, classes) == 64, "docs/shared-memory.md");
static_assert(offsetof(struct table_rules, groups) % 64 == 0, "lane groups are loaded as vectors");

/* Columns of a realm with that many audiences; audience 0 has a column of its own. */
static inline uint32_t
table_rules_columns(uint32_t audience_count)
{
	return TABLE_RULE_KINDS * (audience_count + 1);
}

/* `audience_place`: 0 for audience 0, else 1 + its index among table_realm.audiences. */
static inline uint32_t
table_rules_column(uint32_t audience_count, uint8_t kind, uint32_t audience_place)
{
	return (kind - 1u) * (audience_count + 1) + audience_place;
}

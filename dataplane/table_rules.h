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
 * The first lane that matches decides. Where only uids (or only gids) are asked for, and there are
 * but two outcomes, the program is spans instead: the ids at which one outcome turns into the other,
 * so that the number of them below an id, odd or even, says which it is.
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

enum table_program_form {
	TABLE_PROGRAM_LANES = 0,
	TABLE_PROGRAM_UID_SPANS = 1,
	TABLE_PROGRAM_GID_SPANS = 2,
};

struct table_program {
	uint32_t group; /* its first lane group */
	uint32_t prefix;
	uint16_t group_count;  /* at most TABLE_PROGRAM_GROUPS_MAX */
	uint16_t prefix_count; /* of lanes that are bound to the origin */
	uint8_t otherwise;     /* enum table_outcome, if no lane matches, or below the first span */
	uint8_t form;          /* enum table_program_form */
	uint8_t odd;           /* spans: the other outcome */
	uint8_t vector_count;  /* spans: of TABLE_LANES borders each */
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

/*
 * Spans take the place of lane groups: the first 256 bytes of each are four vectors of borders. A
 * border is the last id on its side: an id above it is on the other one. UINT32_MAX, which no id is
 * above, pads the rest of the last group.
 */
#define TABLE_SPAN_VECTORS 4u
static_assert(offsetof(struct table_lane_group, used) == 4 * TABLE_SPAN_VECTORS * TABLE_LANES,
	"borders lie where the lanes' ids would");

/* The borders of vector `v` of a program whose first group is `groups`. */
static inline uint32_t *
table_span_borders(struct table_lane_group *groups, unsigned v)
{
	uint32_t *ids = (uint32_t *)(void *)&groups[v / TABLE_SPAN_VECTORS];

	return ids + v % TABLE_SPAN_VECTORS * TABLE_LANES;
}

static inline const uint32_t *
table_span_borders_ro(const struct table_lane_group *groups, unsigned v)
{
	const uint32_t *ids = (const uint32_t *)(const void *)&groups[v / TABLE_SPAN_VECTORS];

	return ids + v % TABLE_SPAN_VECTORS * TABLE_LANES;
}

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

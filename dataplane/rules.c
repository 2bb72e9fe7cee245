/* SPDX-License-Identifier: BSD-3-Clause */

/* Stage 3b: its portable variant, and what all have in common. */

#include "dataplane/rules_inline.h"

static inline uint64_t
rules_match(const struct table_lane_group *group, uint32_t uid, uint32_t gid)
{
	uint64_t matches = 0;

	for (unsigned lane = 0; lane < TABLE_LANES; lane++) {
		const uint64_t in_uid = uid - group->uid_min[lane] <= group->uid_span[lane];
		const uint64_t in_gid = gid - group->gid_min[lane] <= group->gid_span[lane];

		matches |= (in_uid & in_gid) << lane;
	}
	return matches;
}

static inline uint64_t
rules_side(const struct table_lane_group *groups, unsigned vector_count, uint32_t id)
{
	uint32_t above = 0;

	for (unsigned v = 0; v < vector_count; v++) {
		const uint32_t *borders = table_span_borders_ro(groups, v);

		for (unsigned lane = 0; lane < TABLE_LANES; lane++)
			above ^= id > borders[lane];
	}
	return above;
}

static inline uint64_t
rules_side_short(const struct table_lane_group *group, uint32_t id)
{
	return rules_side(group, RULES_SHORT_VECTORS, id);
}

void
rules_portable(struct worker *worker, unsigned count)
{
	rules_stage(worker, count);
}

enum table_outcome
rules_run_portable(const struct table_lane_group *groups, unsigned group_count,
	const uint16_t *hits, uint32_t uid, uint32_t gid, enum table_outcome otherwise)
{
	return rules_run(groups, group_count, hits, uid, gid, otherwise);
}

uint64_t
rules_side_portable(const struct table_lane_group *groups, unsigned vector_count, uint32_t id)
{
	return rules_side(groups, vector_count, id);
}

/* ---- in common ---- */

void
rules_prefixes_hit(const struct table_rules *rules, const struct table_program *program,
	const uint8_t *origin, uint16_t hits[TABLE_PROGRAM_GROUPS_MAX])
{
	memset(hits, 0, TABLE_PROGRAM_GROUPS_MAX * sizeof(hits[0]));
	for (unsigned i = 0; i < program->prefix_count; i++) {
		const struct table_rule_prefix *prefix =
			&rules->prefixes[(program->prefix + i) % TABLE_RULE_PREFIXES_MAX];
		const unsigned group = prefix->lane / TABLE_LANES % TABLE_PROGRAM_GROUPS_MAX;

		if (view_prefix_has(prefix->prefix, prefix->bits, origin))
			hits[group] |= (uint16_t)(1u << prefix->lane % TABLE_LANES);
	}
}

/* The column of kind and audience; a usual claim's shape knows it. */
static inline uint32_t
column_of(const struct burst_item *item)
{
	const struct table_realm *realm = item->key.realm;
	const uint8_t kind = item->record.kind & (uint8_t)~HANDOFF_KIND_ANSWER;

	if (item->is_usual)
		return item->column;
	return table_rules_column(
		realm->audience_count, kind, view_audience_place(realm, item->record.audience));
}

void
rules_find(struct burst *burst, unsigned count)
{
	const struct table_rules *rules = burst->view.rules;

	for (unsigned n = 0; n < count; n++) {
		const struct burst_item *item = &burst->items[burst->live[n]];
		const uint16_t policy = item->key.slot->policy % TABLE_CLASSES_MAX;
		const uint32_t cell = rules->classes[policy].cells + column_of(item);

		burst->policies[n] = policy;
		burst->programs[n] = rules->cells[cell % TABLE_CELLS_MAX];
	}
}

void
rules_note(struct burst_item *item, enum table_outcome outcome)
{
	if (item->record.verdict != VERDICT_NONE)
		return;
	item->record.verdict = outcome == TABLE_OUTCOME_SPARE ? HANDOFF_SPARED : VERDICT_FORBIDDEN;
}

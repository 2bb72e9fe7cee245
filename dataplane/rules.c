/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 3b: what rules say of a proved credential. Where it arrived, not at its owner: a rule may
 * ask for the origin, which does not cross over, and asks for nothing that only the owner knows. A
 * refusal travels with the record; the owner says it if the window has nothing worse to say
 * (FORBIDDEN comes after REPLAYED). Most credentials cost one look-up; most tables have no rules and
 * cost one branch a burst.
 */

#include "dataplane/rules.h"

#include "dataplane/burst.h"

static inline uint32_t
lanes_match(const struct table_lane_group *group, uint32_t uid, uint32_t gid)
{
	uint32_t matches = 0;

	for (unsigned lane = 0; lane < TABLE_LANES; lane++) {
		const uint32_t in_uid = uid - group->uid_min[lane] <= group->uid_span[lane];
		const uint32_t in_gid = gid - group->gid_min[lane] <= group->gid_span[lane];

		matches |= (in_uid & in_gid) << lane;
	}
	return matches;
}

enum table_outcome
rules_run_portable(const struct table_lane_group *groups, unsigned group_count,
	const uint16_t *hits, uint32_t uid, uint32_t gid, enum table_outcome otherwise)
{
	uint32_t outcome = otherwise, open = UINT32_MAX;

	for (unsigned g = 0; g < group_count; g++) {
		const struct table_lane_group *group = &groups[g];
		const uint32_t may = group->used & (uint32_t)(~group->bound | hits[g]);

		outcome = rules_decide(
			outcome, &open, lanes_match(group, uid, gid) & may, group->allows);
	}
	return (enum table_outcome)outcome;
}

/* Lanes bound to prefixes that the origin lies in. Origins are public. */
static void
prefixes_hit(const struct table_rules *rules, const struct table_program *program,
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

static __attribute__((noinline)) enum table_outcome
program_run_bound(const struct worker *worker, const struct table_program *program,
	const struct burst_item *item, uint32_t uid, uint32_t gid)
{
	const struct table_rules *rules = worker->burst.view.rules;
	uint16_t hits[TABLE_PROGRAM_GROUPS_MAX];

	prefixes_hit(rules, program, item->msg + CRED_AT_ORIGIN, hits);
	return worker->rules_run(&rules->groups[program->group], program->group_count, hits, uid,
		gid, program->otherwise);
}

/* Control is believed, and yet nothing is read outside the table. */
static inline bool
program_fits(const struct table_program *program)
{
	return program->group_count <= TABLE_PROGRAM_GROUPS_MAX &&
	       program->group <= TABLE_LANE_GROUPS_MAX - program->group_count;
}

static inline enum table_outcome
program_run(const struct worker *worker, const struct table_program *program,
	const struct burst_item *item, const struct tag_identity *id)
{
	static const uint16_t no_hits[TABLE_PROGRAM_GROUPS_MAX];
	const struct table_rules *rules = worker->burst.view.rules;
	const uint32_t uid = load_be32(id->bytes);
	const uint32_t gid = load_be32(id->bytes + 4);

	if (!program_fits(program))
		return TABLE_OUTCOME_DENY;
	if (program->prefix_count != 0)
		return program_run_bound(worker, program, item, uid, gid);
	return worker->rules_run(&rules->groups[program->group], program->group_count, no_hits, uid,
		gid, program->otherwise);
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

static inline enum table_outcome
rules_judge(const struct worker *worker, const struct table_rules *rules,
	const struct burst_item *item, const struct tag_identity *id)
{
	const struct table_class *class =
		&rules->classes[item->key.slot->policy % TABLE_CLASSES_MAX];
	uint32_t program;

	if (item->key.slot->policy == 0)
		return TABLE_OUTCOME_ALLOW;
	program = rules->cells[(class->cells + column_of(item)) % TABLE_CELLS_MAX];
	if (program < TABLE_OUTCOMES)
		return (enum table_outcome)program;
	return program_run(worker, &rules->programs[program % TABLE_PROGRAMS_MAX], item, id);
}

void
burst_rules(struct worker *worker, unsigned count)
{
	const struct table_rules *rules = worker->burst.view.rules;
	struct burst *burst = &worker->burst;

	if (count == 0 || !rules->has_rules)
		return;
	for (unsigned n = 0; n < count; n++) {
		struct burst_item *item = &burst->items[burst->live[n]];
		const enum table_outcome outcome = rules_judge(worker, rules, item, &burst->ids[n]);

		if (outcome == TABLE_OUTCOME_ALLOW || item->record.verdict != VERDICT_NONE)
			continue;
		item->record.verdict =
			outcome == TABLE_OUTCOME_SPARE ? HANDOFF_SPARED : VERDICT_FORBIDDEN;
	}
}

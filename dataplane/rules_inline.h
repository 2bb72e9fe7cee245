/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Stage 3b, for the file of each CPU variant, which brings rules_match (lanes of a group) and
 * rules_side (borders of spans) and gets the stage from here.
 */

#include "dataplane/burst.h"
#include "dataplane/rules.h"

/* The bitmap of the lanes that match, whether they are used or not. */
static inline uint64_t rules_match(
	const struct table_lane_group *group, uint32_t uid, uint32_t gid);

/* 1 if the id is above an odd number of the borders in `vector_count` vectors, else 0. */
static inline uint64_t rules_side(
	const struct table_lane_group *groups, unsigned vector_count, uint32_t id);

/* The same for what has no more than RULES_SHORT_VECTORS: the first ones of a group, padded. */
#define RULES_SHORT_VECTORS 2u
static inline uint64_t rules_side_short(const struct table_lane_group *group, uint32_t id);

/* ---- one program ---- */

static inline __attribute__((always_inline)) enum table_outcome
rules_run(const struct table_lane_group *groups, unsigned group_count, const uint16_t *hits,
	uint32_t uid, uint32_t gid, enum table_outcome otherwise)
{
	uint64_t outcome = otherwise, open = UINT64_MAX;
	unsigned g = 0;

	while (g < group_count) {
		uint64_t matches = 0, allows = 0;

		do {
			const struct table_lane_group *group = &groups[g];
			const uint32_t may = group->used & (uint32_t)(~group->bound | hits[g]);
			const unsigned at = g % RULES_GROUPS_AT_ONCE * TABLE_LANES;

			matches |= (rules_match(group, uid, gid) & may) << at;
			allows |= (uint64_t)group->allows << at;
		} while (++g < group_count && g % RULES_GROUPS_AT_ONCE != 0);
		outcome = rules_decide(outcome, &open, matches, allows);
	}
	return (enum table_outcome)outcome;
}

/* By lanes; origins are public, so that whose prefixes they lie in may be looked up. */
static __attribute__((noinline)) enum table_outcome
program_lanes(const struct worker *worker, const struct table_program *program,
	const struct burst_item *item, uint32_t uid, uint32_t gid)
{
	static const uint16_t no_hits[TABLE_PROGRAM_GROUPS_MAX];
	const struct table_rules *rules = worker->burst.view.rules;
	const struct table_lane_group *groups = &rules->groups[program->group];
	uint16_t hits[TABLE_PROGRAM_GROUPS_MAX];

	if (program->prefix_count == 0)
		return rules_run(
			groups, program->group_count, no_hits, uid, gid, program->otherwise);
	rules_prefixes_hit(rules, program, item->msg + CRED_AT_ORIGIN, hits);
	return rules_run(groups, program->group_count, hits, uid, gid, program->otherwise);
}

/* Control is believed, and yet nothing is read outside the table. */
static inline bool
program_fits(const struct table_program *program)
{
	return program->group_count <= TABLE_PROGRAM_GROUPS_MAX &&
	       program->vector_count <= program->group_count * TABLE_SPAN_VECTORS &&
	       program->group <= TABLE_LANE_GROUPS_MAX - program->group_count;
}

/* The outcome of the side that an id is on: 1 odd, 0 even. */
static inline enum table_outcome
program_side(const struct table_program *program, uint64_t side)
{
	const uint64_t odd = 0u - side;

	return (enum table_outcome)((program->odd & odd) | (program->otherwise & ~odd));
}

static __attribute__((noinline)) enum table_outcome
program_run(const struct worker *worker, const struct table_program *program,
	const struct burst_item *item, const struct tag_identity *id)
{
	const struct table_rules *rules = worker->burst.view.rules;
	const uint32_t uid = load_be32(id->bytes);
	const uint32_t gid = load_be32(id->bytes + 4);

	if (!program_fits(program))
		return TABLE_OUTCOME_DENY;
	if (program->form == TABLE_PROGRAM_LANES)
		return program_lanes(worker, program, item, uid, gid);
	return program_side(
		program, rules_side(&rules->groups[program->group], program->vector_count,
				 program->form == TABLE_PROGRAM_UID_SPANS ? uid : gid));
}

/* A few spans of uids: what most programs that look at all are. */
static inline bool
program_is_short(const struct table_program *program)
{
	return program->form == TABLE_PROGRAM_UID_SPANS &&
	       program->vector_count <= RULES_SHORT_VECTORS;
}

/* ---- a burst ---- */

static inline __attribute__((always_inline)) void
rules_stage(struct worker *worker, unsigned count)
{
	const struct table_rules *rules = worker->burst.view.rules;
	struct burst *burst = &worker->burst;

	for (unsigned n = 0; n < count; n++) {
		const struct table_program *program =
			&rules->programs[burst->programs[n] % TABLE_PROGRAMS_MAX];
		enum table_outcome outcome = (enum table_outcome)program->otherwise;

		if (program->group_count != 0 && program_is_short(program))
			outcome = program_side(program,
				rules_side_short(
					&rules->groups[program->group % TABLE_LANE_GROUPS_MAX],
					load_be32(burst->ids[n].bytes)));
		else if (program->group_count != 0)
			outcome = program_run(
				worker, program, &burst->items[burst->live[n]], &burst->ids[n]);
		if (outcome != TABLE_OUTCOME_ALLOW)
			rules_note(&burst->items[burst->live[n]], outcome);
	}
}

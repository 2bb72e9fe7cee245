/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/policy_spans.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LANES_MAX   (TABLE_PROGRAM_GROUPS_MAX * TABLE_LANES)
#define BORDERS_MAX (2u * LANES_MAX)

/* A program as its lanes have it, by one sort of id. */
struct lanes {
	unsigned count;
	uint32_t first[LANES_MAX];
	uint32_t last[LANES_MAX];
	bool allows[LANES_MAX];
	enum table_outcome otherwise;
};

static bool
is_anybody(const uint32_t *min, const uint32_t *span, unsigned lane)
{
	return min[lane] == 0 && span[lane] == UINT32_MAX;
}

/* Takes the lanes by `form`; false if some asks for the other sort of id too. */
static bool
lanes_read(struct lanes *lanes, const struct table_rules *rules,
	const struct table_program *program, enum table_program_form form)
{
	lanes->count = 0;
	lanes->otherwise = (enum table_outcome)program->otherwise;
	for (unsigned i = 0; i < program->group_count * TABLE_LANES; i++) {
		const struct table_lane_group *group =
			&rules->groups[program->group + i / TABLE_LANES];
		const bool by_uid = form == TABLE_PROGRAM_UID_SPANS;
		const uint32_t *min = by_uid ? group->uid_min : group->gid_min;
		const uint32_t *span = by_uid ? group->uid_span : group->gid_span;
		const unsigned lane = i % TABLE_LANES;

		if ((group->used >> lane & 1) == 0)
			continue;
		if (!is_anybody(by_uid ? group->gid_min : group->uid_min,
			    by_uid ? group->gid_span : group->uid_span, lane))
			return false;
		lanes->first[lanes->count] = min[lane];
		lanes->last[lanes->count] = min[lane] + span[lane];
		lanes->allows[lanes->count++] = group->allows >> lane & 1;
	}
	return true;
}

static enum table_outcome
outcome_at(const struct lanes *lanes, uint32_t id)
{
	for (unsigned i = 0; i < lanes->count; i++)
		if (lanes->first[i] <= id && id <= lanes->last[i])
			return lanes->allows[i] ? TABLE_OUTCOME_ALLOW : TABLE_OUTCOME_DENY;
	return lanes->otherwise;
}

static int
id_order(const void *a, const void *b)
{
	const uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return (one > other) - (one < other);
}

/* Ids behind which the outcome may change, in order. */
static unsigned
borders_list(const struct lanes *lanes, uint32_t borders[BORDERS_MAX])
{
	unsigned count = 0;

	for (unsigned i = 0; i < lanes->count; i++) {
		if (lanes->first[i] != 0)
			borders[count++] = lanes->first[i] - 1;
		if (lanes->last[i] != UINT32_MAX)
			borders[count++] = lanes->last[i];
	}
	qsort(borders, count, sizeof(borders[0]), id_order);
	return count;
}

/* Keeps those behind which it does change. False: there are more than two outcomes. */
static bool
borders_keep(const struct lanes *lanes, uint32_t borders[BORDERS_MAX], unsigned *count,
	enum table_outcome outcomes[2])
{
	enum table_outcome side = outcome_at(lanes, 0);
	unsigned kept = 0;

	outcomes[0] = outcomes[1] = side;
	for (unsigned i = 0; i < *count; i++) {
		enum table_outcome next = outcome_at(lanes, borders[i] + 1);

		if (next == side)
			continue;
		borders[kept++] = borders[i];
		if (kept == 1)
			outcomes[1] = next;
		else if (next != outcomes[kept & 1])
			return false;
		side = next;
	}
	*count = kept;
	return true;
}

static void
spans_write(struct table_rules *rules, struct table_program *program, const uint32_t *borders,
	unsigned count, enum table_program_form form, const enum table_outcome outcomes[2])
{
	const unsigned vectors = (count + TABLE_LANES - 1) / TABLE_LANES;
	struct table_lane_group *groups = &rules->groups[program->group];

	rules->group_count -= program->group_count;
	memset(groups, 0xff, program->group_count * sizeof(*groups));
	for (unsigned i = 0; i < count; i++)
		table_span_borders(groups, i / TABLE_LANES)[i % TABLE_LANES] = borders[i];
	program->group_count = (uint16_t)((vectors + TABLE_SPAN_VECTORS - 1) / TABLE_SPAN_VECTORS);
	program->vector_count = (uint8_t)vectors;
	program->form = (uint8_t)form;
	program->otherwise = (uint8_t)outcomes[0];
	program->odd = (uint8_t)outcomes[1];
	rules->group_count += program->group_count;
}

static bool
spans_try(struct table_rules *rules, struct table_program *program, struct lanes *lanes,
	enum table_program_form form)
{
	uint32_t borders[BORDERS_MAX];
	enum table_outcome outcomes[2];
	unsigned count;

	if (!lanes_read(lanes, rules, program, form))
		return false;
	count = borders_list(lanes, borders);
	if (!borders_keep(lanes, borders, &count, outcomes))
		return false;
	spans_write(rules, program, borders, count, form, outcomes);
	return true;
}

void
policy_spans_fold(struct table_rules *rules, struct table_program *program)
{
	struct lanes *lanes;

	if (program->prefix_count != 0 || program->group_count == 0)
		return;
	lanes = malloc(sizeof(*lanes));
	if (lanes == NULL)
		return; /* lanes do as well */
	if (!spans_try(rules, program, lanes, TABLE_PROGRAM_UID_SPANS))
		spans_try(rules, program, lanes, TABLE_PROGRAM_GID_SPANS);
	free(lanes);
}

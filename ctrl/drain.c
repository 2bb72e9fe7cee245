/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/drain.h"

#include <string.h>

#include "ctrl/clock.h"
#include "ctrl/meters.h"

#define SECOND_US 1000000u

/* Of one node: its epochs, newest first, and how they were used. */
struct look {
	struct registry_epoch epochs[TABLE_EPOCHS_MAX];
	struct meters_use uses[TABLE_EPOCHS_MAX];
	unsigned count;
};

static bool
is_recent(const struct drain *drain, uint32_t last_s)
{
	return last_s != 0 && (uint64_t)last_s + drain->quiet_s > drain->now_s;
}

/* Nothing can move to a key that does not hold. */
static bool
is_holding(const struct drain *drain, const struct registry_epoch *epoch)
{
	return epoch->not_before_s <= drain->now_s && epoch->not_after_s >= drain->now_s;
}

/* Used of late; or since the newest was opened, and not the newest after that. */
static bool
is_in_use(const struct drain *drain, const struct look *look, unsigned i)
{
	uint32_t last_s = look->uses[i].last_s;

	if (last_s == 0)
		return false;
	return is_recent(drain, last_s) || !is_holding(drain, &look->epochs[0]) ||
	       (last_s >= look->epochs[0].opened_s && last_s > look->uses[0].last_s);
}

/* The row of an epoch, made in its order if there is room. */
static struct drain_row *
row_take(struct drain *drain, uint16_t epoch, bool is_newest)
{
	struct drain_row *rows = drain->rows;
	unsigned i = 0;

	while (i < drain->row_count &&
		(rows[i].epoch > epoch ||
			(rows[i].epoch == epoch && rows[i].is_newest > is_newest)))
		i++;
	if (i < drain->row_count && rows[i].epoch == epoch && rows[i].is_newest == is_newest)
		return &rows[i];
	if (drain->row_count == DRAIN_ROWS_MAX) {
		/* More numbers than anybody would read: the last row is the rest. */
		rows[DRAIN_ROWS_MAX - 1].epoch = 0;
		return &rows[DRAIN_ROWS_MAX - 1];
	}
	memmove(&rows[i + 1], &rows[i], (drain->row_count++ - i) * sizeof(*rows));
	rows[i] = (struct drain_row){.epoch = epoch, .is_newest = is_newest};
	return &rows[i];
}

static void
rows_count(struct drain *drain, const struct look *look)
{
	for (unsigned i = 0; i < look->count; i++) {
		const struct meters_use *use = &look->uses[i];
		struct drain_row *row = row_take(drain, look->epochs[i].epoch, i == 0);

		row->nodes++;
		row->in_use += i == 0 ? is_recent(drain, use->last_s) : is_in_use(drain, look, i);
		row->accepted += use->accepted;
		row->per_minute += use->per_minute;
		row->refused += use->refused;
		row->last_s = use->last_s > row->last_s ? use->last_s : row->last_s;
	}
}

/* A node with older keys: how far is it? */
static struct drain_node
node_judge(const struct drain *drain, const struct look *look, uint32_t id)
{
	struct drain_node node = {
		.node = id,
		.state = DRAIN_SILENT,
		.newest = look->epochs[0].epoch,
		.newest_s = look->uses[0].last_s,
	};
	bool is_used = false;

	for (unsigned i = 1; i < look->count; i++) {
		is_used |= is_in_use(drain, look, i);
		if (i > 1 && look->uses[i].last_s <= node.last_s)
			continue;
		node.epoch = look->epochs[i].epoch;
		node.last_s = look->uses[i].last_s;
		node.accepted = look->uses[i].accepted;
	}
	if (is_used)
		node.state = DRAIN_IN_USE;
	else if (node.newest_s != 0)
		node.state = DRAIN_MOVED;
	return node;
}

static void
node_count(struct drain *drain, const struct look *look, const struct drain_node *node)
{
	uint32_t opened_s = look->epochs[0].opened_s;

	drain->rotating++;
	drain->in_use += node->state == DRAIN_IN_USE;
	drain->silent += node->state == DRAIN_SILENT;
	drain->opened_s = opened_s > drain->opened_s ? opened_s : drain->opened_s;
}

static void
look_at(const struct ctrl *ctrl, unsigned realm_index, uint32_t node, struct look *look)
{
	uint32_t slot = ctrl->bases[realm_index] + node;

	look->count = keytable_epochs_get(ctrl->keys, realm_index, node, look->epochs);
	for (unsigned i = 0; i < look->count; i++)
		look->uses[i] = meters_use(ctrl->meters, slot, look->epochs[i].epoch);
}

static uint32_t
watched_s(const struct ctrl *ctrl, const struct drain *drain)
{
	uint64_t up_s = (clock_mono_us() - ctrl->started_mono_us) / SECOND_US;
	uint64_t open_s = drain->now_s > drain->opened_s ? drain->now_s - drain->opened_s : 0;

	return (uint32_t)(up_s < open_s ? up_s : open_s);
}

static void
range_measure(const struct ctrl *ctrl, unsigned realm_index, uint32_t first, uint32_t last,
	bool (*each)(const struct drain_node *node, void *context), void *context,
	struct drain *drain)
{
	struct look look;

	for (uint32_t id = first; id <= last; id++) {
		struct drain_node judged;

		look_at(ctrl, realm_index, id, &look);
		if (look.count == 0)
			continue;
		drain->nodes++;
		rows_count(drain, &look);
		if (look.count == 1)
			continue;
		judged = node_judge(drain, &look, id);
		node_count(drain, &look, &judged);
		if (each != NULL && !each(&judged, context))
			break;
	}
	drain->watched_s = watched_s(ctrl, drain);
}

static void
drain_begin(struct drain *drain, uint32_t quiet_s)
{
	*drain = (struct drain){
		.now_s = (uint32_t)(clock_real_us() / SECOND_US),
		.quiet_s = quiet_s,
	};
}

void
drain_measure(const struct ctrl *ctrl, unsigned realm_index, uint32_t node, uint32_t quiet_s,
	bool (*each)(const struct drain_node *node, void *context), void *context,
	struct drain *drain)
{
	uint32_t last = node != 0 ? node : ctrl->config->realms[realm_index].nodes_max;

	drain_begin(drain, quiet_s);
	range_measure(ctrl, realm_index, node != 0 ? node : 1, last, each, context, drain);
}

void
drain_measure_from(const struct ctrl *ctrl, unsigned realm_index, uint32_t first, uint32_t quiet_s,
	bool (*each)(const struct drain_node *node, void *context), void *context,
	struct drain *drain)
{
	drain_begin(drain, quiet_s);
	range_measure(ctrl, realm_index, first, ctrl->config->realms[realm_index].nodes_max, each,
		context, drain);
}

void
drain_measure_range(const struct ctrl *ctrl, unsigned realm_index, uint32_t first, uint32_t last,
	uint32_t quiet_s, struct drain *drain)
{
	drain_begin(drain, quiet_s);
	range_measure(ctrl, realm_index, first, last, NULL, NULL, drain);
}

bool
drain_is_done(const struct drain *drain)
{
	return drain->rotating == 0 || (drain->in_use == 0 && drain->watched_s >= drain->quiet_s);
}

uint32_t
drain_last_s(const struct ctrl *ctrl, unsigned realm_index, uint32_t node, uint16_t epoch)
{
	if (node == 0 || node > ctrl->config->realms[realm_index].nodes_max)
		return 0;
	return meters_use(ctrl->meters, ctrl->bases[realm_index] + node, epoch).last_s;
}

void
drain_epoch_fill(
	const struct ctrl *ctrl, unsigned realm_index, uint32_t node, uint16_t epoch, json_t *item)
{
	struct meters_use use = {0};

	if (node != 0 && node <= ctrl->config->realms[realm_index].nodes_max)
		use = meters_use(ctrl->meters, ctrl->bases[realm_index] + node, epoch);
	json_object_set_new(item, "accepted", json_integer((json_int_t)(use.accepted & INT64_MAX)));
	json_object_set_new(item, "refused", json_integer((json_int_t)use.refused));
	json_object_set_new(item, "last_used_s", json_integer((json_int_t)use.last_s));
}

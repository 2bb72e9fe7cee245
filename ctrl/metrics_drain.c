/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How far rotations are. Measuring looks at every node, some 0.3 us each, so it is done in slices,
 * one each second; what is told is the last whole pass over each realm.
 */
#include "ctrl/metrics_priv.h"

#include "ctrl/drain.h"
#include "ctrl/metrics.h"

static void
pass_begin(struct metrics_drain *drain, unsigned realm)
{
	drain->realm = realm;
	drain->node = 1;
	drain->sums = (struct metrics_drain_counts){0};
}

static void
sums_add(struct metrics_drain_counts *sums, const struct drain *part)
{
	sums->moved += part->rotating - part->in_use - part->silent;
	sums->in_use += part->in_use;
	sums->silent += part->silent;
}

/* Nodes that have one key only are not rotating, and need no look. */
static uint32_t
slice_look(struct metrics_drain *drain, const struct ctrl *ctrl, uint32_t count)
{
	uint32_t nodes_max = ctrl->config->realms[drain->realm].nodes_max, last;
	struct drain part;

	if (keytable_counts(ctrl->keys, drain->realm).extras == 0) {
		drain->sums = (struct metrics_drain_counts){0};
		drain->node = nodes_max + 1;
		return 1;
	}
	last = nodes_max - drain->node < count ? nodes_max : drain->node + count - 1;
	count = last + 1 - drain->node;
	drain_measure_range(ctrl, drain->realm, drain->node, last, DRAIN_QUIET_S, &part);
	sums_add(&drain->sums, &part);
	drain->node = last + 1;
	return count;
}

void
metrics_drain_tick(struct metrics_drain *drain, const struct ctrl *ctrl)
{
	uint32_t left = METRICS_DRAIN_NODES;

	/* Each realm once at most, however small they are. */
	for (unsigned i = 0; left > 0 && i <= ctrl->config->realm_count; i++) {
		uint32_t looked;

		if (drain->node == 0)
			pass_begin(drain, 0);
		looked = slice_look(drain, ctrl, left);
		left -= looked < left ? looked : left;
		if (drain->node <= ctrl->config->realms[drain->realm].nodes_max)
			continue;
		drain->counts[drain->realm] = drain->sums;
		pass_begin(drain, (drain->realm + 1) % ctrl->config->realm_count);
	}
}

void
metrics_drain_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family nodes = {"credgate_drain_nodes", METRICS_GAUGE, NULL,
		"nodes with more than one key: moved to the newest, an older one in-use, or silent "
		"since the newest was made; as of the last pass, 8,192 nodes each second"};

	metrics_family(text, &nodes);
	for (unsigned i = 0; i < ctrl->config->realm_count; i++) {
		struct metrics_drain_counts counts = metrics_drain_counts(ctrl->metrics, i);
		const char *realm = ctrl->config->realms[i].name;

		metrics_count(text, counts.moved, "realm", realm, "state", "moved", NULL);
		metrics_count(text, counts.in_use, "realm", realm, "state", "in-use", NULL);
		metrics_count(text, counts.silent, "realm", realm, "state", "silent", NULL);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Who reads verdicts, and how far behind the rings' writers those are that must not lose any. */
#include "ctrl/metrics_priv.h"

#include <stdio.h>

#include "ctrl/consumers.h"
#include "verdict/ring.h"

static void
consumers_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family consumers = {
		"credgate_consumers", METRICS_GAUGE, NULL, "attached consumers of the group"};
	static const struct metrics_family observers = {
		"credgate_observers", METRICS_GAUGE, NULL, "attached readers of refusals"};

	metrics_family(text, &consumers);
	for (unsigned i = 0; i < ctrl->config->group_count; i++)
		metrics_count(text, consumers_count(ctrl->consumers, i), "group",
			ctrl->config->groups[i].name, NULL);
	metrics_family(text, &observers);
	metrics_count(text, consumers_count(ctrl->consumers, TABLE_GROUPS_MAX), NULL);
}

/* Of one group: slots written to all its rings, and of the fullest one the part not yet read. */
struct ring_sums {
	uint64_t written;
	double fill; /* below 0: nobody subscribes */
};

static struct ring_sums
rings_sum(const struct ctrl *ctrl, unsigned group)
{
	struct ring_sums sums = {.fill = -1};

	for (unsigned i = 0; i < ctrl->config->dataplane.workers; i++) {
		const struct verdict_ring *ring = ctrl->shared.delivery[group][i].mapping;
		uint64_t head = metrics_load(&ring->head), floor = metrics_load(&ring->floor);
		double fill;

		sums.written += head;
		if (floor == UINT64_MAX)
			continue;
		fill = head > floor ? (double)(head - floor) / ctrl->config->dataplane.ring_slots
				    : 0;
		sums.fill = fill > sums.fill ? fill : sums.fill;
	}
	return sums;
}

static void
rings_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	static const struct metrics_family slots = {"credgate_ring_slots", METRICS_GAUGE, NULL,
		"slots of 64 bytes in each of the group's rings: a reader that is further behind "
		"loses what is over"};
	static const struct metrics_family written = {"credgate_ring_slots_written",
		METRICS_COUNTER, NULL,
		"slots written to the group's rings; over ring_slots and time: how long a reader "
		"may pause"};
	static const struct metrics_family fill = {"credgate_ring_fill_ratio", METRICS_GAUGE,
		"ratio",
		"of the group's fullest ring, the part that its slowest subscriber has not read; "
		"none without subscribers"};

	metrics_family(text, &slots);
	for (unsigned i = 0; i < ctrl->config->group_count; i++)
		metrics_count(text, ctrl->config->dataplane.ring_slots, "group",
			ctrl->config->groups[i].name, NULL);
	metrics_family(text, &written);
	for (unsigned i = 0; i < ctrl->config->group_count; i++)
		metrics_count(text, rings_sum(ctrl, i).written, "group",
			ctrl->config->groups[i].name, NULL);
	metrics_family(text, &fill);
	for (unsigned i = 0; i < ctrl->config->group_count; i++) {
		double part = rings_sum(ctrl, i).fill;

		if (part >= 0)
			metrics_real(text, part, "group", ctrl->config->groups[i].name, NULL);
	}
}

void
metrics_groups_write(struct metrics_text *text, const struct ctrl *ctrl)
{
	consumers_write(text, ctrl);
	rings_write(text, ctrl);
}

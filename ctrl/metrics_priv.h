/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The nouns that metrics tell of: each has a function that writes its families, and a line in the
 * table of metrics_nouns.c. It is called in the event loop at most five times a second and MUST take
 * no more than a millisecond: counters are read, not counted.
 */

#include <stdatomic.h>

#include "ctrl/ctrl.h"
#include "ctrl/metrics.h"
#include "ctrl/metrics_text.h"

/* metrics_workers.c */
void metrics_workers_write(struct metrics_text *text, const struct ctrl *ctrl);

/* metrics_realms.c */
void metrics_realms_write(struct metrics_text *text, const struct ctrl *ctrl);

/* metrics_groups.c */
void metrics_groups_write(struct metrics_text *text, const struct ctrl *ctrl);

/* metrics_drain.c: zeroed is a good beginning */
struct metrics_drain {
	unsigned realm; /* of the pass that is under way */
	uint32_t node;  /* the next one; 0: none is */
	struct metrics_drain_counts sums;
	struct metrics_drain_counts counts[TABLE_REALMS_MAX]; /* of the last whole pass */
};
void metrics_drain_tick(struct metrics_drain *drain, const struct ctrl *ctrl);
void metrics_drain_write(struct metrics_text *text, const struct ctrl *ctrl);

/* metrics_trust.c */
void metrics_members_write(struct metrics_text *text, const struct ctrl *ctrl);
void metrics_limits_write(struct metrics_text *text, const struct ctrl *ctrl);
void metrics_whitelists_write(struct metrics_text *text, const struct ctrl *ctrl);
void metrics_audit_write(struct metrics_text *text, const struct ctrl *ctrl);
void metrics_enrol_write(struct metrics_text *text, const struct ctrl *ctrl); /* metrics_enrol.c */

static inline uint64_t
metrics_load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

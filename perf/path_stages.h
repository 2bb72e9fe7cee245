/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The packet path with a clock between its stages: a copy of worker_burst_at, so that the product's
 * own loop has none. An empty burst opens the worker's state and stands for what a burst costs
 * however few credentials it has. path_rig_stages_agree compares the copy with the product.
 */

#include <stdint.h>

#include "dataplane/worker.h"
#include "perf/path_rig.h"

/* One burst; its TSC cycles by stage go to `cycles`. */
void path_stages_burst(struct worker *worker, const struct burst_frame *frames, unsigned count,
	uint64_t now_us, uint64_t mono_us, struct burst_result *result,
	uint32_t cycles[PATH_STAGES]);

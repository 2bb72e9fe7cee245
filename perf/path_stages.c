/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/path_stages.h"

#include <x86intrin.h>

#include "dataplane/burst.h"

/*
 * Instructions of one stage may not run in the time of another; loads that a stage has only
 * started (prefetches) may go on, as they do in the product.
 */
static inline uint64_t
clock_read(void)
{
	uint64_t now;

	_mm_lfence();
	now = __rdtsc();
	_mm_lfence();
	return now;
}

/* What comes behind the stages, worker.c's static functions included. */
static void
stages_close(struct worker *worker, unsigned count, struct burst_result *result)
{
	uint64_t bytes = 0;
	unsigned i;

	deliver_publish(worker);
	answer_flush(worker, result);
	atomic_store_explicit(&worker->stats->seen, worker->generation, memory_order_release);
	if (result->work == 0)
		return;
	for (i = 0; i < count; i++)
		bytes += worker->burst.frames[i].size;
	stat_add(&worker->stats->rx_frames, count);
	stat_add(&worker->stats->rx_bytes, bytes);
	stat_add(&worker->stats->bursts, 1);
}

/* The clock's own cost is in every difference once: measured here, by a pair of reads. */
static void
cycles_fill(uint32_t cycles[PATH_STAGES], const uint64_t times[PATH_STAGES + 2])
{
	const uint64_t own = times[PATH_STAGES + 1] - times[PATH_STAGES];
	unsigned i;

	for (i = 0; i < PATH_STAGES; i++) {
		const uint64_t cost = times[i + 1] - times[i];

		cycles[i] = (uint32_t)(cost > own ? cost - own : 0);
	}
}

void
path_stages_burst(struct worker *worker, const struct burst_frame *frames, unsigned count,
	uint64_t now_us, uint64_t mono_us, struct burst_result *result,
	uint32_t cycles[PATH_STAGES])
{
	uint64_t times[PATH_STAGES + 2];
	unsigned live;

	times[PATH_STAGE_EMPTY] = clock_read();
	worker_burst_at(worker, frames, 0, now_us, mono_us, result);
	times[PATH_STAGE_PARSE] = clock_read();
	live = burst_parse(worker, count, result);
	times[PATH_STAGE_ADMIT] = clock_read();
	live = burst_admit(worker, live);
	times[PATH_STAGE_VERIFY] = clock_read();
	live = burst_verify(worker, live);
	burst_rules(worker, live);
	times[PATH_STAGE_HANDOFF] = clock_read();
	live = burst_handoff(worker, live);
	times[PATH_STAGE_OWN] = clock_read();
	result->work = count + burst_own(worker, live);
	times[PATH_STAGE_DELIVER] = clock_read();
	stages_close(worker, count, result);
	times[PATH_STAGES] = clock_read();
	times[PATH_STAGES + 1] = clock_read();
	cycles_fill(cycles, times);
	if (worker->worker_count > 1) {
		/* The empty burst has decided about what was handed over. */
		cycles[PATH_STAGE_OWN] += cycles[PATH_STAGE_EMPTY];
		cycles[PATH_STAGE_EMPTY] = 0;
	}
}

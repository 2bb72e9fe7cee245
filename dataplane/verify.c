/* SPDX-License-Identifier: BSD-3-Clause */

/* Stage 3: the tags of the burst, in one batch across nodes, suites and lengths. */

#include "dataplane/burst.h"

static_assert(BURST_FRAMES_MAX <= TAG_BATCH_MAX, "a burst is one batch");

static void
verify_refuse(struct worker *worker, uint64_t refused)
{
	struct burst *burst = &worker->burst;

	for (; refused != 0; refused &= refused - 1) {
		const unsigned n = (unsigned)__builtin_ctzll(refused);

		deliver_unproved(worker, &burst->items[burst->live[n]], VERDICT_BAD_TAG);
	}
}

/* Moves what is proved to the front, without a branch that a forger could make guess wrong. */
static unsigned
verify_keep(struct burst *burst, unsigned count, uint64_t proved)
{
	unsigned live = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		burst->sizes[live] = burst->sizes[n];
		burst->ids[live] = burst->ids[n];
		burst->policies[live] = burst->policies[n];
		burst->programs[live] = burst->programs[n];
		burst->live[live] = burst->live[n];
		live += proved >> n & 1;
	}
	return live;
}

/* Which tags are right is public; until here nothing has looked at what they cover in secret. */
unsigned
burst_verify(struct worker *worker, unsigned count)
{
	struct burst *burst = &worker->burst;
	uint64_t proved, all;

	if (count == 0)
		return 0;
	proved = tag_batch_verify(
		worker->engine, burst->slots, burst->msgs, burst->sizes, burst->ids, count);
	all = UINT64_MAX >> (64 - count);
	if (proved == all)
		return count;
	verify_refuse(worker, all & ~proved);
	return proved == 0 ? 0 : verify_keep(burst, count, proved);
}

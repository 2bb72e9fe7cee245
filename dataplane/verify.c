/* SPDX-License-Identifier: BSD-3-Clause */

/* Stage 3: the tags of the burst, in one batch across nodes, suites and lengths. */

#include "dataplane/burst.h"

static_assert(BURST_FRAMES_MAX <= TAG_BATCH_MAX, "a burst is one batch");

/* Keeps what is proved, refuses the rest. */
static unsigned
verify_divide(struct worker *worker, unsigned count, uint64_t proved)
{
	struct burst *burst = &worker->burst;
	unsigned live = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		if (!(proved >> n & 1)) {
			deliver_refused(worker, &burst->items[burst->live[n]].record,
				VERDICT_BAD_TAG, false);
			continue;
		}
		burst->sizes[live] = burst->sizes[n];
		burst->ids[live] = burst->ids[n];
		burst->live[live++] = burst->live[n];
	}
	return live;
}

/* Which tags are right is public; until here nothing has looked at what they cover in secret. */
unsigned
burst_verify(struct worker *worker, unsigned count)
{
	struct burst *burst = &worker->burst;
	uint64_t proved;

	if (count == 0)
		return 0;
	proved = tag_batch_verify(
		worker->engine, burst->slots, burst->msgs, burst->sizes, burst->ids, count);
	if (proved == UINT64_MAX >> (64 - count))
		return count;
	return verify_divide(worker, count, proved);
}

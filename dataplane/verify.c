/* SPDX-License-Identifier: BSD-3-Clause */

/* Stage 3: the tags of the burst, in one batch across nodes, suites and lengths. */

#include "dataplane/burst.h"

static_assert(BURST_FRAMES_MAX <= TAG_BATCH_MAX, "a burst is one batch");

static uint64_t
verify_batch(struct worker *worker, unsigned count)
{
	struct burst *burst = &worker->burst;
	const struct key_slot *slots[BURST_FRAMES_MAX];
	const uint8_t *msgs[BURST_FRAMES_MAX];
	uint16_t sizes[BURST_FRAMES_MAX];
	unsigned n;

	for (n = 0; n < count; n++) {
		const struct burst_item *item = &burst->items[burst->live[n]];

		slots[n] = item->key.slot;
		msgs[n] = item->cred.msg;
		sizes[n] = item->cred.span_size;
	}
	return tag_batch_verify(worker->engine, slots, msgs, sizes, burst->ids, count);
}

/* The verdict of a tag is public; until here nothing has looked at what it covers in secret. */
unsigned
burst_verify(struct worker *worker, unsigned count)
{
	struct burst *burst = &worker->burst;
	const uint64_t proved = verify_batch(worker, count);
	unsigned live = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		if (proved >> n & 1) {
			burst->ids[live] = burst->ids[n];
			burst->live[live++] = burst->live[n];
		} else {
			deliver_refused_item(
				worker, &burst->items[burst->live[n]], VERDICT_BAD_TAG);
		}
	}
	return live;
}

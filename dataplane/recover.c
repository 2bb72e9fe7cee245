/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * After a dataplane died: what was marked in a window was promised, so its record is published;
 * what was not is void (the order of stores is told in own.c).
 */

#include "dataplane/burst.h"

struct recover_context {
	const struct replay_store *replay;
	struct view view;
};

/*
 * A record that is written but not marked was new when the writer died, since the owner asked just
 * before and marked nothing else in between: so STALE, too, means marked, and pushed out since. A
 * window that is not this node's, or not intact, cannot bear witness.
 */
static bool
record_is_marked(const struct verdict_record *record, void *arg)
{
	const struct recover_context *context = arg;
	const struct table_realm *realm;
	uint32_t window;

	if (record->realm == 0 || record->node == 0 || record->serial == 0)
		return false;
	realm = view_realm(&context->view, record->realm);
	if (realm == NULL)
		return false;
	window = view_slot(&context->view, realm, record->node);
	return replay_window_is_clean(context->replay, window, record->realm, record->node) &&
	       replay_window_peek(context->replay, window, record->serial) != REPLAY_NEW;
}

static bool
record_is_void(const struct verdict_record *record, void *arg)
{
	(void)record;
	(void)arg;
	return false;
}

unsigned
worker_recover(struct replay_store *replay, const struct table_header *table,
	struct verdict_ring *const *rings, unsigned ring_count)
{
	struct recover_context context = {.replay = replay};
	unsigned published = 0;
	unsigned i;

	view_open(&context.view, table,
		atomic_load_explicit(&table->generation, memory_order_acquire), replay->slot_count,
		0);
	for (i = 0; i < ring_count; i++)
		if (rings[i] != NULL)
			published += verdict_ring_recover(rings[i],
				rings[i]->kind == VERDICT_RING_DELIVERY ? record_is_marked
									: record_is_void,
				&context);
	return published;
}

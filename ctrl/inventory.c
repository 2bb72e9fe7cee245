/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/inventory.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "ctrl/ctrl.h"
#include "ctrl/log.h"

/* Nodes that are to be put into the key table. */
struct queue {
	struct waiting {
		uint32_t node;
		uint32_t realm_index;
	} * items;
	size_t count;
	size_t room;
	size_t done;
};

struct inventory {
	struct ctrl *ctrl;
	struct registry_import *import; /* NULL: none is under way */
	uint32_t number;
	unsigned realm_index;
	struct inventory_counts counts;
	uint32_t prefixes_more; /* of new nodes, beyond the first of each */
	struct queue touched;
	struct queue loading;
	struct event *idle;
	struct event *slice;
};

/* ---- queues ---- */

static int
queue_add(struct queue *queue, uint32_t node, unsigned realm_index)
{
	if (queue->count == queue->room) {
		size_t room = queue->room == 0 ? 1024 : 2 * queue->room;
		struct waiting *more = realloc(queue->items, room * sizeof(*more));

		if (more == NULL)
			return -ENOMEM;
		queue->items = more;
		queue->room = room;
	}
	queue->items[queue->count++] = (struct waiting){node, realm_index};
	return 0;
}

static void
queue_fini(struct queue *queue)
{
	free(queue->items);
	*queue = (struct queue){0};
}

/* ---- into the key table ---- */

static void
slice_soon(struct inventory *inventory)
{
	const struct timeval now = {0, 0};

	event_add(inventory->slice, &now);
}

/* The workers have the last slice, or are too slow to be waited for. */
static void
slice_taken_up(void *context, uint64_t generation, unsigned lagging)
{
	(void)generation;
	(void)lagging;
	slice_soon(context);
}

static void
slice_due(evutil_socket_t fd, short what, void *context)
{
	struct inventory *inventory = context;
	struct queue *queue = &inventory->loading;

	(void)fd;
	(void)what;
	for (unsigned i = 0; i < INVENTORY_SLICE && queue->done < queue->count; i++) {
		const struct waiting *next = &queue->items[queue->done++];

		nodes_put(inventory->ctrl, next->realm_index, next->node);
	}
	if (queue->done == queue->count) {
		queue_fini(queue);
		uptake_request(inventory->ctrl->uptake, NULL, inventory);
	} else if (uptake_request(inventory->ctrl->uptake, slice_taken_up, inventory) != 0) {
		slice_soon(inventory);
	}
}

/* What was touched waits behind what an earlier import left. */
static void
loading_begin(struct inventory *inventory)
{
	struct queue *touched = &inventory->touched;

	if (inventory->loading.count == 0) {
		inventory->loading = *touched;
		*touched = (struct queue){0};
		if (inventory->loading.count > 0)
			slice_soon(inventory);
		return;
	}
	for (size_t i = 0; i < touched->count; i++)
		if (queue_add(&inventory->loading, touched->items[i].node,
			    touched->items[i].realm_index) != 0)
			nodes_put(inventory->ctrl, touched->items[i].realm_index,
				touched->items[i].node);
	queue_fini(touched);
}

/* ---- life of an import ---- */

static void
import_over(struct inventory *inventory)
{
	inventory->import = NULL;
	event_del(inventory->idle);
	queue_fini(&inventory->touched);
	/* Revocations that waited for it. */
	registry_sync(inventory->ctrl->registry, NULL);
}

static void
import_drop(struct inventory *inventory)
{
	if (inventory->import == NULL)
		return;
	registry_import_abort(inventory->import);
	import_over(inventory);
}

static void
idle_due(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	log_warning("import", "given up: nothing more of it came for %u s; nothing of it is kept",
		INVENTORY_IDLE_S);
	import_drop(context);
}

static void
idle_restart(struct inventory *inventory)
{
	const struct timeval patience = {INVENTORY_IDLE_S, 0};

	event_add(inventory->idle, &patience);
}

struct inventory *
inventory_create(struct ctrl *ctrl)
{
	struct inventory *inventory = calloc(1, sizeof(*inventory));

	if (inventory == NULL)
		return NULL;
	inventory->ctrl = ctrl;
	inventory->idle = evtimer_new(ctrl->base, idle_due, inventory);
	inventory->slice = evtimer_new(ctrl->base, slice_due, inventory);
	if (inventory->idle != NULL && inventory->slice != NULL)
		return inventory;
	inventory_destroy(inventory);
	return NULL;
}

void
inventory_destroy(struct inventory *inventory)
{
	if (inventory == NULL)
		return;
	if (inventory->import != NULL)
		registry_import_abort(inventory->import);
	if (inventory->ctrl->uptake != NULL)
		uptake_cancel(inventory->ctrl->uptake, inventory);
	if (inventory->idle != NULL)
		event_free(inventory->idle);
	if (inventory->slice != NULL)
		event_free(inventory->slice);
	queue_fini(&inventory->touched);
	queue_fini(&inventory->loading);
	free(inventory);
}

int
inventory_begin(
	struct inventory *inventory, unsigned realm_index, uint32_t *number, struct reason *reason)
{
	const struct config_realm *realm = &inventory->ctrl->config->realms[realm_index];
	int error = registry_import_begin(
		inventory->ctrl->registry, realm->nodes_max, &inventory->import, reason);

	if (error != 0)
		return error;
	inventory->realm_index = realm_index;
	inventory->counts = (struct inventory_counts){0};
	inventory->prefixes_more = 0;
	*number = ++inventory->number;
	idle_restart(inventory);
	return 0;
}

int
inventory_realm(const struct inventory *inventory, uint32_t number, unsigned *realm_index,
	struct reason *reason)
{
	if (inventory->import == NULL || number != inventory->number)
		return reason_set(reason, ENOENT,
			"import %u is over: it failed, or nothing came for %u s; begin another one",
			number, INVENTORY_IDLE_S);
	*realm_index = inventory->realm_index;
	return 0;
}

/* Before anything is durable: is there room for prefixes beyond the first of each node? */
static int
prefixes_room_check(
	struct inventory *inventory, const struct registry_request *request, struct reason *reason)
{
	const struct ctrl *ctrl = inventory->ctrl;
	uint32_t room = ctrl->shared.shape.prefix_count - 1;

	if (request->prefix_count > 1)
		inventory->prefixes_more += request->prefix_count - 1;
	if (keytable_counts_all(ctrl->keys).prefixes + inventory->prefixes_more <= room)
		return 0;
	return reason_set(reason, ENOSPC,
		"the key table has room for %u prefixes beyond the first of each node, and this is "
		"one too many; give nodes fewer and shorter prefixes",
		room);
}

static void
count(struct inventory_counts *counts, enum registry_import_outcome outcome)
{
	counts->added += outcome == REGISTRY_IMPORT_ADDED;
	counts->changed += outcome == REGISTRY_IMPORT_CHANGED;
	counts->unchanged += outcome == REGISTRY_IMPORT_UNCHANGED;
	counts->skipped += outcome == REGISTRY_IMPORT_SKIPPED;
}

static int
row_take(struct inventory *inventory, struct registry_request *request,
	enum registry_import_state state, struct reason *reason)
{
	enum registry_import_outcome outcome;
	uint32_t node = 0;
	int error =
		nodes_request_complete(inventory->ctrl, inventory->realm_index, request, reason);

	if (error == 0)
		error = registry_import_row(
			inventory->import, request, state, &node, &outcome, reason);
	if (error != 0)
		return error;
	count(&inventory->counts, outcome);
	if (outcome != REGISTRY_IMPORT_ADDED && outcome != REGISTRY_IMPORT_CHANGED)
		return 0;
	error = prefixes_room_check(inventory, request, reason);
	if (error == 0 && queue_add(&inventory->touched, node, inventory->realm_index) != 0)
		error = reason_set(reason, ENOMEM, "no memory for so many nodes");
	return error;
}

int
inventory_row(struct inventory *inventory, uint32_t number, struct registry_request *request,
	enum registry_import_state state, struct reason *reason)
{
	unsigned realm_index;
	int error = inventory_realm(inventory, number, &realm_index, reason);

	if (error != 0)
		return error;
	error = row_take(inventory, request, state, reason);
	if (error != 0)
		import_drop(inventory);
	else
		idle_restart(inventory);
	return error;
}

int
inventory_commit(struct inventory *inventory, uint32_t number, struct inventory_counts *counts,
	struct reason *reason)
{
	unsigned realm_index;
	int error = inventory_realm(inventory, number, &realm_index, reason);

	if (error != 0)
		return error;
	error = registry_import_commit(inventory->import, reason);
	*counts = inventory->counts;
	if (error == 0)
		loading_begin(inventory);
	import_over(inventory);
	return error;
}

int
inventory_abort(struct inventory *inventory, uint32_t number, struct inventory_counts *counts,
	struct reason *reason)
{
	unsigned realm_index;
	int error = inventory_realm(inventory, number, &realm_index, reason);

	if (error != 0)
		return error;
	*counts = inventory->counts;
	import_drop(inventory);
	return 0;
}

size_t
inventory_left(const struct inventory *inventory)
{
	return inventory->loading.count - inventory->loading.done;
}

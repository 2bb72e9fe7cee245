/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/clones.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/address.h"
#include "ctrl/audit.h"
#include "ctrl/ctrl.h"
#include "ctrl/log.h"

#define LOAD(field)   atomic_load_explicit(&(field), memory_order_relaxed)
#define THIRD_LINE    offsetof(struct meter_node, reply_bucket)
#define LOOK_AHEAD    16u
#define ADDRESS_BYTES 16u

/* What was seen of a node, and told: a clone that goes on is told of each time it doubles. */
struct clone_seen {
	uint32_t count;
	uint32_t collisions;
	uint32_t told;
	uint32_t before[2]; /* count and collisions of a node that had the slot before */
};

struct clones {
	struct ctrl *ctrl;
	struct meters_header *meters;
	uint32_t slot_count;
	uint32_t next; /* slot */
	uint32_t counts[TABLE_REALMS_MAX];
	struct clone_seen seen[];
};

static bool
slot_view(const struct clones *clones, uint32_t slot, struct clone_view *view)
{
	const struct meter_node *meter = meters_node(clones->meters, slot);
	const struct clone_seen *seen = &clones->seen[slot];
	uint64_t source[2] = {LOAD(meter->clone_source[0]), LOAD(meter->clone_source[1])};

	view->count = LOAD(meter->clone_count) - seen->before[0];
	view->collisions = LOAD(meter->collisions) - seen->before[1];
	view->incarnation = LOAD(meter->incarnation);
	view->since_us = LOAD(meter->incarnation_since_us);
	view->other = view->count > 0 ? LOAD(meter->clone_incarnation) : 0;
	view->last_us = LOAD(meter->clone_last_us);
	memcpy(view->source, source, ADDRESS_BYTES);
	return view->count > 0 || view->collisions > 0;
}

bool
clones_view(
	const struct clones *clones, unsigned realm_index, uint32_t node, struct clone_view *view)
{
	return slot_view(clones, clones->ctrl->bases[realm_index] + node, view);
}

void
clones_node_clear(struct clones *clones, unsigned realm_index, uint32_t node)
{
	const uint32_t slot = clones->ctrl->bases[realm_index] + node;
	const struct meter_node *meter = meters_node(clones->meters, slot);
	struct clone_seen *seen = &clones->seen[slot];

	/* The registry may have nodes for which there is no slot. */
	if (node > clones->ctrl->config->realms[realm_index].nodes_max)
		return;
	clones->counts[realm_index] -= seen->told > 0;
	*seen = (struct clone_seen){.before = {LOAD(meter->clone_count), LOAD(meter->collisions)}};
}

struct clones *
clones_create(struct ctrl *ctrl)
{
	struct meters_header *meters = shared_meters(&ctrl->shared);
	struct clones *clones =
		calloc(1, sizeof(*clones) + meters->slot_count * sizeof(clones->seen[0]));

	if (clones == NULL)
		return NULL;
	clones->ctrl = ctrl;
	clones->meters = meters;
	clones->slot_count = meters->slot_count;
	return clones;
}

void
clones_destroy(struct clones *clones)
{
	free(clones);
}

uint32_t
clones_count(const struct clones *clones, unsigned realm_index)
{
	return clones->counts[realm_index];
}

/* ---- one node ---- */

/* The realm of a slot, or -1: a slot between realms. */
static int
realm_of(const struct ctrl *ctrl, uint32_t slot)
{
	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		if (slot > ctrl->bases[i] &&
			slot - ctrl->bases[i] <= ctrl->config->realms[i].nodes_max)
			return (int)i;
	return -1;
}

static void
clone_tell(const struct config_realm *realm, const struct registry_node *node,
	const struct clone_view *view)
{
	char source[ADDRESS_TEXT_SIZE];

	address_format(source, view->source, 128, 1);
	if (view->count > 0)
		log_warning(realm->name,
			"node %s (%u) is alive twice: incarnation %u was heard from %s after %u "
			"had begun (%u times; %u collisions of serials); give each machine a key "
			"of its own: credgate node invite",
			node->name, node->node, view->other, source, view->incarnation, view->count,
			view->collisions);
	else
		log_warning(realm->name,
			"node %s (%u) is alive twice: two issuers draw from copies of one serial "
			"state (%u serials came under two tags); give each a key of its own: "
			"credgate node invite",
			node->name, node->node, view->collisions);
}

static void
clone_note(const struct ctrl *ctrl, const char *verb, const struct config_realm *realm,
	const struct registry_node *node, const struct clone_view *view)
{
	char source[ADDRESS_TEXT_SIZE];

	address_format(source, view->source, 128, 1);
	audit_note(ctrl->audit, verb, CLONES_NOTE,
		json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s}", "realm", realm->name, "name",
			node->name, "node", (json_int_t)node->node, "incarnation",
			(json_int_t)view->incarnation, "other_incarnation", (json_int_t)view->other,
			"count", (json_int_t)view->count, "collisions",
			(json_int_t)view->collisions, "source", source));
}

static void
clone_suspend(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node,
	const struct clone_view *view)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct reason reason;

	/* In force even if it is not yet on disk. */
	if (nodes_suspend(ctrl, realm_index, node->node, true, CLONES_NOTE, &reason) < 0) {
		log_error(realm->name, "node %s cannot be suspended: %s", node->name, reason.text);
		return;
	}
	uptake_request(ctrl->uptake, NULL, ctrl);
	log_warning(realm->name,
		"node %s is suspended; when each machine has its own key: credgate node resume "
		"%s %s",
		node->name, realm->name, node->name);
	clone_note(ctrl, "node.suspend", realm, node, view);
}

static void
clone_report(struct clones *clones, uint32_t slot, const struct clone_view *view, bool is_told)
{
	struct ctrl *ctrl = clones->ctrl;
	int index = realm_of(ctrl, slot);
	const struct config_realm *realm;
	struct registry_node node;

	if (index < 0)
		return;
	realm = &ctrl->config->realms[index];
	if (registry_node_find(ctrl->registry, realm->id, realm->name, NULL,
		    slot - ctrl->bases[index], &node, NULL) != 0)
		return; /* deleted meanwhile */
	if (is_told) {
		clone_tell(realm, &node, view);
		clone_note(ctrl, "node.clone", realm, &node, view);
	}
	if (realm->clones == CONFIG_CLONES_SUSPEND && node.is_live && !node.is_suspended)
		clone_suspend(ctrl, (unsigned)index, &node, view);
}

/* Returns 1 if evidence grew. */
static unsigned
meter_look(struct clones *clones, uint32_t slot)
{
	struct clone_seen *seen = &clones->seen[slot];
	struct clone_view view;
	uint64_t all;
	bool is_told;

	if (!slot_view(clones, slot, &view) ||
		(view.count == seen->count && view.collisions == seen->collisions))
		return 0;
	all = (uint64_t)view.count + view.collisions;
	is_told = seen->told == 0 || all >= 2ull * seen->told;
	clone_report(clones, slot, &view, is_told);
	if (is_told && seen->told == 0 && realm_of(clones->ctrl, slot) >= 0)
		clones->counts[realm_of(clones->ctrl, slot)]++;
	seen->count = view.count;
	seen->collisions = view.collisions;
	if (is_told)
		seen->told = all < UINT32_MAX ? (uint32_t)all : UINT32_MAX;
	return 1;
}

void
clones_tick(struct clones *clones)
{
	uint32_t looks =
		clones->slot_count < CLONES_LOOK_MAX ? clones->slot_count : CLONES_LOOK_MAX;
	unsigned reports = 0;

	for (uint32_t i = 0; i < looks && reports < CLONES_REPORT_MAX; i++) {
		uint32_t ahead = (clones->next + LOOK_AHEAD) % clones->slot_count;

		__builtin_prefetch((char *)meters_node(clones->meters, ahead) + THIRD_LINE);
		reports += meter_look(clones, clones->next);
		clones->next = (clones->next + 1) % clones->slot_count;
	}
}

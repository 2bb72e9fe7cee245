/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes of a running gateway: from the registry into key table and replay windows. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctrl/audit.h"
#include "ctrl/clock.h"
#include "ctrl/clones.h"
#include "ctrl/ctrl.h"
#include "ctrl/log.h"
#include "ctrl/members.h"
#include "ctrl/policies.h"

#define SECOND_US 1000000u

#define LOAD_COMPLAINTS_MAX 20u

/* Epochs of another master cannot be derived: only those of masters that are loaded stay. */
static unsigned
epochs_keep_ours(struct registry_node *node, const struct secrets_realm *secrets)
{
	unsigned kept = 0, dropped;

	for (unsigned i = 0; i < node->epoch_count; i++) {
		int place = secrets_master_find(secrets, node->epochs[i].master);

		if (place < 0)
			continue;
		node->epochs[kept] = node->epochs[i];
		node->epochs[kept++].master_place = (uint8_t)place;
	}
	dropped = node->epoch_count - kept;
	node->epoch_count = kept;
	return dropped;
}

/* Of an epoch that ended before this no credential can be good: skew and lifetime are over too. */
static uint32_t
ended_before_s(const struct config_realm *realm)
{
	uint64_t grace_s = realm->ttl_max_s + (realm->skew_ms + 999) / 1000;
	uint64_t now_s = clock_real_us() / SECOND_US;

	return now_s > grace_s ? (uint32_t)(now_s - grace_s) : 0;
}

/* The newest stays, so that the verdict says what is wrong with it. */
static void
epochs_drop_ended(struct registry_node *node, uint32_t before_s)
{
	unsigned kept = 1;

	if (node->epoch_count == 0)
		return;
	for (unsigned i = 1; i < node->epoch_count; i++)
		if (node->epochs[i].not_after_s >= before_s)
			node->epochs[kept++] = node->epochs[i];
	node->epoch_count = kept;
}

/* The registry's node as the key table is to have it. Returns how many epochs are not ours. */
static unsigned
node_derive(const struct ctrl *ctrl, unsigned realm_index, struct registry_node *node)
{
	unsigned foreign = epochs_keep_ours(node, &ctrl->secrets[realm_index]);

	epochs_drop_ended(node, ended_before_s(&ctrl->config->realms[realm_index]));
	return foreign;
}

/* The window first: a key in force without its window would find every serial stale. */
static int
node_put(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node,
	struct reason *reason)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	int error = keytable_node_fits(ctrl->keys, realm_index, node, reason);

	if (error != 0)
		return error;
	if (node->is_live)
		replay_window_assign(&ctrl->shared.store, ctrl->bases[realm_index] + node->node,
			realm->id, node->node);
	error = keytable_node_set(ctrl->keys, realm_index, node, reason);
	if (error == 0)
		members_node_set(ctrl->members, realm_index, node);
	/* A revoked one has no credential that a rule could decide about. */
	if (error == 0 && node->is_live)
		policies_node(ctrl, realm_index, node);
	return error;
}

struct load {
	struct ctrl *ctrl;
	unsigned realm_index;
	unsigned cut_count; /* nodes that are not in force as the registry has them */
};

/* The first few by name; a table that is far too small must not fill the log. */
static void
load_complain(struct load *load, const struct registry_node *node, const char *what)
{
	if (++load->cut_count <= LOAD_COMPLAINTS_MAX)
		log_error(load->ctrl->config->realms[load->realm_index].name, "node %s (%u) %s",
			node->name, node->node, what);
}

/* Whatever is wrong with one node, the others are put in force. */
static bool
node_load(const struct registry_node *from, void *context)
{
	struct load *load = context;
	struct ctrl *ctrl = load->ctrl;
	const struct config_realm *realm = &ctrl->config->realms[load->realm_index];
	struct registry_node node = *from;
	struct reason reason;

	if (node_derive(ctrl, load->realm_index, &node) > 0)
		load_complain(load, from,
			"has keys of a master secret that is not there, which are refused; restore "
			"that master, or revoke the node and add it again");
	if (node.is_live && keytable_node_trim(ctrl->keys, load->realm_index, &node))
		load_complain(load, from,
			"lost its oldest epochs or last prefixes: their places in the key table "
			"are taken; revoke nodes or give them fewer prefixes, and restart");
	if (node_put(ctrl, load->realm_index, &node, &reason) != 0)
		load_complain(load, from, reason.text);
	else if (!ctrl->has_windows && realm->freshness == TABLE_FRESHNESS_SERIAL)
		serials_restore(ctrl->serials, &ctrl->shared.store,
			ctrl->bases[load->realm_index] + node.node, realm->id, node.node);
	return true;
}

int
nodes_load(struct ctrl *ctrl, struct reason *reason)
{
	for (unsigned i = 0; i < ctrl->config->realm_count; i++) {
		const struct config_realm *realm = &ctrl->config->realms[i];
		struct load load = {.ctrl = ctrl, .realm_index = i};
		int error = registry_walk(ctrl->registry, realm->id, 0, node_load, &load, reason);

		if (error != 0)
			return error;
		if (load.cut_count > LOAD_COMPLAINTS_MAX)
			log_error(realm->name, "and %u nodes more are like that",
				load.cut_count - LOAD_COMPLAINTS_MAX);
	}
	return 0;
}

/* In origin mode claimed a node is where its prefixes are; without any it could be nowhere. */
static int
prefixes_check(struct ctrl *ctrl, const struct config_realm *realm,
	const struct registry_request *request, struct reason *reason)
{
	unsigned count = request->prefix_count;
	struct registry_node known;

	if (realm->origin != TABLE_ORIGIN_CLAIMED)
		return 0;
	/* One that is added again keeps those it had. */
	if (!request->has_prefixes && registry_node_find(ctrl->registry, realm->id, realm->name,
					      request->name, 0, &known, NULL) == 0)
		count = known.prefix_count;
	if (count > 0)
		return 0;
	return reason_set(reason, EINVAL,
		"realm %s has origin mode claimed, where a node without prefixes can be nowhere; "
		"give prefixes",
		realm->name);
}

struct admission {
	const struct ctrl *ctrl;
	unsigned realm_index;
};

/* What the registry must not write, because the key table could not have it. */
static int
node_admit(const struct registry_node *from, void *context, struct reason *reason)
{
	const struct admission *admission = context;
	struct registry_node node = *from;

	node_derive(admission->ctrl, admission->realm_index, &node);
	return keytable_node_fits(admission->ctrl->keys, admission->realm_index, &node, reason);
}

static void
request_complete(struct admission *admission, struct registry_request *request)
{
	const struct ctrl *ctrl = admission->ctrl;
	unsigned realm_index = admission->realm_index;
	const struct config_realm *realm = &ctrl->config->realms[realm_index];

	request->realm = realm->id;
	request->realm_name = realm->name;
	request->nodes_max = realm->nodes_max;
	request->master = ctrl->secrets[realm_index].fingerprint;
	request->admit = node_admit;
	request->admit_context = admission;
}

/* What the registry answered, into the key table. */
static int
changed_put(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *from,
	struct reason *reason)
{
	struct registry_node node = *from;

	if (node_derive(ctrl, realm_index, &node) > 0)
		log_warning(ctrl->config->realms[realm_index].name,
			"node %s has keys of another master secret too, which are refused",
			node.name);
	return node_put(ctrl, realm_index, &node, reason);
}

int
nodes_epochs_put(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *from,
	struct reason *reason)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct registry_epoch known[TABLE_EPOCHS_MAX];
	struct registry_node node = *from;
	int state;

	if (from->node > realm->nodes_max)
		return 0;
	node_derive(ctrl, realm_index, &node);
	if (node.epoch_count > 0 &&
		keytable_epochs_get(ctrl->keys, realm_index, node.node, known) > 0) {
		state = keytable_epochs_set(ctrl->keys, realm_index, &node, reason);
		return state < 0 ? state : 0;
	}
	/* From a master that is not there, or not any more: the node as a whole comes or goes. */
	state = registry_node_find(
		ctrl->registry, realm->id, realm->name, NULL, from->node, &node, reason);
	return state != 0 ? state : changed_put(ctrl, realm_index, &node, reason);
}

int
nodes_request_complete(struct ctrl *ctrl, unsigned realm_index, struct registry_request *request,
	struct reason *reason)
{
	struct admission admission = {ctrl, realm_index};

	request_complete(&admission, request);
	request->admit = NULL;
	return prefixes_check(ctrl, &ctrl->config->realms[realm_index], request, reason);
}

void
nodes_put(struct ctrl *ctrl, unsigned realm_index, uint32_t id)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct load load = {.ctrl = ctrl, .realm_index = realm_index};
	struct registry_node node;

	if (registry_node_find(ctrl->registry, realm->id, realm->name, NULL, id, &node, NULL) == 0)
		node_load(&node, &load);
}

int
nodes_add(struct ctrl *ctrl, unsigned realm_index, struct registry_request *request,
	struct registry_node *node, struct reason *reason)
{
	struct admission admission = {ctrl, realm_index};
	int error;

	request_complete(&admission, request);
	error = prefixes_check(ctrl, &ctrl->config->realms[realm_index], request, reason);
	if (error == 0)
		error = registry_node_add(ctrl->registry, request, node, reason);
	return error != 0 ? error : changed_put(ctrl, realm_index, node, reason);
}

int
nodes_rotate(struct ctrl *ctrl, unsigned realm_index, struct registry_request *request,
	uint32_t until_s, struct registry_node *node, struct reason *reason)
{
	struct admission admission = {ctrl, realm_index};
	int error;

	request_complete(&admission, request);
	error = registry_node_rotate(ctrl->registry, request, until_s, node, reason);
	return error != 0 ? error : changed_put(ctrl, realm_index, node, reason);
}

int
nodes_set(struct ctrl *ctrl, unsigned realm_index, struct registry_request *request,
	struct registry_node *node, struct reason *reason)
{
	struct admission admission = {ctrl, realm_index};
	int error = 0;

	request_complete(&admission, request);
	if (request->has_prefixes)
		error = prefixes_check(ctrl, &ctrl->config->realms[realm_index], request, reason);
	if (error == 0)
		error = registry_node_set(ctrl->registry, request, node, reason);
	return error != 0 ? error : changed_put(ctrl, realm_index, node, reason);
}

int
nodes_suspend(struct ctrl *ctrl, unsigned realm_index, uint32_t id, bool is_suspended,
	const char *note, struct reason *reason)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct registry_node node;
	struct reason why;
	int error, written = registry_node_suspend(
			   ctrl->registry, realm->id, id, is_suspended, note, reason);

	if (written < 0)
		return written;
	error = registry_node_find(ctrl->registry, realm->id, realm->name, NULL, id, &node, &why);
	if (error == 0)
		error = changed_put(ctrl, realm_index, &node, &why);
	if (error == 0)
		return written;
	*reason = why;
	return error;
}

/* Out of the key table, but for those above nodes_max, which are not in it anyway. */
static int
revoked_put(struct ctrl *ctrl, unsigned realm_index, uint32_t id, uint16_t highest,
	struct reason *reason)
{
	struct registry_node revoked = {
		.realm = ctrl->config->realms[realm_index].id,
		.node = id,
		.highest = highest,
	};

	return id <= ctrl->config->realms[realm_index].nodes_max
		       ? node_put(ctrl, realm_index, &revoked, reason)
		       : 0;
}

/* In force before anything is written: a full disk must not keep a stolen key alive. */
int
nodes_revoke(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node,
	struct reason *reason)
{
	const struct revocation item = {node->realm, node->node};
	int error = revoked_put(ctrl, realm_index, node->node, node->highest, reason);

	if (error != 0)
		return error;
	/* If a worker holds the other half, the caller's uptake publishes. */
	keytable_publish(ctrl->keys);
	return registry_revoke(ctrl->registry, &item, 1, node->note, reason);
}

/* Publishes and waits until every running worker has it: a worker that polls needs microseconds. */
static uint64_t
force(struct ctrl *ctrl, uint64_t begun_us)
{
	const struct timespec pause = {0, 20000};
	uint64_t now_us, until_us = clock_mono_us() + NODES_IN_FORCE_WAIT_US;
	bool is_published = false;

	do {
		is_published = is_published || keytable_publish(ctrl->keys) == 0;
		if (is_published) {
			struct keytable_uptake uptake =
				keytable_uptake(ctrl->keys, keytable_generation(ctrl->keys));

			if (uptake.running == uptake.current)
				return clock_mono_us() - begun_us;
		}
		nanosleep(&pause, NULL);
		now_us = clock_mono_us();
	} while (now_us < until_us);
	return 0;
}

int
nodes_revoke_many(struct ctrl *ctrl, unsigned realm_index,
	const struct registry_selection *selection, const char *note, uint64_t begun_us,
	uint64_t *in_force_us, struct reason *reason)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct revocation *items = calloc(selection->count, sizeof(*items));
	int error;

	*in_force_us = 0;
	if (items == NULL)
		return reason_set(reason, ENOMEM, "no memory for %zu revocations: revoke fewer",
			selection->count);
	for (size_t i = 0; i < selection->count; i++) {
		const struct registry_selected *node = &selection->items[i];

		items[i] = (struct revocation){realm->id, node->node};
		/* A place is never short for one that goes; the others go in any case. */
		if (revoked_put(ctrl, realm_index, node->node, node->highest, reason) != 0)
			log_error(realm->name, "node %u is revoked, but %s", node->node,
				reason->text);
	}
	*in_force_us = force(ctrl, begun_us);
	error = registry_revoke(ctrl->registry, items, selection->count, note, reason);
	free(items);
	return error;
}

int
nodes_delete(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node,
	struct reason *reason)
{
	int error = registry_node_delete(ctrl->registry, node->realm, node->node, reason);

	if (error != 0)
		return error;
	keytable_node_clear(ctrl->keys, realm_index, node->node);
	members_node_clear(ctrl->members, realm_index, node->node);
	clones_node_clear(ctrl->clones, realm_index, node->node);
	policies_forget(ctrl, realm_index, node->node);
	return 0;
}

void
nodes_expire(struct ctrl *ctrl)
{
	uint32_t before_s[TABLE_REALMS_MAX] = {0};
	unsigned count;

	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		before_s[i] = ended_before_s(&ctrl->config->realms[i]);
	count = keytable_extras_expire(ctrl->keys, before_s);
	if (count == 0)
		return;
	audit_note(ctrl->audit, "node.expire", "keys whose time is over left the table",
		json_pack("{s:i}", "keys", (int)count));
	uptake_request(ctrl->uptake, NULL, ctrl);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes of a running gateway: from the registry into key table and replay windows. */
#include <errno.h>
#include <string.h>

#include "ctrl/ctrl.h"
#include "ctrl/log.h"

/* Epochs of another master cannot be derived: only those of the one that is loaded stay. */
static unsigned
epochs_keep_ours(struct registry_node *node, const char *master)
{
	unsigned kept = 0, dropped;

	for (unsigned i = 0; i < node->epoch_count; i++)
		if (strcmp(node->epochs[i].master, master) == 0)
			node->epochs[kept++] = node->epochs[i];
	dropped = node->epoch_count - kept;
	node->epoch_count = kept;
	return dropped;
}

/* The window first: a key in force without its window would find every serial stale. */
static int
node_put(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *from,
	struct reason *reason)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];
	struct registry_node node = *from;

	if (epochs_keep_ours(&node, ctrl->secrets[realm_index].fingerprint) > 0)
		log_warning(realm->name,
			"node %s has keys of another master secret, which are refused; revoke it "
			"and "
			"add it again, or restore that master",
			node.name);
	if (node.node > realm->nodes_max)
		return reason_set(reason, ERANGE,
			"node %u of realm %s is above nodes_max (%u); raise it and restart "
			"credgated",
			node.node, realm->name, realm->nodes_max);
	if (node.is_live)
		replay_window_assign(&ctrl->shared.store, ctrl->bases[realm_index] + node.node,
			realm->id, node.node);
	return keytable_node_set(ctrl->keys, realm_index, &node, reason);
}

struct load {
	struct ctrl *ctrl;
	unsigned realm_index;
	struct reason *reason;
	int error;
};

static bool
node_load(const struct registry_node *node, void *context)
{
	struct load *load = context;
	struct ctrl *ctrl = load->ctrl;
	const struct config_realm *realm = &ctrl->config->realms[load->realm_index];

	load->error = node_put(ctrl, load->realm_index, node, load->reason);
	if (load->error == 0 && !ctrl->has_windows && realm->freshness == TABLE_FRESHNESS_SERIAL)
		serials_restore(ctrl->serials, &ctrl->shared.store,
			ctrl->bases[load->realm_index] + node->node, realm->id, node->node);
	return load->error == 0;
}

int
nodes_load(struct ctrl *ctrl, struct reason *reason)
{
	for (unsigned i = 0; i < ctrl->config->realm_count; i++) {
		struct load load = {.ctrl = ctrl, .realm_index = i, .reason = reason};
		int error = registry_walk(
			ctrl->registry, ctrl->config->realms[i].id, 0, node_load, &load, reason);

		if (error != 0 || load.error != 0)
			return error != 0 ? error : load.error;
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

static void
request_complete(const struct ctrl *ctrl, unsigned realm_index, struct registry_request *request)
{
	const struct config_realm *realm = &ctrl->config->realms[realm_index];

	request->realm = realm->id;
	request->realm_name = realm->name;
	request->nodes_max = realm->nodes_max;
	request->master = ctrl->secrets[realm_index].fingerprint;
}

int
nodes_add(struct ctrl *ctrl, unsigned realm_index, struct registry_request *request,
	struct registry_node *node, struct reason *reason)
{
	int error;

	request_complete(ctrl, realm_index, request);
	error = prefixes_check(ctrl, &ctrl->config->realms[realm_index], request, reason);
	if (error == 0)
		error = registry_node_add(ctrl->registry, request, node, reason);
	return error != 0 ? error : node_put(ctrl, realm_index, node, reason);
}

int
nodes_rotate(struct ctrl *ctrl, unsigned realm_index, struct registry_request *request,
	uint32_t until_s, struct registry_node *node, struct reason *reason)
{
	int error;

	request_complete(ctrl, realm_index, request);
	error = registry_node_rotate(ctrl->registry, request, until_s, node, reason);
	return error != 0 ? error : node_put(ctrl, realm_index, node, reason);
}

int
nodes_revoke(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node,
	struct reason *reason)
{
	struct registry_node revoked = *node;
	int error = registry_node_revoke(ctrl->registry, node->realm, node->node, reason);

	if (error != 0)
		return error;
	revoked.is_live = false;
	revoked.epoch_count = 0;
	return node_put(ctrl, realm_index, &revoked, reason);
}

int
nodes_delete(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node,
	struct reason *reason)
{
	int error = registry_node_delete(ctrl->registry, node->realm, node->node, reason);

	if (error == 0)
		keytable_node_clear(ctrl->keys, realm_index, node->node);
	return error;
}

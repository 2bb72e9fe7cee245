/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes of nodes that leave their keys alone: name, prefixes, roles, suspension. */
#include "ctrl/registry_priv.h"

#include <errno.h>

static int
prefixes_write(struct registry *registry, const struct registry_request *request, uint32_t id,
	struct reason *reason)
{
	int error = registry_db_run(
		registry, reason, SQL_PREFIXES_DROP, "ii", (int64_t)request->realm, (int64_t)id);

	for (unsigned i = 0; error == 0 && i < request->prefix_count; i++)
		error = registry_db_run(registry, reason, SQL_PREFIX_MAKE, "iiiai",
			(int64_t)request->realm, (int64_t)id, (int64_t)i,
			request->prefixes[i].address, (int64_t)request->prefixes[i].bits);
	return error;
}

static int
roles_write(struct registry *registry, const struct registry_request *request, uint32_t id,
	struct reason *reason)
{
	int error = registry_db_run(
		registry, reason, SQL_ROLES_DROP, "ii", (int64_t)request->realm, (int64_t)id);

	for (unsigned i = 0; error == 0 && i < request->role_count; i++)
		error = registry_db_run(registry, reason, SQL_ROLE_MAKE, "iit",
			(int64_t)request->realm, (int64_t)id, request->roles[i]);
	return error;
}

int
registry_lists_write(struct registry *registry, const struct registry_request *request, uint32_t id,
	struct reason *reason)
{
	int error = 0;

	if (request->has_prefixes)
		error = prefixes_write(registry, request, id, reason);
	if (error == 0 && request->has_roles)
		error = roles_write(registry, request, id, reason);
	return error;
}

static int
name_write(struct registry *registry, const struct registry_request *request,
	const struct registry_node *known, struct reason *reason)
{
	struct registry_node other;
	int state =
		registry_node_lookup(registry, request->realm, request->rename, 0, &other, reason);

	if (state < 0)
		return state;
	if (state == 1 && other.node != known->node)
		return reason_set(reason, EEXIST,
			"node %s is there already in realm %s (id %u); choose another name",
			request->rename, request->realm_name, other.node);
	return registry_db_run(registry, reason, SQL_NODE_RENAME, "iit", (int64_t)request->realm,
		(int64_t)known->node, request->rename);
}

/* Within a transaction; `node` gets what it will be. */
static int
node_change(struct registry *registry, const struct registry_request *request,
	struct registry_node *node, struct reason *reason)
{
	uint32_t id;
	int error = registry_node_find(registry, request->realm, request->realm_name, request->name,
		request->node, node, reason);

	if (error != 0)
		return error;
	id = node->node;
	if (request->rename != NULL)
		error = name_write(registry, request, node, reason);
	if (error == 0)
		error = registry_lists_write(registry, request, id, reason);
	if (error == 0)
		error = registry_db_run(registry, reason, SQL_NODE_TOUCH, "iii",
			(int64_t)request->realm, (int64_t)id, registry_now_s());
	if (error == 0)
		error = registry_node_find(
			registry, request->realm, request->realm_name, NULL, id, node, reason);
	if (error == 0 && request->admit != NULL && node->is_live)
		error = request->admit(node, request->admit_context, reason);
	return error;
}

int
registry_node_set(struct registry *registry, const struct registry_request *request,
	struct registry_node *node, struct reason *reason)
{
	int error = registry_change_begin(registry, reason);

	if (error != 0)
		return error;
	error = node_change(registry, request, node, reason);
	return registry_db_finish(registry, error, reason);
}

static int
suspension_run(struct registry *registry, uint32_t realm, uint32_t node, bool is_suspended,
	const char *note, struct reason *reason)
{
	return registry_db_run(registry, reason, SQL_NODE_SUSPEND, "iiiti", (int64_t)realm,
		(int64_t)node, (int64_t)is_suspended, note != NULL ? note : "", registry_now_s());
}

int
registry_suspensions_write(struct registry *registry, struct reason *reason)
{
	struct revocations *remembered = &registry->suspensions;
	int error;

	if (remembered->count == 0)
		return 0;
	error = registry_db_begin(registry, reason);
	if (error != 0)
		return error;
	for (size_t i = 0; error == 0 && i < remembered->count; i++)
		error = suspension_run(registry, remembered->items[i].realm,
			remembered->items[i].node, true, NULL, reason);
	error = registry_db_finish(registry, error, reason);
	if (error == 0)
		revocations_fini(remembered);
	return error;
}

/* Whatever keeps it from the disk: who is suspended is suspended now. */
static int
suspension_remember(struct registry *registry, uint32_t realm, uint32_t node, struct reason *reason)
{
	if (revocations_add(&registry->suspensions, realm, node) == 0)
		return 1;
	return reason_set(reason, ENOMEM,
		"neither disk nor memory has room for the suspension of node %u; make room and ask "
		"again",
		node);
}

int
registry_node_suspend(struct registry *registry, uint32_t realm, uint32_t node, bool is_suspended,
	const char *note, struct reason *reason)
{
	int error = registry_change_begin(registry, reason);

	if (error == 0) {
		error = suspension_run(registry, realm, node, is_suspended, note, reason);
		error = registry_db_finish(registry, error, reason);
	}
	return error != 0 && is_suspended ? suspension_remember(registry, realm, node, reason)
					  : error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Arguments of verbs: each is there and right, or one line says what is wrong with it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/address.h"
#include "ctrl/verbs_priv.h"

int
verb_fail(struct verb_call *call, int error, const char *text)
{
	return reason_set(&call->reason, error, "%s", text);
}

int
verb_arg_number(
	struct verb_call *call, const char *name, uint32_t min, uint32_t max, uint32_t *value)
{
	const json_t *arg = json_object_get(call->args, name);
	json_int_t number;

	if (arg == NULL)
		return 0;
	number = json_integer_value(arg);
	if (!json_is_integer(arg) || number < (json_int_t)min || number > (json_int_t)max)
		return reason_set(&call->reason, EINVAL, "%s must be a whole number from %u to %u",
			name, min, max);
	*value = (uint32_t)number;
	return 0;
}

int
verb_arg_text(struct verb_call *call, const char *name, const char **value)
{
	const json_t *arg = json_object_get(call->args, name);

	*value = json_string_value(arg);
	if (arg != NULL && *value == NULL)
		return reason_set(&call->reason, EINVAL, "%s must be a text", name);
	return 0;
}

int
verb_arg_realm(struct verb_call *call, unsigned *index)
{
	const char *name;
	int found, error;

	error = verb_arg_text(call, "realm", &name);
	if (error != 0)
		return error;
	if (name == NULL)
		return verb_fail(call, EINVAL, "realm is missing: give its name");
	found = config_realm_find(call->ctrl->config, name);
	if (found < 0)
		return reason_set(&call->reason, ENOENT,
			"there is no realm %.64s; see credgate realm list", name);
	*index = (unsigned)found;
	return 0;
}

int
verb_arg_node(struct verb_call *call, unsigned realm_index, struct registry_node *node)
{
	const struct config_realm *realm = &call->ctrl->config->realms[realm_index];
	const char *name;
	uint32_t id = 0;
	int error;

	error = verb_arg_text(call, "name", &name);
	if (error == 0)
		error = verb_arg_number(call, "node", 1, UINT32_MAX, &id);
	if (error != 0)
		return error;
	if ((name == NULL) == (id == 0))
		return verb_fail(call, EINVAL, "give the node's name, or its id as node");
	return registry_node_find(
		call->ctrl->registry, realm->id, realm->name, name, id, node, &call->reason);
}

int
verb_arg_realm_node(struct verb_call *call, unsigned *realm_index, struct registry_node *node)
{
	int error = verb_arg_realm(call, realm_index);

	return error != 0 ? error : verb_arg_node(call, *realm_index, node);
}

int
verb_name_check(struct verb_call *call, const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t length;

	if (name == NULL)
		return verb_fail(call, EINVAL, "name is missing: give the node's");
	length = strlen(name);
	if (length == 0 || length >= REGISTRY_NAME_SIZE || strspn(name, letters) != length ||
		name[0] == '-' || name[0] == '.')
		return reason_set(&call->reason, EINVAL,
			"\"%.70s\" is no name for a node: use up to %u letters, digits, '.', '_' "
			"and "
			"'-', and begin with a letter or digit",
			name, REGISTRY_NAME_SIZE - 1);
	return 0;
}

static int
prefix_parse(struct verb_call *call, const json_t *text, struct registry_prefix *prefix)
{
	const char *wrong;

	if (!json_is_string(text))
		return verb_fail(call, EINVAL, "prefixes must be texts such as \"10.0.0.1/32\"");
	wrong = address_parse(json_string_value(text), prefix->address, &prefix->bits);
	if (wrong != NULL)
		return reason_set(&call->reason, EINVAL, "prefix \"%.64s\" %s",
			json_string_value(text), wrong);
	if (address_has_host_bits(prefix->address, prefix->bits))
		return reason_set(&call->reason, EINVAL,
			"prefix \"%.64s\" has bits set behind its length; clear them, or leave the "
			"length "
			"out for one address",
			json_string_value(text));
	return 0;
}

static bool
is_role(const char *role)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t length = role != NULL ? strlen(role) : 0;

	return length > 0 && length < REGISTRY_ROLE_SIZE && strspn(role, letters) == length &&
	       role[0] != '-' && role[0] != '.';
}

/* Adds to the set, which stays sorted. */
static int
role_add(struct verb_call *call, struct verb_roles *roles, const char *role)
{
	unsigned at = 0;

	while (at < roles->count && strcmp(roles->items[at], role) < 0)
		at++;
	if (at < roles->count && strcmp(roles->items[at], role) == 0)
		return 0;
	if (roles->count == REGISTRY_ROLES_MAX)
		return reason_set(&call->reason, EINVAL,
			"a node has at most %u roles; take one away first", REGISTRY_ROLES_MAX);
	memmove(roles->items[at + 1], roles->items[at],
		(roles->count - at) * sizeof(roles->items[0]));
	snprintf(roles->items[at], sizeof(roles->items[at]), "%s", role);
	roles->count++;
	return 0;
}

static void
role_drop(struct verb_roles *roles, const char *role)
{
	for (unsigned at = 0; at < roles->count; at++)
		if (strcmp(roles->items[at], role) == 0) {
			roles->count--;
			memmove(roles->items[at], roles->items[at + 1],
				(roles->count - at) * sizeof(roles->items[0]));
			return;
		}
}

int
verb_arg_role(struct verb_call *call, const json_t *arg, const char **role)
{
	*role = json_string_value(arg);
	if (is_role(*role))
		return 0;
	return reason_set(&call->reason, EINVAL,
		"\"%.40s\" is no role: use up to %u letters, digits, '.', '_' and '-', and begin "
		"with a letter or digit",
		*role != NULL ? *role : "", REGISTRY_ROLE_SIZE - 1);
}

/* Each role of a list into the set, or out of it. */
static int
roles_apply(struct verb_call *call, const json_t *list, struct verb_roles *roles, bool is_drop)
{
	const json_t *item;
	const char *role;
	size_t i;

	if (list != NULL && !json_is_array(list))
		return verb_fail(call, EINVAL, "roles must be a list of texts");
	json_array_foreach(list, i, item)
	{
		int error = verb_arg_role(call, item, &role);

		if (error == 0 && is_drop)
			role_drop(roles, role);
		else if (error == 0)
			error = role_add(call, roles, role);
		if (error != 0)
			return error;
	}
	return 0;
}

int
verb_arg_roles(struct verb_call *call, struct registry_request *request, struct verb_roles *roles)
{
	const json_t *all = json_object_get(call->args, "roles");
	const json_t *more = json_object_get(call->args, "add_roles");
	const json_t *less = json_object_get(call->args, "drop_roles");
	int error;

	if (all == NULL && more == NULL && less == NULL)
		return 0;
	if (all != NULL)
		roles->count = 0;
	error = roles_apply(call, all, roles, false);
	if (error == 0)
		error = roles_apply(call, less, roles, true);
	if (error == 0)
		error = roles_apply(call, more, roles, false);
	request->roles = (const char(*)[REGISTRY_ROLE_SIZE])roles->items;
	request->role_count = roles->count;
	request->has_roles = true;
	return error;
}

int
verb_arg_prefix(struct verb_call *call, const char *name, struct registry_prefix *prefix)
{
	const json_t *arg = json_object_get(call->args, name);

	return arg != NULL ? prefix_parse(call, arg, prefix) : 0;
}

int
verb_arg_prefixes(struct verb_call *call, struct registry_request *request,
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX])
{
	const json_t *list = json_object_get(call->args, "prefixes"), *text;
	size_t i;

	if (list == NULL)
		return 0;
	if (!json_is_array(list) || json_array_size(list) > TABLE_NODE_PREFIXES_MAX)
		return reason_set(&call->reason, EINVAL,
			"prefixes must be a list of at most %u texts", TABLE_NODE_PREFIXES_MAX);
	json_array_foreach(list, i, text)
	{
		int error = prefix_parse(call, text, &prefixes[i]);

		if (error != 0)
			return error;
	}
	request->prefixes = prefixes;
	request->prefix_count = (unsigned)json_array_size(list);
	request->has_prefixes = true;
	return 0;
}

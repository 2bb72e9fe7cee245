/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about realms. */
#include <limits.h>

#include "ctrl/masters.h"
#include "ctrl/registry_epochs.h"
#include "ctrl/verbs_priv.h"

/* The masters that are loaded. */
static json_t *
masters_json(const struct ctrl *ctrl, unsigned realm_index)
{
	const struct secrets_realm *secrets = &ctrl->secrets[realm_index];
	json_t *list = json_array();
	char path[PATH_MAX];

	for (unsigned i = 0; i < SECRETS_MASTERS_MAX; i++) {
		const struct secrets_master *master = &secrets->masters[i];

		if (master->key == NULL)
			continue;
		masters_path(ctrl, realm_index, master->fingerprint, path);
		json_array_append_new(
			list, json_pack("{s:s, s:s, s:b}", "fingerprint", master->fingerprint,
				      "file", path, "is_current", master->key == secrets->key));
	}
	return list;
}

/* Where the realm's rotation stands; `realm drain` tells more. */
static void
rotation_fill(const struct ctrl *ctrl, unsigned realm_index, json_t *realm)
{
	uint32_t id = ctrl->config->realms[realm_index].id, held = 0;
	struct registry_rotation last = {0};

	registry_rotation_last(ctrl->registry, id, &last, NULL);
	registry_epochs_held(ctrl->registry, id, 0, &held, NULL);
	json_object_set_new(realm, "masters", masters_json(ctrl, realm_index));
	json_object_set_new(realm, "old_keys",
		json_integer((json_int_t)keytable_counts(ctrl->keys, realm_index).extras));
	json_object_set_new(realm, "retired_keys", json_integer((json_int_t)held));
	json_object_set_new(realm, "rotation", json_integer((json_int_t)last.rotation));
}

static int
run_realm_list(struct verb_call *call)
{
	const struct config *config = call->ctrl->config;
	json_t *list = json_array();

	for (unsigned i = 0; i < config->realm_count; i++) {
		const struct config_realm *realm = &config->realms[i];
		struct keytable_counts counts = keytable_counts(call->ctrl->keys, i);
		json_t *item;

		item = json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s}", "name", realm->name,
			"id", (json_int_t)realm->id, "nodes", (json_int_t)counts.live, "revoked",
			(json_int_t)counts.revoked, "nodes_max", (json_int_t)realm->nodes_max,
			"mode", config_mode_text(modes_get(&call->ctrl->modes, config, i)),
			"freshness", config_freshness_text(realm->freshness), "origin",
			config_origin_text(realm->origin));
		rotation_fill(call->ctrl, i, item);
		json_array_append_new(list, item);
	}
	call->result = json_pack("{s:o}", "realms", list);
	return 0;
}

const struct verb verbs_realm[] = {
	{"realm.list", run_realm_list, 0, {NULL}},
	{NULL, NULL, 0, {NULL}},
};

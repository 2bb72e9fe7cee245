/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about realms. */
#include "ctrl/verbs_priv.h"

static int
run_realm_list(struct verb_call *call)
{
	const struct config *config = call->ctrl->config;
	json_t *list = json_array();

	for (unsigned i = 0; i < config->realm_count; i++) {
		const struct config_realm *realm = &config->realms[i];
		struct keytable_counts counts = keytable_counts(call->ctrl->keys, i);

		json_array_append_new(list,
			json_pack("{s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s}", "name", realm->name,
				"id", (json_int_t)realm->id, "nodes", (json_int_t)counts.live,
				"revoked", (json_int_t)counts.revoked, "nodes_max",
				(json_int_t)realm->nodes_max, "mode",
				config_mode_text(modes_get(&call->ctrl->modes, config, i)),
				"freshness", config_freshness_text(realm->freshness), "origin",
				config_origin_text(realm->origin)));
	}
	call->result = json_pack("{s:o}", "realms", list);
	return 0;
}

const struct verb verbs_realm[] = {
	{"realm.list", run_realm_list, 0, {NULL}},
	{NULL, NULL, 0, {NULL}},
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/modes.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/log.h"

int
modes_parse(const char *text)
{
	if (strcmp(text, "configured") == 0)
		return MODES_CONFIGURED;
	for (unsigned i = 0; i < MODES_CONFIGURED; i++)
		if (strcmp(text, config_mode_text((enum table_mode)i)) == 0)
			return (int)i;
	return -EINVAL;
}

/* {"mode": "observe", "why": "..."}: as modes_set writes it. */
static int
setting_parse(struct mode_setting *setting, const struct registry_document *document)
{
	json_t *json = json_loads(document->text, 0, NULL);
	const char *mode = json_string_value(json_object_get(json, "mode"));
	const char *why = json_string_value(json_object_get(json, "why"));
	int number = mode != NULL ? modes_parse(mode) : -EINVAL;

	if (number >= 0 && number != MODES_CONFIGURED) {
		*setting = (struct mode_setting){
			.is_live = true,
			.mode = (enum table_mode)number,
			.since_s = document->added_s,
		};
		snprintf(setting->who, sizeof(setting->who), "%s", document->who);
		snprintf(setting->why, sizeof(setting->why), "%s", why != NULL ? why : "");
	}
	json_decref(json);
	return setting->is_live ? 0 : -EINVAL;
}

int
modes_load(struct modes *modes, const struct config *config, struct registry *registry,
	struct reason *reason)
{
	struct registry_document document;

	memset(modes, 0, sizeof(*modes));
	for (unsigned i = 0; i < config->realm_count; i++) {
		const struct config_realm *realm = &config->realms[i];
		struct mode_setting *setting = &modes->settings[i];
		int error = registry_document_get(
			registry, realm->id, MODES_KIND, 0, &document, reason);

		if (error == -ENOENT)
			continue;
		if (error != 0)
			return error;
		if (setting_parse(setting, &document) != 0)
			log_error(realm->name,
				"the mode that was set live cannot be read; the configuration's "
				"(%s) holds: set it again with credgate realm mode",
				config_mode_text(realm->mode));
		else if (setting->mode != realm->mode)
			log_info(realm->name,
				"mode %s, set live by %s, overrides %s of the configuration",
				config_mode_text(setting->mode), setting->who,
				config_mode_text(realm->mode));
		free(document.text);
	}
	return 0;
}

enum table_mode
modes_get(const struct modes *modes, const struct config *config, unsigned realm_index)
{
	const struct mode_setting *setting = &modes->settings[realm_index];

	return setting->is_live ? setting->mode : config->realms[realm_index].mode;
}

static int
setting_keep(struct registry *registry, uint32_t realm, unsigned mode, const char *who,
	const char *why, struct reason *reason)
{
	json_t *json;
	char *text;
	int error;

	if (mode == MODES_CONFIGURED)
		return registry_document_put(registry, realm, MODES_KIND, NULL, who, NULL, reason);
	json = json_pack("{s:s, s:s}", "mode", config_mode_text((enum table_mode)mode), "why",
		why != NULL ? why : "");
	text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	if (text == NULL)
		return reason_set(reason, ENOMEM, "no memory for the mode");
	error = registry_document_put(registry, realm, MODES_KIND, text, who, NULL, reason);
	free(text);
	return error;
}

int
modes_set(struct modes *modes, const struct config *config, struct registry *registry,
	unsigned realm_index, unsigned mode, const char *who, const char *why,
	struct reason *reason)
{
	struct mode_setting *setting = &modes->settings[realm_index];
	struct registry_document document;
	uint32_t realm = config->realms[realm_index].id;
	int error = setting_keep(registry, realm, mode, who, why, reason);

	if (error != 0)
		return error;
	*setting = (struct mode_setting){0};
	if (mode == MODES_CONFIGURED)
		return 0;
	/* Back from the registry, so that it is what a restart will find. */
	error = registry_document_get(registry, realm, MODES_KIND, 0, &document, reason);
	if (error == 0)
		error = setting_parse(setting, &document);
	free(document.text);
	return error;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What the audit log says about the gateway itself: with which settings and secrets it serves. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/audit.h"
#include "ctrl/ctrl.h"
#include "ctrl/log.h"
#include "ctrl/version.h"

#define DIGEST_SIZE 32u

static void
limits_of(struct audit_limits *limits, const struct config *config)
{
	*limits = (struct audit_limits){
		.file_bytes = (uint64_t)config->audit.file_mb << 20,
		.keep = config->audit.keep,
		.forgets_keys = config->audit.forget_keys,
	};
}

int
gateway_audit_begin(struct ctrl *ctrl, struct reason *reason)
{
	struct audit_limits limits;

	limits_of(&limits, ctrl->config);
	ctrl->audit = audit_open(ctrl->config->state_dir, &limits, reason);
	return ctrl->audit != NULL ? 0 : -reason->error;
}

void
gateway_audit_reload(struct ctrl *ctrl)
{
	struct audit_limits limits;

	limits_of(&limits, ctrl->config);
	audit_limits_set(ctrl->audit, &limits);
}

int
gateway_signature_begin(struct ctrl *ctrl, struct reason *reason)
{
	struct reason why;
	uint64_t serial;
	int error;

	error = signature_rule_load(&ctrl->signature, ctrl->config->state_dir, geteuid(), reason);
	if (error == 0)
		error = signature_config_check(
			&ctrl->signature, ctrl->config, ctrl->caller.uid, &serial, reason);
	if (error != 0)
		audit_note(ctrl->audit, "gateway.refused", reason->text, NULL);
	else if (signature_rule_accept(&ctrl->signature, SIGNATURE_FOR_CONFIG, serial, &why) != 0)
		log_warning("signature", "%s", why.text);
	return error;
}

/* ---- notes ---- */

json_t *
gateway_config_digest(const struct config *config)
{
	char hex[2 * CONFIG_DIGEST_SIZE + 1];

	sodium_bin2hex(hex, sizeof(hex), config->digest, sizeof(config->digest));
	return json_string(hex);
}

/* The newest policy of a realm, by number and digest; NULL: it has none. */
static json_t *
policy_make(const struct ctrl *ctrl, uint32_t realm)
{
	struct registry_document document;
	uint8_t digest[DIGEST_SIZE];
	char hex[2 * DIGEST_SIZE + 1];
	json_t *policy;

	if (registry_document_get(ctrl->registry, realm, "policy", 0, &document, NULL) != 0)
		return NULL;
	crypto_generichash(digest, sizeof(digest), (const unsigned char *)document.text,
		strlen(document.text), NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), digest, sizeof(digest));
	policy = json_pack("{s:I, s:s}", "version", (json_int_t)document.version, "digest", hex);
	free(document.text);
	return policy;
}

static json_t *
realm_make(const struct ctrl *ctrl, unsigned index)
{
	const struct config_realm *realm = &ctrl->config->realms[index];
	json_t *item = json_pack("{s:I, s:s, s:s}", "id", (json_int_t)realm->id, "mode",
		config_mode_text(modes_get(&ctrl->modes, ctrl->config, index)), "fingerprint",
		ctrl->secrets[index].fingerprint);

	json_object_set_new(item, "policy", policy_make(ctrl, realm->id));
	return item;
}

void
gateway_note_start(struct ctrl *ctrl)
{
	const struct config *config = ctrl->config;

	audit_note(ctrl->audit, "gateway.start", NULL,
		json_pack("{s:s, s:I, s:s, s:o, s:i, s:b}", "version", CTRL_VERSION_TEXT, "pid",
			(json_int_t)getpid(), "config", config->path, "digest",
			gateway_config_digest(config), "realms", (int)config->realm_count, "signed",
			ctrl->signature.has_key));
	/* A line each: there may be many. */
	for (unsigned i = 0; i < config->realm_count; i++) {
		json_t *item = realm_make(ctrl, i);

		json_object_set_new(item, "realm", json_string(config->realms[i].name));
		audit_note(ctrl->audit, "gateway.realm", NULL, item);
	}
}

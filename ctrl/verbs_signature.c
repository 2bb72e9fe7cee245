/* SPDX-License-Identifier: BSD-3-Clause */
/* Verbs about signatures that configuration and policies must have. */
#include <errno.h>
#include <string.h>

#include "ctrl/signature.h"
#include "ctrl/verbs_priv.h"

static json_t *
serials_make(const struct signature_rule *rule)
{
	json_t *serials = json_object();

	for (unsigned i = 0; i < rule->serial_count; i++)
		json_object_set_new(serials, rule->serials[i].purpose,
			json_integer((json_int_t)(rule->serials[i].serial & INT64_MAX)));
	return serials;
}

static int
run_signature_show(struct verb_call *call)
{
	const struct signature_rule *rule = &call->ctrl->signature;
	char key[SIGNATURE_KEY_TEXT_SIZE + 1];

	signature_public_text(key, rule->key);
	call->result = json_pack("{s:s?, s:s?, s:o}", "gateway",
		rule->gateway[0] != '\0' ? rule->gateway : NULL, "public_key",
		rule->has_key ? key : NULL, "serials", serials_make(rule));
	return 0;
}

/* An admin could lock the owner out with a key of his own. */
static int
asker_check(struct verb_call *call)
{
	const struct peer *peer = call->peer;

	if (peer != NULL && (peer->uid == 0 || peer->uid == call->ctrl->config->control.uid))
		return 0;
	return verb_fail(call, EPERM, "only root and the control user may require signatures");
}

static int
run_signature_require(struct verb_call *call)
{
	struct signature_rule *rule = &call->ctrl->signature;
	uint8_t key[SIGNATURE_PUBLIC_SIZE];
	const char *text, *signature;
	bool is_none;
	int error;

	error = asker_check(call);
	if (error == 0)
		error = verb_arg_text(call, "public_key", &text);
	if (error == 0)
		error = verb_arg_text(call, "signature", &signature);
	if (error != 0)
		return error;
	is_none = text != NULL && strcmp(text, "none") == 0;
	if (!is_none && (text == NULL || signature_public_parse(key, text) != 0))
		return verb_fail(call, EINVAL,
			"public_key must be a key CGP1:...: as credgate sign keygen writes it, or "
			"none");
	error = signature_rule_set(rule, is_none ? NULL : key, signature, &call->reason);
	return error != 0 ? error : run_signature_show(call);
}

const struct verb verbs_signature[] = {
	{"signature.show", run_signature_show, 0, {NULL}},
	{"signature.require", run_signature_require, VERB_CHANGES,
		{"public_key", "signature", NULL}},
	{NULL, NULL, 0, {NULL}},
};

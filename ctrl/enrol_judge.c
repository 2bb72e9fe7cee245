/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/enrol_judge.h"

#include <ctype.h>
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypto/join.h"
#include "crypto/kdf.h"
#include "ctrl/address.h"
#include "ctrl/audit.h"
#include "ctrl/clock.h"
#include "ctrl/ctrl.h"
#include "ctrl/registry_codes.h"

#define NOTE_EACH_US 1000000u

/* One request on its way through. */
struct joining {
	struct enrol_judge *judge;
	struct ctrl *ctrl;
	const uint8_t *bytes;
	const uint8_t *source;
	char place[ADDRESS_TEXT_SIZE];
	struct join_request request;
	struct registry_code code;
	struct join_code secret;
	unsigned realm_index;
	struct reason reason;
};

/* ---- answers ---- */

static void
answer_refused(struct enrol_answer *answer)
{
	join_plain_build(answer->bytes, JOIN_REFUSED, 0);
	answer->size = JOIN_PLAIN_SIZE;
}

static void
answer_sealed(const struct joining *joining, struct join_body *body, struct enrol_answer *answer)
{
	uint8_t secret[JOIN_PUBLIC_SIZE];

	snprintf(body->name, sizeof(body->name), "%s", joining->code.name);
	for (char *c = body->text; *c != '\0'; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
	randombytes_buf(secret, sizeof(secret));
	if (join_answer_seal(answer->bytes, body, joining->bytes, &joining->secret,
		    enrol_key_secret(&joining->judge->key), secret) == 0)
		answer->size = JOIN_SEALED_SIZE;
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(body, sizeof(*body));
}

__attribute__((format(printf, 4, 5))) static void
answer_status(const struct joining *joining, struct enrol_answer *answer, enum join_status status,
	const char *format, ...)
{
	struct join_body body = {.status = status};
	va_list args;

	va_start(args, format);
	vsnprintf(body.text, sizeof(body.text), format, args);
	va_end(args);
	answer_sealed(joining, &body, answer);
}

/* ---- what is told ---- */

static const struct config_realm *
realm_of(const struct joining *joining)
{
	return &joining->ctrl->config->realms[joining->realm_index];
}

static void
joined_note(const struct joining *joining, const struct registry_node *node)
{
	const struct config_realm *realm = realm_of(joining);

	log_info(realm->name, "node %s joined from %s: node %u, epoch %u; %s had invited it",
		node->name, joining->place, node->node, node->epochs[0].epoch, joining->code.who);
	audit_note(joining->ctrl->audit, "node.join", NULL,
		json_pack("{s:s, s:s, s:I, s:i, s:s, s:s}", "realm", realm->name, "name",
			node->name, "node", (json_int_t)node->node, "epoch", node->epochs[0].epoch,
			"source", joining->place, "invited_by", joining->code.who));
}

/* What somebody without the right to it could write again and again has a bound in time. */
static void
refusal_note(const struct joining *joining, const char *why)
{
	uint64_t now_us = clock_mono_us();

	if (joining->judge->noted_us != 0 && now_us - joining->judge->noted_us < NOTE_EACH_US)
		return;
	joining->judge->noted_us = now_us;
	audit_note(joining->ctrl->audit, "node.join.refused", why,
		json_pack("{s:s, s:s, s:s}", "realm", realm_of(joining)->name, "name",
			joining->code.name, "source", joining->place));
}

/* ---- the key ---- */

static void
answer_key(const struct joining *joining, const struct registry_node *node,
	const struct registry_epoch *epoch, struct enrol_answer *answer)
{
	const struct secrets_realm *secrets = &joining->ctrl->secrets[joining->realm_index];
	int master = secrets_master_find(secrets, epoch->master);
	struct join_body body = {
		.status = JOIN_WELCOME,
		.key = {node->realm, node->node, epoch->epoch, epoch->suite, {0}},
	};

	if (master < 0) {
		answer_status(joining, answer, JOIN_FAILED,
			"the master secret of the key is not in service any more");
		return;
	}
	kdf_node(body.key.key, secrets->masters[master].key, node->node, epoch->epoch);
	snprintf(body.text, sizeof(body.text), "realm %s", realm_of(joining)->name);
	answer_sealed(joining, &body, answer);
}

/* Place and roles that the code says; a node that is there keeps its own where it says nothing. */
static void
request_place(const struct joining *joining, struct registry_prefix *own,
	struct registry_request *request)
{
	const struct registry_code *code = &joining->code;

	request->prefixes = code->prefixes;
	request->prefix_count = code->prefix_count;
	if (code->binds_address) {
		memcpy(own->address, joining->source, sizeof(own->address));
		own->bits = 128;
		request->prefixes = own;
		request->prefix_count = 1;
	}
	request->has_prefixes = request->prefix_count > 0;
	request->roles = code->roles;
	request->role_count = code->role_count;
	request->has_roles = code->role_count > 0;
}

/* A further epoch for a node that is live: it was imaged anew, or lost its key. */
static int
node_again(struct joining *joining, struct registry_request *request, struct registry_node *node)
{
	uint32_t until_s = joining->code.closes_old ? (uint32_t)time(NULL) : UINT32_MAX;
	int error = 0;

	if (request->suite == 0 && node->epoch_count > 0)
		request->suite = node->epochs[0].suite;
	if (request->has_prefixes || request->has_roles)
		error = nodes_set(
			joining->ctrl, joining->realm_index, request, node, &joining->reason);
	if (error != 0)
		return error;
	return nodes_rotate(
		joining->ctrl, joining->realm_index, request, until_s, node, &joining->reason);
}

/* Gives the node of the claimed code its key. */
static int
node_give(struct joining *joining, struct registry_node *node)
{
	const struct config_realm *realm = realm_of(joining);
	struct registry_request request = {
		.name = joining->code.name,
		.suite = joining->code.suite,
	};
	struct registry_prefix own;
	int error;

	request_place(joining, &own, &request);
	error = registry_node_find(joining->ctrl->registry, realm->id, realm->name, request.name, 0,
		node, &joining->reason);
	if (error != 0 && error != -ENOENT)
		return error;
	if (error == 0 && node->is_live)
		error = node_again(joining, &request, node);
	else
		error = nodes_add(
			joining->ctrl, joining->realm_index, &request, node, &joining->reason);
	if (error == 0)
		error = registry_code_done(joining->ctrl->registry, joining->code.id, node->node,
			node->epochs[0].epoch, &joining->reason);
	return error;
}

static void
answer_failed(const struct joining *joining, struct enrol_answer *answer)
{
	log_error(realm_of(joining)->name, "node %s cannot join from %s: %s", joining->code.name,
		joining->place, joining->reason.text);
	answer_status(joining, answer, JOIN_FAILED, "%s", joining->reason.text);
}

/* The code is this node's now, durably: what follows may fail and be asked for again. */
static void
claimed_serve(struct joining *joining, struct enrol_answer *answer)
{
	struct registry_node node;

	if (node_give(joining, &node) != 0) {
		answer_failed(joining, answer);
		return;
	}
	joined_note(joining, &node);
	answer->is_changed = true;
	answer_key(joining, &node, &node.epochs[0], answer);
}

/* The answer was lost on its way: the same key once more, while it holds. */
static void
claimed_repeat(struct joining *joining, struct enrol_answer *answer)
{
	const struct config_realm *realm = realm_of(joining);
	struct registry_node node;

	if (registry_node_find(joining->ctrl->registry, realm->id, realm->name, NULL,
		    joining->code.node, &node, &joining->reason) == 0)
		for (unsigned i = 0; i < node.epoch_count; i++)
			if (node.epochs[i].epoch == joining->code.epoch) {
				answer_key(joining, &node, &node.epochs[i], answer);
				return;
			}
	answer_status(joining, answer, JOIN_SPENT,
		"the key that this code gave is closed; ask for a new code");
}

/* ---- the decision ---- */

static bool
is_in_place(const struct joining *joining)
{
	for (unsigned i = 0; i < joining->code.prefix_count; i++) {
		const struct registry_prefix *prefix = &joining->code.prefixes[i];

		if (address_is_in(joining->source, prefix->address, prefix->bits))
			return true;
	}
	return joining->code.prefix_count == 0;
}

/* What a code that is proved is still not good for; nothing is spent by that. */
static bool
open_refuse(struct joining *joining, struct enrol_answer *answer)
{
	const struct registry_code *code = &joining->code;
	const char *name = joining->request.name;

	if (name[0] != '\0' && strcmp(name, code->name) != 0) {
		log_limited(&joining->judge->strangers, realm_of(joining)->name,
			"%s asked to join as %s with the code of %s, and was refused",
			joining->place, name, code->name);
		answer_status(
			joining, answer, JOIN_WRONG_NAME, "the code is for node %s", code->name);
		return true;
	}
	if (!is_in_place(joining)) {
		log_limited(&joining->judge->strangers, realm_of(joining)->name,
			"%s asked to join as %s, whose code is for other addresses", joining->place,
			code->name);
		answer_status(joining, answer, JOIN_WRONG_PLACE,
			"the code is not for %s, whence the gateway sees the request come",
			joining->place);
		return true;
	}
	return false;
}

static void
open_judge(struct joining *joining, struct enrol_answer *answer)
{
	if (open_refuse(joining, answer))
		return;
	if (registry_code_claim(joining->ctrl->registry, joining->code.id, joining->request.public,
		    joining->source, &joining->reason) != 0) {
		answer_failed(joining, answer);
		return;
	}
	answer->is_honest = true;
	claimed_serve(joining, answer);
}

static void
claimed_judge(struct joining *joining, struct enrol_answer *answer)
{
	const struct registry_code *code = &joining->code;
	char first[ADDRESS_TEXT_SIZE];

	if (sodium_memcmp(code->public, joining->request.public, JOIN_PUBLIC_SIZE) == 0) {
		if (code->epoch != 0)
			claimed_repeat(joining, answer);
		else
			claimed_serve(joining, answer);
		return;
	}
	address_format(first, code->source, 128, 1);
	log_limited(&joining->judge->strangers, realm_of(joining)->name,
		"%s knows the join code of %s, which %s used: one of them should not have it; if "
		"that was not %s, revoke it: credgate node revoke %s %s",
		joining->place, code->name, first, code->name, realm_of(joining)->name, code->name);
	refusal_note(joining, "the join code was used with another key before");
	answer_status(joining, answer, JOIN_SPENT,
		"the code was used from %s with another key; if that was not you, say so at once",
		first);
}

static void
wrong_proof(struct joining *joining)
{
	struct registry_code *code = &joining->code;

	if (registry_code_wrong(joining->ctrl->registry, code->id, &joining->reason) != 0)
		log_limited(&joining->judge->strangers, "enrol", "%s", joining->reason.text);
	code->wrong++;
	log_limited(&joining->judge->strangers, realm_of(joining)->name,
		"%s asked with the id of the join code of %s but without its secret (%u of %u)%s",
		joining->place, code->name, code->wrong, REGISTRY_CODE_WRONG_MAX,
		code->wrong >= REGISTRY_CODE_WRONG_MAX
			? ": the code is burnt, invite the node again"
			: "");
	if (code->wrong >= REGISTRY_CODE_WRONG_MAX)
		refusal_note(joining, "the join code is burnt: too many wrong proofs");
}

/* Is there such a code, and is its time not over? A clock that was put back ends it, too. */
static bool
code_find(struct joining *joining)
{
	const struct config *config = joining->ctrl->config;
	struct registry_code *code = &joining->code;
	int64_t now_s = (int64_t)time(NULL);

	if (registry_code_find(
		    joining->ctrl->registry, joining->request.id, code, &joining->reason) != 1 ||
		code->realm != joining->request.realm || code->state == REGISTRY_CODE_BURNT ||
		now_s < code->made_s || now_s >= code->expires_s)
		return false;
	for (unsigned i = 0; i < config->realm_count; i++)
		if (config->realms[i].id == code->realm) {
			joining->realm_index = i;
			return true;
		}
	return false;
}

static void
judge_request(struct joining *joining, struct enrol_answer *answer)
{
	if (!code_find(joining)) {
		log_limited(&joining->judge->strangers, "enrol", "%s has no join code that holds",
			joining->place);
		answer_refused(answer);
		return;
	}
	enrol_key_code(
		&joining->judge->key, &joining->secret, joining->code.id, joining->code.realm);
	if (join_request_prove(joining->bytes, &joining->secret,
		    enrol_key_secret(&joining->judge->key)) == 0) {
		wrong_proof(joining);
		answer_refused(answer);
	} else if (joining->code.state == REGISTRY_CODE_OPEN) {
		open_judge(joining, answer);
	} else {
		claimed_judge(joining, answer);
	}
}

void
enrol_judge(struct enrol_judge *judge, const uint8_t *request, size_t size,
	const uint8_t source[16], struct enrol_answer *answer)
{
	struct joining joining = {
		.judge = judge,
		.ctrl = judge->ctrl,
		.bytes = request,
		.source = source,
	};

	memset(answer, 0, sizeof(*answer));
	if (join_request_parse(&joining.request, request, size) != 0)
		return;
	address_format(joining.place, source, 128, 1);
	judge_request(&joining, answer);
	sodium_memzero(&joining.secret, sizeof(joining.secret));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/policies.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/ctrl.h"
#include "ctrl/log.h"
#include "ctrl/rate_limits.h"
#include "ctrl/whitelist.h"

#define COMPLAINTS_MAX 10u

static_assert(POLICY_LIMIT_TEXT_SIZE == LIMITS_NAME_SIZE, "limits_give");

/* What of a node decides its class, in few bytes: a table may have two million of them. */
struct subject {
	bool is_suspended;
	uint8_t role_count;
	char texts[]; /* its name, then its roles, each NUL-terminated */
};

struct realm_policy {
	struct policy *policy;
	uint32_t version;
	bool is_fallback;
};

struct policies {
	struct realm_policy realms[TABLE_REALMS_MAX];
	struct policy_image *image;
	struct subject **subjects; /* by slot; NULL: no live node */
	uint16_t *classes;         /* by slot: those that are about to be */
	uint32_t slot_count;
	unsigned complaints; /* nodes without a class since the last refresh */
};

/* ---- what the rest of the gateway says ---- */

static enum table_mode
mode_of(const struct ctrl *ctrl, unsigned realm_index)
{
	return modes_get(&ctrl->modes, ctrl->config, realm_index);
}

/* Shares are divided before a worker can meet the limit. */
static void
limits_give(struct ctrl *ctrl, const struct policy_image *image)
{
	struct limits_entry entries[TABLE_LIMITS_MAX] = {0};
	struct policy_shared shared[TABLE_LIMITS_MAX];
	unsigned count = policy_image_limits(image, shared);

	for (unsigned i = 1; i < count; i++) {
		if (!shared[i].is_used)
			continue;
		memcpy(entries[i].name, shared[i].text, sizeof(entries[i].name));
		entries[i].realm_index = shared[i].realm_index;
		entries[i].rate = shared[i].rate;
		entries[i].burst = shared[i].burst;
	}
	limits_set(ctrl->limits, entries, count);
}

/* ---- subjects ---- */

static struct subject *
subject_make(const struct registry_node *node)
{
	size_t size = strlen(node->name) + 1;
	struct subject *subject;
	char *at;

	for (unsigned i = 0; i < node->role_count; i++)
		size += strlen(node->roles[i]) + 1;
	subject = malloc(sizeof(*subject) + size);
	if (subject == NULL)
		return NULL;
	subject->is_suspended = node->is_suspended;
	subject->role_count = (uint8_t)node->role_count;
	at = stpcpy(subject->texts, node->name) + 1;
	for (unsigned i = 0; i < node->role_count; i++)
		at = stpcpy(at, node->roles[i]) + 1;
	return subject;
}

/* The class of one node in an image. */
static int
class_of(const struct ctrl *ctrl, struct policy_image *image, unsigned realm_index,
	const struct subject *subject, uint16_t *class, struct reason *reason)
{
	const char *roles[REGISTRY_ROLES_MAX];
	const char *at = subject->texts;
	struct policy_subject whom = {
		.name = subject->texts,
		.roles = roles,
		.role_count = subject->role_count,
		.is_suspended = subject->is_suspended,
		.is_unlisted = !whitelist_has(ctrl->whitelists, realm_index, subject->texts),
	};

	for (unsigned i = 0; i < subject->role_count; i++) {
		at += strlen(at) + 1;
		roles[i] = at;
	}
	return policy_node_class(image, realm_index, &whom, class, reason);
}

/* ---- images ---- */

/* Which policy each realm is to have; only `realm_index` another than now. */
static struct policy_image *
image_make(
	struct ctrl *ctrl, unsigned realm_index, const struct policy *policy, struct reason *reason)
{
	struct policies *policies = ctrl->policies;
	struct policy_image *image = policy_image_create(policies->image);
	int error = 0;

	if (image == NULL)
		reason_set(reason, ENOMEM, "no memory for the rules");
	for (unsigned i = 0; image != NULL && error == 0 && i < ctrl->config->realm_count; i++)
		error = policy_image_realm(image, i, &ctrl->config->realms[i], mode_of(ctrl, i),
			i == realm_index ? policy : policies->realms[i].policy, reason);
	if (error == 0)
		return image;
	policy_image_destroy(image);
	return NULL;
}

/* The class of every node in `image`, kept aside until it is in force. */
static int
classes_make(struct ctrl *ctrl, struct policy_image *image, struct reason *reason)
{
	struct policies *policies = ctrl->policies;
	int error = 0;

	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		for (uint32_t node = 1; error == 0 && node <= ctrl->config->realms[i].nodes_max;
			node++) {
			uint32_t slot = ctrl->bases[i] + node;

			if (policies->subjects[slot] != NULL)
				error = class_of(ctrl, image, i, policies->subjects[slot],
					&policies->classes[slot], reason);
		}
	return error;
}

/* An image with the classes of all nodes; NULL with the reason, and nothing changed. */
static struct policy_image *
image_compile(
	struct ctrl *ctrl, unsigned realm_index, const struct policy *policy, struct reason *reason)
{
	struct policy_image *image = image_make(ctrl, realm_index, policy, reason);

	if (image == NULL || classes_make(ctrl, image, reason) == 0)
		return image;
	policy_image_destroy(image);
	return NULL;
}

static void
rules_give(struct ctrl *ctrl)
{
	if (!policy_image_is_changed(ctrl->policies->image))
		return;
	keytable_rules_set(ctrl->keys, policy_image_rules(ctrl->policies->image));
	limits_give(ctrl, ctrl->policies->image);
}

/* Rules and classes come in force with one generation: whoever publishes, publishes both. */
static void
image_take(struct ctrl *ctrl, struct policy_image *image)
{
	struct policies *policies = ctrl->policies;

	policy_image_destroy(policies->image);
	policies->image = image;
	policies->complaints = 0;
	rules_give(ctrl);
	for (unsigned i = 0; i < ctrl->config->realm_count; i++)
		for (uint32_t node = 1; node <= ctrl->config->realms[i].nodes_max; node++) {
			uint32_t slot = ctrl->bases[i] + node;

			if (policies->subjects[slot] != NULL)
				keytable_class_set(ctrl->keys, i, node, policies->classes[slot]);
		}
}

int
policies_refresh(struct ctrl *ctrl, struct reason *reason)
{
	struct policy_image *image = image_compile(ctrl, UINT32_MAX, NULL, reason);

	if (image == NULL)
		return -ENOSPC;
	image_take(ctrl, image);
	return 0;
}

/* ---- one node ---- */

/* What an image holds of classes that nobody has any more is free in a new one. */
static int
class_find(struct ctrl *ctrl, unsigned realm_index, const struct subject *subject, uint16_t *class,
	struct reason *reason)
{
	struct policies *policies = ctrl->policies;
	int error = class_of(ctrl, policies->image, realm_index, subject, class, reason);

	if (error == 0 || policies->complaints > 0)
		return error;
	error = policies_refresh(ctrl, reason);
	return error != 0 ? error
			  : class_of(ctrl, policies->image, realm_index, subject, class, reason);
}

static void
class_complain(struct ctrl *ctrl, unsigned realm_index, const char *name, const char *why)
{
	if (++ctrl->policies->complaints <= COMPLAINTS_MAX)
		log_error(ctrl->config->realms[realm_index].name,
			"node %s is denied everything, for its class cannot be made: %s", name,
			why);
}

void
policies_node(struct ctrl *ctrl, unsigned realm_index, const struct registry_node *node)
{
	struct policies *policies = ctrl->policies;
	uint32_t slot = ctrl->bases[realm_index] + node->node;
	uint16_t class = POLICY_CLASS_DENY;
	struct subject *subject;
	struct reason reason = {.text = "no memory"};

	if (node->node == 0 || node->node > ctrl->config->realms[realm_index].nodes_max)
		return;
	subject = subject_make(node);
	free(policies->subjects[slot]);
	policies->subjects[slot] = subject;
	if (subject == NULL || class_find(ctrl, realm_index, subject, &class, &reason) != 0) {
		class_complain(ctrl, realm_index, node->name, reason.text);
		class = POLICY_CLASS_DENY;
	}
	rules_give(ctrl);
	keytable_class_set(ctrl->keys, realm_index, node->node, class);
}

void
policies_forget(struct ctrl *ctrl, unsigned realm_index, uint32_t node)
{
	uint32_t slot = ctrl->bases[realm_index] + node;

	if (node == 0 || node > ctrl->config->realms[realm_index].nodes_max)
		return;
	free(ctrl->policies->subjects[slot]);
	ctrl->policies->subjects[slot] = NULL;
}

/* ---- changes ---- */

static int
policy_read(const char *path, const char *text, struct policy **policy, struct reason *reason)
{
	*policy = NULL;
	if (text == NULL)
		return 0;
	*policy = policy_parse(path, text, strlen(text), reason);
	return *policy != NULL ? 0 : -EINVAL;
}

int
policies_try(struct ctrl *ctrl, unsigned realm_index, const char *path, const char *text,
	struct policy_sizes *sizes, struct reason *reason)
{
	struct policy_image *image = NULL;
	struct policy *policy;
	int error = policy_read(path, text, &policy, reason);

	if (error == 0)
		image = image_compile(ctrl, realm_index, policy, reason);
	if (image != NULL)
		*sizes = policy_image_sizes(image);
	else if (error == 0)
		error = -ENOSPC;
	policy_image_destroy(image);
	policy_destroy(policy);
	return error;
}

/* Durable first: what is in force is always what the registry has. */
int
policies_apply(struct ctrl *ctrl, unsigned realm_index, const char *path, const char *text,
	const char *who, uint32_t *version, struct reason *reason)
{
	struct realm_policy *realm = &ctrl->policies->realms[realm_index];
	struct policy_image *image = NULL;
	struct policy *policy;
	int error = policy_read(path, text, &policy, reason);

	if (error == 0) {
		image = image_compile(ctrl, realm_index, policy, reason);
		error = image != NULL ? 0 : -ENOSPC;
	}
	if (error == 0)
		error = registry_document_put(ctrl->registry, ctrl->config->realms[realm_index].id,
			POLICIES_KIND, text, who, version, reason);
	if (error != 0) {
		policy_image_destroy(image);
		policy_destroy(policy);
		return error;
	}
	image_take(ctrl, image);
	policy_destroy(realm->policy);
	*realm = (struct realm_policy){.policy = policy, .version = policy ? *version : 0};
	return 0;
}

/* ---- start ---- */

/* A policy under which no rule concerns anybody. */
static struct policy *
policy_without_rules(void)
{
	struct policy *policy = calloc(1, sizeof(*policy));

	if (policy != NULL)
		policy->has_rules = true;
	return policy;
}

/* Takes a version if it compiles; else says why not. */
static int
version_take(struct ctrl *ctrl, unsigned realm_index, const struct registry_document *document)
{
	struct realm_policy *realm = &ctrl->policies->realms[realm_index];
	const char *name = ctrl->config->realms[realm_index].name;
	struct policy_image *image = NULL;
	struct policy *policy;
	struct reason reason;
	char path[64];

	snprintf(path, sizeof(path), "policy version %u", document->version);
	if (policy_read(path, document->text, &policy, &reason) == 0)
		image = image_make(ctrl, realm_index, policy, &reason);
	if (image == NULL) {
		log_error(name,
			"%s no longer compiles, so an older one is looked for; mend it and apply "
			"it again: %s",
			path, reason.text);
		policy_destroy(policy);
		realm->is_fallback = true;
		return -EINVAL;
	}
	policy_image_destroy(ctrl->policies->image);
	ctrl->policies->image = image;
	realm->policy = policy;
	realm->version = document->version;
	return 0;
}

/* The newest version that compiles; a removal ends the search. */
static int
realm_load(struct ctrl *ctrl, unsigned realm_index, struct reason *reason)
{
	struct realm_policy *realm = &ctrl->policies->realms[realm_index];
	uint32_t id = ctrl->config->realms[realm_index].id, version = 0;
	struct registry_document document;
	int error;

	do {
		error = registry_document_get(
			ctrl->registry, id, POLICIES_KIND, version, &document, reason);
		if (error != 0)
			break;
		version = document.version - 1;
		error = version_take(ctrl, realm_index, &document);
		free(document.text);
	} while (error != 0 && version > 0);
	if (error == 0 || !realm->is_fallback)
		return error == -ENOENT ? 0 : error;
	log_error(ctrl->config->realms[realm_index].name,
		"no version of its policy compiles: no rule holds, and mode enforce denies "
		"everything; apply a good one");
	realm->policy = policy_without_rules();
	return realm->policy != NULL ? 0 : reason_set(reason, ENOMEM, "no memory for a policy");
}

int
policies_begin(struct ctrl *ctrl, struct reason *reason)
{
	struct policies *policies = calloc(1, sizeof(*policies));
	int error = 0;

	ctrl->policies = policies;
	if (policies == NULL)
		return reason_set(reason, ENOMEM, "no memory for policies");
	policies->slot_count = ctrl->shared.shape.slot_count;
	policies->subjects = calloc(policies->slot_count, sizeof(*policies->subjects));
	policies->classes = calloc(policies->slot_count, sizeof(*policies->classes));
	if (policies->subjects == NULL || policies->classes == NULL)
		return reason_set(reason, ENOMEM, "no memory for policies");
	for (unsigned i = 0; error == 0 && i < ctrl->config->realm_count; i++)
		error = realm_load(ctrl, i, reason);
	return error != 0 ? error : policies_refresh(ctrl, reason);
}

void
policies_end(struct ctrl *ctrl)
{
	struct policies *policies = ctrl->policies;

	if (policies == NULL)
		return;
	policy_image_destroy(policies->image);
	for (unsigned i = 0; i < TABLE_REALMS_MAX; i++)
		policy_destroy(policies->realms[i].policy);
	for (uint32_t i = 0; policies->subjects != NULL && i < policies->slot_count; i++)
		free(policies->subjects[i]);
	free(policies->subjects);
	free(policies->classes);
	free(policies);
	ctrl->policies = NULL;
}

/* ---- what there is to see ---- */

struct policies_view
policies_view(const struct ctrl *ctrl, unsigned realm_index)
{
	const struct realm_policy *realm = &ctrl->policies->realms[realm_index];

	return (struct policies_view){
		.policy = realm->policy,
		.version = realm->version,
		.is_fallback = realm->is_fallback,
		.mode = mode_of(ctrl, realm_index),
	};
}

struct policy_sizes
policies_sizes(const struct ctrl *ctrl)
{
	return policy_image_sizes(ctrl->policies->image);
}

void
policies_warn(const struct ctrl *ctrl, unsigned realm_index,
	void (*each)(void *context, unsigned line, const char *text), void *context)
{
	const struct policy_image *image = ctrl->policies->image;
	const struct policy *policy = ctrl->policies->realms[realm_index].policy;

	for (unsigned i = 0; policy != NULL && i < policy->rule_count; i++)
		if (!policy_image_rule_is_met(image, realm_index, i))
			each(context, policy->rules[i].line,
				"concerns no node of the registry; are its nodes and roles right?");
	for (unsigned i = 0; policy != NULL && i < policy->limit_count; i++)
		if (policy->limits[i].kind != POLICY_LIMIT_DEFAULT &&
			!policy_image_limit_is_met(image, realm_index, i))
			each(context, policy->limits[i].line,
				"concerns no node of the registry; is its node or role right?");
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/policy_explain.h"

#include <stdlib.h>
#include <string.h>

#include "ctrl/address.h"

#define WHY_SIZE 160

enum match {
	MATCH_NO,
	MATCH_MAYBE,
	MATCH_YES,
};

static const char *const match_texts[] = {"no", "maybe", "yes"};
static const char *const kind_texts[] = {"assert", "beacon", "ask"};

/* How one part of a rule answers; the first no is why, else what is open. */
struct answer {
	enum match match;
	char why[WHY_SIZE];
};

static void __attribute__((format(printf, 3, 4)))
answer_add(struct answer *answer, enum match match, const char *format, ...)
{
	size_t size = strlen(answer->why);
	va_list arguments;

	if (match == MATCH_YES || answer->match == MATCH_NO)
		return;
	if (match == MATCH_NO)
		size = 0;
	else if (size > 0)
		size += (size_t)snprintf(answer->why + size, WHY_SIZE - size, "; ");
	answer->match = match;
	if (size >= WHY_SIZE)
		return;
	va_start(arguments, format);
	vsnprintf(answer->why + size, WHY_SIZE - size, format, arguments);
	va_end(arguments);
}

/* ---- the parts of a rule ---- */

static bool
texts_have(const struct policy_texts *texts, const char *text)
{
	for (unsigned i = 0; i < texts->count; i++)
		if (strcmp(texts->items[i], text) == 0)
			return true;
	return false;
}

static bool
nodes_have(const struct policy_texts *nodes, const char *name)
{
	struct policy_names *names = policy_names_create();
	uint64_t list = 0;

	for (unsigned i = 0; names != NULL && i < nodes->count; i++)
		policy_names_add(names, nodes->items[i], 0);
	if (names != NULL)
		policy_names_find(names, name, &list);
	policy_names_destroy(names);
	return list != 0;
}

static void
nodes_ask(struct answer *answer, const struct policy_texts *nodes, const char *name)
{
	if (!nodes->is_given)
		return;
	if (nodes->count == 0)
		answer_add(answer, MATCH_NO, "its list of nodes is empty");
	else if (name == NULL)
		answer_add(answer, MATCH_MAYBE, "it asks for the node");
	else if (!nodes_have(nodes, name))
		answer_add(answer, MATCH_NO, "node %s is none of its nodes", name);
}

static void
roles_ask(struct answer *answer, const struct policy_texts *roles,
	const struct policy_question *question)
{
	bool has_one = false;

	for (unsigned i = 0; i < question->role_count; i++)
		has_one |= texts_have(roles, question->roles[i]);
	if (!roles->is_given || has_one)
		return;
	if (roles->count == 0)
		answer_add(answer, MATCH_NO, "its list of roles is empty");
	else if (!question->has_roles)
		answer_add(answer, MATCH_MAYBE, "it asks for the node's roles");
	else if (question->role_count == 0)
		answer_add(answer, MATCH_NO, "the node has no role");
	else
		answer_add(answer, MATCH_NO, "the node has none of its roles");
}

static void
audience_ask(struct answer *answer, const struct policy_texts *audiences, const char *name)
{
	if (!audiences->is_given)
		return;
	if (audiences->count == 0)
		answer_add(answer, MATCH_NO, "its list of audiences is empty");
	else if (name == NULL)
		answer_add(answer, MATCH_MAYBE, "it asks for the audience");
	else if (!texts_have(audiences, name))
		answer_add(answer, MATCH_NO, "audience %.32s is none of its audiences", name);
}

static void
from_ask(struct answer *answer, const struct policy_prefixes *from,
	const struct policy_question *question)
{
	if (!from->is_given)
		return;
	for (unsigned i = 0; i < from->count; i++) {
		const struct registry_prefix *prefix = &from->items[i];

		if (prefix->bits == 0 ||
			(question->has_origin &&
				address_is_in(question->origin, prefix->address, prefix->bits)))
			return;
	}
	if (question->has_origin || from->count == 0)
		answer_add(answer, MATCH_NO, "the origin lies in none of its prefixes");
	else
		answer_add(answer, MATCH_MAYBE, "it asks for the origin");
}

static void
ids_ask(struct answer *answer, const struct policy_ranges *ranges, const char *what, bool has_id,
	uint32_t id)
{
	bool is_all = ranges->count == 1 && ranges->items[0].first == 0 &&
		      ranges->items[0].last == UINT32_MAX;

	if (!ranges->is_given || is_all)
		return;
	for (unsigned i = 0; has_id && i < ranges->count; i++)
		if (id >= ranges->items[i].first && id <= ranges->items[i].last)
			return;
	if (ranges->count == 0)
		answer_add(answer, MATCH_NO, "its list of %ss is empty", what);
	else if (has_id)
		answer_add(answer, MATCH_NO, "%s %u is none of its %ss", what, id, what);
	else
		answer_add(answer, MATCH_MAYBE, "it asks for the %s", what);
}

static struct answer
rule_ask(const struct policy_rule *rule, const struct policy_question *question)
{
	struct answer answer = {.match = MATCH_YES};

	if (rule->kinds == 0)
		answer_add(&answer, MATCH_NO, "its list of kinds is empty");
	else if (question->kind == 0 && rule->kinds != POLICY_KINDS_ALL)
		answer_add(&answer, MATCH_MAYBE, "it asks for the kind");
	else if (question->kind != 0 && (rule->kinds >> (question->kind - 1) & 1) == 0)
		answer_add(&answer, MATCH_NO, "kind %s is none of its kinds",
			kind_texts[question->kind - 1]);
	nodes_ask(&answer, &rule->nodes, question->node);
	roles_ask(&answer, &rule->roles, question);
	audience_ask(&answer, &rule->audiences, question->audience);
	from_ask(&answer, &rule->from, question);
	ids_ask(&answer, &rule->uids, "uid", question->has_uid, question->uid);
	ids_ask(&answer, &rule->gids, "gid", question->has_gid, question->gid);
	return answer;
}

/* ---- limits ---- */

static enum match
limit_ask(const struct policy_limit *limit, const struct policy_question *question)
{
	if (limit->kind == POLICY_LIMIT_NODES) {
		if (question->node == NULL)
			return MATCH_MAYBE;
		return nodes_have(&limit->nodes, question->node) ? MATCH_YES : MATCH_NO;
	}
	for (unsigned i = 0; i < question->role_count; i++)
		if (strcmp(limit->role, question->roles[i]) == 0)
			return MATCH_YES;
	return question->has_roles ? MATCH_NO : MATCH_MAYBE;
}

static void
limit_append(json_t *list, const struct policy_limit *limit, enum match match)
{
	char text[POLICY_LIMIT_TEXT_SIZE];
	json_t *item;

	policy_limit_text(text, limit);
	item = json_pack("{s:i, s:s, s:b, s:s}", "line", (int)limit->line, "limit", text, "shared",
		limit->kind == POLICY_LIMIT_ROLE || limit->kind == POLICY_LIMIT_DEFAULT, "match",
		match_texts[match]);
	if (!limit->is_unlimited) {
		json_object_set_new(item, "rate", json_real(limit->rate));
		json_object_set_new(item, "burst", json_real(limit->burst));
	}
	json_array_append_new(list, item);
}

/* The first of each sort holds; the default, if there is none. */
static json_t *
limits_ask(const struct policy *policy, const struct policy_question *question)
{
	enum match own = MATCH_NO, shared = MATCH_NO;
	json_t *list = json_array();

	for (unsigned i = 0; policy != NULL && i < policy->limit_count; i++) {
		const struct policy_limit *limit = &policy->limits[i];
		enum match *sort = limit->kind == POLICY_LIMIT_ROLE ? &shared : &own, match;

		if (limit->kind == POLICY_LIMIT_DEFAULT || *sort == MATCH_YES)
			continue;
		match = limit_ask(limit, question);
		if (match == MATCH_NO)
			continue;
		limit_append(list, limit, match);
		*sort = match;
	}
	for (unsigned i = 0; policy != NULL && i < policy->limit_count; i++)
		if (policy->limits[i].kind == POLICY_LIMIT_DEFAULT && own != MATCH_YES &&
			shared != MATCH_YES)
			limit_append(list, &policy->limits[i],
				own == MATCH_NO && shared == MATCH_NO ? MATCH_YES : MATCH_MAYBE);
	return list;
}

/* ---- the whole ---- */

static json_t *
outcomes_make(const struct policy *policy, int decider)
{
	bool has_rules = policy != NULL && policy->has_rules;
	const char *text;

	if (decider < 0 && has_rules)
		return json_pack("{s:s, s:s, s:s}", "observe", "allow-would-deny", "permissive",
			"allow-would-deny", "enforce", "deny");
	text = decider < 0 || policy->rules[decider].is_allow ? "allow" : "deny";
	return json_pack("{s:s, s:s, s:s}", "observe", text, "permissive", text, "enforce", text);
}

static void
rule_append(json_t *list, const struct policy *policy, unsigned index, const struct answer *answer)
{
	const struct policy_rule *rule = &policy->rules[index];

	json_array_append_new(
		list, json_pack("{s:i, s:i, s:s, s:s, s:s, s:s}", "rule", (int)index + 1, "line",
			      (int)rule->line, "name", rule->name, "action",
			      rule->is_allow ? "allow" : "deny", "match",
			      match_texts[answer->match], "why", answer->why));
}

json_t *
policy_explain(const struct policy *policy, const struct policy_question *question)
{
	json_t *list = json_array();
	bool is_certain = true;
	int decider = -1;

	for (unsigned i = 0; policy != NULL && decider < 0 && i < policy->rule_count; i++) {
		struct answer answer = rule_ask(&policy->rules[i], question);

		rule_append(list, policy, i, &answer);
		is_certain = is_certain && answer.match != MATCH_MAYBE;
		if (answer.match == MATCH_YES)
			decider = (int)i;
	}
	return json_pack("{s:o, s:o, s:b, s:b, s:o, s:o}", "rules", list, "decides",
		decider < 0 ? json_null() : json_integer(decider + 1), "certain", is_certain,
		"has_rules", policy != NULL && policy->has_rules, "outcomes",
		outcomes_make(policy, decider), "limits", limits_ask(policy, question));
}

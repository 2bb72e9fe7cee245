/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/policy_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/address.h"
#include "ctrl/config_priv.h"

#define WHERE_SIZE 96

/* One pass over the text. `where` is the place that is looked at, for messages. */
struct parse {
	struct config_source source;
	struct policy *policy;
	struct reason *reason;
	char where[WHERE_SIZE];
};

/* A key of a mapping and what takes its value. */
struct key {
	const char *name;
	int (*take)(struct parse *parse, const yaml_node_t *value, void *to);
	size_t offset; /* in what is filled in */
};

static unsigned
line_of(const yaml_node_t *node)
{
	return (unsigned)node->start_mark.line + 1;
}

static const yaml_node_t *
node_at(struct parse *parse, int index)
{
	return yaml_document_get_node(&parse->source.document, index);
}

static int __attribute__((format(printf, 3, 4)))
fail(struct parse *parse, const yaml_node_t *node, const char *format, ...)
{
	char text[REASON_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return config_source_fail(
		&parse->source, line_of(node), parse->where, parse->reason, "%s", text);
}

static int
out_of_memory(struct parse *parse, const yaml_node_t *node)
{
	fail(parse, node, "no memory to read it");
	return -ENOMEM;
}

/* The text of a single value, or NULL. */
static const char *
scalar(const yaml_node_t *node)
{
	const char *text = (const char *)node->data.scalar.value;

	if (node->type != YAML_SCALAR_NODE || strlen(text) != node->data.scalar.length)
		return NULL;
	return text;
}

/* ---- lists: "[a, b]", or a single value without brackets ---- */

static size_t
list_count(const yaml_node_t *node)
{
	if (node->type != YAML_SEQUENCE_NODE)
		return 1;
	return (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
}

static const yaml_node_t *
list_at(struct parse *parse, const yaml_node_t *node, size_t i)
{
	return node->type != YAML_SEQUENCE_NODE
		       ? node
		       : node_at(parse, node->data.sequence.items.start[i]);
}

/* Memory for the list's values. It is given already where a rule has both allow and deny. */
static int
list_begin(
	struct parse *parse, const yaml_node_t *node, bool is_given, void *items, size_t item_size)
{
	size_t count = list_count(node);
	void *made;

	if (is_given)
		return fail(parse, node, "is there already, in the same rule; write two rules");
	if (node->type == YAML_MAPPING_NODE)
		return fail(parse, node, "must be a list; write [a, b]");
	if (count > POLICY_LIST_MAX)
		return fail(parse, node, "has %zu entries; at most %u are possible", count,
			POLICY_LIST_MAX);
	made = calloc(count + 1, item_size);
	if (made == NULL)
		return out_of_memory(parse, node);
	memcpy(items, &made, sizeof(made));
	return 0;
}

static int
texts_take(struct parse *parse, const yaml_node_t *node, struct policy_texts *texts,
	int (*check)(struct parse *parse, const yaml_node_t *item, const char *text))
{
	size_t count = list_count(node);
	int error = list_begin(parse, node, texts->is_given, &texts->items, sizeof(*texts->items));

	texts->is_given = true;
	for (size_t i = 0; error == 0 && i < count; i++) {
		const yaml_node_t *item = list_at(parse, node, i);
		const char *text = scalar(item);

		if (text == NULL)
			return fail(parse, item, "must be single values; write [a, b]");
		error = check(parse, item, text);
		if (error != 0)
			break;
		texts->items[texts->count] = strdup(text);
		if (texts->items[texts->count++] == NULL)
			error = out_of_memory(parse, item);
	}
	return error;
}

static int
node_name_check(struct parse *parse, const yaml_node_t *item, const char *text)
{
	char fault[POLICY_NAMES_FAULT_SIZE];

	if (policy_names_check(text, fault) == 0)
		return 0;
	return fail(parse, item, "\"%.70s\" %s", text, fault);
}

/* Names of roles and audiences have the same letters. */
static int
word_check(struct parse *parse, const yaml_node_t *item, const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t size = strlen(text);

	if (size > 0 && size < REGISTRY_ROLE_SIZE && strspn(text, letters) == size)
		return 0;
	return fail(parse, item, "\"%.40s\" is no name: use 1 to %u letters, digits, '.', '_', '-'",
		text, REGISTRY_ROLE_SIZE - 1);
}

static int
take_nodes(struct parse *parse, const yaml_node_t *value, void *to)
{
	return texts_take(parse, value, to, node_name_check);
}

static int
take_words(struct parse *parse, const yaml_node_t *value, void *to)
{
	return texts_take(parse, value, to, word_check);
}

static int
take_prefixes(struct parse *parse, const yaml_node_t *value, void *to)
{
	struct policy_prefixes *prefixes = to;
	size_t count = list_count(value);
	int error = list_begin(
		parse, value, prefixes->is_given, &prefixes->items, sizeof(*prefixes->items));

	prefixes->is_given = true;
	for (size_t i = 0; error == 0 && i < count; i++) {
		struct registry_prefix *prefix = &prefixes->items[prefixes->count];
		const yaml_node_t *item = list_at(parse, value, i);
		const char *text = scalar(item), *wrong;

		if (text == NULL)
			return fail(
				parse, item, "must be prefixes; write [10.0.0.0/8, \"fd00::/8\"]");
		wrong = address_parse(text, prefix->address, &prefix->bits);
		if (wrong != NULL)
			return fail(parse, item, "\"%.60s\" %s", text, wrong);
		if (address_has_host_bits(prefix->address, prefix->bits))
			return fail(parse, item,
				"\"%.60s\" has bits set behind its length; clear them", text);
		prefixes->count++;
	}
	return error;
}

static int
take_kinds(struct parse *parse, const yaml_node_t *value, void *to)
{
	static const char *const names[] = {"assert", "beacon", "ask"};
	uint8_t *kinds = to;
	size_t count = list_count(value);

	*kinds = 0;
	if (value->type == YAML_MAPPING_NODE)
		return fail(parse, value, "must be a list; write [assert, beacon, ask]");
	for (size_t i = 0; i < count; i++) {
		const yaml_node_t *item = list_at(parse, value, i);
		const char *text = scalar(item);
		unsigned kind = 0;

		while (text != NULL && kind < 3 && strcmp(names[kind], text) != 0)
			kind++;
		if (text == NULL || kind == 3)
			return fail(parse, item,
				"\"%.40s\" is no kind; choose of assert, beacon, ask",
				text != NULL ? text : "");
		*kinds |= (uint8_t)(1u << kind);
	}
	return 0;
}

/* ---- numbers ---- */

/* Decimal digits only, so that 010 is not eight. */
static bool
number_take(const char **at, uint32_t *number)
{
	const char *begin = *at;
	uint64_t value = 0;

	while (isdigit((unsigned char)**at) && *at - begin < 11)
		value = value * 10 + (uint64_t)(*(*at)++ - '0');
	*number = (uint32_t)value;
	return *at > begin && value <= UINT32_MAX && (*begin != '0' || *at == begin + 1);
}

static int
range_take(struct parse *parse, const yaml_node_t *item, struct policy_range *range)
{
	const char *text = scalar(item), *at = text;

	if (text == NULL || !number_take(&at, &range->first))
		return fail(parse, item,
			"\"%.40s\" is no number or range; write 1000 or "
			"\"1000-59999\"",
			text != NULL ? text : "");
	range->last = range->first;
	if (*at == '-') {
		at++;
		if (!number_take(&at, &range->last))
			return fail(
				parse, item, "\"%.40s\" is no range; write \"1000-59999\"", text);
	}
	if (*at != '\0')
		return fail(parse, item,
			"\"%.40s\" is no number or range; write 1000 or "
			"\"1000-59999\"",
			text);
	if (range->last < range->first)
		return fail(parse, item, "range \"%.40s\" runs backwards; exchange its ends", text);
	return 0;
}

static int
range_order(const void *a, const void *b)
{
	const struct policy_range *one = a, *other = b;

	return (one->first > other->first) - (one->first < other->first);
}

/* In order, and what overlaps or touches is one. */
static void
ranges_merge(struct policy_ranges *ranges)
{
	unsigned kept = 0;

	qsort(ranges->items, ranges->count, sizeof(*ranges->items), range_order);
	for (unsigned i = 0; i < ranges->count; i++) {
		struct policy_range *last = &ranges->items[kept - (kept > 0)];

		if (kept > 0 && ranges->items[i].first <= (uint64_t)last->last + 1) {
			if (ranges->items[i].last > last->last)
				last->last = ranges->items[i].last;
			continue;
		}
		ranges->items[kept++] = ranges->items[i];
	}
	ranges->count = kept;
}

static int
take_ranges(struct parse *parse, const yaml_node_t *value, void *to)
{
	struct policy_ranges *ranges = to;
	size_t count = list_count(value);
	int error =
		list_begin(parse, value, ranges->is_given, &ranges->items, sizeof(*ranges->items));

	ranges->is_given = true;
	for (size_t i = 0; error == 0 && i < count; i++)
		error = range_take(
			parse, list_at(parse, value, i), &ranges->items[ranges->count++]);
	if (error == 0)
		ranges_merge(ranges);
	return error;
}

/* ---- mappings ---- */

static int
key_unknown(struct parse *parse, const yaml_node_t *node, const struct key *keys)
{
	char known[160] = "";

	for (; keys->name != NULL; keys++) {
		size_t size = strlen(known);

		snprintf(known + size, sizeof(known) - size, "%s%s", size > 0 ? ", " : "",
			keys->name);
	}
	return fail(parse, node, "no such key; known here: %s", known);
}

/* Takes one pair; `seen` has a bit for each key that was there. */
static int
pair_take(struct parse *parse, const yaml_node_pair_t *pair, const struct key *keys, unsigned *seen,
	void *to)
{
	const yaml_node_t *key = node_at(parse, pair->key);
	const char *name = scalar(key);
	size_t size = strlen(parse->where);
	unsigned i = 0;
	int error;

	if (name == NULL)
		return fail(parse, key, "a key must be a word; check the indentation");
	snprintf(parse->where + size, WHERE_SIZE - size, "%s%.24s", size > 0 ? "." : "", name);
	while (keys[i].name != NULL && strcmp(keys[i].name, name) != 0)
		i++;
	if (keys[i].name == NULL)
		return key_unknown(parse, key, keys);
	if ((*seen >> i & 1) != 0)
		return fail(parse, key, "given twice; remove one");
	*seen |= 1u << i;
	error = keys[i].take(parse, node_at(parse, pair->value), (uint8_t *)to + keys[i].offset);
	if (error == 0)
		parse->where[size] = '\0';
	return error;
}

static int
mapping_take(struct parse *parse, const yaml_node_t *node, const struct key *keys, unsigned *seen,
	void *to)
{
	const yaml_node_pair_t *pair;
	int error = 0;

	*seen = 0;
	if (node->type != YAML_MAPPING_NODE)
		return fail(parse, node, "must hold \"key: value\"; see docs/policy.md");
	for (pair = node->data.mapping.pairs.start;
		error == 0 && pair < node->data.mapping.pairs.top; pair++)
		error = pair_take(parse, pair, keys, seen, to);
	return error;
}

/* Calls `each` for every entry of a list that MUST be one. */
static int
sequence_take(struct parse *parse, const yaml_node_t *node, size_t count_max,
	int (*each)(struct parse *parse, const yaml_node_t *item))
{
	size_t size = strlen(parse->where), count;
	int error = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return fail(parse, node, "must be a list; one \"- \" line per entry, or []");
	count = list_count(node);
	if (count > count_max)
		return fail(
			parse, node, "has %zu entries; at most %zu are possible", count, count_max);
	for (size_t i = 0; error == 0 && i < count; i++) {
		snprintf(parse->where + size, WHERE_SIZE - size, "[%zu]", i);
		error = each(parse, list_at(parse, node, i));
	}
	if (error == 0)
		parse->where[size] = '\0';
	return error;
}

/* ---- rules ---- */

static const struct key match_keys[] = {
	{"nodes", take_nodes, offsetof(struct policy_rule, nodes)},
	{"roles", take_words, offsetof(struct policy_rule, roles)},
	{"from", take_prefixes, offsetof(struct policy_rule, from)},
	{"uids", take_ranges, offsetof(struct policy_rule, uids)},
	{"gids", take_ranges, offsetof(struct policy_rule, gids)},
	{"kinds", take_kinds, offsetof(struct policy_rule, kinds)},
	{"audiences", take_words, offsetof(struct policy_rule, audiences)},
	{NULL, NULL, 0},
};

/* "{...}", or the word any for "{}". */
static int
take_match(struct parse *parse, const yaml_node_t *value, void *to)
{
	const char *text = scalar(value);
	unsigned seen;

	if (value->type == YAML_SCALAR_NODE && text != NULL && strcmp(text, "any") == 0)
		return 0;
	if (value->type != YAML_MAPPING_NODE)
		return fail(parse, value,
			"must say whom, such as {roles: [compute]}; write {} for everybody");
	return mapping_take(parse, value, match_keys, &seen, to);
}

static int
take_name(struct parse *parse, const yaml_node_t *value, void *to)
{
	const char *text = scalar(value);

	if (text == NULL)
		return fail(parse, value, "must be a name");
	snprintf(to, POLICY_NAME_SIZE, "%s", text);
	return word_check(parse, value, text);
}

enum {
	RULE_ALLOW,
	RULE_DENY
};

static const struct key rule_keys[] = {
	[RULE_ALLOW] = {"allow", take_match, 0},
	[RULE_DENY] = {"deny", take_match, 0},
	{"name", take_name, offsetof(struct policy_rule, name)},
	{NULL, NULL, 0},
};

static int
rule_take(struct parse *parse, const yaml_node_t *item)
{
	struct policy_rule *rule = &parse->policy->rules[parse->policy->rule_count++];
	bool is_allow, is_deny;
	unsigned seen;
	int error;

	rule->line = line_of(item);
	rule->kinds = POLICY_KINDS_ALL;
	error = mapping_take(parse, item, rule_keys, &seen, rule);
	if (error != 0)
		return error;
	is_allow = (seen >> RULE_ALLOW & 1) != 0;
	is_deny = (seen >> RULE_DENY & 1) != 0;
	if (is_allow == is_deny)
		return fail(parse, item, "must say either allow or deny; write \"- allow: {...}\"");
	rule->is_allow = is_allow;
	return 0;
}

static int
take_rules(struct parse *parse, const yaml_node_t *value, void *to)
{
	struct policy *policy = to;

	policy->has_rules = true;
	policy->rules = calloc(POLICY_RULES_MAX, sizeof(*policy->rules));
	if (policy->rules == NULL)
		return out_of_memory(parse, value);
	return sequence_take(parse, value, POLICY_RULES_MAX, rule_take);
}

/* ---- limits ---- */

/* A limit as it is written, before it is known which kind it is of. */
struct limit_form {
	struct policy_limit limit;
	bool is_each;
};

static int
take_role(struct parse *parse, const yaml_node_t *value, void *to)
{
	const char *text = scalar(value);

	if (text == NULL)
		return fail(parse, value, "must be the name of one role");
	snprintf(to, REGISTRY_ROLE_SIZE, "%s", text);
	return word_check(parse, value, text);
}

static int
take_each(struct parse *parse, const yaml_node_t *value, void *to)
{
	const char *text = scalar(value);
	bool is_each = text != NULL && strcmp(text, "true") == 0;

	memcpy(to, &is_each, sizeof(is_each));
	if (is_each || (text != NULL && strcmp(text, "false") == 0))
		return 0;
	return fail(parse, value, "must be true or false");
}

/* Digits with at most one point; the C library would take "nan", "0x1p3" and more. */
static int
decimal_take(struct parse *parse, const yaml_node_t *value, double *number)
{
	const char *text = scalar(value);
	size_t digits = text != NULL ? strspn(text, "0123456789.") : 0;
	const char *point = text != NULL ? strchr(text, '.') : NULL;

	if (digits == 0 || text[digits] != '\0' || digits > 20 || text[0] == '.' ||
		text[digits - 1] == '.' || (point != NULL && strchr(point + 1, '.') != NULL))
		return fail(parse, value, "\"%.40s\" is no number; write 1000 or 0.5",
			text != NULL ? text : "");
	*number = 0;
	for (double unit = 1; *text != '\0'; text++) {
		if (*text == '.')
			unit = 0.1;
		else if (unit == 1)
			*number = *number * 10 + (*text - '0');
		else {
			*number += unit * (*text - '0');
			unit /= 10;
		}
	}
	return 0;
}

static int
take_rate(struct parse *parse, const yaml_node_t *value, void *to)
{
	struct limit_form *form = to;
	const char *text = scalar(value);
	int error;

	if (text != NULL && strcmp(text, "unlimited") == 0) {
		form->limit.is_unlimited = true;
		return 0;
	}
	error = decimal_take(parse, value, &form->limit.rate);
	if (error == 0 &&
		(form->limit.rate < POLICY_RATE_MIN || form->limit.rate > POLICY_RATE_MAX))
		error = fail(
			parse, value, "must be from 0.001 to 100000000 per second, or unlimited");
	return error;
}

static int
take_burst(struct parse *parse, const yaml_node_t *value, void *to)
{
	double *burst = to;
	int error = decimal_take(parse, value, burst);

	if (error == 0 && (*burst < 1 || *burst > POLICY_BURST_MAX))
		error = fail(parse, value, "must be from 1 to %u", POLICY_BURST_MAX);
	return error;
}

static int
take_default(struct parse *parse, const yaml_node_t *value, void *to)
{
	const char *text = scalar(value);

	(void)to;
	if (text != NULL && strcmp(text, "aggregate") == 0)
		return 0;
	return fail(
		parse, value, "must be aggregate: all nodes together that no other limit names");
}

enum {
	LIMIT_NODE,
	LIMIT_ROLE,
	LIMIT_DEFAULT,
	LIMIT_EACH,
	LIMIT_RATE,
	LIMIT_BURST
};

static const struct key limit_keys[] = {
	[LIMIT_NODE] = {"node", take_nodes, offsetof(struct limit_form, limit.nodes)},
	[LIMIT_ROLE] = {"role", take_role, offsetof(struct limit_form, limit.role)},
	[LIMIT_DEFAULT] = {"default", take_default, 0},
	[LIMIT_EACH] = {"each", take_each, offsetof(struct limit_form, is_each)},
	[LIMIT_RATE] = {"rate", take_rate, 0},
	[LIMIT_BURST] = {"burst", take_burst, offsetof(struct limit_form, limit.burst)},
	{NULL, NULL, 0},
};

static bool
has_default(const struct policy *policy)
{
	for (unsigned i = 0; i < policy->limit_count; i++)
		if (policy->limits[i].kind == POLICY_LIMIT_DEFAULT)
			return true;
	return false;
}

/* Shared limits are counted by name, so a role has one. */
static bool
has_role(const struct policy *policy, const char *role)
{
	for (unsigned i = 0; i < policy->limit_count; i++)
		if (policy->limits[i].kind == POLICY_LIMIT_ROLE &&
			strcmp(policy->limits[i].role, role) == 0)
			return true;
	return false;
}

static int
limit_check(
	struct parse *parse, const yaml_node_t *item, const struct limit_form *form, unsigned seen)
{
	const struct policy_limit *limit = &form->limit;

	if (__builtin_popcount(
		    seen & (1u << LIMIT_NODE | 1u << LIMIT_ROLE | 1u << LIMIT_DEFAULT)) != 1)
		return fail(
			parse, item, "must say whom, by one of node, role and default: aggregate");
	if ((seen >> LIMIT_RATE & 1) == 0)
		return fail(
			parse, item, "has no rate; add rate: N (per second), or rate: unlimited");
	if ((seen >> LIMIT_EACH & 1) != 0 && limit->kind != POLICY_LIMIT_EACH &&
		limit->kind != POLICY_LIMIT_ROLE)
		return fail(parse, item, "each goes with role; remove it");
	if (limit->is_unlimited && (seen >> LIMIT_BURST & 1) != 0)
		return fail(parse, item, "has a burst, but no limit; remove it");
	if (limit->is_unlimited && limit->kind == POLICY_LIMIT_DEFAULT)
		return fail(parse, item, "is no limit at all; remove it");
	if (limit->kind == POLICY_LIMIT_DEFAULT && has_default(parse->policy))
		return fail(parse, item, "there is a default already; remove one");
	if (limit->kind == POLICY_LIMIT_ROLE && has_role(parse->policy, limit->role))
		return fail(parse, item, "role %s has a limit already; remove one", limit->role);
	return 0;
}

static enum policy_limit_kind
limit_kind(const struct limit_form *form, unsigned seen)
{
	if ((seen >> LIMIT_NODE & 1) != 0)
		return POLICY_LIMIT_NODES;
	if ((seen >> LIMIT_DEFAULT & 1) != 0)
		return POLICY_LIMIT_DEFAULT;
	return form->is_each ? POLICY_LIMIT_EACH : POLICY_LIMIT_ROLE;
}

static void texts_fini(struct policy_texts *texts);

static int
limit_take(struct parse *parse, const yaml_node_t *item)
{
	struct limit_form form = {.limit.line = line_of(item)};
	unsigned seen;
	int error = mapping_take(parse, item, limit_keys, &seen, &form);

	form.limit.kind = limit_kind(&form, seen);
	if (error == 0)
		error = limit_check(parse, item, &form, seen);
	if (error != 0) {
		texts_fini(&form.limit.nodes);
		return error;
	}
	/* A second's worth, but one at least. */
	if (form.limit.burst == 0 && !form.limit.is_unlimited)
		form.limit.burst = form.limit.rate > 1 ? form.limit.rate : 1;
	parse->policy->limits[parse->policy->limit_count++] = form.limit;
	return 0;
}

static int
take_limits(struct parse *parse, const yaml_node_t *value, void *to)
{
	struct policy *policy = to;

	policy->limits = calloc(POLICY_LIMITS_MAX, sizeof(*policy->limits));
	if (policy->limits == NULL)
		return out_of_memory(parse, value);
	return sequence_take(parse, value, POLICY_LIMITS_MAX, limit_take);
}

/* ---- the whole ---- */

static const struct key policy_keys[] = {
	{"rules", take_rules, 0},
	{"limits", take_limits, 0},
	{NULL, NULL, 0},
};

static int
root_take(struct parse *parse)
{
	const yaml_node_t *root = yaml_document_get_root_node(&parse->source.document);
	unsigned seen;

	if (root == NULL)
		return config_source_fail(&parse->source, 1, "file", parse->reason,
			"is empty; begin with the example in docs/policy.md");
	return mapping_take(parse, root, policy_keys, &seen, parse->policy);
}

struct policy *
policy_parse(const char *path, const char *text, size_t size, struct reason *reason)
{
	struct parse parse = {.source.path = path, .reason = reason};
	int error;

	if (size > POLICY_SIZE_MAX) {
		config_source_fail(&parse.source, 1, "file", reason,
			"is larger than %u bytes; is it the right file?", POLICY_SIZE_MAX);
		return NULL;
	}
	error = config_source_take(&parse.source, path, text, size, reason);
	if (error != 0)
		return NULL;
	parse.policy = calloc(1, sizeof(*parse.policy));
	error = parse.policy != NULL ? root_take(&parse)
				     : reason_set(reason, ENOMEM, "no memory for the policy");
	config_source_close(&parse.source);
	if (error == 0)
		return parse.policy;
	policy_destroy(parse.policy);
	return NULL;
}

static void
texts_fini(struct policy_texts *texts)
{
	for (unsigned i = 0; i < texts->count; i++)
		free(texts->items[i]);
	free(texts->items);
}

void
policy_destroy(struct policy *policy)
{
	if (policy == NULL)
		return;
	for (unsigned i = 0; i < policy->rule_count; i++) {
		struct policy_rule *rule = &policy->rules[i];

		texts_fini(&rule->nodes);
		texts_fini(&rule->roles);
		texts_fini(&rule->audiences);
		free(rule->from.items);
		free(rule->uids.items);
		free(rule->gids.items);
	}
	for (unsigned i = 0; i < policy->limit_count; i++)
		texts_fini(&policy->limits[i].nodes);
	free(policy->rules);
	free(policy->limits);
	free(policy);
}

void
policy_rule_text(char text[POLICY_RULE_TEXT_SIZE], const struct policy *policy, unsigned index)
{
	const struct policy_rule *rule = &policy->rules[index];

	snprintf(text, POLICY_RULE_TEXT_SIZE, "rule %u (%s%s%s, line %u)", index + 1,
		rule->is_allow ? "allow" : "deny", rule->name[0] != '\0' ? " " : "", rule->name,
		rule->line);
}

void
policy_limit_text(char text[POLICY_LIMIT_TEXT_SIZE], const struct policy_limit *limit)
{
	switch (limit->kind) {
	case POLICY_LIMIT_NODES:
		snprintf(text, POLICY_LIMIT_TEXT_SIZE, "node %.32s%s",
			limit->nodes.count > 0 ? limit->nodes.items[0] : "",
			limit->nodes.count > 1 ? ", ..." : "");
		break;
	case POLICY_LIMIT_EACH:
		snprintf(text, POLICY_LIMIT_TEXT_SIZE, "role %s, each", limit->role);
		break;
	case POLICY_LIMIT_ROLE:
		snprintf(text, POLICY_LIMIT_TEXT_SIZE, "role %s", limit->role);
		break;
	case POLICY_LIMIT_DEFAULT:
		snprintf(text, POLICY_LIMIT_TEXT_SIZE, "default");
		break;
	}
}

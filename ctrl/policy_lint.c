/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Implementation notes. In each dimension (name, origin, uid, gid, kind, audience) the policy divides
 * all values into atoms that no rule tells apart, so a rule is a box: a set of atoms per dimension.
 * Roles are the seventh: a node has any set of them, and a rule asks for one of several. What
 * earlier rules leave of a rule is a list of boxes; cutting rule A out of a box leaves, for each
 * dimension, the part that is outside A there and inside A in the dimensions before. Roles come
 * last, so that a box only ever gets more roles that its nodes must not have.
 */
#include "ctrl/policy_lint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/names.h"
#include "ctrl/policy_intern.h"

enum dimension {
	NAMES,
	ORIGINS,
	UIDS,
	GIDS,
	KINDS,
	AUDIENCES,
	DIMENSIONS
};

typedef unsigned __int128 address_t;

#define KINDS_BEACON 2u /* and no other kind */

/* A rule's or a part's sets, one behind the other; then the roles. */
struct lint {
	const struct policy *policy;
	const struct config_realm *realm;
	struct policy_findings *found;
	unsigned atoms[DIMENSIONS];
	size_t begins[DIMENSIONS + 1]; /* words; the last one is where the roles begin */
	size_t words;                  /* of a box */
	unsigned role_count;
	uint64_t *rules;    /* a box for each; of the roles, those it asks for */
	uint64_t *limits;   /* names only */
	bool *is_dead;      /* matches nothing */
	uint64_t *boxes[2]; /* POLICY_LINT_BOXES_MAX each */
};

static const char *const kind_texts[] = {
	[POLICY_FINDING_EMPTY] = "empty",
	[POLICY_FINDING_SHADOWED] = "shadowed",
	[POLICY_FINDING_CONTRADICTORY] = "contradictory",
	[POLICY_FINDING_UNREACHABLE] = "unreachable",
	[POLICY_FINDING_WIDE] = "wide",
	[POLICY_FINDING_UNKNOWN] = "unknown",
	[POLICY_FINDING_UNCHECKED] = "unchecked",
};

const char *
policy_finding_text(enum policy_finding_kind kind)
{
	return kind_texts[kind];
}

static int __attribute__((format(printf, 4, 5)))
find(struct lint *lint, enum policy_finding_kind kind, unsigned line, const char *format, ...)
{
	struct policy_findings *found = lint->found;
	va_list arguments;

	if (found->count == found->room) {
		unsigned room = found->room * 2 + 16;
		struct policy_finding *grown = reallocarray(found->items, room, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		found->items = grown;
		found->room = room;
	}
	found->items[found->count].kind = kind;
	found->items[found->count].line = line;
	va_start(arguments, format);
	vsnprintf(found->items[found->count++].text, POLICY_FINDING_SIZE, format, arguments);
	va_end(arguments);
	return 0;
}

void
policy_findings_fini(struct policy_findings *found)
{
	free(found->items);
	*found = (struct policy_findings){0};
}

static uint64_t *
rule_box(const struct lint *lint, unsigned rule)
{
	return &lint->rules[rule * lint->words];
}

/* ---- names of nodes ---- */

/* Names that all lists mention, each with the lists that have it. */
struct name_atoms {
	struct policy_names *names;
	struct policy_intern sets; /* of lists: one atom each; the first is of no list */
	unsigned list_words;
	unsigned budget;
	bool is_short_of_memory;
};

static const struct policy_texts *
list_at(const struct policy *policy, unsigned i)
{
	return i < policy->rule_count ? &policy->rules[i].nodes
				      : &policy->limits[i - policy->rule_count].nodes;
}

static int
name_put(void *context, const char *name)
{
	struct name_atoms *atoms = context;
	uint64_t lists[POLICY_WORDS(POLICY_RULES_MAX + POLICY_LIMITS_MAX)] = {0};
	bool is_new;

	if (atoms->budget-- == 0)
		return -E2BIG;
	policy_names_find(atoms->names, name, lists);
	atoms->is_short_of_memory |=
		policy_intern(&atoms->sets, lists, atoms->list_words * sizeof(*lists), &is_new) < 0;
	return 0;
}

static int
names_put(struct name_atoms *atoms, const struct policy *policy, unsigned list_count)
{
	uint64_t none[POLICY_WORDS(POLICY_RULES_MAX + POLICY_LIMITS_MAX)] = {0};
	int error = 0;
	bool is_new;

	atoms->is_short_of_memory =
		policy_intern(&atoms->sets, none, atoms->list_words * sizeof(*none), &is_new) < 0;
	for (unsigned i = 0; i < list_count; i++)
		for (unsigned j = 0; error == 0 && j < list_at(policy, i)->count; j++)
			error = names_expand(list_at(policy, i)->items[j], name_put, atoms, NULL);
	return error;
}

/* Lists of too many names: the set of list i is list i, and of those with the same text. */
static bool
is_same_list(const struct policy_texts *a, const struct policy_texts *b)
{
	if (a->count != b->count || !a->is_given || !b->is_given)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

static int
lists_put(struct name_atoms *atoms, const struct policy *policy, unsigned list_count)
{
	bool is_new;

	policy_intern_fini(&atoms->sets);
	for (unsigned i = 0; i <= list_count; i++) {
		uint64_t set[POLICY_WORDS(POLICY_RULES_MAX + POLICY_LIMITS_MAX)] = {0};

		for (unsigned j = 0; i < list_count && j < list_count; j++)
			if (is_same_list(list_at(policy, i), list_at(policy, j)))
				policy_bit_set(set, j);
		if (policy_intern(&atoms->sets, set, atoms->list_words * sizeof(*set), &is_new) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
names_add_all(struct name_atoms *atoms, const struct policy *policy, unsigned list_count)
{
	int error = 0;

	for (unsigned i = 0; i < list_count; i++)
		for (unsigned j = 0; error == 0 && j < list_at(policy, i)->count; j++)
			error = policy_names_add(atoms->names, list_at(policy, i)->items[j], i);
	return error;
}

/* Divides names into atoms; `atoms->sets` has for each the lists that hold it. */
static int
names_divide(struct lint *lint, struct name_atoms *atoms)
{
	unsigned list_count = lint->policy->rule_count + lint->policy->limit_count;
	int error;

	atoms->names = policy_names_create();
	atoms->budget = POLICY_LINT_NAMES_MAX;
	atoms->list_words = POLICY_WORDS(list_count);
	if (atoms->names == NULL || names_add_all(atoms, lint->policy, list_count) != 0)
		return -ENOMEM;
	error = names_put(atoms, lint->policy, list_count);
	if (error == -E2BIG) {
		error = lists_put(atoms, lint->policy, list_count);
		if (error == 0)
			error = find(lint, POLICY_FINDING_UNCHECKED, 1,
				"the lists of nodes have more than %u names: rules are compared by "
				"the text of their lists; write wider rules, or roles",
				POLICY_LINT_NAMES_MAX);
	}
	return error != 0 || atoms->is_short_of_memory ? -ENOMEM : 0;
}

static void
names_fill(const struct lint *lint, const struct name_atoms *atoms)
{
	const struct policy *policy = lint->policy;
	size_t limit_words = POLICY_WORDS(lint->atoms[NAMES]);

	for (unsigned i = 0; i < lint->atoms[NAMES]; i++) {
		const uint64_t *set = (const uint64_t *)(const void *)(atoms->sets.bytes +
								       atoms->sets.items[i].offset);

		for (unsigned rule = 0; rule < policy->rule_count; rule++)
			if (!policy->rules[rule].nodes.is_given || policy_bit(set, rule))
				policy_bit_set(rule_box(lint, rule), i);
		for (unsigned j = 0; j < policy->limit_count; j++)
			if (policy_bit(set, policy->rule_count + j))
				policy_bit_set(&lint->limits[j * limit_words], i);
	}
}

/* ---- dimensions that are divided by borders ---- */

/* Ascending values at which an atom begins; the first is 0. */
struct borders {
	address_t *items;
	unsigned count;
};

static int
border_order(const void *a, const void *b)
{
	const address_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static void
borders_sort(struct borders *borders)
{
	unsigned kept = 0;

	qsort(borders->items, borders->count, sizeof(*borders->items), border_order);
	for (unsigned i = 0; i < borders->count; i++)
		if (i == 0 || borders->items[i] != borders->items[kept - 1])
			borders->items[kept++] = borders->items[i];
	borders->count = kept;
}

static address_t
address_of(const uint8_t bytes[16])
{
	address_t address = 0;

	for (unsigned i = 0; i < 16; i++)
		address = address << 8 | bytes[i];
	return address;
}

/* The first address behind a prefix; 0 if it reaches to the end. */
static address_t
prefix_end(const struct registry_prefix *prefix)
{
	return prefix->bits == 0
		       ? 0
		       : address_of(prefix->address) + ((address_t)1 << (128 - prefix->bits));
}

static const struct policy_ranges *
ranges_of(const struct policy_rule *rule, enum dimension dimension)
{
	return dimension == UIDS ? &rule->uids : &rule->gids;
}

static int
borders_make(const struct policy *policy, enum dimension dimension, struct borders *borders)
{
	size_t room = 1;

	for (unsigned i = 0; i < policy->rule_count; i++)
		room += 2 * (dimension == ORIGINS ? policy->rules[i].from.count
						  : ranges_of(&policy->rules[i], dimension)->count);
	borders->items = calloc(room, sizeof(*borders->items));
	if (borders->items == NULL)
		return -ENOMEM;
	borders->count = 1;
	for (unsigned i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		const struct policy_ranges *ranges = ranges_of(rule, dimension);

		for (unsigned j = 0; dimension == ORIGINS && j < rule->from.count; j++) {
			borders->items[borders->count++] = address_of(rule->from.items[j].address);
			borders->items[borders->count++] = prefix_end(&rule->from.items[j]);
		}
		for (unsigned j = 0; dimension != ORIGINS && j < ranges->count; j++) {
			borders->items[borders->count++] = ranges->items[j].first;
			borders->items[borders->count++] = (address_t)ranges->items[j].last + 1;
		}
	}
	borders_sort(borders);
	/* Behind the last number there is none. */
	if (dimension != ORIGINS && borders->items[borders->count - 1] > UINT32_MAX)
		borders->count--;
	return 0;
}

static bool
rule_has(const struct policy_rule *rule, enum dimension dimension, address_t value)
{
	const struct policy_ranges *ranges = ranges_of(rule, dimension);

	if (dimension == ORIGINS) {
		for (unsigned i = 0; i < rule->from.count; i++) {
			const struct registry_prefix *prefix = &rule->from.items[i];

			if (value >= address_of(prefix->address) && value <= prefix_end(prefix) - 1)
				return true;
		}
		return !rule->from.is_given;
	}
	for (unsigned i = 0; i < ranges->count; i++)
		if (value >= ranges->items[i].first && value <= ranges->items[i].last)
			return true;
	return !ranges->is_given;
}

static void
borders_fill(const struct lint *lint, enum dimension dimension, const struct borders *borders)
{
	for (unsigned rule = 0; rule < lint->policy->rule_count; rule++)
		for (unsigned i = 0; i < borders->count; i++)
			if (rule_has(&lint->policy->rules[rule], dimension, borders->items[i]))
				policy_bit_set(rule_box(lint, rule) + lint->begins[dimension], i);
}

/* ---- audiences and roles: words ---- */

/* Each word once, with a number. */
struct words {
	struct policy_intern set;
	bool is_short_of_memory;
};

static unsigned
word_put(struct words *words, const char *word)
{
	bool is_new;
	int64_t number = policy_intern(&words->set, word, strlen(word), &is_new);

	words->is_short_of_memory |= number < 0;
	return number < 0 ? 0 : (unsigned)number;
}

static bool
is_audience(const struct config_realm *realm, const char *name)
{
	return strcmp(name, POLICY_AUDIENCE_ANY) == 0 || realm == NULL ||
	       config_audience_find(realm, name) >= 0;
}

/* All audiences; without a configuration, one more stands for those that nobody names. */
static void
audiences_collect(const struct lint *lint, struct words *words)
{
	word_put(words, POLICY_AUDIENCE_ANY);
	for (unsigned i = 0; lint->realm != NULL && i < lint->realm->audience_count; i++)
		word_put(words, lint->realm->audiences[i].name);
	if (lint->realm == NULL)
		word_put(words, "");
	for (unsigned i = 0; i < lint->policy->rule_count; i++) {
		const struct policy_texts *texts = &lint->policy->rules[i].audiences;

		for (unsigned j = 0; j < texts->count; j++)
			if (is_audience(lint->realm, texts->items[j]))
				word_put(words, texts->items[j]);
	}
}

static void
roles_collect(const struct lint *lint, struct words *words)
{
	for (unsigned i = 0; i < lint->policy->rule_count; i++)
		for (unsigned j = 0; j < lint->policy->rules[i].roles.count; j++)
			word_put(words, lint->policy->rules[i].roles.items[j]);
}

static void
bits_fill(uint64_t *bits, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		policy_bit_set(bits, i);
}

static void
words_fill(const struct lint *lint, struct words *audiences, struct words *roles)
{
	for (unsigned i = 0; i < lint->policy->rule_count; i++) {
		const struct policy_rule *rule = &lint->policy->rules[i];
		uint64_t *box = rule_box(lint, i);

		for (unsigned kind = 0; kind < 3; kind++)
			if ((rule->kinds >> kind & 1) != 0)
				policy_bit_set(box + lint->begins[KINDS], kind);
		if (!rule->audiences.is_given)
			bits_fill(box + lint->begins[AUDIENCES], lint->atoms[AUDIENCES]);
		for (unsigned j = 0; j < rule->audiences.count; j++)
			if (is_audience(lint->realm, rule->audiences.items[j]))
				policy_bit_set(box + lint->begins[AUDIENCES],
					word_put(audiences, rule->audiences.items[j]));
		for (unsigned j = 0; j < rule->roles.count; j++)
			policy_bit_set(box + lint->begins[DIMENSIONS],
				word_put(roles, rule->roles.items[j]));
	}
}

/* ---- boxes ---- */

static bool
is_any(const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (words[i] != 0)
			return true;
	return false;
}

static size_t
dimension_words(const struct lint *lint, unsigned dimension)
{
	return (dimension == DIMENSIONS ? lint->words : lint->begins[dimension + 1]) -
	       lint->begins[dimension];
}

static bool
has_roles(const struct lint *lint, unsigned rule)
{
	return lint->policy->rules[rule].roles.is_given;
}

/* Does a node without the roles that a box forbids match the rule's? */
static bool
roles_meet(const struct lint *lint, const uint64_t *box, unsigned rule)
{
	const uint64_t *asked = rule_box(lint, rule) + lint->begins[DIMENSIONS];
	const uint64_t *forbidden = box + lint->begins[DIMENSIONS];

	if (!has_roles(lint, rule))
		return true;
	for (size_t i = 0; i < dimension_words(lint, DIMENSIONS); i++)
		if ((asked[i] & ~forbidden[i]) != 0)
			return true;
	return false;
}

static bool
boxes_meet(const struct lint *lint, const uint64_t *box, unsigned rule)
{
	const uint64_t *other = rule_box(lint, rule);

	for (unsigned d = 0; d < DIMENSIONS; d++) {
		bool is_met = false;

		for (size_t i = lint->begins[d]; i < lint->begins[d + 1]; i++)
			is_met = is_met || (box[i] & other[i]) != 0;
		if (!is_met)
			return false;
	}
	return roles_meet(lint, box, rule);
}

/* What of `box` rule `cut` leaves to rule `rule`, behind *count boxes of `to`. */
static int
box_cut(const struct lint *lint, const uint64_t *box, unsigned cut, unsigned rule, uint64_t *to,
	unsigned *count)
{
	const uint64_t *other = rule_box(lint, cut);
	size_t size = lint->words * sizeof(*box);
	uint64_t *part;

	for (unsigned d = 0; d <= DIMENSIONS; d++) {
		if (*count == POLICY_LINT_BOXES_MAX)
			return -E2BIG;
		part = to + *count * lint->words;
		memcpy(part, box, size);
		for (size_t i = 0; i < lint->begins[d]; i++)
			part[i] &= other[i];
		if (d < DIMENSIONS) {
			for (size_t i = lint->begins[d]; i < lint->begins[d + 1]; i++)
				part[i] &= ~other[i];
			*count += is_any(part + lint->begins[d], dimension_words(lint, d));
			continue;
		}
		for (size_t i = lint->begins[d]; i < lint->words; i++)
			part[i] |= other[i];
		*count += has_roles(lint, cut) && roles_meet(lint, part, rule);
	}
	return 0;
}

/* Which rules decided something of what rule `rule` would, and is anything left? */
static int
rule_cut(const struct lint *lint, unsigned rule, bool *decided, bool *is_left)
{
	uint64_t *from = lint->boxes[0], *to = lint->boxes[1];
	unsigned count = 1;
	int error = 0;

	memcpy(from, rule_box(lint, rule), lint->words * sizeof(*from));
	memset(from + lint->begins[DIMENSIONS], 0,
		dimension_words(lint, DIMENSIONS) * sizeof(*from));
	for (unsigned cut = 0; cut < rule && count > 0; cut++) {
		unsigned kept = 0;
		uint64_t *spare = from;

		decided[cut] = false;
		for (unsigned i = 0; i < count && !lint->is_dead[cut]; i++) {
			const uint64_t *box = from + i * lint->words;

			if (boxes_meet(lint, box, cut)) {
				decided[cut] = true;
				error = box_cut(lint, box, cut, rule, to, &kept);
			} else if (kept == POLICY_LINT_BOXES_MAX) {
				error = -E2BIG;
			} else {
				memcpy(to + kept++ * lint->words, box, lint->words * sizeof(*box));
			}
			if (error != 0)
				return error;
		}
		if (lint->is_dead[cut])
			continue;
		from = to;
		to = spare;
		count = kept;
	}
	*is_left = count > 0;
	return 0;
}

/* ---- findings ---- */

/* "rule 1 (allow, line 2), rule 3 (deny, line 4) and 2 more" */
static void
deciders_text(const struct lint *lint, const bool *decided, unsigned rule, char *text, size_t size)
{
	unsigned shown = 0, more = 0;
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < rule; i++) {
		char one[POLICY_RULE_TEXT_SIZE];

		if (!decided[i])
			continue;
		if (shown == 2) {
			more++;
			continue;
		}
		policy_rule_text(one, lint->policy, i);
		length += (size_t)snprintf(
			text + length, size - length, "%s%s", shown > 0 ? ", " : "", one);
		shown++;
	}
	if (more > 0)
		snprintf(text + length, size - length, " and %u more", more);
}

static int
covered_find(struct lint *lint, unsigned rule, const bool *decided)
{
	const struct policy_rule *rules = lint->policy->rules;
	bool has_same = false, has_other = false;
	char name[POLICY_RULE_TEXT_SIZE], deciders[240];

	for (unsigned i = 0; i < rule; i++) {
		has_same |= decided[i] && rules[i].is_allow == rules[rule].is_allow;
		has_other |= decided[i] && rules[i].is_allow != rules[rule].is_allow;
	}
	policy_rule_text(name, lint->policy, rule);
	deciders_text(lint, decided, rule, deciders, sizeof(deciders));
	if (!has_other)
		return find(lint, POLICY_FINDING_SHADOWED, rules[rule].line,
			"%s decides nothing that %s would not; remove it", name, deciders);
	return find(lint, has_same ? POLICY_FINDING_UNREACHABLE : POLICY_FINDING_CONTRADICTORY,
		rules[rule].line, "%s never decides: %s %s first; move it up, or remove it", name,
		deciders, has_same ? "decide" : "decides the opposite");
}

static int
rule_look(struct lint *lint, unsigned rule, bool *decided)
{
	const struct policy_rule *it = &lint->policy->rules[rule];
	char name[POLICY_RULE_TEXT_SIZE];
	bool is_left = true;
	int error;

	policy_rule_text(name, lint->policy, rule);
	if (lint->is_dead[rule])
		return find(lint, POLICY_FINDING_EMPTY, it->line,
			"%s matches nothing: one of its lists has nothing in it; fill it, or leave "
			"the key out for any",
			name);
	error = rule_cut(lint, rule, decided, &is_left);
	if (error == -E2BIG)
		return find(lint, POLICY_FINDING_UNCHECKED, it->line,
			"%s overlaps so many before it that it was not looked at in full", name);
	if (error == 0 && !is_left)
		return covered_find(lint, rule, decided);
	/* A sign of life says nothing about a user. */
	if (error == 0 && it->is_allow && it->kinds != KINDS_BEACON && !it->nodes.is_given &&
		!it->roles.is_given && !it->from.is_given && !it->uids.is_given &&
		!it->gids.is_given)
		return find(lint, POLICY_FINDING_WIDE, it->line,
			"%s allows every node and every user; name nodes, roles or uids", name);
	return error;
}

static int
audiences_look(struct lint *lint, unsigned rule)
{
	const struct policy_rule *it = &lint->policy->rules[rule];
	char name[POLICY_RULE_TEXT_SIZE];
	int error = 0;

	policy_rule_text(name, lint->policy, rule);
	for (unsigned i = 0; error == 0 && i < it->audiences.count; i++)
		if (!is_audience(lint->realm, it->audiences.items[i]))
			error = find(lint, POLICY_FINDING_UNKNOWN, it->line,
				"%s names audience %s, which realm %s does not have; add it to "
				"the configuration, or mend the name",
				name, it->audiences.items[i], lint->realm->name);
	return error;
}

/* Of limits for each node, the first one that names it holds. */
static int
limit_look(struct lint *lint, unsigned index)
{
	const struct policy_limit *limits = lint->policy->limits, *it = &limits[index];
	size_t words = POLICY_WORDS(lint->atoms[NAMES]);
	uint64_t *names = &lint->limits[index * words];
	char text[POLICY_LIMIT_TEXT_SIZE];

	policy_limit_text(text, it);
	if (it->kind == POLICY_LIMIT_NODES && !is_any(names, words))
		return find(lint, POLICY_FINDING_EMPTY, it->line,
			"the limit of %s names nobody; name nodes, or remove it", text);
	for (unsigned i = 0; i < index; i++) {
		if (it->kind == POLICY_LIMIT_EACH && limits[i].kind == POLICY_LIMIT_EACH &&
			strcmp(it->role, limits[i].role) == 0)
			return find(lint, POLICY_FINDING_SHADOWED, it->line,
				"the limit of %s is there already on line %u; remove one", text,
				limits[i].line);
		for (size_t w = 0; it->kind == POLICY_LIMIT_NODES &&
				   limits[i].kind == POLICY_LIMIT_NODES && w < words;
			w++)
			names[w] &= ~lint->limits[i * words + w];
	}
	if (it->kind == POLICY_LIMIT_NODES && !is_any(names, words))
		return find(lint, POLICY_FINDING_SHADOWED, it->line,
			"the limit of %s never holds: those before it name all of its nodes; move "
			"it up, or remove it",
			text);
	return 0;
}

static int
all_look(struct lint *lint)
{
	bool *decided = calloc(lint->policy->rule_count + 1, sizeof(*decided));
	int error = decided != NULL ? 0 : -ENOMEM;

	for (unsigned i = 0; error == 0 && i < lint->policy->rule_count; i++) {
		memset(decided, 0, lint->policy->rule_count * sizeof(*decided));
		error = audiences_look(lint, i);
		if (error == 0)
			error = rule_look(lint, i, decided);
	}
	/* From the last one on: each takes names out of its own set only. */
	for (unsigned i = lint->policy->limit_count; error == 0 && i > 0; i--)
		error = limit_look(lint, i - 1);
	free(decided);
	return error;
}

/* ---- the whole ---- */

static int
boxes_make(struct lint *lint)
{
	const struct policy *policy = lint->policy;
	size_t rules = policy->rule_count + 1, limits = policy->limit_count + 1;

	for (unsigned d = 0; d < DIMENSIONS; d++)
		lint->begins[d + 1] = lint->begins[d] + POLICY_WORDS(lint->atoms[d]);
	lint->words = lint->begins[DIMENSIONS] + POLICY_WORDS(lint->role_count);
	lint->rules = calloc(rules * lint->words, sizeof(*lint->rules));
	lint->limits = calloc(limits * POLICY_WORDS(lint->atoms[NAMES]), sizeof(*lint->limits));
	lint->is_dead = calloc(rules, sizeof(*lint->is_dead));
	for (unsigned i = 0; i < 2; i++)
		lint->boxes[i] =
			malloc(POLICY_LINT_BOXES_MAX * lint->words * sizeof(*lint->boxes[i]));
	return lint->rules != NULL && lint->limits != NULL && lint->is_dead != NULL &&
			       lint->boxes[0] != NULL && lint->boxes[1] != NULL
		       ? 0
		       : -ENOMEM;
}

static void
dead_mark(const struct lint *lint)
{
	for (unsigned rule = 0; rule < lint->policy->rule_count; rule++) {
		const uint64_t *box = rule_box(lint, rule);

		for (unsigned d = 0; d < DIMENSIONS; d++)
			if (!is_any(box + lint->begins[d], dimension_words(lint, d)))
				lint->is_dead[rule] = true;
		if (has_roles(lint, rule) && lint->policy->rules[rule].roles.count == 0)
			lint->is_dead[rule] = true;
	}
}

struct division {
	struct name_atoms names;
	struct borders borders[DIMENSIONS];
	struct words audiences;
	struct words roles;
};

static int
divide(struct lint *lint, struct division *division)
{
	int error = names_divide(lint, &division->names);

	for (enum dimension d = ORIGINS; error == 0 && d <= GIDS; d++)
		error = borders_make(lint->policy, d, &division->borders[d]);
	audiences_collect(lint, &division->audiences);
	roles_collect(lint, &division->roles);
	if (error != 0 || division->audiences.is_short_of_memory ||
		division->roles.is_short_of_memory)
		return -ENOMEM;
	lint->atoms[NAMES] = division->names.sets.item_count;
	for (enum dimension d = ORIGINS; d <= GIDS; d++)
		lint->atoms[d] = division->borders[d].count;
	lint->atoms[KINDS] = 3;
	lint->atoms[AUDIENCES] = division->audiences.set.item_count;
	lint->role_count = division->roles.set.item_count;
	return boxes_make(lint);
}

static void
division_fini(struct division *division)
{
	policy_names_destroy(division->names.names);
	policy_intern_fini(&division->names.sets);
	for (unsigned d = 0; d < DIMENSIONS; d++)
		free(division->borders[d].items);
	policy_intern_fini(&division->audiences.set);
	policy_intern_fini(&division->roles.set);
}

static int
finding_order(const void *a, const void *b)
{
	const struct policy_finding *one = a, *other = b;

	if (one->line != other->line)
		return one->line < other->line ? -1 : 1;
	return (one->kind > other->kind) - (one->kind < other->kind);
}

int
policy_lint(const struct policy *policy, const struct config_realm *realm,
	struct policy_findings *found)
{
	struct lint lint = {.policy = policy, .realm = realm, .found = found};
	struct division division = {0};
	int error;

	*found = (struct policy_findings){0};
	error = divide(&lint, &division);
	if (error == 0) {
		names_fill(&lint, &division.names);
		for (enum dimension d = ORIGINS; d <= GIDS; d++)
			borders_fill(&lint, d, &division.borders[d]);
		words_fill(&lint, &division.audiences, &division.roles);
		dead_mark(&lint);
		error = all_look(&lint);
	}
	if (found->count > 0)
		qsort(found->items, found->count, sizeof(*found->items), finding_order);
	division_fini(&division);
	free(lint.rules);
	free(lint.limits);
	free(lint.is_dead);
	free(lint.boxes[0]);
	free(lint.boxes[1]);
	return error;
}

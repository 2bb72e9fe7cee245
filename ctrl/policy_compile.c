/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/policy_compile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/policy_intern.h"
#include "ctrl/policy_spans.h"

#define BITS_MAX    (POLICY_RULES_MAX + POLICY_LIMITS_MAX)
#define WORDS_MAX   POLICY_WORDS(BITS_MAX)
#define PLACES_MAX  (TABLE_AUDIENCES_MAX + 1)
#define COLUMNS_MAX (TABLE_RULE_KINDS * PLACES_MAX)
#define SECOND_NS   1e9
#define DEPTH_MAX   (UINT64_C(1) << 60)
/* Classes that are in no set: the set's first is the next. */
#define CLASSES_FIXED (POLICY_CLASS_DENY + 1)

/* What of a rule is the same for all nodes. */
struct rule_plan {
	bool is_dead;   /* some list is empty, or no audience is known: it never matches */
	bool is_bound;  /* asks for the origin */
	bool is_looked; /* asks for uid, gid or origin */
	uint64_t places[POLICY_WORDS(PLACES_MAX)];
};

/* One realm. Bit i of a set is rule i; behind them come the limits. */
struct realm_plan {
	const struct policy *policy;  /* NULL: none */
	enum table_outcome otherwise; /* for whom no rule concerns */
	unsigned place_count;
	struct rule_plan *rules;
	struct policy_names *nodes;
	struct policy_names *roles;
	uint64_t any_nodes[WORDS_MAX]; /* rules and limits that ask for no name */
	uint64_t any_roles[WORDS_MAX];
	uint64_t met[WORDS_MAX];            /* some node was concerned */
	uint16_t limits[POLICY_LIMITS_MAX]; /* index of each shared one */
	int default_limit;                  /* index among the policy's, or -1 */
	struct policy_intern concerns;      /* sets of rules and limits; their classes: */
	uint16_t *classes;
	uint32_t class_room;
	struct policy_intern sequences; /* of rules that may decide; their programs: */
	uint16_t *programs;
	uint32_t program_room;
};

struct policy_image {
	struct table_rules *rules;
	bool is_changed;
	struct realm_plan *realms[TABLE_REALMS_MAX];
	struct policy_intern rows; /* of cells; where they are: */
	uint32_t *row_cells;
	uint32_t row_room;
	struct policy_intern classes;
	struct policy_shared limits[TABLE_LIMITS_MAX];
};

/* ---- an image ---- */

/* A row that serves every realm, whatever columns it has. */
static void
row_fill(struct policy_image *image, uint16_t program)
{
	struct table_rules *rules = image->rules;

	for (unsigned i = 0; i < COLUMNS_MAX; i++)
		rules->cells[rules->cell_count++] = program;
}

static void
image_begin(struct policy_image *image, const struct policy_image *before)
{
	struct table_rules *rules = image->rules;

	memset(rules, 0, sizeof(*rules));
	for (unsigned i = 0; i < TABLE_OUTCOMES; i++)
		rules->programs[i].otherwise = (uint8_t)i;
	rules->program_count = TABLE_OUTCOMES;
	row_fill(image, TABLE_OUTCOME_ALLOW);
	row_fill(image, TABLE_OUTCOME_DENY);
	rules->classes[POLICY_CLASS_DENY].cells = COLUMNS_MAX;
	rules->classes[POLICY_CLASS_DENY].flags = TABLE_CLASS_DENIES;
	rules->class_count = POLICY_CLASS_DENY + 1;
	image->is_changed = true;
	for (unsigned i = 1; before != NULL && i < TABLE_LIMITS_MAX; i++) {
		image->limits[i] = before->limits[i];
		image->limits[i].is_used = false;
	}
}

struct policy_image *
policy_image_create(const struct policy_image *before)
{
	struct policy_image *image = calloc(1, sizeof(*image));

	if (image == NULL)
		return NULL;
	image->rules = aligned_alloc(64, sizeof(*image->rules));
	if (image->rules == NULL) {
		free(image);
		return NULL;
	}
	image_begin(image, before);
	return image;
}

static void
plan_destroy(struct realm_plan *plan)
{
	if (plan == NULL)
		return;
	policy_names_destroy(plan->nodes);
	policy_names_destroy(plan->roles);
	policy_intern_fini(&plan->concerns);
	policy_intern_fini(&plan->sequences);
	free(plan->rules);
	free(plan->classes);
	free(plan->programs);
	free(plan);
}

void
policy_image_destroy(struct policy_image *image)
{
	if (image == NULL)
		return;
	for (unsigned i = 0; i < TABLE_REALMS_MAX; i++)
		plan_destroy(image->realms[i]);
	policy_intern_fini(&image->rows);
	policy_intern_fini(&image->classes);
	free(image->row_cells);
	free(image->rules);
	free(image);
}

const struct table_rules *
policy_image_rules(const struct policy_image *image)
{
	return image->rules;
}

bool
policy_image_is_changed(struct policy_image *image)
{
	bool is_changed = image->is_changed;

	image->is_changed = false;
	return is_changed;
}

unsigned
policy_image_limits(const struct policy_image *image, struct policy_shared limits[TABLE_LIMITS_MAX])
{
	memcpy(limits, image->limits, sizeof(image->limits));
	return image->rules->limit_count;
}

struct policy_sizes
policy_image_sizes(const struct policy_image *image)
{
	const struct table_rules *rules = image->rules;
	struct policy_sizes sizes = {
		.classes = rules->class_count,
		.cells = rules->cell_count,
		.programs = rules->program_count,
		.lane_groups = rules->group_count,
		.prefixes = rules->prefix_count,
	};

	for (unsigned i = 1; i < TABLE_LIMITS_MAX; i++)
		sizes.limits += image->limits[i].is_used;
	return sizes;
}

/* ---- a realm's plan ---- */

static bool
is_all(const struct policy_ranges *ranges)
{
	return !ranges->is_given || (ranges->count == 1 && ranges->items[0].first == 0 &&
					    ranges->items[0].last == UINT32_MAX);
}

/* Origins without bounds: not asked for, or a prefix of no length. */
static bool
is_everywhere(const struct policy_prefixes *from)
{
	for (unsigned i = 0; i < from->count; i++)
		if (from->items[i].bits == 0)
			return true;
	return !from->is_given;
}

static bool
has_empty_list(const struct policy_rule *rule)
{
	return (rule->nodes.is_given && rule->nodes.count == 0) ||
	       (rule->roles.is_given && rule->roles.count == 0) ||
	       (rule->audiences.is_given && rule->audiences.count == 0) ||
	       (rule->from.is_given && rule->from.count == 0) ||
	       (rule->uids.is_given && rule->uids.count == 0) ||
	       (rule->gids.is_given && rule->gids.count == 0) || rule->kinds == 0;
}

/* The place of an audience among the table's, which are in the order of their numbers; 0: none. */
static unsigned
audience_place(const struct config_realm *realm, const char *name)
{
	unsigned place = 1;
	int id = -1;

	for (unsigned i = 0; i < realm->audience_count; i++)
		if (strcmp(realm->audiences[i].name, name) == 0)
			id = (int)i;
	if (id < 0)
		return 0;
	for (unsigned i = 0; i < realm->audience_count; i++)
		place += realm->audiences[i].id < realm->audiences[id].id;
	return place;
}

static void
rule_plan_make(
	struct rule_plan *plan, const struct policy_rule *rule, const struct config_realm *realm)
{
	bool has_place = !rule->audiences.is_given;

	for (unsigned i = 0; i <= realm->audience_count && has_place; i++)
		policy_bit_set(plan->places, i);
	for (unsigned i = 0; i < rule->audiences.count; i++) {
		const char *name = rule->audiences.items[i];
		unsigned place = audience_place(realm, name);

		if (place == 0 && strcmp(name, POLICY_AUDIENCE_ANY) != 0)
			continue;
		policy_bit_set(plan->places, place);
		has_place = true;
	}
	plan->is_dead = !has_place || has_empty_list(rule);
	plan->is_bound = !is_everywhere(&rule->from);
	plan->is_looked = plan->is_bound || !is_all(&rule->uids) || !is_all(&rule->gids);
}

static int
texts_add(struct policy_names *names, uint64_t *any, const struct policy_texts *texts, unsigned bit)
{
	int error = 0;

	if (!texts->is_given)
		policy_bit_set(any, bit);
	for (unsigned i = 0; error == 0 && i < texts->count; i++)
		error = policy_names_add(names, texts->items[i], bit);
	return error;
}

static int
limit_names_add(struct realm_plan *plan, const struct policy_limit *limit, unsigned bit)
{
	switch (limit->kind) {
	case POLICY_LIMIT_NODES:
		policy_bit_set(plan->any_roles, bit);
		return texts_add(plan->nodes, plan->any_nodes, &limit->nodes, bit);
	case POLICY_LIMIT_EACH:
	case POLICY_LIMIT_ROLE:
		policy_bit_set(plan->any_nodes, bit);
		return policy_names_add(plan->roles, limit->role, bit);
	case POLICY_LIMIT_DEFAULT:
		break;
	}
	return 0;
}

static int
plan_names_make(struct realm_plan *plan)
{
	const struct policy *policy = plan->policy;
	int error = 0;

	plan->nodes = policy_names_create();
	plan->roles = policy_names_create();
	if (plan->nodes == NULL || plan->roles == NULL)
		return -ENOMEM;
	for (unsigned i = 0; error == 0 && i < policy->rule_count; i++) {
		error = texts_add(plan->nodes, plan->any_nodes, &policy->rules[i].nodes, i);
		if (error == 0)
			error = texts_add(plan->roles, plan->any_roles, &policy->rules[i].roles, i);
	}
	for (unsigned i = 0; error == 0 && i < policy->limit_count; i++)
		error = limit_names_add(plan, &policy->limits[i], policy->rule_count + i);
	return error;
}

static enum table_outcome
otherwise_of(const struct policy *policy, enum table_mode mode)
{
	if (policy == NULL || !policy->has_rules)
		return TABLE_OUTCOME_ALLOW;
	return mode == TABLE_MODE_ENFORCE ? TABLE_OUTCOME_DENY : TABLE_OUTCOME_SPARE;
}

/* ---- shared limits ---- */

/* Where the limit was in the image before, or is free now; 0: all are taken. */
static uint16_t
shared_place(const struct policy_image *image, unsigned realm_index, const char *text)
{
	uint16_t unused = 0, old = 0;

	for (uint16_t i = TABLE_LIMITS_MAX - 1; i > 0; i--) {
		const struct policy_shared *shared = &image->limits[i];

		if (shared->is_used)
			continue;
		if (shared->realm_index == realm_index && strcmp(shared->text, text) == 0)
			return i;
		if (shared->text[0] == '\0')
			unused = i;
		else
			old = i;
	}
	return unused != 0 ? unused : old;
}

static int
shared_add(struct policy_image *image, unsigned realm_index, const struct policy_limit *limit,
	uint16_t *index, struct reason *reason)
{
	char text[POLICY_LIMIT_TEXT_SIZE];

	policy_limit_text(text, limit);
	*index = shared_place(image, realm_index, text);
	if (*index == 0)
		return reason_set(reason, ENOSPC,
			"all %u places for limits that nodes share are taken (line %u); use "
			"each: true, or fewer roles",
			TABLE_LIMITS_MAX - 1, limit->line);
	image->limits[*index] = (struct policy_shared){
		.is_used = true,
		.realm_index = realm_index,
		.rate = limit->rate,
		.burst = limit->burst,
	};
	memcpy(image->limits[*index].text, text, sizeof(text));
	if (image->rules->limit_count <= *index)
		image->rules->limit_count = *index + 1u;
	return 0;
}

static int
plan_limits_make(struct policy_image *image, unsigned realm_index, struct realm_plan *plan,
	struct reason *reason)
{
	int error = 0;

	plan->default_limit = -1;
	for (unsigned i = 0; error == 0 && i < plan->policy->limit_count; i++) {
		const struct policy_limit *limit = &plan->policy->limits[i];

		if (limit->kind == POLICY_LIMIT_DEFAULT)
			plan->default_limit = (int)i;
		if ((limit->kind == POLICY_LIMIT_ROLE || limit->kind == POLICY_LIMIT_DEFAULT) &&
			!limit->is_unlimited)
			error = shared_add(image, realm_index, limit, &plan->limits[i], reason);
	}
	return error;
}

int
policy_image_realm(struct policy_image *image, unsigned realm_index,
	const struct config_realm *realm, enum table_mode mode, const struct policy *policy,
	struct reason *reason)
{
	struct realm_plan *plan = calloc(1, sizeof(*plan));

	if (plan == NULL)
		return reason_set(reason, ENOMEM, "no memory for the rules");
	plan_destroy(image->realms[realm_index]);
	image->realms[realm_index] = plan;
	plan->policy = policy;
	plan->otherwise = otherwise_of(policy, mode);
	plan->place_count = realm->audience_count + 1;
	if (policy == NULL)
		return 0;
	plan->rules = calloc(policy->rule_count + 1, sizeof(*plan->rules));
	if (plan->rules == NULL || plan_names_make(plan) != 0)
		return reason_set(reason, ENOMEM, "no memory for the rules");
	for (unsigned i = 0; i < policy->rule_count; i++)
		rule_plan_make(&plan->rules[i], &policy->rules[i], realm);
	return plan_limits_make(image, realm_index, plan, reason);
}

/* ---- programs ---- */

/* Rules that may decide, in their order; then `otherwise` does. */
struct sequence {
	uint16_t otherwise;
	uint16_t count;
	uint16_t rules[POLICY_RULES_MAX];
};

static unsigned
ranges_count(const struct policy_ranges *ranges)
{
	return is_all(ranges) ? 1 : ranges->count;
}

static struct policy_range
ranges_at(const struct policy_ranges *ranges, unsigned i)
{
	return is_all(ranges) ? (struct policy_range){0, UINT32_MAX} : ranges->items[i];
}

static unsigned
lanes_of(const struct policy_rule *rule)
{
	return ranges_count(&rule->uids) * ranges_count(&rule->gids);
}

/* Is there room for the program's lanes and prefixes? The rule that has most of them is named. */
static int
program_fits(const struct policy_image *image, const struct realm_plan *plan,
	const struct sequence *sequence, struct reason *reason)
{
	const struct table_rules *rules = image->rules;
	const struct policy_rule *widest = &plan->policy->rules[sequence->rules[0]];
	uint64_t lanes = 0, prefixes = 0, groups;

	for (unsigned i = 0; i < sequence->count; i++) {
		const struct policy_rule *rule = &plan->policy->rules[sequence->rules[i]];

		lanes += lanes_of(rule);
		if (plan->rules[sequence->rules[i]].is_bound)
			prefixes += (uint64_t)lanes_of(rule) * rule->from.count;
		if (lanes_of(rule) > lanes_of(widest))
			widest = rule;
	}
	groups = (lanes + TABLE_LANES - 1) / TABLE_LANES;
	if (groups > TABLE_PROGRAM_GROUPS_MAX)
		return reason_set(reason, ENOSPC,
			"rules that may decide about one credential have %llu pairs of a uid and "
			"a gid range, at most %u are possible; give the rule on line %u fewer",
			(unsigned long long)lanes, TABLE_PROGRAM_GROUPS_MAX * TABLE_LANES,
			widest->line);
	if (rules->program_count == TABLE_PROGRAMS_MAX ||
		groups > TABLE_LANE_GROUPS_MAX - rules->group_count)
		return reason_set(reason, ENOSPC,
			"the rules make more than %u programs or %u groups of ranges in all "
			"realms; write fewer that differ by nodes, audiences, uids and gids (the "
			"one on line %u has most ranges)",
			TABLE_PROGRAMS_MAX, TABLE_LANE_GROUPS_MAX, widest->line);
	if (prefixes > TABLE_RULE_PREFIXES_MAX - rules->prefix_count)
		return reason_set(reason, ENOSPC,
			"the rules make more than %u pairs of a prefix in `from` and a range of "
			"ids in all realms; use wider prefixes, or none beside uids and gids",
			TABLE_RULE_PREFIXES_MAX);
	return 0;
}

static void
lane_put(struct table_rules *rules, struct table_program *program, uint32_t lane, bool is_allow,
	struct policy_range uids, struct policy_range gids)
{
	struct table_lane_group *group = &rules->groups[program->group + lane / TABLE_LANES];
	unsigned at = lane % TABLE_LANES;

	if (at == 0) {
		memset(group, 0, sizeof(*group));
		rules->group_count++;
		program->group_count++;
	}
	group->uid_min[at] = uids.first;
	group->uid_span[at] = uids.last - uids.first;
	group->gid_min[at] = gids.first;
	group->gid_span[at] = gids.last - gids.first;
	group->used |= (uint16_t)(1u << at);
	if (is_allow)
		group->allows |= (uint16_t)(1u << at);
}

static void
lane_bind(struct table_rules *rules, struct table_program *program, uint32_t lane,
	const struct policy_prefixes *from)
{
	struct table_lane_group *group = &rules->groups[program->group + lane / TABLE_LANES];

	group->bound |= (uint16_t)(1u << lane % TABLE_LANES);
	for (unsigned i = 0; i < from->count; i++) {
		struct table_rule_prefix *prefix = &rules->prefixes[rules->prefix_count++];

		*prefix = (struct table_rule_prefix){.lane = lane, .bits = from->items[i].bits};
		memcpy(prefix->prefix, from->items[i].address, sizeof(prefix->prefix));
		program->prefix_count++;
	}
}

/* One lane for each pair of a uid and a gid range. */
static uint32_t
rule_put(struct table_rules *rules, struct table_program *program, uint32_t lane,
	const struct policy_rule *rule, bool is_bound)
{
	for (unsigned i = 0; i < ranges_count(&rule->uids); i++)
		for (unsigned j = 0; j < ranges_count(&rule->gids); j++, lane++) {
			lane_put(rules, program, lane, rule->is_allow, ranges_at(&rule->uids, i),
				ranges_at(&rule->gids, j));
			if (is_bound)
				lane_bind(rules, program, lane, &rule->from);
		}
	return lane;
}

static uint16_t
program_put(
	struct policy_image *image, const struct realm_plan *plan, const struct sequence *sequence)
{
	struct table_rules *rules = image->rules;
	struct table_program *program = &rules->programs[rules->program_count];
	uint32_t lane = 0;

	*program = (struct table_program){
		.group = rules->group_count,
		.prefix = rules->prefix_count,
		.otherwise = (uint8_t)sequence->otherwise,
	};
	for (unsigned i = 0; i < sequence->count; i++) {
		unsigned rule = sequence->rules[i];

		lane = rule_put(rules, program, lane, &plan->policy->rules[rule],
			plan->rules[rule].is_bound);
	}
	policy_spans_fold(rules, program);
	image->is_changed = true;
	return (uint16_t)rules->program_count++;
}

/* Makes room for number `number` in an array of u16 beside a set. */
static int
numbers_reach(uint16_t **numbers, uint32_t *room, int64_t number)
{
	uint32_t need = *room * 2 + 64;
	uint16_t *grown;

	if (number < *room)
		return 0;
	grown = reallocarray(*numbers, need, sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	*numbers = grown;
	*room = need;
	return 0;
}

#define NUMBER_NONE UINT16_MAX /* one that could not be made; nobody uses it */

static int
program_of(struct policy_image *image, struct realm_plan *plan, const struct sequence *sequence,
	uint16_t *program, struct reason *reason)
{
	size_t size = offsetof(struct sequence, rules) + sequence->count * sizeof(uint16_t);
	int64_t number;
	bool is_new;
	int error;

	if (sequence->count == 0) {
		*program = sequence->otherwise;
		return 0;
	}
	number = policy_intern(&plan->sequences, sequence, size, &is_new);
	if (number < 0 || numbers_reach(&plan->programs, &plan->program_room, number) != 0)
		return reason_set(reason, ENOMEM, "no memory for the rules");
	if (is_new)
		plan->programs[number] = NUMBER_NONE;
	if (plan->programs[number] == NUMBER_NONE) {
		error = program_fits(image, plan, sequence, reason);
		if (error != 0)
			return error;
		plan->programs[number] = program_put(image, plan, sequence);
	}
	*program = plan->programs[number];
	return 0;
}

/* ---- rows of cells ---- */

/* Rules at the end that decide what `otherwise` would are not asked. */
static void
sequence_trim(struct sequence *sequence, const struct policy *policy)
{
	while (sequence->count > 0) {
		bool is_allow = policy->rules[sequence->rules[sequence->count - 1]].is_allow;

		if (sequence->otherwise != (is_allow ? TABLE_OUTCOME_ALLOW : TABLE_OUTCOME_DENY))
			return;
		sequence->count--;
	}
}

/* What may decide in one column, of those rules that concern the node. */
static void
sequence_make(struct sequence *sequence, const struct realm_plan *plan, const uint16_t *rules,
	unsigned rule_count, unsigned kind, unsigned place)
{
	const struct policy *policy = plan->policy;

	sequence->count = 0;
	sequence->otherwise = plan->otherwise;
	for (unsigned i = 0; i < rule_count; i++) {
		const struct rule_plan *rule = &plan->rules[rules[i]];

		if ((policy->rules[rules[i]].kinds >> kind & 1) == 0 ||
			!policy_bit(rule->places, place))
			continue;
		if (!rule->is_looked) {
			sequence->otherwise = policy->rules[rules[i]].is_allow ? TABLE_OUTCOME_ALLOW
									       : TABLE_OUTCOME_DENY;
			break;
		}
		sequence->rules[sequence->count++] = rules[i];
	}
	sequence_trim(sequence, policy);
}

/* Rules of the set that may match at all. */
static unsigned
rules_list(const struct realm_plan *plan, const uint64_t *concerns, uint16_t *rules)
{
	unsigned count = 0;

	for (unsigned i = 0; i < plan->policy->rule_count; i++)
		if (policy_bit(concerns, i) && !plan->rules[i].is_dead)
			rules[count++] = (uint16_t)i;
	return count;
}

static int
row_place(struct policy_image *image, const uint16_t *row, unsigned count, uint32_t *cells,
	struct reason *reason)
{
	struct table_rules *rules = image->rules;
	int64_t number;
	bool is_new;

	number = policy_intern(&image->rows, row, count * sizeof(*row), &is_new);
	if (number >= image->row_room) {
		uint32_t room = image->row_room * 2 + 64;
		uint32_t *grown = reallocarray(image->row_cells, room, sizeof(*grown));

		if (grown == NULL)
			number = -ENOMEM;
		else {
			image->row_cells = grown;
			image->row_room = room;
		}
	}
	if (number < 0)
		return reason_set(reason, ENOMEM, "no memory for the rules");
	if (is_new)
		image->row_cells[number] = UINT32_MAX;
	if (image->row_cells[number] == UINT32_MAX) {
		if (count > TABLE_CELLS_MAX - rules->cell_count)
			return reason_set(reason, ENOSPC,
				"the rules divide the nodes of all realms into too many classes "
				"(%u cells); write rules for roles, not for nodes one by one",
				TABLE_CELLS_MAX);
		memcpy(&rules->cells[rules->cell_count], row, count * sizeof(*row));
		image->row_cells[number] = rules->cell_count;
		rules->cell_count += count;
	}
	*cells = image->row_cells[number];
	return 0;
}

static int
row_make(struct policy_image *image, struct realm_plan *plan, const uint64_t *concerns,
	uint32_t *cells, struct reason *reason)
{
	uint16_t list[POLICY_RULES_MAX], row[COLUMNS_MAX];
	unsigned count = rules_list(plan, concerns, list), columns = 0;
	struct sequence sequence;
	bool is_free = true;
	int error = 0;

	for (unsigned kind = 0; kind < TABLE_RULE_KINDS; kind++)
		for (unsigned place = 0; error == 0 && place < plan->place_count; place++) {
			sequence_make(&sequence, plan, list, count, kind, place);
			error = program_of(image, plan, &sequence, &row[columns], reason);
			is_free = is_free && row[columns] == TABLE_OUTCOME_ALLOW;
			columns++;
		}
	*cells = 0;
	if (error != 0 || is_free)
		return error;
	image->rules->has_rules = 1;
	return row_place(image, row, columns, cells, reason);
}

/* ---- classes ---- */

static uint64_t
interval_of(const struct policy_limit *limit)
{
	double interval = SECOND_NS / limit->rate;

	return interval < 1 ? 1 : (uint64_t)(interval + 0.5);
}

static uint64_t
depth_of(const struct policy_limit *limit)
{
	double depth = (double)interval_of(limit) * limit->burst;

	return depth >= (double)DEPTH_MAX ? DEPTH_MAX : (uint64_t)depth;
}

/* The first limit of each sort that concerns the node holds; the default, if none does. */
static void
limits_find(const struct realm_plan *plan, const uint64_t *concerns, struct table_class *class)
{
	const struct policy *policy = plan->policy;
	bool has_own = false, has_shared = false;

	for (unsigned i = 0; i < policy->limit_count; i++) {
		const struct policy_limit *limit = &policy->limits[i];
		bool is_shared = limit->kind == POLICY_LIMIT_ROLE;

		if (!policy_bit(concerns, policy->rule_count + i) ||
			(is_shared ? has_shared : has_own))
			continue;
		if (is_shared) {
			has_shared = true;
			class->limit = plan->limits[i];
			continue;
		}
		has_own = true;
		class->node_interval_ns = limit->is_unlimited ? 0 : interval_of(limit);
		class->node_depth_ns = limit->is_unlimited ? 0 : depth_of(limit);
	}
	if (!has_own && !has_shared && plan->default_limit >= 0)
		class->limit = plan->limits[plan->default_limit];
}

/* The number of a class like that. */
static int
class_place(struct policy_image *image, const struct table_class *class, uint16_t *number,
	struct reason *reason)
{
	struct table_rules *rules = image->rules;
	int64_t place;
	bool is_new;

	if (class->cells == 0 && class->limit == 0 && class->node_interval_ns == 0) {
		*number = POLICY_CLASS_FREE;
		return 0;
	}
	place = policy_intern(&image->classes, class, sizeof(*class), &is_new);
	if (place < 0)
		return reason_set(reason, ENOMEM, "no memory for the rules");
	if (place >= TABLE_CLASSES_MAX - CLASSES_FIXED)
		return reason_set(reason, ENOSPC,
			"rules and limits divide the nodes of all realms into more than %u "
			"classes; write rules for roles, not for nodes one by one",
			TABLE_CLASSES_MAX);
	*number = (uint16_t)(CLASSES_FIXED + place);
	if (!is_new)
		return 0;
	rules->classes[rules->class_count++] = *class;
	if (class->limit != 0 || class->node_interval_ns != 0)
		rules->has_limits = 1;
	image->is_changed = true;
	return 0;
}

static int
class_make(struct policy_image *image, struct realm_plan *plan, const uint64_t *concerns,
	uint16_t *number, struct reason *reason)
{
	struct table_class class = {0};
	int error;

	limits_find(plan, concerns, &class);
	error = row_make(image, plan, concerns, &class.cells, reason);
	return error != 0 ? error : class_place(image, &class, number, reason);
}

/* Which rules and limits concern the node, whatever its credential says. */
static unsigned
concerns_find(struct realm_plan *plan, const struct policy_subject *subject, uint64_t *concerns)
{
	unsigned words = POLICY_WORDS(plan->policy->rule_count + plan->policy->limit_count);
	uint64_t nodes[WORDS_MAX], roles[WORDS_MAX];

	memcpy(nodes, plan->any_nodes, words * sizeof(*nodes));
	memcpy(roles, plan->any_roles, words * sizeof(*roles));
	policy_names_find(plan->nodes, subject->name, nodes);
	for (unsigned i = 0; i < subject->role_count; i++)
		policy_names_find(plan->roles, subject->roles[i], roles);
	for (unsigned i = 0; i < words; i++) {
		concerns[i] = nodes[i] & roles[i];
		plan->met[i] |= concerns[i];
	}
	return words;
}

static int
deny(struct policy_image *image, uint16_t *class)
{
	image->is_changed |= image->rules->has_rules == 0;
	image->rules->has_rules = 1;
	*class = POLICY_CLASS_DENY;
	return 0;
}

int
policy_node_class(struct policy_image *image, unsigned realm_index,
	const struct policy_subject *subject, uint16_t *class, struct reason *reason)
{
	struct realm_plan *plan = image->realms[realm_index];
	uint64_t concerns[WORDS_MAX];
	unsigned words;
	int64_t number;
	bool is_new;
	int error;

	if (subject->is_suspended || subject->is_unlisted)
		return deny(image, class);
	*class = POLICY_CLASS_FREE;
	if (plan == NULL || plan->policy == NULL)
		return 0;
	words = concerns_find(plan, subject, concerns);
	number = policy_intern(&plan->concerns, concerns, words * sizeof(*concerns), &is_new);
	if (number < 0 || numbers_reach(&plan->classes, &plan->class_room, number) != 0)
		return reason_set(reason, ENOMEM, "no memory for the rules");
	if (is_new)
		plan->classes[number] = NUMBER_NONE;
	if (plan->classes[number] == NUMBER_NONE) {
		error = class_make(image, plan, concerns, class, reason);
		if (error != 0)
			return error;
		plan->classes[number] = *class;
	}
	*class = plan->classes[number];
	return 0;
}

bool
policy_image_rule_is_met(const struct policy_image *image, unsigned realm_index, unsigned rule)
{
	return policy_bit(image->realms[realm_index]->met, rule);
}

bool
policy_image_limit_is_met(const struct policy_image *image, unsigned realm_index, unsigned limit)
{
	const struct realm_plan *plan = image->realms[realm_index];

	return policy_bit(plan->met, plan->policy->rule_count + limit);
}

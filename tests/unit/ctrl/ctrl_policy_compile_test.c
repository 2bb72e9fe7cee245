/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiled rules against a slow obvious model: random policies are written as text and kept as
 * sets, and every answer of the compiled image, read as dataplane/table_rules.h says, must be that
 * of the first rule whose sets have the credential.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <time.h>

#include "ctrl/policy_compile.h"

#define NODES     14u
#define ROLES     5u
#define AUDIENCES 4u /* the last one is in no configuration */
#define RULES_MAX 12u
#define POLICIES  400u
#define QUESTIONS 400u

static uint64_t random_state = 88172645463325252ull;

static uint32_t
pick(uint32_t below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33) % below;
}

/* ---- the model ---- */

static const uint32_t ids[] = {0, 1, 7, 999, 1000, 1001, 59999, 60000, 4294967294u, UINT32_MAX};
#define IDS (sizeof(ids) / sizeof(ids[0]))

static const struct {
	const char *text;
	uint8_t address[16];
	unsigned bits;
} prefixes[] = {
	{"10.0.0.0/8", {[10] = 0xff, 0xff, 10}, 104},
	{"10.1.0.0/16", {[10] = 0xff, 0xff, 10, 1}, 112},
	{"10.1.2.3", {[10] = 0xff, 0xff, 10, 1, 2, 3}, 128},
	{"fd00::/8", {0xfd}, 8},
	{"fd00:1::/33", {0xfd, 0, 0, 1}, 33},
	{"::/0", {0}, 0},
	{"0.0.0.0/0", {[10] = 0xff, 0xff}, 96},
};
#define PREFIXES (sizeof(prefixes) / sizeof(prefixes[0]))

static const uint8_t origins[][16] = {
	{[10] = 0xff, 0xff, 10, 1, 2, 3},
	{[10] = 0xff, 0xff, 10, 1, 9, 9},
	{[10] = 0xff, 0xff, 10, 200, 0, 1},
	{[10] = 0xff, 0xff, 192, 168, 0, 1},
	{0xfd, 0, 0, 1, 0, [15] = 1},
	{0xfd, 0, 0, 1, 0x80, [15] = 1},
	{0xfe, [15] = 1},
	{0},
};
#define ORIGINS (sizeof(origins) / sizeof(origins[0]))

/* Bitmaps; all ones where the key is not written. */
struct model_rule {
	bool is_allow;
	uint32_t nodes;
	uint32_t roles; /* UINT32_MAX: not asked */
	uint32_t kinds;
	uint32_t audiences; /* bit 0: audience 0, bit 1 + i: audience i */
	uint32_t from;      /* of prefixes; UINT32_MAX: not asked */
	uint32_t uids;      /* of ids */
	uint32_t gids;
};

struct model {
	bool has_rules;
	struct model_rule rules[RULES_MAX];
	unsigned rule_count;
};

struct question {
	unsigned node;
	uint32_t roles;
	unsigned kind;  /* 1 ... 3 */
	unsigned place; /* 0: audience 0, else 1 + audience, of those that are configured */
	unsigned uid;
	unsigned gid;
	unsigned origin;
};

static bool
is_within(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++)
		if (((address[i / 8] ^ prefix[i / 8]) >> (7 - i % 8) & 1) != 0)
			return false;
	return true;
}

static bool
model_from(uint32_t from, unsigned origin)
{
	if (from == UINT32_MAX)
		return true;
	for (unsigned i = 0; i < PREFIXES; i++)
		if ((from >> i & 1) != 0 &&
			is_within(origins[origin], prefixes[i].address, prefixes[i].bits))
			return true;
	return false;
}

static bool
model_matches(const struct model_rule *rule, const struct question *q)
{
	return (rule->nodes >> q->node & 1) != 0 &&
	       (rule->roles == UINT32_MAX || (rule->roles & q->roles) != 0) &&
	       (rule->kinds >> (q->kind - 1) & 1) != 0 && (rule->audiences >> q->place & 1) != 0 &&
	       (rule->uids >> q->uid & 1) != 0 && (rule->gids >> q->gid & 1) != 0 &&
	       model_from(rule->from, q->origin);
}

static enum table_outcome
model_ask(const struct model *model, const struct question *q, enum table_mode mode)
{
	if (!model->has_rules)
		return TABLE_OUTCOME_ALLOW;
	for (unsigned i = 0; i < model->rule_count; i++)
		if (model_matches(&model->rules[i], q))
			return model->rules[i].is_allow ? TABLE_OUTCOME_ALLOW : TABLE_OUTCOME_DENY;
	return mode == TABLE_MODE_ENFORCE ? TABLE_OUTCOME_DENY : TABLE_OUTCOME_SPARE;
}

/* ---- random policies, as sets and as text ---- */

struct text {
	char bytes[16384];
	size_t size;
};

static void __attribute__((format(printf, 2, 3))) say(struct text *text, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	text->size += (size_t)vsnprintf(
		text->bytes + text->size, sizeof(text->bytes) - text->size, format, arguments);
	va_end(arguments);
	assert_true(text->size < sizeof(text->bytes));
}

static const char *
node_name(unsigned node)
{
	static char name[16];

	snprintf(name, sizeof(name), node < 2 ? "login%u" : "n%02u-ib", node);
	return name;
}

static uint32_t
nodes_say(struct text *text)
{
	unsigned first = 2 + pick(NODES - 2), last = first + pick(NODES - first), one = pick(NODES);
	uint32_t set = 0;

	switch (pick(4)) {
	case 0:
		say(text, "nodes: [\"n[%02u-%02u]-ib\"], ", first, last);
		break;
	case 1:
		say(text, "nodes: [\"n[%02u-%02u]-ib\", %s], ", first, last, node_name(one));
		set = 1u << one;
		break;
	case 2:
		say(text, "nodes: %s, ", node_name(one));
		return 1u << one;
	default:
		return UINT32_MAX;
	}
	for (unsigned i = first; i <= last; i++)
		set |= 1u << i;
	return set;
}

/* A list of some of `count` names. */
static uint32_t
names_say(struct text *text, const char *key, const char *letter, unsigned count, unsigned shift)
{
	uint32_t set = 0;

	if (pick(2) == 0)
		return UINT32_MAX;
	say(text, "%s: [", key);
	for (unsigned i = 0; i < count; i++)
		if (pick(3) == 0) {
			say(text, "%s%s%u", set != 0 ? ", " : "", letter, i);
			set |= 1u << (i + shift);
		}
	say(text, "], ");
	return set;
}

static uint32_t
audiences_say(struct text *text)
{
	uint32_t set = names_say(text, "audiences", "a", AUDIENCES, 1);

	if (set == UINT32_MAX || pick(2) == 0)
		return set;
	text->size -= strlen("], ");
	say(text, "%sany], ", set != 0 ? ", " : "");
	return set | 1;
}

static uint32_t
kinds_say(struct text *text)
{
	static const char *const names[] = {"assert", "beacon", "ask"};
	uint32_t set = 1 + pick(7);
	bool is_first = true;

	if (pick(3) != 0)
		return 7;
	say(text, "kinds: [");
	for (unsigned i = 0; i < 3; i++)
		if ((set >> i & 1) != 0) {
			say(text, "%s%s", is_first ? "" : ", ", names[i]);
			is_first = false;
		}
	say(text, "], ");
	return set;
}

static uint32_t
ids_say(struct text *text, const char *key)
{
	unsigned ranges = 1 + pick(3);
	uint32_t set = 0;

	if (pick(3) != 0)
		return UINT32_MAX;
	say(text, "%s: [", key);
	for (unsigned i = 0; i < ranges; i++) {
		unsigned first = pick(IDS), last = first + pick(IDS - first);

		say(text, "%s\"%u-%u\"", i > 0 ? ", " : "", ids[first], ids[last]);
		for (unsigned j = first; j <= last; j++)
			set |= 1u << j;
	}
	say(text, "], ");
	return set;
}

static uint32_t
from_say(struct text *text)
{
	uint32_t set = 0;

	if (pick(3) != 0)
		return UINT32_MAX;
	say(text, "from: [");
	for (unsigned i = 0; i < PREFIXES; i++)
		if (pick(4) == 0) {
			say(text, "%s\"%s\"", set != 0 ? ", " : "", prefixes[i].text);
			set |= 1u << i;
		}
	say(text, "], ");
	return set;
}

static void
model_make(struct model *model, struct text *text)
{
	model->has_rules = true;
	model->rule_count = pick(RULES_MAX + 1);
	text->size = 0;
	say(text, "rules:%s\n", model->rule_count == 0 ? " []" : "");
	for (unsigned i = 0; i < model->rule_count; i++) {
		struct model_rule *rule = &model->rules[i];

		rule->is_allow = pick(2);
		say(text, "  - %s: {", rule->is_allow ? "allow" : "deny");
		rule->nodes = nodes_say(text);
		rule->roles = names_say(text, "roles", "r", ROLES, 0);
		rule->kinds = kinds_say(text);
		rule->audiences = audiences_say(text);
		rule->from = from_say(text);
		rule->uids = ids_say(text, "uids");
		rule->gids = ids_say(text, "gids");
		say(text, "}\n");
	}
}

/* ---- the compiled rules, read as their header says ---- */

static bool
lane_is_bound_there(const struct table_rules *rules, const struct table_program *program,
	uint32_t lane, const uint8_t *origin)
{
	for (uint32_t i = 0; i < program->prefix_count; i++) {
		const struct table_rule_prefix *prefix = &rules->prefixes[program->prefix + i];

		if (prefix->lane == lane && is_within(origin, prefix->prefix, prefix->bits))
			return true;
	}
	return false;
}

static enum table_outcome
program_side(const struct table_rules *rules, const struct table_program *program, uint32_t id)
{
	bool is_odd = false;

	assert_true(program->vector_count <= program->group_count * TABLE_SPAN_VECTORS);
	for (unsigned v = 0; v < program->vector_count; v++)
		for (unsigned i = 0; i < TABLE_LANES; i++)
			is_odd ^= id > table_span_borders_ro(&rules->groups[program->group], v)[i];
	return is_odd ? program->odd : program->otherwise;
}

static enum table_outcome
program_run(const struct table_rules *rules, const struct table_program *program, uint32_t uid,
	uint32_t gid, const uint8_t *origin)
{
	assert_true(program->group_count <= TABLE_PROGRAM_GROUPS_MAX);
	assert_true(program->group + program->group_count <= rules->group_count);
	assert_true(program->prefix + program->prefix_count <= rules->prefix_count);
	if (program->form != TABLE_PROGRAM_LANES)
		return program_side(
			rules, program, program->form == TABLE_PROGRAM_UID_SPANS ? uid : gid);
	for (uint32_t lane = 0; lane < program->group_count * TABLE_LANES; lane++) {
		const struct table_lane_group *group =
			&rules->groups[program->group + lane / TABLE_LANES];
		unsigned at = lane % TABLE_LANES;

		if ((group->used >> at & 1) == 0 ||
			uid - group->uid_min[at] > group->uid_span[at] ||
			gid - group->gid_min[at] > group->gid_span[at])
			continue;
		if ((group->bound >> at & 1) != 0 &&
			!lane_is_bound_there(rules, program, lane, origin))
			continue;
		return (group->allows >> at & 1) != 0 ? TABLE_OUTCOME_ALLOW : TABLE_OUTCOME_DENY;
	}
	return program->otherwise;
}

static enum table_outcome
rules_ask(const struct table_rules *rules, uint16_t class, unsigned audience_count,
	const struct question *q)
{
	uint32_t column = table_rules_column(audience_count, (uint8_t)q->kind, q->place);
	uint32_t cell;

	assert_true(class < rules->class_count);
	assert_true(column < table_rules_columns(audience_count));
	cell = rules->classes[class].cells + column;
	assert_true(cell < rules->cell_count);
	assert_true(rules->cells[cell] < rules->program_count);
	return program_run(rules, &rules->programs[rules->cells[cell]], ids[q->uid], ids[q->gid],
		origins[q->origin]);
}

/* ---- the two beside each other ---- */

/* Numbers that are not in the order of names: places follow numbers. */
static const struct config_realm realm = {
	.name = "lab",
	.nodes_max = 100,
	.audiences = {{"a0", 500}, {"a1", 7}, {"a2", 80}},
	.audience_count = 3,
};
static const unsigned place_of[] = {0, 3, 1, 2}; /* by model place */

static struct policy *
parsed(const char *text)
{
	struct reason reason;
	struct policy *policy = policy_parse("test.yaml", text, strlen(text), &reason);

	if (policy == NULL)
		fail_msg("%s\n%s", reason.text, text);
	return policy;
}

static struct policy_image *
compiled(const struct policy *policy, enum table_mode mode)
{
	struct policy_image *image = policy_image_create(NULL);
	struct reason reason;

	assert_non_null(image);
	assert_int_equal(policy_image_realm(image, 0, &realm, mode, policy, &reason), 0);
	return image;
}

static uint16_t
class_of(struct policy_image *image, const char *name, uint32_t roles)
{
	static const char *const names[] = {"r0", "r1", "r2", "r3", "r4"};
	const char *has[ROLES];
	struct policy_subject subject = {.name = name, .roles = has};
	struct reason reason;
	uint16_t class = 9999;

	for (unsigned i = 0; i < ROLES; i++)
		if ((roles >> i & 1) != 0)
			has[subject.role_count++] = names[i];
	if (policy_node_class(image, 0, &subject, &class, &reason) != 0)
		fail_msg("%s", reason.text);
	return class;
}

static void
question_make(struct question *q)
{
	*q = (struct question){
		.node = pick(NODES),
		.roles = pick(1u << ROLES),
		.kind = 1 + pick(3),
		.place = pick(realm.audience_count + 1),
		.uid = pick(IDS),
		.gid = pick(IDS),
		.origin = pick(ORIGINS),
	};
}

static void
test_random_policies(void **state)
{
	unsigned outcomes[TABLE_OUTCOMES] = {0};
	static struct model model;
	static struct text text;

	(void)state;
	for (unsigned i = 0; i < POLICIES; i++) {
		enum table_mode mode = pick(3);
		struct policy_image *image;
		struct policy *policy;

		model_make(&model, &text);
		policy = parsed(text.bytes);
		assert_int_equal(policy->rule_count, model.rule_count);
		image = compiled(policy, mode);
		for (unsigned j = 0; j < QUESTIONS; j++) {
			struct question asked, placed;
			enum table_outcome want, got;
			uint16_t class;

			question_make(&asked);
			placed = asked;
			placed.place = place_of[asked.place];
			want = model_ask(&model, &asked, mode);
			class = class_of(image, node_name(asked.node), asked.roles);
			got = rules_ask(
				policy_image_rules(image), class, realm.audience_count, &placed);
			outcomes[want]++;
			if (got != want)
				fail_msg("node %u roles %x kind %u place %u uid %u gid %u origin "
					 "%u: got %d, not %d\n%s",
					asked.node, asked.roles, asked.kind, asked.place, asked.uid,
					asked.gid, asked.origin, got, want, text.bytes);
		}
		policy_image_destroy(image);
		policy_destroy(policy);
	}
	for (unsigned i = 0; i < TABLE_OUTCOMES; i++)
		assert_true(outcomes[i] > POLICIES);
}

/* Suspended and unlisted nodes are denied in every realm, whatever its rules and columns. */
static void
test_denied_classes(void **state)
{
	struct policy *policy = parsed("rules:\n  - allow: {}\n");
	struct policy_image *image = compiled(policy, TABLE_MODE_OBSERVE);
	struct policy_subject subject = {.name = "n1", .is_suspended = true};
	struct question q = {.kind = 3, .place = TABLE_AUDIENCES_MAX};
	struct reason reason;
	uint16_t class;

	(void)state;
	assert_int_equal(policy_node_class(image, 0, &subject, &class, &reason), 0);
	assert_int_equal(class, POLICY_CLASS_DENY);
	assert_int_equal(policy_image_rules(image)->has_rules, 1);
	assert_int_equal(rules_ask(policy_image_rules(image), class, TABLE_AUDIENCES_MAX, &q),
		TABLE_OUTCOME_DENY);
	subject.is_suspended = false;
	subject.is_unlisted = true;
	/* A realm without a policy. */
	assert_int_equal(policy_node_class(image, 5, &subject, &class, &reason), 0);
	assert_int_equal(class, POLICY_CLASS_DENY);
	subject.is_unlisted = false;
	assert_int_equal(policy_node_class(image, 5, &subject, &class, &reason), 0);
	assert_int_equal(class, POLICY_CLASS_FREE);
	assert_int_equal(rules_ask(policy_image_rules(image), class, TABLE_AUDIENCES_MAX, &q),
		TABLE_OUTCOME_ALLOW);
	policy_image_destroy(image);
	policy_destroy(policy);
}

/* Who never got rules is asked nothing, in any mode; an empty list asks for the mode's default. */
static void
test_defaults(void **state)
{
	static const struct {
		const char *text;
		enum table_mode mode;
		enum table_outcome outcome;
	} rows[] = {
		{"limits: []\n", TABLE_MODE_ENFORCE, TABLE_OUTCOME_ALLOW},
		{"rules: []\n", TABLE_MODE_ENFORCE, TABLE_OUTCOME_DENY},
		{"rules: []\n", TABLE_MODE_PERMISSIVE, TABLE_OUTCOME_SPARE},
		{"rules: []\n", TABLE_MODE_OBSERVE, TABLE_OUTCOME_SPARE},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy *policy = parsed(rows[i].text);
		struct policy_image *image = compiled(policy, rows[i].mode);
		struct question q = {.kind = 1};
		uint16_t class = class_of(image, "n1", 0);

		assert_int_equal(
			rules_ask(policy_image_rules(image), class, 3, &q), rows[i].outcome);
		policy_image_destroy(image);
		policy_destroy(policy);
	}
}

/* ---- limits ---- */

static void
class_check(struct policy_image *image, const char *name, uint32_t roles, uint64_t interval,
	uint64_t depth, const char *shared)
{
	const struct table_rules *rules = policy_image_rules(image);
	const struct table_class *class = &rules->classes[class_of(image, name, roles)];
	struct policy_shared limits[TABLE_LIMITS_MAX];
	unsigned count = policy_image_limits(image, limits);

	assert_int_equal(class->node_interval_ns, interval);
	assert_int_equal(class->node_depth_ns, depth);
	if (shared == NULL) {
		assert_int_equal(class->limit, 0);
		return;
	}
	assert_in_range(class->limit, 1, count - 1);
	assert_string_equal(limits[class->limit].text, shared);
}

static void
test_limits(void **state)
{
	struct policy *policy = parsed("limits:\n"
				       "  - {node: \"n[001-512]\", rate: 1000, burst: 2000}\n"
				       "  - {role: r0, rate: 50000, burst: 70000}\n"
				       "  - {role: r1, each: true, rate: 0.5}\n"
				       "  - {role: r2, rate: unlimited}\n"
				       "  - {node: [a, b], rate: unlimited}\n"
				       "  - {role: r3, rate: 10}\n"
				       "  - {default: aggregate, rate: 10000}\n");
	struct policy_image *image = compiled(policy, TABLE_MODE_ENFORCE);

	(void)state;
	class_check(image, "n001", 0, 1000000, 2000000000, NULL);
	class_check(image, "n1", 0, 0, 0, "default");
	class_check(image, "n1", 1, 0, 0, "role r0");
	class_check(image, "n512", 1, 1000000, 2000000000, "role r0");
	class_check(image, "x", 2, 2000000000, 2000000000, NULL);
	class_check(image, "n007", 2, 1000000, 2000000000, NULL); /* the first one holds */
	class_check(image, "x", 4, 0, 0, NULL);
	class_check(image, "a", 0, 0, 0, NULL);
	class_check(image, "a", 8, 0, 0, "role r3");
	class_check(image, "x", 12, 0, 0, NULL); /* r2 comes first, and is named */
	assert_int_equal(policy_image_rules(image)->has_limits, 1);
	assert_int_equal(policy_image_rules(image)->has_rules, 0);
	policy_image_destroy(image);
	policy_destroy(policy);
}

/* A share that a worker has must stay that limit's through a change of others. */
static void
test_limits_keep_their_indices(void **state)
{
	struct policy *first =
		parsed("limits:\n  - {role: r0, rate: 1}\n  - {role: r1, rate: 2}\n");
	struct policy *second =
		parsed("limits:\n  - {role: r2, rate: 3}\n  - {role: r1, rate: 4}\n");
	struct policy_image *before = compiled(first, TABLE_MODE_ENFORCE);
	struct policy_image *after = policy_image_create(before);
	struct policy_shared limits[TABLE_LIMITS_MAX];
	uint16_t index = policy_image_rules(before)->classes[class_of(before, "x", 2)].limit;
	struct reason reason;

	(void)state;
	assert_int_equal(
		policy_image_realm(after, 0, &realm, TABLE_MODE_ENFORCE, second, &reason), 0);
	assert_int_equal(policy_image_rules(after)->classes[class_of(after, "x", 2)].limit, index);
	policy_image_limits(after, limits);
	assert_true(limits[index].is_used);
	assert_true(limits[index].rate == 4);
	policy_image_destroy(before);
	policy_image_destroy(after);
	policy_destroy(first);
	policy_destroy(second);
}

/* ---- bounds ---- */

#define BITS 13u

/* A class for each subset of roles r0 ... r12, until there is no room. */
static int
subsets_try(struct policy_image *image, unsigned *count, struct reason *reason)
{
	static char names[BITS][8];
	const char *roles[BITS];
	int error = 0;

	for (*count = 0; error == 0 && *count < 1u << BITS; ++*count) {
		struct policy_subject subject = {.name = "n1", .roles = roles};
		uint16_t class;

		for (unsigned i = 0; i < BITS; i++) {
			snprintf(names[i], sizeof(names[i]), "r%u", i);
			if ((*count >> i & 1) != 0)
				roles[subject.role_count++] = names[i];
		}
		error = policy_node_class(image, 0, &subject, &class, reason);
	}
	return error;
}

static void
bound_check(const char *text, const char *said, unsigned least)
{
	struct policy *policy = parsed(text);
	struct policy_image *image = compiled(policy, TABLE_MODE_ENFORCE);
	struct question q = {.kind = 1};
	struct reason reason;
	unsigned count;

	assert_int_equal(subsets_try(image, &count, &reason), -ENOSPC);
	if (strstr(reason.text, said) == NULL)
		fail_msg("%s", reason.text);
	assert_true(count >= least);
	/* What is there still answers, and the full image says so again. */
	if (count > 1)
		rules_ask(policy_image_rules(image), class_of(image, "n1", 0), 3, &q);
	assert_int_equal(subsets_try(image, &count, &reason), -ENOSPC);
	assert_true(policy_image_rules(image)->class_count <= TABLE_CLASSES_MAX);
	assert_true(policy_image_rules(image)->cell_count <= TABLE_CELLS_MAX);
	assert_true(policy_image_rules(image)->program_count <= TABLE_PROGRAMS_MAX);
	assert_true(policy_image_rules(image)->group_count <= TABLE_LANE_GROUPS_MAX);
	assert_true(policy_image_rules(image)->prefix_count <= TABLE_RULE_PREFIXES_MAX);
	policy_image_destroy(image);
	policy_destroy(policy);
}

static void
test_bounds(void **state)
{
	static struct text text;

	(void)state;
	/* 33 uid ranges times 32 gid ranges: too many lanes for one program. */
	text.size = 0;
	say(&text, "rules:\n  - deny: {roles: r0}\n  - allow:\n      uids: [0");
	for (unsigned i = 1; i < 33; i++)
		say(&text, ", %u", 2 * i);
	say(&text, "]\n      gids: [0");
	for (unsigned i = 1; i < 32; i++)
		say(&text, ", %u", 2 * i);
	say(&text, "]\n");
	bound_check(text.bytes, "1056 pairs", 1);

	/* Every subset of roles is a program, a group of lanes and a row of its own. */
	text.size = 0;
	say(&text, "rules:\n");
	for (unsigned i = 0; i < BITS; i++)
		say(&text, "  - allow: {roles: r%u, uids: %u}\n", i, i);
	bound_check(text.bytes, "classes", 4000);

	/* As many, with origins. */
	text.size = 0;
	say(&text, "rules:\n");
	for (unsigned i = 0; i < BITS; i++)
		say(&text, "  - allow: {roles: r%u, from: [10.%u.0.0/16, 11.%u.0.0/16]}\n", i, i,
			i);
	bound_check(text.bytes, "8192 pairs", 100);

	/* Each subset has seventeen lanes and more, which no spans can stand for: two groups. */
	text.size = 0;
	say(&text, "rules:\n  - allow: {uids: [1");
	for (unsigned i = 1; i < 17; i++)
		say(&text, ", %u", 2 * i + 1);
	say(&text, "], gids: 7}\n");
	for (unsigned i = 0; i < BITS; i++)
		say(&text, "  - allow: {roles: r%u, uids: %u, gids: 8}\n", i, 2 * i);
	bound_check(text.bytes, "groups of ranges", 1500);

	/* Shared limits are few, and known before there is a node. */
	text.size = 0;
	say(&text, "limits:\n");
	for (unsigned i = 0; i < 250; i++)
		say(&text, "  - {role: r%u, rate: %u}\n", i, i + 1);
	{
		struct policy *policy = parsed(text.bytes);
		struct policy_image *image = compiled(policy, TABLE_MODE_ENFORCE);
		struct reason reason;

		assert_int_equal(
			policy_image_realm(image, 1, &realm, TABLE_MODE_ENFORCE, policy, &reason),
			-ENOSPC);
		assert_non_null(strstr(reason.text, "255 places"));
		policy_image_destroy(image);
		policy_destroy(policy);
	}
}

/* ---- how long it takes; printed, not judged ---- */

static void
test_speed(void **state)
{
	static struct text text;
	struct policy_subject subject = {0};
	struct timespec begun, ended;
	struct policy_image *image;
	struct policy *policy;
	struct reason reason;
	char name[16];

	(void)state;
	text.size = 0;
	say(&text, "rules:\n");
	for (unsigned i = 0; i < 100; i++)
		say(&text, "  - %s: {nodes: \"n[%05u-%05u]\", roles: [r%u], uids: %u}\n",
			i % 2 == 0 ? "allow" : "deny", i * 600, i * 600 + 900, i % 4, 1000 + i);
	policy = parsed(text.bytes);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	image = compiled(policy, TABLE_MODE_ENFORCE);
	subject.name = name;
	for (unsigned i = 0; i < 65536; i++) {
		const char *role = i % 3 == 0 ? "r1" : "r2";
		uint16_t class;

		snprintf(name, sizeof(name), "n%05u", i);
		subject.roles = &role;
		subject.role_count = 1;
		assert_int_equal(policy_node_class(image, 0, &subject, &class, &reason), 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &ended);
	print_message("65,536 nodes, 100 rules: %.1f ms, %u classes\n",
		(double)(ended.tv_sec - begun.tv_sec) * 1e3 +
			(double)(ended.tv_nsec - begun.tv_nsec) / 1e6,
		policy_image_sizes(image).classes);
	policy_image_destroy(image);
	policy_destroy(policy);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_policies),
		cmocka_unit_test(test_denied_classes),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_limits_keep_their_indices),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

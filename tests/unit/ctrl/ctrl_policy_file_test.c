/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of a policy: what it means, and one line with file, line, key and cure for what is wrong. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include "ctrl/names.h"
#include "ctrl/policy_explain.h"
#include "ctrl/policy_file.h"
#include "ctrl/policy_lint.h"

static struct policy *
parsed(const char *text)
{
	struct reason reason;
	struct policy *policy = policy_parse("p.yaml", text, strlen(text), &reason);

	if (policy == NULL)
		fail_msg("%s", reason.text);
	return policy;
}

static void
test_all_keys(void **state)
{
	struct policy *policy = parsed(
		"rules:\n"
		"  - allow: {nodes: [\"n[001-512]\", login1], roles: [compute], from: "
		"[10.0.0.0/8,\n"
		"            \"fd00::/8\"], uids: [\"0\", \"1000-59999\", \"59000-60000\", "
		"60001],\n"
		"            gids: 7, kinds: [assert, beacon], audiences: [scheduler, any]}\n"
		"    name: compute\n"
		"  - deny: any\n"
		"limits:\n"
		"  - {node: \"n[001-512]\", rate: 1000, burst: 2000}\n"
		"  - {role: batch, rate: 0.25}\n"
		"  - {role: batch, each: true, rate: unlimited}\n"
		"  - {default: aggregate, rate: 10000.5}\n");
	const struct policy_rule *rule = &policy->rules[0];

	(void)state;
	assert_true(policy->has_rules);
	assert_int_equal(policy->rule_count, 2);
	assert_true(rule->is_allow);
	assert_string_equal(rule->name, "compute");
	assert_int_equal(rule->line, 2);
	assert_int_equal(rule->nodes.count, 2);
	assert_string_equal(rule->nodes.items[1], "login1");
	assert_int_equal(rule->from.count, 2);
	assert_int_equal(rule->from.items[0].bits, 104);
	assert_int_equal(rule->from.items[1].bits, 8);
	/* Ranges that overlap or touch are one. */
	assert_int_equal(rule->uids.count, 2);
	assert_int_equal(rule->uids.items[1].first, 1000);
	assert_int_equal(rule->uids.items[1].last, 60001);
	assert_int_equal(rule->gids.count, 1);
	assert_int_equal(rule->kinds, 3);
	assert_string_equal(rule->audiences.items[1], POLICY_AUDIENCE_ANY);
	assert_false(policy->rules[1].is_allow);
	assert_false(policy->rules[1].nodes.is_given);
	assert_int_equal(policy->rules[1].kinds, POLICY_KINDS_ALL);
	assert_int_equal(policy->rules[1].line, 6);
	assert_int_equal(policy->limit_count, 4);
	assert_int_equal(policy->limits[0].kind, POLICY_LIMIT_NODES);
	assert_true(policy->limits[0].burst == 2000);
	assert_int_equal(policy->limits[1].kind, POLICY_LIMIT_ROLE);
	assert_true(policy->limits[1].rate == 0.25);
	assert_true(policy->limits[1].burst == 1);
	assert_int_equal(policy->limits[2].kind, POLICY_LIMIT_EACH);
	assert_true(policy->limits[2].is_unlimited);
	assert_int_equal(policy->limits[3].kind, POLICY_LIMIT_DEFAULT);
	assert_true(policy->limits[3].burst == 10000.5);
	policy_destroy(policy);
}

/* What is wrong, and where and how it is told. */
static const struct {
	const char *text;
	const char *said;
} faults[] = {
	{"", "p.yaml:1: file: is empty"},
	{"[]\n", "p.yaml:1: : must hold"},
	{"rule: []\n", "p.yaml:1: rule: no such key; known here: rules, limits"},
	{"rules: 7\n", "p.yaml:1: rules: must be a list"},
	{"rules: []\nrules: []\n", "p.yaml:2: rules: given twice"},
	{"rules:\n  - {}\n", "p.yaml:2: rules[0]: must say either allow or deny"},
	{"rules:\n  - allow: {}\n    deny: {}\n", "p.yaml:2: rules[0]: must say either"},
	{"rules:\n  - allow: {uids: 1}\n    deny: {uids: 2}\n",
		"p.yaml:3: rules[0].deny.uids: is there already"},
	{"rules:\n  - allow:\n", "p.yaml:2: rules[0].allow: must say whom"},
	{"rules:\n  - allow: all\n", "p.yaml:2: rules[0].allow: must say whom"},
	{"rules:\n  - allow: {user: 1}\n", "p.yaml:2: rules[0].allow.user: no such key"},
	{"rules:\n  - allow: {uids: 010}\n", "\"010\" is no number or range"},
	{"rules:\n  - allow: {uids: -1}\n", "\"-1\" is no number or range"},
	{"rules:\n  - allow: {uids: 4294967296}\n", "is no number or range"},
	{"rules:\n  - allow: {uids: \"9-5\"}\n", "runs backwards; exchange its ends"},
	{"rules:\n  - allow: {uids: \"5-\"}\n", "is no range; write \"1000-59999\""},
	{"rules:\n  - allow: {uids: {}}\n", "must be a list; write [a, b]"},
	{"rules:\n  - allow: {uids: [[1]]}\n", "is no number or range"},
	{"rules:\n  - allow: {nodes: \"n[1-\"}\n", "has a wrong range"},
	{"rules:\n  - allow: {nodes: \"n[9-1]\"}\n", "has a wrong range"},
	{"rules:\n  - allow: {nodes: \"a b\"}\n", "has ' ' in it"},
	{"rules:\n  - allow: {nodes: \"\"}\n", "is empty; give a name"},
	{"rules:\n  - allow: {nodes: \"a[1]b[1]c[1]d[1]e[1]\"}\n", "more than 4 brackets"},
	{"rules:\n  - allow: {roles: \"a/b\"}\n", "is no name"},
	{"rules:\n  - allow: {roles: 12345678901234567890123456789012}\n", "is no name"},
	{"rules:\n  - allow: {kinds: [reply]}\n", "\"reply\" is no kind; choose of assert"},
	{"rules:\n  - allow: {from: 10.0.0.1/8}\n", "bits set behind its length; clear them"},
	{"rules:\n  - allow: {from: here}\n", "p.yaml:2: rules[0].allow.from: \"here\""},
	{"rules:\n  - &a\n    allow: {}\n", "anchors and aliases"},
	{"rules: [\n", "p.yaml:"},
	/* A key of two lines, and one that would speak to a terminal: told in one line, as text. */
	{"rules:\n  - allow: {\"ui\\nd\": 1}\n", "rules[0].allow.ui d: no such key"},
	{"\"\\e[31m\": 1\n", "p.yaml:1:  [31m: no such key"},
	{"limits:\n  - {rate: 1}\n", "limits[0]: must say whom"},
	{"limits:\n  - {node: a, role: b, rate: 1}\n", "must say whom, by one of"},
	{"limits:\n  - {node: a}\n", "has no rate"},
	{"limits:\n  - {node: a, each: true, rate: 1}\n", "each goes with role"},
	{"limits:\n  - {role: a, each: yes, rate: 1}\n", "must be true or false"},
	{"limits:\n  - {role: a, rate: 0}\n", "must be from 0.001 to 100000000"},
	{"limits:\n  - {role: a, rate: 1e3}\n", "\"1e3\" is no number; write 1000 or 0.5"},
	{"limits:\n  - {role: a, rate: nan}\n", "is no number"},
	{"limits:\n  - {role: a, rate: 1.2.3}\n", "is no number"},
	{"limits:\n  - {role: a, rate: -1}\n", "is no number"},
	{"limits:\n  - {role: a, rate: 1, burst: 0.5}\n", "must be from 1 to 1000000000"},
	{"limits:\n  - {role: a, rate: unlimited, burst: 1}\n", "has a burst, but no limit"},
	{"limits:\n  - {role: a, rate: 1}\n  - {role: a, rate: 2}\n",
		"p.yaml:3: limits[1]: role a has a limit already"},
	{"limits:\n  - {default: each, rate: 1}\n", "must be aggregate"},
	{"limits:\n  - {default: aggregate, rate: 1}\n  - {default: aggregate, rate: 1}\n",
		"there is a default already"},
};

static void
test_faults(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct reason reason = {.text = "it was taken"};
		struct policy *policy =
			policy_parse("p.yaml", faults[i].text, strlen(faults[i].text), &reason);

		if (policy != NULL || strstr(reason.text, faults[i].said) == NULL)
			fail_msg("%s\nnot: %s\n%s", faults[i].text, faults[i].said, reason.text);
		assert_null(strchr(reason.text, '\n'));
	}
}

static void
test_bounds(void **state)
{
	size_t size = POLICY_SIZE_MAX + 1;
	char *text = malloc(size + 1);
	struct reason reason;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', size);
	assert_null(policy_parse("p.yaml", text, size, &reason));
	assert_non_null(strstr(reason.text, "larger than 524288 bytes"));

	size = (size_t)sprintf(text, "rules:\n");
	for (unsigned i = 0; i <= POLICY_RULES_MAX; i++)
		size += (size_t)sprintf(text + size, "  - deny: {}\n");
	assert_null(policy_parse("p.yaml", text, size, &reason));
	assert_non_null(strstr(reason.text, "at most 1000 are possible"));

	size = (size_t)sprintf(text, "rules:\n  - allow: {nodes: [a");
	for (unsigned i = 0; i < POLICY_LIST_MAX; i++)
		size += (size_t)sprintf(text + size, ", n%u", i);
	size += (size_t)sprintf(text + size, "]}\n");
	assert_null(policy_parse("p.yaml", text, size, &reason));
	assert_non_null(strstr(reason.text, "has 10001 entries"));
	free(text);
}

/* ---- names ---- */

static bool
has(const char *pattern, const char *name)
{
	struct policy_names *names = policy_names_create();
	uint64_t lists = 0;

	assert_non_null(names);
	assert_int_equal(policy_names_add(names, pattern, 5), 0);
	policy_names_find(names, name, &lists);
	policy_names_destroy(names);
	assert_true(lists == 0 || lists == 1u << 5);
	return lists != 0;
}

struct expansion {
	struct policy_names *names;
	unsigned count;
};

static int
expanded(void *context, const char *name)
{
	struct expansion *expansion = context;
	uint64_t lists = 0;

	policy_names_find(expansion->names, name, &lists);
	if (lists == 0)
		fail_msg("%s is not found", name);
	expansion->count++;
	return 0;
}

static void
test_names(void **state)
{
	static const char *const patterns[] = {"n[001-128,200]-ib", "n[1-3][0-9]", "n[08-12]x[1,3]",
		"[0-2]", "r[1-2]n[1-12]", "n[0-9][0-9][0-9]", "plain", "a[000000001-000000003]"};

	(void)state;
	/* What ctrl/names.h expands, these find. */
	for (unsigned i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct expansion expansion = {.names = policy_names_create()};

		assert_non_null(expansion.names);
		assert_int_equal(policy_names_add(expansion.names, patterns[i], 0), 0);
		assert_int_equal(names_expand(patterns[i], expanded, &expansion, NULL), 0);
		assert_true(expansion.count > 0);
		policy_names_destroy(expansion.names);
	}
	/* And nothing else. */
	assert_true(has("n[8-12]", "n8"));
	assert_true(has("n[8-12]", "n12"));
	assert_false(has("n[8-12]", "n08"));
	assert_false(has("n[8-12]", "n13"));
	assert_false(has("n[08-12]", "n8"));
	assert_false(has("n[08-12]", "n012"));
	assert_false(has("n[1-9]", "n"));
	assert_false(has("n[1-9]", "n1 "));
	assert_false(has("n[1-9]", "n1x"));
	assert_false(has("n[1-9]x", "n1"));
	assert_false(has("plain", "plai"));
	assert_false(has("plain", "plains"));
	assert_true(has("n[1-2][0-9]", "n10"));
	assert_true(has("n[1-20][0-9]", "n109"));
	assert_false(has("n[1-20][0-9]", "n1"));
}

/* ---- which rule decides ---- */

static void
explain_check(const struct policy *policy, const struct policy_question *question, int decides,
	bool is_certain, const char *enforce, const char *observe)
{
	json_t *result = policy_explain(policy, question);
	const json_t *outcomes = json_object_get(result, "outcomes");

	assert_non_null(result);
	if (decides == 0)
		assert_true(json_is_null(json_object_get(result, "decides")));
	else
		assert_int_equal(json_integer_value(json_object_get(result, "decides")), decides);
	assert_int_equal(json_is_true(json_object_get(result, "certain")), is_certain);
	assert_string_equal(json_string_value(json_object_get(outcomes, "enforce")), enforce);
	assert_string_equal(json_string_value(json_object_get(outcomes, "observe")), observe);
	json_decref(result);
}

static void
test_explain(void **state)
{
	struct policy *policy = parsed("rules:\n"
				       "  - deny: {nodes: \"n[1-4]\", kinds: ask}\n"
				       "  - allow: {roles: [compute], uids: \"1000-2000\"}\n"
				       "  - allow: {from: 10.0.0.0/8, audiences: [any]}\n");
	const char *roles[] = {"login", "compute"};
	struct policy_question question = {.node = "n3", .kind = 1, .has_roles = true};

	(void)state;
	question.has_uid = true;
	question.uid = 1500;
	question.roles = roles;
	question.role_count = 2;
	explain_check(policy, &question, 2, true, "allow", "allow");
	question.kind = 3;
	explain_check(policy, &question, 1, true, "deny", "deny");
	question.kind = 0; /* open: rule 1 may decide */
	explain_check(policy, &question, 2, false, "allow", "allow");
	question.kind = 2;
	question.uid = 2001;
	question.audience = "scheduler";
	explain_check(policy, &question, 0, true, "deny", "allow-would-deny");
	question.audience = POLICY_AUDIENCE_ANY;
	question.has_origin = true;
	question.origin[10] = question.origin[11] = 0xff;
	question.origin[12] = 10;
	explain_check(policy, &question, 3, true, "allow", "allow");
	explain_check(NULL, &question, 0, true, "allow", "allow");
	policy_destroy(policy);
}

/* ---- docs/policy.md ---- */

static const char *page_path;

/* Every policy on the page is one, and without a warning. */
static void
test_page(void **state)
{
	static char page[1 << 17];
	FILE *file = fopen(page_path, "r");
	unsigned count = 0;

	(void)state;
	assert_non_null(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	fclose(file);
	for (char *at = strstr(page, "```yaml\n"); at != NULL; at = strstr(at, "```yaml\n")) {
		char *begin = at + strlen("```yaml\n"), *end = strstr(begin, "```");
		struct policy_findings found;
		struct policy *policy;

		assert_non_null(end);
		*end = '\0';
		policy = parsed(begin);
		assert_int_equal(policy_lint(policy, NULL, &found), 0);
		if (found.count > 0)
			fail_msg("%s\n%s", begin, found.items[0].text);
		policy_findings_fini(&found);
		policy_destroy(policy);
		at = end + 1;
		count++;
	}
	assert_true(count >= 1);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_all_keys),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_explain),
	};

	if (argc != 2)
		return 2;
	page_path = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

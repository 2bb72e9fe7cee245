/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Imported Mesos files against what Mesos itself would decide: its rule is written here once more,
 * from its documentation (subjects and objects match, the first match decides, NONE denies), and
 * asked about every principal, role and user, for the documentation's examples and random ACLs.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include "ctrl/policy_explain.h"
#include "ctrl/policy_mesos.h"

#define RANDOM_ACLS 300u

/* The last of each is in no file; NULL is a framework without a principal. */
static const char *const principals[] = {"foo", "bar", "baz", NULL, "qux"};
static const char *const roles[] = {"analytics", "ads", "*", "other"};
static const struct {
	const char *name;
	uint32_t uid;
} users[] = {{"root", 0}, {"guest", 405}, {"alice", 1000}, {"bob", 1001}, {"nobody", 65534}};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t random_state = 4711;

static uint32_t
pick(uint32_t below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33) % below;
}

static bool
uid_of(void *context, const char *user, uint32_t *uid)
{
	(void)context;
	for (unsigned i = 0; i < COUNT(users); i++)
		if (strcmp(users[i].name, user) == 0) {
			*uid = users[i].uid;
			return true;
		}
	return false;
}

/* ---- Mesos ---- */

static const char *
mesos_type(const json_t *entity)
{
	const char *type = json_string_value(json_object_get(entity, "type"));

	return type != NULL ? type : "SOME";
}

static bool
mesos_matches(const json_t *entity, const char *value)
{
	const json_t *item;
	size_t i;

	if (strcmp(mesos_type(entity), "SOME") != 0)
		return true;
	json_array_foreach(json_object_get(entity, "values"), i, item)
	{
		if (value != NULL && strcmp(json_string_value(item), value) == 0)
			return true;
	}
	return false;
}

/* One action; a file without it does not ask. */
static bool
mesos_allows(const json_t *acls, const char *action, const char *principal, const char *key,
	const char *object)
{
	const json_t *list = json_object_get(acls, action), *acl;
	size_t i;

	json_array_foreach(list, i, acl)
	{
		const json_t *subjects = json_object_get(acl, "principals");
		const json_t *objects = json_object_get(acl, key);

		if (mesos_matches(subjects, principal) && mesos_matches(objects, object))
			return strcmp(mesos_type(subjects), "NONE") != 0 &&
			       strcmp(mesos_type(objects), "NONE") != 0;
	}
	return list == NULL || !json_is_false(json_object_get(acls, "permissive"));
}

/* ---- the two beside each other ---- */

static struct policy_mesos
imported(const json_t *acls, const json_t *limits)
{
	const struct policy_mesos_input input = {
		.acls_name = "acls.json",
		.acls = acls,
		.limits_name = "limits.json",
		.limits = limits,
		.uid_of = uid_of,
	};
	struct policy_mesos made;
	struct reason reason;

	if (policy_mesos_import(&input, &made, &reason) != 0)
		fail_msg("%s", reason.text);
	return made;
}

static struct policy *
parsed(const char *text)
{
	struct reason reason;
	struct policy *policy = policy_parse("p.yaml", text, strlen(text), &reason);

	if (policy == NULL)
		fail_msg("%s\n%s", reason.text, text);
	return policy;
}

static bool
policy_allows(const struct policy *policy, const char *principal, const char *role, uint32_t uid)
{
	const struct policy_question question = {
		.node = "n1",
		.roles = &principal,
		.role_count = principal != NULL,
		.has_roles = true,
		.has_uid = true,
		.uid = uid,
		.kind = 1,
		.audience = strcmp(role, "*") == 0 ? POLICY_AUDIENCE_ANY : role,
	};
	json_t *result = policy_explain(policy, &question);
	const char *outcome =
		json_string_value(json_object_get(json_object_get(result, "outcomes"), "enforce"));
	bool is_allow = strcmp(outcome, "allow") == 0;

	assert_true(json_is_true(json_object_get(result, "certain")));
	json_decref(result);
	return is_allow;
}

/* Every request; returns how many are allowed. */
static unsigned
acls_compare(const json_t *acls)
{
	struct policy_mesos made = imported(acls, NULL);
	struct policy *policy = parsed(made.text);
	unsigned allowed = 0;

	for (unsigned p = 0; p < COUNT(principals); p++)
		for (unsigned r = 0; r < COUNT(roles); r++)
			for (unsigned u = 0; u < COUNT(users); u++) {
				bool want = mesos_allows(acls, "register_frameworks", principals[p],
						    "roles", roles[r]) &&
					    mesos_allows(acls, "run_tasks", principals[p], "users",
						    users[u].name);

				if (policy_allows(policy, principals[p], roles[r], users[u].uid) !=
					want)
					fail_msg("principal %s, role %s, user %s: Mesos would "
						 "%s\n%s",
						principals[p] != NULL ? principals[p] : "(none)",
						roles[r], users[u].name, want ? "allow" : "deny",
						made.text);
				allowed += want;
			}
	policy_destroy(policy);
	policy_mesos_fini(&made);
	return allowed;
}

static json_t *
json_of(const char *text)
{
	json_error_t error;
	json_t *json = json_loads(text, 0, &error);

	if (json == NULL)
		fail_msg("%s\n%s", error.text, text);
	return json;
}

#define SOME(list) "{\"values\": [" list "]}"
#define ANY        "{\"type\": \"ANY\"}"
#define NONE       "{\"type\": \"NONE\"}"

/* The cases that Mesos' documentation describes, and how many of the 100 requests they allow. */
static const struct {
	const char *acls;
	unsigned allowed;
} examples[] = {
	/* Only foo may have analytics; everybody any other role. */
	{"{\"register_frameworks\": [{\"principals\": " SOME("\"foo\"") ", \"roles\": " SOME(
		 "\"analytics\"") "}, {\"principals\": " NONE
				  ", \"roles\": " SOME("\"analytics\"") "}]}",
		80},
	/* foo may have analytics and ads and no other; everybody else any. */
	{"{\"register_frameworks\": [{\"principals\": " SOME("\"foo\"") ", \"roles\": " SOME(
		 "\"analytics\", \"ads\"") "}, {\"principals\": " SOME("\"foo\"") ", "
										  "\"roles\": " NONE
										  "}]}",
		90},
	/* foo may have analytics, nobody else anything. */
	{"{\"permissive\": false, \"register_frameworks\": [{\"principals\": " SOME(
		 "\"foo\"") ", \"roles\": " SOME("\"analytics\"") "}]}",
		5},
	/* All may run tasks as guest or bob only. */
	{"{\"permissive\": false, \"run_tasks\": [{\"principals\": " ANY
	 ", \"users\": " SOME("\"guest\", \"bob\"") "}]}",
		40},
	/* foo and bar as alice, nobody else anything. */
	{"{\"permissive\": false, \"run_tasks\": [{\"principals\": " SOME(
		 "\"foo\", \"bar\"") ", \"users\": " SOME("\"alice\"") "}]}",
		8},
	/* foo as guest only; everybody else as anybody. */
	{"{\"run_tasks\": [{\"principals\": " SOME("\"foo\"") ", \"users\": " SOME(
		 "\"guest\"") "}, {\"principals\": " SOME("\"foo\"") ", \"users\": " NONE "}]}",
		84},
	/* Nobody as root. */
	{"{\"run_tasks\": [{\"principals\": " NONE ", \"users\": " SOME("\"root\"") "}]}", 80},
	/* The order matters: this one forbids everybody. */
	{"{\"run_tasks\": [{\"principals\": " NONE ", \"users\": " ANY
	 "}, {\"principals\": " SOME("\"foo\"") ", \"users\": " ANY "}]}",
		0},
	/* Both actions. */
	{"{\"permissive\": false, \"register_frameworks\": [{\"principals\": " ANY
	 ", \"roles\": " SOME("\"*\"") "}], \"run_tasks\": [{\"principals\": " SOME(
		 "\"foo\"") ", \"users\": " ANY "}]}",
		5},
	{"{\"run_tasks\": [{\"principals\": " SOME("") ", \"users\": " NONE "}]}", 100},
	{"{}", 100},
};

static void
test_examples(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(examples); i++) {
		json_t *acls = json_of(examples[i].acls);

		assert_int_equal(acls_compare(acls), examples[i].allowed);
		json_decref(acls);
	}
}

static json_t *
random_entity(const char *const *values, unsigned count)
{
	json_t *list = json_array();

	if (pick(4) == 0)
		return json_pack(
			"{s:s, s:o}", "type", pick(2) == 0 ? "ANY" : "NONE", "values", list);
	for (unsigned i = 0; i < count; i++)
		if (pick(2) == 0)
			json_array_append_new(list, json_string(values[i]));
	return json_pack("{s:o}", "values", list);
}

static void
test_random(void **state)
{
	static const char *const names[] = {"root", "guest", "alice"};
	unsigned allowed = 0;

	(void)state;
	for (unsigned i = 0; i < RANDOM_ACLS; i++) {
		json_t *acls = json_object();
		json_t *frameworks = json_array(), *tasks = json_array();

		for (unsigned j = pick(5); j > 0; j--)
			json_array_append_new(frameworks,
				json_pack("{s:o, s:o}", "principals", random_entity(principals, 3),
					"roles", random_entity(roles, 3)));
		for (unsigned j = pick(5); j > 0; j--)
			json_array_append_new(tasks,
				json_pack("{s:o, s:o}", "principals", random_entity(principals, 3),
					"users", random_entity(names, 3)));
		if (pick(4) != 0)
			json_object_set(acls, "register_frameworks", frameworks);
		if (pick(4) != 0)
			json_object_set(acls, "run_tasks", tasks);
		if (pick(2) == 0)
			json_object_set_new(acls, "permissive", json_boolean(pick(2)));
		allowed += acls_compare(acls);
		json_decref(frameworks);
		json_decref(tasks);
		json_decref(acls);
	}
	assert_in_range(allowed, RANDOM_ACLS * 5, RANDOM_ACLS * 95);
}

/* ---- what cannot be said ---- */

static bool
is_noted(const struct policy_mesos *made, const char *what)
{
	for (unsigned i = 0; i < made->note_count; i++)
		if (strstr(made->notes[i], what) != NULL)
			return true;
	return false;
}

static void
test_gaps(void **state)
{
	json_t *acls = json_of(
		"{\"register_frameworks\": [{\"principals\": " SOME("\"a@b\"") ", \"roles\": " SOME(
			"\"eng/%\", \"ads\"") "}], \"run_tasks\": [{\"principals\": " NONE
					      ", \"users\": " SOME(
						      "\"stranger\"") "}],"
								      "\"teardown_frameworks\": "
								      "[{}, {}], \"typo\": []}");
	struct policy_mesos made = imported(acls, NULL);
	struct reason reason;

	(void)state;
	assert_int_equal(made.gap_count, 5);
	assert_true(is_noted(&made, "acls.json: teardown_frameworks[1]: not imported"));
	assert_true(is_noted(&made, "typo: not imported"));
	assert_true(is_noted(&made, "register_frameworks[0]: role eng/%: a tree"));
	assert_true(is_noted(&made, "principal a@b is role a-b here"));
	assert_true(is_noted(&made, "run_tasks[0]: user stranger is not known here"));
	/* A denial that would be lost: nobody can apply this before he decided. */
	assert_non_null(strstr(made.text, "DECIDE stranger"));
	assert_null(policy_parse("p.yaml", made.text, strlen(made.text), &reason));
	assert_non_null(strstr(reason.text, "\"DECIDE "));
	policy_mesos_fini(&made);
	json_decref(acls);
}

static void
test_wrong_files(void **state)
{
	static const struct {
		const char *acls;
		const char *limits;
		const char *said;
	} rows[] = {
		{"[]", NULL, "acls.json: file: is no object"},
		{"{\"permissive\": 1}", NULL, "permissive: is not true or false"},
		{"{\"run_tasks\": {}}", NULL, "run_tasks: is no list"},
		{"{\"run_tasks\": [{\"users\": " ANY "}]}", NULL,
			"run_tasks[0].principals: is missing"},
		/* As in an example of Mesos' own documentation. */
		{"{\"run_tasks\": [{\"users\": " ANY ", \"principals\": {\"type\": \"admin\"}}]}",
			NULL, "run_tasks[0].principals: type is not ANY, NONE or SOME"},
		{NULL, "{\"limits\": [{\"qps\": 1}]}", "limits.json: limits[0]: has no principal"},
		{NULL, "{\"limits\": [{\"principal\": \"a\", \"qps\": \"1\"}]}",
			"qps is no number"},
		{NULL, "{\"limits\": [{\"principal\": \"a\"}, {\"principal\": \"a\"}]}",
			"limits[1]: principal a is there twice"},
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(rows); i++) {
		json_t *acls = rows[i].acls != NULL ? json_of(rows[i].acls) : NULL;
		json_t *limits = rows[i].limits != NULL ? json_of(rows[i].limits) : NULL;
		const struct policy_mesos_input input = {
			"acls.json", acls, "limits.json", limits, uid_of, NULL};
		struct policy_mesos made;
		struct reason reason = {.text = "it was taken"};

		assert_int_equal(policy_mesos_import(&input, &made, &reason), -EINVAL);
		if (strstr(reason.text, rows[i].said) == NULL)
			fail_msg("%s, not %s", reason.text, rows[i].said);
		policy_mesos_fini(&made);
		json_decref(acls);
		json_decref(limits);
	}
}

/* ---- limits ---- */

/* The example of the documentation, with the commas that it lacks. */
static void
test_limits(void **state)
{
	json_t *limits = json_of(
		"{\"limits\": [{\"principal\": \"foo\", \"qps\": 55.5, \"capacity\": 100000},"
		"{\"principal\": \"bar\", \"qps\": 300}, {\"principal\": \"baz\"}],"
		"\"aggregate_default_qps\": 333, \"aggregate_default_capacity\": 1000000}");
	struct policy_mesos made = imported(NULL, limits);
	struct policy *policy = parsed(made.text);

	(void)state;
	assert_false(policy->has_rules);
	assert_int_equal(policy->limit_count, 4);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(policy->limits[i].kind, POLICY_LIMIT_ROLE);
	assert_string_equal(policy->limits[0].role, "foo");
	assert_true(policy->limits[0].rate == 55.5);
	assert_true(policy->limits[0].burst == 100000);
	assert_true(policy->limits[1].rate == 300);
	/* Without a rate: as fast as it likes, and not in the default. */
	assert_true(policy->limits[2].is_unlimited);
	assert_int_equal(policy->limits[3].kind, POLICY_LIMIT_DEFAULT);
	assert_true(policy->limits[3].rate == 333);
	assert_true(policy->limits[3].burst == 1000000);
	assert_int_equal(made.gap_count, 0);
	assert_true(is_noted(&made, "limits[0]: Mesos keeps up to 100000 waiting"));
	assert_true(is_noted(&made, "limits[1]: without a capacity"));
	policy_destroy(policy);
	policy_mesos_fini(&made);
	json_decref(limits);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_wrong_files),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

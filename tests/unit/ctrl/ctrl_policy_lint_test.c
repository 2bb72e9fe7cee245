/* SPDX-License-Identifier: BSD-3-Clause */
/* What the checker finds: an example of each, and random policies against trying every credential. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include "ctrl/policy_lint.h"

static const struct config_realm realm = {
	.name = "lab",
	.audiences = {{"scheduler", 5}, {"storage", 3}},
	.audience_count = 2,
};

/* ---- examples ---- */

/* Up to two findings of a text, as "line kind". */
static const struct {
	const char *text;
	const char *found[3];
} rows[] = {
	{"rules:\n  - allow: {roles: [a]}\n  - deny: {}\n", {NULL}},
	/* One earlier rule, and two that together have it all. */
	{"rules:\n  - allow: {uids: \"0-9\"}\n  - allow: {uids: 5}\n", {"3 shadowed"}},
	{"rules:\n  - allow: {uids: \"0-9\"}\n  - allow: {uids: \"10-20\"}\n"
	 "  - allow: {uids: \"5-15\", roles: [a]}\n",
		{"4 shadowed"}},
	{"rules:\n  - allow: {uids: \"0-9\"}\n  - allow: {uids: \"11-20\"}\n"
	 "  - allow: {uids: \"5-15\", roles: [a]}\n",
		{NULL}},
	{"rules:\n  - allow: {nodes: \"n[1-9]\"}\n  - deny: {nodes: [n3, \"n[5-6]\"]}\n",
		{"3 contradictory"}},
	{"rules:\n  - allow: {nodes: \"n[1-9]\"}\n  - deny: {nodes: [n3, n10]}\n", {NULL}},
	{"rules:\n  - allow: {nodes: \"n[1-9]\"}\n  - deny: {nodes: \"n[01-02]\"}\n", {NULL}},
	{"rules:\n  - allow: {roles: [a]}\n  - deny: {}\n  - allow: {roles: [a, b], uids: 0}\n",
		{"4 unreachable"}},
	/* A node may have both roles, or the other one only. */
	{"rules:\n  - allow: {roles: [a]}\n  - deny: {roles: [a, b]}\n", {NULL}},
	{"rules:\n  - allow: {roles: [a]}\n  - allow: {roles: [b]}\n  - deny: {roles: [a, b]}\n",
		{"4 contradictory"}},
	{"rules:\n  - deny: {from: [10.0.0.0/9]}\n  - deny: {from: [10.128.0.0/9]}\n"
	 "  - deny: {from: [10.0.0.0/8]}\n",
		{"4 shadowed"}},
	{"rules:\n  - deny: {from: [\"::/0\"]}\n  - deny: {gids: 7}\n", {"3 shadowed"}},
	{"rules:\n  - deny: {kinds: [assert, ask]}\n  - deny: {kinds: beacon}\n"
	 "  - allow: {uids: 1}\n",
		{"4 contradictory"}},
	{"rules:\n  - deny: {audiences: [scheduler, storage, any]}\n  - deny: {uids: 1}\n",
		{"3 shadowed"}},
	{"rules:\n  - allow: {uids: []}\n", {"2 empty"}},
	{"rules:\n  - allow: {roles: []}\n", {"2 empty"}},
	{"rules:\n  - allow: {nodes: []}\n", {"2 empty"}},
	{"rules:\n  - allow: {}\n", {"2 wide"}},
	{"rules:\n  - allow: {kinds: ask, audiences: any}\n", {"2 wide"}},
	{"rules:\n  - allow: {kinds: beacon}\n", {NULL}},
	{"rules:\n  - allow: {uids: 1, audiences: [shceduler]}\n", {"2 empty", "2 unknown"}},
	{"rules:\n  - allow: {uids: 1, audiences: [shceduler, storage]}\n", {"2 unknown"}},
	{"limits:\n  - {node: \"n[1-9]\", rate: 1}\n  - {node: [n1, n2], rate: 2}\n",
		{"3 shadowed"}},
	{"limits:\n  - {node: \"n[1-9]\", rate: 1}\n  - {node: [n1, n20], rate: 2}\n", {NULL}},
	{"limits:\n  - {role: a, each: true, rate: 1}\n  - {role: a, each: true, rate: 2}\n",
		{"3 shadowed"}},
	{"limits:\n  - {node: [], rate: 1}\n", {"2 empty"}},
	{"rules:\n  - allow: {nodes: \"n[0-99999]\"}\n  - deny: {nodes: \"n[0-99999]\"}\n",
		{"1 unchecked", "3 contradictory"}},
};

static struct policy *
parsed(const char *text)
{
	struct reason reason;
	struct policy *policy = policy_parse("p.yaml", text, strlen(text), &reason);

	if (policy == NULL)
		fail_msg("%s\n%s", reason.text, text);
	return policy;
}

static void
test_examples(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct policy *policy = parsed(rows[i].text);
		struct policy_findings found;
		unsigned count = 0;

		assert_int_equal(policy_lint(policy, &realm, &found), 0);
		for (; rows[i].found[count] != NULL; count++) {
			char got[64] = "";

			if (count < found.count)
				snprintf(got, sizeof(got), "%u %s", found.items[count].line,
					policy_finding_text(found.items[count].kind));
			if (strcmp(got, rows[i].found[count]) != 0)
				fail_msg("%s\n%s, not %s: %s", rows[i].text, got,
					rows[i].found[count],
					count < found.count ? found.items[count].text : "");
			assert_non_null(strchr(found.items[count].text, ';') != NULL
						? found.items[count].text
						: strstr(found.items[count].text, "not looked"));
		}
		if (found.count != count)
			fail_msg("%s\n%u %s", rows[i].text, found.items[count].line,
				found.items[count].text);
		policy_findings_fini(&found);
		policy_destroy(policy);
	}
}

/* ---- random policies, and every credential tried ---- */

#define RULES    6u
#define NAMES    5u /* the last one is in no list */
#define ROLES    3u
#define PLACES   3u /* any, scheduler, storage */
#define UIDS     5u
#define POLICIES 3000u

static uint64_t random_state = 1234567;

static uint32_t
pick(uint32_t below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33) % below;
}

/* Bitmaps; roles of 0: not asked. */
struct model_rule {
	bool is_allow;
	uint32_t names;
	uint32_t roles;
	uint32_t kinds;
	uint32_t places;
	uint32_t uids;
};

static uint32_t
subset_say(char *text, const char *key, const char *const *words, unsigned count, uint32_t absent)
{
	uint32_t set = pick((1u << count) - 1) + 1;
	const char *comma = "";

	if (pick(2) == 0)
		return absent;
	sprintf(text + strlen(text), "%s: [", key);
	for (unsigned i = 0; i < count; i++)
		if ((set >> i & 1) != 0) {
			sprintf(text + strlen(text), "%s%s", comma, words[i]);
			comma = ", ";
		}
	strcat(text, "], ");
	return set;
}

static void
model_make(struct model_rule *rules, char *text)
{
	static const char *const names[] = {"n1", "n2", "n3", "n4"},
				 *const roles[] = {"a", "b", "c"},
				 *const kinds[] = {"assert", "beacon", "ask"},
				 *const places[] = {"any", "scheduler", "storage"},
				 *const uids[] = {"0", "1", "\"2-9\"", "\"10-99\""};

	strcpy(text, "rules:\n");
	for (unsigned i = 0; i < RULES; i++) {
		rules[i].is_allow = pick(2);
		strcat(text, rules[i].is_allow ? "  - allow: {" : "  - deny: {");
		rules[i].names = subset_say(text, "nodes", names, 4, (1u << NAMES) - 1);
		rules[i].roles = subset_say(text, "roles", roles, ROLES, 0);
		rules[i].kinds = subset_say(text, "kinds", kinds, 3, 7);
		rules[i].places = subset_say(text, "audiences", places, PLACES, 7);
		rules[i].uids = subset_say(text, "uids", uids, 4, (1u << UIDS) - 1);
		strcat(text, "}\n");
	}
}

static bool
model_matches(const struct model_rule *rule, uint32_t credential)
{
	uint32_t name = credential % NAMES, roles = credential / NAMES % (1u << ROLES);
	uint32_t rest = credential / NAMES >> ROLES;

	return (rule->names >> name & 1) != 0 && (rule->roles == 0 || (rule->roles & roles) != 0) &&
	       (rule->kinds >> rest % 3 & 1) != 0 && (rule->places >> rest / 3 % 3 & 1) != 0 &&
	       (rule->uids >> rest / 9 & 1) != 0;
}

/* For each rule: does it decide anything, and who decides what it would? */
static void
model_try(const struct model_rule *rules, bool *decides, bool *has_same, bool *has_other)
{
	uint32_t count = NAMES * (1u << ROLES) * 9 * UIDS;

	memset(decides, 0, RULES);
	memset(has_same, 0, RULES);
	memset(has_other, 0, RULES);
	for (uint32_t credential = 0; credential < count; credential++) {
		unsigned first = 0;

		while (first < RULES && !model_matches(&rules[first], credential))
			first++;
		if (first == RULES)
			continue;
		decides[first] = true;
		for (unsigned i = first + 1; i < RULES; i++)
			if (model_matches(&rules[i], credential)) {
				has_same[i] |= rules[i].is_allow == rules[first].is_allow;
				has_other[i] |= rules[i].is_allow != rules[first].is_allow;
			}
	}
}

static const struct policy_finding *
finding_of(const struct policy_findings *found, unsigned line)
{
	for (unsigned i = 0; i < found->count; i++)
		if (found->items[i].line == line && found->items[i].kind != POLICY_FINDING_WIDE)
			return &found->items[i];
	return NULL;
}

static void
test_random(void **state)
{
	bool decides[RULES], has_same[RULES], has_other[RULES];
	struct model_rule rules[RULES];
	unsigned covered = 0;
	char text[4096];

	(void)state;
	for (unsigned i = 0; i < POLICIES; i++) {
		struct policy_findings found;
		struct policy *policy;

		model_make(rules, text);
		model_try(rules, decides, has_same, has_other);
		policy = parsed(text);
		assert_int_equal(policy_lint(policy, &realm, &found), 0);
		for (unsigned j = 0; j < RULES; j++) {
			const struct policy_finding *finding = finding_of(&found, j + 2);
			enum policy_finding_kind want = POLICY_FINDING_UNREACHABLE;

			if ((finding == NULL) != decides[j])
				fail_msg("rule %u %s\n%s", j + 1,
					decides[j] ? "decides" : "decides nothing", text);
			if (finding == NULL)
				continue;
			if (!has_other[j])
				want = POLICY_FINDING_SHADOWED;
			else if (!has_same[j])
				want = POLICY_FINDING_CONTRADICTORY;
			if (finding->kind != want)
				fail_msg("rule %u is %s, not %s\n%s", j + 1,
					policy_finding_text(want),
					policy_finding_text(finding->kind), text);
			covered++;
		}
		policy_findings_fini(&found);
		policy_destroy(policy);
	}
	assert_true(covered > POLICIES / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

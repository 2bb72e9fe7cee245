/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * policy_parse: whatever the text, either one line says what is wrong with it, or it can be looked
 * at and compiled, and what comes of it keeps within the bounds that workers rely upon.
 */

#include <string.h>

#include "ctrl/policy_compile.h"
#include "ctrl/policy_lint.h"
#include "tests/fuzz/wire/fuzz.h"

static const struct config_realm realm = {
	.name = "lab",
	.audiences = {{"scheduler", 1}, {"storage", 2}},
	.audience_count = 2,
};

static void
rules_check(const struct table_rules *rules, uint16_t class)
{
	FUZZ_MUST(class < rules->class_count);
	FUZZ_MUST(rules->classes[class].cells + table_rules_columns(realm.audience_count) <=
		  rules->cell_count);
	FUZZ_MUST(rules->classes[class].limit < TABLE_LIMITS_MAX);
	for (uint32_t i = 0; i < rules->cell_count; i++)
		FUZZ_MUST(rules->cells[i] < rules->program_count);
	for (uint32_t i = 0; i < rules->program_count; i++) {
		const struct table_program *program = &rules->programs[i];

		FUZZ_MUST(program->group_count <= TABLE_PROGRAM_GROUPS_MAX);
		FUZZ_MUST(program->group + program->group_count <= rules->group_count);
		FUZZ_MUST(program->prefix + program->prefix_count <= rules->prefix_count);
		FUZZ_MUST(program->otherwise < TABLE_OUTCOMES);
	}
}

static void
policy_compile(const struct policy *policy)
{
	static const char *const roles[] = {"compute", "a"};
	const struct policy_subject subject = {.name = "n1", .roles = roles, .role_count = 2};
	struct policy_image *image = policy_image_create(NULL);
	struct reason reason;
	uint16_t class;

	FUZZ_MUST(image != NULL);
	if (policy_image_realm(image, 0, &realm, TABLE_MODE_ENFORCE, policy, &reason) == 0 &&
		policy_node_class(image, 0, &subject, &class, &reason) == 0)
		rules_check(policy_image_rules(image), class);
	policy_image_destroy(image);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct policy_findings found;
	struct reason reason = {0};
	struct policy *policy = policy_parse("p.yaml", (const char *)data, size, &reason);

	if (policy == NULL) {
		FUZZ_MUST(reason.text[0] != '\0' && strchr(reason.text, '\n') == NULL);
		return 0;
	}
	FUZZ_MUST(policy_lint(policy, &realm, &found) == 0);
	policy_findings_fini(&found);
	policy_compile(policy);
	policy_destroy(policy);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Clones as control sees them: evidence that grows is told and counted once per node, a realm that
 * says so suspends, and a node that was resumed stays so until there is new evidence. The evidence
 * itself is the dataplane's and is tried there; here it is written by hand.
 */
#include "tests/unit/ctrl/ctrl_rig.h"

#include "ctrl/clones.h"

static int
setup(void **state)
{
	if (rig_dirs(state) != 0)
		return -1;
	rig_master("lab");
	rig_master("strict");
	rig_config("realms:\n"
		   "  - {name: lab, id: 7, nodes_max: 80, window_bits: 64}\n"
		   "  - {name: strict, id: 8, nodes_max: 80, window_bits: 64, clones: suspend}\n"
		   "metrics: {listen: \"off\"}\n");
	rig_start();
	return 0;
}

static json_t *
verb(const char *name, const char *arguments)
{
	return rig_must(name, rig_args(arguments));
}

static void
add(const char *realm, const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "{\"realm\":\"%s\",\"name\":\"%s\"}", realm, name);
	json_decref(verb("node.add", text));
}

static struct meter_node *
meter(unsigned realm_index, uint32_t node)
{
	return meters_node(shared_meters(&ctrl.shared), ctrl.bases[realm_index] + node);
}

/* As the dataplane writes it. */
static void
evidence(unsigned realm_index, uint32_t node, uint32_t count, uint32_t collisions)
{
	struct meter_node *to = meter(realm_index, node);
	const uint8_t source[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9};
	uint64_t words[2];

	memcpy(words, source, sizeof(words));
	atomic_store(&to->incarnation, 2000);
	atomic_store(&to->incarnation_since_us, 5000000);
	atomic_store(&to->clone_incarnation, 1000);
	atomic_store(&to->clone_source[0], words[0]);
	atomic_store(&to->clone_source[1], words[1]);
	atomic_store(&to->clone_last_us, 6000000);
	atomic_store(&to->clone_count, count);
	atomic_store(&to->collisions, collisions);
}

static struct registry_node
find(uint32_t realm, uint32_t id)
{
	struct registry_node node;

	assert_int_equal(
		registry_node_find(ctrl.registry, realm, "?", NULL, id, &node, &reason), 0);
	return node;
}

static void
test_reported_and_not_touched(void **state)
{
	json_t *result, *item;

	(void)state;
	add("lab", "n1");
	add("lab", "n2");
	clones_tick(ctrl.clones);
	assert_int_equal(clones_count(ctrl.clones, 0), 0);
	evidence(0, 2, 3, 0);
	clones_tick(ctrl.clones);
	clones_tick(ctrl.clones);
	assert_int_equal(clones_count(ctrl.clones, 0), 1);
	evidence(0, 2, 4, 1);
	clones_tick(ctrl.clones);
	assert_int_equal(clones_count(ctrl.clones, 0), 1);
	assert_int_equal(clones_count(ctrl.clones, 1), 0);
	assert_false(find(7, 2).is_suspended);
	result = verb("node.clones", "{\"realm\":\"lab\"}");
	assert_string_equal(json_string_value(json_object_get(result, "policy")), "report");
	assert_int_equal(json_array_size(json_object_get(result, "clones")), 1);
	assert_null(json_object_get(result, "next"));
	item = json_array_get(json_object_get(result, "clones"), 0);
	assert_string_equal(json_string_value(json_object_get(item, "name")), "n2");
	assert_string_equal(json_string_value(json_object_get(item, "source")), "10.0.0.9");
	assert_int_equal(json_integer_value(json_object_get(item, "incarnation")), 2000);
	assert_int_equal(json_integer_value(json_object_get(item, "other_incarnation")), 1000);
	assert_int_equal(json_integer_value(json_object_get(item, "count")), 4);
	assert_int_equal(json_integer_value(json_object_get(item, "collisions")), 1);
	json_decref(result);
}

static void
test_suspended_where_the_realm_says_so(void **state)
{
	struct registry_node node;

	(void)state;
	add("strict", "n1");
	add("strict", "n2");
	evidence(1, 1, 0, 1);
	clones_tick(ctrl.clones);
	node = find(8, 1);
	assert_true(node.is_live && node.is_suspended);
	assert_string_equal(node.note, CLONES_NOTE);
	assert_false(find(8, 2).is_suspended);
	/* Resumed, it stays so: what was seen is seen. */
	json_decref(verb("node.resume", "{\"realm\":\"strict\",\"name\":\"n1\"}"));
	clones_tick(ctrl.clones);
	assert_false(find(8, 1).is_suspended);
	/* But not with new evidence. */
	evidence(1, 1, 1, 1);
	clones_tick(ctrl.clones);
	assert_true(find(8, 1).is_suspended);
}

static size_t
listed(const char *realm)
{
	char text[64];
	json_t *result;
	size_t count;

	snprintf(text, sizeof(text), "{\"realm\":\"%s\"}", realm);
	result = verb("node.clones", text);
	count = json_array_size(json_object_get(result, "clones"));
	json_decref(result);
	return count;
}

/* A revoked node is not suspended; and a deleted one leaves its successor no evidence. */
static void
test_evidence_of_the_gone(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 80; i++) {
		char name[16];

		snprintf(name, sizeof(name), "n%u", i);
		add("strict", name);
	}
	json_decref(verb("node.revoke", "{\"realm\":\"strict\",\"name\":\"n1\"}"));
	evidence(1, 1, 5, 0);
	evidence(1, 2, 5, 3);
	clones_tick(ctrl.clones);
	assert_false(find(8, 1).is_suspended);
	assert_true(find(8, 2).is_suspended);
	assert_int_equal(clones_count(ctrl.clones, 1), 2);
	assert_int_equal(listed("strict"), 2);
	json_decref(verb("node.delete", "{\"realm\":\"strict\",\"name\":\"n2\"}"));
	add("strict", "heir");
	assert_string_equal(find(8, 2).name, "heir");
	clones_tick(ctrl.clones);
	assert_false(find(8, 2).is_suspended);
	assert_int_equal(clones_count(ctrl.clones, 1), 1);
	assert_int_equal(listed("strict"), 1);
	/* Its own first evidence is news. */
	evidence(1, 2, 5, 4);
	clones_tick(ctrl.clones);
	assert_true(find(8, 2).is_suspended);
	assert_int_equal(listed("strict"), 2);
}

/* Many at once are told of in turns, and none is forgotten. */
static void
test_many_at_once(void **state)
{
	char name[16];

	(void)state;
	for (unsigned i = 1; i <= 40; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		add("strict", name);
		evidence(1, i, 1, 0);
	}
	clones_tick(ctrl.clones);
	assert_int_equal(clones_count(ctrl.clones, 1), CLONES_REPORT_MAX);
	for (unsigned i = 0; i < 40 / CLONES_REPORT_MAX; i++)
		clones_tick(ctrl.clones);
	assert_int_equal(clones_count(ctrl.clones, 1), 40);
	for (uint32_t i = 1; i <= 40; i++)
		assert_true(find(8, i).is_suspended);
}

int
main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_reported_and_not_touched),
		TEST(test_suspended_where_the_realm_says_so),
		TEST(test_evidence_of_the_gone),
		TEST(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

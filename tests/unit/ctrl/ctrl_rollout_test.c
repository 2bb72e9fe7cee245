/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Modes that are set live, and what enforce would have refused: both last over a reload and a
 * restart, and counting begins anew with a switch. The gateway is real but for its dataplane.
 */
#include "tests/unit/ctrl/ctrl_rig.h"

#include "ctrl/rollout.h"
#include "verdict/verdict.h"

#define NODES 20u

static void
config_write(const char *mode)
{
	rig_config("realms:\n"
		   "  - {name: other, id: 3, nodes_max: 5, window_bits: 64}\n"
		   "  - {name: lab, id: 7, nodes_max: %u, window_bits: 64, mode: %s}\n"
		   "groups: [{name: g, realms: [lab], audiences: [any], reader: {uid: 61003}}]\n",
		NODES, mode);
}

static int
setup(void **state)
{
	if (rig_dirs(state) != 0)
		return -1;
	rig_master("lab");
	rig_master("other");
	config_write("observe");
	rig_start();
	return 0;
}

static int
refused(const char *verb, json_t *args)
{
	json_t *result = rig_call(verb, args);

	json_decref(result);
	return result != NULL ? 0 : -reason.error;
}

static void
mode_set(const char *mode)
{
	json_decref(rig_must("realm.mode",
		json_pack("{s:s, s:s, s:s}", "realm", "lab", "mode", mode, "why", "a test")));
}

/* As the workers would see it. */
static enum table_mode
mode_in_table(void)
{
	struct table_header *table = ctrl.shared.table.mapping;
	const struct table_policy *policy;
	uint64_t generation;

	keytable_publish(ctrl.keys);
	generation = keytable_generation(ctrl.keys);
	policy = (const void *)((const char *)table + table->halves[generation & 1].policy);
	assert_int_equal(policy->realms[1].id, 7);
	assert_int_equal(policy->realms[0].mode, TABLE_MODE_ENFORCE);
	return (enum table_mode)policy->realms[1].mode;
}

static void
test_mode(void **state)
{
	json_t *result;

	(void)state;
	assert_int_equal(mode_in_table(), TABLE_MODE_OBSERVE);
	result = rig_must(
		"realm.mode", json_pack("{s:s, s:s}", "realm", "lab", "mode", "permissive"));
	assert_string_equal(json_string_value(json_object_get(result, "mode")), "permissive");
	assert_string_equal(json_string_value(json_object_get(result, "before")), "observe");
	assert_string_equal(json_string_value(json_object_get(result, "configured")), "observe");
	json_decref(result);
	assert_int_equal(mode_in_table(), TABLE_MODE_PERMISSIVE);
	assert_int_equal(
		refused("realm.mode", json_pack("{s:s, s:s}", "realm", "lab", "mode", "loose")),
		-EINVAL);
	assert_int_equal(refused("realm.mode", json_pack("{s:s}", "realm", "lab")), -EINVAL);
	assert_int_equal(
		refused("realm.mode", json_pack("{s:s, s:s}", "realm", "none", "mode", "observe")),
		-ENOENT);
	assert_int_equal(mode_in_table(), TABLE_MODE_PERMISSIVE);
}

/* Neither a reload nor a restart undoes what was set live; `configured` does. */
static void
test_mode_lasts(void **state)
{
	json_t *result;

	(void)state;
	mode_set("enforce");
	assert_int_equal(mode_in_table(), TABLE_MODE_ENFORCE);
	assert_int_equal(ctrl_reload(&ctrl, &reason), 0);
	assert_int_equal(mode_in_table(), TABLE_MODE_ENFORCE);
	rig_restart();
	assert_int_equal(mode_in_table(), TABLE_MODE_ENFORCE);
	result = rig_must("realm.would", json_pack("{s:s}", "realm", "lab"));
	assert_string_equal(json_string_value(json_object_get(result, "mode")), "enforce");
	assert_string_equal(json_string_value(json_object_get(result, "why")), "a test");
	assert_true(json_is_true(json_object_get(result, "live")));
	json_decref(result);
	config_write("permissive");
	assert_int_equal(ctrl_reload(&ctrl, &reason), 0);
	assert_int_equal(mode_in_table(), TABLE_MODE_ENFORCE);
	mode_set("configured");
	assert_int_equal(mode_in_table(), TABLE_MODE_PERMISSIVE);
	rig_restart();
	assert_int_equal(mode_in_table(), TABLE_MODE_PERMISSIVE);
}

/* What makes no sense in the registry is no reason not to start. */
static void
test_mode_spoilt(void **state)
{
	(void)state;
	assert_int_equal(registry_document_put(
				 ctrl.registry, 7, MODES_KIND, "{\"mode\": 3}", "x", NULL, &reason),
		0);
	rig_restart();
	assert_int_equal(mode_in_table(), TABLE_MODE_OBSERVE);
}

/* What a worker does when mode enforce would refuse a node's credential. */
static void
would(unsigned worker, uint32_t node, unsigned verdict, unsigned times)
{
	struct worker_stats *stats = stats_worker(shared_stats(&ctrl.shared), worker);
	struct meter_node *meter = meters_node(shared_meters(&ctrl.shared), ctrl.bases[1] + node);

	atomic_fetch_add(&stats->realms[1].would_refuse[verdict], times);
	atomic_fetch_add(&meter->would_refuse, times);
	atomic_store(&meter->would_verdict, (uint8_t)verdict);
	atomic_store(&meter->refused_s, 1000 + node);
}

static uint64_t
would_all(void)
{
	return rollout_view(ctrl.rollout, 1).would_all;
}

static void
assert_nodes(unsigned count, const uint32_t *nodes, const uint32_t *counts)
{
	struct rollout_node found[NODES];
	unsigned found_count;

	assert_int_equal(rollout_nodes(ctrl.rollout, 1, found, NODES, &found_count), count);
	assert_int_equal(found_count, count);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(found[i].node, nodes[i]);
		assert_int_equal(found[i].count, counts[i]);
		assert_int_equal(found[i].last_s, 1000 + nodes[i]);
	}
}

static void
test_counts(void **state)
{
	struct rollout_node top;
	unsigned count;

	(void)state;
	assert_int_equal(would_all(), 0);
	for (unsigned second = 0; second < 60; second++)
		rollout_tick(ctrl.rollout);
	assert_int_equal(access(fixture_path("state/rollout"), F_OK), -1); /* no news */
	would(0, 3, VERDICT_FORBIDDEN, 5);
	would(1, 20, VERDICT_OVER_RATE, 9);
	would(1, 4, VERDICT_FORBIDDEN, 1);
	assert_int_equal(would_all(), 15);
	assert_int_equal(rollout_view(ctrl.rollout, 1).would[VERDICT_FORBIDDEN], 6);
	assert_int_equal(rollout_view(ctrl.rollout, 0).would_all, 0);
	assert_nodes(3, (const uint32_t[]){20, 3, 4}, (const uint32_t[]){9, 5, 1});
	assert_int_equal(rollout_nodes(ctrl.rollout, 1, &top, 1, &count), 3);
	assert_int_equal(count, 1);
	assert_int_equal(top.node, 20);
	assert_int_equal(top.verdict, VERDICT_OVER_RATE);
	/* A restart forgets nothing that was saved, and workers begin at zero. */
	for (unsigned second = 0; second < 60; second++)
		rollout_tick(ctrl.rollout);
	assert_int_equal(access(fixture_path("state/rollout"), F_OK), 0);
	rig_restart();
	assert_int_equal(would_all(), 15);
	would(0, 4, VERDICT_FORBIDDEN, 7);
	assert_int_equal(would_all(), 22);
	assert_nodes(3, (const uint32_t[]){20, 4, 3}, (const uint32_t[]){9, 8, 5});
}

static void
test_mark(void **state)
{
	uint64_t mark_us = rollout_view(ctrl.rollout, 1).mark_us;
	uint64_t other_us = rollout_view(ctrl.rollout, 0).mark_us;

	(void)state;
	would(0, 3, VERDICT_FORBIDDEN, 5);
	mode_set("observe"); /* as it is: no switch */
	assert_int_equal(would_all(), 5);
	mode_set("permissive");
	assert_int_equal(would_all(), 0);
	assert_nodes(0, NULL, NULL);
	assert_true(rollout_view(ctrl.rollout, 1).mark_us > mark_us);
	assert_true(rollout_view(ctrl.rollout, 0).mark_us == other_us);
	would(0, 3, VERDICT_FORBIDDEN, 2);
	assert_nodes(1, (const uint32_t[]){3}, (const uint32_t[]){2});
	json_decref(rig_must("realm.mark", json_pack("{s:s}", "realm", "lab")));
	assert_int_equal(would_all(), 0);
	rig_restart();
	assert_int_equal(would_all(), 0);
	assert_true(rollout_view(ctrl.rollout, 1).mark_us > mark_us);
}

static void
test_report(void **state)
{
	json_t *result, *node;
	struct registry_request request = {.name = "n1"};
	struct registry_node added;

	(void)state;
	assert_int_equal(nodes_add(&ctrl, 1, &request, &added, &reason), 0);
	would(0, added.node, VERDICT_FORBIDDEN, 5);
	atomic_fetch_add(&stats_worker(shared_stats(&ctrl.shared), 1)->realms[1].proved[1], 40);
	result = rig_must("realm.would", json_pack("{s:s, s:i}", "realm", "lab", "nodes", 5));
	assert_int_equal(json_integer_value(json_object_get(result, "would_refuse")), 5);
	assert_int_equal(json_integer_value(json_object_get(result, "accepted")), 40);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(result, "would"), "forbidden")),
		5);
	node = json_array_get(json_object_get(result, "nodes"), 0);
	assert_string_equal(json_string_value(json_object_get(node, "name")), "n1");
	assert_string_equal(json_string_value(json_object_get(node, "verdict")), "forbidden");
	json_decref(result);
}

/* A file of another kind, or half of one, is no reason not to start. */
static void
test_spoilt_file(void **state)
{
	static const char rows[] = "{\"version\": 1, \"realms\": [7, {\"id\": 7, \"mark_us\": 5, "
				   "\"nodes\": [[99999, 1, 1, 1], [-1, 1, 1, 1], 4]}]}";
	static const char *const texts[] = {"", "{", "[]", "{\"version\": 2}", rows};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		rig_stop();
		fixture_write("state/rollout", texts[i], strlen(texts[i]), 0600);
		rig_start();
		assert_int_equal(would_all(), 0);
		assert_nodes(0, NULL, NULL);
	}
	assert_int_equal(rollout_view(ctrl.rollout, 1).mark_us, 5);
}

#define WITH_GATEWAY(test) cmocka_unit_test_setup_teardown(test, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_GATEWAY(test_mode),
		WITH_GATEWAY(test_mode_lasts),
		WITH_GATEWAY(test_mode_spoilt),
		WITH_GATEWAY(test_counts),
		WITH_GATEWAY(test_mark),
		WITH_GATEWAY(test_report),
		WITH_GATEWAY(test_spoilt_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

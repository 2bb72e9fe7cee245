/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes between registry and key table: what is refused is written nowhere, what is written can be
 * loaded again, and what ends gives its place back. The gateway is real but for its dataplane.
 */
#include "tests/unit/ctrl/ctrl_rig.h"

#include <signal.h>
#include <sys/resource.h>
#include <time.h>

#define NODES_MAX   80u
#define EXTRAS_MAX  (NODES_MAX + 1) /* keytable_shape_for */
#define FURTHER_MAX 1023u           /* prefixes beyond the first of each node, all told */

static void
gateway_start(unsigned nodes_max)
{
	rig_config(RIG_LAB, nodes_max);
	rig_start();
}

static void
gateway_restart(unsigned nodes_max)
{
	rig_stop();
	gateway_start(nodes_max);
}

static int
setup(void **state)
{
	if (rig_dirs(state) != 0)
		return -1;
	rig_master("lab");
	gateway_start(NODES_MAX);
	return 0;
}

static struct registry_node
find(uint32_t id)
{
	struct registry_node node;

	if (registry_node_find(ctrl.registry, 7, "lab", NULL, id, &node, &reason) != 0)
		fail_msg("%s", reason.text);
	return node;
}

static int
add(const char *name, unsigned prefix_count)
{
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX] = {0};
	struct registry_request request = {
		.name = name,
		.prefixes = prefixes,
		.prefix_count = prefix_count,
		.has_prefixes = true,
	};
	struct registry_node node;

	for (unsigned i = 0; i < prefix_count; i++)
		prefixes[i] = (struct registry_prefix){{0xfd, (uint8_t)i}, 16};
	return nodes_add(&ctrl, 0, &request, &node, &reason);
}

static void
add_many(unsigned count, unsigned prefix_count)
{
	char name[16];

	for (unsigned i = 1; i <= count; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(add(name, prefix_count), 0);
	}
}

/* Node n<id>; its older keys end at `until_s`. */
static int
rotate(uint32_t id, uint32_t until_s)
{
	struct registry_node known = find(id), node;
	struct registry_request request = {.name = known.name};

	return nodes_rotate(&ctrl, 0, &request, until_s, &node, &reason);
}

/* Rotates all of `count` nodes in turn until it is refused; returns how often it was not. */
static unsigned
rotate_to_the_end(unsigned count, uint32_t until_s)
{
	unsigned done = 0;

	while (rotate(1 + done % count, until_s) == 0)
		done++;
	assert_int_equal(reason.error, ENOSPC);
	assert_non_null(strstr(reason.text, "places for further epochs are taken"));
	return done;
}

static uint32_t
extras(void)
{
	return keytable_counts(ctrl.keys, 0).extras;
}

/* A rotation for which there is no room leaves the registry as it was, and the next start works. */
static void
test_refused_epoch_is_not_written(void **state)
{
	struct registry_node before, after;

	(void)state;
	add_many(12, 0);
	assert_int_equal(rotate_to_the_end(12, UINT32_MAX), EXTRAS_MAX);
	before = find(1 + EXTRAS_MAX % 12);
	assert_int_equal(rotate(before.node, UINT32_MAX - 2), -ENOSPC);
	after = find(before.node);
	assert_memory_equal(&before, &after, sizeof(before));
	gateway_restart(NODES_MAX);
	assert_int_equal(extras(), EXTRAS_MAX);
	assert_int_equal(keytable_counts(ctrl.keys, 0).live, 12);
	after = find(before.node);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void
test_refused_prefixes_are_not_written(void **state)
{
	struct registry_node node;

	(void)state;
	add_many(FURTHER_MAX / 15, 16);
	assert_int_equal(add("late", 16), -ENOSPC);
	assert_non_null(strstr(reason.text, "places for further prefixes are taken"));
	assert_int_equal(
		registry_node_find(ctrl.registry, 7, "lab", "late", 0, &node, &reason), -ENOENT);
	/* Its own places count as free for a node that changes. */
	assert_int_equal(rotate(1, UINT32_MAX), 0);
	assert_int_equal(
		nodes_revoke(&ctrl, 0, &(struct registry_node){.realm = 7, .node = 2}, &reason), 0);
	assert_int_equal(add("late", 16), 0);
	gateway_restart(NODES_MAX);
	assert_int_equal(keytable_counts(ctrl.keys, 0).live, FURTHER_MAX / 15);
	assert_int_equal(keytable_counts(ctrl.keys, 0).prefixes, FURTHER_MAX / 15 * 15);
}

/* More than the table can have, as an older version may have written it: what fits is loaded. */
static void
test_load_what_fits(void **state)
{
	struct registry_request request = {.realm = 7, .realm_name = "lab", .nodes_max = NODES_MAX};
	struct registry_node node;

	(void)state;
	add_many(13, 0);
	request.master = ctrl.secrets[0].fingerprint;
	for (unsigned i = 0; i < 13 * 7; i++) {
		node = find(1 + i % 13);
		request.name = node.name;
		assert_int_equal(
			registry_node_rotate(ctrl.registry, &request, UINT32_MAX, &node, &reason),
			0);
	}
	gateway_restart(NODES_MAX);
	assert_int_equal(keytable_counts(ctrl.keys, 0).live, 13);
	assert_int_equal(extras(), EXTRAS_MAX);
	assert_int_equal(find(13).epoch_count, 8);
}

/* Nodes above a lowered nodes_max wait in the registry; they may be revoked and deleted. */
static void
test_load_above_nodes_max(void **state)
{
	struct registry_node node;

	(void)state;
	add_many(5, 0);
	gateway_restart(3);
	assert_int_equal(keytable_counts(ctrl.keys, 0).live, 3);
	assert_int_equal(rotate(5, UINT32_MAX), -ERANGE);
	assert_int_equal(find(5).highest, 1);
	node = find(5);
	assert_int_equal(nodes_revoke(&ctrl, 0, &node, &reason), 0);
	assert_false(find(5).is_live);
	node = find(4);
	assert_int_equal(nodes_delete(&ctrl, 0, &node, &reason), 0);
	gateway_restart(NODES_MAX);
	assert_int_equal(keytable_counts(ctrl.keys, 0).live, 3);
	assert_int_equal(keytable_counts(ctrl.keys, 0).revoked, 1);
}

/* An epoch keeps its place for lifetime and skew after its end, and then others may have it. */
static void
test_ended_epochs_give_place(void **state)
{
	const struct config_realm *realm = &ctrl.config->realms[0];
	uint32_t grace_s = realm->ttl_max_s + (realm->skew_ms + 999) / 1000;
	uint32_t now_s = (uint32_t)time(NULL);

	(void)state;
	add_many(12, 0);
	assert_int_equal(rotate(1, now_s + 600 - grace_s), 0);
	nodes_expire(&ctrl);
	assert_int_equal(extras(), 1);
	assert_int_equal(rotate(2, now_s - grace_s - 1), 0); /* over already: takes no place */
	assert_int_equal(extras(), 1);
	assert_int_equal(rotate(1, UINT32_MAX), 0);
	assert_int_equal(rotate(3, now_s - grace_s + 1), 0);
	assert_int_equal(extras(), 3);
	sleep(3);
	nodes_expire(&ctrl);
	assert_int_equal(extras(), 2);
	gateway_restart(NODES_MAX);
	assert_int_equal(extras(), 2);
	assert_int_equal(keytable_counts(ctrl.keys, 0).live, 12);
}

/* A limit on the size of files is as good as a full disk. */
static void
disk_set_full(bool is_full)
{
	struct rlimit limit = {is_full ? 0 : RLIM_INFINITY, RLIM_INFINITY};

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* What the admin socket would answer; the caller's to release. */
static json_t *
ask_revoke(const char *name)
{
	struct verb_call call = {.ctrl = &ctrl};

	call.args = json_pack("{s:s, s:s}", "realm", "lab", "name", name);
	if (verb_run(&call, "node.revoke") != 0)
		fail_msg("%s", call.reason.text);
	json_decref(call.args);
	assert_true(call.is_change);
	return call.result;
}

static void
assert_revoked_for_all(uint32_t id)
{
	assert_false(find(id).is_live);
	assert_int_equal(find(id).epoch_count, 0);
	assert_false(keytable_is_dirty(ctrl.keys));
}

static json_int_t
status_unwritten(void)
{
	json_t *status = status_make(&ctrl);
	json_t *table = json_object_get(status, "table");
	json_int_t count = json_integer_value(json_object_get(table, "revocations_unwritten"));

	json_decref(status);
	return count;
}

/* With a full disk a node is thrown out at once, and on disk as soon as there is room. */
static void
test_revoke_with_full_disk(void **state)
{
	const char *warning;
	json_t *result;

	(void)state;
	add_many(3, 0);
	keytable_publish(ctrl.keys);
	disk_set_full(true);
	result = ask_revoke("n1");
	assert_revoked_for_all(1);
	assert_int_equal(keytable_counts(ctrl.keys, 0).revoked, 1);
	warning = json_string_value(json_object_get(result, "warning"));
	assert_non_null(warning);
	assert_int_equal(strncmp(warning, "in force now, but not yet on disk: ", 35), 0);
	json_decref(result);
	json_decref(ask_revoke("n1")); /* asked again: the same, and one to write */
	assert_int_equal(registry_unwritten(ctrl.registry), 1);
	assert_int_equal(status_unwritten(), 1);
	/* Nothing else changes meanwhile, least of all this node. */
	assert_true(add("n1", 0) < 0);
	assert_int_not_equal(rotate(1, UINT32_MAX), 0);
	assert_int_not_equal(rotate(2, UINT32_MAX), 0);
	assert_int_not_equal(registry_sync(ctrl.registry, &reason), 0);
	assert_revoked_for_all(1);
	disk_set_full(false);
	assert_int_equal(registry_sync(ctrl.registry, &reason), 0);
	assert_int_equal(status_unwritten(), 0);
	gateway_restart(NODES_MAX);
	assert_false(find(1).is_live);
	assert_int_equal(keytable_counts(ctrl.keys, 0).revoked, 1);
	assert_int_equal(keytable_counts(ctrl.keys, 0).live, 2);
	result = ask_revoke("n2");
	assert_null(json_object_get(result, "warning"));
	json_decref(result);
}

/* A change that comes later is written later: the node that is added again stays live. */
static void
test_revoked_unwritten_and_added(void **state)
{
	(void)state;
	add_many(1, 0);
	disk_set_full(true);
	json_decref(ask_revoke("n1"));
	disk_set_full(false);
	assert_int_equal(add("n1", 0), 0);
	assert_int_equal(registry_unwritten(ctrl.registry), 0);
	assert_int_equal(registry_sync(ctrl.registry, &reason), 0);
	assert_true(find(1).is_live);
	assert_int_equal(find(1).epochs[0].epoch, 2);
	gateway_restart(NODES_MAX);
	assert_true(find(1).is_live);
	assert_int_equal(find(1).epoch_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused_epoch_is_not_written),
		TEST(test_refused_prefixes_are_not_written),
		TEST(test_load_what_fits),
		TEST(test_load_above_nodes_max),
		TEST(test_ended_epochs_give_place),
		TEST(test_revoke_with_full_disk),
		TEST(test_revoked_unwritten_and_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rotations of a realm, step by step and back, with meters that the test fills as a dataplane would.
 * The gateway is real but for its dataplane.
 */
#include "tests/unit/ctrl/ctrl_rig.h"

#include <limits.h>
#include <time.h>

#include "ctrl/drain.h"
#include "ctrl/fold.h"
#include "ctrl/meters.h"
#include "ctrl/registry_epochs.h"

#define NODES_MAX 300u
#define NODES     12u

static void
nodes_add_range(unsigned first, unsigned last)
{
	for (unsigned i = first; i <= last; i++) {
		struct registry_request request = {0};
		struct registry_node node;
		char name[16];

		snprintf(name, sizeof(name), "n%03u", i);
		request.name = name;
		assert_int_equal(nodes_add(&ctrl, 0, &request, &node, &reason), 0);
	}
}

static int
setup(void **state)
{
	if (rig_dirs(state) != 0)
		return -1;
	rig_master("lab");
	rig_config(RIG_LAB, NODES_MAX);
	rig_start();
	nodes_add_range(1, NODES);
	return 0;
}

static uint32_t
now_s(void)
{
	return (uint32_t)time(NULL);
}

/* ---- what the dataplane would write ---- */

/* Booked: the node used another epoch since. */
static void
use(uint32_t node, uint16_t epoch, uint64_t count, uint32_t last_s)
{
	struct meter_use *meter = &meters_node(shared_meters(&ctrl.shared), ctrl.bases[0] + node)
					   ->uses[epoch % TABLE_EPOCHS_MAX];

	atomic_store(&meter->accepted, (uint64_t)epoch << 48 | count);
	atomic_store(&meter->last_s, last_s);
}

/* In the node's line: its last epoch. */
static void
use_last(uint32_t node, uint16_t epoch, uint32_t count, uint32_t last_s)
{
	struct replay_node *line = &ctrl.shared.store.nodes[ctrl.bases[0] + node];

	line->epoch = epoch;
	line->uses = count;
	line->last_seen_us = last_s * UINT64_C(1000000) + 17;
}

static void
all_use(uint16_t epoch, uint32_t last_s)
{
	for (uint32_t node = 1; node <= NODES; node++)
		use(node, epoch, 100, last_s);
}

/* ---- what the admin socket would answer ---- */

static json_t *
ask(const char *verb, json_t *args)
{
	json_object_set_new(args, "realm", json_string("lab"));
	return rig_call(verb, args);
}

static json_t *
ask_good(const char *verb, json_t *args)
{
	json_t *result = ask(verb, args);

	if (result == NULL)
		fail_msg("%s: %s", verb, reason.text);
	return result;
}

static json_int_t
number_of(json_t *result, const char *name)
{
	return json_integer_value(json_object_get(result, name));
}

/* One number of an answer, which is given back. */
static json_int_t
take_number(json_t *result, const char *name)
{
	json_int_t value;

	assert_non_null(json_object_get(result, name));
	value = number_of(result, name);
	json_decref(result);
	return value;
}

static json_t *
quiet(int quiet_s)
{
	return json_pack("{s:i}", "quiet_s", quiet_s);
}

static void
assert_refused(const char *verb, json_t *args, int error, const char *words)
{
	assert_null(ask(verb, args));
	assert_int_equal(reason.error, error);
	if (strstr(reason.text, words) == NULL)
		fail_msg("'%s' is not in '%s'", words, reason.text);
}

static struct registry_node
find(uint32_t id)
{
	struct registry_node node;

	if (registry_node_find(ctrl.registry, 7, "lab", NULL, id, &node, &reason) != 0)
		fail_msg("%s", reason.text);
	return node;
}

/* The epochs that are in force, newest first, as a text. */
static const char *
in_force(uint32_t node)
{
	static char text[64];
	struct registry_epoch epochs[TABLE_EPOCHS_MAX];
	unsigned count = keytable_epochs_get(ctrl.keys, 0, node, epochs);
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < count; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "%s%u", i ? " " : "", epochs[i].epoch);
	return text;
}

static void
assert_all_in_force(const char *epochs)
{
	for (uint32_t node = 1; node <= NODES; node++)
		assert_string_equal(in_force(node), epochs);
}

/* ---- tests ---- */

/* Both keys of every node are in force at once, and the drain meter follows them. */
static void
test_rotate_and_drain(void **state)
{
	json_t *result;

	(void)state;
	all_use(1, now_s());
	result = ask_good("realm.rotate", json_object());
	assert_int_equal(number_of(result, "nodes"), NODES);
	assert_int_equal(take_number(result, "rotation"), 1);
	assert_all_in_force("2 1");
	result = ask_good("realm.drain", quiet(600));
	assert_true(json_is_false(json_object_get(result, "is_drained")));
	assert_int_equal(number_of(result, "in_use"), NODES);
	assert_string_equal(
		json_string_value(json_object_get(result, "in_use_names")), "n[001-012]");
	json_decref(result);
	assert_refused(
		"realm.retire", quiet(600), EBUSY, "12 nodes still use an old key: n[001-012]");
	/* Three have moved, one of them keeps using both; one was never heard. */
	for (uint32_t node = 1; node <= NODES; node++)
		use(node, 1, 100, now_s() - 3600);
	use_last(1, 2, 5, now_s());
	use_last(2, 2, 5, now_s());
	use(3, 2, 7, now_s());
	use_last(3, 1, 5, now_s() + 1);
	result = ask_good("realm.drain", json_pack("{s:i, s:b}", "quiet_s", 600, "all", 1));
	assert_int_equal(number_of(result, "in_use"), 1);
	assert_int_equal(number_of(result, "silent"), NODES - 3);
	assert_string_equal(
		json_string_value(json_object_get(result, "silent_names")), "n[004-012]");
	assert_int_equal(json_array_size(json_object_get(result, "list")), NODES);
	json_decref(result);
	/* Nobody knows yet how long it is quiet. */
	use_last(3, 2, 5, now_s() + 1);
	use(3, 1, 105, now_s() - 3600);
	assert_refused("realm.retire", quiet(600), EBUSY, "watched for 0 s of 600 s");
	result = ask_good("realm.retire", quiet(0));
	assert_int_equal(number_of(result, "held"), NODES);
	assert_string_equal(
		json_string_value(json_object_get(result, "silent_names")), "n[004-012]");
	json_decref(result);
	assert_all_in_force("2");
}

/* In pieces: every node once, whatever the size of the pieces. */
static void
test_drain_in_pieces(void **state)
{
	json_int_t after = 0, seen = 0;

	(void)state;
	json_decref(ask_good("realm.rotate", json_object()));
	do {
		json_t *result = ask_good("realm.drain",
			json_pack("{s:b, s:i, s:I}", "nodes", 1, "limit", 5, "after", after));
		const json_t *list = json_object_get(result, "list");

		if (after == 0)
			assert_int_equal(number_of(result, "silent"), NODES);
		assert_int_equal(number_of(json_array_get(list, 0), "node"), after + 1);
		seen += (json_int_t)json_array_size(list);
		after = number_of(result, "next");
		json_decref(result);
	} while (after != 0);
	assert_int_equal(seen, NODES);
}

/* A key used once a day is in use until its node was heard under the new one. */
static void
test_slow_node_is_not_forgotten(void **state)
{
	(void)state;
	json_decref(ask_good("realm.rotate", json_object()));
	use_last(5, 1, 1, now_s());
	assert_refused("realm.retire", quiet(0), EBUSY, "1 node still uses an old key: n005;");
	use(5, 1, 1, now_s());
	use_last(5, 2, 1, now_s() + 1);
	json_decref(ask_good("realm.retire", quiet(0)));
}

/* What is counted: both places, the latest time, and nothing of another epoch in the same place. */
static void
test_meters(void **state)
{
	struct meters_use known;

	(void)state;
	use(1, 3, 1000, 500);
	use_last(1, 3, 11, 700);
	known = meters_use(ctrl.meters, ctrl.bases[0] + 1, 3);
	assert_int_equal(known.accepted, 1011);
	assert_int_equal(known.last_s, 700);
	assert_int_equal(meters_use(ctrl.meters, ctrl.bases[0] + 1, 11).accepted, 0);
	use_last(1, 4, 2, 900);
	assert_int_equal(meters_use(ctrl.meters, ctrl.bases[0] + 1, 3).last_s, 500);
	assert_int_equal(meters_use(ctrl.meters, ctrl.bases[0] + 1, 4).accepted, 2);
	sleep(1);
	assert_true(meters_use(ctrl.meters, ctrl.bases[0] + 1, 3).per_minute > 10000);
	for (unsigned i = 0; i < 2 * METERS_SLICES; i++)
		meters_second(ctrl.meters);
	sleep(1);
	assert_int_equal(meters_use(ctrl.meters, ctrl.bases[0] + 1, 3).per_minute, 0);
}

/* Over a restart, in order or not, with windows that come back or do not. */
static void
test_meters_survive(void **state)
{
	struct meters_use known;

	(void)state;
	use(1, 1, 1000, 500);
	use_last(1, 2, 11, 700);
	use(2, 1, 5, 600);
	assert_int_equal(meters_save(ctrl.meters, &reason), 0);
	rig_restart();
	known = meters_use(ctrl.meters, ctrl.bases[0] + 1, 2);
	assert_int_equal(known.accepted, 11);
	assert_int_equal(known.last_s, 700);
	assert_int_equal(meters_use(ctrl.meters, ctrl.bases[0] + 1, 1).accepted, 1000);
	/* In the background, within two passes of the change. */
	use(2, 1, 50, 800);
	for (unsigned i = 0; i < 2 * METERS_SLICES; i++)
		meters_second(ctrl.meters);
	rig_restart();
	assert_int_equal(meters_use(ctrl.meters, ctrl.bases[0] + 2, 1).accepted, 50);
	/* One that is damaged is not used. */
	rig_stop();
	assert_int_equal(truncate(fixture_path("state/meters"), 100), 0);
	rig_start();
	assert_int_equal(meters_use(ctrl.meters, ctrl.bases[0] + 2, 1).accepted, 0);
}

/* With the line back from the windows' file nothing is counted twice. */
static void
test_meters_with_windows(void **state)
{
	uint32_t slot = ctrl.bases[0] + 1;
	struct meters *again;

	(void)state;
	use(1, 2, 1000, 500);
	use_last(1, 2, 11, 700);
	assert_int_equal(meters_save(ctrl.meters, &reason), 0);
	use(1, 2, 0, 0);
	again = meters_create(fixture_path("state"), ctrl.config, ctrl.bases,
		shared_meters(&ctrl.shared), &ctrl.shared.store);
	assert_non_null(again);
	assert_int_equal(meters_use(again, slot, 2).accepted, 1011);
	meters_destroy(again);
}

/* Each step back, one at a time; what is final stays so, also from an old copy of the database. */
static void
test_steps_back(void **state)
{
	(void)state;
	assert_refused("realm.rollback", quiet(0), ENOENT, "no rotation");
	assert_refused("realm.retire", quiet(0), ENOENT, "has no old keys; rotate first");
	json_decref(ask_good("realm.rotate", json_object()));
	json_decref(ask_good("realm.retire", quiet(0)));
	assert_all_in_force("2");
	assert_refused("realm.retire", quiet(0), ENOENT, "12 that are retired already");
	assert_int_equal(take_number(ask_good("realm.rollback", quiet(0)), "restored"), NODES);
	assert_all_in_force("2 1");
	/* Somebody uses the new key by now. */
	use_last(4, 2, 1, now_s());
	assert_refused(
		"realm.rollback", quiet(600), EBUSY, "1 node uses the new key already: n004");
	assert_int_equal(take_number(ask_good("realm.rollback",
					     json_pack("{s:b, s:i}", "force", 1, "quiet_s", 600)),
				 "undone"),
		NODES);
	assert_all_in_force("1");
	/* A number is never used twice. */
	json_decref(ask_good("realm.rotate", json_object()));
	assert_all_in_force("3 1");
	json_decref(ask_good("realm.retire", json_pack("{s:i, s:b}", "quiet_s", 0, "final", 1)));
	assert_all_in_force("3");
	assert_refused("realm.rollback", quiet(0), ENOENT, "never comes back");
	rig_restart();
	assert_all_in_force("3");
}

static void
copy(const char *from, const char *to)
{
	char command[3 * PATH_MAX];

	snprintf(command, sizeof(command), "cp -p '%s' '%s'", fixture_path(from), fixture_path(to));
	assert_int_equal(system(command), 0);
}

static void
test_final_outlives_an_old_copy(void **state)
{
	(void)state;
	json_decref(ask_good("realm.rotate", json_object()));
	rig_stop();
	copy("state/registry.db", "saved.db");
	rig_start();
	assert_all_in_force("2 1");
	json_decref(ask_good("realm.retire", json_pack("{s:i, s:b}", "quiet_s", 0, "final", 1)));
	rig_stop();
	copy("saved.db", "state/registry.db");
	rig_start();
	assert_all_in_force("2");
	assert_true(find(1).is_live);
}

/* One node by itself, and one of several old keys. */
static void
test_node_steps(void **state)
{
	json_t *result;

	(void)state;
	for (int i = 0; i < 2; i++)
		json_decref(ask_good("node.rotate", json_pack("{s:s}", "name", "n003")));
	assert_string_equal(in_force(3), "3 2 1");
	assert_refused("node.retire", json_pack("{s:s, s:i}", "name", "n003", "epoch", 3), EINVAL,
		"epoch 3 is the newest key of node n003");
	assert_refused("node.retire", json_pack("{s:s, s:i}", "name", "n003", "epoch", 9), ENOENT,
		"no live key of epoch 9");
	result = ask_good("node.retire",
		json_pack("{s:s, s:i, s:i}", "name", "n003", "epoch", 2, "quiet_s", 0));
	assert_int_equal(take_number(result, "held"), 1);
	assert_string_equal(in_force(3), "3 1");
	result = ask_good("node.rollback", json_pack("{s:s}", "name", "n003"));
	assert_int_equal(take_number(result, "restored"), 1);
	assert_string_equal(in_force(3), "3 2 1");
	json_decref(ask_good("node.rollback", json_pack("{s:s}", "name", "n003")));
	assert_string_equal(in_force(3), "2 1");
	assert_string_equal(in_force(4), "1");
	assert_refused("node.rollback", json_pack("{s:s}", "name", "n004"), ENOENT, "one key only");
	json_decref(ask_good("node.revoke", json_pack("{s:s}", "name", "n003")));
	assert_refused("node.retire", json_pack("{s:s}", "name", "n003"), EINVAL, "is revoked");
}

/* Rotations of a realm leave out whom they cannot reach, and take what is not asked for as it is. */
static void
test_rotate_options(void **state)
{
	struct registry_node node;

	(void)state;
	json_decref(ask_good("node.rotate", json_pack("{s:s, s:i}", "name", "n002", "suite", 1)));
	json_decref(ask_good("node.revoke", json_pack("{s:s}", "name", "n003")));
	assert_refused("realm.rotate", json_pack("{s:s}", "role", "nobody"), ENOENT,
		"no live node of role nobody");
	json_decref(ask_good(
		"realm.rotate", json_pack("{s:I, s:I}", "until_s", (json_int_t)now_s() + 7200,
					"not_after_s", (json_int_t)now_s() + 9000)));
	assert_string_equal(in_force(2), "3 2 1");
	assert_string_equal(in_force(3), "");
	node = find(2);
	assert_int_equal(node.epochs[0].suite, 1);
	assert_true(node.epochs[0].not_after_s > node.epochs[1].not_after_s);
	assert_int_equal(find(1).epochs[0].suite, 3);
	assert_int_equal(find(1).epochs[1].not_after_s, node.epochs[1].not_after_s);
	/* The eighth makes the first too old. */
	for (int i = 0; i < 7; i++)
		json_decref(ask_good("realm.rotate", json_object()));
	assert_string_equal(in_force(1), "9 8 7 6 5 4 3 2");
	assert_string_equal(in_force(2), "10 9 8 7 6 5 4 3");
}

/* Without room for all nothing is written; retiring old keys makes room, which rollback then lacks. */
static void
test_no_room(void **state)
{
	(void)state;
	nodes_add_range(NODES + 1, 72);
	for (int i = 0; i < 4; i++)
		json_decref(ask_good("realm.rotate", json_object()));
	assert_refused("realm.rotate", json_object(), ENOSPC,
		"72 nodes would need a place for a second key and 13 are free");
	assert_all_in_force("5 4 3 2 1");
	assert_int_equal(find(1).highest, 5);
	json_decref(ask_good("realm.retire", quiet(0)));
	for (int i = 0; i < 3; i++)
		json_decref(ask_good("realm.rotate", json_object()));
	assert_all_in_force("8 7 6 5");
	assert_refused("realm.rollback", quiet(0), ENOSPC, "288 retired keys");
	json_decref(ask_good("node.rollback", json_pack("{s:s}", "name", "n001")));
	assert_string_equal(in_force(1), "8 7 6 5 4 3 2 1");
}

/* Nobody can be moved to a key that does not hold yet. */
static void
test_new_key_not_yet_valid(void **state)
{
	(void)state;
	all_use(1, now_s() - 7200);
	json_decref(ask_good(
		"realm.rotate", json_pack("{s:I}", "not_before_s", (json_int_t)now_s() + 3600)));
	assert_refused("realm.retire", quiet(0), EBUSY, "12 nodes still use an old key");
}

static const char *
master_of(uint32_t node, unsigned i)
{
	static char text[SECRETS_FINGERPRINT_SIZE];
	struct registry_node known = find(node);

	strcpy(text, known.epochs[i].master);
	return text;
}

static char *
key_text(const char *name, int epoch)
{
	json_t *args = json_pack("{s:s}", "name", name);
	json_t *result;
	char *text;

	if (epoch != 0)
		json_object_set_new(args, "epoch", json_integer(epoch));
	result = ask_good("node.key", args);
	text = strdup(json_string_value(json_object_get(result, "key")));
	json_decref(result);
	return text;
}

/* A new master beside the old; the old one goes out of service with its last epoch. */
static void
test_master(void **state)
{
	char first[SECRETS_FINGERPRINT_SIZE], second[PATH_MAX];
	char *before, *after;
	json_t *result;

	(void)state;
	strcpy(first, ctrl.secrets[0].fingerprint);
	before = key_text("n001", 0);
	result = ask_good("realm.rotate", json_pack("{s:b}", "master", 1));
	snprintf(second, sizeof(second), "%s",
		json_string_value(json_object_get(result, "master_file")));
	json_decref(result);
	assert_int_equal(access(second, F_OK), 0);
	assert_string_not_equal(master_of(1, 0), first);
	assert_string_equal(master_of(1, 1), first);
	after = key_text("n001", 1);
	assert_string_equal(before, after);
	free(after);
	rig_restart();
	assert_all_in_force("2 1");
	after = key_text("n001", 1);
	assert_string_equal(before, after);
	json_decref(ask_good("realm.retire", json_pack("{s:i, s:b}", "quiet_s", 0, "final", 1)));
	assert_int_equal(secrets_master_find(&ctrl.secrets[0], first), -1);
	assert_int_equal(unlink(fixture_path("state/lab.master")), 0);
	rig_restart();
	assert_all_in_force("2");
	json_decref(ask_good("realm.rotate", json_object()));
	assert_all_in_force("3 2");
	assert_string_equal(master_of(1, 0), ctrl.secrets[0].fingerprint);
	free(before);
	free(after);
}

static void
test_master_rolled_back(void **state)
{
	char first[SECRETS_FINGERPRINT_SIZE], second[SECRETS_FINGERPRINT_SIZE];

	(void)state;
	strcpy(first, ctrl.secrets[0].fingerprint);
	json_decref(ask_good("realm.rotate", json_pack("{s:b}", "master", 1)));
	strcpy(second, ctrl.secrets[0].fingerprint);
	assert_string_not_equal(first, second);
	json_decref(ask_good("realm.rollback", quiet(0)));
	assert_string_equal(ctrl.secrets[0].fingerprint, first);
	assert_int_equal(secrets_master_find(&ctrl.secrets[0], second), -1);
	rig_restart();
	assert_all_in_force("1");
	assert_string_equal(ctrl.secrets[0].fingerprint, first);
	json_decref(ask_good("realm.rotate", json_object()));
	assert_string_equal(master_of(1, 0), first);
}

/* Without the old master its epochs are refused and nothing else; without the current one nothing. */
static void
test_master_lost(void **state)
{
	char second[PATH_MAX];
	json_t *result;

	(void)state;
	result = ask_good("realm.rotate", json_pack("{s:b}", "master", 1));
	snprintf(second, sizeof(second), "%s",
		json_string_value(json_object_get(result, "master_file")));
	json_decref(result);
	rig_stop();
	assert_int_equal(rename(fixture_path("state/lab.master"), fixture_path("away")), 0);
	rig_start();
	assert_all_in_force("2");
	assert_refused("realm.rollback", quiet(0), ENOKEY, "is not loaded");
	rig_stop();
	assert_int_equal(rename(fixture_path("away"), fixture_path("state/lab.master")), 0);
	rig_start();
	assert_all_in_force("2 1");
	rig_stop();
	assert_int_equal(rename(second, fixture_path("away")), 0);
	assert_int_not_equal(rig_try_start(), 0);
	assert_non_null(strstr(reason.text, "its current master secret"));
	rig_stop();
	assert_int_equal(rename(fixture_path("away"), second), 0);
	rig_start();
	assert_all_in_force("2 1");
}

/* What was retired long ago is closed by itself. */
static void
test_held_too_long(void **state)
{
	uint32_t realm = 0, count = 0;

	(void)state;
	json_decref(ask_good("realm.rotate", json_object()));
	json_decref(ask_good("realm.retire", quiet(0)));
	assert_int_equal(registry_epochs_due(ctrl.registry, now_s() - 60, &realm, &reason), 0);
	assert_int_equal(registry_epochs_due(ctrl.registry, now_s(), &realm, &reason), 1);
	assert_int_equal(realm, 7);
	assert_int_equal(
		registry_epochs_close(ctrl.registry, 7, 0, now_s() - 60, &count, &reason), 0);
	assert_int_equal(count, 0);
	assert_int_equal(registry_epochs_close(ctrl.registry, 7, 0, now_s(), &count, &reason), 0);
	assert_int_equal(count, NODES);
	assert_refused("realm.rollback", quiet(0), ENOENT, "never comes back");
}

/* A node thrown out meanwhile stays out, whatever is taken back. */
static void
test_revoked_stays_out(void **state)
{
	(void)state;
	json_decref(ask_good("realm.rotate", json_object()));
	json_decref(ask_good("realm.retire", quiet(0)));
	json_decref(ask_good("node.revoke", json_pack("{s:s}", "name", "n007")));
	assert_int_equal(take_number(ask_good("realm.rollback", quiet(0)), "restored"), NODES - 1);
	assert_string_equal(in_force(7), "");
	assert_string_equal(in_force(8), "2 1");
	assert_false(find(7).is_live);
}

/* ---- names as ranges ---- */

static void
fold_check(const char *const *names, const char *wanted, size_t room)
{
	char text[256];
	struct fold fold;

	fold_begin(&fold, text, room);
	for (; *names != NULL; names++)
		fold_add(&fold, *names);
	fold_end(&fold);
	assert_string_equal(text, wanted);
}

static void
test_fold(void **state)
{
	(void)state;
	fold_check((const char *const[]){NULL}, "", 256);
	fold_check((const char *const[]){"login", NULL}, "login", 256);
	fold_check((const char *const[]){"login1", NULL}, "login1", 256);
	fold_check((const char *const[]){"n001", "n002", "n003", "n007", "n009", "n010", NULL},
		"n[001-003,007,009-010]", 256);
	fold_check((const char *const[]){"a1", "b1", "b2", "login", "n9", "n10", NULL},
		"a1 b[1-2] login n9 n10", 256);
	fold_check(
		(const char *const[]){"n1", "n2", "n4", "m1", "m3", NULL}, "n[1-2,4] m[1,3]", 256);
	fold_check(
		(const char *const[]){"abcdefghijklmnopqrstuvwxyz1", "x1", "x2", "x4", "y", NULL},
		"abcdefghijklmnopqrstuvwxyz1 and 4 more", 64);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rotate_and_drain),
		TEST(test_drain_in_pieces),
		TEST(test_slow_node_is_not_forgotten),
		TEST(test_meters),
		TEST(test_meters_survive),
		TEST(test_meters_with_windows),
		TEST(test_steps_back),
		TEST(test_final_outlives_an_old_copy),
		TEST(test_node_steps),
		TEST(test_rotate_options),
		TEST(test_no_room),
		TEST(test_new_key_not_yet_valid),
		TEST(test_master),
		TEST(test_master_rolled_back),
		TEST(test_master_lost),
		TEST(test_held_too_long),
		TEST(test_revoked_stays_out),
		cmocka_unit_test(test_fold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

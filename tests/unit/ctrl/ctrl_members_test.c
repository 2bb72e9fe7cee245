/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Membership with given clocks: a beacon is what the test writes into a meter, as the dataplane
 * would; then the table is looked at as a consumer sees it.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <sodium.h>

#include "ctrl/members.h"

#define NODES_MAX 100u
#define SECOND_US 1000000ull
#define START_US  (1767225600 * SECOND_US)
#define INTERVAL  10u

struct rig {
	struct config *config;
	struct members *members;
	struct meters_header *meters;
	struct members_moment now;
	uint64_t position; /* of events */
	uint64_t beacons;
};

static struct rig rig;

static struct config *
config_make(void)
{
	struct config *config = calloc(1, sizeof(*config));

	assert_non_null(config);
	config->realm_count = 2;
	for (unsigned i = 0; i < 2; i++) {
		config->realms[i].id = 7 + i;
		config->realms[i].nodes_max = NODES_MAX;
		config->realms[i].beacon_s = INTERVAL;
		config->realms[i].late_tenths = 25;
		config->realms[i].left_tenths = 60;
		snprintf(config->realms[i].name, CONFIG_NAME_SIZE, "realm%u", i);
	}
	return config;
}

static void
members_make(void)
{
	struct reason reason;

	rig.members = members_create(rig.config, rig.now.real_us, &reason);
	if (rig.members == NULL)
		fail_msg("%s", reason.text);
	rig.meters = calloc(1, meters_size(2 * (NODES_MAX + 1)));
	assert_non_null(rig.meters);
	rig.position = 0;
}

static int
rig_make(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.config = config_make();
	rig.now = (struct members_moment){START_US, 50 * SECOND_US, true};
	members_make();
	return 0;
}

static void
members_drop(void)
{
	members_destroy(rig.members);
	free(rig.meters);
}

static int
rig_drop(void **state)
{
	(void)state;
	members_drop();
	free(rig.config);
	return 0;
}

/* ---- what happens ---- */

static void
node_put(unsigned realm_index, uint32_t node, const char *name, bool is_live, bool is_suspended)
{
	struct registry_node from = {
		.realm = 7 + realm_index,
		.node = node,
		.is_live = is_live,
		.is_suspended = is_suspended,
	};

	snprintf(from.name, sizeof(from.name), "%s", name);
	members_node_set(rig.members, realm_index, &from);
}

static void
node_add(uint32_t node, const char *name)
{
	node_put(0, node, name, true, false);
}

/* In steps of a quarter of a second, as in a gateway. */
static void
pass_s(double seconds)
{
	for (unsigned i = 0; i < (unsigned)(seconds * 4); i++) {
		rig.now.real_us += SECOND_US / 4;
		rig.now.mono_us += SECOND_US / 4;
		members_look(rig.members, rig.meters, MEMBERS_LOOK_MAX, &rig.now);
	}
}

static struct meter_node *
meter(uint32_t node)
{
	return meters_node(rig.meters, node);
}

/* As the dataplane notes one; last byte of the address by choice. */
static void
beacon(uint32_t node, unsigned version, uint8_t last, enum meter_state what, uint16_t interval_s)
{
	const uint8_t v4[4] = {10, 0, 0, last};
	const uint8_t v6[16] = {0xfd, [15] = last};
	uint32_t word;
	uint64_t words[2];

	memcpy(&word, v4, 4);
	memcpy(words, v6, 16);
	meter(node)->beacon_state = (uint8_t)what;
	meter(node)->beacon_interval_s = interval_s;
	meter(node)->beacon_incarnation = 77;
	if (version == 4) {
		meter(node)->beacon_v4 = word;
		meter(node)->beacon_v4_s = (uint32_t)(rig.now.real_us / SECOND_US);
	} else {
		meter(node)->beacon_v6[0] = words[0];
		meter(node)->beacon_v6[1] = words[1];
		meter(node)->beacon_v6_s = (uint32_t)(rig.now.real_us / SECOND_US);
	}
	meter(node)->beacon_us = rig.now.real_us + ++rig.beacons;
}

static void
up(uint32_t node)
{
	beacon(node, 4, (uint8_t)node, METER_UP, INTERVAL);
}

/* ---- what is seen ---- */

static struct members_entry
entry_of(uint32_t node)
{
	struct members_entry entry;

	assert_true(members_entry_read(members_view(rig.members), node, &entry));
	return entry;
}

static void
is(uint32_t node, enum members_state wanted)
{
	struct members_entry entry = entry_of(node);

	if (entry.state != wanted)
		fail_msg("node %u is %s, not %s", node, members_state_text(entry.state),
			members_state_text(wanted));
}

/* The next event is about that node; 0: there is none. */
static struct members_event
event_is(uint32_t node)
{
	struct members_event event = {0};
	int rc = members_event_read(members_view(rig.members), &rig.position, &event);

	assert_int_equal(rc, node != 0);
	assert_int_equal(event.node, node);
	return event;
}

static void
event_is_change(uint32_t node, enum members_state from, enum members_state to)
{
	struct members_event event = event_is(node);

	assert_int_equal(event.old_state, from);
	assert_int_equal(event.state, to);
	assert_true(event.changed & MEMBERS_CHANGED_STATE);
}

static void
events_skip(void)
{
	struct members_event event;

	while (members_event_read(members_view(rig.members), &rig.position, &event) != 0)
		;
}

/* ---- states ---- */

static void
test_silent_up_late_left_up(void **state)
{
	(void)state;
	node_add(5, "n5");
	is(5, MEMBERS_SILENT);
	event_is_change(5, MEMBERS_NONE, MEMBERS_SILENT);
	pass_s(1000);
	is(5, MEMBERS_SILENT);
	event_is(0);
	up(5);
	pass_s(1);
	is(5, MEMBERS_UP);
	event_is_change(5, MEMBERS_SILENT, MEMBERS_UP);
	pass_s(23);
	is(5, MEMBERS_UP);
	pass_s(3);
	is(5, MEMBERS_LATE);
	event_is_change(5, MEMBERS_UP, MEMBERS_LATE);
	pass_s(32);
	is(5, MEMBERS_LATE);
	pass_s(3);
	is(5, MEMBERS_LEFT);
	event_is_change(5, MEMBERS_LATE, MEMBERS_LEFT);
	assert_int_equal(entry_of(5).flags & MEMBERS_LEAVING, 0);
	up(5);
	pass_s(1);
	is(5, MEMBERS_UP);
	event_is_change(5, MEMBERS_LEFT, MEMBERS_UP);
	event_is(0);
}

static void
test_entry_says_it_all(void **state)
{
	const uint8_t v4[4] = {10, 0, 0, 5};
	struct members_entry entry;

	(void)state;
	node_add(5, "n5");
	pass_s(1);
	up(5);
	pass_s(1);
	entry = entry_of(5);
	assert_int_equal(entry.realm, 7);
	assert_int_equal(entry.node, 5);
	assert_string_equal(entry.name, "n5");
	assert_int_equal(entry.incarnation, 77);
	assert_int_equal(entry.interval_s, INTERVAL);
	assert_true(entry.last_seen_us == meter(5)->beacon_us);
	assert_true(entry.since_us > START_US && entry.since_us <= rig.now.real_us);
	assert_int_equal(entry.flags, MEMBERS_HAS_V4);
	assert_memory_equal(entry.v4, v4, 4);
}

static void
test_leaving_is_left_at_once(void **state)
{
	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(1);
	beacon(5, 4, 5, METER_LEAVING, INTERVAL);
	pass_s(0.25);
	is(5, MEMBERS_LEFT);
	assert_true(entry_of(5).flags & MEMBERS_LEAVING);
	up(5);
	pass_s(0.25);
	is(5, MEMBERS_UP);
}

/* Its state may be stored after its time was seen: the next look takes it. */
static void
test_words_that_follow_are_taken(void **state)
{
	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(1);
	meter(5)->beacon_us++;
	pass_s(0.25);
	meter(5)->beacon_state = METER_LEAVING;
	meter(5)->beacon_incarnation = 78;
	pass_s(0.25);
	is(5, MEMBERS_LEFT);
	assert_int_equal(entry_of(5).incarnation, 78);
}

static void
test_interval_that_is_told_counts(void **state)
{
	(void)state;
	node_add(5, "n5");
	node_add(6, "n6");
	beacon(5, 4, 5, METER_UP, 100);
	beacon(6, 4, 6, METER_UP, 0);
	pass_s(240);
	is(5, MEMBERS_UP);
	is(6, MEMBERS_LEFT);
	pass_s(20);
	is(5, MEMBERS_LATE);
	assert_int_equal(entry_of(6).interval_s, 0);
}

static void
test_configured_interval_is_live(void **state)
{
	(void)state;
	node_add(5, "n5");
	beacon(5, 4, 5, METER_UP, 0);
	pass_s(20);
	is(5, MEMBERS_UP);
	rig.config->realms[0].beacon_s = 1;
	members_configure(rig.members, rig.config);
	pass_s(0.25);
	is(5, MEMBERS_LEFT);
	rig.config->realms[0].beacon_s = 100;
	members_configure(rig.members, rig.config);
	pass_s(0.25);
	is(5, MEMBERS_UP);
}

/* ---- clocks ---- */

static void
everybody_beacons(void)
{
	for (uint32_t node = 1; node <= 10; node++)
		up(node);
}

static void
clock_stepped_by(int64_t step_us)
{
	for (uint32_t node = 1; node <= 10; node++)
		node_add(node, "n");
	everybody_beacons();
	pass_s(9);
	rig.now.real_us += (uint64_t)step_us;
	pass_s(1);
	events_skip();
	for (unsigned i = 0; i < 20; i++) {
		everybody_beacons();
		pass_s(10);
		for (uint32_t node = 1; node <= 10; node++)
			is(node, MEMBERS_UP);
	}
	event_is(0);
	pass_s(30);
	is(1, MEMBERS_LATE);
}

static void
test_clock_set_forward(void **state)
{
	(void)state;
	clock_stepped_by(86400 * (int64_t)SECOND_US);
}

static void
test_clock_set_back(void **state)
{
	(void)state;
	clock_stepped_by(-86400 * (int64_t)SECOND_US);
}

/* credgated was stopped for an hour: it does not hold that against anybody. */
static void
test_control_stood_still(void **state)
{
	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(1);
	rig.now.mono_us += 3600 * SECOND_US;
	rig.now.real_us += 3600 * SECOND_US;
	pass_s(5);
	is(5, MEMBERS_UP);
}

/* Without a dataplane nobody can be heard, so nobody is late. */
static void
test_no_dataplane_no_time(void **state)
{
	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(1);
	rig.now.is_serving = false;
	pass_s(3600);
	is(5, MEMBERS_UP);
	rig.now.is_serving = true;
	pass_s(20);
	is(5, MEMBERS_UP);
	pass_s(10);
	is(5, MEMBERS_LATE);
}

/* ---- addresses ---- */

static void
test_both_addresses(void **state)
{
	const uint8_t v6[16] = {0xfd, [15] = 9};
	struct members_entry entry;

	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(1);
	events_skip();
	beacon(5, 6, 9, METER_UP, INTERVAL);
	pass_s(1);
	entry = entry_of(5);
	assert_int_equal(entry.flags, MEMBERS_HAS_V4 | MEMBERS_HAS_V6);
	assert_memory_equal(entry.v6, v6, 16);
	assert_int_equal(event_is(5).changed, MEMBERS_CHANGED_ADDRESS);
}

/* One that is not stated any more goes; that of a node that left stays. */
static void
test_old_address_goes(void **state)
{
	(void)state;
	node_add(5, "n5");
	beacon(5, 6, 9, METER_UP, INTERVAL);
	for (unsigned i = 0; i < 5; i++) {
		up(5);
		pass_s(10);
	}
	assert_int_equal(entry_of(5).flags, MEMBERS_HAS_V4 | MEMBERS_HAS_V6);
	for (unsigned i = 0; i < 3; i++) {
		up(5);
		pass_s(10);
	}
	assert_int_equal(entry_of(5).flags, MEMBERS_HAS_V4);
	pass_s(1000);
	is(5, MEMBERS_LEFT);
	assert_int_equal(entry_of(5).flags, MEMBERS_HAS_V4);
}

static void
test_address_changes(void **state)
{
	struct members_event event;

	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(10);
	events_skip();
	beacon(5, 4, 200, METER_UP, INTERVAL);
	pass_s(1);
	event = event_is(5);
	assert_int_equal(event.changed, MEMBERS_CHANGED_ADDRESS);
	assert_int_equal(event.old_state, event.state);
	assert_int_equal(entry_of(5).v4[3], 200);
}

/* ---- the registry ---- */

static void
test_revoked_at_once_and_for_good(void **state)
{
	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(1);
	events_skip();
	node_put(0, 5, "", false, false); /* as a revocation of many does */
	is(5, MEMBERS_REVOKED);
	assert_string_equal(entry_of(5).name, "n5");
	event_is_change(5, MEMBERS_UP, MEMBERS_REVOKED);
	pass_s(1000);
	is(5, MEMBERS_REVOKED);
	event_is(0);
}

/* Added again under a new key: what it said under the old one does not count. */
static void
test_added_again_is_silent(void **state)
{
	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(1);
	node_put(0, 5, "n5", false, false);
	node_add(5, "n5");
	is(5, MEMBERS_SILENT);
	pass_s(5);
	is(5, MEMBERS_SILENT);
	assert_int_equal(entry_of(5).flags, 0);
	assert_int_equal(entry_of(5).last_seen_us, 0);
	up(5);
	pass_s(1);
	is(5, MEMBERS_UP);
}

static void
test_suspended_and_resumed(void **state)
{
	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(1);
	node_put(0, 5, "n5", true, true);
	is(5, MEMBERS_SUSPENDED);
	pass_s(5);
	node_put(0, 5, "n5", true, false);
	is(5, MEMBERS_UP);
}

static void
test_deleted_is_gone(void **state)
{
	(void)state;
	node_add(5, "n5");
	up(5);
	pass_s(1);
	events_skip();
	members_node_clear(rig.members, 0, 5);
	is(5, MEMBERS_NONE);
	assert_int_equal(entry_of(5).node, 0);
	event_is_change(5, MEMBERS_UP, MEMBERS_NONE);
	members_node_clear(rig.members, 0, 5);
	event_is(0);
	up(5);
	pass_s(1);
	is(5, MEMBERS_NONE);
	node_add(5, "other");
	pass_s(1);
	is(5, MEMBERS_SILENT);
	assert_string_equal(entry_of(5).name, "other");
}

static void
test_renamed(void **state)
{
	(void)state;
	node_add(5, "a-long-name-to-begin-with");
	up(5);
	pass_s(1);
	events_skip();
	node_add(5, "n5");
	assert_string_equal(entry_of(5).name, "n5");
	assert_int_equal(event_is(5).changed, MEMBERS_CHANGED_NAME);
	node_add(5, "n5");
	event_is(0);
}

static void
test_nodes_without_a_place(void **state)
{
	(void)state;
	node_add(NODES_MAX, "last");
	node_add(NODES_MAX + 1, "too many");
	node_add(0, "none");
	is(NODES_MAX, MEMBERS_SILENT);
	is(NODES_MAX + 1, MEMBERS_NONE); /* node 0 of the next realm */
	is(0, MEMBERS_NONE);
	members_node_clear(rig.members, 0, NODES_MAX + 1);
	members_node_set(NULL, 0, &(struct registry_node){.node = 1});
	members_node_clear(NULL, 0, 1);
}

static void
test_realms_are_apart(void **state)
{
	struct members_entry entry;
	uint32_t counts[MEMBERS_STATES];

	(void)state;
	node_put(1, 5, "there", true, false);
	node_add(6, "here");
	beacon(NODES_MAX + 1 + 5, 4, 1, METER_UP, 0);
	pass_s(1);
	entry = entry_of(NODES_MAX + 1 + 5);
	assert_int_equal(entry.realm, 8);
	assert_int_equal(entry.state, MEMBERS_UP);
	members_count(rig.members, 0, counts);
	assert_int_equal(counts[MEMBERS_SILENT], 1);
	assert_int_equal(counts[MEMBERS_UP], 0);
	assert_int_equal(counts[MEMBERS_NONE], NODES_MAX - 1);
	members_count(rig.members, 1, counts);
	assert_int_equal(counts[MEMBERS_UP], 1);
	assert_int_equal(counts[MEMBERS_SILENT], 0);
}

/* ---- in parts ---- */

static void
test_look_in_parts(void **state)
{
	const uint32_t slots = 2 * (NODES_MAX + 1);
	unsigned parts = 1;

	(void)state;
	for (uint32_t node = 1; node <= NODES_MAX; node++) {
		node_add(node, "n");
		up(node);
	}
	while (!members_look(rig.members, rig.meters, 7, &rig.now))
		parts++;
	assert_int_equal(parts, (slots + 6) / 7);
	for (uint32_t node = 1; node <= NODES_MAX; node++)
		is(node, MEMBERS_UP);
	/* And anew from the first. */
	beacon(1, 4, 1, METER_LEAVING, INTERVAL);
	members_look(rig.members, rig.meters, 7, &rig.now);
	is(1, MEMBERS_LEFT);
}

/* ---- over a restart ---- */

static void
save(void)
{
	struct reason reason;
	int status;

	do
		status = members_save(rig.members, fixture_dir, &reason);
	while (status == 0);
	if (status < 0)
		fail_msg("%s", reason.text);
}

static void
restart(void)
{
	members_drop();
	rig.now.real_us += 3600 * SECOND_US;
	rig.now.mono_us += 3600 * SECOND_US;
	members_make();
	for (uint32_t node = 1; node <= 4; node++)
		node_add(node, "n");
	events_skip();
	members_restore(rig.members, fixture_dir);
}

/* 1 is up, 2 late, 3 has left, 4 was never heard. */
static void
before_restart(void)
{
	for (uint32_t node = 1; node <= 4; node++)
		node_add(node, "n");
	up(1);
	up(2);
	up(3);
	pass_s(1);
	beacon(3, 4, 3, METER_LEAVING, INTERVAL);
	pass_s(29);
	up(1);
	pass_s(1);
	is(1, MEMBERS_UP);
	is(2, MEMBERS_LATE);
	is(3, MEMBERS_LEFT);
	is(4, MEMBERS_SILENT);
}

static void
test_nobody_left_by_a_restart(void **state)
{
	struct members_entry old;
	uint64_t left_us;

	(void)state;
	before_restart();
	old = entry_of(1);
	left_us = entry_of(3).since_us;
	save();
	restart();
	is(1, MEMBERS_UNKNOWN);
	is(2, MEMBERS_UNKNOWN);
	is(3, MEMBERS_LEFT);
	is(4, MEMBERS_SILENT);
	event_is_change(1, MEMBERS_SILENT, MEMBERS_UNKNOWN);
	assert_true(entry_of(1).last_seen_us == old.last_seen_us);
	assert_int_equal(entry_of(1).flags, MEMBERS_HAS_V4);
	assert_memory_equal(entry_of(1).v4, old.v4, 4);
	assert_string_equal(entry_of(1).name, "n");
	assert_true(entry_of(3).since_us == left_us); /* nothing new about it */
	assert_true(entry_of(1).since_us == rig.now.real_us);
	pass_s(30);
	up(1);
	pass_s(29);
	is(1, MEMBERS_LATE);
	is(2, MEMBERS_UNKNOWN);
	pass_s(3);
	is(2, MEMBERS_LEFT);
	is(3, MEMBERS_LEFT);
	up(3);
	pass_s(1);
	is(3, MEMBERS_UP);
}

/* Twice without a word is still no reason to say that they left. */
static void
test_unknown_stays_so_over_restarts(void **state)
{
	(void)state;
	before_restart();
	save();
	restart();
	pass_s(50);
	save();
	restart();
	is(1, MEMBERS_UNKNOWN);
	pass_s(50);
	is(1, MEMBERS_UNKNOWN);
	pass_s(11);
	is(1, MEMBERS_LEFT);
}

static void
test_long_interval_over_a_restart(void **state)
{
	(void)state;
	node_add(1, "n");
	beacon(1, 4, 1, METER_UP, 100);
	pass_s(1);
	save();
	restart();
	pass_s(599);
	is(1, MEMBERS_UNKNOWN);
	pass_s(3);
	is(1, MEMBERS_LEFT);
}

static void
test_revoked_over_a_restart(void **state)
{
	(void)state;
	before_restart();
	save();
	members_drop();
	members_make();
	node_put(0, 1, "n", false, false);
	members_restore(rig.members, fixture_dir);
	is(1, MEMBERS_REVOKED);
	is(2, MEMBERS_NONE); /* not registered any more */
	pass_s(100);
	is(1, MEMBERS_REVOKED);
}

/* A file that is cut or changed anywhere is not used. */
static void
test_damaged_file_is_not_used(void **state)
{
	uint8_t bytes[4096];
	size_t size;
	FILE *file;

	(void)state;
	before_restart();
	save();
	file = fopen(fixture_path("members"), "r");
	assert_non_null(file);
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	assert_int_equal(size, 16 + 3 * 64 + 32);
	for (size_t i = 0; i < size; i += 5) {
		bytes[i] ^= 1;
		fixture_write("members", bytes, size, 0600);
		restart();
		is(1, MEMBERS_SILENT);
		bytes[i] ^= 1;
		fixture_write("members", bytes, i, 0600);
		restart();
		is(1, MEMBERS_SILENT);
	}
	fixture_write("members", bytes, size, 0622);
	restart();
	is(1, MEMBERS_SILENT);
	fixture_write("members", bytes, size, 0600);
	restart();
	is(1, MEMBERS_UNKNOWN);
}

static void
test_save_fails_plainly(void **state)
{
	struct reason reason;

	(void)state;
	node_add(1, "n");
	up(1);
	pass_s(1);
	assert_int_equal(members_save(rig.members, "/nowhere", &reason), -ENOENT);
	assert_non_null(strstr(reason.text, "/nowhere/members cannot be written"));
	save();
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_make, rig_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_RIG(test_silent_up_late_left_up),
		WITH_RIG(test_entry_says_it_all),
		WITH_RIG(test_leaving_is_left_at_once),
		WITH_RIG(test_words_that_follow_are_taken),
		WITH_RIG(test_interval_that_is_told_counts),
		WITH_RIG(test_configured_interval_is_live),
		WITH_RIG(test_clock_set_forward),
		WITH_RIG(test_clock_set_back),
		WITH_RIG(test_control_stood_still),
		WITH_RIG(test_no_dataplane_no_time),
		WITH_RIG(test_both_addresses),
		WITH_RIG(test_old_address_goes),
		WITH_RIG(test_address_changes),
		WITH_RIG(test_revoked_at_once_and_for_good),
		WITH_RIG(test_added_again_is_silent),
		WITH_RIG(test_suspended_and_resumed),
		WITH_RIG(test_deleted_is_gone),
		WITH_RIG(test_renamed),
		WITH_RIG(test_nodes_without_a_place),
		WITH_RIG(test_realms_are_apart),
		WITH_RIG(test_look_in_parts),
		WITH_RIG(test_nobody_left_by_a_restart),
		WITH_RIG(test_unknown_stays_so_over_restarts),
		WITH_RIG(test_long_interval_over_a_restart),
		WITH_RIG(test_revoked_over_a_restart),
		WITH_RIG(test_damaged_file_is_not_used),
		WITH_RIG(test_save_fails_plainly),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

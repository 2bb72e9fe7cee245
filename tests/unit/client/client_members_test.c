/* SPDX-License-Identifier: BSD-3-Clause */

/* cg_members_* against a real attach server and a table that the real writer fills (gateway.h). */

#include <errno.h>
#include <pthread.h>

#include <credgate/credgate.h>

#include "fixture.h"
#include "gateway.h"

static struct fixture fixture;
static char socket_path[96];

static int
setup(void **state)
{
	(void)state;
	fixture_init(&fixture);
	snprintf(socket_path, sizeof(socket_path), "%s/consumer.sock", fixture.directory);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

struct rig {
	struct gateway *gateway;
	struct members_header *table;
	struct cg_members *members;
	uint64_t position;
};

static void
rig_begin(struct rig *rig)
{
	*rig = (struct rig){.gateway = gateway_start(socket_path, 1, GATEWAY_GOOD)};
	rig->table = gateway_members(rig->gateway);
	if (cg_members_open(&rig->members, socket_path) != 0)
		fail_msg("%s", cg_error());
}

static void
rig_end(struct rig *rig)
{
	cg_members_close(rig->members);
	gateway_stop(rig->gateway);
}

static void
put(struct rig *rig, uint32_t realm, uint32_t node, const char *name, uint8_t state, uint8_t last)
{
	struct members_entry entry = {
		.realm = realm,
		.node = node,
		.incarnation = 77,
		.last_seen_us = 1000u + node,
		.since_us = 900u + node,
		.v6 = {0xfd, [15] = last},
		.v4 = {10, 0, 0, last},
		.interval_s = 10,
		.state = state,
		.flags = MEMBERS_HAS_V4 | (node % 2 != 0 ? MEMBERS_HAS_V6 : 0),
	};

	snprintf(entry.name, sizeof(entry.name), "%s", name);
	members_entry_write(rig->table, (realm == 8 ? GATEWAY_NODES + 1 : 0) + node, &entry);
}

static void
tell(struct rig *rig, uint32_t node, uint8_t from, uint8_t to)
{
	const struct members_event event = {
		.time_us = 5,
		.realm = 7,
		.node = node,
		.old_state = from,
		.state = to,
		.changed = MEMBERS_CHANGED_STATE,
	};

	members_event_write(rig->table, &rig->position, &event);
}

static void
address4(uint8_t address[16], uint8_t last)
{
	const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = last};

	memcpy(address, v4, 16);
}

/* ---- the table ---- */

static void
test_all_are_walked(void **state)
{
	struct cg_member member = {.size = sizeof(member)};
	const uint8_t v6[16] = {0xfd, [15] = 3};
	uint8_t v4[16];
	struct rig rig;

	(void)state;
	rig_begin(&rig);
	assert_int_equal(cg_members_next(rig.members, &member), 0);
	put(&rig, 7, 3, "n3", MEMBERS_UP, 3);
	put(&rig, 7, GATEWAY_NODES, "last", MEMBERS_LATE, 4);
	put(&rig, 8, 1, "there", MEMBERS_SILENT, 5);
	for (unsigned lap = 0; lap < 2; lap++) {
		assert_int_equal(cg_members_next(rig.members, &member), 1);
		assert_int_equal(member.size, sizeof(member));
		assert_int_equal(member.realm, 7);
		assert_int_equal(member.node, 3);
		assert_int_equal(member.state, CG_MEMBER_UP);
		assert_string_equal(member.name, "n3");
		assert_int_equal(member.incarnation, 77);
		assert_int_equal(member.interval_s, 10);
		assert_int_equal(member.last_seen_us, 1003);
		assert_int_equal(member.since_us, 903);
		address4(v4, 3);
		assert_memory_equal(member.address4, v4, 16);
		assert_memory_equal(member.address6, v6, 16);
		assert_int_equal(cg_members_next(rig.members, &member), 1);
		assert_int_equal(member.node, GATEWAY_NODES);
		assert_int_equal(cg_members_next(rig.members, &member), 1);
		assert_string_equal(member.name, "there");
		assert_int_equal(member.realm, 8);
		assert_int_equal(cg_members_next(rig.members, &member), 0);
	}
	assert_int_equal(cg_members_next(rig.members, &member), 1);
	cg_members_rewind(rig.members);
	assert_int_equal(cg_members_next(rig.members, &member), 1);
	assert_string_equal(member.name, "n3");
	rig_end(&rig);
}

static void
test_find_by_number(void **state)
{
	struct cg_member member = {.size = sizeof(member)};
	struct rig rig;

	(void)state;
	rig_begin(&rig);
	put(&rig, 7, 2, "n2", MEMBERS_UP, 2);
	put(&rig, 8, 2, "o2", MEMBERS_UP, 2);
	assert_int_equal(cg_member_find(rig.members, 7, 2, &member), 1);
	assert_string_equal(member.name, "n2");
	assert_int_equal(member.address6[0], 0); /* it has none */
	assert_int_equal(cg_member_find(rig.members, 8, 2, &member), 1);
	assert_string_equal(member.name, "o2");
	assert_int_equal(cg_member_find(rig.members, 7, 3, &member), 0);
	assert_int_equal(cg_member_find(rig.members, 9, 2, &member), 0);
	assert_int_equal(cg_member_find(rig.members, 7, 0, &member), 0);
	/* Above nodes_max there is another realm's. */
	assert_int_equal(cg_member_find(rig.members, 7, GATEWAY_NODES + 1 + 2, &member), 0);
	assert_int_equal(cg_member_find(rig.members, 8, UINT32_MAX, &member), 0);
	rig_end(&rig);
}

static void
test_find_by_name(void **state)
{
	struct cg_member member = {.size = sizeof(member)};
	struct rig rig;

	(void)state;
	rig_begin(&rig);
	put(&rig, 7, 2, "same", MEMBERS_LEFT, 2);
	put(&rig, 8, 5, "same", MEMBERS_UP, 2);
	assert_int_equal(cg_member_find_name(rig.members, 7, "same", &member), 1);
	assert_int_equal(member.node, 2);
	assert_int_equal(cg_member_find_name(rig.members, 0, "same", &member), 1);
	assert_int_equal(member.node, 5);
	assert_int_equal(cg_member_find_name(rig.members, 0, "sam", &member), 0);
	assert_int_equal(cg_member_find_name(rig.members, 0, NULL, &member), -EINVAL);
	rig_end(&rig);
}

/* Of two that state one address, the one that is there; else the one that was heard last. */
static void
test_find_by_address(void **state)
{
	struct cg_member member = {.size = sizeof(member)};
	const uint8_t v6[16] = {0xfd, [15] = 7}, none[16] = {0};
	uint8_t v4[16];
	struct rig rig;

	(void)state;
	rig_begin(&rig);
	address4(v4, 7);
	put(&rig, 7, 1, "left", MEMBERS_LEFT, 7);
	put(&rig, 7, 2, "late", MEMBERS_LATE, 7);
	put(&rig, 7, 3, "revoked", MEMBERS_REVOKED, 7);
	assert_int_equal(cg_member_find_address(rig.members, 0, v4, &member), 1);
	assert_string_equal(member.name, "late");
	assert_int_equal(cg_member_find_address(rig.members, 0, v6, &member), 1);
	assert_string_equal(member.name, "left");
	put(&rig, 7, 4, "late too", MEMBERS_LATE, 7);
	assert_int_equal(cg_member_find_address(rig.members, 0, v4, &member), 1);
	assert_string_equal(member.name, "late too");
	assert_int_equal(cg_member_find_address(rig.members, 8, v4, &member), 0);
	assert_int_equal(cg_member_find_address(rig.members, 0, none, &member), 0);
	assert_int_equal(cg_member_find_address(rig.members, 0, NULL, &member), -EINVAL);
	rig_end(&rig);
}

static void
test_realms(void **state)
{
	uint32_t realm;
	struct rig rig;

	(void)state;
	rig_begin(&rig);
	assert_int_equal(cg_members_realm(rig.members, "other", &realm), 1);
	assert_int_equal(realm, 8);
	assert_int_equal(cg_members_realm(rig.members, "othe", &realm), 0);
	assert_string_equal(cg_members_realm_name(rig.members, 7), "lab");
	assert_null(cg_members_realm_name(rig.members, 9));
	assert_string_equal(cg_member_state_text(CG_MEMBER_LATE), "late");
	rig_end(&rig);
}

/* ---- events ---- */

static void
test_events_since_open(void **state)
{
	struct cg_member_event event = {.size = sizeof(event)};
	struct rig rig = {.gateway = gateway_start(socket_path, 1, GATEWAY_GOOD)};

	(void)state;
	rig.table = gateway_members(rig.gateway);
	tell(&rig, 1, MEMBERS_UP, MEMBERS_LATE); /* before we came */
	members_publish(rig.table, rig.position);
	assert_int_equal(cg_members_open(&rig.members, socket_path), 0);
	assert_int_equal(cg_members_event(rig.members, &event), 0);
	tell(&rig, 2, MEMBERS_LATE, MEMBERS_UP);
	assert_int_equal(cg_members_event(rig.members, &event), 0);
	members_publish(rig.table, rig.position);
	assert_int_equal(cg_members_event(rig.members, &event), 1);
	assert_int_equal(event.sequence, 1);
	assert_int_equal(event.time_us, 5);
	assert_int_equal(event.realm, 7);
	assert_int_equal(event.node, 2);
	assert_int_equal(event.old_state, CG_MEMBER_LATE);
	assert_int_equal(event.state, CG_MEMBER_UP);
	assert_int_equal(event.changed, CG_MEMBER_CHANGED_STATE);
	assert_int_equal(cg_members_event(rig.members, &event), 0);
	rig_end(&rig);
}

static void
test_overrun_is_told_once(void **state)
{
	struct cg_member_event event = {.size = sizeof(event)};
	struct rig rig;

	(void)state;
	rig_begin(&rig);
	for (unsigned i = 0; i <= MEMBERS_EVENTS; i++)
		tell(&rig, 1, MEMBERS_UP, MEMBERS_LATE);
	members_publish(rig.table, rig.position);
	assert_int_equal(cg_members_event(rig.members, &event), -EOVERFLOW);
	assert_non_null(strstr(cg_error(), "read the whole table"));
	assert_int_equal(cg_members_event(rig.members, &event), 0);
	tell(&rig, 9, MEMBERS_UP, MEMBERS_LATE);
	members_publish(rig.table, rig.position);
	assert_int_equal(cg_members_event(rig.members, &event), 1);
	assert_int_equal(event.node, 9);
	rig_end(&rig);
}

static void *
tell_later(void *context)
{
	struct rig *rig = context;

	usleep(50000);
	tell(rig, 3, MEMBERS_SILENT, MEMBERS_UP);
	members_publish(rig->table, rig->position);
	return NULL;
}

static void
test_wait(void **state)
{
	pthread_t thread;
	struct rig rig;

	(void)state;
	rig_begin(&rig);
	assert_int_equal(cg_members_wait(rig.members, 0), 0);
	assert_int_equal(cg_members_wait(rig.members, 20), 0);
	assert_int_equal(pthread_create(&thread, NULL, tell_later, &rig), 0);
	assert_int_equal(cg_members_wait(rig.members, -1), 1);
	pthread_join(thread, NULL);
	assert_int_equal(cg_members_wait(rig.members, -1), 1);
	rig_end(&rig);
}

/* ---- what can go wrong ---- */

/* Events that were published are still read, then everything says so. */
static void
test_gone_gateway(void **state)
{
	struct cg_member_event event = {.size = sizeof(event)};
	struct cg_member member = {.size = sizeof(member)};
	struct rig rig;

	(void)state;
	rig_begin(&rig);
	put(&rig, 7, 1, "n1", MEMBERS_UP, 1);
	tell(&rig, 1, MEMBERS_SILENT, MEMBERS_UP);
	members_publish(rig.table, rig.position);
	gateway_wait(rig.gateway, 1);
	gateway_stop(rig.gateway);
	assert_int_equal(cg_members_wait(rig.members, -1), 1);
	assert_int_equal(cg_members_event(rig.members, &event), 1);
	assert_int_equal(cg_members_wait(rig.members, -1), -EPIPE);
	assert_int_equal(cg_members_event(rig.members, &event), -EPIPE);
	assert_int_equal(cg_members_next(rig.members, &member), -EPIPE);
	assert_int_equal(cg_member_find(rig.members, 7, 1, &member), -EPIPE);
	assert_int_equal(cg_member_find_name(rig.members, 7, "n1", &member), -EPIPE);
	assert_non_null(strstr(cg_error(), "the gateway is gone"));
	cg_members_close(rig.members);
}

static void
test_bad_tables_are_refused(void **state)
{
	static const enum gateway_fault faults[] = {GATEWAY_UNSEALED, GATEWAY_WRONG_SIZE,
		GATEWAY_WRONG_MAGIC, GATEWAY_OTHER_VERSION, GATEWAY_SHORT_REPLY,
		GATEWAY_FEWER_RINGS};

	(void)state;
	for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct gateway *gateway = gateway_start(socket_path, 1, faults[i]);
		struct cg_members *members;

		assert_int_equal(cg_members_open(&members, socket_path), -EPROTO);
		assert_null(members);
		gateway_stop(gateway);
	}
}

static void
test_wrong_arguments(void **state)
{
	struct cg_member_event event = {.size = 8};
	struct cg_member member = {.size = 8};
	struct rig rig;

	(void)state;
	assert_int_equal(cg_members_open(NULL, socket_path), -EINVAL);
	assert_int_equal(cg_members_open(&rig.members, socket_path), -ENOENT);
	cg_members_close(NULL);
	rig_begin(&rig);
	assert_int_equal(cg_members_next(rig.members, &member), -EINVAL);
	assert_int_equal(cg_member_find(rig.members, 7, 1, &member), -EINVAL);
	assert_int_equal(cg_members_event(rig.members, &event), -EINVAL);
	assert_int_equal(cg_members_realm(rig.members, NULL, NULL), -EINVAL);
	rig_end(&rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_walked),
		cmocka_unit_test(test_find_by_number),
		cmocka_unit_test(test_find_by_name),
		cmocka_unit_test(test_find_by_address),
		cmocka_unit_test(test_realms),
		cmocka_unit_test(test_events_since_open),
		cmocka_unit_test(test_overrun_is_told_once),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_gone_gateway),
		cmocka_unit_test(test_bad_tables_are_refused),
		cmocka_unit_test(test_wrong_arguments),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* wire_beacon_parse and wire_beacon_build: every payload has a meaning, and the vectors. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/wire/guard.h"
#include "tests/vectors/vectors.h"
#include "wire/beacon.h"
#include "wire/cred.h"

#define NATIVE "vectors/native-v1.txt"

static const uint8_t good[WIRE_BEACON_SIZE] = {1, WIRE_BEACON_LEAVING, 0x0e, 0x10};

static void
means(const uint8_t *payload, size_t size, uint8_t state, uint16_t interval_s)
{
	struct wire_beacon beacon = {.state = 99, .interval_s = 99};

	wire_beacon_parse(&beacon, payload, size);
	assert_int_equal(beacon.state, state);
	assert_int_equal(beacon.interval_s, interval_s);
}

static void
all_of_it_is_read(void **state)
{
	(void)state;
	means(good, sizeof(good), WIRE_BEACON_LEAVING, 3600);
}

static void
no_payload_is_up(void **state)
{
	(void)state;
	means(NULL, 0, WIRE_BEACON_UP, 0);
}

/* A byte too few is no statement at all, and none of those behind it is read. */
static void
short_payload_is_up(void **state)
{
	struct guard g;
	size_t size;

	(void)state;
	guard_init(&g);
	for (size = 1; size < WIRE_BEACON_SIZE; size++) {
		memcpy(guard_high(&g, size), good, size);
		means(guard_high(&g, size), size, WIRE_BEACON_UP, 0);
	}
	memcpy(guard_high(&g, sizeof(good)), good, sizeof(good));
	means(guard_high(&g, sizeof(good)), sizeof(good), WIRE_BEACON_LEAVING, 3600);
	guard_fini(&g);
}

static void
other_versions_are_up(void **state)
{
	uint8_t payload[WIRE_BEACON_SIZE];
	unsigned version;

	(void)state;
	memcpy(payload, good, sizeof(payload));
	for (version = 0; version < 256; version++) {
		payload[0] = (uint8_t)version;
		if (version != WIRE_BEACON_VERSION)
			means(payload, sizeof(payload), WIRE_BEACON_UP, 0);
	}
}

static void
other_states_are_up(void **state)
{
	uint8_t payload[WIRE_BEACON_SIZE];
	unsigned value;

	(void)state;
	memcpy(payload, good, sizeof(payload));
	for (value = 0; value < 256; value++) {
		payload[1] = (uint8_t)value;
		if (value != WIRE_BEACON_UP && value != WIRE_BEACON_LEAVING)
			means(payload, sizeof(payload), WIRE_BEACON_UP, 0);
	}
}

static void
reserved_bytes_are_ignored(void **state)
{
	uint8_t payload[WIRE_BEACON_SIZE];

	(void)state;
	memcpy(payload, good, sizeof(payload));
	memset(payload + 4, 0xff, 4);
	means(payload, sizeof(payload), WIRE_BEACON_LEAVING, 3600);
}

static void
bytes_of_an_application_are_ignored(void **state)
{
	uint8_t payload[CRED_PAYLOAD_SIZE_MAX];

	(void)state;
	memset(payload, 0xff, sizeof(payload));
	memcpy(payload, good, sizeof(good));
	means(payload, sizeof(payload), WIRE_BEACON_LEAVING, 3600);
}

static void
build_is_undone_by_parse(void **state)
{
	static const uint16_t intervals_s[] = {0, 1, 10, 255, 256, UINT16_MAX};
	uint8_t payload[WIRE_BEACON_SIZE];
	struct wire_beacon beacon;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(intervals_s) / sizeof(intervals_s[0]); i++) {
		beacon = (struct wire_beacon){WIRE_BEACON_LEAVING, intervals_s[i]};
		memset(payload, 0xff, sizeof(payload));
		assert_int_equal(wire_beacon_build(payload, &beacon), sizeof(payload));
		assert_int_equal(load_be32(payload + 4), 0);
		means(payload, sizeof(payload), WIRE_BEACON_LEAVING, intervals_s[i]);
	}
}

/* The payloads that the second implementation made, byte for byte. */
static void
vectors_agree(void **state)
{
	static const struct {
		const char *name;
		struct wire_beacon beacon;
	} known[] = {
		{"beacon-up", {WIRE_BEACON_UP, 10}},
		{"beacon-leaving", {WIRE_BEACON_LEAVING, 10}},
	};
	uint8_t payload[CRED_PAYLOAD_SIZE_MAX], built[WIRE_BEACON_SIZE];
	struct vectors v;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		vectors_open(&v, NATIVE);
		vectors_find(&v, "credential", known[i].name);
		assert_int_equal(
			vectors_bytes(&v, "payload", payload, sizeof(payload)), WIRE_BEACON_SIZE);
		vectors_close(&v);
		means(payload, WIRE_BEACON_SIZE, known[i].beacon.state, known[i].beacon.interval_s);
		wire_beacon_build(built, &known[i].beacon);
		assert_memory_equal(built, payload, sizeof(built));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_is_read),
		cmocka_unit_test(no_payload_is_up),
		cmocka_unit_test(short_payload_is_up),
		cmocka_unit_test(other_versions_are_up),
		cmocka_unit_test(other_states_are_up),
		cmocka_unit_test(reserved_bytes_are_ignored),
		cmocka_unit_test(bytes_of_an_application_are_ignored),
		cmocka_unit_test(build_is_undone_by_parse),
		cmocka_unit_test(vectors_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* Keys, origin, audience and time: each verdict, its edges, and which comes first. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "path_fixture.h"

#define SECOND UINT64_C(1000000)

static struct fixture fixture;
static uint64_t next_serial;

static int
setup(void **state)
{
	struct fixture_params params = fixture_params_default();

	(void)state;
	params.realm_count = 2;
	fixture_init(&fixture, &params);
	fixture_node_add(&fixture, FIXTURE_REALM, 1, 1, CRED_SUITE_DEFAULT);
	next_serial = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

static struct table_realm *
realm(void)
{
	return fixture_realm(&fixture, FIXTURE_REALM);
}

static struct key_slot *
slot(void)
{
	return fixture_slot(&fixture, FIXTURE_REALM, 1, 1);
}

static struct cred_fields
fields_new(void)
{
	return fixture_fields(&fixture, next_serial++);
}

/*
 * The fields have this verdict. Without a reply flag a refusal is unproved; with it, one from
 * WRONG_ORIGIN on is proved, and the same credential with a broken tag is a BAD_TAG.
 */
static void
assert_verdict(struct cred_fields *fields, enum verdict verdict)
{
	struct fixture_frame frame;

	fields->flags = 0;
	assert_int_equal(fixture_judge(&fixture, fields), verdict);
	assert_int_equal(fixture.is_proved, verdict == VERDICT_ACCEPTED);
	fields->flags = CRED_FLAG_REPLY;
	fields->serial = next_serial++;
	fixture_frame_init(&frame);
	fixture_frame_mint(&fixture, &frame, fields);
	frame.data[frame.size - 1] ^= 1;
	fixture_frame_checksum(&frame);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_BAD_TAG);
	assert_false(fixture.is_proved);
	frame.data[frame.size - 1] ^= 1;
	fixture_frame_checksum(&frame);
	assert_int_equal(fixture_verdict(&fixture, &frame), verdict);
	assert_true(fixture.is_proved);
	fields->serial = next_serial++;
}

/* Refusals that no proof comes before. */
static void
assert_final(struct cred_fields *fields, const struct key_slot *key, enum verdict verdict)
{
	struct fixture_frame frame;
	uint8_t msg[CRED_SIZE_MAX];
	int wants;

	for (wants = 0; wants < 2; wants++) {
		fields->flags = wants ? CRED_FLAG_REPLY : 0;
		fields->serial = next_serial++;
		fixture_frame_init(&frame);
		fixture_frame_wrap(&frame, msg, fixture_mint_with(&fixture, key, fields, msg));
		assert_int_equal(fixture_verdict(&fixture, &frame), verdict);
		assert_false(fixture.is_proved);
		assert_int_equal(fixture.result.reply_count, 0);
	}
}

/* ---- keys ---- */

static void
good_is_accepted(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	assert_verdict(&fields, VERDICT_ACCEPTED);
}

static void
wrong_tag_is_bad(void **state)
{
	struct cred_fields fields = fields_new();
	struct key_slot forged = *slot();
	struct fixture_frame frame;
	unsigned at;

	(void)state;
	fixture_frame_init(&frame);
	fixture_frame_mint(&fixture, &frame, &fields);
	for (at = 0; at < CRED_TAG_SIZE; at++) {
		frame.data[frame.size - 1 - at] ^= 1u << at % 8;
		fixture_frame_checksum(&frame);
		assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_BAD_TAG);
		frame.data[frame.size - 1 - at] ^= 1u << at % 8;
	}
	forged.tag_key[3] ^= 1;
	assert_final(&fields, &forged, VERDICT_BAD_TAG);
}

static void
unknown_realm_and_node(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	fields.realm = FIXTURE_REALM + 2;
	assert_final(&fields, slot(), VERDICT_UNKNOWN_REALM);
	fields.realm = FIXTURE_REALM + 1; /* there, but node 1 is not in it */
	assert_final(&fields, slot(), VERDICT_UNKNOWN_NODE);
	fields.realm = FIXTURE_REALM;
	fields.node = 2;
	assert_final(&fields, slot(), VERDICT_UNKNOWN_NODE);
	fields.node = 17; /* above nodes_max: slot 17 is the other realm's */
	assert_final(&fields, slot(), VERDICT_UNKNOWN_NODE);
	fields.node = UINT32_MAX;
	assert_final(&fields, slot(), VERDICT_UNKNOWN_NODE);
}

/* Realm 1's slot of node 18 would be realm 2's of node 1: base + node must not be enough. */
static void
node_of_the_next_realm_is_unknown(void **state)
{
	struct cred_fields fields = fields_new();
	const struct key_slot *other;

	(void)state;
	other = fixture_node_add(&fixture, FIXTURE_REALM + 1, 1, 1, CRED_SUITE_DEFAULT);
	fields.node = 18;
	assert_final(&fields, other, VERDICT_UNKNOWN_NODE);
	realm()->nodes_max = 40; /* and if control got it wrong, the slot says whose it is */
	assert_final(&fields, other, VERDICT_UNKNOWN_NODE);
}

static void
no_table_knows_no_realm(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	atomic_store(&fixture.table->generation, 0);
	assert_final(&fields, slot(), VERDICT_UNKNOWN_REALM);
}

static void
newer_generation_takes_the_other_half(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	atomic_store(&fixture.table->generation, 2); /* half 0, which is empty */
	assert_final(&fields, slot(), VERDICT_UNKNOWN_REALM);
	assert_int_equal(stats_worker(fixture.stats, 0)->seen, 2);
	atomic_store(&fixture.table->generation, 3);
	assert_verdict(&fields, VERDICT_ACCEPTED);
	assert_int_equal(stats_worker(fixture.stats, 0)->seen, 3);
	worker_offline(fixture.workers[0]);
	assert_int_equal(stats_worker(fixture.stats, 0)->seen, 0);
	worker_online(fixture.workers[0]);
	assert_int_equal(stats_worker(fixture.stats, 0)->seen, 3);
}

static void
revoked_node_is_revoked_in_all_epochs(void **state)
{
	struct cred_fields fields = fields_new();
	const struct key_slot key = *slot();

	(void)state;
	fixture_node_add(&fixture, FIXTURE_REALM, 1, 2, CRED_SUITE_DEFAULT);
	slot()->state = KEY_SLOT_REVOKED;
	assert_final(&fields, &key, VERDICT_REVOKED);
	fields.epoch = 2;
	assert_final(&fields, &key, VERDICT_REVOKED);
	fields.epoch = 77;
	assert_final(&fields, &key, VERDICT_REVOKED);
}

/* Eight live epochs of every suite, then one that is not there. */
static void
every_live_epoch_is_accepted(void **state)
{
	struct cred_fields fields = fields_new();
	uint16_t epoch;

	(void)state;
	for (epoch = 2; epoch <= TABLE_EPOCHS_MAX; epoch++)
		fixture_node_add(&fixture, FIXTURE_REALM, 1, epoch, epoch % 4 + 1);
	for (epoch = 1; epoch <= TABLE_EPOCHS_MAX; epoch++) {
		fields.epoch = epoch;
		fields.suite = fixture_slot(&fixture, FIXTURE_REALM, 1, epoch)->suite;
		assert_verdict(&fields, VERDICT_ACCEPTED);
	}
	fields.epoch = TABLE_EPOCHS_MAX + 1;
	assert_final(&fields, slot(), VERDICT_UNKNOWN_EPOCH);
	fields.epoch = 3;
	fields.suite = fixture_slot(&fixture, FIXTURE_REALM, 1, 3)->suite;
	fixture_slot(&fixture, FIXTURE_REALM, 1, 3)->state = KEY_SLOT_FREE;
	assert_final(&fields, fixture_slot(&fixture, FIXTURE_REALM, 1, 3), VERDICT_UNKNOWN_EPOCH);
}

static void
another_suite_is_unsupported(void **state)
{
	struct cred_fields fields = fields_new();
	const struct key_slot *key = slot();
	uint8_t suite;

	(void)state;
	for (suite = CRED_SUITE_CMAC128; suite < CRED_SUITE_COUNT; suite++) {
		fields.suite = suite;
		if (suite != key->suite)
			assert_final(&fields, key, VERDICT_UNSUPPORTED);
	}
}

static void
validity_is_inclusive_seconds(void **state)
{
	const uint32_t now_s = (uint32_t)(FIXTURE_NOW_US / SECOND);
	struct cred_fields fields = fields_new();

	(void)state;
	slot()->not_before_s = now_s;
	slot()->not_after_s = now_s;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fixture.now_us = FIXTURE_NOW_US + SECOND - 1;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fixture.now_us = FIXTURE_NOW_US + SECOND;
	assert_final(&fields, slot(), VERDICT_UNKNOWN_EPOCH);
	fixture.now_us = FIXTURE_NOW_US - 1;
	assert_final(&fields, slot(), VERDICT_UNKNOWN_EPOCH);
	slot()->not_before_s = 0;
	slot()->not_after_s = UINT32_MAX;
	assert_verdict(&fields, VERDICT_ACCEPTED);
}

/* ---- origin ---- */

struct origin_case {
	enum table_origin_mode mode;
	const char *prefix; /* NULL, or of the node: "in" or "out" (of 10.1.0.0/16) */
	const char *origin; /* "source", "other" (10.1.9.9), "foreign" (192.0.2.1) or "none" */
	enum verdict verdict;
};

static const struct origin_case origin_cases[] = {
	{TABLE_ORIGIN_STRICT, NULL, "source", VERDICT_ACCEPTED},
	{TABLE_ORIGIN_STRICT, NULL, "other", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_STRICT, NULL, "none", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_STRICT, "in", "source", VERDICT_ACCEPTED},
	{TABLE_ORIGIN_STRICT, "in", "other", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_STRICT, "in", "none", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_STRICT, "out", "source", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_CLAIMED, NULL, "source", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_CLAIMED, "in", "source", VERDICT_ACCEPTED},
	{TABLE_ORIGIN_CLAIMED, "in", "other", VERDICT_ACCEPTED},
	{TABLE_ORIGIN_CLAIMED, "in", "foreign", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_CLAIMED, "in", "none", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_CLAIMED, "out", "source", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_CLAIMED, "all", "foreign", VERDICT_ACCEPTED},
	{TABLE_ORIGIN_CLAIMED, "all", "none", VERDICT_WRONG_ORIGIN},
	{TABLE_ORIGIN_OFF, NULL, "source", VERDICT_ACCEPTED},
	{TABLE_ORIGIN_OFF, NULL, "none", VERDICT_ACCEPTED},
	{TABLE_ORIGIN_OFF, "out", "foreign", VERDICT_ACCEPTED},
};

static void
origin_apply(const struct origin_case *c, struct cred_fields *fields)
{
	static const uint8_t other[16] = {[10] = 0xff, [11] = 0xff, 10, 1, 9, 9};
	static const uint8_t foreign[16] = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
	static const uint8_t none[16];

	realm()->origin_mode = (uint8_t)c->mode;
	slot()->origin_bits = KEY_SLOT_ORIGIN_NONE;
	if (c->prefix != NULL && strcmp(c->prefix, "in") == 0)
		fixture_prefix_add(&fixture, slot(), other, 96 + 16);
	else if (c->prefix != NULL && strcmp(c->prefix, "out") == 0)
		fixture_prefix_add(&fixture, slot(), foreign, 96 + 24);
	else if (c->prefix != NULL)
		fixture_prefix_add(&fixture, slot(), none, 0);
	if (strcmp(c->origin, "other") == 0)
		memcpy(fields->origin, other, 16);
	else if (strcmp(c->origin, "foreign") == 0)
		memcpy(fields->origin, foreign, 16);
	else if (strcmp(c->origin, "none") == 0)
		memcpy(fields->origin, none, 16);
}

static void
origin_modes(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(origin_cases) / sizeof(origin_cases[0]); i++) {
		struct cred_fields fields = fields_new();

		origin_apply(&origin_cases[i], &fields);
		assert_verdict(&fields, origin_cases[i].verdict);
	}
}

/* Prefix lengths to the bit, over both halves of an address, and lists of up to 17. */
static void
prefixes_to_the_bit(void **state)
{
	struct cred_fields fields = fields_new();
	uint8_t prefix[16];
	unsigned bits;

	(void)state;
	realm()->origin_mode = TABLE_ORIGIN_CLAIMED;
	for (bits = 1; bits <= 128; bits++) {
		slot()->origin_bits = KEY_SLOT_ORIGIN_NONE;
		memcpy(prefix, fields.origin, 16);
		prefix[(bits - 1) / 8] ^= 0x80u >> (bits - 1) % 8;
		fixture_prefix_add(&fixture, slot(), prefix, (uint8_t)bits);
		assert_verdict(&fields, VERDICT_WRONG_ORIGIN);
		slot()->origin_bits = (uint8_t)(bits - 1);
		assert_verdict(&fields, VERDICT_ACCEPTED);
		fixture.now_us += SECOND; /* replies are bounded in time */
		fixture.mono_us += SECOND;
		fields.issued_us = fixture.now_us;
	}
	slot()->origin_bits = 129; /* not a length */
	assert_verdict(&fields, VERDICT_WRONG_ORIGIN);
}

static void
prefix_lists_are_searched(void **state)
{
	static const uint8_t far[16] = {0x20, 0x01, 0x0d, 0xb8, 0xff};
	struct cred_fields fields = fields_new();
	unsigned n;

	(void)state;
	realm()->origin_mode = TABLE_ORIGIN_CLAIMED;
	for (n = 0; n < TABLE_NODE_PREFIXES_MAX; n++) {
		fixture_prefix_add(&fixture, slot(), far, 40);
		assert_verdict(&fields, VERDICT_WRONG_ORIGIN);
	}
	fixture_prefix_add(&fixture, slot(), fixture_ipv4, 128);
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fixture.prefixes[slot()->origin_more].has_more = 0; /* the list ends before it */
	assert_verdict(&fields, VERDICT_WRONG_ORIGIN);
	fixture.prefixes[slot()->origin_more].has_more = 1;
	fixture_prefix_add(&fixture, slot(), fixture_ipv4, 128);
	fixture.prefixes[slot()->origin_more + TABLE_NODE_PREFIXES_MAX - 1].bits = 129;
	assert_verdict(&fields, VERDICT_WRONG_ORIGIN); /* one further than anybody looks */
}

/* ---- audience ---- */

static void
audiences_are_the_realms(void **state)
{
	struct cred_fields fields = fields_new();
	unsigned i;

	(void)state;
	realm()->audience_count = TABLE_AUDIENCES_MAX;
	for (i = 0; i < TABLE_AUDIENCES_MAX; i++)
		realm()->audiences[i] =
			(struct table_audience){.audience = 10 * i + 5, .groups = 1};
	for (i = 0; i < TABLE_AUDIENCES_MAX; i++) {
		fields.audience = 10 * i + 5;
		assert_verdict(&fields, VERDICT_ACCEPTED);
		fields.audience = 10 * i + 6;
		assert_verdict(&fields, VERDICT_WRONG_AUDIENCE);
		fields.audience = 10 * i + 4;
		assert_verdict(&fields, VERDICT_WRONG_AUDIENCE);
		fixture.mono_us += SECOND;
	}
	fields.audience = UINT32_MAX;
	assert_verdict(&fields, VERDICT_WRONG_AUDIENCE);
	realm()->audience_count = 0;
	fields.audience = 5;
	assert_verdict(&fields, VERDICT_WRONG_AUDIENCE);
}

static void
any_audience_only_where_the_realm_says_so(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	fields.audience = 0;
	assert_verdict(&fields, VERDICT_WRONG_AUDIENCE);
	realm()->audience_any = 1;
	assert_verdict(&fields, VERDICT_ACCEPTED);
}

/* A beacon says which gateway it is meant for like everything else. */
static void
beacons_have_an_audience(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	fields.kind = CRED_KIND_BEACON;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.audience = FIXTURE_AUDIENCE + 1;
	assert_verdict(&fields, VERDICT_WRONG_AUDIENCE);
}

/* ---- time ---- */

static void
not_yet_valid_to_the_microsecond(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	fields.issued_us = fixture.now_us + realm()->skew_us;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.issued_us++;
	assert_verdict(&fields, VERDICT_NOT_YET_VALID);
	fields.issued_us = CRED_ISSUED_US_LIMIT - 1;
	assert_verdict(&fields, VERDICT_NOT_YET_VALID);
	realm()->skew_us = UINT64_MAX; /* saturates: nothing is ever too early */
	assert_verdict(&fields, VERDICT_ACCEPTED);
}

static void
expired_to_the_microsecond(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	fields.ttl_s = 60;
	fields.issued_us = fixture.now_us - 60 * SECOND - realm()->skew_us;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.issued_us--;
	assert_verdict(&fields, VERDICT_EXPIRED);
	fields.issued_us = 0;
	assert_verdict(&fields, VERDICT_EXPIRED);
	realm()->skew_us = UINT64_MAX;
	assert_verdict(&fields, VERDICT_ACCEPTED);
}

static void
ttl_defaults_and_is_capped(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	fields.ttl_s = 0;
	fields.issued_us = fixture.now_us - 300 * SECOND - realm()->skew_us;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.issued_us--;
	assert_verdict(&fields, VERDICT_EXPIRED);
	fields.ttl_s = UINT32_MAX;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.issued_us = fixture.now_us - 3600 * SECOND - realm()->skew_us;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.issued_us--;
	assert_verdict(&fields, VERDICT_EXPIRED);
	realm()->ttl_max_s = 10; /* the default is capped too */
	fields.ttl_s = 0;
	fields.issued_us = fixture.now_us - 10 * SECOND - realm()->skew_us;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.issued_us--;
	assert_verdict(&fields, VERDICT_EXPIRED);
}

static void
floor_refuses_what_was_issued_before_it(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	realm()->floor_us = fixture.now_us - SECOND;
	fields.issued_us = fixture.now_us - SECOND;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.issued_us--;
	assert_verdict(&fields, VERDICT_FLOOR);
}

/* One bad clock must not push a node's window out of reach. */
static void
incarnation_a_day_ahead_is_not_yet_valid(void **state)
{
	const uint64_t day_ahead = FIXTURE_NOW_US / SECOND + 86400;
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;

	(void)state;
	fields.serial = (day_ahead + 1) << 32;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_NOT_YET_VALID);
	assert_false(fixture.is_proved);
	fields.flags = CRED_FLAG_REPLY;
	fixture_frame_init(&frame);
	fixture_frame_mint(&fixture, &frame, &fields);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_NOT_YET_VALID);
	assert_true(fixture.is_proved);
	assert_int_equal(fixture_line(&fixture, FIXTURE_REALM, 1)->top, 0);
	fields.serial--; /* a day ahead to the second */
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
}

/* Without synchronised clocks issued_us, ttl_s and the floor are not looked at. */
static void
serial_freshness_ignores_clocks(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	realm()->freshness = TABLE_FRESHNESS_SERIAL;
	realm()->floor_us = UINT64_MAX;
	fields.issued_us = 0;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.issued_us = CRED_ISSUED_US_LIMIT - 1;
	assert_verdict(&fields, VERDICT_ACCEPTED);
	fields.serial = CRED_SERIAL_MAX; /* an incarnation far ahead */
	fields.flags = 0;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	fields.audience++;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_WRONG_AUDIENCE);
}

/* ---- the window, unproved ---- */

static void
marked_and_stale_are_refused_once_proved(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, 5000);

	(void)state;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_REPLAYED);
	assert_true(fixture.is_proved);
	fields.serial = 5000 - fixture.params.window_bits;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_STALE);
	assert_true(fixture.is_proved);
	fields.serial++;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
}

/* ---- precedence ---- */

/*
 * Starts with everything wrong that a claim can have wrong at once, and puts it right from the
 * first to the last: at each step the verdict is the first of those still wrong.
 */
static void
first_of_all_that_apply(void **state)
{
	struct cred_fields fields = fields_new();
	const struct key_slot key = *slot();
	struct cred_fields wrong = fields;

	(void)state;
	slot()->not_after_s = 1;
	slot()->state = KEY_SLOT_REVOKED;
	realm()->floor_us = fixture.now_us + 100 * SECOND;
	wrong.suite = CRED_SUITE_SEALED256;
	wrong.origin[15]++;
	wrong.audience++;
	wrong.issued_us = fixture.now_us - 1000 * SECOND;
	wrong.realm += 5;
	assert_final(&wrong, &key, VERDICT_UNKNOWN_REALM);
	wrong.realm -= 5;
	wrong.node = 3;
	assert_final(&wrong, &key, VERDICT_UNKNOWN_NODE);
	wrong.node = 1;
	assert_final(&wrong, &key, VERDICT_REVOKED);
	slot()->state = KEY_SLOT_LIVE;
	assert_final(&wrong, &key, VERDICT_UNSUPPORTED);
	wrong.suite = fields.suite;
	assert_final(&wrong, &key, VERDICT_UNKNOWN_EPOCH);
	slot()->not_after_s = UINT32_MAX;
	assert_verdict(&wrong, VERDICT_WRONG_ORIGIN);
	wrong.origin[15]--;
	assert_verdict(&wrong, VERDICT_WRONG_AUDIENCE);
	wrong.audience--;
	assert_verdict(&wrong, VERDICT_EXPIRED);
	wrong.issued_us = fixture.now_us + 3 * SECOND; /* too early, and before the floor */
	assert_verdict(&wrong, VERDICT_NOT_YET_VALID);
	wrong.issued_us = fixture.now_us;
	assert_verdict(&wrong, VERDICT_FLOOR);
	realm()->floor_us = 0;
	assert_verdict(&wrong, VERDICT_ACCEPTED);
}

/* Too early by its serial and expired by its time: the former comes first. */
static void
not_yet_valid_before_expired(void **state)
{
	struct cred_fields fields = fields_new();

	(void)state;
	fields.serial = (FIXTURE_NOW_US / SECOND + 86401) << 32;
	fields.issued_us = 0;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_NOT_YET_VALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(good_is_accepted, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_tag_is_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_realm_and_node, setup, teardown),
		cmocka_unit_test_setup_teardown(node_of_the_next_realm_is_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(no_table_knows_no_realm, setup, teardown),
		cmocka_unit_test_setup_teardown(
			newer_generation_takes_the_other_half, setup, teardown),
		cmocka_unit_test_setup_teardown(
			revoked_node_is_revoked_in_all_epochs, setup, teardown),
		cmocka_unit_test_setup_teardown(every_live_epoch_is_accepted, setup, teardown),
		cmocka_unit_test_setup_teardown(another_suite_is_unsupported, setup, teardown),
		cmocka_unit_test_setup_teardown(validity_is_inclusive_seconds, setup, teardown),
		cmocka_unit_test_setup_teardown(origin_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(prefixes_to_the_bit, setup, teardown),
		cmocka_unit_test_setup_teardown(prefix_lists_are_searched, setup, teardown),
		cmocka_unit_test_setup_teardown(audiences_are_the_realms, setup, teardown),
		cmocka_unit_test_setup_teardown(
			any_audience_only_where_the_realm_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(beacons_have_an_audience, setup, teardown),
		cmocka_unit_test_setup_teardown(not_yet_valid_to_the_microsecond, setup, teardown),
		cmocka_unit_test_setup_teardown(expired_to_the_microsecond, setup, teardown),
		cmocka_unit_test_setup_teardown(ttl_defaults_and_is_capped, setup, teardown),
		cmocka_unit_test_setup_teardown(
			floor_refuses_what_was_issued_before_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			incarnation_a_day_ahead_is_not_yet_valid, setup, teardown),
		cmocka_unit_test_setup_teardown(serial_freshness_ignores_clocks, setup, teardown),
		cmocka_unit_test_setup_teardown(
			marked_and_stale_are_refused_once_proved, setup, teardown),
		cmocka_unit_test_setup_teardown(first_of_all_that_apply, setup, teardown),
		cmocka_unit_test_setup_teardown(not_yet_valid_before_expired, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* Who gets an answer, and that it is one: its headers, its tag, its words, its size. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "path_fixture.h"

#define SECOND UINT64_C(1000000)

static struct fixture fixture;
static uint64_t next_serial;

static int
setup(void **state)
{
	const struct fixture_params params = fixture_params_default();

	(void)state;
	fixture_init(&fixture, &params);
	fixture_node_add(&fixture, FIXTURE_REALM, 1, 1, CRED_SUITE_DEFAULT);
	next_serial = 5000;
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

/* ---- reading replies ---- */

static uint16_t
sum_of(uint32_t sum, const uint8_t *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
	while (sum >> 16 != 0)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

/* Checks every header of reply `n` against the request's frame; returns the credential. */
static const uint8_t *
assert_headers(struct fixture_frame *request, unsigned n, size_t *size)
{
	const struct burst_reply *reply = &fixture.result.replies[n];
	uint8_t *asked_ip = fixture_frame_ip(request);
	const size_t l3 = (size_t)(asked_ip - request->data);
	const uint8_t *ip = reply->data + l3;
	const bool is_ipv4 = asked_ip[0] >> 4 == 4;
	const size_t ip_size = is_ipv4 ? 20 : 40;
	const uint8_t *udp = ip + ip_size;
	const size_t udp_size = reply->size - l3 - ip_size;

	assert_int_equal(reply->port, 0);
	assert_true(reply->size <= request->size);
	assert_memory_equal(reply->data, request->data + 6, 6);
	assert_memory_equal(reply->data + 6, fixture_mac, 6);
	assert_memory_equal(reply->data + 12, request->data + 12, l3 - 12);
	if (is_ipv4) {
		assert_int_equal(ip[0], 0x45);
		assert_int_equal(load_be16(ip + 2), ip_size + udp_size);
		assert_int_equal(ip[8], 64);
		assert_int_equal(ip[9], 17);
		assert_int_equal(sum_of(0, ip, 20), 0xffff);
		assert_memory_equal(ip + 12, asked_ip + 16, 4);
		assert_memory_equal(ip + 16, asked_ip + 12, 4);
	} else {
		assert_int_equal(ip[0] >> 4, 6);
		assert_int_equal(load_be16(ip + 4), udp_size);
		assert_int_equal(ip[6], 17);
		assert_int_equal(ip[7], 64);
		assert_memory_equal(ip + 8, asked_ip + 24, 16);
		assert_memory_equal(ip + 24, asked_ip + 8, 16);
	}
	assert_int_equal(load_be16(udp), FIXTURE_UDP_PORT);
	assert_int_equal(load_be16(udp + 2), request->source_port);
	assert_int_equal(load_be16(udp + 4), udp_size);
	assert_int_not_equal(load_be16(udp + 6), 0);
	assert_int_equal(
		sum_of(sum_of(17 + (uint32_t)udp_size, ip + (is_ipv4 ? 12 : 8), is_ipv4 ? 8 : 32),
			udp, udp_size),
		0xffff);
	*size = udp_size - 8;
	return udp + 8;
}

/* Unseals and proves reply `n` with the reply keys as a node does, and reads it. */
static struct reply_fields
assert_reply(struct fixture_frame *request, unsigned n)
{
	const uint8_t *asked = fixture_frame_cred(request);
	const uint16_t asked_size = load_be16(asked + CRED_AT_LENGTH);
	const struct key_slot *slot = fixture_reply_slot(&fixture, load_be32(asked + CRED_AT_REALM),
		load_be32(asked + CRED_AT_NODE), load_be16(asked + CRED_AT_EPOCH));
	struct reply_fields fields;
	struct tag_identity id;
	struct wire_cred cred;
	uint8_t msg[CRED_SIZE_MAX];
	const uint8_t *msg_at = msg;
	uint16_t span_size;
	size_t size;

	assert_true(n < fixture.result.reply_count);
	memcpy(msg, assert_headers(request, n, &size), CRED_SIZE_MIN);
	assert_int_equal(size, CRED_SIZE_MIN);
	assert_int_equal(reply_parse(msg, size, &cred), WIRE_OK);
	assert_int_equal(cred.kind, CRED_KIND_REPLY + asked[CRED_AT_KIND]);
	assert_int_equal(cred.suite, asked[CRED_AT_SUITE]);
	assert_memory_equal(msg + CRED_AT_REALM, asked + CRED_AT_REALM, 10);
	assert_memory_equal(msg + CRED_AT_AUDIENCE, asked + CRED_AT_AUDIENCE, 4);
	assert_memory_equal(msg + REPLY_AT_REQUEST_TAG, asked + asked_size - 16, 16);
	span_size = cred.span_size;
	assert_int_equal(tag_batch_verify(fixture.issuer, &slot, &msg_at, &span_size, &id, 1), 1);
	memcpy(msg + CRED_SEALED_FIRST, id.bytes, sizeof(id.bytes));
	reply_inside_parse(msg, size, &fields);
	assert_int_equal(fields.issued_us, fixture.now_us);
	assert_int_equal(fields.serial >> 56, 0);
	return fields;
}

/* ---- frames that ask ---- */

static struct cred_fields
fields_new(void)
{
	struct cred_fields fields = fixture_fields(&fixture, next_serial++);

	fields.flags = CRED_FLAG_REPLY;
	return fields;
}

static enum verdict
ask(struct fixture_frame *frame, const struct cred_fields *fields)
{
	fixture_frame_init(frame);
	fixture_frame_mint(&fixture, frame, fields);
	return fixture_verdict(&fixture, frame);
}

static void
assert_no_reply(void)
{
	assert_int_equal(fixture.result.reply_count, 0);
}

/* ---- the reply itself ---- */

static void
accepted_is_told(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;
	struct reply_fields reply;
	uint64_t serial;

	(void)state;
	assert_int_equal(ask(&frame, &fields), VERDICT_ACCEPTED);
	reply = assert_reply(&frame, 0);
	assert_int_equal(fixture.result.reply_count, 1);
	assert_int_equal(reply.verdict, VERDICT_ACCEPTED);
	assert_int_equal(reply.first, VERDICT_ACCEPTED);
	assert_int_equal(reply.hint, REPLY_HINT_NONE);
	assert_int_equal(reply.retry_ms, 0);
	assert_int_equal(reply.serial, FIXTURE_NOW_US);
	assert_memory_equal(reply.salt, ((uint8_t[]){0xa, 0xb, 0xc, 0xd}), 4);
	serial = reply.serial;
	fields = fields_new();
	ask(&frame, &fields);
	reply = assert_reply(&frame, 0);
	assert_int_equal(reply.serial, serial + 1);
	assert_int_equal(stats_worker(fixture.stats, 0)->replies_sent, 2);
}

static void
nobody_asked_nobody_is_told(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;

	(void)state;
	fields.flags = 0;
	assert_int_equal(ask(&frame, &fields), VERDICT_ACCEPTED);
	assert_no_reply();
	assert_int_equal(ask(&frame, &fields), VERDICT_REPLAYED);
	assert_no_reply();
	fields.audience++;
	assert_int_equal(ask(&frame, &fields), VERDICT_WRONG_AUDIENCE);
	assert_no_reply();
	realm()->audiences[0].groups = 0;
	fields = fields_new();
	fields.flags = 0;
	assert_int_equal(ask(&frame, &fields), VERDICT_UNAUTHORIZED);
	assert_no_reply();
}

static void
every_suite_and_kind_over_everything(void **state)
{
	uint8_t suite, kind;
	int form;

	(void)state;
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++)
		fixture_node_add(&fixture, FIXTURE_REALM, 1 + suite, 1, suite);
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++)
		for (kind = CRED_KIND_ASSERT; kind <= CRED_KIND_BEACON; kind++)
			for (form = 0; form < 4; form++) {
				struct cred_fields fields = fields_new();
				struct fixture_frame frame;

				fixture_frame_init(&frame);
				fields.node = 1 + suite;
				fields.suite = suite;
				fields.kind = kind;
				if (form & 1) {
					memcpy(fields.origin, fixture_ipv6, 16);
					memcpy(frame.source, fixture_ipv6, 16);
				}
				frame.vlan = form & 2 ? 0xa064 : 0;
				fixture_frame_mint(&fixture, &frame, &fields);
				assert_int_equal(
					fixture_verdict(&fixture, &frame), VERDICT_ACCEPTED);
				assert_int_equal(assert_reply(&frame, 0).verdict, VERDICT_ACCEPTED);
			}
}

static void
reply_of_a_further_epoch(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;

	(void)state;
	fixture_node_add(&fixture, FIXTURE_REALM, 1, 2, CRED_SUITE_CMAC256);
	fields.epoch = 2;
	fields.suite = CRED_SUITE_CMAC256;
	assert_int_equal(ask(&frame, &fields), VERDICT_ACCEPTED);
	assert_int_equal(assert_reply(&frame, 0).verdict, VERDICT_ACCEPTED);
}

/* UDP checksums are right whatever they come to; over many replies both odd forms turn up. */
static void
full_burst_of_replies(void **state)
{
	static struct fixture_frame asks[BURST_FRAMES_MAX];
	struct fixture_frame *frames[BURST_FRAMES_MAX];
	unsigned round, i;

	(void)state;
	for (round = 0; round < 20; round++) {
		for (i = 0; i < BURST_FRAMES_MAX; i++) {
			const struct cred_fields fields = fields_new();

			frames[i] = &asks[i];
			fixture_frame_init(frames[i]);
			asks[i].source_port = (uint16_t)(1000 + i);
			fixture_frame_mint(&fixture, frames[i], &fields);
		}
		fixture_burst(&fixture, 0, frames, BURST_FRAMES_MAX);
		assert_int_equal(fixture.result.reply_count, BURST_FRAMES_MAX);
		for (i = 0; i < BURST_FRAMES_MAX; i++)
			assert_int_equal(assert_reply(frames[i], i).verdict, VERDICT_ACCEPTED);
	}
}

/* The first reply of a fresh gateway to a request from `port`; returns its UDP checksum. */
static uint16_t
checksum_of_first_reply(uint16_t port)
{
	struct cred_fields fields = fixture_fields(&fixture, 77);
	struct fixture_frame frame;

	fields.flags = CRED_FLAG_REPLY;
	fixture_frame_init(&frame);
	frame.source_port = port;
	fixture_frame_mint(&fixture, &frame, &fields);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_ACCEPTED);
	assert_int_equal(assert_reply(&frame, 0).verdict, VERDICT_ACCEPTED);
	return load_be16(fixture.result.replies[0].data + 14 + 20 + 6);
}

/* From the one port for which the sum comes to zero, which would mean that there is none. */
static void
checksum_is_never_zero(void **state)
{
	const uint16_t port = 40000;
	uint32_t sum;

	sum = (uint16_t)~checksum_of_first_reply(port);
	teardown(state);
	setup(state);
	assert_int_equal(
		checksum_of_first_reply((uint16_t)((port + 0xffff - sum) % 0xffff)), 0xffff);
}

/* ---- what refusals say ---- */

static void
floor_tells_the_floor(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;
	struct reply_fields reply;

	(void)state;
	realm()->floor_us = fixture.now_us + 1;
	assert_int_equal(ask(&frame, &fields), VERDICT_FLOOR);
	reply = assert_reply(&frame, 0);
	assert_int_equal(reply.verdict, VERDICT_FLOOR);
	assert_int_equal(reply.first, VERDICT_FLOOR);
	assert_int_equal(reply.hint, REPLY_HINT_ISSUED);
	assert_int_equal(reply.floor, fixture.now_us + 1);
}

/* The floor of a STALE reply is the least serial that is not stale. */
static void
stale_tells_the_least_serial(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;
	struct reply_fields reply;

	(void)state;
	assert_int_equal(ask(&frame, &fields), VERDICT_ACCEPTED);
	fields.serial = 1;
	assert_int_equal(ask(&frame, &fields), VERDICT_STALE);
	reply = assert_reply(&frame, 0);
	assert_int_equal(reply.hint, REPLY_HINT_SERIAL);
	assert_int_equal(reply.floor, 5000 - fixture.params.window_bits + 1);
	fields.serial = reply.floor - 1;
	assert_int_equal(ask(&frame, &fields), VERDICT_STALE);
	fields.serial = reply.floor;
	assert_int_equal(ask(&frame, &fields), VERDICT_ACCEPTED);
}

static void
busy_says_when_to_retry(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;
	struct reply_fields reply;

	(void)state;
	fixture.replay.headers[1].checksum ^= 1;
	assert_int_equal(ask(&frame, &fields), VERDICT_BUSY);
	reply = assert_reply(&frame, 0);
	assert_int_equal(reply.verdict, VERDICT_BUSY);
	assert_true(reply.retry_ms > 0 && reply.retry_ms < 1000);
	fixture.replay.headers[1].checksum ^= 1;
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_ACCEPTED); /* the same bytes */
}

static void
duplicate_is_told_the_first_verdict(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;
	struct reply_fields reply;

	(void)state;
	ask(&frame, &fields);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_DUPLICATE);
	reply = assert_reply(&frame, 0);
	assert_int_equal(reply.verdict, VERDICT_DUPLICATE);
	assert_int_equal(reply.first, VERDICT_ACCEPTED);
}

/* ---- who gets an answer ---- */

/* The refusals that a live key's owner is told, one way to each. */
static void
refuse_origin(struct cred_fields *fields)
{
	(void)fields;
	fixture_prefix_add(
		&fixture, fixture_slot(&fixture, FIXTURE_REALM, 1, 1), fixture_ipv6, 128);
}

static void
refuse_audience(struct cred_fields *fields)
{
	fields->audience++;
}

static void
refuse_early(struct cred_fields *fields)
{
	fields->issued_us += 10 * SECOND;
}

static void
refuse_late(struct cred_fields *fields)
{
	fields->issued_us -= 1000 * SECOND;
}

static void
refuse_group(struct cred_fields *fields)
{
	fields->auth_uid = 1;
}

struct refusal {
	void (*refuse)(struct cred_fields *fields);
	enum verdict verdict;
};

static const struct refusal refusals[] = {
	{refuse_audience, VERDICT_WRONG_AUDIENCE}, {refuse_early, VERDICT_NOT_YET_VALID},
	{refuse_late, VERDICT_EXPIRED}, {refuse_group, VERDICT_UNAUTHORIZED},
	{refuse_origin, VERDICT_WRONG_ORIGIN}, /* stays: the last one */
};

static void
proved_refusals_are_told_to_their_origin(void **state)
{
	struct fixture_frame frame;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct cred_fields fields = fields_new();
		struct reply_fields reply;

		refusals[i].refuse(&fields);
		assert_int_equal(ask(&frame, &fields), refusals[i].verdict);
		reply = assert_reply(&frame, 0);
		assert_int_equal(reply.verdict, refusals[i].verdict);
		assert_int_equal(reply.first, refusals[i].verdict);
		assert_int_equal(reply.hint, REPLY_HINT_NONE);
	}
}

/* A captured packet sent from elsewhere: refused, and its victim hears nothing. */
static void
strangers_are_not_told(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		struct cred_fields fields = fields_new();
		struct fixture_frame frame;

		refusals[i].refuse(&fields);
		fixture_frame_init(&frame);
		frame.source[15]++;
		fixture_frame_mint(&fixture, &frame, &fields);
		assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_WRONG_ORIGIN);
		assert_true(fixture.is_proved);
		assert_no_reply();
	}
}

struct hearer {
	enum table_origin_mode mode;
	bool has_prefix; /* the node has 10.1.2.0/24 */
	uint8_t source;  /* third byte of the packet's source 10.1.x.3 */
	bool is_told;
};

static const struct hearer hearers[] = {
	{TABLE_ORIGIN_CLAIMED, true, 2, true},
	{TABLE_ORIGIN_CLAIMED, true, 3, false},
	{TABLE_ORIGIN_OFF, true, 2, true},
	{TABLE_ORIGIN_OFF, true, 3, false},
	{TABLE_ORIGIN_OFF, false, 2, false},
	{TABLE_ORIGIN_STRICT, true, 2, true},
	{TABLE_ORIGIN_STRICT, false, 2, true},
};

static void
sources_that_are_told_a_refusal(void **state)
{
	struct key_slot *slot = fixture_slot(&fixture, FIXTURE_REALM, 1, 1);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hearers) / sizeof(hearers[0]); i++) {
		struct cred_fields fields = fields_new();
		struct fixture_frame frame;

		realm()->origin_mode = (uint8_t)hearers[i].mode;
		slot->origin_bits = KEY_SLOT_ORIGIN_NONE;
		if (hearers[i].has_prefix)
			fixture_prefix_add(&fixture, slot, fixture_ipv4, 96 + 24);
		fields.audience++;
		fixture_frame_init(&frame);
		frame.source[14] = hearers[i].source;
		fixture_frame_mint(&fixture, &frame, &fields);
		assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_WRONG_AUDIENCE);
		assert_int_equal(fixture.result.reply_count, hearers[i].is_told);
	}
}

static void
silent_verdicts_are_silent(void **state)
{
	struct key_slot *slot = fixture_slot(&fixture, FIXTURE_REALM, 1, 1);
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;

	(void)state;
	ask(&frame, &fields);
	fixture.mono_us += 10 * SECOND;
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_REPLAYED);
	assert_true(fixture.is_proved);
	assert_no_reply();
	fields = fields_new();
	fixture_frame_mint(&fixture, &frame, &fields);
	frame.data[frame.size - 1] ^= 1;
	fixture_frame_checksum(&frame);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_BAD_TAG);
	assert_no_reply();
	frame.data[frame.size - 1] ^= 1;
	fixture_frame_checksum(&frame);
	slot->not_after_s = 1;
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_UNKNOWN_EPOCH);
	assert_no_reply();
	slot->state = KEY_SLOT_REVOKED;
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_REVOKED);
	assert_no_reply();
	slot->state = KEY_SLOT_FREE;
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_UNKNOWN_NODE);
	assert_no_reply();
}

/* A retransmission's answer goes where the first one went, and nowhere else. */
static void
duplicates_elsewhere_are_silent(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;
	uint8_t msg[CRED_SIZE_MAX];
	const size_t size = fixture_mint(&fixture, &fields, msg);

	(void)state;
	fixture_frame_init(&frame);
	fixture_frame_wrap(&frame, msg, size);
	fixture_verdict(&fixture, &frame);
	frame.source_port++;
	fixture_frame_wrap(&frame, msg, size);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_REPLAYED);
	assert_no_reply();
}

static void
port_0_is_not_told(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;

	(void)state;
	fixture_frame_init(&frame);
	frame.source_port = 0;
	fixture_frame_mint(&fixture, &frame, &fields);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_ACCEPTED);
	assert_no_reply();
}

static void
without_reply_keys_no_reply(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;

	(void)state;
	memset(fixture_reply_slot(&fixture, FIXTURE_REALM, 1, 1), 0, sizeof(struct key_slot));
	assert_int_equal(ask(&frame, &fields), VERDICT_ACCEPTED);
	assert_no_reply();
	assert_int_equal(stats_worker(fixture.stats, 0)->replies_dropped, 1);
}

/* ---- the bucket ---- */

static unsigned
refused_and_told(unsigned count)
{
	unsigned told = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		struct cred_fields fields = fields_new();
		struct fixture_frame frame;

		fields.audience++;
		assert_int_equal(ask(&frame, &fields), VERDICT_WRONG_AUDIENCE);
		told += fixture.result.reply_count;
	}
	return told;
}

static void
refusals_are_told_at_the_nodes_rate(void **state)
{
	struct cred_fields fields;
	struct fixture_frame frame;

	(void)state;
	realm()->reply_rate = 10;
	assert_int_equal(refused_and_told(30), 10);
	assert_int_equal(stats_worker(fixture.stats, 0)->replies_dropped, 20);
	fixture.mono_us += SECOND / 2;
	assert_int_equal(refused_and_told(30), 5);
	fixture.mono_us += 100 * SECOND;
	assert_int_equal(refused_and_told(30), 10); /* a second's worth, not more */
	fields = fields_new();
	assert_int_equal(ask(&frame, &fields), VERDICT_ACCEPTED); /* which spends nothing */
	assert_int_equal(fixture.result.reply_count, 1);
	fixture.mono_us = 3 * SECOND; /* the machine was started anew: the clock begins again */
	assert_int_equal(refused_and_told(30), 10);
	realm()->reply_rate = 0;
	fixture.mono_us += 100 * SECOND;
	assert_int_equal(refused_and_told(3), 0);
}

/* A captured credential, over and over, leaves the node its answers. */
static void
same_bytes_spend_one_answer(void **state)
{
	struct cred_fields fields = fields_new();
	struct fixture_frame frame;
	struct fixture_frame *const again[1] = {&frame};
	unsigned told = 0;
	unsigned i;

	(void)state;
	realm()->reply_rate = 10;
	fields.audience++;
	assert_int_equal(ask(&frame, &fields), VERDICT_WRONG_AUDIENCE);
	assert_int_equal(fixture.result.reply_count, 1);
	for (i = 0; i < 100; i++) {
		fixture_burst(&fixture, 0, again, 1);
		told += fixture.result.reply_count;
	}
	assert_int_equal(told, 0);
	assert_int_equal(refused_and_told(30), 9);
	fixture.mono_us += SECOND; /* an honest sender that asks again later is told */
	fixture_burst(&fixture, 0, again, 1);
	assert_int_equal(fixture.result.reply_count, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(accepted_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_asked_nobody_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			every_suite_and_kind_over_everything, setup, teardown),
		cmocka_unit_test_setup_teardown(reply_of_a_further_epoch, setup, teardown),
		cmocka_unit_test_setup_teardown(full_burst_of_replies, setup, teardown),
		cmocka_unit_test_setup_teardown(checksum_is_never_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(floor_tells_the_floor, setup, teardown),
		cmocka_unit_test_setup_teardown(stale_tells_the_least_serial, setup, teardown),
		cmocka_unit_test_setup_teardown(busy_says_when_to_retry, setup, teardown),
		cmocka_unit_test_setup_teardown(
			duplicate_is_told_the_first_verdict, setup, teardown),
		cmocka_unit_test_setup_teardown(
			proved_refusals_are_told_to_their_origin, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_are_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(sources_that_are_told_a_refusal, setup, teardown),
		cmocka_unit_test_setup_teardown(silent_verdicts_are_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(duplicates_elsewhere_are_silent, setup, teardown),
		cmocka_unit_test_setup_teardown(port_0_is_not_told, setup, teardown),
		cmocka_unit_test_setup_teardown(without_reply_keys_no_reply, setup, teardown),
		cmocka_unit_test_setup_teardown(
			refusals_are_told_at_the_nodes_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(same_bytes_spend_one_answer, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

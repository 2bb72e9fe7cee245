/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Replies of a gateway in memory: proved, matched once, timed from when the request was due;
 * damaged, foreign and repeated ones are not taken.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loadgen_judge.h"
#include "perf/loadgen/replies.h"

#define TSC_HZ 2000000000u /* two cycles to a nanosecond */

static const uint8_t suites[] = {CRED_SUITE_SEALED128, CRED_SUITE_CMAC256};

static struct judge judge;
static struct settings settings;
static struct keys keys;
static struct mint mint;
static struct replies replies;
static struct results results;
static uint8_t memory[MINT_BURST_MAX][MINT_FRAME_MAX];
static uint8_t copies[MINT_BURST_MAX][MINT_FRAME_MAX];
static const uint8_t *answers[MINT_BURST_MAX];
static uint16_t sizes[MINT_BURST_MAX];

static int
setup(void **state)
{
	(void)state;
	judge_init(&judge, suites, 2);
	settings = (struct settings){
		.to_port = FIXTURE_UDP_PORT,
		.from_port = 40000,
		.from_ports = 1,
		.from_bits = 32,
		.master = judge.master,
		.realm = FIXTURE_REALM,
		.epoch = 1,
		.nodes = JUDGE_NODES,
		.suites = {CRED_SUITE_SEALED128, CRED_SUITE_CMAC256},
		.suite_count = 2,
		.payload_weights = {1},
		.payload_count = 1,
		.kernel = "auto",
		.kind = CRED_KIND_ASSERT,
		.audience = FIXTURE_AUDIENCE,
		.shares.reply = (uint64_t)1 << 32,
	};
	memcpy(settings.to, fixture_local_ipv4, 16);
	memcpy(settings.from, fixture_ipv4, 16);
	memset(&results, 0, sizeof(results));
	results.tsc_hz = TSC_HZ;
	histogram_init(&results.send_to_reply);
	assert_int_equal(keys_init(&keys, &settings), 0);
	assert_int_equal(mint_init(&mint, &settings, &keys, fixture_mac, fixture_peer_mac), 0);
	assert_int_equal(replies_init(&replies, &mint), 0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	replies_fini(&replies);
	mint_fini(&mint);
	keys_fini(&keys);
	judge_fini(&judge);
	return 0;
}

/* A burst due at `due`, and the gateway's answers to it. */
static unsigned
ask(unsigned count, uint64_t due)
{
	const struct burst_result *result = &judge.fixture.result;
	uint64_t dues[MINT_BURST_MAX];
	uint8_t *frames[MINT_BURST_MAX];
	unsigned i;

	for (i = 0; i < count; i++) {
		frames[i] = memory[i];
		dues[i] = due;
	}
	mint_burst(&mint, frames, dues, count);
	replies_expect(&replies, &mint, dues);
	judge_frames(&judge, (const uint8_t *const *)frames, mint.burst.frame_sizes, count);
	for (i = 0; i < result->reply_count; i++) {
		memcpy(copies[i], result->replies[i].data, result->replies[i].size);
		answers[i] = copies[i];
		sizes[i] = result->replies[i].size;
	}
	return result->reply_count;
}

static void
replies_are_proved_and_timed(void **state)
{
	const unsigned count = ask(MINT_BURST_MAX, 5000);

	(void)state;
	assert_int_equal(count, MINT_BURST_MAX);
	replies_take(&replies, answers, sizes, count, 5000 + 2000, &results);
	assert_int_equal(results.reply_count, count);
	assert_int_equal(results.replies[VERDICT_ACCEPTED], count);
	assert_true(results.send_to_reply.min == 1000);
	assert_true(results.send_to_reply.max == 1000);
	assert_int_equal(results.replies_unproved + results.replies_unmatched, 0);
}

static void
a_damaged_reply_is_not_taken(void **state)
{
	const unsigned count = ask(2, 5000);

	(void)state;
	assert_int_equal(count, 2);
	copies[0][sizes[0] - 1] ^= 1;
	replies_take(&replies, answers, sizes, count, 6000, &results);
	assert_int_equal(results.reply_count, 1);
	assert_int_equal(results.replies_unproved, 1);
}

static void
a_reply_counts_once(void **state)
{
	const unsigned count = ask(1, 5000);

	(void)state;
	replies_take(&replies, answers, sizes, count, 6000, &results);
	replies_take(&replies, answers, sizes, count, 6000, &results);
	assert_int_equal(results.reply_count, 1);
	assert_int_equal(results.replies_unmatched, 1);
}

static void
other_frames_are_only_counted(void **state)
{
	const unsigned count = ask(3, 5000);
	uint16_t size;

	(void)state;
	copies[0][26] ^= 1;               /* from another host */
	copies[1][42 + CRED_AT_KIND] = 1; /* no reply */
	sizes[2] = 60;                    /* cut off */
	replies_take(&replies, answers, sizes, count, 6000, &results);
	assert_int_equal(results.reply_count, 0);
	assert_int_equal(results.received_other, 3);
	/* Nothing is read past any size: each has memory of its own, which sanitizers watch. */
	for (size = 1; size < CRED_SIZE_MIN + 42; size++) {
		uint8_t *cut = malloc(size);
		const uint8_t *frame = cut;

		assert_non_null(cut);
		memcpy(cut, copies[2], size);
		replies_take(&replies, &frame, &size, 1, 6000, &results);
		free(cut);
	}
	assert_int_equal(results.reply_count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replies_are_proved_and_timed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_reply_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(a_reply_counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(other_frames_are_only_counted, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What the load generator mints, judged by the packet path: each class gets the verdict it is made
 * for, over IPv4 and IPv6, all suites and mixed lengths; a second run is as genuine as the first.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "loadgen_judge.h"
#include "perf/loadgen/clock.h"
#include "perf/loadgen/mint.h"
#include "perf/loadgen/pacer.h"

#define PERCENT (((uint64_t)1 << 32) / 100)
#define BURSTS  200u

static const uint8_t suites[] = {
	CRED_SUITE_CMAC128, CRED_SUITE_CMAC256, CRED_SUITE_SEALED128, CRED_SUITE_SEALED256};

struct ground {
	struct judge judge;
	struct settings settings;
	struct keys keys;
	struct mint mint;
	uint64_t made[MINT_CLASSES];
	uint64_t of_node[JUDGE_NODES];
};

static struct ground ground;
static uint8_t memory[MINT_BURST_MAX][MINT_FRAME_MAX];

static void
ground_begin(const uint8_t to[16], const uint8_t from[16])
{
	memset(&ground, 0, sizeof(ground));
	judge_init(&ground.judge, suites, 4);
	ground.settings = (struct settings){
		.to_port = FIXTURE_UDP_PORT,
		.from_port = 40000,
		.from_ports = 7,
		.from_bits = settings_is_ipv4(from) ? 32 : 128,
		.master = ground.judge.master,
		.realm = FIXTURE_REALM,
		.epoch = 1,
		.nodes = JUDGE_NODES,
		.suite_count = 4,
		.payload_sizes = {0, 5, 204, 1136},
		.payload_weights = {5, 1, 3, 1},
		.payload_count = 4,
		.kernel = "auto",
		.kind = CRED_KIND_ASSERT,
		.audience = FIXTURE_AUDIENCE,
		.seed = 7,
		.sample = 1,
	};
	memcpy(ground.settings.to, to, 16);
	memcpy(ground.settings.from, from, 16);
	memcpy(ground.settings.suites, suites, sizeof(suites));
}

static void
ground_load(void)
{
	assert_int_equal(keys_init(&ground.keys, &ground.settings), 0);
	assert_int_equal(mint_init(&ground.mint, &ground.settings, &ground.keys, fixture_mac,
				 fixture_peer_mac),
		0);
}

static void
ground_unload(void)
{
	mint_fini(&ground.mint);
	keys_fini(&ground.keys);
}

static void
ground_burst(unsigned count)
{
	uint64_t dues[MINT_BURST_MAX] = {0};
	uint8_t *frames[MINT_BURST_MAX];
	unsigned i;

	for (i = 0; i < count; i++)
		frames[i] = memory[i];
	mint_burst(&ground.mint, frames, dues, count);
	judge_frames(&ground.judge, (const uint8_t *const *)frames, ground.mint.burst.frame_sizes,
		count);
	mint_sent(&ground.mint, count);
	for (i = 0; i < count; i++) {
		ground.made[ground.mint.burst.items[i].class]++;
		ground.of_node[ground.mint.burst.items[i].node]++;
	}
}

static void
ground_run(void)
{
	unsigned i;

	ground_load();
	for (i = 0; i < BURSTS; i++)
		ground_burst(1 + i * 7 % MINT_BURST_MAX);
	ground_unload();
}

static void
verdicts_check(void)
{
	const struct judge *judge = &ground.judge;

	assert_int_equal(judge_count(judge, VERDICT_ACCEPTED), ground.made[MINT_GENUINE]);
	assert_int_equal(judge_count(judge, VERDICT_BAD_TAG), ground.made[MINT_FORGED]);
	assert_int_equal(judge_count(judge, VERDICT_REPLAYED), ground.made[MINT_REPLAYED]);
	assert_int_equal(judge_count(judge, VERDICT_MALFORMED), ground.made[MINT_MALFORMED]);
	assert_int_equal(judge_count(judge, VERDICT_UNKNOWN_NODE), ground.made[MINT_UNKNOWN]);
}

static void
shares_set(void)
{
	ground.settings.shares = (struct settings_shares){
		.forged = 10 * PERCENT,
		.replayed = 8 * PERCENT,
		.malformed = 6 * PERCENT,
		.unknown = 4 * PERCENT,
	};
}

static void
each_class_gets_its_verdict_over_ipv4(void **state)
{
	unsigned i;

	(void)state;
	ground_begin(fixture_local_ipv4, fixture_ipv4);
	shares_set();
	ground_run();
	verdicts_check();
	for (i = 0; i < MINT_CLASSES; i++)
		assert_true(ground.made[i] > 0);
	judge_fini(&ground.judge);
}

static void
each_class_gets_its_verdict_over_ipv6_and_vlan(void **state)
{
	(void)state;
	ground_begin(fixture_local_ipv6, fixture_ipv6);
	ground.settings.vlan = 12;
	shares_set();
	ground_run();
	verdicts_check();
	judge_fini(&ground.judge);
}

static void
shares_are_as_asked(void **state)
{
	uint64_t total = 0;
	unsigned i;

	(void)state;
	ground_begin(fixture_local_ipv4, fixture_ipv4);
	shares_set();
	ground_run();
	for (i = 0; i < MINT_CLASSES; i++)
		total += ground.made[i];
	/* The seed is fixed, so these hold always or never; the bounds are five deviations wide. */
	assert_in_range(ground.made[MINT_FORGED], total * 8 / 100, total * 12 / 100);
	assert_in_range(ground.made[MINT_REPLAYED], total * 6 / 100, total * 10 / 100);
	assert_in_range(ground.made[MINT_MALFORMED], total * 4 / 100, total * 8 / 100);
	assert_in_range(ground.made[MINT_UNKNOWN], total * 2 / 100, total * 6 / 100);
	judge_fini(&ground.judge);
}

static void
runs_after_one_another_are_all_genuine(void **state)
{
	unsigned i;

	(void)state;
	ground_begin(fixture_local_ipv4, fixture_ipv4);
	for (i = 0; i < 3; i++)
		ground_run();
	assert_true(ground.made[MINT_GENUINE] > 3 * BURSTS);
	verdicts_check();
	judge_fini(&ground.judge);
}

static void
a_prefix_gives_each_node_an_address(void **state)
{
	const uint8_t from[16] = {[10] = 0xff, [11] = 0xff, 10, 1, 2, 0};

	(void)state;
	ground_begin(fixture_local_ipv4, from);
	ground.settings.from_bits = 24;
	ground_run();
	verdicts_check();
	/* The last frame's source is what its credential says, and its node's. */
	assert_int_equal(load_be32(memory[0] + 26), 0x0a010200 + ground.mint.burst.items[0].node);
	assert_memory_equal(memory[0] + 26, memory[0] + 42 + CRED_AT_ORIGIN + 12, 4);
	judge_fini(&ground.judge);
}

static void
round_robin_lets_all_speak_alike(void **state)
{
	unsigned i;

	(void)state;
	ground_begin(fixture_local_ipv4, fixture_ipv4);
	ground.settings.is_round_robin = true;
	ground_load();
	for (i = 0; i < 10; i++)
		ground_burst(JUDGE_NODES);
	ground_unload();
	for (i = 0; i < JUDGE_NODES; i++)
		assert_int_equal(ground.of_node[i], 10);
	verdicts_check();
	judge_fini(&ground.judge);
}

static void
other_checksums_are_taken(void **state)
{
	(void)state;
	ground_begin(fixture_local_ipv4, fixture_ipv4);
	ground.settings.checksum = SETTINGS_CHECKSUM_NONE;
	ground_run();
	verdicts_check();
	ground.settings.checksum = SETTINGS_CHECKSUM_PARTIAL;
	ground.judge.fixture.port.checksum = SETUP_CHECKSUM_PARTIAL;
	fixture_workers_stop(&ground.judge.fixture);
	fixture_workers_start(&ground.judge.fixture);
	ground_run();
	verdicts_check();
	judge_fini(&ground.judge);
}

/* An accepted payload says when it was due, and only in the run that made it. */
static void
stamps_are_read_back(void **state)
{
	const uint64_t due = 0x123456789abcdef;
	uint8_t *frame = memory[0];
	uint64_t read;

	(void)state;
	ground_begin(fixture_local_ipv4, fixture_ipv4);
	ground.settings.suite_count = 1; /* not sealed: the payload is in clear */
	ground.settings.payload_sizes[0] = MINT_STAMP_SIZE;
	ground.settings.payload_count = 1;
	ground_load();
	mint_burst(&ground.mint, &frame, &due, 1);
	frame += 42 + CRED_AT_PAYLOAD;
	assert_true(mint_stamp_read(&ground.mint, frame, MINT_STAMP_SIZE, &read));
	assert_true(read == due);
	assert_false(mint_stamp_read(&ground.mint, frame, MINT_STAMP_SIZE - 1, &read));
	frame[MINT_STAMP_SIZE - 1] ^= 1;
	assert_false(mint_stamp_read(&ground.mint, frame, MINT_STAMP_SIZE, &read));
	ground_unload();
	judge_fini(&ground.judge);
}

static void
a_master_open_to_others_is_refused(void **state)
{
	(void)state;
	ground_begin(fixture_local_ipv4, fixture_ipv4);
	assert_int_equal(chmod(ground.judge.master, 0640), 0);
	assert_int_equal(keys_init(&ground.keys, &ground.settings), -1);
	keys_fini(&ground.keys);
	judge_fini(&ground.judge);
}

static void
packets_held_up_stay_due(void **state)
{
	uint64_t dues[MINT_BURST_MAX];
	struct pacer pacer;

	(void)state;
	pacer_init(&pacer, 1000, 1000000, 10000, 100); /* every 100 cycles */
	assert_int_equal(pacer_take(&pacer, 1000, dues), 1);
	assert_int_equal(pacer_take(&pacer, 1099, dues), 0);
	assert_int_equal(pacer_take(&pacer, 1100, dues), 1);
	/* A stall: what was due meanwhile comes at once, each with its own time. */
	assert_int_equal(pacer_take(&pacer, 100000, dues), MINT_BURST_MAX);
	assert_int_equal(dues[0], 1200);
	assert_int_equal(dues[MINT_BURST_MAX - 1], 1200 + 100 * (MINT_BURST_MAX - 1));
	assert_int_equal(pacer_take(&pacer, 100000, dues), 100 - 2 - MINT_BURST_MAX);
	assert_true(pacer_is_done(&pacer));
	assert_int_equal(pacer_take(&pacer, 100000, dues), 0);
}

static void
flat_out_packets_are_due_when_made(void **state)
{
	uint64_t dues[MINT_BURST_MAX];
	struct pacer pacer;

	(void)state;
	pacer_init(&pacer, 1000, 1000000, 0, 0);
	assert_int_equal(pacer_take(&pacer, 5000, dues), MINT_BURST_MAX);
	assert_int_equal(dues[MINT_BURST_MAX - 1], 5000);
	assert_false(pacer_is_done(&pacer));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_class_gets_its_verdict_over_ipv4),
		cmocka_unit_test(each_class_gets_its_verdict_over_ipv6_and_vlan),
		cmocka_unit_test(shares_are_as_asked),
		cmocka_unit_test(runs_after_one_another_are_all_genuine),
		cmocka_unit_test(a_prefix_gives_each_node_an_address),
		cmocka_unit_test(round_robin_lets_all_speak_alike),
		cmocka_unit_test(other_checksums_are_taken),
		cmocka_unit_test(stamps_are_read_back),
		cmocka_unit_test(a_master_open_to_others_is_refused),
		cmocka_unit_test(packets_held_up_stay_due),
		cmocka_unit_test(flat_out_packets_are_due_when_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

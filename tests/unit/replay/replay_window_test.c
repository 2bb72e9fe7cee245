/* SPDX-License-Identifier: BSD-3-Clause */

/* What a window says of a serial: a truth table, the edges, then random orders against a model. */

#include "tests/unit/replay/fixture.h"

#define EPOCH  3
#define NOW_US 1700000000000000ull

static const char *const result_names[] = {"new", "seen", "stale"};

static enum replay_result
commit(struct fixture *fixture, uint32_t slot, uint64_t serial)
{
	return replay_window_commit(&fixture->store, slot, serial, EPOCH, NOW_US);
}

/* Peek, then commit: both must say `want`, and what was new must be seen afterwards. */
static void
expect(struct fixture *fixture, uint32_t slot, const char *name, uint64_t serial,
	enum replay_result want)
{
	const enum replay_result peeked = replay_window_peek(&fixture->store, slot, serial);
	const enum replay_result committed = commit(fixture, slot, serial);
	const enum replay_result after = replay_window_peek(&fixture->store, slot, serial);
	const enum replay_result want_after = want == REPLAY_NEW ? REPLAY_SEEN : want;

	if (peeked != want || committed != want || after != want_after)
		fail_msg("%s: slot %u serial %llu: peek %s, commit %s, after %s; want %s", name,
			slot, (unsigned long long)serial, result_names[peeked],
			result_names[committed], result_names[after], result_names[want]);
}

struct truth {
	const char *name;
	uint32_t window_bits;
	uint64_t before[4]; /* committed first, all new; 0 ends */
	uint64_t serial;
	enum replay_result want;
};

static const struct truth truths[] = {
	{"1 empty window, first serial", 64, {0}, 1, REPLAY_NEW},
	{"2 empty window, serial in the first word", 64, {0}, 63, REPLAY_NEW},
	{"3 empty window, serial in the second word", 64, {0}, 64, REPLAY_NEW},
	{"4 empty window, a far serial", 64, {0}, (uint64_t)1 << 40, REPLAY_NEW},
	{"5 empty window, the last serial", 64, {0}, SERIAL_MAX, REPLAY_NEW},
	{"6 the top again", 64, {5}, 5, REPLAY_SEEN},
	{"7 one below the top", 64, {5}, 4, REPLAY_NEW},
	{"8 one below the top again", 64, {5, 4}, 4, REPLAY_SEEN},
	{"9 one above the top", 64, {5}, 6, REPLAY_NEW},
	{"10 the top after an older one", 64, {5, 4}, 5, REPLAY_SEEN},
	{"11 last of 64 serials", 64, {64}, 1, REPLAY_NEW},
	{"12 first behind 64 serials, word in the line", 64, {65}, 1, REPLAY_STALE},
	{"13 marked, then behind 64 serials", 64, {1, 65}, 1, REPLAY_STALE},
	{"14 last of 64 serials, other word", 64, {1000}, 937, REPLAY_NEW},
	{"15 behind 64 serials, other word", 64, {1000}, 936, REPLAY_STALE},
	{"16 last of 128 serials", 128, {1000}, 873, REPLAY_NEW},
	{"17 behind 128 serials", 128, {1000}, 872, REPLAY_STALE},
	{"18 last of 256 serials, out of the line", 256, {1000}, 745, REPLAY_NEW},
	{"19 behind 256 serials", 256, {1000}, 744, REPLAY_STALE},
	{"20 last of 256 serials, marked before", 256, {745, 1000}, 745, REPLAY_SEEN},
	{"21 last of 512 serials, marked in the ring", 512, {1000, 489}, 489, REPLAY_SEEN},
	{"22 behind 512 serials", 512, {1000}, 488, REPLAY_STALE},
	{"23 end of a word, then start of the next", 64, {127}, 128, REPLAY_NEW},
	{"24 start of a word, then end of the one before", 64, {128}, 127, REPLAY_NEW},
	{"25 marked, one word later", 256, {10, 70}, 10, REPLAY_SEEN},
	{"26 marked, three words later", 256, {10, 202}, 10, REPLAY_SEEN},
	{"27 marked, four words later, from the ring", 512, {10, 266}, 10, REPLAY_SEEN},
	{"28 not marked, four words later, from the ring", 512, {10, 266}, 11, REPLAY_NEW},
	{"29 skipped word, four words later", 512, {10, 330}, 74, REPLAY_NEW},
	{"30 same bit one ring length before", 256, {300, 556}, 556 - 255, REPLAY_NEW},
	{"31 same place after a jump of exactly the window", 256, {300, 556, 812}, 557, REPLAY_NEW},
	{"32 same place after a jump far over the window", 256, {300, 1u << 20},
		(1u << 20) - 256 + 1, REPLAY_NEW},
	{"33 old serial after a jump far over the window", 256, {300, 1u << 20}, 301, REPLAY_STALE},
	{"34 the last serial again", 64, {SERIAL_MAX}, SERIAL_MAX, REPLAY_SEEN},
	{"35 before the last serial", 64, {SERIAL_MAX}, SERIAL_MAX - 63, REPLAY_NEW},
	{"36 behind the window of the last serial", 64, {SERIAL_MAX}, SERIAL_MAX - 64,
		REPLAY_STALE},
	{"37 last serial but one, then the last", 64, {SERIAL_MAX - 1}, SERIAL_MAX, REPLAY_NEW},
	{"38 serial 1 after the last", 1u << 20, {SERIAL_MAX}, 1, REPLAY_STALE},
	{"39 last of 2^20 serials", 1u << 20, {1u << 20}, 1, REPLAY_NEW},
	{"40 behind 2^20 serials", 1u << 20, {(1u << 20) + 1}, 1, REPLAY_STALE},
	{"41 last of 2^20 serials, marked before", 1u << 20, {1, 1u << 20}, 1, REPLAY_SEEN},
	{"42 jump over all serials there are", 1u << 20, {1, SERIAL_MAX},
		SERIAL_MAX - (1u << 20) + 1, REPLAY_NEW},
};

static void
truth_table(void **state)
{
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < sizeof(truths) / sizeof(truths[0]); i++) {
		const struct truth *truth = &truths[i];
		struct fixture fixture;

		fixture_create_one(&fixture, truth->window_bits);
		for (k = 0; k < 4 && truth->before[k] != 0; k++)
			expect(&fixture, 0, truth->name, truth->before[k], REPLAY_NEW);
		expect(&fixture, 0, truth->name, truth->serial, truth->want);
		fixture_destroy(&fixture);
	}
}

/* Every window size: from a full window, a jump of every interesting length leaves it exact. */
static void
check_jump(uint32_t window_bits, uint64_t start, uint64_t jump)
{
	struct fixture fixture;
	uint64_t top = start + jump;
	uint64_t serial;
	char name[80];

	fixture_create_one(&fixture, window_bits);
	snprintf(name, sizeof(name), "window %u, full below %llu, jump %llu", window_bits,
		(unsigned long long)start, (unsigned long long)jump);
	/* All but each seventh, so that there is something new inside. */
	for (serial = start - window_bits; serial <= start; serial++)
		if (serial % 7 != 0 || serial == start)
			assert_int_equal(commit(&fixture, 0, serial), REPLAY_NEW);
	expect(&fixture, 0, name, top, REPLAY_NEW);
	for (serial = top - window_bits - 64; serial < top; serial++) {
		const bool is_marked = serial <= start && (serial % 7 != 0 || serial == start);

		expect(&fixture, 0, name, serial,
			top - serial >= window_bits ? REPLAY_STALE
			: is_marked                 ? REPLAY_SEEN
						    : REPLAY_NEW);
	}
	fixture_destroy(&fixture);
}

static void
jumps_leave_the_window_exact(void **state)
{
	static const uint32_t windows[] = {64, 128, 256, 512, 1024, 4096};
	size_t w;
	uint64_t offset;

	(void)state;
	/* The smallest windows have no room for some of the jumps: these wrap, and are left out. */
	for (w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
		const uint64_t bits = windows[w];
		const uint64_t jumps[] = {1, 2, 63, 64, 65, 127, 128, 191, 192, 193, 255, 256, 257,
			319, 320, 321, bits - 65, bits - 64, bits - 1, bits, bits + 1, bits + 63,
			bits + 64, bits + 65, bits + 255, bits + 256, bits + 257, 2 * bits,
			2 * bits + 1, 3 * bits + 320, bits << 30};
		size_t j;

		for (j = 0; j < sizeof(jumps) / sizeof(jumps[0]); j++)
			for (offset = 0; offset < 64; offset += 21)
				if (jumps[j] - 1 < (uint64_t)1 << 50)
					check_jump(windows[w], 2 * bits + 640 + offset, jumps[j]);
	}
}

/* Every size at once, side by side: a window that wrote outside its ring would be found out. */
#define SIZE_COUNT 15

static void
random_orders(uint64_t seed, uint64_t first_serial, unsigned steps)
{
	struct replay_layout_range ranges[SIZE_COUNT];
	struct model models[SIZE_COUNT];
	struct fixture fixture;
	uint64_t random = seed;
	unsigned i;

	for (i = 0; i < SIZE_COUNT; i++) {
		ranges[i] = (struct replay_layout_range){i, 1, 64u << i};
		model_init(&models[i], 64u << i, steps);
		models[i].top = first_serial;
	}
	fixture_create(&fixture, SIZE_COUNT, ranges, SIZE_COUNT);
	for (i = 0; first_serial != 0 && i < SIZE_COUNT; i++) {
		assert_int_equal(commit(&fixture, i, first_serial), REPLAY_NEW);
		model_accept(&models[i], first_serial);
	}
	for (i = 0; i < steps; i++) {
		const uint32_t slot = (uint32_t)random_below(&random, SIZE_COUNT);
		struct model *model = &models[slot];
		uint64_t serial = model_pick(model, &random);
		enum replay_result want;
		char name[80];

		if (serial > SERIAL_MAX || serial == 0)
			serial = SERIAL_MAX - random_below(&random, 2 * model->window_bits);
		want = model_peek(model, serial);
		snprintf(name, sizeof(name), "seed %llu step %u window %u top %llu",
			(unsigned long long)seed, i, 64u << slot, (unsigned long long)model->top);
		expect(&fixture, slot, name, serial, want);
		if (want == REPLAY_NEW)
			model_accept(model, serial);
		if (fixture.store.nodes[slot].top != model->top)
			fail_msg("%s: top is %llu", name,
				(unsigned long long)fixture.store.nodes[slot].top);
	}
	fixture_destroy(&fixture);
	for (i = 0; i < SIZE_COUNT; i++)
		model_fini(&models[i]);
}

static void
random_orders_agree_with_the_model(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 1; seed <= 8; seed++)
		random_orders(seed, 0, 100000);
	for (seed = 9; seed <= 12; seed++)
		random_orders(seed, (uint64_t)1 << 44, 100000);
}

static void
random_orders_at_the_last_serials(void **state)
{
	uint64_t seed;

	(void)state;
	for (seed = 21; seed <= 24; seed++)
		random_orders(seed, SERIAL_MAX - ((uint64_t)1 << 21), 100000);
}

/* What the packet path asks the line alone: short answers that may be missing, never wrong. */
static void
check_short_answers(
	const struct fixture *fixture, const struct model *model, uint64_t serial, unsigned said[3])
{
	const struct replay_node *node = &fixture->store.nodes[0];
	const enum replay_result exact = model_peek(model, serial);
	const bool is_new = replay_line_is_new(node, node->top, serial);
	const bool is_seen = replay_line_is_seen(node, node->top, serial);
	const bool is_ahead = replay_window_is_ahead(&fixture->store, 0, serial);

	assert_true(!is_new || exact == REPLAY_NEW);
	assert_true(!is_seen || exact == REPLAY_SEEN);
	assert_true(!is_ahead || exact == REPLAY_NEW);
	assert_true(is_new + is_seen + is_ahead <= 1);
	said[0] += is_new;
	said[1] += is_seen;
	said[2] += is_ahead;
}

static void
short_answers_are_never_wrong(void **state)
{
	static const uint32_t windows[] = {64, 128, 256, 1024};
	unsigned said[3] = {0};
	unsigned w, i;

	(void)state;
	for (w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
		struct model model;
		struct fixture fixture;
		uint64_t random = 77 + w;

		fixture_create_one(&fixture, windows[w]);
		model_init(&model, windows[w], 50000);
		for (i = 0; i < 50000; i++) {
			const uint64_t serial = model_pick(&model, &random);

			check_short_answers(&fixture, &model, serial, said);
			if (commit(&fixture, 0, serial) == REPLAY_NEW)
				model_accept(&model, serial);
		}
		model_fini(&model);
		fixture_destroy(&fixture);
	}
	assert_true(said[0] > 1000 && said[1] > 1000 && said[2] > 1000);
}

/* The inline way to move a window on leaves the same memory as the long one. */
static void
ahead_moves_as_commit_does(void **state)
{
	struct fixture one, other;
	uint64_t random = 5, serial = 1;
	unsigned i;

	(void)state;
	fixture_create_one(&one, 1024);
	fixture_create_one(&other, 1024);
	assert_int_equal(commit(&one, 0, serial), REPLAY_NEW);
	assert_int_equal(commit(&other, 0, serial), REPLAY_NEW);
	for (i = 0; i < 20000; i++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		serial = (serial | 63) + 1 +
			 (random >> 60 == 0 ? random >> 40 & 4095 : random >> 59 & 63);
		assert_true(replay_window_is_ahead(&one.store, 0, serial));
		replay_window_commit_ahead(&one.store, 0, serial);
		assert_int_equal(replay_window_commit_slow(&other.store, 0, serial), REPLAY_NEW);
		assert_memory_equal(&one.store.nodes[0], &other.store.nodes[0], 40);
		assert_memory_equal(one.store.ring, other.store.ring, 1024 / 8);
	}
	fixture_destroy(&one);
	fixture_destroy(&other);
}

static void
slot_without_window_is_always_stale(void **state)
{
	static const uint64_t serials[] = {1, 63, 64, 1000, SERIAL_MAX};
	const struct replay_layout_range range = {1, 1, 64};
	struct fixture fixture;
	size_t i;

	(void)state;
	fixture_create(&fixture, 3, &range, 1);
	for (i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		expect(&fixture, 0, "no window, first slot", serials[i], REPLAY_STALE);
		expect(&fixture, 2, "no window, last slot", serials[i], REPLAY_STALE);
		assert_false(replay_window_is_ahead(&fixture.store, 0, serials[i]));
	}
	fixture_destroy(&fixture);
}

/* A line that does not agree with the header must not be believed about the ring's length. */
static void
damaged_line_refuses(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_create_one(&fixture, 64);
	expect(&fixture, 0, "before the damage", 1000, REPLAY_NEW);
	fixture.store.nodes[0].bits_log2 = 20;
	expect(&fixture, 0, "ring, line claims 2^20", 500, REPLAY_STALE);
	assert_int_equal(commit(&fixture, 0, 5000), REPLAY_STALE);
	fixture_destroy(&fixture);
}

/* docs/replay.md, "An example", word by word. */
static void
the_example_of_the_docs(void **state)
{
	const struct replay_layout_range range = {0, 6, 256};
	struct fixture fixture;
	const struct replay_node *node;
	const uint64_t *ring;

	(void)state;
	fixture_create(&fixture, 6, &range, 1);
	node = &fixture.store.nodes[5];
	ring = fixture.store.ring + fixture.store.headers[5].ring_word;
	expect(&fixture, 5, "750", 750, REPLAY_NEW);
	expect(&fixture, 5, "1000", 1000, REPLAY_NEW);
	assert_int_equal(ring[0], (uint64_t)1 << 46);
	assert_int_equal(node->words[3], (uint64_t)1 << 40);
	expect(&fixture, 5, "744", 744, REPLAY_STALE);
	expect(&fixture, 5, "745", 745, REPLAY_NEW);
	expect(&fixture, 5, "750 again", 750, REPLAY_SEEN);
	expect(&fixture, 5, "1300", 1300, REPLAY_NEW);
	assert_int_equal(node->top, 1300);
	assert_int_equal(node->words[0], (uint64_t)1 << 20);
	assert_int_equal(node->words[1] | node->words[2] | node->words[3], 0);
	assert_int_equal(ring[0], (uint64_t)1 << 40);
	assert_int_equal(ring[1], 0);
	expect(&fixture, 5, "1044", 1044, REPLAY_STALE);
	expect(&fixture, 5, "1045", 1045, REPLAY_NEW);
	assert_int_equal(ring[1], (uint64_t)1 << 21);
	fixture_destroy(&fixture);
}

static void
commit_keeps_the_node_statistics(void **state)
{
	struct fixture fixture;
	const struct replay_node *node;

	(void)state;
	fixture_create_one(&fixture, 64);
	node = &fixture.store.nodes[0];
	assert_int_equal(replay_window_commit(&fixture.store, 0, 10, 1, 100), REPLAY_NEW);
	assert_int_equal(replay_window_commit(&fixture.store, 0, 11, 1, 200), REPLAY_NEW);
	assert_int_equal(node->uses, 2);
	assert_int_equal(node->last_seen_us, 200);
	/* Refused ones count nothing: a replay must not keep a node or an old key alive. */
	assert_int_equal(replay_window_commit(&fixture.store, 0, 11, 1, 300), REPLAY_SEEN);
	assert_int_equal(node->uses, 2);
	assert_int_equal(node->last_seen_us, 200);
	assert_int_equal(replay_window_commit(&fixture.store, 0, 5000, 2, 400), REPLAY_NEW);
	assert_int_equal(node->epoch, 2);
	assert_int_equal(node->uses, 1);
	assert_int_equal(replay_window_commit(&fixture.store, 0, 20, 2, 500), REPLAY_STALE);
	assert_int_equal(node->last_seen_us, 400);
	assert_int_equal(node->bits_log2, 6);
	fixture_destroy(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truth_table),
		cmocka_unit_test(jumps_leave_the_window_exact),
		cmocka_unit_test(random_orders_agree_with_the_model),
		cmocka_unit_test(random_orders_at_the_last_serials),
		cmocka_unit_test(short_answers_are_never_wrong),
		cmocka_unit_test(ahead_moves_as_commit_does),
		cmocka_unit_test(slot_without_window_is_always_stale),
		cmocka_unit_test(damaged_line_refuses),
		cmocka_unit_test(the_example_of_the_docs),
		cmocka_unit_test(commit_keeps_the_node_statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

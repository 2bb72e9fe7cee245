/* SPDX-License-Identifier: BSD-3-Clause */

/* What the retransmission cache calls a duplicate, what it forgets, and what it never does. */

#include "tests/unit/replay/fixture.h"

#define DUP_US 2000000ull
#define NOW_US 1000000000ull

static const struct replay_cache_entry first = {
	.serial = 1000,
	.tag = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	.source = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1},
	.realm = 7,
	.node = 9,
	.port = 4000,
	.epoch = 3,
	.verdict = 1,
};

#define SHARD 5

static void
expect(const struct fixture *fixture, const char *name, const struct replay_cache_entry *want,
	uint64_t now_us, enum replay_cache_result result)
{
	uint8_t verdict = 99;
	const enum replay_cache_result found =
		replay_cache_find(&fixture->store, SHARD, want, now_us, DUP_US, &verdict);
	const uint8_t want_verdict = result == REPLAY_CACHE_DUPLICATE ? 1 : 99;

	if (found != result || verdict != want_verdict)
		fail_msg("%s: result %d verdict %u, want %d and %u", name, found, verdict, result,
			want_verdict);
}

struct truth {
	const char *name;
	size_t offset; /* byte of the entry that is asked for with a change; SIZE_MAX: none */
	uint64_t age_us;
	enum replay_cache_result want;
};

#define CHANGED(field) offsetof(struct replay_cache_entry, field)

static const struct truth truths[] = {
	{"1 the same at once", SIZE_MAX, 0, REPLAY_CACHE_DUPLICATE},
	{"2 the same at the last moment", SIZE_MAX, DUP_US, REPLAY_CACHE_DUPLICATE},
	{"3 the same too late", SIZE_MAX, DUP_US + 1, REPLAY_CACHE_OTHER},
	{"4 another serial", CHANGED(serial), 0, REPLAY_CACHE_MISS},
	{"5 another realm", CHANGED(realm), 0, REPLAY_CACHE_MISS},
	{"6 another node", CHANGED(node), 0, REPLAY_CACHE_MISS},
	{"7 another port", CHANGED(port), 0, REPLAY_CACHE_OTHER},
	{"8 another source, first byte", CHANGED(source), 0, REPLAY_CACHE_OTHER},
	{"9 another source, last byte", CHANGED(source) + 15, 0, REPLAY_CACHE_OTHER},
	{"10 another epoch", CHANGED(epoch), 0, REPLAY_CACHE_OTHER},
	{"11 another tag, first byte", CHANGED(tag), 0, REPLAY_CACHE_COLLISION},
	{"12 another tag, middle byte", CHANGED(tag) + 8, 0, REPLAY_CACHE_COLLISION},
	{"13 another tag, last byte", CHANGED(tag) + 15, 0, REPLAY_CACHE_COLLISION},
	{"14 another tag, too late", CHANGED(tag), DUP_US + 1, REPLAY_CACHE_COLLISION},
	{"15 another port, too late", CHANGED(port), DUP_US + 1, REPLAY_CACHE_OTHER},
	{"16 another time in the question", CHANGED(accepted_us), 0, REPLAY_CACHE_DUPLICATE},
	{"17 another verdict in the question", CHANGED(verdict), 0, REPLAY_CACHE_DUPLICATE},
};

static void
truth_table(void **state)
{
	struct fixture fixture;
	size_t i;

	(void)state;
	fixture_create_one(&fixture, 64);
	expect(&fixture, "0 nothing remembered", &first, NOW_US, REPLAY_CACHE_MISS);
	replay_cache_insert(&fixture.store, SHARD, &first, NOW_US);
	for (i = 0; i < sizeof(truths) / sizeof(truths[0]); i++) {
		struct replay_cache_entry want = first;

		if (truths[i].offset != SIZE_MAX)
			((uint8_t *)&want)[truths[i].offset] ^= 0x40;
		expect(&fixture, truths[i].name, &want, NOW_US + truths[i].age_us, truths[i].want);
	}
	fixture_destroy(&fixture);
}

/* Workers read the clock once per burst: an owner may be a little behind the one before it. */
static void
a_clock_just_behind_is_young(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_create_one(&fixture, 64);
	replay_cache_insert(&fixture.store, SHARD, &first, NOW_US);
	expect(&fixture, "clock 50 us behind", &first, NOW_US - 50, REPLAY_CACHE_DUPLICATE);
	fixture_destroy(&fixture);
}

static void
time_zero_is_remembered(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_create_one(&fixture, 64);
	replay_cache_insert(&fixture.store, SHARD, &first, 0);
	expect(&fixture, "accepted at 0", &first, 1, REPLAY_CACHE_DUPLICATE);
	fixture_destroy(&fixture);
}

static void
forgotten_is_gone(void **state)
{
	struct replay_cache_entry second = first;
	struct fixture fixture;

	(void)state;
	second.serial++;
	fixture_create_one(&fixture, 64);
	replay_cache_insert(&fixture.store, SHARD, &first, NOW_US);
	replay_cache_insert(&fixture.store, SHARD, &second, NOW_US);
	replay_cache_forget(&fixture.store, SHARD, 7, 9, 1000);
	replay_cache_forget(&fixture.store, SHARD, 7, 9, 5555);
	expect(&fixture, "forgotten", &first, NOW_US, REPLAY_CACHE_MISS);
	expect(&fixture, "not forgotten", &second, NOW_US, REPLAY_CACHE_DUPLICATE);
	fixture_destroy(&fixture);
}

static void
the_cache_outlives_its_process(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_create_one(&fixture, 64);
	replay_cache_insert(&fixture.store, SHARD, &first, NOW_US);
	memset(&fixture.store, 0, sizeof(fixture.store));
	assert_int_equal(replay_store_open(&fixture.store, fixture.mapping, fixture.size), 0);
	expect(&fixture, "opened again", &first, NOW_US, REPLAY_CACHE_DUPLICATE);
	fixture_destroy(&fixture);
}

/* The least cache has one set per shard: four fit, the fifth takes the place of the oldest. */
static void
the_oldest_makes_room(void **state)
{
	static const unsigned order[] = {2, 0, 3, 1}; /* entry order[i] is inserted as i-th */
	struct replay_cache_entry entries[5];
	struct fixture fixture;
	unsigned i;

	(void)state;
	fixture_create_one(&fixture, 64);
	assert_int_equal(fixture.store.cache_sets, 1);
	for (i = 0; i < 5; i++) {
		entries[i] = first;
		entries[i].serial = 1000 + i;
	}
	for (i = 0; i < 4; i++)
		replay_cache_insert(&fixture.store, SHARD, &entries[order[i]], NOW_US + i);
	for (i = 0; i < 4; i++)
		expect(&fixture, "full", &entries[i], NOW_US + 5, REPLAY_CACHE_DUPLICATE);
	replay_cache_insert(&fixture.store, SHARD, &entries[4], NOW_US + 5);
	for (i = 0; i < 5; i++)
		expect(&fixture, i == 2 ? "the oldest" : "not the oldest", &entries[i], NOW_US + 5,
			i == 2 ? REPLAY_CACHE_MISS : REPLAY_CACHE_DUPLICATE);
	fixture_destroy(&fixture);
}

/* Inserted again (after its window was cleared) it takes its own place, not another's. */
static void
the_same_again_takes_its_own_place(void **state)
{
	struct replay_cache_entry entries[4];
	struct replay_cache_entry newer;
	struct fixture fixture;
	unsigned i;

	(void)state;
	fixture_create_one(&fixture, 64);
	for (i = 0; i < 4; i++) {
		entries[i] = first;
		entries[i].serial = 1000 + i;
		replay_cache_insert(&fixture.store, SHARD, &entries[i], NOW_US + i);
	}
	newer = entries[3];
	newer.tag[0] ^= 1;
	replay_cache_insert(&fixture.store, SHARD, &newer, NOW_US + 9);
	expect(&fixture, "the newer", &newer, NOW_US + 9, REPLAY_CACHE_DUPLICATE);
	expect(&fixture, "the older tag", &entries[3], NOW_US + 9, REPLAY_CACHE_COLLISION);
	for (i = 0; i < 3; i++)
		expect(&fixture, "the others", &entries[i], NOW_US + 9, REPLAY_CACHE_DUPLICATE);
	fixture_destroy(&fixture);
}

/* Each line has one writer only if a shard never touches another's lines. */
static void
shards_do_not_share_lines(void **state)
{
	struct fixture fixture;
	uint64_t random = 99;
	unsigned i;

	(void)state;
	fixture_create_one(&fixture, 64);
	for (i = 0; i < 20000; i++) {
		const uint16_t shard = (uint16_t)random_below(&random, REPLAY_SHARDS);
		struct replay_cache_entry entry = first;

		entry.serial = random_next(&random);
		entry.node = shard + 1u; /* so that a line tells whose it is */
		replay_cache_insert(&fixture.store, shard, &entry, NOW_US + i);
	}
	for (i = 0; i < REPLAY_CACHE_ENTRIES_MIN; i++) {
		const unsigned shard = i / REPLAY_CACHE_WAYS;

		if (fixture.store.cache[i].node != shard + 1)
			fail_msg("entry %u of shard %u holds node %u", i, shard,
				fixture.store.cache[i].node);
	}
	fixture_destroy(&fixture);
}

/* One node alone must get nearly all of its shard: the hash spreads serials, in order too. */
static void
serials_in_order_spread_over_the_sets(void **state)
{
	const struct replay_layout_range range = {0, 1, 64};
	const uint32_t entries = 64 * REPLAY_CACHE_ENTRIES_MIN;
	const uint64_t size = replay_store_size(1, &range, 1, entries);
	void *memory = aligned_alloc(4096, size);
	struct replay_store store;
	unsigned used = 0;
	unsigned i;

	(void)state;
	assert_non_null(memory);
	memset(memory, 0, size);
	assert_int_equal(replay_store_format(memory, size, 1, &range, 1, entries, fixture_key), 0);
	assert_int_equal(replay_store_open(&store, memory, size), 0);
	assert_int_equal(store.cache_sets, 64);
	for (i = 0; i < 1024; i++) {
		struct replay_cache_entry entry = first;

		entry.serial = ((uint64_t)1700000000 << 32) + i;
		replay_cache_insert(&store, SHARD, &entry, NOW_US + i);
	}
	for (i = 0; i < 64 * REPLAY_CACHE_WAYS; i++)
		used += store.cache[SHARD * 64 * REPLAY_CACHE_WAYS + i].accepted_us != 0;
	assert_in_range(used, 250, 256);
	free(memory);
}

/*
 * Random orders against a list of everything inserted: a DUPLICATE is always one that was inserted
 * just so and not too long ago, and what is not found was pushed out by four younger ones.
 */
static void
random_orders_agree_with_the_model(void **state)
{
	enum {
		COUNT = 400,
		NODES = 3,
		SERIALS = 12
	};
	struct replay_cache_entry inserted[COUNT];
	struct fixture fixture;
	uint64_t random = 1234;
	uint64_t now_us = NOW_US;
	unsigned i;
	unsigned k;

	(void)state;
	fixture_create_one(&fixture, 64);
	for (i = 0; i < COUNT; i++) {
		struct replay_cache_entry want = first;
		unsigned younger = 0;
		enum replay_cache_result result = REPLAY_CACHE_MISS;
		char name[64];

		now_us += 1 + random_below(&random, DUP_US / 2);
		want.node = 1 + (uint32_t)random_below(&random, NODES);
		want.serial = 1 + random_below(&random, SERIALS);
		want.port = (uint16_t)random_below(&random, 2);
		want.tag[3] = (uint8_t)random_below(&random, 2);
		for (k = i; k-- > 0 && younger < REPLAY_CACHE_WAYS;) {
			const struct replay_cache_entry *old = &inserted[k];
			bool is_overwritten = false;
			unsigned m;

			for (m = k + 1; m < i; m++)
				is_overwritten |= inserted[m].node == old->node &&
						  inserted[m].serial == old->serial;
			if (is_overwritten)
				continue;
			younger++;
			if (old->node != want.node || old->serial != want.serial)
				continue;
			result = old->tag[3] != want.tag[3] ? REPLAY_CACHE_COLLISION
				 : old->port != want.port || now_us - old->accepted_us > DUP_US
					 ? REPLAY_CACHE_OTHER
					 : REPLAY_CACHE_DUPLICATE;
			break;
		}
		snprintf(name, sizeof(name), "step %u", i);
		expect(&fixture, name, &want, now_us, result);
		replay_cache_insert(&fixture.store, SHARD, &want, now_us);
		inserted[i] = want;
		inserted[i].accepted_us = now_us;
	}
	fixture_destroy(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(truth_table),
		cmocka_unit_test(a_clock_just_behind_is_young),
		cmocka_unit_test(time_zero_is_remembered),
		cmocka_unit_test(forgotten_is_gone),
		cmocka_unit_test(the_cache_outlives_its_process),
		cmocka_unit_test(the_oldest_makes_room),
		cmocka_unit_test(the_same_again_takes_its_own_place),
		cmocka_unit_test(shards_do_not_share_lines),
		cmocka_unit_test(serials_in_order_spread_over_the_sets),
		cmocka_unit_test(random_orders_agree_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

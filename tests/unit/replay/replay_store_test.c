/* SPDX-License-Identifier: BSD-3-Clause */

/* The mapping: its size, what format writes, what open refuses, whose a window is. */

#include "tests/unit/replay/fixture.h"

#define PAGE 4096u
#define KIB  1024ull
#define MIB  (1024ull * KIB)

static uint64_t
pages(uint64_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

struct size_case {
	const char *name;
	uint32_t slot_count;
	uint32_t window_bits;
	uint32_t cache_entries;
	uint64_t want;
};

/* 3 to 6 are the examples of docs/shared-memory.md; slot 0 of a realm is no node. */
static const struct size_case size_cases[] = {
	{"1 no slots, least cache", 0, 64, 0, PAGE + 256 * KIB},
	{"2 one slot of 64 bits", 1, 64, 0, 4 * PAGE + 256 * KIB},
	{"3 a realm of 64 nodes, 65,536 bits", 65, 65536, 65536, 4743168},
	{"4 a realm of 4,096 nodes, 65,536 bits", 4097, 65536, 65536, 38162432},
	{"5 a realm of 65,536 nodes, 8,192 bits", 65537, 8192, 65536, 77611008},
	{"6 a realm of 1,048,576 nodes, 4,096 bits", 1048577, 4096, 65536, 641744896},
	{"7 cache rounded up", 1, 64, 4097, 4 * PAGE + 512 * KIB},
	{"8 window no power of two", 1, 96, 0, 0},
	{"9 window too small", 1, 32, 0, 0},
	{"10 window too large", 1, 1u << 21, 0, 0},
	{"11 window of nothing", 1, 0, 0, 0},
};

static void
size_is_the_formula(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(size_cases) / sizeof(size_cases[0]); i++) {
		const struct size_case *item = &size_cases[i];
		const struct replay_layout_range range = {0, item->slot_count, item->window_bits};
		const uint64_t size =
			replay_store_size(item->slot_count, &range, 1, item->cache_entries);

		if (size != item->want)
			fail_msg("%s: %llu, want %llu", item->name, (unsigned long long)size,
				(unsigned long long)item->want);
	}
}

static void
ranges_outside_are_refused(void **state)
{
	const struct replay_layout_range behind = {3, 2, 64};
	const struct replay_layout_range wrapped = {UINT32_MAX, 2, 64};
	const struct replay_layout_range last = {3, 1, 64};

	(void)state;
	assert_int_equal(replay_store_size(4, &behind, 1, 0), 0);
	assert_int_equal(replay_store_size(4, &wrapped, 1, 0), 0);
	assert_int_not_equal(replay_store_size(4, &last, 1, 0), 0);
}

static void
later_ranges_override(void **state)
{
	static const struct replay_layout_range ranges[] = {
		{1, 8, 256}, {2, 1, 1024}, {4, 2, 64}, {5, 1, 128}, {5, 3, 4096}};
	static const uint8_t want[] = {0, 8, 10, 8, 6, 12, 12, 12, 8, 0};
	struct fixture fixture;
	uint64_t word = 0;
	uint32_t slot;

	(void)state;
	fixture_create(&fixture, 10, ranges, sizeof(ranges) / sizeof(ranges[0]));
	for (slot = 0; slot < 10; slot++) {
		const struct replay_window_header *header = &fixture.store.headers[slot];

		if (header->bits_log2 != want[slot] || header->ring_word != word ||
			fixture.store.nodes[slot].bits_log2 != want[slot])
			fail_msg("slot %u: bits %u at word %llu, want %u at %llu", slot,
				header->bits_log2, (unsigned long long)header->ring_word,
				want[slot], (unsigned long long)word);
		word += want[slot] != 0 ? (1u << want[slot]) / 64 : 0;
	}
	assert_int_equal(fixture.store.ring_words, word);
	assert_int_equal(
		fixture.size, PAGE + pages(10 * 64) + pages(10 * 32) + pages(word * 8) + 256 * KIB);
	fixture_destroy(&fixture);
}

/* What was accepted is there for who opens the mapping next, at another address. */
static void
windows_outlive_their_process(void **state)
{
	struct fixture fixture;
	struct replay_store second;
	void *copy;

	(void)state;
	fixture_create_one(&fixture, 512);
	assert_int_equal(replay_window_assign(&fixture.store, 0, 7, 9), 1);
	assert_int_equal(replay_window_commit(&fixture.store, 0, 100, 1, 1), REPLAY_NEW);
	assert_int_equal(replay_window_commit(&fixture.store, 0, 500, 1, 1), REPLAY_NEW);
	copy = aligned_alloc(PAGE, fixture.size);
	assert_non_null(copy);
	memcpy(copy, fixture.mapping, fixture.size);
	fixture_destroy(&fixture);

	assert_int_equal(replay_store_open(&second, copy, fixture.size), 0);
	assert_true(replay_window_is_clean(&second, 0, 7, 9));
	assert_int_equal(replay_window_peek(&second, 0, 100), REPLAY_SEEN);
	assert_int_equal(replay_window_peek(&second, 0, 500), REPLAY_SEEN);
	assert_int_equal(replay_window_peek(&second, 0, 101), REPLAY_NEW);
	free(copy);
}

static void
format_refuses_what_does_not_fit(void **state)
{
	const struct replay_layout_range range = {0, 2, 64};
	const uint64_t size = replay_store_size(2, &range, 1, 0);
	uint8_t *memory = aligned_alloc(PAGE, size + PAGE);

	(void)state;
	assert_non_null(memory);
	memset(memory, 0, size + PAGE);
	assert_int_equal(
		replay_store_format(memory, size + PAGE, 2, &range, 1, 0, fixture_key), -EINVAL);
	assert_int_equal(
		replay_store_format(memory, size - PAGE, 2, &range, 1, 0, fixture_key), -EINVAL);
	assert_int_equal(
		replay_store_format(memory + 8, size, 2, &range, 1, 0, fixture_key), -EINVAL);
	assert_int_equal(replay_store_format(memory, size, 2, &range, 1, 0, fixture_key), 0);
	free(memory);
}

struct damage {
	const char *name;
	size_t offset;
	uint8_t size;
};

#define IN_HEADER(field)                                                    \
	{                                                                   \
#field, offsetof(struct replay_store_header, field),        \
			sizeof(((struct replay_store_header *)NULL)->field) \
	}

static const struct damage damages[] = {
	IN_HEADER(magic),
	IN_HEADER(version),
	IN_HEADER(slot_count),
	IN_HEADER(size),
	IN_HEADER(nodes_offset),
	IN_HEADER(headers_offset),
	IN_HEADER(rings_offset),
	IN_HEADER(ring_words),
	IN_HEADER(cache_offset),
	IN_HEADER(cache_size),
};

static void
expect_refused(struct fixture *fixture, const char *name, uint8_t *at, uint8_t value)
{
	struct replay_store other;
	const uint8_t was = *at;
	int err;

	*at = value;
	err = replay_store_open(&other, fixture->mapping, fixture->size);
	*at = was;
	if (err != -EBADMSG)
		fail_msg("%s set to %u: open returns %d", name, value, err);
}

static void
open_refuses_a_damaged_header(void **state)
{
	struct fixture fixture;
	struct replay_store other;
	size_t i;
	unsigned byte;

	(void)state;
	fixture_create_one(&fixture, 64);
	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++)
		for (byte = 0; byte < damages[i].size; byte++) {
			uint8_t *at = (uint8_t *)fixture.mapping + damages[i].offset + byte;

			expect_refused(&fixture, damages[i].name, at, *at ^ 0x01);
			expect_refused(&fixture, damages[i].name, at, *at ^ 0x80);
		}
	assert_int_equal(replay_store_open(&other, fixture.mapping, fixture.size - PAGE), -EBADMSG);
	assert_int_equal(replay_store_open(&other, fixture.mapping, 0), -EBADMSG);
	assert_int_equal(replay_store_open(&other, fixture.mapping, fixture.size), 0);
	fixture_destroy(&fixture);
}

/* A window that does not lie in its place would let a later store write anywhere. */
static void
open_refuses_windows_out_of_place(void **state)
{
	const struct replay_layout_range range = {0, 4, 128};
	struct fixture fixture;
	struct replay_window_header *headers;

	(void)state;
	fixture_create(&fixture, 4, &range, 1);
	headers = fixture.store.headers;
	expect_refused(&fixture, "bits_log2", &headers[1].bits_log2, 8);
	expect_refused(&fixture, "bits_log2", &headers[1].bits_log2, 5);
	expect_refused(&fixture, "bits_log2", &headers[1].bits_log2, 0);
	expect_refused(&fixture, "bits_log2", &headers[1].bits_log2, 21);
	expect_refused(&fixture, "bits_log2", &headers[1].bits_log2, 255);
	expect_refused(&fixture, "ring_word", (uint8_t *)&headers[2].ring_word, 3);
	expect_refused(&fixture, "ring_word", (uint8_t *)&headers[3].ring_word + 7, 0x80);
	fixture_destroy(&fixture);
}

static void
zeroed_memory_is_no_window(void **state)
{
	struct fixture fixture;
	struct replay_store other;

	(void)state;
	fixture_create_one(&fixture, 64);
	memset(&fixture.store.headers[0], 0, sizeof(fixture.store.headers[0]));
	fixture.store.nodes[0].bits_log2 = 0;
	assert_false(replay_window_is_clean(&fixture.store, 0, 0, 0));
	memset(fixture.mapping, 0, fixture.size);
	assert_int_equal(replay_store_open(&other, fixture.mapping, fixture.size), -EBADMSG);
	fixture_destroy(&fixture);
}

static void
a_name_keeps_its_window(void **state)
{
	struct fixture fixture;

	(void)state;
	fixture_create_one(&fixture, 64);
	assert_false(replay_window_is_clean(&fixture.store, 0, 7, 9));
	assert_int_equal(replay_window_assign(&fixture.store, 0, 7, 9), 1);
	assert_int_equal(replay_window_commit(&fixture.store, 0, 5, 1, 1), REPLAY_NEW);
	assert_int_equal(replay_window_assign(&fixture.store, 0, 7, 9), 0);
	assert_int_equal(replay_window_peek(&fixture.store, 0, 5), REPLAY_SEEN);
	assert_false(replay_window_is_clean(&fixture.store, 0, 8, 9));
	assert_false(replay_window_is_clean(&fixture.store, 0, 7, 10));
	fixture_destroy(&fixture);
}

/* Clearing touches this window only, and all of it. */
static void
another_name_clears_the_window(void **state)
{
	const struct replay_layout_range range = {0, 3, 1024};
	struct fixture fixture;
	uint64_t serial;
	uint32_t slot;

	(void)state;
	fixture_create(&fixture, 3, &range, 1);
	for (slot = 0; slot < 3; slot++) {
		assert_int_equal(replay_window_assign(&fixture.store, slot, 7, slot + 1), 1);
		for (serial = 1; serial <= 1000; serial++)
			assert_int_equal(replay_window_commit(&fixture.store, slot, serial, 1, 1),
				REPLAY_NEW);
	}
	assert_int_equal(replay_window_assign(&fixture.store, 1, 7, 99), 1);
	for (serial = 1; serial <= 1000; serial++)
		for (slot = 0; slot < 3; slot++)
			assert_int_equal(replay_window_peek(&fixture.store, slot, serial),
				slot == 1 ? REPLAY_NEW : REPLAY_SEEN);
	assert_int_equal(fixture.store.nodes[1].uses, 0);
	assert_int_equal(replay_window_commit(&fixture.store, 1, 1000, 1, 1), REPLAY_NEW);
	assert_int_equal(replay_window_peek(&fixture.store, 1, 1), REPLAY_NEW);
	fixture_destroy(&fixture);
}

static void
any_damaged_byte_of_a_name_is_unclean(void **state)
{
	struct fixture fixture;
	uint8_t *bytes;
	size_t i;

	(void)state;
	fixture_create_one(&fixture, 64);
	assert_int_equal(replay_window_assign(&fixture.store, 0, 7, 9), 1);
	bytes = (uint8_t *)&fixture.store.headers[0];
	for (i = 0; i < sizeof(struct replay_window_header); i++) {
		bytes[i] ^= 0x10;
		if (replay_window_is_clean(&fixture.store, 0, 7, 9))
			fail_msg("byte %zu of the header changed unnoticed", i);
		bytes[i] ^= 0x10;
	}
	assert_true(replay_window_is_clean(&fixture.store, 0, 7, 9));
	fixture.store.nodes[0].bits_log2 = 7;
	assert_false(replay_window_is_clean(&fixture.store, 0, 7, 9));
	assert_int_equal(replay_window_assign(&fixture.store, 0, 7, 9), 1);
	assert_true(replay_window_is_clean(&fixture.store, 0, 7, 9));
	fixture_destroy(&fixture);
}

/* The dataplane can write here: naming a window must not clear memory outside the ring. */
static void
naming_stays_inside_the_ring(void **state)
{
	const struct replay_layout_range range = {0, 2, 64};
	struct fixture fixture;
	struct replay_cache_entry *cache;
	struct replay_cache_entry mark;

	(void)state;
	fixture_create(&fixture, 2, &range, 1);
	cache = fixture.store.cache;
	memset(cache, 0xa5, sizeof(*cache));
	memcpy(&mark, cache, sizeof(mark));
	fixture.store.headers[0].ring_word = 512;
	assert_int_equal(replay_window_assign(&fixture.store, 0, 7, 9), 1);
	assert_int_equal(replay_window_peek(&fixture.store, 0, 5), REPLAY_STALE);
	fixture.store.headers[1].bits_log2 = 20;
	assert_int_equal(replay_window_assign(&fixture.store, 1, 7, 10), 1);
	assert_int_equal(replay_window_peek(&fixture.store, 1, 5), REPLAY_STALE);
	assert_memory_equal(cache, &mark, sizeof(mark));
	fixture_destroy(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size_is_the_formula),
		cmocka_unit_test(ranges_outside_are_refused),
		cmocka_unit_test(later_ranges_override),
		cmocka_unit_test(windows_outlive_their_process),
		cmocka_unit_test(format_refuses_what_does_not_fit),
		cmocka_unit_test(open_refuses_a_damaged_header),
		cmocka_unit_test(open_refuses_windows_out_of_place),
		cmocka_unit_test(zeroed_memory_is_no_window),
		cmocka_unit_test(a_name_keeps_its_window),
		cmocka_unit_test(another_name_clears_the_window),
		cmocka_unit_test(any_damaged_byte_of_a_name_is_unclean),
		cmocka_unit_test(naming_stays_inside_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

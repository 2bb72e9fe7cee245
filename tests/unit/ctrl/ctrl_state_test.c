/* SPDX-License-Identifier: BSD-3-Clause */
/* What is remembered of the past without windows, and the windows themselves over a stop. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <errno.h>
#include <sodium.h>

#include "ctrl/floor.h"
#include "ctrl/serials.h"
#include "ctrl/snapshot.h"
#include "ctrl/windows.h"
#include "wire/cred.h"

#define SECOND_US 1000000ull
#define NODES     20u
#define BITS      256u
#define RUN       "0123456789abcdef0123456789abcdef"

static struct reason reason;

/* ---- floors ---- */

static void
test_floor(void **state)
{
	struct floor *floor = floor_open(fixture_dir, &reason);

	(void)state;
	assert_non_null(floor);
	assert_int_equal(floor_us(floor, 500 * SECOND_US, SECOND_US), 501 * SECOND_US);
	assert_int_equal(floor_stamp(floor, 600 * SECOND_US, &reason), 0);
	floor_close(floor);
	floor = floor_open(fixture_dir, &reason);
	assert_non_null(floor);
	/* The clock goes on: the clock counts. */
	assert_int_equal(floor_us(floor, 700 * SECOND_US, SECOND_US), 701 * SECOND_US);
	/* The clock was set back, or the machine came up without one: the stamp counts. */
	assert_int_equal(floor_us(floor, 5 * SECOND_US, SECOND_US), 603 * SECOND_US);
	/* Nor does a stamp in the past take back what is known. */
	assert_int_equal(floor_stamp(floor, 5 * SECOND_US, &reason), 0);
	assert_int_equal(floor_us(floor, 5 * SECOND_US, 0), 602 * SECOND_US);
	floor_close(floor);
	fixture_write("clock", "nonsense", 8, 0600);
	assert_null(floor_open(fixture_dir, &reason));
	assert_non_null(strstr(reason.text, "clock is damaged"));
	unlink(fixture_path("clock"));
}

/* The run's number is remembered with the stamp, and each run has another. */
static void
test_floor_run(void **state)
{
	struct floor *floor = floor_open(fixture_dir, &reason);
	char run[FLOOR_RUN_SIZE];

	(void)state;
	assert_non_null(floor);
	assert_string_equal(floor_run(floor), "");
	assert_int_equal(floor_run_begin(floor, 600 * SECOND_US, &reason), 0);
	snprintf(run, sizeof(run), "%s", floor_run(floor));
	assert_int_equal(strlen(run), FLOOR_RUN_SIZE - 1);
	assert_int_equal(floor_stamp(floor, 700 * SECOND_US, &reason), 0);
	floor_close(floor);
	floor = floor_open(fixture_dir, &reason);
	assert_non_null(floor);
	assert_string_equal(floor_run(floor), run);
	assert_int_equal(floor_us(floor, 0, 0), 702 * SECOND_US);
	assert_int_equal(floor_run_begin(floor, 5 * SECOND_US, &reason), 0);
	assert_string_not_equal(floor_run(floor), run);
	assert_int_equal(floor_us(floor, 0, 0), 702 * SECOND_US);
	floor_close(floor);
	/* As it was before runs had numbers. */
	fixture_write("clock", "00000000000600000000\n", 21, 0600);
	floor = floor_open(fixture_dir, &reason);
	assert_non_null(floor);
	assert_string_equal(floor_run(floor), "");
	assert_int_equal(floor_us(floor, 0, 0), 602 * SECOND_US);
	assert_int_equal(floor_ahead_us(floor, 600 * SECOND_US), 0);
	assert_int_equal(floor_ahead_us(floor, 590 * SECOND_US), 600 * SECOND_US);
	floor_close(floor);
	fixture_write("clock", "00000000000600000000\n0123456789abcdef", 37, 0600);
	assert_null(floor_open(fixture_dir, &reason));
	unlink(fixture_path("clock"));
}

/* ---- a store ---- */

struct store {
	struct config *config;
	struct replay_store replay;
	void *mapping;
};

static struct store
store_make(uint32_t bits)
{
	struct replay_layout_range ranges[TABLE_REALMS_MAX];
	uint32_t bases[TABLE_REALMS_MAX], slots;
	const uint8_t key[16] = {1};
	struct store store = {.config = calloc(1, sizeof(*store.config))};
	uint64_t size;
	unsigned count;

	assert_non_null(store.config);
	store.config->realm_count = 1;
	store.config->realms[0] =
		(struct config_realm){.id = 7, .nodes_max = NODES, .window_bits = bits};
	count = windows_ranges(store.config, ranges);
	slots = windows_bases(store.config, bases);
	size = replay_store_size(slots, ranges, count, REPLAY_CACHE_ENTRIES_MIN);
	store.mapping = aligned_alloc(4096, size);
	assert_non_null(store.mapping);
	memset(store.mapping, 0, size);
	assert_int_equal(replay_store_format(store.mapping, size, slots, ranges, count,
				 REPLAY_CACHE_ENTRIES_MIN, key),
		0);
	assert_int_equal(replay_store_open(&store.replay, store.mapping, size), 0);
	for (uint32_t node = 1; node <= NODES; node++)
		replay_window_assign(&store.replay, node, 7, node);
	return store;
}

static void
store_drop(struct store *store)
{
	free(store->mapping);
	free(store->config);
}

static enum replay_result
commit(struct store *store, uint32_t node, uint64_t serial)
{
	return replay_window_commit(&store->replay, node, serial, 1, 1000);
}

/* ---- ceilings of nodes without clocks ---- */

static void
test_serials(void **state)
{
	const uint64_t top = (5ull << 32) + 1000, ceiling = top + SERIALS_STEP;
	struct serials *serials = serials_open(fixture_dir, &reason);
	struct store store = store_make(BITS);

	(void)state;
	assert_non_null(serials);
	assert_int_equal(commit(&store, 3, top), REPLAY_NEW);
	assert_int_equal(serials_note(serials, 7, 3, store.replay.nodes[3].top), 0);
	assert_int_equal(serials_note(serials, 7, 4, 0), 0); /* never used: no ceiling */
	assert_int_equal(serials_sync(serials, &reason), 0);
	serials_close(serials);
	store_drop(&store);

	store = store_make(BITS); /* the windows are gone */
	serials = serials_open(fixture_dir, &reason);
	assert_non_null(serials);
	for (uint32_t node = 1; node <= NODES; node++)
		serials_restore(serials, &store.replay, node, 7, node);
	assert_int_equal(replay_window_peek(&store.replay, 3, top), REPLAY_STALE);
	assert_int_equal(replay_window_peek(&store.replay, 3, 1), REPLAY_STALE);
	assert_int_equal(replay_window_peek(&store.replay, 3, ceiling - 1), REPLAY_STALE);
	/* From the ceiling on each is accepted, in any order, once. */
	assert_int_equal(commit(&store, 3, ceiling + BITS - 1), REPLAY_NEW);
	for (uint64_t serial = ceiling; serial < ceiling + BITS - 1; serial++)
		assert_int_equal(commit(&store, 3, serial), REPLAY_NEW);
	assert_int_equal(commit(&store, 3, ceiling), REPLAY_SEEN);
	assert_int_equal(commit(&store, 4, 1), REPLAY_NEW);
	serials_close(serials);
	store_drop(&store);
}

/* A ceiling is above every top at all times, and written only when it has to be. */
static void
test_serials_climb(void **state)
{
	struct serials *serials = serials_open(fixture_dir, &reason);
	struct stat before, after;
	uint64_t top = 1000;

	(void)state;
	assert_non_null(serials);
	for (unsigned i = 0; i < 500; i++)
		assert_int_equal(serials_note(serials, 9, i + 1, 5), 0); /* the table grows */
	assert_int_equal(serials_note(serials, 8, 1, top), 0);
	assert_int_equal(serials_sync(serials, &reason), 0);
	assert_int_equal(stat(fixture_path("serials"), &before), 0);
	for (unsigned i = 0; i < 100; i++) {
		top += SERIALS_STEP / 256;
		assert_int_equal(serials_note(serials, 8, 1, top), 0);
		assert_int_equal(serials_sync(serials, &reason), 0);
	}
	assert_int_equal(stat(fixture_path("serials"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(serials_note(serials, 8, 1, top + SERIALS_STEP), 0);
	assert_int_equal(serials_sync(serials, &reason), 0);
	assert_int_equal(stat(fixture_path("serials"), &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(serials_note(serials, 8, 2, CRED_SERIAL_MAX), 0);
	assert_int_equal(serials_sync(serials, &reason), 0);
	serials_close(serials);
	fixture_write("serials", "8 1 x\n", 6, 0600);
	assert_null(serials_open(fixture_dir, &reason));
	assert_non_null(strstr(reason.text, "serials:1 is damaged"));
	unlink(fixture_path("serials"));
}

/* ---- windows over an orderly stop ---- */

static void
fill(struct store *store)
{
	for (uint32_t node = 1; node <= NODES; node += 3)
		for (uint64_t serial = node; serial < 4 * BITS; serial += 1 + serial % 3)
			assert_int_equal(commit(store, node, serial), REPLAY_NEW);
}

static void
test_snapshot(void **state)
{
	uint64_t floors_us[TABLE_REALMS_MAX] = {12345}, loaded_us[TABLE_REALMS_MAX] = {0};
	struct store old = store_make(BITS), new = store_make(BITS);

	(void)state;
	fill(&old);
	assert_int_equal(
		snapshot_load(fixture_dir, RUN, new.config, &new.replay, loaded_us, &reason), 0);
	assert_int_equal(
		snapshot_save(fixture_dir, RUN, old.config, &old.replay, floors_us, &reason), 0);
	assert_int_equal(
		snapshot_load(fixture_dir, RUN, new.config, &new.replay, loaded_us, &reason), 1);
	assert_int_equal(loaded_us[0], 12345);
	for (uint32_t node = 1; node <= NODES; node++) {
		assert_true(replay_window_is_clean(&new.replay, node, 7, node));
		assert_int_equal(replay_window_assign(&new.replay, node, 7, node), 0);
		for (uint64_t serial = 1; serial < 5 * BITS; serial++)
			assert_int_equal(replay_window_peek(&new.replay, node, serial),
				replay_window_peek(&old.replay, node, serial));
	}
	/* Once only. */
	assert_int_equal(snapshot_remove(fixture_dir, &reason), 0);
	assert_int_equal(snapshot_remove(fixture_dir, &reason), 0);
	assert_int_equal(
		snapshot_load(fixture_dir, RUN, new.config, &new.replay, loaded_us, &reason), 0);
	store_drop(&old);
	store_drop(&new);
}

/* Of its own run only: an old copy put back is older than what was accepted since. */
static void
test_snapshot_run(void **state)
{
	static const char *const others[] = {
		"", "0123456789abcdef0123456789abcdee", "0123456789abcdef"};
	uint64_t floors_us[TABLE_REALMS_MAX] = {0};
	struct store old = store_make(BITS), new = store_make(BITS);

	(void)state;
	fill(&old);
	assert_int_equal(
		snapshot_save(fixture_dir, RUN, old.config, &old.replay, floors_us, &reason), 0);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(snapshot_load(fixture_dir, others[i], new.config, &new.replay,
					 floors_us, &reason),
			0);
	for (uint32_t node = 1; node <= NODES; node++)
		assert_int_equal(new.replay.nodes[node].top, 0);
	assert_int_equal(
		snapshot_save(fixture_dir, "", old.config, &old.replay, floors_us, &reason), 0);
	assert_int_equal(
		snapshot_load(fixture_dir, "", new.config, &new.replay, floors_us, &reason), 0);
	assert_int_equal(snapshot_remove(fixture_dir, &reason), 0);
	store_drop(&old);
	store_drop(&new);
}

/* Whatever byte is wrong, nothing is taken from it. */
static void
test_snapshot_damage(void **state)
{
	uint64_t floors_us[TABLE_REALMS_MAX] = {0}, loaded_us[TABLE_REALMS_MAX] = {77};
	struct store old = store_make(BITS), new = store_make(BITS), wide = store_make(2 * BITS);
	struct stat st;
	uint8_t *bytes;
	FILE *file;

	(void)state;
	fill(&old);
	assert_int_equal(
		snapshot_save(fixture_dir, RUN, old.config, &old.replay, floors_us, &reason), 0);
	assert_int_equal(
		snapshot_load(fixture_dir, RUN, wide.config, &wide.replay, loaded_us, &reason), 0);
	assert_int_equal(stat(fixture_path("windows"), &st), 0);
	bytes = malloc((size_t)st.st_size);
	assert_non_null(bytes);
	file = fopen(fixture_path("windows"), "r");
	assert_non_null(file);
	assert_int_equal(fread(bytes, 1, (size_t)st.st_size, file), st.st_size);
	fclose(file);
	for (size_t i = 0; i < (size_t)st.st_size; i += 1 + i / 16) {
		bytes[i] ^= 0x10;
		fixture_write("windows", bytes, (size_t)st.st_size, 0600);
		bytes[i] ^= 0x10;
		assert_int_equal(snapshot_load(fixture_dir, RUN, new.config, &new.replay, loaded_us,
					 &reason),
			0);
		fixture_write("windows", bytes, i, 0600); /* torn */
		assert_int_equal(snapshot_load(fixture_dir, RUN, new.config, &new.replay, loaded_us,
					 &reason),
			0);
	}
	assert_int_equal(loaded_us[0], 77);
	for (uint32_t node = 1; node <= NODES; node++)
		assert_int_equal(new.replay.nodes[node].top, 0);
	fixture_write("windows", bytes, (size_t)st.st_size, 0620);
	assert_int_equal(
		snapshot_load(fixture_dir, RUN, new.config, &new.replay, loaded_us, &reason), 0);
	fixture_write("windows", bytes, (size_t)st.st_size, 0600);
	assert_int_equal(
		snapshot_load(fixture_dir, RUN, new.config, &new.replay, loaded_us, &reason), 1);
	free(bytes);
	store_drop(&old);
	store_drop(&new);
	store_drop(&wide);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_floor),
		cmocka_unit_test(test_floor_run),
		cmocka_unit_test(test_serials),
		cmocka_unit_test(test_serials_climb),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_snapshot_run),
		cmocka_unit_test(test_snapshot_damage),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

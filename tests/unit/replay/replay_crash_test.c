/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A writer that dies between any two stores may make a window refuse too much, never too little.
 * The code under test is compiled in here, with a step after each store whose order counts: the
 * test leaves commit after the k-th store, for every k, and looks at what the memory says then.
 * Last, real processes are killed at arbitrary instructions.
 */

static void crash_step(const void *word);
#define REPLAY_STORE_STEP(word) crash_step(word)

#include "replay/retransmit.c"
#include "replay/store.c"
#include "replay/window.c"

#include "tests/unit/replay/fixture.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static jmp_buf crash_point;
static unsigned crash_after; /* stores; 0: never */
static unsigned step_count;
static unsigned ring_step_count;
static const uint64_t *ring_begin;
static const uint64_t *ring_end;

static void
crash_step(const void *word)
{
	const uint64_t *at = word;

	step_count++;
	ring_step_count += at >= ring_begin && at < ring_end;
	if (crash_after != 0 && step_count == crash_after)
		longjmp(crash_point, 1);
}

static void
steps_restart(const struct replay_store *store, unsigned after)
{
	crash_after = after;
	step_count = 0;
	ring_step_count = 0;
	ring_begin = store->ring;
	ring_end = store->ring + store->ring_words;
}

/* Commits, dying after the given store. True if it got to the end, *result then says what. */
static bool
commit_until(struct fixture *fixture, uint64_t serial, unsigned after, enum replay_result *result)
{
	steps_restart(&fixture->store, after);
	if (setjmp(crash_point) != 0) {
		crash_after = 0;
		return false;
	}
	*result = replay_window_commit(&fixture->store, 0, serial, 1, 1);
	crash_after = 0;
	return true;
}

static void
expect_nothing_forgotten(struct fixture *fixture, const struct model *model, const char *name)
{
	size_t i;

	assert_int_equal(replay_store_open(&fixture->store, fixture->mapping, fixture->size), 0);
	if (!replay_window_is_clean(&fixture->store, 0, 7, 9))
		fail_msg("%s: the window lost its name", name);
	for (i = 0; i < model->count; i++)
		if (replay_window_peek(&fixture->store, 0, model->accepted[i]) == REPLAY_NEW)
			fail_msg("%s: serial %llu would be accepted twice", name,
				(unsigned long long)model->accepted[i]);
}

/* What a kill may leave of one slot: its line and its ring. */
struct snapshot {
	struct replay_node node;
	uint64_t ring[64];
};

static void
snapshot_take(struct snapshot *snapshot, const struct fixture *fixture)
{
	assert_true(fixture->store.ring_words <= 64);
	snapshot->node = fixture->store.nodes[0];
	memcpy(snapshot->ring, fixture->store.ring, fixture->store.ring_words * 8);
}

static void
snapshot_restore(const struct snapshot *snapshot, struct fixture *fixture)
{
	fixture->store.nodes[0] = snapshot->node;
	memcpy(fixture->store.ring, snapshot->ring, fixture->store.ring_words * 8);
}

/* Steps of a random order; each is tried with a crash after each of its stores first. */
static void
crash_everywhere_once(uint32_t window_bits, uint64_t seed)
{
	struct fixture fixture;
	struct model model;
	unsigned step;

	fixture_create_one(&fixture, window_bits);
	assert_int_equal(replay_window_assign(&fixture.store, 0, 7, 9), 1);
	model_init(&model, window_bits, 500);
	for (step = 0; step < 400; step++) {
		const uint64_t serial = model_pick(&model, &seed);
		const enum replay_result want = model_peek(&model, serial);
		enum replay_result result = REPLAY_STALE;
		struct snapshot before;
		unsigned after = 0;
		char name[96];

		snapshot_take(&before, &fixture);
		while (!commit_until(&fixture, serial, ++after, &result)) {
			snprintf(name, sizeof(name),
				"window %u step %u top %llu serial %llu dead after store %u",
				window_bits, step, (unsigned long long)model.top,
				(unsigned long long)serial, after);
			expect_nothing_forgotten(&fixture, &model, name);
			snapshot_restore(&before, &fixture);
		}
		if (result != want)
			fail_msg("window %u step %u: wrong result", window_bits, step);
		if (want == REPLAY_NEW) {
			assert_true(after > 1);
			model_accept(&model, serial);
		}
	}
	model_fini(&model);
	fixture_destroy(&fixture);
}

/* The writer dies at random and goes on with what it finds, again and again. */
static void
crash_and_go_on(uint32_t window_bits, uint64_t seed)
{
	struct fixture fixture;
	struct model model;
	unsigned step;

	fixture_create_one(&fixture, window_bits);
	assert_int_equal(replay_window_assign(&fixture.store, 0, 7, 9), 1);
	model_init(&model, window_bits, 2000);
	for (step = 0; step < 2000; step++) {
		const uint64_t serial = model_pick(&model, &seed);
		const unsigned after = random_below(&seed, 3) ? 0 : 1 + random_below(&seed, 9);
		enum replay_result result = REPLAY_STALE;
		char name[96];

		snprintf(name, sizeof(name), "window %u step %u top %llu serial %llu", window_bits,
			step, (unsigned long long)model.top, (unsigned long long)serial);
		if (commit_until(&fixture, serial, after, &result) && result == REPLAY_NEW) {
			if (model_has(&model, serial))
				fail_msg("%s: accepted twice", name);
			model_accept(&model, serial);
		} else if (fixture.store.nodes[0].top > model.top) {
			/* Dead after top, or before bit: a window further on is all it may cost. */
			model.top = fixture.store.nodes[0].top;
		}
		if (step % 8 == 0)
			expect_nothing_forgotten(&fixture, &model, name);
	}
	model_fini(&model);
	fixture_destroy(&fixture);
}

static void
dead_after_any_store_never_accepts_twice(void **state)
{
	uint32_t window_bits;
	uint64_t seed;

	(void)state;
	for (window_bits = 64; window_bits <= 2048; window_bits *= 2)
		for (seed = 1; seed <= 4; seed++)
			crash_everywhere_once(window_bits, seed);
}

static void
dying_again_and_again_never_accepts_twice(void **state)
{
	uint32_t window_bits;
	uint64_t seed;

	(void)state;
	for (window_bits = 64; window_bits <= 2048; window_bits *= 2)
		for (seed = 11; seed <= 14; seed++)
			crash_and_go_on(window_bits, seed);
}

/* The bit is the promise: from its store on the serial is marked, whatever top says. */
static void
dead_between_bit_and_top_is_marked(void **state)
{
	struct fixture fixture;
	enum replay_result result;

	(void)state;
	fixture_create_one(&fixture, 64);
	assert_true(commit_until(&fixture, 10, 0, &result));
	assert_false(commit_until(&fixture, 20, 1, &result));
	assert_int_equal(fixture.store.nodes[0].top, 10);
	assert_int_equal(replay_window_peek(&fixture.store, 0, 20), REPLAY_SEEN);
	assert_int_equal(replay_window_commit(&fixture.store, 0, 20, 1, 1), REPLAY_SEEN);
	assert_int_equal(replay_window_commit(&fixture.store, 0, 19, 1, 1), REPLAY_NEW);
	fixture_destroy(&fixture);
}

static enum replay_result
commit_counting(struct fixture *fixture, uint64_t serial)
{
	enum replay_result result = REPLAY_STALE;

	assert_true(commit_until(fixture, serial, 0, &result));
	return result;
}

/* The reason for the line's four words: in order, the ring is written once per 64 serials. */
static void
in_order_traffic_stays_in_the_line(void **state)
{
	struct fixture fixture;
	unsigned ring_stores = 0;
	uint64_t serial;

	(void)state;
	fixture_create_one(&fixture, 65536);
	for (serial = 1; serial <= 64 * 1000; serial++) {
		/* Neighbours change places, as two receive queues would have it. */
		assert_int_equal(commit_counting(&fixture, serial ^ 1), REPLAY_NEW);
		ring_stores += ring_step_count;
	}
	assert_in_range(ring_stores, 1, 1000);
	fixture_destroy(&fixture);
}

static void
no_jump_clears_more_than_the_window(void **state)
{
	static const uint64_t serials[] = {1, 1u << 20, 3u << 20, (uint64_t)1 << 40,
		((uint64_t)1 << 40) + (1u << 20) + 400, SERIAL_MAX};
	struct fixture fixture;
	size_t i;

	(void)state;
	fixture_create_one(&fixture, 1u << 20);
	for (i = 0; i < sizeof(serials) / sizeof(serials[0]); i++) {
		assert_int_equal(commit_counting(&fixture, serials[i]), REPLAY_NEW);
		assert_in_range(ring_step_count, 0, (1u << 20) / 64 + 1);
		assert_in_range(step_count - ring_step_count, 1, 2 + REPLAY_INLINE_WORDS);
	}
	fixture_destroy(&fixture);
}

static void
dead_while_naming_a_window_leaves_it_unclean(void **state)
{
	struct fixture fixture;
	unsigned after;

	(void)state;
	fixture_create_one(&fixture, 256);
	assert_int_equal(replay_window_assign(&fixture.store, 0, 7, 9), 1);
	assert_int_equal(replay_window_commit(&fixture.store, 0, 5, 1, 1), REPLAY_NEW);
	for (after = 1; after <= 2; after++) {
		steps_restart(&fixture.store, after);
		if (setjmp(crash_point) == 0) {
			replay_window_assign(&fixture.store, 0, 7, 10);
			fail_msg("naming a window takes fewer than %u steps", after);
		}
		crash_after = 0;
		assert_false(replay_window_is_clean(&fixture.store, 0, 7, 9));
		assert_int_equal(replay_window_is_clean(&fixture.store, 0, 7, 10), after == 2);
	}
	assert_int_equal(replay_window_peek(&fixture.store, 0, 5), REPLAY_NEW);
	fixture_destroy(&fixture);
}

/* A half written entry is none: the credential is REPLAYED then, never another's DUPLICATE. */
static void
dead_while_remembering_leaves_a_free_entry(void **state)
{
	struct replay_cache_entry entry = {.serial = 5, .realm = 7, .node = 9, .verdict = 1};
	struct fixture fixture;
	uint8_t verdict = 0;

	(void)state;
	fixture_create_one(&fixture, 64);
	replay_cache_insert(&fixture.store, 0, &entry, 100);
	steps_restart(&fixture.store, 1);
	if (setjmp(crash_point) == 0) {
		replay_cache_insert(&fixture.store, 0, &entry, 200);
		fail_msg("inserting takes no step");
	}
	crash_after = 0;
	assert_int_equal(replay_cache_find(&fixture.store, 0, &entry, 200, 1000, &verdict),
		REPLAY_CACHE_MISS);
	fixture_destroy(&fixture);
}

/* ---- killed for real ---- */

#define KILL_ROUNDS      60
#define KILL_SERIALS_MAX 4000000u

/* Shared with the child: the serials it has accepted, in order. */
struct promise {
	uint64_t count;
	uint64_t serials[KILL_SERIALS_MAX];
};

static void
child_commit_for_ever(struct fixture *fixture, struct promise *promise, uint64_t seed)
{
	struct model model = {.window_bits = 1024, .top = fixture->store.nodes[0].top};

	while (promise->count < KILL_SERIALS_MAX) {
		const uint64_t serial = model_pick(&model, &seed);

		if (replay_window_commit(&fixture->store, 0, serial, 1, 1) != REPLAY_NEW)
			continue;
		if (serial > model.top)
			model.top = serial;
		/* What is promised to the outside comes after commit. */
		promise->serials[promise->count] = serial;
		__atomic_store_n(&promise->count, promise->count + 1, __ATOMIC_RELEASE);
	}
	pause();
}

static void
kill_after(pid_t child, long delay_ns)
{
	const struct timespec delay = {0, delay_ns};
	int status;

	nanosleep(&delay, NULL);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void
expect_promises_kept(const struct fixture *fixture, const struct promise *promise, uint64_t from)
{
	uint64_t i;

	for (i = from; i < promise->count; i++)
		if (replay_window_peek(&fixture->store, 0, promise->serials[i]) == REPLAY_NEW)
			fail_msg("killed after %llu: serial %llu would be accepted twice",
				(unsigned long long)promise->count,
				(unsigned long long)promise->serials[i]);
}

static int
compare_serials(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a;
	const uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
killed_writers_never_accept_twice(void **state)
{
	struct promise *promise = mmap(
		NULL, sizeof(*promise), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct fixture fixture;
	uint64_t random = 4711;
	uint64_t i;
	unsigned round;

	(void)state;
	assert_true(promise != MAP_FAILED);
	fixture_create_one(&fixture, 1024);
	for (round = 0; round < KILL_ROUNDS; round++) {
		const uint64_t from = promise->count;
		const pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			child_commit_for_ever(&fixture, promise, 100 + round);
			_exit(1);
		}
		kill_after(child, (long)random_below(&random, 3000000));
		expect_promises_kept(&fixture, promise, from > 5000 ? from - 5000 : 0);
	}
	/* Some of the children must have come to do something. */
	assert_true(promise->count > KILL_ROUNDS);
	qsort(promise->serials, promise->count, sizeof(uint64_t), compare_serials);
	for (i = 1; i < promise->count; i++)
		if (promise->serials[i] == promise->serials[i - 1])
			fail_msg("serial %llu was accepted twice",
				(unsigned long long)promise->serials[i]);
	fixture_destroy(&fixture);
	assert_int_equal(munmap(promise, sizeof(*promise)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dead_after_any_store_never_accepts_twice),
		cmocka_unit_test(dying_again_and_again_never_accepts_twice),
		cmocka_unit_test(dead_between_bit_and_top_is_marked),
		cmocka_unit_test(in_order_traffic_stays_in_the_line),
		cmocka_unit_test(no_jump_clears_more_than_the_window),
		cmocka_unit_test(dead_while_naming_a_window_leaves_it_unclean),
		cmocka_unit_test(dead_while_remembering_leaves_a_free_entry),
		cmocka_unit_test(killed_writers_never_accept_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A crowd on one key: processes that start at once on a missing state file, each with threads that
 * mint singly and in batches, forks of threads in the middle of it, and further processes that are
 * killed at random moments and started again. No serial may be seen twice, and every thread's
 * serials must rise.
 */

#include <glob.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include <credgate/credgate.h>

#include "client/key_priv.h"
#include "fixture.h"

#define PROCESSES   8
#define THREADS     4
#define EACH        20000
#define FORKS       2   /* per process, by its first thread */
#define FORK_EACH   500 /* credentials of a forked child */
#define VICTIMS     3   /* processes at a time that are going to be killed */
#define KILLS       30
#define VICTIM_EACH 4000 /* room; a victim that fills it waits for its end */
#define BATCH       16

/* One thread's serials, in memory that outlives it. `count` follows the store. */
struct lane {
	_Atomic uint32_t count;
	uint32_t room;
	uint64_t *serials;
};

#define LANES_OWN    (PROCESSES * THREADS)
#define LANES_FORK   (PROCESSES * FORKS)
#define LANES_VICTIM (VICTIMS + KILLS)
#define LANES        (LANES_OWN + LANES_FORK + LANES_VICTIM)
#define SERIALS_MAX  (LANES_OWN * EACH + LANES_FORK * FORK_EACH + LANES_VICTIM * VICTIM_EACH)

static struct fixture fixture;
static struct lane *lanes;
static uint64_t *serials;
static struct cg_key *key; /* of this process */

static void *
shared(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

static void
lanes_init(void)
{
	uint64_t *at;
	unsigned i;

	lanes = shared(LANES * sizeof(*lanes));
	at = serials = shared(SERIALS_MAX * sizeof(*serials));
	for (i = 0; i < LANES; i++) {
		lanes[i].room = i < LANES_OWN                ? EACH
				: i < LANES_OWN + LANES_FORK ? FORK_EACH
							     : VICTIM_EACH;
		lanes[i].serials = at;
		at += lanes[i].room;
	}
}

static void
record(struct lane *lane, const uint8_t *credential)
{
	uint32_t count = atomic_load_explicit(&lane->count, memory_order_relaxed);

	if (count == lane->room)
		return;
	lane->serials[count] = load_be64(credential + CRED_AT_SERIAL);
	atomic_store_explicit(&lane->count, count + 1, memory_order_release);
}

static bool
is_full(const struct lane *lane)
{
	return atomic_load_explicit(&lane->count, memory_order_relaxed) == lane->room;
}

static void
mint_one(struct lane *lane)
{
	uint8_t credential[CRED_SIZE_MIN];
	struct cg_claim claim;

	cg_claim_init(&claim);
	if (cg_mint(key, &claim, credential, sizeof(credential)) < 0)
		_exit(10);
	record(lane, credential);
}

static void
mint_batch(struct lane *lane)
{
	uint8_t room[BATCH][CRED_SIZE_MIN];
	struct cg_claim claims[BATCH];
	void *buffers[BATCH];
	size_t sizes[BATCH];
	unsigned i;

	for (i = 0; i < BATCH; i++) {
		cg_claim_init(&claims[i]);
		buffers[i] = room[i];
	}
	if (cg_mint_batch(key, claims, BATCH, buffers, CRED_SIZE_MIN, sizes) != BATCH)
		_exit(11);
	for (i = 0; i < BATCH; i++)
		record(lane, room[i]);
}

/* Mixed, so that single draws and batches meet at every place. */
static void
mint_until(struct lane *lane, uint32_t count)
{
	while (atomic_load(&lane->count) < count) {
		if (atomic_load(&lane->count) % 3 == 0)
			mint_batch(lane);
		else
			mint_one(lane);
	}
}

/* A child goes on with the key and the engine of the thread that forked it. */
static void
fork_and_mint(struct lane *lane)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		mint_until(lane, FORK_EACH);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		_exit(12);
}

struct job {
	struct lane *own;
	struct lane *forks; /* NULL: this thread does not fork */
};

static void *
work(void *context)
{
	const struct job *job = context;
	unsigned i;

	for (i = 0; job->forks != NULL && i < FORKS; i++) {
		mint_until(job->own, (i + 1) * EACH / (FORKS + 1));
		fork_and_mint(job->forks + i);
	}
	mint_until(job->own, EACH);
	return NULL;
}

static void
open_key(void)
{
	if (key_open(&key, fixture.key, fixture.boot_id) != 0)
		_exit(13);
}

static void
worker_process(unsigned index)
{
	struct job jobs[THREADS];
	pthread_t threads[THREADS];
	unsigned i;

	open_key();
	for (i = 0; i < THREADS; i++) {
		jobs[i].own = &lanes[index * THREADS + i];
		jobs[i].forks = i == 0 ? &lanes[LANES_OWN + index * FORKS] : NULL;
		if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0)
			_exit(14);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	cg_key_close(key);
	_exit(0);
}

/* Opens and mints over and over, so that the kill meets either. */
static void
victim_process(struct lane *lane)
{
	unsigned i;

	while (!is_full(lane)) {
		open_key();
		for (i = 0; i < 20; i++)
			mint_one(lane);
		mint_batch(lane);
		cg_key_close(key);
	}
	pause();
	_exit(15);
}

static pid_t
victim_start(unsigned index)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		victim_process(&lanes[LANES_OWN + LANES_FORK + index]);
	return pid;
}

static void
nap_us(long us)
{
	const struct timespec ts = {.tv_nsec = us * 1000};

	nanosleep(&ts, NULL);
}

/* Kills victims in turn, at moments that are not regular, and starts another for each. */
static void
kill_some(void)
{
	pid_t victims[VICTIMS];
	unsigned i, started = 0;
	int status;

	for (i = 0; i < VICTIMS; i++)
		victims[i] = victim_start(started++);
	for (i = 0; i < KILLS + VICTIMS; i++) {
		nap_us(200 + (long)(i * 7919 % 5000));
		assert_int_equal(kill(victims[i % VICTIMS], SIGKILL), 0);
		assert_int_equal(waitpid(victims[i % VICTIMS], &status, 0), victims[i % VICTIMS]);
		assert_true(WIFSIGNALED(status));
		if (started < LANES_VICTIM)
			victims[i % VICTIMS] = victim_start(started++);
	}
}

/* Every lane rises; all serials go to the front of `serials`. Returns how many there are. */
static size_t
gather(void)
{
	size_t total = 0;
	unsigned i, k;

	for (i = 0; i < LANES; i++) {
		uint32_t count = atomic_load(&lanes[i].count);

		for (k = 0; k < count; k++) {
			uint64_t serial = lanes[i].serials[k];

			assert_true(k == 0 || serial > lanes[i].serials[k - 1]);
			assert_in_range(serial, 1, CRED_SERIAL_MAX);
		}
		memmove(serials + total, lanes[i].serials, count * sizeof(*serials));
		total += count;
	}
	return total;
}

static void
test_no_serial_twice(void **state)
{
	pid_t pids[PROCESSES];
	size_t total, victims = 0;
	unsigned i;
	int status;

	(void)state;
	for (i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			worker_process(i);
	}
	kill_some();
	for (i = 0; i < PROCESSES; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	for (i = LANES_OWN + LANES_FORK; i < LANES; i++)
		victims += atomic_load(&lanes[i].count);
	total = gather();
	assert_int_equal(total - victims, LANES_OWN * EACH + LANES_FORK * FORK_EACH);
	assert_true(victims > 0);
	assert_int_equal(count_repeats(serials, total), 0);
	print_message("%zu serials, %zu of them by processes that were killed\n", total, victims);
}

/* A process that is killed while it makes the first state leaves its draft beside it. */
static void
drafts_remove(void)
{
	char pattern[128];
	glob_t found;
	size_t i;

	snprintf(pattern, sizeof(pattern), "%s.*", fixture.serial);
	if (glob(pattern, 0, NULL, &found) != 0)
		return;
	for (i = 0; i < found.gl_pathc; i++)
		unlink(found.gl_pathv[i]);
	globfree(&found);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_serial_twice)};
	int failed;

	fixture_init(&fixture);
	lanes_init();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	drafts_remove();
	fixture_fini(&fixture);
	return failed;
}

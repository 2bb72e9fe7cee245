/* SPDX-License-Identifier: BSD-3-Clause */

/* The main thread's work, run for real in a thread, under a real-time clock that the test steps. */

#include "dataplane/housekeeping.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>

#include "setup_fixture.h"

#define PATIENCE_MS 5000

static atomic_llong step_us;
static struct setup setup;
static struct housekeeping house;
static struct failure failure;
static int control;
static pthread_t runner;
static atomic_bool has_ended;
static atomic_uint watch_count;
static atomic_bool is_lost;
static int run_status;

int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int
__wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int status = __real_clock_gettime(clock, now);
	long long ns;

	if (clock != CLOCK_REALTIME)
		return status;
	ns = now->tv_nsec + atomic_load(&step_us) * 1000;
	now->tv_sec += ns / 1000000000;
	now->tv_nsec = (long)(ns % 1000000000);
	return status;
}

static void
sleep_ms(long ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

static uint64_t
mono_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int
watch_count_up(void *context, struct failure *reason)
{
	atomic_fetch_add((atomic_uint *)context, 1);
	return atomic_load(&is_lost) ? failure_set(reason, ENODEV, "lost") : 0;
}

static void *
runner_run(void *argument)
{
	run_status = housekeeping_run(&house, watch_count_up, &watch_count, &failure);
	atomic_store(&has_ended, true);
	return argument;
}

/* Statistics and two rings, as setup_receive would have mapped them. */
static int
house_start(void **state)
{
	uint64_t ring_size = verdict_ring_size(FIXTURE_RING_SLOTS);
	void *memory;
	int ends[2];

	(void)state;
	memset(&setup, 0, sizeof(setup));
	atomic_store(&step_us, 0);
	atomic_store(&has_ended, false);
	atomic_store(&watch_count, 0);
	atomic_store(&is_lost, false);
	memset(&failure, 0, sizeof(failure));
	fixture_need(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0, "socketpair");
	control = ends[0];
	setup.fd = ends[1];
	setup.config = fixture_config(1);
	close(fixture_memory(stats_size(1), 0, &memory));
	setup.stats = memory;
	close(fixture_memory(ring_size, 0, &memory));
	verdict_ring_format(memory, FIXTURE_RING_SLOTS, VERDICT_RING_DELIVERY, 0, 0);
	setup.delivery[0][0] = memory;
	close(fixture_memory(ring_size, 0, &memory));
	verdict_ring_format(memory, FIXTURE_RING_SLOTS, VERDICT_RING_REFUSAL, 0, 0);
	setup.refusal[0] = memory;
	fixture_need(housekeeping_init(&house, &setup, &failure) == 0, "housekeeping");
	fixture_need(pthread_create(&runner, NULL, runner_run, NULL) == 0, "thread");
	sleep_ms(20);
	return 0;
}

static int
house_stop(void **state)
{
	uint64_t ring_size = verdict_ring_size(FIXTURE_RING_SLOTS);

	(void)state;
	shutdown(control, SHUT_RDWR);
	pthread_join(runner, NULL);
	housekeeping_fini(&house);
	close(control);
	close(setup.fd);
	munmap(setup.stats, stats_size(1));
	munmap(setup.delivery[0][0], ring_size);
	munmap(setup.refusal[0], ring_size);
	return 0;
}

static bool
ends_in_time(void)
{
	for (unsigned ms = 0; ms < PATIENCE_MS && !atomic_load(&has_ended); ms++)
		sleep_ms(1);
	return atomic_load(&has_ended);
}

/* Waits until `count` steps are counted, then a little longer for one too many. */
static uint64_t
steps_after(uint64_t count)
{
	for (unsigned ms = 0; ms < PATIENCE_MS && setup.stats->clock_steps < count; ms++)
		sleep_ms(1);
	sleep_ms(120);
	return setup.stats->clock_steps;
}

static void
test_heart_beats_at_least_each_100_ms(void **state)
{
	uint64_t oldest_us = 0;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		uint64_t age_us;

		sleep_ms(10);
		age_us = mono_us() - setup.stats->heartbeat_us;
		oldest_us = age_us > oldest_us ? age_us : oldest_us;
	}
	/* Half of what is promised is waited; a busy machine gets the other half and more. */
	assert_true(oldest_us < 1000000);
	assert_true(setup.stats->heartbeat_us != 0);
}

static void
test_steps_of_the_clock_are_counted(void **state)
{
	(void)state;
	assert_int_equal(steps_after(0), 0);
	atomic_store(&step_us, 3600 * 1000000ll);
	assert_int_equal(steps_after(1), 1);
	atomic_store(&step_us, -150000);
	assert_int_equal(steps_after(2), 2);
}

static void
test_small_corrections_are_no_steps(void **state)
{
	(void)state;
	atomic_store(&step_us, 60000);
	assert_int_equal(steps_after(0), 0);
	atomic_store(&step_us, 0);
	assert_int_equal(steps_after(0), 0);
}

static void
test_stop_ends_it(void **state)
{
	struct setup_object stop = fixture_object(0, 0, 0, 0);

	(void)state;
	stop.type = SETUP_STOP;
	assert_false(atomic_load(&has_ended));
	fixture_send(control, &stop, -1);
	assert_true(ends_in_time());
}

static void
test_end_of_file_ends_it(void **state)
{
	(void)state;
	shutdown(control, SHUT_WR);
	assert_true(ends_in_time());
	assert_int_equal(run_status, 0);
	assert_int_equal(failure.error, 0);
}

static void
test_ports_are_watched_at_a_low_rate(void **state)
{
	(void)state;
	sleep_ms(1000);
	/* Five times a second, and once at once; less often on a busy machine. */
	assert_in_range(atomic_load(&watch_count), 2, 6);
}

static void
test_lost_port_ends_it(void **state)
{
	(void)state;
	atomic_store(&is_lost, true);
	assert_true(ends_in_time());
	assert_int_equal(run_status, -ENODEV);
	assert_int_equal(failure.error, ENODEV);
	assert_string_equal(failure.text, "lost");
}

static void
test_signals_end_it(void **state)
{
	struct signalfd_siginfo info;

	(void)state;
	assert_int_equal(kill(getpid(), SIGTERM), 0);
	assert_true(ends_in_time());
	/* Or it would end the next test's as well. */
	assert_int_equal(read(house.signal_fd, &info, sizeof(info)), sizeof(info));
	assert_int_equal(info.ssi_signo, SIGTERM);
}

static void
test_other_messages_do_not_end_it(void **state)
{
	struct setup_object other = fixture_object(0, 0, 0, 0);

	(void)state;
	fixture_send(control, &other, -1);
	sleep_ms(120);
	assert_false(atomic_load(&has_ended));
}

/* A reader that sleeps until head moves; tells when it woke. */
struct sleeper {
	struct verdict_ring *ring;
	_Atomic uint64_t woken_us;
};

static void *
sleeper_run(void *argument)
{
	struct sleeper *sleeper = argument;

	while (atomic_load(&sleeper->ring->head) == 0)
		syscall(SYS_futex, &sleeper->ring->head, FUTEX_WAIT, 0, NULL, NULL, 0);
	atomic_store(&sleeper->woken_us, mono_us());
	return NULL;
}

/* Moves head as a writer does. Returns whether the reader woke in time. */
static bool
wakes_reader_of(struct verdict_ring *ring, bool is_told)
{
	struct sleeper sleeper = {.ring = ring};
	const uint64_t one = 1;
	pthread_t thread;
	bool has_woken;

	fixture_need(pthread_create(&thread, NULL, sleeper_run, &sleeper) == 0, "thread");
	sleep_ms(150);
	atomic_store_explicit(&ring->head, 1, memory_order_release);
	if (is_told)
		fixture_need(write(house.wake_fd, &one, sizeof(one)) == sizeof(one), "eventfd");
	for (unsigned ms = 0; ms < PATIENCE_MS && !atomic_load(&sleeper.woken_us); ms++)
		sleep_ms(1);
	has_woken = atomic_load(&sleeper.woken_us) != 0;
	if (!has_woken)
		syscall(SYS_futex, &ring->head, FUTEX_WAKE, 1, NULL, NULL, 0);
	pthread_join(thread, NULL);
	return has_woken;
}

static void
test_sleeping_readers_are_woken(void **state)
{
	(void)state;
	assert_true(wakes_reader_of(setup.delivery[0][0], false));
	assert_true(wakes_reader_of(setup.refusal[0], true));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_start, house_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_heart_beats_at_least_each_100_ms),
		TEST(test_steps_of_the_clock_are_counted),
		TEST(test_small_corrections_are_no_steps),
		TEST(test_stop_ends_it),
		TEST(test_end_of_file_ends_it),
		TEST(test_ports_are_watched_at_a_low_rate),
		TEST(test_lost_port_ends_it),
		TEST(test_signals_end_it),
		TEST(test_other_messages_do_not_end_it),
		TEST(test_sleeping_readers_are_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

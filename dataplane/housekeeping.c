/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/housekeeping.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* Between two looks: while verdicts come, and when none do (a worker that ends a sleep says so). */
#define LOOK_BUSY_MS 1
#define LOOK_IDLE_MS 50
/* So many looks without a verdict before they get rarer. */
#define LOOKS_BUSY 20
/* A lost port is noticed soon, and an idle gateway costs nothing. */
#define WATCH_EACH_US 200000
/* Slewing moves a clock by 0.5 ms per second at most: more between two looks is a step. */
#define CLOCK_STEP_US 100000

static int64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int
housekeeping_init(struct housekeeping *house, const struct setup *setup, struct failure *failure)
{
	sigset_t signals;

	memset(house, 0, sizeof(*house));
	house->setup = setup;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	house->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	house->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (house->signal_fd < 0 || house->wake_fd < 0)
		return failure_set(failure, errno, "cannot wait for signals: %s", strerror(errno));
	waker_init(&house->waker, setup);
	return 0;
}

void
housekeeping_fini(struct housekeeping *house)
{
	close(house->wake_fd);
	close(house->signal_fd);
}

/* A step neither opens nor closes windows, but credentials may now look too old or too young. */
static void
clock_watch(struct housekeeping *house)
{
	struct stats_header *stats = house->setup->stats;
	int64_t offset_us = clock_us(CLOCK_REALTIME) - clock_us(CLOCK_MONOTONIC);
	int64_t step_us = offset_us - house->clock_offset_us;

	house->clock_offset_us = offset_us;
	if (llabs(step_us) <= CLOCK_STEP_US)
		return;
	atomic_fetch_add(&stats->clock_steps, 1);
	note("the real-time clock was stepped by %+.3f s: credentials may be refused as expired or "
	     "not yet valid; check its synchronisation",
		(double)step_us / 1e6);
}

void
housekeeping_beat(struct housekeeping *house)
{
	atomic_store_explicit(&house->setup->stats->heartbeat_us,
		(uint64_t)clock_us(CLOCK_MONOTONIC), memory_order_relaxed);
}

/* Returns whether verdicts came since the last look. */
static bool
look(struct housekeeping *house)
{
	housekeeping_beat(house);
	clock_watch(house);
	return waker_look(&house->waker);
}

/* Waits until there is something to look at. Returns false when it is time to end. */
static bool
look_wait(struct housekeeping *house, int wait_ms)
{
	struct pollfd sources[] = {
		{.fd = house->setup->fd, .events = POLLIN},
		{.fd = house->signal_fd, .events = POLLIN},
		{.fd = house->wake_fd, .events = POLLIN},
	};
	uint64_t count;

	if (poll(sources, 3, wait_ms) <= 0)
		return true;
	if (sources[2].revents && read(house->wake_fd, &count, sizeof(count)) < 0)
		(void)0; /* another look is never wrong */
	return !(sources[0].revents && setup_is_over(house->setup)) && !sources[1].revents;
}

static bool
watch_is_due(struct housekeeping *house)
{
	int64_t now_us = clock_us(CLOCK_MONOTONIC);

	if (now_us < house->watch_due_us)
		return false;
	house->watch_due_us = now_us + WATCH_EACH_US;
	return true;
}

int
housekeeping_run(struct housekeeping *house, housekeeping_watch_t *watch, void *context,
	struct failure *failure)
{
	unsigned quiet = 0;
	int status = 0;

	house->clock_offset_us = clock_us(CLOCK_REALTIME) - clock_us(CLOCK_MONOTONIC);
	do {
		quiet = look(house) ? 0 : quiet + 1;
		if (watch_is_due(house))
			status = watch(context, failure);
	} while (status == 0 && look_wait(house, quiet < LOOKS_BUSY ? LOOK_BUSY_MS : LOOK_IDLE_MS));
	return status;
}

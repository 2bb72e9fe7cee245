/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/path_pair.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Of so many batches the median counts: a thread that loses its CPU spoils one. */
#define RTT_BATCHES 5u
#define RTT_ROUNDS  300u

/* What the threads share. Lines in pairs: CPUs may fetch two at a time. */
struct meeting {
	_Alignas(128) _Atomic uint32_t arrived;
	_Alignas(128) _Atomic uint32_t ping;
	_Alignas(128) _Atomic uint32_t pong;
	_Alignas(128) unsigned workers;
	double rtt_ns[2];
};

struct side {
	struct meeting *meeting;
	struct path_rig *rig;
	unsigned worker;
	unsigned cpu;
	uint32_t *cycles; /* NULL: not by stages */
	double begin_ns;
	double end_ns;
	bool is_whole;
	pthread_t thread;
};

bool
path_pair_cpus(unsigned cpus[2])
{
	cpu_set_t set;
	unsigned count = 0;
	unsigned cpu;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return false;
	for (cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus[count++] = cpu;
	return count == 2;
}

static double
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* How often this thread has lost its CPU to another. */
static long
losses(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_nivcsw;
}

/* Goes on when all have come. They spin: who sleeps here would begin late. */
static void
meet(struct meeting *meeting)
{
	const uint32_t before = atomic_fetch_add(&meeting->arrived, 1);
	const uint32_t all = (before / meeting->workers + 1) * meeting->workers;

	while (atomic_load_explicit(&meeting->arrived, memory_order_acquire) < all)
		;
}

static double
rtt_batch(struct meeting *meeting, uint32_t before)
{
	const double begin_ns = now_ns();
	uint32_t round;

	for (round = before + 1; round <= before + RTT_ROUNDS; round++) {
		atomic_store_explicit(&meeting->ping, round, memory_order_release);
		while (atomic_load_explicit(&meeting->pong, memory_order_acquire) != round)
			;
	}
	return (now_ns() - begin_ns) / RTT_ROUNDS;
}

static int
double_compare(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* Worker 0 asks, worker 1 answers; `before` rounds were done already. */
static double
rtt_ask(struct meeting *meeting, uint32_t before)
{
	double batches[RTT_BATCHES];
	unsigned i;

	for (i = 0; i < RTT_BATCHES; i++)
		batches[i] = rtt_batch(meeting, before + i * RTT_ROUNDS);
	qsort(batches, RTT_BATCHES, sizeof(batches[0]), double_compare);
	return batches[RTT_BATCHES / 2];
}

static void
rtt_answer(struct meeting *meeting, uint32_t before)
{
	uint32_t round;

	for (round = before + 1; round <= before + RTT_BATCHES * RTT_ROUNDS; round++) {
		while (atomic_load_explicit(&meeting->ping, memory_order_acquire) != round)
			;
		atomic_store_explicit(&meeting->pong, round, memory_order_release);
	}
}

static void
rtt_measure(struct side *side, unsigned time)
{
	const uint32_t before = time * RTT_BATCHES * RTT_ROUNDS;

	if (side->meeting->workers == 1)
		return;
	if (side->worker == 0)
		side->meeting->rtt_ns[time] = rtt_ask(side->meeting, before);
	else
		rtt_answer(side->meeting, before);
}

static void *
side_run(void *argument)
{
	struct side *side = argument;
	long lost;

	rtt_measure(side, 0);
	path_rig_claim(side->rig, side->worker);
	lost = losses();
	meet(side->meeting);
	side->begin_ns = now_ns();
	if (side->cycles != NULL)
		path_rig_walk_stages(side->rig, side->worker, side->cycles);
	else
		path_rig_walk(side->rig, side->worker);
	side->end_ns = now_ns();
	side->is_whole = losses() == lost;
	meet(side->meeting);
	rtt_measure(side, 1);
	return NULL;
}

/* A thread that starts on its CPU. */
static bool
side_start(struct side *side)
{
	pthread_attr_t attributes;
	cpu_set_t set;
	int error;

	CPU_ZERO(&set);
	CPU_SET(side->cpu, &set);
	pthread_attr_init(&attributes);
	pthread_attr_setaffinity_np(&attributes, sizeof(set), &set);
	error = pthread_create(&side->thread, &attributes, side_run, side);
	pthread_attr_destroy(&attributes);
	if (error != 0)
		fprintf(stderr, "path_pair: no thread on CPU %u: %s\n", side->cpu, strerror(error));
	return error == 0;
}

static void
time_fill(struct path_pair_time *time, const struct meeting *meeting, const struct side *sides)
{
	double begin_ns = sides[0].begin_ns;
	double end_ns = sides[0].end_ns;
	unsigned i;

	time->is_whole = sides[0].is_whole;
	for (i = 1; i < meeting->workers; i++) {
		begin_ns = sides[i].begin_ns < begin_ns ? sides[i].begin_ns : begin_ns;
		end_ns = sides[i].end_ns > end_ns ? sides[i].end_ns : end_ns;
		time->is_whole &= sides[i].is_whole;
	}
	time->ns = end_ns - begin_ns;
	memcpy(time->rtt_ns, meeting->rtt_ns, sizeof(time->rtt_ns));
}

void
path_pair_walk(struct path_rig *rig, unsigned workers, const unsigned *cpus,
	uint32_t *const *cycles, struct path_pair_time *time)
{
	struct meeting meeting = {.workers = workers};
	struct side sides[PATH_WORKERS_MAX] = {{0}};
	const uint64_t busy = path_rig_busy(rig);
	unsigned i;

	for (i = 0; i < workers; i++) {
		sides[i] = (struct side){
			.meeting = &meeting,
			.rig = rig,
			.worker = i,
			.cpu = cpus[i],
			.cycles = cycles == NULL ? NULL : cycles[i],
		};
		/* Whoever has started waits for the others: there is no way back. */
		if (!side_start(&sides[i]))
			exit(1);
	}
	for (i = 0; i < workers; i++)
		pthread_join(sides[i].thread, NULL);
	time_fill(time, &meeting, sides);
	time->busy = path_rig_busy(rig) - busy;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * credgate-rtt: how far two CPUs are from each other, as the time of a round trip of one cache
 * line. On a virtual machine two CPUs move between a near and a far state within seconds, and every
 * figure that two cores make together moves with them: it is compared only with a neighbour in time
 * that had the same round trip.
 *
 * Implementation notes: two threads, each on its CPU, answer each other through a line each. The
 * round trips are counted in batches, and the median of the batches is the answer: a thread that
 * loses its CPU to somebody spoils one batch, not the figure. The waits spin without a pause, as a
 * poll loop's do.
 */

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH_ROUNDS    1000u /* about 0.1 to 0.6 ms: shorter than a time slice */
#define BATCHES_DEFAULT 101u
#define BATCHES_MAX     10001u
#define EXIT_SKIP       77

/* A line each, and the neighbour line empty: CPUs may fetch two at a time. */
static struct {
	_Alignas(128) _Atomic uint64_t ping;
	_Alignas(128) _Atomic uint64_t pong;
} lines;

static struct {
	unsigned cpus[2];
	unsigned batches;
	bool is_json;
} options = {.cpus = {0, 1}, .batches = BATCHES_DEFAULT};

static const struct option options_long[] = {
	{"cpus", required_argument, NULL, 'c'},
	{"batches", required_argument, NULL, 'b'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static void
usage(FILE *to)
{
	fputs("Usage: credgate-rtt [--cpus A,B] [--batches N] [--json]\n"
	      "\n"
	      "Prints the round trip of a cache line between two CPUs.\n"
	      "  --cpus A,B   which (default 0,1)\n"
	      "  --batches N  of 1,000 round trips each; the median counts (default 101)\n"
	      "  --json       one JSON object: cpus, ns (median), ns_min, ns_max, batches\n"
	      "Exit code 77: this machine or process does not have both CPUs.\n",
		to);
}

static bool
cpus_parse(const char *text)
{
	int end = 0;

	return sscanf(text, "%4u,%4u%n", &options.cpus[0], &options.cpus[1], &end) == 2 &&
	       text[end] == '\0' && options.cpus[0] != options.cpus[1] &&
	       options.cpus[0] < CPU_SETSIZE && options.cpus[1] < CPU_SETSIZE;
}

static bool
batches_parse(const char *text)
{
	char *end;
	unsigned long count = strtoul(text, &end, 10);

	options.batches = (unsigned)count;
	return end != text && *end == '\0' && count > 0 && count <= BATCHES_MAX;
}

static bool
options_parse(int argc, char **argv)
{
	bool is_good = true;
	int option;

	while (is_good && (option = getopt_long(argc, argv, "", options_long, NULL)) != -1)
		switch (option) {
		case 'c':
			is_good = cpus_parse(optarg);
			break;
		case 'b':
			is_good = batches_parse(optarg);
			break;
		case 'j':
			options.is_json = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			is_good = false;
		}
	return is_good && optind == argc;
}

static int
cpu_take(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static bool
has_cpu(unsigned cpu)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_ISSET(cpu, &set);
}

/* The far end: answers each ping with its number, to the last one. */
static void *
answer(void *argument)
{
	const uint64_t last = (uint64_t)options.batches * BATCH_ROUNDS;

	(void)argument;
	cpu_take(options.cpus[1]);
	for (uint64_t round = 1; round <= last; round++) {
		while (atomic_load_explicit(&lines.ping, memory_order_acquire) != round)
			;
		atomic_store_explicit(&lines.pong, round, memory_order_release);
	}
	return NULL;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Nanoseconds per round trip of one batch, beginning after round `before`. */
static double
batch_measure(uint64_t before)
{
	uint64_t start = now_ns();

	for (uint64_t round = before + 1; round <= before + BATCH_ROUNDS; round++) {
		atomic_store_explicit(&lines.ping, round, memory_order_release);
		while (atomic_load_explicit(&lines.pong, memory_order_acquire) != round)
			;
	}
	return (double)(now_ns() - start) / BATCH_ROUNDS;
}

static int
double_compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static void
report(const double *ns)
{
	double median = ns[options.batches / 2], least = ns[0], most = ns[options.batches - 1];

	if (options.is_json)
		printf("{\"name\": \"rtt\", \"cpus\": [%u, %u], \"ns\": %.1f, \"ns_min\": %.1f, "
		       "\"ns_max\": %.1f, \"batches\": %u}\n",
			options.cpus[0], options.cpus[1], median, least, most, options.batches);
	else
		printf("round trip between CPU %u and CPU %u: %.0f ns (%.0f to %.0f)\n",
			options.cpus[0], options.cpus[1], median, least, most);
}

static int
measure(double *ns)
{
	pthread_t thread;
	int error = cpu_take(options.cpus[0]);

	if (error == 0)
		error = pthread_create(&thread, NULL, answer, NULL);
	if (error != 0)
		return error;
	for (unsigned batch = 0; batch < options.batches; batch++)
		ns[batch] = batch_measure((uint64_t)batch * BATCH_ROUNDS);
	pthread_join(thread, NULL);
	qsort(ns, options.batches, sizeof(*ns), double_compare);
	return 0;
}

int
main(int argc, char **argv)
{
	static double ns[BATCHES_MAX];
	int error;

	if (!options_parse(argc, argv)) {
		usage(stderr);
		return 2;
	}
	for (unsigned i = 0; i < 2; i++)
		if (!has_cpu(options.cpus[i])) {
			fprintf(stderr, "credgate-rtt: CPU %u is not there, or not allowed\n",
				options.cpus[i]);
			return EXIT_SKIP;
		}
	error = measure(ns);
	if (error != 0) {
		fprintf(stderr, "credgate-rtt: cannot start a thread: %s\n", strerror(error));
		return 1;
	}
	report(ns);
	return 0;
}

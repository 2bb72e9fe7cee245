/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/peers/program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void
program_fail(const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

uint64_t
program_number(const char *option, const char *text, uint64_t min, uint64_t max)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < min || value > max)
		program_fail("--%s %s: give a whole number from %llu to %llu", option, text,
			(unsigned long long)min, (unsigned long long)max);
	return value;
}

struct sockaddr_in
program_address(const char *option, const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	const char *colon = strchr(text, ':');
	char host[INET_ADDRSTRLEN] = {0};
	const size_t size = colon != NULL ? (size_t)(colon - text) : strlen(text);

	if (size < sizeof(host))
		memcpy(host, text, size);
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		program_fail("--%s %s: give an IPv4 address such as 10.77.0.1:7475", option, text);
	if (colon != NULL)
		address.sin_port = htons((uint16_t)program_number(option, colon + 1, 0, 65535));
	return address;
}

void
program_pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		program_fail("cannot stay on CPU %u: %s", cpu, strerror(errno));
}

static sigset_t
hold_set(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return set;
}

void
program_hold_prepare(void)
{
	const sigset_t set = hold_set();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

void
program_hold_wait(void)
{
	const sigset_t set = hold_set();

	sigwaitinfo(&set, NULL);
}

double
program_seconds(int clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int
compare(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

double
program_median(double *values, size_t count)
{
	qsort(values, count, sizeof(values[0]), compare);
	return values[count / 2];
}

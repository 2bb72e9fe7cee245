/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/failure.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000ll

/* When the lines written so far are paid for, monotonic clock; and those that were not written. */
static _Atomic int64_t paid_ns;
static _Atomic unsigned left_out;

int
failure_set(struct failure *failure, int error, const char *format, ...)
{
	va_list arguments;

	failure->error = error;
	va_start(arguments, format);
	vsnprintf(failure->text, sizeof(failure->text), format, arguments);
	va_end(arguments);
	return -error;
}

/* A line costs a second, of which NOTES_BURST may be owed. */
static bool
line_pay(void)
{
	int64_t before = atomic_load(&paid_ns), now_ns, after;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = now.tv_sec * SECOND_NS + now.tv_nsec;
	do {
		after = (before > now_ns ? before : now_ns) + SECOND_NS;
		if (after > now_ns + NOTES_BURST * SECOND_NS) {
			atomic_fetch_add(&left_out, 1);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&paid_ns, &before, after));
	return true;
}

__attribute__((format(printf, 1, 0))) static void
line_write(const char *format, va_list arguments)
{
	char line[512];
	int size;

	size = snprintf(line, sizeof(line), "credgate-dataplane: ");
	vsnprintf(line + size, sizeof(line) - (size_t)size - 1, format, arguments);
	/* One write, so that lines of several threads and of the log's other writers stay whole. */
	size = (int)strlen(line);
	line[size] = '\n';
	if (write(STDERR_FILENO, line, (size_t)size + 1) < 0)
		return;
}

__attribute__((format(printf, 1, 2))) static void
line_tell(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	line_write(format, arguments);
	va_end(arguments);
}

void
note(const char *format, ...)
{
	va_list arguments;
	unsigned count;

	if (!line_pay())
		return;
	count = atomic_exchange(&left_out, 0);
	if (count > 0)
		line_tell("%u more lines were left out", count);
	va_start(arguments, format);
	line_write(format, arguments);
	va_end(arguments);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/fail.h"

#include <stdarg.h>
#include <stdio.h>

int
fail(const char *format, ...)
{
	char line[512];
	va_list values;

	va_start(values, format);
	vsnprintf(line, sizeof(line), format, values);
	va_end(values);
	fprintf(stderr, "credgate-loadgen: %s\n", line);
	return -1;
}

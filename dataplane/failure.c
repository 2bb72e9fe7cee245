/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

void
note(const char *format, ...)
{
	char line[512];
	va_list arguments;
	int size;

	size = snprintf(line, sizeof(line), "credgate-dataplane: ");
	va_start(arguments, format);
	vsnprintf(line + size, sizeof(line) - (size_t)size - 1, format, arguments);
	va_end(arguments);
	/* One write, so that lines of several threads and of the log's other writers stay whole. */
	size = (int)strlen(line);
	line[size] = '\n';
	if (write(STDERR_FILENO, line, (size_t)size + 1) < 0)
		return;
}

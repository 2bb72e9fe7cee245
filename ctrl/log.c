/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "ctrl/clock.h"

#define LINE_SIZE 1024

/* One write per line, so that lines of credgated and of its dataplane do not mix. */
__attribute__((format(printf, 3, 0))) static void
line_write(const char *level, const char *object, const char *format, va_list args)
{
	char text[LINE_SIZE], line[LINE_SIZE + 128];
	int length;

	vsnprintf(text, sizeof(text), format, args);
	for (char *c = text; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	length = snprintf(line, sizeof(line), "%s: %.64s: %s\n", level, object, text);
	if (length > 0)
		fwrite(line, 1, (size_t)length, stderr);
	fflush(stderr);
}

void
log_error(const char *object, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line_write("error", object, format, args);
	va_end(args);
}

void
log_warning(const char *object, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line_write("warning", object, format, args);
	va_end(args);
}

void
log_info(const char *object, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	line_write("info", object, format, args);
	va_end(args);
}

void
log_limited(struct log_limit *limit, const char *object, const char *format, ...)
{
	uint64_t now_us = clock_mono_us();
	va_list args;

	if (limit->lines == 0 || now_us - limit->second_us >= 1000000) {
		if (limit->left_out > 0)
			log_warning(
				object, "%u more lines like this were left out", limit->left_out);
		limit->second_us = now_us;
		limit->lines = 0;
		limit->left_out = 0;
	}
	if (limit->lines++ >= LOG_LIMIT_BURST) {
		limit->left_out++;
		return;
	}
	va_start(args, format);
	line_write("warning", object, format, args);
	va_end(args);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/reason.h"

#include <stdarg.h>
#include <stdio.h>

int
reason_set(struct reason *reason, int error, const char *format, ...)
{
	va_list args;

	if (reason == NULL)
		return -error;
	reason->error = error;
	va_start(args, format);
	vsnprintf(reason->text, sizeof(reason->text), format, args);
	va_end(args);
	return -error;
}

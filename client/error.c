/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/error_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <credgate/verdict.h>

static _Thread_local char message[CLIENT_ERROR_SIZE];

int
client_fail(int error, const char *format, ...)
{
	const int saved = errno;
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	errno = saved;
	return -error;
}

const char *
cg_error(void)
{
	return message;
}

static size_t
size_of(const void *theirs)
{
	size_t size;

	memcpy(&size, theirs, sizeof(size));
	return size;
}

int
client_struct_check(const void *theirs, size_t base, const char *name)
{
	if (theirs == NULL)
		return client_fail(EINVAL, "%s is NULL", name);
	if (size_of(theirs) < base)
		return client_fail(EINVAL, "%s has size %zu, not %zu: set its member `size` first",
			name, size_of(theirs), base);
	return 0;
}

int
client_struct_take(void *ours, size_t size, size_t base, const void *theirs, const char *name)
{
	const uint8_t *bytes = theirs;
	size_t given, i;
	int rc = client_struct_check(theirs, base, name);

	if (rc != 0)
		return rc;
	given = size_of(theirs);
	for (i = size; i < given; i++) {
		if (bytes[i] != 0)
			return client_fail(E2BIG,
				"%s says something this libcredgate does not know: update it",
				name);
	}
	memset(ours, 0, size);
	memcpy(ours, theirs, given < size ? given : size);
	return 0;
}

void
client_struct_give(void *theirs, const void *ours, size_t size)
{
	size_t given = size_of(theirs);

	memset(theirs, 0, given);
	memcpy(theirs, ours, given < size ? given : size);
	memcpy(theirs, &given, sizeof(given));
}

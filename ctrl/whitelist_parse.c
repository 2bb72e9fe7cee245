/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/whitelist_parse.h"

#include <errno.h>
#include <string.h>

#include "ctrl/names.h"

#define LINE_SIZE 4096

/* What node.add takes, and the brackets of ranges. */
#define LETTERS                                                             \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-" \
	"[],"

static int
name_take(void *context, const char *name)
{
	struct name_set *set = context;

	if (set->count >= WHITELIST_NAMES_MAX)
		return -E2BIG;
	return name_set_add(set, name);
}

static int
line_fail(struct reason *reason, const char *path, unsigned line, const char *what)
{
	return reason_set(reason, EINVAL, "%.255s:%u: %.200s", path, line, what);
}

/* A line without comment and blanks around it, and not empty. */
static int
pattern_take(struct name_set *set, const char *path, unsigned line, const char *pattern,
	struct reason *reason)
{
	char fault[NAMES_FAULT_SIZE] = "";
	int error;

	if (strspn(pattern, LETTERS) != strlen(pattern) || pattern[0] == '-' || pattern[0] == '.')
		return line_fail(reason, path, line,
			"is no name; write one name such as n17 or n[001-512] on a line");
	error = names_expand(pattern, name_take, set, fault);
	if (error == -ENOMEM)
		return reason_set(reason, ENOMEM, "%.255s: no memory for its names", path);
	if (error == -E2BIG)
		return line_fail(
			reason, path, line, "more than 1048576 names; leave the key out instead");
	return error != 0 ? line_fail(reason, path, line, fault) : 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static int
line_take(struct name_set *set, const char *path, unsigned line, const char *begin, size_t size,
	struct reason *reason)
{
	const char *comment = memchr(begin, '#', size);
	char pattern[LINE_SIZE];

	if (comment != NULL)
		size = (size_t)(comment - begin);
	while (size > 0 && is_blank(begin[size - 1]))
		size--;
	while (size > 0 && is_blank(*begin)) {
		begin++;
		size--;
	}
	if (size == 0)
		return 0;
	if (size >= LINE_SIZE)
		return line_fail(reason, path, line, "is longer than 4095 bytes; split it");
	memcpy(pattern, begin, size);
	pattern[size] = '\0';
	if (strlen(pattern) != size)
		return line_fail(reason, path, line, "has a zero byte; is it a text file?");
	return pattern_take(set, path, line, pattern, reason);
}

int
whitelist_parse(struct name_set *set, const char *path, const char *text, size_t size,
	struct reason *reason)
{
	const char *end = text + size;
	unsigned line = 1;
	int error = 0;

	while (error == 0 && text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		if (stop == NULL)
			stop = end;
		error = line_take(set, path, line++, text, (size_t)(stop - text), reason);
		text = stop + 1;
	}
	if (error != 0)
		name_set_clear(set);
	return error;
}

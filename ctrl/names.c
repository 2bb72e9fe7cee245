/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/names.h"

/* Digits of a number in a range; so a name never outgrows an int. */
#define NAMES_DIGITS_MAX 9

/* An expansion under way: `name` is what was made of the pattern so far. */
struct expansion {
	int (*each)(void *context, const char *name);
	void *context;
	size_t count;
	char *fault; /* gets what is wrong, unless NULL */
	char name[NAMES_NAME_SIZE];
};

static int __attribute__((format(printf, 2, 3)))
wrong(const struct expansion *names, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (names->fault)
		vsnprintf(names->fault, NAMES_FAULT_SIZE, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* About one entry of a bracket; as much of it is shown as a good one can have. */
static int
wrong_entry(const struct expansion *names, const char *entry, const char *what)
{
	size_t size = strcspn(entry, ",]"), most = 2 * NAMES_DIGITS_MAX + 1;

	if (size == 0)
		return wrong(names, "an empty range: they are written [001-128,200]");
	return wrong(names, "range %.*s%s %s", (int)(size < most ? size : most), entry,
		size > most ? "..." : "", what);
}

static int
wrong_size(const struct expansion *names)
{
	return wrong(names, "a name has at most %d characters", NAMES_NAME_SIZE - 1);
}

static int pattern_expand(struct expansion *names, size_t size, const char *pattern);

/* Takes digits from *text; *width is how many there were. */
static int
digits(const char **text, unsigned long *number, int *width)
{
	char *end;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	*number = strtoul(*text, &end, 10);
	*width = (int)(end - *text);
	*text = end;
	return *width > NAMES_DIGITS_MAX ? -EINVAL : 0;
}

/* Parses one entry of a bracket, "7" or "001-128". */
static int
entry_parse(const struct expansion *names, const char **entry, unsigned long *first,
	unsigned long *last, int *width)
{
	const char *begin = *entry;
	int last_width;

	if (digits(entry, first, width))
		return wrong_entry(names, begin, "is not two numbers of at most 9 digits");
	*last = *first;
	if (**entry == '-') {
		++*entry;
		if (digits(entry, last, &last_width))
			return wrong_entry(names, begin, "is not two numbers of at most 9 digits");
	}
	if (**entry != ',' && **entry != ']')
		return wrong_entry(names, begin, "is not two numbers of at most 9 digits");
	if (*last < *first)
		return wrong_entry(names, begin, "runs backwards");
	if (*last - *first >= NAMES_MAX)
		return wrong_entry(names, begin, "has more than 1048576 names");
	return 0;
}

/* The names of one entry of a bracket; `rest` is the pattern behind the bracket. */
static int
names_range(struct expansion *names, size_t size, const char **entry, const char *rest)
{
	unsigned long first = 0, last = 0;
	int width = 0, written, status = entry_parse(names, entry, &first, &last, &width);

	for (; status == 0 && first <= last; first++) {
		written =
			snprintf(names->name + size, NAMES_NAME_SIZE - size, "%0*lu", width, first);
		if (size + (size_t)written >= NAMES_NAME_SIZE)
			return wrong_size(names);
		status = pattern_expand(names, size + (size_t)written, rest);
	}
	return status;
}

static int
names_bracket(struct expansion *names, size_t size, const char *pattern)
{
	const char *end = strchr(pattern, ']'), *entry = pattern + 1;
	int status;

	if (!end)
		return wrong(names, "']' is missing");
	do {
		status = names_range(names, size, &entry, end + 1);
		if (status)
			return status;
		if (entry == end)
			return 0;
	} while (*entry++ == ',');
	return -EINVAL;
}

/* Recursion is as deep as there are brackets, and a name has room for few. */
static int
pattern_expand(struct expansion *names, size_t size, const char *pattern)
{
	for (; *pattern != '['; pattern++) {
		if (*pattern == ']')
			return wrong(names, "'[' is missing");
		if (size + (*pattern != '\0') >= NAMES_NAME_SIZE)
			return wrong_size(names);
		names->name[size] = *pattern;
		if (*pattern == '\0') {
			if (size == 0)
				return wrong(names, "a name is missing");
			if (++names->count > NAMES_MAX)
				return wrong(names, "more than %d names", NAMES_MAX);
			return names->each(names->context, names->name);
		}
		size++;
	}
	return names_bracket(names, size, pattern);
}

int
names_expand(const char *pattern, int (*each)(void *context, const char *name), void *context,
	char fault[NAMES_FAULT_SIZE])
{
	struct expansion names = {.each = each, .context = context, .fault = fault};

	return pattern_expand(&names, 0, pattern);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/cli/value.h"

/* Digits of a number in a range; so a name never outgrows an int. */
#define NAMES_DIGITS_MAX 9

/* An expansion under way: `name` is what was made of the pattern so far. */
struct names {
	int (*each)(void *context, const char *name);
	void *context;
	size_t count;
	char name[VALUE_NAME_SIZE];
};

static int names_expand(struct names *names, size_t size, const char *pattern);

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

/* One entry of a bracket, "7" or "001-128"; `rest` is the pattern behind the bracket. */
static int
names_range(struct names *names, size_t size, const char **entry, const char *rest)
{
	unsigned long first, last;
	int width, last_width, written, status;

	if (digits(entry, &first, &width))
		return -EINVAL;
	last = first;
	if (**entry == '-') {
		++*entry;
		if (digits(entry, &last, &last_width))
			return -EINVAL;
	}
	if (last < first || last - first >= VALUE_NAMES_MAX)
		return -EINVAL;
	for (; first <= last; first++) {
		written =
			snprintf(names->name + size, VALUE_NAME_SIZE - size, "%0*lu", width, first);
		if (size + (size_t)written >= VALUE_NAME_SIZE)
			return -EINVAL;
		status = names_expand(names, size + (size_t)written, rest);
		if (status)
			return status;
	}
	return 0;
}

static int
names_bracket(struct names *names, size_t size, const char *pattern)
{
	const char *end = strchr(pattern, ']'), *entry = pattern + 1;
	int status;

	if (!end)
		return -EINVAL;
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
names_expand(struct names *names, size_t size, const char *pattern)
{
	for (; *pattern != '['; pattern++) {
		if (*pattern == ']' || size + (*pattern != '\0') >= VALUE_NAME_SIZE)
			return -EINVAL;
		names->name[size] = *pattern;
		if (*pattern == '\0') {
			if (size == 0 || ++names->count > VALUE_NAMES_MAX)
				return -EINVAL;
			return names->each(names->context, names->name);
		}
		size++;
	}
	return names_bracket(names, size, pattern);
}

int
value_names(const char *pattern, int (*each)(void *context, const char *name), void *context)
{
	struct names names = {.each = each, .context = context};

	return names_expand(&names, 0, pattern);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/names_fold.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer numbers are left as they are. */
#define DIGITS_MAX 9u

/* "n" 001 "-ib"; without a number (or with one that is too long) all of it is the stem. */
struct part {
	const char *name;
	size_t stem_size;
	size_t width; /* digits; 0: no number */
	unsigned long number;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct part
part_of(const char *name)
{
	size_t end = strlen(name), begin;

	while (end > 0 && !is_digit(name[end - 1]))
		end--;
	for (begin = end; begin > 0 && is_digit(name[begin - 1]);)
		begin--;
	if (end == begin || end - begin > DIGITS_MAX)
		return (struct part){.name = name, .stem_size = strlen(name)};
	return (struct part){
		.name = name,
		.stem_size = begin,
		.width = end - begin,
		.number = strtoul(name + begin, NULL, 10),
	};
}

static const char *
tail_of(const struct part *part)
{
	return part->name + part->stem_size + part->width;
}

/* Names of one pattern are neighbours, their numbers ascending. */
static int
family_compare(const struct part *a, const struct part *b)
{
	size_t least = a->stem_size < b->stem_size ? a->stem_size : b->stem_size;
	int order = memcmp(a->name, b->name, least);

	if (order == 0 && a->stem_size != b->stem_size)
		order = a->stem_size < b->stem_size ? -1 : 1;
	if (order == 0)
		order = strcmp(tail_of(a), tail_of(b));
	if (order == 0 && a->width != b->width)
		order = a->width < b->width ? -1 : 1;
	return order;
}

static int
part_compare(const void *a_part, const void *b_part)
{
	const struct part *a = a_part, *b = b_part;
	int order = family_compare(a, b);

	if (order == 0 && a->number != b->number)
		order = a->number < b->number ? -1 : 1;
	return order;
}

/* ---- writing ---- */

/* The last of consecutive numbers that begin at `first`; what comes twice is passed over. */
static size_t
run_end(const struct part *parts, size_t first, size_t end)
{
	size_t i = first;

	while (i + 1 < end && parts[i + 1].number - parts[i].number <= 1)
		i++;
	return i;
}

static void
numbers_write(FILE *out, const struct part *parts, size_t first, size_t end)
{
	const int width = (int)parts[first].width;
	size_t last;

	for (size_t i = first; i < end; i = last + 1) {
		last = run_end(parts, i, end);
		fprintf(out, "%s%0*lu", i > first ? "," : "", width, parts[i].number);
		if (parts[last].number != parts[i].number)
			fprintf(out, "-%0*lu", width, parts[last].number);
	}
}

/* The names from `first` to before `end` have one stem, tail and width. */
static void
family_write(FILE *out, const struct part *parts, size_t first, size_t end)
{
	const struct part *part = &parts[first];

	fprintf(out, "%s", first > 0 ? " " : "");
	if (part->width == 0 || parts[end - 1].number == part->number) {
		fprintf(out, "%s", part->name);
		return;
	}
	fprintf(out, "%.*s[", (int)part->stem_size, part->name);
	numbers_write(out, parts, first, end);
	fprintf(out, "]%s", tail_of(part));
}

static void
all_write(FILE *out, const struct part *parts, size_t count)
{
	size_t end;

	for (size_t first = 0; first < count; first = end) {
		for (end = first + 1;
			end < count && family_compare(&parts[first], &parts[end]) == 0;)
			end++;
		family_write(out, parts, first, end);
	}
}

char *
names_fold(const char *const *names, size_t count)
{
	struct part *parts = calloc(count + 1, sizeof(*parts));
	char *text = NULL;
	size_t size;
	FILE *out = parts != NULL ? open_memstream(&text, &size) : NULL;

	if (out == NULL) {
		free(parts);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		parts[i] = part_of(names[i]);
	qsort(parts, count, sizeof(*parts), part_compare);
	all_write(out, parts, count);
	free(parts);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

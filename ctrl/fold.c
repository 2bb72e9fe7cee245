/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/fold.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 9
#define MORE_SIZE  32 /* "] and 1048576 more" */

void
fold_begin(struct fold *fold, char *text, size_t room)
{
	*fold = (struct fold){.text = text, .room = room};
	text[0] = '\0';
}

/* Appends if there is room for it and for what comes last. */
static bool
append(struct fold *fold, const char *piece)
{
	size_t length = strlen(piece);

	if (fold->length + length + MORE_SIZE > fold->room)
		return false;
	memcpy(fold->text + fold->length, piece, length + 1);
	fold->length += length;
	return true;
}

/* Where the number at the end of a name begins. */
static size_t
number_start(const char *name)
{
	size_t length = strlen(name), start = length;

	while (start > 0 && length - start < DIGITS_MAX && isdigit((unsigned char)name[start - 1]))
		start--;
	return start;
}

static bool
is_same_group(const struct fold *fold, const char *name, size_t start)
{
	return fold->width > 0 && (size_t)fold->width == strlen(name) - start &&
	       strlen(fold->prefix) == start && memcmp(fold->prefix, name, start) == 0;
}

static void
group_close(struct fold *fold)
{
	char number[DIGITS_MAX + 2];

	if (!fold->is_open)
		return;
	fold->is_open = false;
	if (!fold->is_single) {
		memcpy(fold->text + fold->length++, "]", 2);
		return;
	}
	/* "login[1]" would be the same name, less readable. */
	snprintf(number, sizeof(number), "%0*lu", fold->width, fold->single);
	fold->length = fold->group + strlen(fold->prefix);
	memcpy(fold->text + fold->length, number, strlen(number) + 1);
	fold->length += strlen(number);
}

static void
run_write(struct fold *fold)
{
	char piece[NAMES_NAME_SIZE + 2 * DIGITS_MAX + 8], last[DIGITS_MAX + 3] = "";
	const char *between = fold->length > 0 ? " " : "";

	if (!fold->has_run)
		return;
	fold->has_run = false;
	if (fold->last > fold->first)
		snprintf(last, sizeof(last), "-%0*lu", fold->width, fold->last);
	if (fold->width == 0)
		snprintf(piece, sizeof(piece), "%s%s", between, fold->prefix);
	else if (fold->is_open)
		snprintf(piece, sizeof(piece), ",%0*lu%s", fold->width, fold->first, last);
	else
		snprintf(piece, sizeof(piece), "%s%s[%0*lu%s", between, fold->prefix, fold->width,
			fold->first, last);
	if (fold->is_full || !append(fold, piece)) {
		fold->is_full = true;
		fold->left_out += fold->last - fold->first + 1;
		return;
	}
	fold->is_single = !fold->is_open && fold->first == fold->last;
	fold->single = fold->first;
	if (!fold->is_open)
		fold->group = fold->length - strlen(piece) + strlen(between);
	fold->is_open = fold->width > 0;
}

void
fold_add(struct fold *fold, const char *name)
{
	size_t start = number_start(name);
	unsigned long number = strtoul(name + start, NULL, 10);
	bool is_same = fold->has_run && is_same_group(fold, name, start);

	if (is_same && number == fold->last + 1) {
		fold->last = number;
		return;
	}
	run_write(fold);
	if (!is_same)
		group_close(fold);
	snprintf(fold->prefix, sizeof(fold->prefix), "%.*s", (int)start, name);
	fold->width = (int)(strlen(name) - start);
	fold->first = fold->last = number;
	fold->has_run = true;
}

void
fold_end(struct fold *fold)
{
	run_write(fold);
	group_close(fold);
	if (fold->left_out > 0)
		snprintf(fold->text + fold->length, fold->room - fold->length, "%sand %zu more",
			fold->length > 0 ? " " : "", fold->left_out);
}

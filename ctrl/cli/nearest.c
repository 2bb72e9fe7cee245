/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdint.h>
#include <string.h>

#include "ctrl/cli/cli.h"

#define NEAREST_SIZE_MAX 32

static size_t
min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* Edits (insert, delete, replace) between two words; words too long to be ours are far off. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[NEAREST_SIZE_MAX + 1], size_a = strlen(a), size_b = strlen(b), i, j, above, left;

	if (size_a > NEAREST_SIZE_MAX || size_b > NEAREST_SIZE_MAX)
		return SIZE_MAX;
	for (j = 0; j <= size_b; j++)
		row[j] = j;
	for (i = 1; i <= size_a; i++) {
		left = row[0];
		row[0] = i;
		for (j = 1; j <= size_b; j++) {
			above = row[j];
			row[j] = min3(above + 1, row[j - 1] + 1, left + (a[i - 1] != b[j - 1]));
			left = above;
		}
	}
	return row[size_b];
}

struct nearest {
	const char *word;
	const char *best;
	size_t best_distance; /* nothing farther is worth naming */
};

static void
look(struct nearest *nearest, const char *name)
{
	size_t edits = distance(nearest->word, name);

	if (edits >= nearest->best_distance)
		return;
	nearest->best = name;
	nearest->best_distance = edits;
}

/* A third of the word may be wrong, a two-letter word in one letter. */
static struct nearest
nearest_begin(const char *word)
{
	return (struct nearest){.word = word, .best_distance = strlen(word) / 3 + 2};
}

const char *
cli_nearest_verb(const char *word)
{
	struct nearest nearest = nearest_begin(word);
	const struct cli_verb *const *verb;

	for (verb = cli_verbs; *verb; verb++)
		look(&nearest, (*verb)->name);
	return nearest.best;
}

static void
look_option(const struct cli_option *option, void *context)
{
	look(context, option->name);
}

const char *
cli_nearest_option(const struct cli_verb *verb, const char *word)
{
	struct nearest nearest = nearest_begin(word);

	cli_option_walk(verb, look_option, &nearest);
	return nearest.best;
}

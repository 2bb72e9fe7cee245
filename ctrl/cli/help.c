/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "ctrl/cli/help.h"

#define HELP_COLUMN_MAX 30

static const char exits_usual[] = "0\tdone\n"
				  "1\tit could not be done; standard error says why\n"
				  "2\twrong usage\n";

static const char about[] =
	"credgate tells, at line rate, whether a UDP datagram is a genuine, fresh, first-time\n"
	"credential from a node that is still trusted, and who is speaking.\n";

int
help_option_label(char *label, size_t room, const struct cli_option *option)
{
	bool has_letter = option->id < CLI_ID_FIRST;

	return snprintf(label, room, "%c%c%s--%s%s%s", has_letter ? '-' : ' ',
		has_letter ? option->id : ' ', has_letter ? ", " : "  ", option->name,
		option->argument ? " " : "", option->argument ? option->argument : "");
}

static void
option_measure(const struct cli_option *option, void *context)
{
	int *width = context, label = help_option_label(NULL, 0, option);

	if (label > *width && label <= HELP_COLUMN_MAX)
		*width = label;
}

struct option_print {
	FILE *out;
	int width;
};

static void
option_print(const struct cli_option *option, void *context)
{
	struct option_print *print = context;
	char label[HELP_LABEL_SIZE];
	int size = help_option_label(label, sizeof(label), option);

	if (size > print->width)
		fprintf(print->out, "  %s\n  %*s  %s\n", label, print->width, "", option->help);
	else
		fprintf(print->out, "  %-*s  %s\n", print->width, label, option->help);
}

/* Calls `each` with every line of a text, without its end. */
static void
lines(const char *text, void (*each)(FILE *out, const char *line, int size), FILE *out)
{
	size_t size;

	for (; text && *text; text += size + (text[size] == '\n')) {
		size = strcspn(text, "\n");
		each(out, text, (int)size);
	}
}

static void
line_indented(FILE *out, const char *line, int size)
{
	fprintf(out, size > 0 ? "  %.*s\n" : "%.*s\n", size, line);
}

static void
line_exit(FILE *out, const char *line, int size)
{
	int code = (int)strcspn(line, "\t");

	fprintf(out, "  %-5.*s  %.*s\n", code, line, size - code - 1, line + code + 1);
}

static const char *
exits_of(const struct cli_verb *verb)
{
	return verb->exits ? verb->exits : exits_usual;
}

static const char *
gap(const char *words)
{
	return words[0] ? " " : "";
}

void
help_verb(FILE *out, const struct cli_verb *verb)
{
	struct option_print print = {.out = out};

	fprintf(out, "Usage: credgate %s%s%s%s\n\n%s.\n", verb->name,
		verb->is_passed_over ? "" : " [OPTION]...", gap(verb->operands), verb->operands,
		verb->summary);
	if (verb->detail)
		fprintf(out, "\n%s", verb->detail);
	fputs("\nOptions:\n", out);
	cli_option_walk(verb, option_measure, &print.width);
	cli_option_walk(verb, option_print, &print);
	if (verb->examples) {
		fputs("\nExamples:\n", out);
		lines(verb->examples, line_indented, out);
	}
	fputs("\nExit codes:\n", out);
	lines(exits_of(verb), line_exit, out);
}

static bool
is_of_noun(const struct cli_verb *verb, const char *noun)
{
	size_t size = noun ? strlen(noun) : 0;

	return !noun || (strncmp(verb->name, noun, size) == 0 && verb->name[size] == ' ');
}

/* The width of the names that the overview shows. */
static int
names_width(const char *noun)
{
	const struct cli_verb *const *verb;
	int width = 0;

	for (verb = cli_verbs; *verb; verb++)
		if (is_of_noun(*verb, noun) && (int)strlen((*verb)->name) > width)
			width = (int)strlen((*verb)->name);
	return width;
}

static void
group_print(FILE *out, const struct cli_verb *verb)
{
	const struct cli_group *group;

	for (group = cli_groups; group->first; group++)
		if (group->first == verb)
			fprintf(out, "\n%s:\n", group->title);
}

void
help_overview(FILE *out, const char *noun)
{
	const struct cli_verb *const *verb;
	int width = names_width(noun);

	if (noun)
		fprintf(out, "Usage: credgate %s VERB [OPTION]... [ARGUMENT]...\n\n", noun);
	else
		fprintf(out,
			"Usage: credgate [--config FILE] [--run-dir DIR] VERB [ARGUMENT]...\n"
			"       credgate --help | --version\n\n%s",
			about);
	for (verb = cli_verbs; *verb; verb++) {
		if (!noun)
			group_print(out, *verb);
		if (is_of_noun(*verb, noun))
			fprintf(out, "  %-*s  %s\n", width, (*verb)->name, (*verb)->summary);
	}
	fputs("\n'credgate VERB --help' has the options, examples and exit codes of a verb.\n"
	      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 looked at and not good (verbs that\n"
	      "scripts wait for say what that means), 32 + N refused with verdict N.\n",
		out);
}

static void
word_option(const struct cli_option *option, void *context)
{
	fprintf(context, "--%s\n", option->name);
}

void
help_words(FILE *out, const struct cli_verb *verb)
{
	const struct cli_verb *const *each;

	if (verb)
		cli_option_walk(verb, word_option, out);
	for (each = cli_verbs; !verb && *each; each++)
		fprintf(out, "%s\n", (*each)->name);
}

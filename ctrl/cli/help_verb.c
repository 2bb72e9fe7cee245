/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "ctrl/cli/help.h"
#include "ctrl/cli/verbs.h"

enum {
	HELP_WORDS = CLI_ID_FIRST,
	HELP_MARKDOWN,
	HELP_ROFF,
};

static const struct cli_option help_options[] = {
	{"words", HELP_WORDS, NULL, "only the words a shell may complete"},
	{"markdown", HELP_MARKDOWN, NULL, "the whole manual page as Markdown"},
	{"roff", HELP_ROFF, NULL, "the whole manual page for man"},
	{NULL, 0, NULL, NULL},
};

static int
help_take(struct cli *cli, void *context, int id, const char *value)
{
	int *what = context;

	(void)cli;
	(void)value;
	*what = id;
	return CLI_DONE;
}

/* Help on the verb or noun that the operands name. */
static int
help_on(struct cli *cli, bool only_words)
{
	const struct cli_verb *verb;
	int used = 0;

	verb = cli_verb_find(cli->argv, cli->argc, &used);
	if (verb && used == cli->argc) {
		only_words ? help_words(stdout, verb) : help_verb(stdout, verb);
		return CLI_DONE;
	}
	if (cli->argc == 1 && cli_is_noun(cli->argv[0])) {
		help_overview(stdout, cli->argv[0]);
		return CLI_DONE;
	}
	return cli_usage(cli, "no verb '%s%s%s'", cli->argv[0], cli->argc > 1 ? " " : "",
		cli->argc > 1 ? cli->argv[1] : "");
}

static int
help_run(struct cli *cli)
{
	int what = 0, code = cli_parse(cli, help_take, &what);

	if (code != CLI_GO)
		return code;
	code = CLI_DONE;
	if (what == HELP_MARKDOWN)
		help_markdown(stdout);
	else if (what == HELP_ROFF)
		help_roff(stdout);
	else if (cli->argc > 0)
		code = help_on(cli, what == HELP_WORDS);
	else if (what == HELP_WORDS)
		help_words(stdout, NULL);
	else
		help_overview(stdout, NULL);
	return cli_finish(cli, code);
}

const struct cli_verb verb_help = {
	.name = "help",
	.operands = "[VERB]",
	.summary = "Explain a verb, or list them all",
	.examples = "credgate help node add\n"
		    "credgate help --roff | man -l -\n",
	.options = {help_options},
	.operands_max = 2,
	.run = help_run,
};

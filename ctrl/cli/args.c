/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <string.h>

#include "ctrl/cli/cli.h"
#include "ctrl/cli/help.h"

#define ARGS_OPTIONS_MAX 40

/* Ids of what all verbs share; far above those of any verb's own options. */
enum {
	COMMON_JSON = 1024,
	COMMON_TSV,
	COMMON_CONFIG,
	COMMON_RUN_DIR,
	COMMON_WHY,
	COMMON_HELP = 'h',
};

static const struct {
	unsigned flag;
	struct cli_option option;
} common_options[] = {
	{CLI_TAKES_WHY, {"why", COMMON_WHY, "TEXT", "what it is for: goes into the audit log"}},
	{CLI_TAKES_JSON, {"json", COMMON_JSON, NULL, "print JSON, for programs"}},
	{CLI_TAKES_TSV, {"tsv", COMMON_TSV, NULL, "tabs between columns, also on a terminal"}},
	{CLI_TAKES_CONFIG, {"config", COMMON_CONFIG, "FILE",
				   "configuration (default " CLI_CONFIG_DEFAULT ")"}},
	{CLI_TAKES_RUN_DIR, {"run-dir", COMMON_RUN_DIR, "DIR", "where the gateway's sockets are"}},
	{0, {"help", COMMON_HELP, NULL, "print this help"}},
};

void
cli_option_walk(const struct cli_verb *verb,
	void (*each)(const struct cli_option *option, void *context), void *context)
{
	const struct cli_option *option;
	size_t i;

	for (i = 0; i < CLI_OPTION_TABLES && verb->options[i]; i++)
		for (option = verb->options[i]; option->name; option++)
			each(option, context);
	for (i = 0; i < sizeof(common_options) / sizeof(common_options[0]); i++)
		if (!common_options[i].flag || (common_options[i].flag & verb->common))
			each(&common_options[i].option, context);
}

/* The table in getopt's form. */
struct args {
	struct option options[ARGS_OPTIONS_MAX + 1];
	char letters[2 + 2 * ARGS_OPTIONS_MAX + 1];
	size_t count;
	size_t letters_size;
};

static void
args_add(const struct cli_option *option, void *context)
{
	struct args *args = context;

	if (args->count == ARGS_OPTIONS_MAX)
		return;
	args->options[args->count++] = (struct option){
		.name = option->name,
		.has_arg = option->argument ? required_argument : no_argument,
		.val = option->id,
	};
	if (option->id >= CLI_ID_FIRST)
		return;
	args->letters[args->letters_size++] = (char)option->id;
	if (option->argument)
		args->letters[args->letters_size++] = ':';
}

static int
take_common(struct cli *cli, int id, const char *value)
{
	switch (id) {
	case COMMON_JSON:
		cli->has_json = true;
		return CLI_DONE;
	case COMMON_TSV:
		cli->has_tsv = true;
		return CLI_DONE;
	case COMMON_CONFIG:
		cli->config = value;
		return CLI_DONE;
	case COMMON_WHY:
		cli->why = value;
		return CLI_DONE;
	default:
		cli->run_dir = value;
		return CLI_DONE;
	}
}

struct name_of {
	int id;
	const char *name;
};

static void
name_look(const struct cli_option *option, void *context)
{
	struct name_of *wanted = context;

	if (option->id == wanted->id)
		wanted->name = option->name;
}

/* The long name of an option of the verb, or NULL. */
static const char *
name_of(const struct cli *cli, int id)
{
	struct name_of wanted = {.id = id};

	cli_option_walk(cli->verb, name_look, &wanted);
	return wanted.name;
}

/* getopt leaves the option in optopt if it is a letter, or one of ours that was given a value. */
static int
unknown(struct cli *cli)
{
	const char *word, *nearest;

	if (optopt && name_of(cli, optopt))
		return cli_usage(cli, "option '--%s' takes no value", name_of(cli, optopt));
	if (optopt)
		return cli_usage(cli, "unknown option '-%c'", optopt);
	word = cli->argv[optind - 1];
	nearest = cli_nearest_option(cli->verb, word + strspn(word, "-"));
	if (nearest)
		return cli_usage(cli, "unknown option '%s' (did you mean '--%s'?)", word, nearest);
	return cli_usage(cli, "unknown option '%s'", word);
}

static int
check_operands(struct cli *cli)
{
	const struct cli_verb *verb = cli->verb;

	if (cli->argc < verb->operands_min)
		return cli_usage(cli, "too few arguments: it takes %s", verb->operands);
	if (verb->operands_max != CLI_OPERANDS_ANY && cli->argc > verb->operands_max)
		return cli_usage(cli, "unexpected argument '%s'", cli->argv[verb->operands_max]);
	return CLI_GO;
}

static int
take_one(struct cli *cli, int id,
	int (*take)(struct cli *cli, void *context, int id, const char *value), void *context)
{
	if (id == '?')
		return unknown(cli);
	if (id == ':')
		return cli_usage(cli, "option '%s' takes a value", cli->argv[optind - 1]);
	if (id >= COMMON_JSON)
		return take_common(cli, id, optarg);
	return take(cli, context, id, optarg);
}

int
cli_parse(struct cli *cli, int (*take)(struct cli *cli, void *context, int id, const char *value),
	void *context)
{
	struct args args = {.letters = ":", .letters_size = 1};
	int id, code;

	cli_option_walk(cli->verb, args_add, &args);
	opterr = 0;
	optind = 0;
	while ((id = getopt_long(cli->argc, cli->argv, args.letters, args.options, NULL)) != -1) {
		if (id == COMMON_HELP) {
			help_verb(stdout, cli->verb);
			return cli_finish(cli, CLI_DONE);
		}
		code = take_one(cli, id, take, context);
		if (code != CLI_DONE)
			return code;
	}
	cli->argc -= optind;
	cli->argv += optind;
	return check_operands(cli);
}

int
cli_bad_value(const struct cli *cli, int id, const char *value, const char *wanted)
{
	return cli_usage(cli, "--%s '%s': it takes %s", name_of(cli, id), value, wanted);
}

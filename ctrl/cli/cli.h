/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The one command line, `credgate VERB`. A verb is a row of data and one function: the row makes
 * dispatch, option parsing, --help, shell completion and the manual page, so they cannot disagree.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CLI_CONFIG_DEFAULT  "/etc/credgate/credgate.yaml"
#define CLI_RUN_DIR_DEFAULT "/run/credgate"
#define CLI_PORT_DEFAULT    "7475"

/* Exit codes. Verdicts have theirs above: verdict_exit_code(). */
enum cli_exit {
	CLI_DONE = 0,
	CLI_FAILED = 1, /* it could not be done */
	CLI_USAGE = 2,  /* it was not asked properly */
};

/* cli_parse: not an exit code, carry on. */
#define CLI_GO (-1)

/* One option of a verb. A table of them ends with a NULL name. */
struct cli_option {
	const char *name;     /* long, without dashes */
	int id;               /* what `take` gets; a letter is a short option as well */
	const char *argument; /* what it takes, for the help; NULL: nothing */
	const char *help;     /* one line */
};

/* Ids of options that have no letter begin here. */
#define CLI_ID_FIRST 256
/* Ids of tables that several verbs share begin here. */
#define CLI_ID_SHARED 512

/* Options with one meaning everywhere: which of them the verb takes. */
enum cli_common {
	CLI_TAKES_JSON = 1,    /* --json */
	CLI_TAKES_TSV = 2,     /* --tsv */
	CLI_TAKES_CONFIG = 4,  /* --config FILE */
	CLI_TAKES_RUN_DIR = 8, /* --run-dir DIR */
	CLI_TAKES_WHY = 16,    /* --why TEXT: request_why() */
};

struct cli;

#define CLI_OPTION_TABLES 2
#define CLI_OPERANDS_ANY  (-1)

struct cli_verb {
	const char *name;     /* "status", "node add" */
	const char *operands; /* "REALM NAME...", "" for none */
	const char *summary;  /* what it does, in one line without a full stop */
	const char *detail;   /* paragraphs of lines of at most 80 columns, or NULL */
	const char *examples; /* lines */
	const char *exits;    /* lines "code<TAB>meaning" instead of the usual ones, or NULL */
	const struct cli_option *options[CLI_OPTION_TABLES];
	unsigned common; /* set of enum cli_common */
	int operands_min;
	int operands_max;    /* CLI_OPERANDS_ANY: no limit */
	bool is_passed_over; /* what follows the verb belongs to another program */
	int (*run)(struct cli *cli);
};

/* One call of the program. */
struct cli {
	const struct cli_verb *verb;
	int argc;    /* the verb's own: argv[0] is the (last word of the) verb */
	char **argv; /* after cli_parse: the operands */
	const char *config;
	const char *run_dir;
	const char *why;
	bool has_json;
	bool has_tsv;
	char run_dir_found[256];
};

/* All verbs in the order of the help; ends with NULL. */
extern const struct cli_verb *const cli_verbs[];

/* Headings of the help: each stands before the verb that it begins with; ends with a NULL. */
struct cli_group {
	const struct cli_verb *first;
	const char *title;
};

extern const struct cli_group cli_groups[];

/* The whole program but for the name `main`: returns the exit code. */
int cli_main(int argc, char **argv);

/*
 * Parses the verb's options and checks how many operands follow; `take` gets every option that is
 * the verb's own and returns 0, or an exit code after it said what is wrong. Returns CLI_GO, or
 * the code to exit with (after --help: 0).
 */
int cli_parse(struct cli *cli,
	int (*take)(struct cli *cli, void *context, int id, const char *value), void *context);

/* The verb called `words[0]` or "words[0] words[1]"; *used gets the number of words. Or NULL. */
const struct cli_verb *cli_verb_find(char **words, int count, int *used);

/* Is `word` the first word of verbs of two? */
bool cli_is_noun(const char *word);

/* The known verb, or option of `verb`, that resembles a misspelt word most; NULL: none does. */
const char *cli_nearest_verb(const char *word);
const char *cli_nearest_option(const struct cli_verb *verb, const char *word);

/* Calls `each` for the verb's own options, then those it shares with all, --help last. */
void cli_option_walk(const struct cli_verb *verb,
	void (*each)(const struct cli_option *option, void *context), void *context);

/* Prints "credgate VERB: message" on stderr; the second points to --help too, and is CLI_USAGE. */
int cli_fail(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As cli_usage, for an option's value: names the option, the value and what would be right. */
int cli_bad_value(const struct cli *cli, int id, const char *value, const char *wanted);

/* The configuration file: --config, CREDGATE_CONFIG, the default. */
const char *cli_config_path(const struct cli *cli);

/*
 * Where sockets are: --run-dir, CREDGATE_RUN_DIR, run_dir of the configuration if it can be read,
 * the default. A configuration that was asked for and cannot be read is warned about.
 */
const char *cli_run_dir(struct cli *cli);

/* Flushes standard output; CLI_FAILED with a message if what was printed did not get out. */
int cli_finish(const struct cli *cli, int code);

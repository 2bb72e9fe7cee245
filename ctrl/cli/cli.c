/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/cli/cli.h"
#include "ctrl/cli/help.h"
#include "ctrl/cli/verbs.h"

const struct cli_verb *const cli_verbs[] = {
	&verb_run,
	&verb_status,
	&verb_reload,
	&verb_watch,
	&verb_verdicts,
	&verb_demo,
	&verb_realm_init,
	&verb_realm_list,
	&verb_realm_mode,
	&verb_realm_would,
	&verb_node_add,
	&verb_node_list,
	&verb_node_set,
	&verb_node_import,
	&verb_node_export,
	&verb_members,
	&verb_node_key,
	&verb_node_keys,
	&verb_node_invite,
	&verb_node_invites,
	&verb_node_uninvite,
	&verb_realm_rotate,
	&verb_realm_drain,
	&verb_realm_retire,
	&verb_realm_rollback,
	&verb_node_rotate,
	&verb_node_retire,
	&verb_node_rollback,
	&verb_node_suspend,
	&verb_node_resume,
	&verb_node_revoke,
	&verb_node_delete,
	&verb_node_clones,
	&verb_policy_apply,
	&verb_policy_check,
	&verb_policy_explain,
	&verb_policy_show,
	&verb_policy_history,
	&verb_policy_rollback,
	&verb_policy_remove,
	&verb_policy_import_mesos,
	&verb_limits,
	&verb_audit_show,
	&verb_audit_verify,
	&verb_sign_keygen,
	&verb_sign_check,
	&verb_sign_require,
	&verb_sign_show,
	&verb_sign, /* behind those whose names begin with it */
	&verb_join,
	&verb_beacon,
	&verb_mint,
	&verb_send,
	&verb_help,
	NULL,
};

const struct cli_group cli_groups[] = {
	{&verb_run, "The gateway"},
	{&verb_realm_init, "Realms, and how far their roll-out is"},
	{&verb_node_add, "Nodes, and which of them are there"},
	{&verb_node_key, "Keys for nodes, as files and by join codes"},
	{&verb_realm_rotate, "New keys while everything runs"},
	{&verb_node_suspend, "Throwing out"},
	{&verb_policy_apply, "Rules and rate limits"},
	{&verb_audit_show, "Who changed what, and who may"},
	{&verb_join, "On a node"},
	{&verb_help, "Help"},
	{NULL, NULL},
};

static void __attribute__((format(printf, 2, 0)))
say(const struct cli *cli, const char *format, va_list arguments)
{
	fflush(stdout);
	fprintf(stderr, "credgate%s%s: ", cli->verb ? " " : "", cli->verb ? cli->verb->name : "");
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

int
cli_fail(const struct cli *cli, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(cli, format, arguments);
	va_end(arguments);
	return CLI_FAILED;
}

int
cli_usage(const struct cli *cli, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(cli, format, arguments);
	va_end(arguments);
	fprintf(stderr, "Try 'credgate%s%s --help'.\n", cli->verb ? " " : "",
		cli->verb ? cli->verb->name : "");
	return CLI_USAGE;
}

int
cli_finish(const struct cli *cli, int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	/* Whoever reads (| head) has seen enough: no news, but not done either. */
	if (errno == EPIPE)
		return CLI_FAILED;
	return cli_fail(cli, "cannot write the output: %m");
}

const struct cli_verb *
cli_verb_find(char **words, int count, int *used)
{
	const struct cli_verb *const *verb;
	size_t first;

	for (verb = cli_verbs; *verb && count > 0; verb++) {
		first = strcspn((*verb)->name, " ");
		if (strlen(words[0]) != first || strncmp((*verb)->name, words[0], first) != 0)
			continue;
		*used = (*verb)->name[first] == ' ' ? 2 : 1;
		if (*used == 1 || (count > 1 && strcmp((*verb)->name + first + 1, words[1]) == 0))
			return *verb;
	}
	return NULL;
}

bool
cli_is_noun(const char *word)
{
	const struct cli_verb *const *verb;
	size_t size = strlen(word);

	for (verb = cli_verbs; *verb; verb++)
		if (strncmp((*verb)->name, word, size) == 0 && (*verb)->name[size] == ' ')
			return true;
	return false;
}

static bool
is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int
unknown_verb(const struct cli *cli, const char *words)
{
	const char *nearest = cli_nearest_verb(words);

	cli_fail(cli, "unknown verb '%s'", words);
	if (nearest)
		fprintf(stderr, "Did you mean '%s'?\n", nearest);
	fputs("Try 'credgate --help'.\n", stderr);
	return CLI_USAGE;
}

/* "credgate node" and "credgate node --help" list what can be done with nodes. */
static int
noun_main(struct cli *cli, int argc, char **argv)
{
	char words[64];

	if (argc > 1 && is_help(argv[1])) {
		help_overview(stdout, argv[0]);
		return cli_finish(cli, CLI_DONE);
	}
	if (argc > 1) {
		snprintf(words, sizeof(words), "%s %s", argv[0], argv[1]);
		return unknown_verb(cli, words);
	}
	help_overview(stderr, argv[0]);
	return CLI_USAGE;
}

static int
verb_main(struct cli *cli, int argc, char **argv)
{
	int used;

	cli->verb = cli_verb_find(argv, argc, &used);
	if (cli->verb) {
		cli->argc = argc - used + 1;
		cli->argv = argv + used - 1;
		if (!cli->verb->is_passed_over || cli->argc != 2 || !is_help(cli->argv[1]))
			return cli->verb->run(cli);
		help_verb(stdout, cli->verb);
		return cli_finish(cli, CLI_DONE);
	}
	if (cli_is_noun(argv[0]))
		return noun_main(cli, argc, argv);
	return unknown_verb(cli, argv[0]);
}

/* What may stand before the verb. */
enum {
	BEFORE_CONFIG = CLI_ID_FIRST,
	BEFORE_RUN_DIR,
};

static const struct option before_verb[] = {
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{"config", required_argument, NULL, BEFORE_CONFIG},
	{"run-dir", required_argument, NULL, BEFORE_RUN_DIR},
	{NULL, 0, NULL, 0},
};

static int
before_take(struct cli *cli, int id, char **argv)
{
	switch (id) {
	case 'h':
		help_overview(stdout, NULL);
		return cli_finish(cli, CLI_DONE);
	case 'V':
		puts("credgate " CLI_VERSION);
		return cli_finish(cli, CLI_DONE);
	case BEFORE_CONFIG:
		cli->config = optarg;
		return CLI_GO;
	case BEFORE_RUN_DIR:
		cli->run_dir = optarg;
		return CLI_GO;
	case ':':
		return cli_usage(cli, "%s takes a value", argv[optind - 1]);
	default:
		return cli_usage(cli, "unknown option '%s'", argv[optind - 1]);
	}
}

int
cli_main(int argc, char **argv)
{
	struct cli cli = {0};
	int id, code;

	/* A reader that went away (| head) ends in an error of write, not in a signal. */
	signal(SIGPIPE, SIG_IGN);
	opterr = 0;
	optind = 0;
	while ((id = getopt_long(argc, argv, "+:hV", before_verb, NULL)) != -1) {
		code = before_take(&cli, id, argv);
		if (code != CLI_GO)
			return code;
	}
	if (optind < argc)
		return verb_main(&cli, argc - optind, argv + optind);
	help_overview(stderr, NULL);
	return CLI_USAGE;
}

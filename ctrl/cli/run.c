/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/program.h"
#include "ctrl/cli/verbs.h"

/* Beside us, one up in a build tree, where daemons are installed: here or as configured. */
static const char *const places[] = {
	"%s",
	"%s/..",
	"%s/../sbin",
	CLI_SBINDIR,
	NULL,
};

/* The configuration among what is passed on: "" if its name is missing, NULL if there is none. */
static const char *
named_config(const struct cli *cli)
{
	int i;

	for (i = 1; i < cli->argc; i++) {
		if (strncmp(cli->argv[i], "--config=", 9) == 0)
			return cli->argv[i] + 9;
		if (strcmp(cli->argv[i], "--config") == 0 || strcmp(cli->argv[i], "-c") == 0)
			return i + 1 < cli->argc ? cli->argv[i + 1] : "";
	}
	return NULL;
}

static int
run_run(struct cli *cli)
{
	const char *named = named_config(cli), *asked = named ? named : cli->config;
	char path[PATH_MAX];

	/* What credgated says from here on has its own prefix; a mistyped path is ours to tell. */
	if (asked && *asked && access(asked, R_OK) != 0)
		return cli_fail(cli, "%s: %m", asked);
	if (program_find(places, "credgated", path) != 0)
		return cli_fail(
			cli, "there is no credgated beside this program nor in %s", CLI_SBINDIR);
	return program_exec(cli, path, "--config", named ? NULL : cli_config_path(cli));
}

const struct cli_verb verb_run = {
	.name = "run",
	.operands = "[ARGUMENT]...",
	.summary = "Start the gateway: credgated, which starts the dataplane",
	.detail = "Replaces itself by credgated and passes all arguments on; stays in the\n"
		  "foreground until SIGINT or SIGTERM.\n",
	.examples = "credgate run --config /etc/credgate/credgate.yaml\n",
	.exits = "0\tthe gateway was stopped\n"
		 "1\tit could not start, or ended with a failure\n"
		 "2\twrong usage\n",
	.common = CLI_TAKES_CONFIG,
	.is_passed_over = true,
	.operands_max = CLI_OPERANDS_ANY,
	.run = run_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/cli.h"
#include "ctrl/config.h"

static_assert(sizeof(((struct cli *)0)->run_dir_found) >= CONFIG_PATH_SIZE, "run_dir fits");

const char *
cli_config_path(const struct cli *cli)
{
	const char *path = cli->config ? cli->config : getenv("CREDGATE_CONFIG");

	return path && path[0] ? path : CLI_CONFIG_DEFAULT;
}

/* Only a person who named a file wants to hear that it cannot be read. */
static const char *
run_dir_of_config(struct cli *cli)
{
	const char *path = cli_config_path(cli);
	struct config_caller caller = {.uid = geteuid(), .gid = getegid()};
	struct reason reason = {0};
	struct config *config = config_load(path, &caller, &reason);

	if (!config) {
		if (strcmp(path, CLI_CONFIG_DEFAULT) != 0)
			cli_fail(cli, "warning: %s; looking for sockets in %s", reason.text,
				CLI_RUN_DIR_DEFAULT);
		return CLI_RUN_DIR_DEFAULT;
	}
	memcpy(cli->run_dir_found, config->run_dir, sizeof(config->run_dir));
	config_destroy(config);
	return cli->run_dir_found;
}

const char *
cli_run_dir(struct cli *cli)
{
	const char *environment = getenv("CREDGATE_RUN_DIR");

	if (!cli->run_dir && environment && environment[0])
		cli->run_dir = environment;
	if (!cli->run_dir)
		cli->run_dir = run_dir_of_config(cli);
	return cli->run_dir;
}

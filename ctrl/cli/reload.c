/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>

#include "ctrl/cli/request.h"
#include "ctrl/cli/verbs.h"

static int
reload_run(struct cli *cli)
{
	json_t *result;
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	result = request_once(cli, "reload", cli->why ? request_why(cli, json_object()) : NULL);
	if (!result)
		return CLI_FAILED;
	if (cli->has_json)
		request_print_json(result);
	else
		printf("taken again: realms %" PRIu64 ", groups %" PRIu64 "; generation %" PRIu64
		       " of the tables is in force on %" PRIu64 " worker%s\n",
			request_number(result, "realms"), request_number(result, "groups"),
			request_number(result, "generation"), request_number(result, "workers"),
			request_number(result, "workers") == 1 ? "" : "s");
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_reload = {
	.name = "reload",
	.operands = "",
	.summary = "Take realms and groups from the configuration file again",
	.detail = "A file with a mistake changes nothing: the gateway goes on with what it has.\n"
		  "What has a size in shared memory (ports, workers, nodes_max) needs a restart.\n",
	.examples = "credgate reload --why 'two more services'\n",
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR | CLI_TAKES_WHY,
	.run = reload_run,
};

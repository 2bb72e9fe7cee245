/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* One verb for many nodes: operands are a realm, then names, each of which may be a range. */

#include "ctrl/cli/request.h"

/* What verbs of nodes take; those that change something take --why too. */
#define NODE_COMMON  (CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR)
#define NODE_CHANGES (NODE_COMMON | CLI_TAKES_WHY)

/* One request per name over one connection; a refusal does not keep the others back. */
struct node_batch {
	struct cli *cli;
	struct request request;
	json_t *arguments; /* what all names have in common */
	const char *verb;
	/* Takes a result; what it returns but 0 ends the batch, and was told. NULL: printed as JSON */
	int (*take)(struct node_batch *batch, const char *name, const json_t *result);
	void *context; /* of take */
	size_t count;  /* of names, after node_batch_check */
	size_t refused_count;
};

/* Looks at all patterns before the first request. CLI_DONE, or CLI_USAGE after saying why. */
int node_batch_check(struct node_batch *batch);

/* Asks for every name. Returns an exit code. */
int node_batch_run(struct node_batch *batch);

/* Parses no options, then does both: for verbs that have none of their own. */
int node_batch_main(struct cli *cli, struct node_batch batch);

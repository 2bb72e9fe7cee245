/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "ctrl/cli/node_batch.h"

/*
 * Gives the nodes of a realm that the arguments of node.list in `filters` choose, a list of some
 * hundred at a time. CLI_DONE, or CLI_FAILED after saying why.
 */
int node_list(struct cli *cli, const json_t *filters, void (*page)(void *context, json_t *nodes),
	void *context);

/* The suite of the newest of the epochs; 0 if there is none. */
unsigned node_list_suite(const json_t *epochs);

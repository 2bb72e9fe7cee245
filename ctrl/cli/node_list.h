/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "ctrl/cli/node_batch.h"

/*
 * Appends to `nodes` those of a realm that the arguments of node.list in `filters` choose; a large
 * realm comes in pieces. CLI_DONE, or CLI_FAILED after saying why.
 */
int node_list(struct cli *cli, const json_t *filters, json_t *nodes);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Where the audit log is, for the verbs that read it without asking credgated. */

#include "ctrl/cli/cli.h"
#include "ctrl/config.h"

/*
 * The state directory: `given` by the user, or of the configuration. Returns 0, or CLI_FAILED after
 * it said why not.
 */
int audit_dir(struct cli *cli, const char *given, char dir[CONFIG_PATH_SIZE]);

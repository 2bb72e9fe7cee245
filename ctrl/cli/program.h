/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Programs that belong to this one, wherever it was installed or built. */

#include <limits.h>

#include "ctrl/cli/cli.h"

/*
 * Looks for `name` in places relative to this very binary: each is a directory, with %s for the
 * binary's own. Ends with NULL. Returns 0 and the first path that may be executed, or -ENOENT.
 */
int program_find(const char *const *places, const char *name, char path[PATH_MAX]);

/* The source tree this binary was built from, if it lies in its build tree. 0, or -ENOENT. */
int program_source_root(char path[PATH_MAX]);

/*
 * Executes `path` with `option` and its `value` (NULL: neither), then the words behind the verb.
 * Returns only on failure, with its exit code.
 */
int program_exec(struct cli *cli, const char *path, const char *option, const char *value);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Policies as files, and what is found in them. */

#include <jansson.h>

#include "ctrl/cli/cli.h"
#include "ctrl/policy_lint.h"

/* Exit code of what was found but is no error. */
#define POLICY_WARNED 3

/* The whole file ("-": standard input), NUL-terminated, to be freed; NULL after it said why. */
char *policy_text_read(struct cli *cli, const char *path, size_t *size);

/*
 * The same of a file that is to be put in force: it must belong to root or to the caller, and nobody
 * else may write it.
 */
char *policy_text_trust(struct cli *cli, const char *path, size_t *size);

/* Parses and looks for mistakes. NULL with the one line in `reason`; `found` is then empty. */
struct policy *policy_text_check(const char *path, const char *text, size_t size,
	const struct config_realm *realm, struct policy_findings *found, struct reason *reason);

/* One line "FILE:LINE: kind: text" for each. */
void policy_text_print(FILE *out, const char *path, const struct policy_findings *found);
json_t *policy_text_json(const struct policy_findings *found);

/* What credgated warned about in an answer, likewise. */
void policy_text_warn(const char *path, const json_t *result);

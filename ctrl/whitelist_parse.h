/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The text of a whitelist: a name or range (ctrl/names.h) per line, '#' begins a comment. */

#include "ctrl/name_set.h"
#include "ctrl/reason.h"

#define WHITELIST_NAMES_MAX 1048576u

/*
 * Fills `set`, which MUST be empty. 0, or -EINVAL with "PATH:LINE: what; cure", or -ENOMEM; then
 * the set is empty again.
 */
int whitelist_parse(struct name_set *set, const char *path, const char *text, size_t size,
	struct reason *reason);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Node names with ranges, as clusters write them: "n[001-128,200]-ib" is 129 names; what is outside
 * brackets stays as it is.
 */

#define NAMES_FAULT_SIZE 96
#define NAMES_NAME_SIZE  64
#define NAMES_MAX        1048576 /* of one pattern */

/*
 * Calls `each` with every name in order until it returns non-zero, and returns that; -EINVAL if the
 * pattern is none: then `fault` (if not NULL) says what is wrong with it. Never more than NAMES_MAX
 * names. A wrong pattern may be found out late, after some calls. Any thread.
 */
int names_expand(const char *pattern, int (*each)(void *context, const char *name), void *context,
	char fault[NAMES_FAULT_SIZE]);

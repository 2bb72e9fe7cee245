/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The way back from node names to ranges (ctrl/names.h): short lists of many names. */

#include <stddef.h>

/*
 * Names as patterns, separated by blanks, each of them as names_expand takes it: "login1
 * n[001-128,200]-ib". The last number of a name is what ranges are made of; sorted, and each name
 * once. The caller frees it; "" for no names, NULL without memory. Any thread.
 */
char *names_fold(const char *const *names, size_t count);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How the library fails: -errno to the program, one line to the person (cg_error). And how structs
 * of the public API, which carry their own size, cross the border.
 */

#include <stddef.h>

#define CLIENT_ERROR_SIZE 512

/*
 * Keeps the line for cg_error of this thread and returns -error. May use %m; callers pass `errno`
 * itself as `error` then. The line names the object and, where there is one, the cure.
 */
__attribute__((format(printf, 2, 3))) int client_fail(int error, const char *format, ...);

/*
 * Copies a caller's struct (its first member is its size) into ours of `size` bytes. One of a
 * newer library is taken if what we do not know is zero. `base` is the size in the first release.
 * 0, -EINVAL or -E2BIG with cg_error set.
 */
int client_struct_take(void *ours, size_t size, size_t base, const void *theirs, const char *name);

/* Checks the size of a struct that is to be filled in. 0 or -EINVAL. */
int client_struct_check(const void *theirs, size_t base, const char *name);

/* Fills in a caller's checked struct from ours; what we do not know becomes zero. */
void client_struct_give(void *theirs, const void *ours, size_t size);

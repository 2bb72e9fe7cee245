/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Files that decide who is trusted: configuration, policies, whitelists, signatures. What somebody
 * else could have written is refused, not warned about.
 */

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "ctrl/reason.h"

#define FILECHECK_TEXT_SIZE 256

/*
 * Is it a regular file of root's or of `owner`'s, writable by nobody else, of at most size_max
 * bytes? 0, or -errno with what is wrong and the cure, without the file's name, in `text`.
 */
int filecheck_stat(
	const struct stat *st, uid_t owner, size_t size_max, char text[FILECHECK_TEXT_SIZE]);

/*
 * Opens and checks as above, and reads the whole file: *bytes (NUL-terminated, *size without it) is
 * the caller's to free. A FIFO or device does not block. 0, or -errno with "PATH: what; cure";
 * -ENOENT: there is none. Any thread.
 */
int filecheck_read(const char *path, uid_t owner, size_t size_max, char **bytes, size_t *size,
	struct reason *reason);

/*
 * Makes a file, or replaces it, for the calling user only (0600): durable, and whole or not at all.
 * 0, or -errno with the cure, and the old one stays.
 */
int filecheck_replace(const char *path, const void *bytes, size_t size, struct reason *reason);

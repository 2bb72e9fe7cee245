/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Small files, read and written whole. Functions return 0 or -errno. */

#include <stddef.h>
#include <sys/types.h>

/* Reads a file of at most `room` bytes, "-" for standard input; -EFBIG if there is more. */
int file_read(const char *path, void *buffer, size_t room, size_t *size);

/*
 * Creates a file that must not exist yet, for its owner only, and makes it durable together with
 * its directory entry. Nothing is left behind on failure. -EEXIST: it is there, untouched.
 */
int file_create(const char *path, const void *bytes, size_t size);

/* Makes what was created, renamed or removed in the directory of `path` durable. */
int file_sync_parent(const char *path);

/* Creates the directories above `path` that are missing, for their owner only. `uid` and `gid` of
 * -1 are the caller's own. */
int file_make_parents(const char *path, uid_t uid, gid_t gid);

/* Writes everything to a descriptor. */
int file_write(int fd, const void *bytes, size_t size);

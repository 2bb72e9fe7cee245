/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Names that outlive a crash: a file that was created, renamed or removed is so on disk only when its
 * directory was synced too. Both return 0 or -errno, and block on the disk.
 */

/* The names in a directory. */
int durable_dir(const char *dir);

/* The name of one file; without a slash it is in the working directory. */
int durable_name(const char *path);

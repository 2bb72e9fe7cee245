/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Messages over Unix sockets, with descriptors as SCM_RIGHTS. */

#include <stddef.h>
#include <sys/types.h>

#define PASSING_FDS_MAX 16u

/* Sends one message with `count` descriptors. 0 or -errno (-EAGAIN: no room yet). */
int passing_send(int socket, const void *message, size_t size, const int *fds, unsigned count);

/*
 * Receives one message and at most one descriptor (*fd, else -1; further ones are closed). Returns
 * its size, 0 at end of file, or -errno. A message longer than `size` is -EMSGSIZE.
 */
ssize_t passing_receive(int socket, void *message, size_t size, int *fd);

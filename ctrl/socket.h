/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Listening Unix sockets of the run directory. */

#include <event2/event.h>
#include <sys/types.h>

#include "ctrl/reason.h"

struct socket_listener;

/*
 * Listens at DIR/NAME with the given mode, in place of what a dead credgated left there. `accepted`
 * gets each connection, non-blocking, and owns it. NULL with the cure.
 */
struct socket_listener *socket_listen(struct event_base *base, const char *dir, const char *name,
	int type, mode_t mode, void (*accepted)(int fd, void *context), void *context,
	struct reason *reason);

/* Closes it and removes the name. */
void socket_listener_destroy(struct socket_listener *listener);

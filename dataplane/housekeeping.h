/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the main thread does while workers poll: heartbeat, waking sleeping readers, watching the
 * real-time clock for steps and the ports, and waiting for control or a signal to end it all.
 */

#include <stdint.h>

#include "dataplane/failure.h"
#include "dataplane/setup_priv.h"
#include "dataplane/waker.h"

struct housekeeping {
	const struct setup *setup;
	struct waker waker;
	int wake_fd;   /* eventfd, written by a worker that ends a sleep */
	int signal_fd; /* SIGTERM and SIGINT */
	int64_t clock_offset_us;
	int64_t watch_due_us;
};

/* Looks after something, five times a second. 0, or -errno with `failure` to end it all. */
typedef int housekeeping_watch_t(void *context, struct failure *failure);

/*
 * Blocks SIGTERM and SIGINT, in this thread and all it makes from now on: before the first one. 0
 * or -errno; housekeeping_fini undoes it, also after a failure.
 */
int housekeeping_init(
	struct housekeeping *house, const struct setup *setup, struct failure *failure);
void housekeeping_fini(struct housekeeping *house);

/* Tells control that this process lives; housekeeping_run goes on with it. */
void housekeeping_beat(struct housekeeping *house);

/*
 * Returns 0 when control is gone or asks to stop, or a signal came, and what `watch` returned when
 * that is an error.
 */
int housekeeping_run(struct housekeeping *house, housekeeping_watch_t *watch, void *context,
	struct failure *failure);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* All workers of the program: their memory, the hand-off rings between them, their threads. */

#include <stdatomic.h>
#include <stddef.h>

#include "crypto/crypto.h"
#include "dataplane/failure.h"
#include "dataplane/loop.h"
#include "dataplane/port.h"
#include "dataplane/setup_priv.h"

struct workers {
	unsigned count;
	unsigned running;
	atomic_bool is_stopping;
	struct loop *loops;
	void *handoff; /* rings of every ordered pair */
	size_t handoff_size;
};

/*
 * Makes every worker, after it has repaired what a dataplane that died left behind. `ports` and
 * `setup` MUST outlive the workers; wake_fd is the eventfd that wakes the main thread. 0 or -errno;
 * workers_destroy undoes it, also after a failure.
 */
int workers_create(struct workers *workers, struct setup *setup, const struct ports *ports,
	enum tag_kernel_id kernel, int wake_fd, struct failure *failure);
void workers_destroy(struct workers *workers);

/* Lets them run on their lcores, and waits until they have left their loops. 0 or -errno. */
int workers_launch(struct workers *workers, struct failure *failure);
void workers_stop(struct workers *workers);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Wakes readers that sleep on a ring's head (FUTEX_WAIT on its low 32 bits, shared, from a
 * read-only mapping). Done by the main thread, so that no worker pays for it. Main thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/setup_priv.h"

struct waker {
	unsigned count;
	struct verdict_ring *rings[(TABLE_GROUPS_MAX + 1) * TABLE_WORKERS_MAX];
	uint64_t heads[(TABLE_GROUPS_MAX + 1) * TABLE_WORKERS_MAX]; /* as last seen */
};

/* Takes every ring of `setup`. */
void waker_init(struct waker *waker, const struct setup *setup);

/* Wakes all readers of each ring that moved since the last look. Returns whether one did. */
bool waker_look(struct waker *waker);

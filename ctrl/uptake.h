/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Puts changes of the key table in force and tells when every running worker uses them. Changes
 * that come while workers still take up the last ones go together into the next generation. All
 * functions: the thread of the event loop.
 */

#include <event2/event.h>
#include <stdint.h>

#include "ctrl/keytable.h"

#define UPTAKE_WAIT_US  1000000u /* then a change is answered anyway */
#define UPTAKE_STUCK_US 5000000u /* a worker that holds a table this long does not work */
#define UPTAKE_LOOK_US  500

struct uptake;

/* Called once per uptake_request: `lagging` running workers do not use `generation` yet. */
typedef void uptake_done_t(void *context, uint64_t generation, unsigned lagging);

/* on_stuck: a worker has not taken up a table for UPTAKE_STUCK_US. NULL without memory. */
struct uptake *uptake_create(struct event_base *base, struct keytable *table,
	void (*on_stuck)(void *context), void *context);

/* Requests that wait are dropped without a call. */
void uptake_destroy(struct uptake *uptake);

/* The table changed: publish it, and tell `done` (may be NULL). 0 or -ENOMEM. */
int uptake_request(struct uptake *uptake, uptake_done_t *done, void *context);

/* Forgets all requests with this context: whoever asked is gone. */
void uptake_cancel(struct uptake *uptake, const void *context);

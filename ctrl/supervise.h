/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Keeps a dataplane running: has the starter execute it, hands it configuration and memfds
 * (dataplane/setup.h), waits until it polls its ports, and starts another one with the same memory
 * when it dies, so that replay state and rings survive. The first death is answered at once;
 * repeated quick ones wait 50 ms, doubled each time up to 2 s. One that stops beating for 5 s is
 * replaced.
 *
 * A dead dataplane counts as offline for the key table: its workers' `seen` are reset before the
 * next one is told anything. All functions: the thread of the event loop.
 */

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctrl/reason.h"
#include "ctrl/starter.h"
#include "dataplane/setup.h"
#include "dataplane/table.h"

#define SUPERVISE_BACKOFF_MIN_MS 50u
#define SUPERVISE_BACKOFF_MAX_MS 2000u
#define SUPERVISE_QUICK_US       10000000u /* dying sooner than this after READY is quick */
#define SUPERVISE_READY_S        60        /* EAL with many hugepages takes its time */
#define SUPERVISE_HANG_US        5000000u
#define SUPERVISE_STOP_S         3
#define SUPERVISE_TEXT_SIZE      320u

enum supervise_state {
	SUPERVISE_DOWN,
	SUPERVISE_STARTING,
	SUPERVISE_RUNNING,
	SUPERVISE_STOPPING,
};

struct supervise_object {
	enum setup_object_what what;
	uint16_t group;
	uint16_t worker;
	int fd;
	uint64_t size;
};

struct supervise_config {
	struct event_base *base;
	struct starter *starter;
	const struct setup_config *setup;
	const struct supervise_object *objects;
	unsigned object_count;
	struct stats_header *stats;
	unsigned worker_count;
	void *context;
	/* Polls its ports, for the n-th time. */
	void (*on_ready)(void *context, unsigned count);
	/* It cannot run at all: the first start failed, or the starter is gone. One line. */
	void (*on_failure)(void *context, const char *text);
	/* It ended after supervise_stop. */
	void (*on_stopped)(void *context);
};

struct supervise_status {
	enum supervise_state state;
	pid_t pid; /* 0: none */
	unsigned restarts;
	uint64_t ready_us; /* monotonic clock, when it began to poll; 0: does not */
	uint32_t kernel;   /* enum tag_kernel_id */
	char last_exit[SUPERVISE_TEXT_SIZE]; /* empty: none yet */
};

struct supervise;

/* Everything `config` points to MUST outlive it. NULL without memory. */
struct supervise *supervise_create(const struct supervise_config *config);
void supervise_destroy(struct supervise *supervise);

/* Starts the first dataplane. 0 or -errno. */
int supervise_start(struct supervise *supervise, struct reason *reason);

/* Asks the dataplane to stop; on_stopped follows, after SUPERVISE_STOP_S at the latest. */
void supervise_stop(struct supervise *supervise);

/*
 * Waits, without the starter, for the end of the dataplane that ran last. False if it was not seen
 * within `ms`, or if nobody can tell which one that was.
 */
bool supervise_wait_end(const struct supervise *supervise, unsigned ms);

/* Replaces a dataplane that does not do its work; `why` is for the log. */
void supervise_replace(struct supervise *supervise, const char *why);

const struct supervise_status *supervise_status(const struct supervise *supervise);

/* "starting", "running", "down", "stopping". */
const char *supervise_state_text(enum supervise_state state);

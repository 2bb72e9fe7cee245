/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The hot loop of a worker: receive, worker_burst, answer neighbours, send, free; and how it waits
 * when there is nothing to do. One lcore thread per struct loop.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/neighbour.h"
#include "dataplane/port.h"
#include "dataplane/worker.h"

struct rte_mbuf;

/* Replies of one call of worker_burst and an answer to each frame of it. */
#define LOOP_OUT_MAX (3 * BURST_FRAMES_MAX)

/* What leaves by one port after this burst. */
struct loop_outbox {
	unsigned count;
	struct rte_mbuf *mbufs[LOOP_OUT_MAX];
};

/* How long nothing came. */
struct loop_idle {
	uint32_t polls;    /* empty ones in a row */
	uint32_t sleep_us; /* the next sleep */
	bool has_slept;
};

struct loop {
	_Alignas(64) struct worker *worker; /* no line is shared with another loop */
	struct worker_stats *stats;
	const struct ports *ports;
	const atomic_bool *is_stopping;
	uint32_t sleep_us_max; /* 0: never sleep */
	int wake_fd;           /* eventfd of the main thread */
	uint16_t queue;
	unsigned first_port; /* whose turn it is to be asked first */
	/* Every buffer of this burst is of our pool, whole and nobody else's. */
	bool is_plain;
	struct loop_idle idle;
	struct neighbour_budget budget;
	struct rte_mbuf *mbufs[BURST_FRAMES_MAX];
	struct burst_frame frames[BURST_FRAMES_MAX];
	struct burst_result result;
	struct loop_outbox outboxes[SETUP_PORTS_MAX];
};

/*
 * Runs until *is_stopping. `argument` is a struct loop with everything up to queue filled in and
 * the rest zero, but for budget. Returns 0. An lcore function.
 */
int loop_run(void *argument);

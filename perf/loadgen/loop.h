/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The busy loops: mint and send, receive, read verdicts; one thread, nothing waits. */

#include <signal.h>

#include "perf/loadgen/mint.h"
#include "perf/loadgen/port.h"
#include "perf/loadgen/replies.h"
#include "perf/loadgen/report.h"
#include "perf/loadgen/verdicts.h"

struct loop {
	const struct settings *settings;
	const struct port *port;
	struct mint *mint;
	struct replies *replies;
	struct verdicts *verdicts;
	struct results *results;
	const volatile sig_atomic_t *is_stopped;
};

/* On the busy lcore, with a struct loop. Returns 0, or -1 and said why. */
int loop_run(void *loop);

/* Minting alone, on this thread. */
void loop_mint_only(struct loop *loop);

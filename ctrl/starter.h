/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The starter: a small child that credgated forks before it opens any secret or socket, and that
 * keeps the privileges credgated then drops. It has no secrets and knows one command: run a fresh
 * dataplane, with fixed arguments, a clean environment and the one descriptor that came with the
 * command. A dataplane that still runs then is killed first (control, under another uid, could not
 * do that). When credgated goes away, however it does, the starter kills its child and exits.
 *
 * Messages go over a SOCK_SEQPACKET pair. Control sends one struct starter_start with the set-up
 * socket as SCM_RIGHTS; the starter answers with struct starter_event: STARTED (with a pidfd as
 * SCM_RIGHTS), later ENDED; or FAILED if it could not be executed.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctrl/reason.h"

#define STARTER_MAGIC     0x31525453u
#define STARTER_SETUP_FD  3
#define STARTER_TEXT_SIZE 200u

enum starter_event_type {
	STARTER_STARTED = 1,
	STARTER_ENDED = 2,
	STARTER_FAILED = 3,
};

struct starter_start {
	uint32_t magic;
};

struct starter_event {
	uint32_t magic;
	uint32_t type; /* enum starter_event_type */
	int32_t pid;
	int32_t status; /* ENDED: as of waitpid; FAILED: errno */
	char text[STARTER_TEXT_SIZE];
};

struct starter_config {
	const char *program; /* absolute path of credgate-dataplane */
	uint32_t uid;
	uint32_t gid;
};

struct starter {
	pid_t pid;
	int fd; /* control's end, non-blocking */
};

/*
 * Forks the starter. MUST be called before threads, secrets and sockets: the child inherits them
 * all and closes what it finds. 0 or -errno.
 */
int starter_fork(
	struct starter *starter, const struct starter_config *config, struct reason *reason);

/* Asks for a fresh dataplane with `setup_fd` (which stays the caller's to close). 0 or -errno. */
int starter_start(struct starter *starter, int setup_fd, struct reason *reason);

/*
 * Receives one event; *pidfd gets the descriptor of STARTED, else -1. 1 if there was one, 0 if not
 * yet, -EPIPE if the starter is gone.
 */
int starter_receive(struct starter *starter, struct starter_event *event, int *pidfd);

/*
 * Ends the starter, and with it a dataplane that still runs. False if it cannot say that none runs
 * any more: the starter itself was killed before.
 */
bool starter_stop(struct starter *starter);

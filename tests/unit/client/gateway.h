/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The consumer side of a gateway for tests: real rings in sealed memfds, written by the real writer
 * of verdict/, and a real attach server. It serves one group, "jobs" (another is refused), and a
 * member table.
 */

#include <stdint.h>

#include "verdict/attach.h"
#include "verdict/members.h"
#include "verdict/ring.h"

struct gateway;

/* Ways to be wrong, which a consumer must notice. */
enum gateway_fault {
	GATEWAY_GOOD = 0,
	GATEWAY_UNSEALED,
	GATEWAY_WRONG_SIZE,
	GATEWAY_WRONG_KIND,
	GATEWAY_WRONG_MAGIC,
	GATEWAY_FEWER_RINGS,
	GATEWAY_OTHER_VERSION,
	GATEWAY_SHORT_REPLY,
	GATEWAY_NO_RINGS,
	GATEWAY_HANGS_UP,
};

/* Serves `count` delivery rings (or refusal rings) at `path`. Ends the program on failure. */
struct gateway *gateway_start(const char *path, unsigned count, enum gateway_fault fault);

/*
 * Its member table, writable: GATEWAY_NODES nodes of realm 7, "lab", and as many of realm 8,
 * "other", all of them empty.
 */
#define GATEWAY_NODES 100u
struct members_header *gateway_members(struct gateway *gateway);

/* Closes every connection and stops: the gateway is gone. */
void gateway_stop(struct gateway *gateway);

/* Waits until so many consumers have got their answer since the start. */
void gateway_wait(struct gateway *gateway, unsigned consumers);

/* Writes one record into a worker's ring; `is_wake` also wakes those who sleep on it. */
void gateway_publish(struct gateway *gateway, unsigned worker, const struct verdict_record *record,
	const void *payload, int is_wake);

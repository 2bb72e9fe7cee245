/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Enrolment: the TCP port on which nodes with a join code get their keys (docs/enrolment.md). It is
 * the one port of credgated that strangers reach, so everything about a connection is bounded: how
 * many there are, how long each may take, how many bytes it may send, how often one place may come.
 * A request is judged on its own turn of the event loop, one after the other. Control's one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "ctrl/reason.h"
#include "wire/join.h"

struct ctrl;
struct enrol;

#define ENROL_CONNECTIONS_MAX 64u
#define ENROL_SPARE           32u  /* of them, also for places that came too often */
#define ENROL_DEADLINE_S      5u   /* from connect to the whole request */
#define ENROL_ACCEPTS_PER_S   500u /* of all places together; more wait in the kernel's queue */
#define ENROL_RETRY_MS        1000u
#define ENROL_EXPIRE_EACH_S   60u

/*
 * Listens at the configuration's enrol.listen. MUST be called in the event loop's thread, with
 * ctrl->registry and ctrl->base made. NULL with the cure.
 */
struct enrol *enrol_create(struct ctrl *ctrl, struct reason *reason);
void enrol_destroy(struct enrol *enrol);

/* A new code with this id. Wipe it after use. */
void enrol_code(const struct enrol *enrol, uint64_t id, uint32_t realm, struct join_code *code);

/* Each second: drops codes that ended, now and then. */
void enrol_tick(struct enrol *enrol);

/* For the status. */
struct enrol_counts {
	uint64_t accepted; /* connections */
	uint64_t put_off;  /* of them for coming too often */
	uint64_t requests;
	uint64_t joined;
	unsigned open; /* connections now */
};

struct enrol_counts enrol_counts(const struct enrol *enrol);

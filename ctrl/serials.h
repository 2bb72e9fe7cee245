/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Serial ceilings: what a gateway must remember of nodes in realms of freshness `serial`, where no
 * clock tells old from new. Each node has a durable ceiling above every serial it was seen to have
 * used, looked at each second; when the windows are gone, its window begins there, so that
 * everything below is STALE.
 *
 * A ceiling is raised by SERIALS_STEP when the node's top comes within half of that, looked at each
 * second. A node of ordinary issuers cannot climb so far in a second but by taking a new incarnation;
 * what it had accepted in the second of an unclean end after that is the gap that remains
 * (docs/replay.md).
 */

#include <stdint.h>

#include "ctrl/reason.h"
#include "replay/replay.h"

#define SERIALS_STEP ((uint64_t)1 << 32)

struct serials;

/* Opens or makes the file `serials` in `dir` and reads it. NULL with the cure. */
struct serials *serials_open(const char *dir, struct reason *reason);
void serials_close(struct serials *serials);

/*
 * Begins the window of a node where its ceiling says. MUST be called after the window was assigned
 * and before a dataplane runs. Without a ceiling nothing changes.
 */
void serials_restore(const struct serials *serials, struct replay_store *store, uint32_t slot,
	uint32_t realm, uint32_t node);

/* Notes a node's top; what has to be raised is written with the next serials_sync. 0 or -ENOMEM. */
int serials_note(struct serials *serials, uint32_t realm, uint32_t node, uint64_t top);

/* Makes raised ceilings durable. 0 or -errno with the cure. */
int serials_sync(struct serials *serials, struct reason *reason);

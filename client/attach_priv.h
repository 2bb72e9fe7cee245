/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Getting verdict rings from a gateway (verdict/attach.h): the socket and the read-only mappings. */

#include <stdbool.h>
#include <stdint.h>

#include "verdict/attach.h"
#include "verdict/members.h"
#include "verdict/ring.h"

struct attached {
	int socket; /* stays open: the claim, and how we learn that the gateway stopped */
	unsigned count;
	const struct verdict_ring *rings[ATTACH_RINGS_MAX];
	uint64_t sizes[ATTACH_RINGS_MAX];
	struct members_view members; /* instead of rings; header NULL: none */
};

/*
 * Attaches to the delivery rings of `group`, or with NULL to the refusal rings. Takes nothing on
 * trust that could hurt us later: a ring must be sealed against shrinking (or reading it could be
 * SIGBUS), as large as promised and well-formed. 0, or a negative errno with cg_error set.
 */
int attach_open(struct attached *attached, const char *socket_path, const char *group);

/* Likewise to the member table, into attached->members. */
int attach_members_open(struct attached *attached, const char *socket_path);
void attach_close(struct attached *attached);

/* The gateway says nothing after its reply, so anything there is to read is the end. */
bool attach_is_closed(const struct attached *attached);

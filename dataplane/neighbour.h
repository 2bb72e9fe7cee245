/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Answers to the neighbours of a port, so that a gateway without a kernel stack can be found and
 * pinged: ARP requests (RFC 826), neighbour solicitations (RFC 4861, DAD of RFC 4862 included),
 * ICMP and ICMPv6 echo (RFC 792, RFC 4443) for the port's addresses. Pure functions, a frame in and
 * a frame out: no state is learnt from a frame, so nothing can be poisoned.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/worker.h"

/* An answer is never longer than its question, but for the target link-layer address option. */
#define NEIGHBOUR_GROWTH_MAX 8u

/*
 * Writes the answer to the Ethernet frame of `size` bytes at `frame` into `answer`, which has
 * `room` bytes and does not overlap it. Returns the answer's size, or 0 if the frame is none of the
 * questions above, is damaged (lengths, checksums), is not for this port, comes from an address
 * that must not be answered, or there is no room. An 802.1Q tag is kept. Any thread.
 */
size_t neighbour_answer(const struct worker_port *port, const uint8_t *frame, size_t size,
	uint8_t *answer, size_t room);

/* A token bucket of one second: one thread's share of the answers a gateway gives. */
struct neighbour_budget {
	uint64_t cost_ns;   /* of one answer; UINT64_MAX: none are allowed */
	uint64_t credit_ns; /* at most one second, at least one answer */
	uint64_t last_us;
};

/* Starts full. `per_s` 0 allows none. */
void neighbour_budget_init(struct neighbour_budget *budget, uint32_t per_s, uint64_t mono_us);

/* May one more answer be given at `mono_us` (monotonic clock)? If so, it is spent. */
bool neighbour_budget_take(struct neighbour_budget *budget, uint64_t mono_us);

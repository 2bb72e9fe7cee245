/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the owner of a node notes of it beside its window (dataplane/meters.h). Of proved credentials
 * only; no verdict depends on it.
 */

#include "dataplane/burst.h"

/* Uses of one epoch in the node's line before they are booked: well before the line overflows. */
#define METER_BOOK_USES (1u << 31)

static inline struct meter_node *
meter_of(const struct worker *worker, uint32_t window)
{
	return meters_node(worker->config.meters, window);
}

/* Starts the load of what meter_book stores to. */
static inline void
meter_book_prefetch(const struct worker *worker, uint32_t window, uint16_t epoch)
{
	__builtin_prefetch(&meter_of(worker, window)->uses[epoch % TABLE_EPOCHS_MAX], 1);
}

/* Books what the node's line counts of the epoch that it is of. */
void meter_book(struct worker *worker, uint32_t window);

/*
 * Does the node's line count this epoch already, with room for one more? Else meter_book first. One
 * load and one comparison: usual credentials ask.
 */
static inline bool
meter_is_of(const struct replay_node *line, uint16_t epoch)
{
	const uint64_t counters = replay_node_counters(line);

	static_assert(
		offsetof(struct replay_node, epoch) == offsetof(struct replay_node, uses) + 4 &&
			METER_BOOK_USES == 1u << 31,
		"epoch in the third quarter, the count's top bit below");
	return (counters << 16 >> 47) == (uint64_t)epoch << 1;
}

/* Before a credential of `epoch` is accepted: makes room for it in the node's line. */
static inline void
meter_turn(struct worker *worker, uint32_t window, uint16_t epoch)
{
	if (!meter_is_of(&worker->replay->nodes[window], epoch))
		meter_book(worker, window);
}

/*
 * Before a serial is marked: has its node begun a new incarnation (upper half of its serials)? Only
 * a serial that is not in the node's line can.
 */
void meter_incarnation(struct worker *worker, uint32_t window, uint64_t serial);

/*
 * A proved credential was refused: statistics by realm, what its node was refused, what the realm's
 * mode spared, and evidence of clones. A replay is nobody's doing but its sender's, so it counts for
 * the realm and not for the node (and a flood of them touches no meter).
 */
void meter_refused(struct worker *worker, const struct own_cred *cred, enum verdict verdict);

/* One was accepted that enforce would have refused. */
void meter_spared(struct worker *worker, const struct view_key *key);

/* One serial came under two tags. */
void meter_collision(struct worker *worker, uint32_t window);

/* An accepted beacon, before it is delivered. */
void meter_beacon(struct worker *worker, const struct own_cred *cred);

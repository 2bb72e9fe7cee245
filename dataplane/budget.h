/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The failure budget of a source: how many unproved refusals of one address (IPv6: of its /64) are
 * worth being looked at in a second, by observers and by whatever slow lane there is. Sources can be
 * forged, so nothing here ever refuses a credential, answers one, or keeps a proved one from
 * anything: whoever forges a node's address can hide what else comes unproved from there, and no
 * more.
 *
 * Two rows of token buckets under a secret hash (a count-min sketch, Cormode and Muthukrishnan
 * 2005): of fixed size, nothing is inserted or evicted, and who does not know the key cannot aim at
 * another source's places. One worker's.
 */

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_ROWS        2u
#define BUDGET_PLACES_LOG2 10u
#define BUDGET_A_SECOND    20u /* of one source, unless it is told */

struct budget {
	uint64_t interval_ns; /* 0: no bound */
	uint64_t key[2 * BUDGET_ROWS];
	uint64_t words[BUDGET_ROWS][1u << BUDGET_PLACES_LOG2];
};

/* `a_second` failures of each source; 0: no bound. */
void budget_init(struct budget *budget, const uint8_t key[32], uint32_t a_second);

/* Spends one failure of `source`; false: it has had enough for now. */
bool budget_take(struct budget *budget, const uint8_t source[16], uint64_t mono_us);

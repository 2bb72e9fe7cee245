/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * How often one place may ask to join: a bucket per source address (IPv6 by /64) in a table of
 * fixed size under a random key. A full set forgets its stalest bucket, so whoever has many
 * addresses can buy himself requests, and never refuse anybody else's. TCP has proved the address.
 */

#include <stdbool.h>
#include <stdint.h>

#define ENROL_LIMIT_BURST 32u
#define ENROL_LIMIT_PER_S 4u
#define ENROL_LIMIT_SETS  256u
#define ENROL_LIMIT_WAYS  4u
#define ENROL_LIMIT_PLACE 9u /* bytes of a place: v4 or v6, and the network */

struct enrol_limit_bucket {
	uint8_t place[ENROL_LIMIT_PLACE];
	bool is_used;
	uint64_t full_us; /* monotonic clock when it is full again */
};

struct enrol_limit {
	uint8_t key[16];
	struct enrol_limit_bucket buckets[ENROL_LIMIT_SETS][ENROL_LIMIT_WAYS];
};

void enrol_limit_init(struct enrol_limit *limit);

/* Takes a token of the place of `source`: false if it has none. */
bool enrol_limit_take(struct enrol_limit *limit, const uint8_t source[16], uint64_t now_us);

/* Gives one back: the request was an honest one. So a site may enrol a thousand nodes behind NAT. */
void enrol_limit_give(struct enrol_limit *limit, const uint8_t source[16], uint64_t now_us);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What a beacon says in its payload (docs/wire-format.md, "Beacons"): that its node is up or about
 * to leave, and when the next one is due. Bytes beyond these are an application's.
 */

#include <stddef.h>
#include <stdint.h>

#define WIRE_BEACON_SIZE    8u
#define WIRE_BEACON_VERSION 1u

#define WIRE_BEACON_AT_VERSION  0
#define WIRE_BEACON_AT_STATE    1
#define WIRE_BEACON_AT_INTERVAL 2

enum wire_beacon_state {
	WIRE_BEACON_UP = 1,
	WIRE_BEACON_LEAVING = 2, /* the node stops on purpose: this is its last one */
};

struct wire_beacon {
	uint8_t state;       /* enum wire_beacon_state */
	uint16_t interval_s; /* to the next one; 0: not told */
};

/*
 * Reads the payload of a credential of kind beacon. There is no wrong one: a proved beacon says
 * that its node is up, so whatever is too short, of another version or in an unknown state is up
 * with no interval told. Reads nothing past `size`; `payload` may be NULL if that is 0. Any thread.
 */
void wire_beacon_parse(struct wire_beacon *beacon, const uint8_t *payload, size_t size);

/* Writes a payload of this version; returns its size. Any thread. */
size_t wire_beacon_build(uint8_t payload[WIRE_BEACON_SIZE], const struct wire_beacon *beacon);

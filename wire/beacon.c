/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/beacon.h"

#include <stdbool.h>

#include "wire/bytes.h"

static bool
is_known(const uint8_t *payload, size_t size)
{
	return size >= WIRE_BEACON_SIZE && payload[WIRE_BEACON_AT_VERSION] == WIRE_BEACON_VERSION &&
	       (payload[WIRE_BEACON_AT_STATE] == WIRE_BEACON_UP ||
		       payload[WIRE_BEACON_AT_STATE] == WIRE_BEACON_LEAVING);
}

void
wire_beacon_parse(struct wire_beacon *beacon, const uint8_t *payload, size_t size)
{
	*beacon = (struct wire_beacon){.state = WIRE_BEACON_UP};
	if (!is_known(payload, size))
		return;
	beacon->state = payload[WIRE_BEACON_AT_STATE];
	beacon->interval_s = load_be16(payload + WIRE_BEACON_AT_INTERVAL);
}

size_t
wire_beacon_build(uint8_t payload[WIRE_BEACON_SIZE], const struct wire_beacon *beacon)
{
	memset(payload, 0, WIRE_BEACON_SIZE);
	payload[WIRE_BEACON_AT_VERSION] = WIRE_BEACON_VERSION;
	payload[WIRE_BEACON_AT_STATE] = beacon->state;
	store_be16(payload + WIRE_BEACON_AT_INTERVAL, beacon->interval_s);
	return WIRE_BEACON_SIZE;
}

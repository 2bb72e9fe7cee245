/* SPDX-License-Identifier: BSD-3-Clause */

/* wire_beacon_parse: every payload means something, and what it means can be built again. */

#include "tests/fuzz/wire/fuzz.h"
#include "wire/beacon.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t built[WIRE_BEACON_SIZE];
	struct wire_beacon beacon, again;

	wire_beacon_parse(&beacon, data, size);
	FUZZ_MUST(beacon.state == WIRE_BEACON_UP || beacon.state == WIRE_BEACON_LEAVING);
	FUZZ_MUST(size >= WIRE_BEACON_SIZE || beacon.state == WIRE_BEACON_UP);
	FUZZ_MUST(wire_beacon_build(built, &beacon) == sizeof(built));
	wire_beacon_parse(&again, built, sizeof(built));
	FUZZ_MUST(again.state == beacon.state && again.interval_s == beacon.interval_s);
	return 0;
}

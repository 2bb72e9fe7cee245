/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/flight.h"

#include <stdlib.h>

#include "perf/loadgen/fail.h"

int
flight_init(struct flight *flight)
{
	const size_t size = FLIGHT_ENTRIES * sizeof(flight->entries[0]);

	flight->put_out = 0;
	flight->entries = aligned_alloc(64, size);
	if (flight->entries == NULL)
		return fail("no memory for what is under way");
	/* Touched now: a page fault later would look like latency. */
	memset(flight->entries, 0, size);
	return 0;
}

void
flight_fini(struct flight *flight)
{
	free(flight->entries);
}

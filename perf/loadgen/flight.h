/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Credentials under way and when they were due. A table of fixed size: a key says in which set of
 * FLIGHT_WAYS places its entry is; in a full set what was due first goes (counted). So nothing
 * grows and a search looks at two cache lines. Keys are random enough: 8 bytes of a tag, or a mixed
 * serial.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "perf/loadgen/random.h"

#define FLIGHT_ENTRIES (1u << 18) /* 8 MB; a quarter of a second at 1 M/s */
#define FLIGHT_WAYS    4u

/* due = 0: free */
struct flight_entry {
	uint64_t due;
	uint64_t high; /* the key, two words */
	uint64_t low;
	uint32_t node; /* index */
	uint32_t span; /* of the request, bytes under its tag */
};

struct flight {
	struct flight_entry *entries;
	uint64_t put_out; /* entries that made room for others */
};

/* 0, or -1 without memory. */
int flight_init(struct flight *flight);
void flight_fini(struct flight *flight);

static inline struct flight_entry *
flight_set(const struct flight *flight, uint64_t low)
{
	return &flight->entries[low % (FLIGHT_ENTRIES / FLIGHT_WAYS) * FLIGHT_WAYS];
}

/* `due` MUST not be 0: a free place is one that is due before all. */
static inline void
flight_add(struct flight *flight, const struct flight_entry *entry)
{
	struct flight_entry *set = flight_set(flight, entry->low), *place = set;
	unsigned i;

	for (i = 1; i < FLIGHT_WAYS; i++)
		if (set[i].due < place->due)
			place = &set[i];
	flight->put_out += place->due != 0;
	*place = *entry;
}

/* Takes the entry of a key out; false if it is not there. */
static inline bool
flight_take(struct flight *flight, uint64_t high, uint64_t low, struct flight_entry *entry)
{
	struct flight_entry *set = flight_set(flight, low);
	unsigned i;

	for (i = 0; i < FLIGHT_WAYS; i++) {
		if (set[i].due == 0 || set[i].high != high || set[i].low != low)
			continue;
		*entry = set[i];
		set[i].due = 0;
		return true;
	}
	return false;
}

/* The key of a serial of a node, as good as drawn: neighbours of both kinds lie far apart. */
static inline uint64_t
flight_mix(uint32_t node, uint64_t serial)
{
	struct random random = {serial ^ (uint64_t)node << 40};

	return random_next(&random);
}

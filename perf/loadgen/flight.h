/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Credentials under way and when they were due. A table of fixed size, each entry in the one place that its key
 * says: what comes later to the same place puts out what was there (counted), so nothing grows and
 * nothing is searched. Keys are random enough: 8 bytes of a tag, or a mixed serial.
 */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FLIGHT_ENTRIES (1u << 18) /* 8 MB; a quarter of a second at 1 M/s */

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
	uint64_t put_out;
};

/* 0, or -1 without memory. */
int flight_init(struct flight *flight);
void flight_fini(struct flight *flight);

static inline struct flight_entry *
flight_place(const struct flight *flight, uint64_t low)
{
	return &flight->entries[low % FLIGHT_ENTRIES];
}

/* `due` MUST not be 0. */
static inline void
flight_add(struct flight *flight, const struct flight_entry *entry)
{
	struct flight_entry *place = flight_place(flight, entry->low);

	flight->put_out += place->due != 0;
	*place = *entry;
}

/* Takes the entry of a key out; false if it is not there. */
static inline bool
flight_take(struct flight *flight, uint64_t high, uint64_t low, struct flight_entry *entry)
{
	struct flight_entry *place = flight_place(flight, low);

	if (place->due == 0 || place->high != high || place->low != low)
		return false;
	*entry = *place;
	place->due = 0;
	return true;
}

/* The key of a serial of a node: consecutive ones lie far apart. */
static inline uint64_t
flight_mix(uint32_t node, uint64_t serial)
{
	uint64_t z = (serial ^ (uint64_t)node << 40) * 0x9e3779b97f4a7c15ull;

	return z ^ z >> 29;
}

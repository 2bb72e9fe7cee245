/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Revocations that are in force but not yet on disk: a set of nodes, as large as memory allows. It is
 * empty but for the time of a full or broken disk, or of an import. Looking one up is O(1): each
 * node that is read from the registry is looked up here.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct revocation {
	uint32_t realm;
	uint32_t node;
};

/* All zero is the empty set. */
struct revocations {
	struct revocation *items;
	size_t count;
	size_t room;      /* of items; a power of two */
	uint32_t *places; /* 2 * room, open addressing: index in items + 1, 0: free */
};

bool revocations_has(const struct revocations *set, uint32_t realm, uint32_t node);

/* Adds a node, once. 0 or -ENOMEM. */
int revocations_add(struct revocations *set, uint32_t realm, uint32_t node);

/* Empties the set and gives its memory back. */
void revocations_fini(struct revocations *set);

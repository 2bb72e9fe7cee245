/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Revocations that are in force but not yet on disk: a set of nodes, as large as memory allows. It is
 * empty but for the time of a full or broken disk, so it is searched from end to end.
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
	size_t room;
};

bool revocations_has(const struct revocations *set, uint32_t realm, uint32_t node);

/* Adds a node, once. 0 or -ENOMEM. */
int revocations_add(struct revocations *set, uint32_t realm, uint32_t node);

void revocations_fini(struct revocations *set);

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/revocations.h"

#include <errno.h>
#include <stdlib.h>

#define ROOM_MIN 16u

/* The node's place, or the free one where it would go; there is always a free one. */
static uint32_t *
place_find(const struct revocations *set, uint32_t realm, uint32_t node)
{
	const size_t mask = 2 * set->room - 1;
	uint64_t hash = ((uint64_t)realm << 32 | node) * 0x9e3779b97f4a7c15ull;
	size_t i = (size_t)(hash >> 32) & mask;

	for (; set->places[i] != 0; i = (i + 1) & mask) {
		const struct revocation *item = &set->items[set->places[i] - 1];

		if (item->realm == realm && item->node == node)
			break;
	}
	return &set->places[i];
}

bool
revocations_has(const struct revocations *set, uint32_t realm, uint32_t node)
{
	return set->count > 0 && *place_find(set, realm, node) != 0;
}

static int
set_grow(struct revocations *set)
{
	size_t room = set->room == 0 ? ROOM_MIN : 2 * set->room;
	uint32_t *places = calloc(2 * room, sizeof(*places));
	struct revocation *items = realloc(set->items, room * sizeof(*items));

	if (items != NULL)
		set->items = items;
	if (places == NULL || items == NULL) {
		free(places);
		return -ENOMEM;
	}
	free(set->places);
	set->places = places;
	set->room = room;
	for (size_t i = 0; i < set->count; i++)
		*place_find(set, items[i].realm, items[i].node) = (uint32_t)i + 1;
	return 0;
}

int
revocations_add(struct revocations *set, uint32_t realm, uint32_t node)
{
	if (revocations_has(set, realm, node))
		return 0;
	if (set->count == set->room && set_grow(set) != 0)
		return -ENOMEM;
	set->items[set->count] = (struct revocation){realm, node};
	*place_find(set, realm, node) = (uint32_t)++set->count;
	return 0;
}

void
revocations_fini(struct revocations *set)
{
	free(set->places);
	free(set->items);
	*set = (struct revocations){0};
}

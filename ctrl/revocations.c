/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/revocations.h"

#include <errno.h>
#include <stdlib.h>

bool
revocations_has(const struct revocations *set, uint32_t realm, uint32_t node)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->items[i].realm == realm && set->items[i].node == node)
			return true;
	return false;
}

int
revocations_add(struct revocations *set, uint32_t realm, uint32_t node)
{
	if (revocations_has(set, realm, node))
		return 0;
	if (set->count == set->room) {
		size_t room = set->room == 0 ? 16 : set->room * 2;
		struct revocation *items = realloc(set->items, room * sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		set->items = items;
		set->room = room;
	}
	set->items[set->count++] = (struct revocation){realm, node};
	return 0;
}

void
revocations_fini(struct revocations *set)
{
	free(set->items);
	*set = (struct revocations){0};
}

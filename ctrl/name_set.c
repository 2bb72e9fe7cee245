/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/name_set.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PLACES_MIN 64u

/* FNV-1a: whoever writes the names is trusted not to look for collisions. */
static uint32_t
hash(const char *name)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 0x100000001b3ull;
	return (uint32_t)(h ^ h >> 32);
}

/* Where the name is, or would be. */
static uint32_t
place_of(const struct name_set *set, const char *name)
{
	uint32_t at = hash(name) & set->mask;

	while (set->places[at] != 0 && strcmp(set->pool + set->places[at] - 1, name) != 0)
		at = (at + 1) & set->mask;
	return at;
}

/* At most half full, so that a name that is not there is soon known not to be. */
static int
places_grow(struct name_set *set)
{
	const struct name_set old = *set;
	uint32_t size = old.places != NULL ? 2 * (old.mask + 1) : PLACES_MIN;

	if (old.places != NULL && 2 * (old.count + 1) <= old.mask + 1)
		return 0;
	set->places = calloc(size, sizeof(*set->places));
	if (set->places == NULL) {
		set->places = old.places;
		return -ENOMEM;
	}
	set->mask = size - 1;
	for (uint32_t i = 0; old.places != NULL && i <= old.mask; i++)
		if (old.places[i] != 0)
			set->places[place_of(set, set->pool + old.places[i] - 1)] = old.places[i];
	free(old.places);
	return 0;
}

static int
pool_grow(struct name_set *set, size_t size)
{
	size_t room = 2 * set->pool_room + size + 4096;
	char *pool;

	if (set->pool_size + size <= set->pool_room)
		return 0;
	pool = room < UINT32_MAX ? realloc(set->pool, room) : NULL;
	if (pool == NULL)
		return -ENOMEM;
	set->pool = pool;
	set->pool_room = room;
	return 0;
}

int
name_set_add(struct name_set *set, const char *name)
{
	size_t size = strlen(name) + 1;
	uint32_t at;

	if (places_grow(set) != 0 || pool_grow(set, size) != 0)
		return -ENOMEM;
	at = place_of(set, name);
	if (set->places[at] != 0)
		return 0;
	memcpy(set->pool + set->pool_size, name, size);
	set->places[at] = (uint32_t)set->pool_size + 1;
	set->pool_size += size;
	set->count++;
	return 0;
}

bool
name_set_has(const struct name_set *set, const char *name)
{
	return set->places != NULL && set->places[place_of(set, name)] != 0;
}

void
name_set_clear(struct name_set *set)
{
	free(set->pool);
	free(set->places);
	*set = (struct name_set){0};
}

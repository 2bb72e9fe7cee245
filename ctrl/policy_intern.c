/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/policy_intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
policy_intern_fini(struct policy_intern *set)
{
	free(set->bytes);
	free(set->items);
	free(set->places);
	memset(set, 0, sizeof(*set));
}

static uint32_t
bytes_hash(const uint8_t *bytes, size_t size)
{
	uint64_t hash = size * 0x9e3779b97f4a7c15ull;
	uint64_t word;

	for (; size >= sizeof(word); size -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = (hash ^ word) * 0xff51afd7ed558ccdull;
		hash ^= hash >> 32;
	}
	word = 0;
	memcpy(&word, bytes, size);
	hash = (hash ^ word) * 0xff51afd7ed558ccdull;
	return (uint32_t)(hash >> 32);
}

/* Where the string is, or where it would be. */
static uint32_t *
place_of(const struct policy_intern *set, uint32_t hash, const void *bytes, size_t size)
{
	uint32_t mask = set->place_count - 1, at = hash & mask;

	for (; set->places[at] != 0; at = (at + 1) & mask) {
		const struct policy_intern_item *item = &set->items[set->places[at] - 1];

		if (item->hash == hash && item->size == size &&
			memcmp(set->bytes + item->offset, bytes, size) == 0)
			break;
	}
	return &set->places[at];
}

static bool
places_grow(struct policy_intern *set)
{
	uint32_t count = set->place_count > 0 ? set->place_count * 2 : 64;
	uint32_t *places = calloc(count, sizeof(*places));

	if (places == NULL)
		return false;
	free(set->places);
	set->places = places;
	set->place_count = count;
	for (uint32_t i = 0; i < set->item_count; i++) {
		const struct policy_intern_item *item = &set->items[i];

		*place_of(set, item->hash, set->bytes + item->offset, item->size) = i + 1;
	}
	return true;
}

static bool
room_make(struct policy_intern *set, size_t size)
{
	if (set->item_count == set->item_room) {
		uint32_t room = set->item_room * 2 + 32;
		struct policy_intern_item *items = reallocarray(set->items, room, sizeof(*items));

		if (items == NULL)
			return false;
		set->items = items;
		set->item_room = room;
	}
	if (set->room - set->size < size || set->bytes == NULL) {
		size_t room = set->room * 2 + size + 256;
		uint8_t *bytes = realloc(set->bytes, room);

		if (bytes == NULL)
			return false;
		set->bytes = bytes;
		set->room = room;
	}
	return 2 * (set->item_count + 1) <= set->place_count || places_grow(set);
}

int64_t
policy_intern(struct policy_intern *set, const void *bytes, size_t size, bool *is_new)
{
	uint32_t hash = bytes_hash(bytes, size);
	uint32_t *place;

	if (!room_make(set, size))
		return -ENOMEM;
	place = place_of(set, hash, bytes, size);
	*is_new = *place == 0;
	if (*is_new) {
		set->items[set->item_count] = (struct policy_intern_item){
			.hash = hash, .size = (uint32_t)size, .offset = set->size};
		memcpy(set->bytes + set->size, bytes, size);
		set->size += size;
		*place = ++set->item_count;
	}
	return *place - 1;
}

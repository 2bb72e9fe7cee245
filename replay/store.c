/* SPDX-License-Identifier: BSD-3-Clause */

/* The mapping of replay/window.h: its size, its formatting, opening it, and naming its windows. */

#include "replay/replay.h"

#include <errno.h>
#include <string.h>

#define STORE_PAGE_SIZE 4096u

struct store_layout {
	uint64_t nodes_offset;
	uint64_t headers_offset;
	uint64_t rings_offset;
	uint64_t cache_offset;
	uint64_t cache_size;
	uint64_t size;
};

/* Ring words of a window of 2^bits_log2 bits; 0 for none. */
static uint64_t
ring_words_of(uint8_t bits_log2)
{
	return bits_log2 == 0 ? 0 : ((uint64_t)1 << bits_log2) / 64;
}

static bool
add_part(uint64_t *end, uint64_t count, uint64_t item_size)
{
	uint64_t size;

	if (__builtin_mul_overflow(count, item_size, &size) ||
		__builtin_add_overflow(*end, size, end) ||
		__builtin_add_overflow(*end, STORE_PAGE_SIZE - 1, end))
		return false;
	*end &= ~(uint64_t)(STORE_PAGE_SIZE - 1);
	return true;
}

/* False if the sum overflows. */
static bool
layout_make(struct store_layout *layout, uint32_t slot_count, uint64_t ring_words,
	uint64_t cache_entries)
{
	uint64_t end = STORE_PAGE_SIZE;

	layout->nodes_offset = end;
	if (!add_part(&end, slot_count, sizeof(struct replay_node)))
		return false;
	layout->headers_offset = end;
	if (!add_part(&end, slot_count, sizeof(struct replay_window_header)))
		return false;
	layout->rings_offset = end;
	if (!add_part(&end, ring_words, sizeof(uint64_t)))
		return false;
	layout->cache_offset = end;
	layout->cache_size = cache_entries * sizeof(struct replay_cache_entry);
	if (!add_part(&end, cache_entries, sizeof(struct replay_cache_entry)))
		return false;
	layout->size = end;
	return true;
}

static uint64_t
cache_entries_round(uint32_t entries)
{
	uint64_t rounded = REPLAY_CACHE_ENTRIES_MIN;

	while (rounded < entries)
		rounded *= 2;
	return rounded;
}

static bool
ranges_are_valid(const struct replay_layout_range *ranges, size_t range_count, uint32_t slot_count)
{
	size_t i;

	for (i = 0; i < range_count; i++) {
		const uint32_t bits = ranges[i].window_bits;

		if (bits < REPLAY_WINDOW_BITS_MIN || bits > REPLAY_WINDOW_BITS_MAX ||
			(bits & (bits - 1)) != 0)
			return false;
		if ((uint64_t)ranges[i].first_slot + ranges[i].slot_count > slot_count)
			return false;
	}
	return true;
}

/*
 * Window of a slot: that of the last range that holds it. *end gets the next slot where this may
 * change, so that walking all slots costs ranges squared instead of slots times ranges.
 */
static uint8_t
ranges_find(
	const struct replay_layout_range *ranges, size_t range_count, uint32_t slot, uint32_t *end)
{
	uint8_t bits_log2 = 0;
	size_t i;

	for (i = 0; i < range_count; i++) {
		const uint32_t first = ranges[i].first_slot;
		const uint32_t behind = first + ranges[i].slot_count;

		if (slot < first) {
			if (first < *end)
				*end = first;
		} else if (slot < behind) {
			bits_log2 = (uint8_t)__builtin_ctz(ranges[i].window_bits);
			if (behind < *end)
				*end = behind;
		}
	}
	return bits_log2;
}

static uint64_t
ranges_ring_words(const struct replay_layout_range *ranges, size_t range_count, uint32_t slot_count)
{
	uint64_t words = 0;
	uint32_t slot;
	uint32_t end;

	/* At most 2^32 slots of 2^14 words: no overflow. */
	for (slot = 0; slot < slot_count; slot = end) {
		end = slot_count;
		words += ring_words_of(ranges_find(ranges, range_count, slot, &end)) * (end - slot);
	}
	return words;
}

static bool
ranges_layout(struct store_layout *layout, uint64_t *ring_words, uint32_t slot_count,
	const struct replay_layout_range *ranges, size_t range_count, uint32_t cache_entries)
{
	if (!ranges_are_valid(ranges, range_count, slot_count))
		return false;
	*ring_words = ranges_ring_words(ranges, range_count, slot_count);
	return layout_make(layout, slot_count, *ring_words, cache_entries_round(cache_entries));
}

uint64_t
replay_store_size(uint32_t slot_count, const struct replay_layout_range *ranges, size_t range_count,
	uint32_t cache_entries)
{
	struct store_layout layout;
	uint64_t ring_words;

	if (!ranges_layout(&layout, &ring_words, slot_count, ranges, range_count, cache_entries))
		return 0;
	return layout.size;
}

static void
format_window(struct replay_store *store, uint32_t slot, uint64_t ring_word, uint8_t bits_log2)
{
	struct replay_window_header *header = &store->headers[slot];

	header->ring_word = ring_word;
	header->bits_log2 = bits_log2;
	header->checksum = replay_header_checksum(header);
	store->nodes[slot].bits_log2 = bits_log2;
}

static void
format_windows(
	struct replay_store *store, const struct replay_layout_range *ranges, size_t range_count)
{
	uint64_t ring_word = 0;
	uint32_t slot = 0;

	while (slot < store->slot_count) {
		uint32_t end = store->slot_count;
		const uint8_t bits_log2 = ranges_find(ranges, range_count, slot, &end);

		for (; slot < end; slot++) {
			format_window(store, slot, ring_word, bits_log2);
			ring_word += ring_words_of(bits_log2);
		}
	}
}

/* Volatile, or the compiler would drop stores of zeroes to memory it is told is zero. */
static void
touch_pages(void *mapping, uint64_t size)
{
	volatile uint8_t *bytes = mapping;
	uint64_t i;

	for (i = 0; i < size; i += STORE_PAGE_SIZE)
		bytes[i] = 0;
}

static void
store_view(struct replay_store *store, void *mapping, const struct store_layout *layout,
	uint32_t slot_count, uint64_t ring_words)
{
	uint8_t *base = mapping;

	store->header = mapping;
	store->nodes = (struct replay_node *)(base + layout->nodes_offset);
	store->headers = (struct replay_window_header *)(base + layout->headers_offset);
	store->ring = (uint64_t *)(base + layout->rings_offset);
	store->cache = (struct replay_cache_entry *)(base + layout->cache_offset);
	store->ring_words = ring_words;
	store->slot_count = slot_count;
	store->cache_sets = (uint32_t)(layout->cache_size / sizeof(struct replay_cache_entry) /
				       REPLAY_CACHE_WAYS / REPLAY_SHARDS);
}

/* Magic last: a half formatted mapping does not open. */
static void
format_header(
	struct replay_store *store, const struct store_layout *layout, const uint8_t hash_key[16])
{
	struct replay_store_header *header = store->header;

	header->version = REPLAY_STORE_VERSION;
	header->slot_count = store->slot_count;
	header->size = layout->size;
	header->nodes_offset = layout->nodes_offset;
	header->headers_offset = layout->headers_offset;
	header->rings_offset = layout->rings_offset;
	header->ring_words = store->ring_words;
	header->cache_offset = layout->cache_offset;
	header->cache_size = layout->cache_size;
	memcpy(header->hash_key, hash_key, sizeof(header->hash_key));
	__atomic_store_n(&header->magic, REPLAY_STORE_MAGIC, __ATOMIC_RELEASE);
}

static bool
is_aligned(const void *mapping)
{
	return (uintptr_t)mapping % sizeof(struct replay_node) == 0;
}

int
replay_store_format(void *mapping, uint64_t size, uint32_t slot_count,
	const struct replay_layout_range *ranges, size_t range_count, uint32_t cache_entries,
	const uint8_t hash_key[16])
{
	struct replay_store store;
	struct store_layout layout;
	uint64_t ring_words;

	if (!ranges_layout(&layout, &ring_words, slot_count, ranges, range_count, cache_entries) ||
		layout.size != size || !is_aligned(mapping))
		return -EINVAL;
	touch_pages(mapping, size);
	store_view(&store, mapping, &layout, slot_count, ring_words);
	format_windows(&store, ranges, range_count);
	format_header(&store, &layout, hash_key);
	return 0;
}

/* Every header field but magic and hash_key follows from three of them; all must agree. */
static bool
header_layout(const struct replay_store_header *header, struct store_layout *layout)
{
	const uint64_t entries = header->cache_size / sizeof(struct replay_cache_entry);

	return entries >= REPLAY_CACHE_ENTRIES_MIN && entries <= (uint64_t)1 << 32 &&
	       (entries & (entries - 1)) == 0 &&
	       layout_make(layout, header->slot_count, header->ring_words, entries) &&
	       header->nodes_offset == layout->nodes_offset &&
	       header->headers_offset == layout->headers_offset &&
	       header->rings_offset == layout->rings_offset &&
	       header->cache_offset == layout->cache_offset &&
	       header->cache_size == layout->cache_size && header->size == layout->size;
}

static bool
bits_log2_is_valid(uint8_t bits_log2)
{
	return bits_log2 == 0 || (bits_log2 >= __builtin_ctz(REPLAY_WINDOW_BITS_MIN) &&
					 bits_log2 <= __builtin_ctz(REPLAY_WINDOW_BITS_MAX));
}

/* Windows lie side by side in the ring, in slot order, and fill it. */
static bool
windows_fill_ring(const struct replay_store *store)
{
	uint64_t word = 0;
	uint32_t slot;

	for (slot = 0; slot < store->slot_count; slot++) {
		const struct replay_window_header *header = &store->headers[slot];

		if (!bits_log2_is_valid(header->bits_log2) || header->ring_word != word)
			return false;
		word += ring_words_of(header->bits_log2);
	}
	return word == store->ring_words;
}

int
replay_store_open(struct replay_store *store, void *mapping, uint64_t size)
{
	struct replay_store_header header;
	struct store_layout layout;

	if (size < STORE_PAGE_SIZE || !is_aligned(mapping))
		return -EBADMSG;
	/* Once, by value: what was checked is what is used, whoever else writes there. */
	memcpy(&header, mapping, sizeof(header));
	if (header.magic != REPLAY_STORE_MAGIC || header.version != REPLAY_STORE_VERSION ||
		header.size != size || !header_layout(&header, &layout))
		return -EBADMSG;
	store_view(store, mapping, &layout, header.slot_count, header.ring_words);
	return windows_fill_ring(store) ? 0 : -EBADMSG;
}

static void
window_clear(struct replay_store *store, uint32_t slot, const struct replay_window_header *header)
{
	struct replay_node *line = &store->nodes[slot];

	memset(line, 0, sizeof(*line));
	line->bits_log2 = header->bits_log2;
	memset(store->ring + header->ring_word, 0,
		ring_words_of(header->bits_log2) * sizeof(*store->ring));
}

int
replay_window_assign(struct replay_store *store, uint32_t slot, uint32_t realm, uint32_t node)
{
	struct replay_window_header *header = &store->headers[slot];
	struct replay_window_header named = *header;

	if (replay_window_is_clean(store, slot, realm, node))
		return 0;
	/* The dataplane can write this memory too: only a place inside the ring is cleared. */
	if (!bits_log2_is_valid(named.bits_log2) || named.ring_word > store->ring_words ||
		ring_words_of(named.bits_log2) > store->ring_words - named.ring_word)
		named.bits_log2 = 0;
	named.realm = realm;
	named.node = node;
	memset(named.reserved, 0, sizeof(named.reserved));
	named.checksum = replay_header_checksum(&named);
	/* Wrong first, right last: a kill in between leaves a window that counts as unclean. */
	replay_word_store(&header->checksum, ~named.checksum);
	window_clear(store, slot, &named);
	header->realm = named.realm;
	header->node = named.node;
	header->bits_log2 = named.bits_log2;
	memset(header->reserved, 0, sizeof(header->reserved));
	replay_word_store(&header->checksum, named.checksum);
	return 1;
}

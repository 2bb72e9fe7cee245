/* SPDX-License-Identifier: BSD-3-Clause */

#include "replay/retransmit.h"

#include <string.h>

/*
 * Implementation notes: the hash only spreads entries over the sets of a shard. It is keyed so that
 * a node which picks its serials cannot aim at another node's entries; what it could win is that an
 * honest retransmission is called a replay, so two folded multiplications are enough, and quicker
 * than a hash made for hostile input with visible results.
 */
static uint64_t
fold(uint64_t a, uint64_t b)
{
	const unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t
cache_hash(const uint8_t key[16], uint32_t realm, uint32_t node, uint64_t serial)
{
	uint64_t keys[2];

	memcpy(keys, key, sizeof(keys));
	return fold(fold(serial ^ keys[0], 0x9e3779b97f4a7c15ull ^ keys[1]) ^
			    ((uint64_t)realm << 32 | node),
		0xbf58476d1ce4e5b9ull ^ keys[0]);
}

static struct replay_cache_entry *
cache_set(const struct replay_store *store, uint16_t shard, uint32_t realm, uint32_t node,
	uint64_t serial)
{
	const uint64_t hash = cache_hash(store->header->hash_key, realm, node, serial);
	const uint64_t set = (uint64_t)(shard % REPLAY_SHARDS) * store->cache_sets +
			     (hash & (store->cache_sets - 1));

	return store->cache + set * REPLAY_CACHE_WAYS;
}

void
replay_cache_prefetch(const struct replay_store *store, uint16_t shard, uint32_t realm,
	uint32_t node, uint64_t serial)
{
	const struct replay_cache_entry *set = cache_set(store, shard, realm, node, serial);
	unsigned way;

	for (way = 0; way < REPLAY_CACHE_WAYS; way++)
		__builtin_prefetch(&set[way], 1);
}

/* The entry of (realm, node, serial) in its set, or NULL. */
static struct replay_cache_entry *
set_find(struct replay_cache_entry *set, uint32_t realm, uint32_t node, uint64_t serial)
{
	unsigned way;

	for (way = 0; way < REPLAY_CACHE_WAYS; way++) {
		struct replay_cache_entry *entry = &set[way];

		if (entry->accepted_us != 0 && entry->serial == serial && entry->node == node &&
			entry->realm == realm)
			return entry;
	}
	return NULL;
}

/* A free entry is the oldest of all: its accepted_us is 0. */
static struct replay_cache_entry *
set_find_oldest(struct replay_cache_entry *set)
{
	struct replay_cache_entry *oldest = set;
	unsigned way;

	for (way = 1; way < REPLAY_CACHE_WAYS; way++)
		if (set[way].accepted_us < oldest->accepted_us)
			oldest = &set[way];
	return oldest;
}

/* Same time whatever the tags are. */
static bool
tag_is_equal(const uint8_t a[16], const uint8_t b[16])
{
	uint64_t x[2];
	uint64_t y[2];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

static bool
comes_from_same(const struct replay_cache_entry *entry, const struct replay_cache_entry *want)
{
	return entry->epoch == want->epoch && entry->port == want->port &&
	       memcmp(entry->source, want->source, sizeof(entry->source)) == 0;
}

enum replay_cache_result
replay_cache_find(const struct replay_store *store, uint16_t shard,
	const struct replay_cache_entry *want, uint64_t now_mono_us, uint64_t dup_us,
	uint8_t *verdict)
{
	const struct replay_cache_entry *entry =
		set_find(cache_set(store, shard, want->realm, want->node, want->serial),
			want->realm, want->node, want->serial);

	if (entry == NULL)
		return REPLAY_CACHE_MISS;
	if (!tag_is_equal(entry->tag, want->tag))
		return REPLAY_CACHE_COLLISION;
	/* Each worker reads the clock once per burst, so `now` may be a little before. */
	if (now_mono_us > entry->accepted_us && now_mono_us - entry->accepted_us > dup_us)
		return REPLAY_CACHE_OTHER;
	if (!comes_from_same(entry, want))
		return REPLAY_CACHE_OTHER;
	*verdict = entry->verdict;
	return REPLAY_CACHE_DUPLICATE;
}

/* accepted_us is zeroed first and stored last: a kill in between leaves a free entry, a miss. */
void
replay_cache_insert(struct replay_store *store, uint16_t shard,
	const struct replay_cache_entry *entry, uint64_t now_mono_us)
{
	struct replay_cache_entry *set =
		cache_set(store, shard, entry->realm, entry->node, entry->serial);
	struct replay_cache_entry *place = set_find(set, entry->realm, entry->node, entry->serial);

	if (place == NULL)
		place = set_find_oldest(set);
	replay_word_store(&place->accepted_us, 0);
	place->serial = entry->serial;
	memcpy(place->tag, entry->tag, sizeof(place->tag));
	memcpy(place->source, entry->source, sizeof(place->source));
	place->realm = entry->realm;
	place->node = entry->node;
	place->port = entry->port;
	place->epoch = entry->epoch;
	place->verdict = entry->verdict;
	replay_word_store(&place->accepted_us, now_mono_us != 0 ? now_mono_us : 1);
}

void
replay_cache_forget(
	struct replay_store *store, uint16_t shard, uint32_t realm, uint32_t node, uint64_t serial)
{
	struct replay_cache_entry *entry =
		set_find(cache_set(store, shard, realm, node, serial), realm, node, serial);

	if (entry != NULL)
		replay_word_store(&entry->accepted_us, 0);
}

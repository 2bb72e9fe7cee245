/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Retransmission cache: tells an honest retransmission (DUPLICATE) from a replay. Fixed size, in
 * the same mapping as the windows, so that it outlives the dataplane. Keyed by authenticated fields
 * only (realm, node, serial); takes ACCEPTED credentials that want a reply and nothing else.
 *
 * Entries are grouped in sets of 4 lines, sets in REPLAY_SHARDS shards. A shard has one owner at a
 * time, so every line has one writer for any number of workers. When a set is full the oldest entry
 * goes, which turns a DUPLICATE into a REPLAYED, never the reverse.
 */

#include "replay/window.h"

#define REPLAY_SHARDS                1024u /* owner of a shard: dataplane/table.h */
#define REPLAY_CACHE_WAYS            4u
#define REPLAY_CACHE_ENTRIES_MIN     (REPLAY_SHARDS * REPLAY_CACHE_WAYS)
#define REPLAY_CACHE_ENTRIES_DEFAULT (64u * 1024)

struct replay_cache_entry {
	uint64_t serial;
	uint64_t accepted_us; /* monotonic clock, 0: free; zeroed first, stored last */
	uint8_t tag[16];
	uint8_t source[16]; /* packet's source address, IPv4 as ::ffff:a.b.c.d */
	uint32_t realm;
	uint32_t node;
	uint16_t port;
	uint16_t epoch;
	uint8_t verdict;
	uint8_t reserved[3];
};
static_assert(sizeof(struct replay_cache_entry) == 64, "docs/shared-memory.md");

enum replay_cache_result {
	REPLAY_CACHE_MISS = 0,
	REPLAY_CACHE_DUPLICATE = 1, /* same tag, source and port, young enough */
	REPLAY_CACHE_OTHER = 2,     /* same serial and tag, from elsewhere or too old */
	REPLAY_CACHE_COLLISION = 3, /* same serial, another tag: two issuers share a key */
};

/*
 * Looks for a credential whose serial is marked. `shard` is that of (realm, node), below
 * REPLAY_SHARDS. Fields used of `want`: serial, realm, node, epoch, tag, source, port. DUPLICATE
 * only up to dup_us after it was accepted; *verdict then gets the first verdict and is left alone
 * otherwise. Owner of the shard only. The tag is compared in constant time; it was proved before,
 * so the result may branch.
 */
enum replay_cache_result replay_cache_find(const struct replay_store *store, uint16_t shard,
	const struct replay_cache_entry *want, uint64_t now_mono_us, uint64_t dup_us,
	uint8_t *verdict);

/* Remembers an accepted credential; the accepted_us kept is now. Owner only, after commit. */
void replay_cache_insert(struct replay_store *store, uint16_t shard,
	const struct replay_cache_entry *entry, uint64_t now_mono_us);

/* Starts the loads of what replay_cache_find or replay_cache_insert are going to look at. */
void replay_cache_prefetch(const struct replay_store *store, uint16_t shard, uint32_t realm,
	uint32_t node, uint64_t serial);

/* Forgets what was inserted and not yet published (a dataplane that died in between). Owner of all
 * shards, i.e. before the first worker runs. */
void replay_cache_forget(
	struct replay_store *store, uint16_t shard, uint32_t realm, uint32_t node, uint64_t serial);

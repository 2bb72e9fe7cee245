/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Serial windows: which serials of a node were accepted. One window of W bits per (realm, node), W
 * a power of two from 64 to 2^20, exact: no false accept, no false reject (docs/replay.md; after
 * RFC 6479, without its spare word).
 *
 * The windows live in one mapping handed in from outside, which outlives the process that writes
 * it. Layout, in order, each part page-aligned: struct replay_store_header; nodes' lines (struct
 * replay_node, one per slot); window headers (struct replay_window_header, one per slot, colder);
 * rings (64-bit words, W/64 per node); the retransmission cache. It does not depend on the number
 * of workers.
 *
 * Who writes: control formats the mapping before any dataplane runs, and names a slot's window
 * before it publishes the slot's key. After that each node's line and ring have exactly one writer,
 * the worker that owns the node. Store order on commit, chosen so that a kill between any two
 * stores refuses too much, never too little: words leaving the line are copied to the ring, top is
 * stored, inline and skipped words are cleared, the bit is set; within the current word the bit is
 * set first and top after, and a test looks at the bit even when serial > top. A jump of
 * REPLAY_INLINE_WORDS words or more sends the newest word out, over the ring's oldest one, which
 * the window still needs: it first raises top to the end of that newest word, so that the oldest
 * is out of the window before it is overwritten.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLAY_WINDOW_BITS_MIN     64u
#define REPLAY_WINDOW_BITS_MAX     (1u << 20)
#define REPLAY_WINDOW_BITS_DEFAULT 65536u
#define REPLAY_INLINE_WORDS        4u
/* Ring index = (word + REPLAY_RING_SKEW * slot) mod words: without the skew a power-of-two stride
 * puts every node's current word into the same cache sets. */
#define REPLAY_RING_SKEW 37u

#define REPLAY_STORE_MAGIC   0x31524c5045524743ull /* "CGREPLR1" as bytes */
#define REPLAY_STORE_VERSION 1u

/* One line; the owner writes, everybody may peek. */
struct replay_node {
	uint64_t top;                        /* highest serial accepted, 0: none */
	uint64_t words[REPLAY_INLINE_WORDS]; /* word k of the bitmap in words[k & 3] */
	uint64_t last_seen_us;               /* gateway's real-time clock at the last acceptance */
	uint64_t bucket;                     /* rate bucket */
	uint32_t uses;                       /* accepted under `epoch` */
	uint16_t epoch;
	uint8_t bits_log2; /* W; 0: no window for this slot */
	uint8_t flags;     /* REPLAY_NODE_* */
};
static_assert(sizeof(struct replay_node) == 64, "docs/shared-memory.md");
static_assert(offsetof(struct replay_node, bucket) == 48, "docs/shared-memory.md");

/* Whose window it is; a mismatch is unclean memory for that node. */
struct replay_window_header {
	uint32_t realm;
	uint32_t node;
	uint64_t ring_word; /* index of this node's first word among all ring words */
	uint8_t bits_log2;
	uint8_t reserved[7];
	uint64_t checksum; /* over the fields before it */
};
static_assert(sizeof(struct replay_window_header) == 32, "docs/shared-memory.md");

struct replay_store_header {
	uint64_t magic;
	uint32_t version;
	uint32_t slot_count;
	uint64_t size; /* of the mapping */
	uint64_t nodes_offset;
	uint64_t headers_offset;
	uint64_t rings_offset;
	uint64_t ring_words;
	uint64_t cache_offset; /* replay/retransmit.h */
	uint64_t cache_size;
	uint8_t hash_key[16]; /* keyed hash of the retransmission cache */
};

/* A process's view of the mapping: bounds were checked at open and are not read from it again. */
struct replay_store {
	struct replay_store_header *header;
	struct replay_node *nodes;
	struct replay_window_header *headers;
	uint64_t *ring;
	struct replay_cache_entry *cache; /* replay/retransmit.h */
	uint64_t ring_words;
	uint32_t slot_count;
	uint32_t cache_sets; /* per shard, a power of two */
};

/* A run of slots with the same window: a realm, or one node of it with an override. */
struct replay_layout_range {
	uint32_t first_slot;
	uint32_t slot_count;
	uint32_t window_bits; /* power of two */
};

/*
 * Bytes the mapping needs for `slot_count` slots, the given ranges (later ranges override earlier
 * ones where they overlap; slots in none have no window) and a retransmission cache of
 * `cache_entries`, rounded up to a power of two of at least REPLAY_CACHE_ENTRIES_MIN. 0 if a window
 * size is not allowed, a range ends behind slot_count, or the sum overflows.
 */
uint64_t replay_store_size(uint32_t slot_count, const struct replay_layout_range *ranges,
	size_t range_count, uint32_t cache_entries);

/*
 * Formats a zeroed, 64-byte aligned mapping of that size; every page is written, so that memory
 * that is not there shows now. Returns 0 or -EINVAL. Control, before any dataplane runs.
 */
int replay_store_format(void *mapping, uint64_t size, uint32_t slot_count,
	const struct replay_layout_range *ranges, size_t range_count, uint32_t cache_entries,
	const uint8_t hash_key[16]);

/*
 * Checks and opens a formatted mapping of `size` bytes: every offset and every window's place in
 * the ring, so that nothing later can point outside it. Reads all window headers. Returns 0 or
 * -EBADMSG.
 */
int replay_store_open(struct replay_store *store, void *mapping, uint64_t size);

/*
 * Names the slot's window (realm, node), as control does when it registers a node: if it was
 * another's or nobody's, or its checksum is wrong, the window is cleared. Returns 0, or 1 if it was
 * cleared: what the node sent before is not known here, so that only a floor keeps it out. Control,
 * before it publishes the slot's key.
 */
int replay_window_assign(struct replay_store *store, uint32_t slot, uint32_t realm, uint32_t node);

/* Is the slot's window the one of (realm, node), and intact? Owner, once per proved credential
 * that touches the ring, or at start. */
static inline bool replay_window_is_clean(
	const struct replay_store *store, uint32_t slot, uint32_t realm, uint32_t node);

enum replay_result {
	REPLAY_NEW = 0,
	REPLAY_SEEN = 1,  /* marked */
	REPLAY_STALE = 2, /* top - serial >= W */
};

static inline void
replay_window_prefetch(const struct replay_store *store, uint32_t slot)
{
	__builtin_prefetch(&store->nodes[slot], 1);
}

/*
 * A serial that is not in the node's line (replay_line_has) is going to need the window's header,
 * and then its ring: two loads from afar, one after the other, so that the first is started well
 * before the second.
 */
static inline void
replay_header_prefetch(const struct replay_store *store, uint32_t slot)
{
	__builtin_prefetch(&store->headers[slot]);
}

static inline void replay_ring_prefetch(
	const struct replay_store *store, uint32_t slot, uint64_t serial);

/*
 * Looks without writing. Final for the owner, a hint for everybody else: while the owner moves the
 * window a fresh serial may look marked. `slot` MUST be below slot_count; serial at least 1. A slot
 * without a window answers REPLAY_STALE.
 */
static inline enum replay_result replay_window_peek(
	const struct replay_store *store, uint32_t slot, uint64_t serial);

/*
 * Marks the serial and keeps last_seen_us, uses and epoch of the node. Returns what peek would have
 * said before; only REPLAY_NEW changed anything. Owner only; MUST be called for proved credentials
 * only.
 */
__attribute__((warn_unused_result)) static inline enum replay_result replay_window_commit(
	struct replay_store *store, uint32_t slot, uint64_t serial, uint16_t epoch,
	uint64_t now_us);

#include "replay/window_inline.h"

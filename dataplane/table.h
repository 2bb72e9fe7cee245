/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Shared tables between control and dataplane: keys and policy (control writes, the dataplane maps
 * them read-only) and the statistics pages (each worker writes its own, control reads).
 *
 * Key and policy table. One memfd: struct table_header, then two halves of the same layout. Control
 * fills the half that is not in force, then store-releases `generation`; half [generation & 1] is
 * in force, generation 0 is none. A worker load-acquires generation once per burst, uses that half
 * for the whole burst, and afterwards store-releases `seen` = generation in its statistics page.
 * Before it sleeps it stores seen = 0; when it wakes it stores seen = generation, issues a full
 * fence, reads generation again and takes it from there. Control may write a half again when every
 * worker has seen = 0 or seen >= the generation that took that half out of force (publish, full
 * fence, then look); a dead dataplane counts as offline.
 *
 * Slot of a node: realm.base + node, then realm, node and epoch are compared. The main slots hold
 * each node's current epoch; further live epochs sit in a hash of one-line buckets, so that any
 * header costs at most one more miss. Control chooses the seed so that no bucket overflows.
 */

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/slot.h"
#include "dataplane/table_rules.h"
#include "verdict/verdict.h"

#define TABLE_MAGIC   0x31454c4241544743ull /* "CGTABLE1" as bytes */
#define TABLE_VERSION 2u

#define TABLE_REALMS_MAX        64u
#define TABLE_REALM_HASH        128u /* entries, power of two, at most half full */
#define TABLE_AUDIENCES_MAX     64u  /* per realm */
#define TABLE_GROUPS_MAX        16u
#define TABLE_CRED_GROUPS_MAX   8u /* groups that may get one credential */
#define TABLE_WORKERS_MAX       16u
#define TABLE_EPOCHS_MAX        8u /* live at once per node */
#define TABLE_NODES_MAX         (1u << 21)
#define TABLE_PREFIXES_MAX      65535u
#define TABLE_NODE_PREFIXES_MAX 16u
#define TABLE_BUCKET_WAYS       4u

/* Hand-off: node -> shard (a keyed hash, in the key slot) -> owner. A shard has one owner. */
#define TABLE_SHARDS 1024u

static inline unsigned
table_shard_owner(uint16_t shard, unsigned worker_count)
{
	return (shard & (TABLE_SHARDS - 1)) * worker_count / TABLE_SHARDS;
}

enum table_origin_mode {
	TABLE_ORIGIN_STRICT = 0,
	TABLE_ORIGIN_CLAIMED = 1,
	TABLE_ORIGIN_OFF = 2,
};

enum table_freshness {
	TABLE_FRESHNESS_CLOCK = 0,
	TABLE_FRESHNESS_SERIAL = 1,
};

enum table_mode {
	TABLE_MODE_OBSERVE = 0,
	TABLE_MODE_PERMISSIVE = 1,
	TABLE_MODE_ENFORCE = 2,
};

struct table_audience {
	uint32_t audience;
	uint32_t groups; /* bitmap of the groups that get it */
};

struct table_realm {
	uint32_t id;
	uint32_t base; /* slot of node n is base + n, n = 1 ... nodes_max */
	uint32_t nodes_max;
	uint32_t ttl_default_s;
	uint32_t ttl_max_s;
	uint32_t reply_rate; /* non-accepting replies per node and second */
	uint64_t skew_us;
	uint64_t dup_us;
	uint64_t floor_us;    /* clock mode: FLOOR below; 0: no floor */
	uint8_t origin_mode;  /* enum table_origin_mode */
	uint8_t freshness;    /* enum table_freshness */
	uint8_t mode;         /* enum table_mode: advice to consumers, never a verdict */
	uint8_t audience_any; /* audience 0 is accepted */
	uint32_t any_groups;  /* groups that get audience 0 */
	uint32_t beacon_groups;
	uint16_t audience_count;
	uint16_t reserved;
	struct table_audience audiences[TABLE_AUDIENCES_MAX]; /* ascending by audience */
};
static_assert(sizeof(struct table_realm) == 64 + 8 * TABLE_AUDIENCES_MAX, "docs/shared-memory.md");

/* auth_uid and auth_gid of a credential are compared with the reader's. */
struct table_group {
	uint32_t reader_uid;
	uint32_t reader_gid;
	uint32_t is_used;
	uint32_t reserved;
};

/* Open addressing: from table_realm_start on, the next entry after each taken one, round the end. */
struct table_realm_hash_entry {
	uint32_t id;    /* 0: free */
	uint32_t index; /* into realms */
};

static inline uint32_t
table_realm_start(uint32_t id)
{
	return id * 0x9e3779b1u >> 25; /* 7 bits: TABLE_REALM_HASH entries */
}
static_assert(TABLE_REALM_HASH == 1u << (32 - 25), "table_realm_start");

/* Policy of one half: small, read-mostly. */
struct table_policy {
	uint32_t realm_count;
	uint32_t group_count;
	uint32_t bucket_seed;
	uint32_t reserved[13];
	struct table_realm_hash_entry realm_hash[TABLE_REALM_HASH];
	struct table_realm realms[TABLE_REALMS_MAX];
	struct table_group groups[TABLE_GROUPS_MAX];
};
static_assert(offsetof(struct table_policy, realm_hash) == 64, "docs/shared-memory.md");

struct table_prefix {
	uint8_t prefix[16];
	uint8_t bits;
	uint8_t has_more; /* the next entry belongs to the same list */
	uint8_t reserved[14];
};
static_assert(sizeof(struct table_prefix) == 32, "docs/shared-memory.md");

/* Further live epochs. */
struct table_bucket_entry {
	uint32_t realm; /* 0: free */
	uint32_t node;
	uint16_t epoch;
	uint16_t reserved;
	uint32_t index; /* into extras and extra_replies */
};

struct table_bucket {
	_Alignas(64) struct table_bucket_entry entries[TABLE_BUCKET_WAYS];
};
static_assert(sizeof(struct table_bucket) == 64, "docs/shared-memory.md");

/* Offsets of one half from the start of the mapping, all page-aligned. */
struct table_half {
	uint64_t policy;        /* struct table_policy */
	uint64_t slots;         /* struct key_slot [slot_count]: request keys */
	uint64_t replies;       /* struct key_slot [slot_count]: reply keys, colder */
	uint64_t extras;        /* struct key_slot [extra_count] */
	uint64_t extra_replies; /* struct key_slot [extra_count] */
	uint64_t buckets;       /* struct table_bucket [bucket_count] */
	uint64_t prefixes;      /* struct table_prefix [prefix_count]; entry 0 is unused */
	uint64_t rules;         /* struct table_rules */
};

struct table_header {
	uint64_t magic;
	uint32_t version;
	uint32_t slot_count; /* sum over realms of nodes_max + 1 */
	uint32_t extra_count;
	uint32_t bucket_count; /* power of two */
	uint32_t prefix_count;
	uint32_t reserved;
	uint64_t size;
	uint8_t shard_key[16];                    /* of the hand-off hash */
	_Alignas(64) _Atomic uint64_t generation; /* ctrl: wo, dataplane: ro */
	_Alignas(64) struct table_half halves[2];
};
static_assert(offsetof(struct table_header, generation) == 64, "docs/shared-memory.md");
static_assert(offsetof(struct table_header, halves) == 128, "docs/shared-memory.md");
static_assert(sizeof(struct table_header) == 256, "docs/shared-memory.md");

/* Bucket of an extra epoch; `mask` = bucket_count - 1. Fields are public: any good mix will do. */
static inline uint32_t
table_bucket_index(uint32_t realm, uint32_t node, uint16_t epoch, uint32_t seed, uint32_t mask)
{
	uint64_t h = ((uint64_t)realm << 32 | node) ^ ((uint64_t)epoch << 17) ^ seed;

	h *= 0x9e3779b97f4a7c15ull;
	h ^= h >> 29;
	h *= 0xbf58476d1ce4e5b9ull;
	return (uint32_t)(h >> 32) & mask;
}

/* ---- statistics: one memfd, struct stats_header, then a struct worker_stats per worker ---- */

#define STATS_MAGIC   0x3153544154534743ull /* "CGSTATS1" as bytes */
#define STATS_VERSION 3u

enum stats_state {
	STATS_DOWN = 0,
	STATS_STARTING = 1,
	STATS_RUNNING = 2,
	STATS_STOPPING = 3,
};

struct stats_header {
	uint64_t
		magic; /* ctrl: wo before anybody else maps it, likewise version and worker_count */
	uint32_t version;
	uint32_t worker_count;
	_Alignas(64) _Atomic uint32_t state; /* dataplane: wo; enum stats_state */
	_Atomic uint32_t kernel;             /* enum tag_kernel_id in use */
	_Atomic uint64_t started_us;         /* real-time clock */
	_Atomic uint64_t heartbeat_us; /* monotonic clock, main thread, at least each 100 ms */
	_Atomic uint64_t clock_steps;  /* steps of the real-time clock seen */
	_Atomic uint64_t cycles_hz;    /* what busy_cycles counts, per second */
	uint64_t reserved[2];
};
static_assert(sizeof(struct stats_header) == 128, "docs/shared-memory.md");

/*
 * Verdicts of one realm, by its index in the table. What is not proved only says that it is of the
 * realm. Refused and accepted alike count as would_refuse if the realm's mode is not enforce and
 * enforce would have refused: under the verdict that it was given, or would have been.
 */
struct realm_stats {
	_Alignas(64) _Atomic uint64_t proved[VERDICT_COUNTERS];
	_Atomic uint64_t unproved[VERDICT_COUNTERS];
	_Atomic uint64_t would_refuse[VERDICT_COUNTERS];
};
static_assert(sizeof(struct realm_stats) == 3 * 256, "docs/shared-memory.md");

/* Written by one worker only, relaxed; read by anybody. */
struct worker_stats {
	_Alignas(64) _Atomic uint64_t seen; /* table generation; 0: asleep or not running */
	_Atomic uint64_t busy_cycles;       /* TSC, in polls that found work */
	/* By verdict, tag found right. */
	_Alignas(64) _Atomic uint64_t proved[VERDICT_COUNTERS];
	/* By verdict, tag wrong or not looked at. */
	_Alignas(64) _Atomic uint64_t unproved[VERDICT_COUNTERS];
	_Alignas(64) _Atomic uint64_t rx_frames;
	_Atomic uint64_t rx_bytes;
	_Atomic uint64_t rx_not_ours;   /* another address, port or protocol */
	_Atomic uint64_t rx_bad_packet; /* checksum, fragment, truncated headers */
	_Atomic uint64_t rx_neighbour;  /* ARP, NDP, ICMP for us */
	_Atomic uint64_t neighbour_answered;
	_Atomic uint64_t neighbour_dropped; /* over the budget */
	_Atomic uint64_t replies_sent;
	_Alignas(64) _Atomic uint64_t replies_dropped; /* over the bucket, or no room to send */
	_Atomic uint64_t handed_off;
	_Atomic uint64_t handed_in;
	_Atomic uint64_t delivered;         /* records put into delivery rings */
	_Atomic uint64_t serial_collisions; /* alarm: two issuers share a key */
	_Atomic uint64_t bursts;
	_Atomic uint64_t idle_polls;
	_Atomic uint64_t sleeps;
	_Alignas(
		64) _Atomic uint64_t refusals_budgeted; /* not shown: their source has had enough */
	_Atomic uint64_t clones;                        /* proofs of a second live incarnation */
	_Atomic uint64_t beacons;                       /* accepted */
	uint64_t reserved[5];
	/* Of shared limits, by index: tokens given, and credentials that found none. */
	_Atomic uint64_t limit_taken[TABLE_LIMITS_MAX];
	_Atomic uint64_t limit_refused[TABLE_LIMITS_MAX];
	struct realm_stats realms[TABLE_REALMS_MAX];
};
static_assert(offsetof(struct worker_stats, rx_frames) == 64 + 2 * 256, "docs/shared-memory.md");
static_assert(offsetof(struct worker_stats, refusals_budgeted) == 704, "docs/shared-memory.md");
static_assert(offsetof(struct worker_stats, limit_taken) == 768, "docs/shared-memory.md");
static_assert(offsetof(struct worker_stats, realms) == 768 + 4096, "docs/shared-memory.md");

static inline struct worker_stats *
stats_worker(struct stats_header *stats, unsigned worker)
{
	return (struct worker_stats *)(stats + 1) + worker;
}

static inline uint64_t
stats_size(unsigned worker_count)
{
	return sizeof(struct stats_header) + worker_count * sizeof(struct worker_stats);
}

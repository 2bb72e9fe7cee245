/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Meters: what the dataplane notes of each node beside its replay window, in one memfd that
 * outlives it: struct meters_header, then a struct meter_node for each slot of the key table. They
 * feed the drain meter, membership and the detection of clones; nothing in them decides a verdict.
 *
 * Who writes: a node's meter has one writer, the worker that owns the node, and only proved
 * credentials change it. Shares are control's to write. Each word is one relaxed store, so a reader
 * may see a word newer than the one beside it, and never half of one.
 *
 * Of the epoch that a node used last, the count is in its line of the replay store (`uses` under
 * `epoch`, since it was last booked), so that usual traffic does not touch its meter at all. It is
 * booked here when the node uses another epoch, and before it overflows. So the count of an epoch
 * is: meter_use, plus the line's if the line is of that epoch; and the latest of both times.
 */

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/table.h"

#define METERS_MAGIC   0x31524554454d4743ull /* "CGMETER1" as bytes */
#define METERS_VERSION 1u

/* An epoch of a node; its place is epoch % TABLE_EPOCHS_MAX. */
struct meter_use {
	_Atomic uint64_t accepted; /* the epoch in the upper 16 bits, how many in the lower 48 */
	_Atomic uint32_t last_s;   /* gateway's real-time clock at the last one that was booked */
	_Atomic uint32_t refused;  /* proved, but refused; stays at its maximum */
};
static_assert(sizeof(struct meter_use) == 16, "docs/shared-memory.md");

#define METER_USE_EPOCH(word) ((uint16_t)((word) >> 48))
#define METER_USE_COUNT(word) ((word) & ((UINT64_C(1) << 48) - 1))

enum meter_state {
	METER_SILENT = 0, /* never sent a beacon */
	METER_UP = 1,
	METER_LEAVING = 2, /* said so in its last beacon */
};

#define METER_HAS_V4 1u
#define METER_HAS_V6 2u

struct meter_node {
	_Alignas(64) struct meter_use uses[TABLE_EPOCHS_MAX];
	/* The third line: who is using the key. */
	_Atomic uint64_t reply_bucket;         /* of replies to refused credentials; owner only */
	_Atomic uint64_t incarnation_since_us; /* real-time clock at its first acceptance */
	_Atomic uint32_t incarnation;          /* upper half of the newest serials */
	/*
	 * Proofs that another incarnation is alive beside the newest: proved credentials of an older
	 * one that were issued after the newest began.
	 */
	_Atomic uint32_t clone_count;
	_Atomic uint64_t clone_last_us;
	_Atomic uint32_t clone_incarnation;
	_Atomic uint32_t collisions;      /* one serial under two tags: two issuers, one state */
	_Atomic uint64_t clone_source[2]; /* network order: where the last of them came from */
	_Atomic uint64_t clone_serial;    /* and its serial */
	/* The fourth line. */
	_Atomic uint64_t beacon_us; /* real-time clock at the last accepted beacon */
	_Atomic uint64_t beacon_v6[2];
	_Atomic uint32_t beacon_v4;          /* network order; likewise beacon_v6 */
	_Atomic uint32_t beacon_incarnation; /* upper half of its serial */
	_Atomic uint32_t beacon_v4_s;        /* when the address was last stated as origin */
	_Atomic uint32_t beacon_v6_s;
	_Atomic uint32_t
		would_refuse;       /* times that mode enforce would have refused it, or did not */
	_Atomic uint32_t refused_s; /* when it was last refused, proved */
	_Atomic uint16_t beacon_interval_s; /* as promised in the beacon; 0: not */
	_Atomic uint8_t beacon_state;       /* enum meter_state */
	_Atomic uint8_t beacon_families;    /* METER_HAS_* */
	_Atomic uint8_t refused_verdict;    /* the last one; enum verdict */
	_Atomic uint8_t would_verdict;
	uint8_t reserved[2];
};
static_assert(offsetof(struct meter_node, reply_bucket) == 128, "docs/shared-memory.md");
static_assert(offsetof(struct meter_node, beacon_us) == 192, "docs/shared-memory.md");
static_assert(sizeof(struct meter_node) == 256, "docs/shared-memory.md");

/*
 * A worker's share of a shared limit: control divides the rate among the workers by what they ask
 * for. interval_ns 0: no limit; UINT64_MAX: nothing for this worker.
 */
struct meter_share {
	_Atomic uint64_t interval_ns;
	_Atomic uint64_t depth_ns;
};

struct meters_header {
	uint64_t magic;
	uint32_t version;
	uint32_t slot_count;
	uint64_t size;
	uint64_t reserved[5];
	struct meter_share shares[TABLE_LIMITS_MAX][TABLE_WORKERS_MAX]; /* ctrl: wo, workers: ro */
};
static_assert(offsetof(struct meters_header, shares) == 64, "docs/shared-memory.md");
static_assert(sizeof(struct meters_header) % 64 == 0, "docs/shared-memory.md");

static inline struct meter_node *
meters_node(struct meters_header *meters, uint32_t slot)
{
	return (struct meter_node *)(meters + 1) + slot;
}

static inline uint64_t
meters_size(uint32_t slot_count)
{
	return sizeof(struct meters_header) + (uint64_t)slot_count * sizeof(struct meter_node);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A whole gateway in memory, for tests, fuzzers and benchmarks of the packet path: table, windows,
 * rings, workers and one port; nodes whose keys are derived as the real ones; credentials minted
 * with crypto/, frames around them. Nothing here is a stand-in for code under test: what control
 * does to a table, it does by hand.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/crypto.h"
#include "dataplane/handoff.h"
#include "dataplane/meters.h"
#include "dataplane/table.h"
#include "dataplane/worker.h"
#include "replay/replay.h"
#include "verdict/ring.h"
#include "wire/wire.h"

#define FIXTURE_WORKERS_MAX 4u
#define FIXTURE_GROUPS_MAX  4u
#define FIXTURE_REALMS_MAX  4u
#define FIXTURE_PREFIXES    64u
#define FIXTURE_FRAME_SIZE  1536u
#define FIXTURE_UDP_PORT    4500u
#define FIXTURE_NOW_US      1767225600000000u /* 2026-01-01 */
#define FIXTURE_MONO_US     1000000000u

#define FIXTURE_REALM    7u /* the first realm's id; the others follow */
#define FIXTURE_AUDIENCE 9u /* every group gets it */

struct fixture_params {
	unsigned worker_count;
	unsigned realm_count;
	unsigned group_count;
	uint32_t nodes_max; /* of each realm */
	uint32_t window_bits;
	uint32_t realm_window_bits[FIXTURE_REALMS_MAX]; /* 0: window_bits */
	uint32_t ring_slots;
	uint32_t handoff_slots;
	uint32_t extras_max;    /* epochs beside each node's first; a power of two */
	uint32_t cache_entries; /* of the retransmission cache */
	uint32_t refusals_per_s;
	uint32_t failures_per_s; /* of one source; 0: no bound */
	enum tag_kernel_id kernel;
	bool use_hugepages; /* benchmarks: large pages, where the machine gives them */
};

/* One worker, one realm with 16 nodes, one group, everything smallest. */
struct fixture_params fixture_params_default(void);

struct fixture {
	struct fixture_params params;
	uint8_t master[KDF_KEY_SIZE];
	struct table_header *table;
	struct table_policy *policy;      /* of the half in force, here to be changed */
	struct table_policy *policy_seen; /* as the last burst had it */
	struct key_slot *slots;
	struct key_slot *replies;
	struct key_slot *extras;
	struct key_slot *extra_replies;
	struct table_bucket *buckets;
	struct table_prefix *prefixes;
	uint32_t extra_count;
	uint32_t prefix_count;
	uint8_t *replay_mapping;
	uint64_t replay_size;
	struct replay_store replay;
	struct meters_header *meters;
	struct table_rules *rules; /* likewise */
	struct stats_header *stats;
	struct verdict_ring *delivery[FIXTURE_GROUPS_MAX][FIXTURE_WORKERS_MAX];
	struct verdict_ring *refusal[FIXTURE_WORKERS_MAX];
	uint64_t ring_size;
	struct handoff_ring *handoff[FIXTURE_WORKERS_MAX][FIXTURE_WORKERS_MAX]; /* from, to */
	struct worker_port port;
	struct worker *workers[FIXTURE_WORKERS_MAX];
	struct tag_engine *issuer; /* what nodes mint with */
	uint64_t now_us;
	uint64_t mono_us;
	struct burst_result result; /* of the last burst */
	bool is_proved;             /* the last verdict */
};

/* Both die with a message when there is no memory: a test can do nothing then. */
void fixture_init(struct fixture *f, const struct fixture_params *params);
void fixture_fini(struct fixture *f);

/* Ends and begins the workers again, as a restarted dataplane would; shared memory stays. */
void fixture_workers_stop(struct fixture *f);
void fixture_workers_start(struct fixture *f);

struct table_realm *fixture_realm(struct fixture *f, uint32_t realm);

/*
 * Adds an epoch: the node's first goes to its main slot, further ones to the extras. Prefixes:
 * none. Returns the request slot, to be changed by the test.
 */
struct key_slot *fixture_node_add(
	struct fixture *f, uint32_t realm, uint32_t node, uint16_t epoch, uint8_t suite);

/* The same with a K_node that the caller brings. */
struct key_slot *fixture_node_add_key(struct fixture *f, uint32_t realm, uint32_t node,
	uint16_t epoch, uint8_t suite, const uint8_t node_key[KDF_KEY_SIZE]);

/* Request and reply slot of an epoch; NULL if it was not added. */
struct key_slot *fixture_slot(
	const struct fixture *f, uint32_t realm, uint32_t node, uint16_t epoch);
struct key_slot *fixture_reply_slot(
	const struct fixture *f, uint32_t realm, uint32_t node, uint16_t epoch);

/* The node's line in the replay store. */
struct replay_node *fixture_line(const struct fixture *f, uint32_t realm, uint32_t node);

/* The node's meter. */
struct meter_node *fixture_meter(const struct fixture *f, uint32_t realm, uint32_t node);

/* Gives a slot a prefix; called again, a longer and longer list. */
void fixture_prefix_add(
	struct fixture *f, struct key_slot *slot, const uint8_t prefix[16], uint8_t bits);

/* A good credential of (FIXTURE_REALM, node 1, epoch 1) from fixture_ipv4, without reply. */
struct cred_fields fixture_fields(const struct fixture *f, uint64_t serial);

/* Seals and tags with the slot that the fields name; returns the size. */
size_t fixture_mint(struct fixture *f, const struct cred_fields *fields, uint8_t *msg);

/* The same under a slot of the caller's choice. */
size_t fixture_mint_with(struct fixture *f, const struct key_slot *slot,
	const struct cred_fields *fields, uint8_t *msg);

/* ---- frames ---- */

extern const uint8_t fixture_mac[6];      /* the port's */
extern const uint8_t fixture_peer_mac[6]; /* the sender's */
extern const uint8_t fixture_ipv4[16];    /* the sender's, mapped */
extern const uint8_t fixture_ipv6[16];
extern const uint8_t fixture_local_ipv4[16]; /* the port's, mapped */
extern const uint8_t fixture_local_ipv6[16];

struct fixture_frame {
	uint8_t source[16]; /* IPv4 mapped: an IPv4 packet, else IPv6 */
	uint16_t source_port;
	uint16_t vlan; /* tag control information; 0: untagged */
	uint8_t data[FIXTURE_FRAME_SIZE];
	uint16_t size;
	uint8_t checksum; /* enum burst_checksum */
};

/* From fixture_ipv4, port 40000, untagged. */
void fixture_frame_init(struct fixture_frame *frame);

/* Writes headers with right checksums around `size` bytes; the fields above say from where. */
void fixture_frame_wrap(struct fixture_frame *frame, const uint8_t *payload, size_t size);

/* Mints and wraps. */
void fixture_frame_mint(
	struct fixture *f, struct fixture_frame *frame, const struct cred_fields *fields);

uint8_t *fixture_frame_ip(struct fixture_frame *frame);
uint8_t *fixture_frame_udp(struct fixture_frame *frame);
uint8_t *fixture_frame_cred(struct fixture_frame *frame);

/* Both checksums again, after a test has changed something below or in UDP. */
void fixture_frame_checksum(struct fixture_frame *frame);

/* ---- bursts ---- */

/* One burst of `count` frames for a worker, at f->now_us and f->mono_us. */
void fixture_burst(
	struct fixture *f, unsigned worker, struct fixture_frame *const *frames, unsigned count);

/*
 * One frame for worker 0 in a burst of its own: its verdict, from the counters, of which exactly
 * one must have moved by one; VERDICT_NONE if none has. Sets is_proved.
 */
enum verdict fixture_verdict(struct fixture *f, struct fixture_frame *frame);

/* Mints, wraps in IPv4 and judges. */
enum verdict fixture_judge(struct fixture *f, const struct cred_fields *fields);

/* Counters summed over all workers. */
uint64_t fixture_proved(const struct fixture *f, enum verdict verdict);
uint64_t fixture_unproved(const struct fixture *f, enum verdict verdict);

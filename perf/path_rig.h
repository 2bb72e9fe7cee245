/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The packet path with credentials to walk it, for benchmarks in C++: a gateway in memory, many
 * nodes, frames of fresh credentials minted anew for each round. Plain C types only, since the
 * project's headers use C11 atomics.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PATH_WORKERS_MAX 2u
#define PATH_AUDIENCES   64u /* as many as a realm may serve */

struct path_rig;

/*
 * What worker_burst_at goes through. EMPTY: a whole burst without frames, the fixed cost of each;
 * DELIVER: publishing, sealing of replies, statistics.
 */
enum path_stage {
	PATH_STAGE_EMPTY,
	PATH_STAGE_PARSE,
	PATH_STAGE_ADMIT,
	PATH_STAGE_VERIFY,
	PATH_STAGE_HANDOFF,
	PATH_STAGE_OWN,
	PATH_STAGE_DELIVER,
	PATH_STAGES
};

/* What the credentials that are not forged are. */
enum path_traffic {
	PATH_GENUINE = 0,
	PATH_REPLAYED,  /* walked once already, untimed; one that wants a reply is a DUPLICATE */
	PATH_UNKNOWN,   /* of nodes that the realm has room for and the registry does not know */
	PATH_MALFORMED, /* their length is not their datagram's */
};

enum path_suites {
	PATH_SUITE_DEFAULT = 0, /* sealed AES-128 */
	PATH_SUITE_UNSEALED,    /* AES-128-CMAC */
	PATH_SUITES_ALL,        /* each node has one of the four */
};

/* Zeroes but for nodes, frames and kernel: one worker, 96-byte credentials, all genuine, IPv4 without a tag, checksums vouched for. */
struct path_rig_params {
	uint32_t nodes;
	uint32_t frames;       /* of a round and worker, a multiple of 64 */
	uint32_t worker_count; /* 0: one */
	uint32_t forged_percent;
	uint32_t payload_size;
	uint32_t long_percent; /* so many of the frames have a payload of long_payload_size */
	uint32_t long_payload_size;
	uint32_t reply_percent;
	uint32_t seed;
	enum path_traffic traffic;
	enum path_suites suites;
	const char *kernel; /* as path_rig_kernel names it */
	bool is_steered;    /* frames come to the owner of their node; else to any worker */
	bool second_epoch;  /* half the credentials are of their node's second epoch */
	bool is_draining;   /* two epochs too, but a node keeps to one: a twentieth to the second */
	uint32_t rules;     /* about each node: so many ranges of uids are compared; 0: none */
	bool is_limited;    /* a rate of each node, which it keeps to, and one that all share */
	bool many_audiences;  /* PATH_AUDIENCES instead of one */
	bool ipv6;            /* else IPv4 */
	bool vlan;            /* 802.1Q tagged */
	bool verify_checksum; /* in software; else as if a NIC had */
};

/*
 * NULL with a message on standard error. Takes a moment for many nodes. Windows are as large as
 * control makes them: 65,536 serials, 8,192 with more than 16,384 nodes, halved until all of them
 * fit into 1 GiB.
 */
struct path_rig *path_rig_create(const struct path_rig_params *params);
void path_rig_destroy(struct path_rig *rig);

/* Mints the next round's frames, each from a node drawn at random; a worker's last is never bad. */
void path_rig_mint(struct path_rig *rig);

/*
 * Takes the worker's frames into the cache of the calling CPU, as a receiver's are; to be called
 * before a walk if another CPU has minted.
 */
void path_rig_claim(struct path_rig *rig, unsigned worker);

/*
 * Walks all frames of the worker's round in bursts of 64; then, if there are others, whatever they
 * hand over until all have walked theirs. One thread per worker, all workers at once.
 */
void path_rig_walk(struct path_rig *rig, unsigned worker);

/*
 * The same through a copy of the path that reads the clock between the stages. `cycles` gets
 * PATH_STAGES TSC differences for each burst of the round. What is taken over from another worker
 * counts as OWN; not counted is what is left at the end.
 */
void path_rig_walk_stages(struct path_rig *rig, unsigned worker, uint32_t *cycles);
uint32_t path_rig_bursts(const struct path_rig *rig);

/*
 * Two rigs of such parameters, one walked, the other walked by stages: do all counters agree, and
 * every byte of rings and windows? A few rounds.
 */
bool path_rig_stages_agree(const struct path_rig_params *params);

/*
 * Has every credential so far got the verdict that it had to get? That is: as many of each verdict,
 * proved or not, as were minted for it. Only a full hand-off ring excuses (BUSY), and an eviction
 * from the retransmission cache, of 1 duplicate in 100 at most (REPLAYED).
 */
bool path_rig_is_right(const struct path_rig *rig);

/* How many were refused as BUSY so far. */
uint64_t path_rig_busy(const struct path_rig *rig);

/* Bytes of keys, windows and rings, both halves of the table counted, frames not. */
uint64_t path_rig_memory(const struct path_rig *rig);
uint32_t path_rig_window_bits(const struct path_rig *rig);

/*
 * The name of tag kernel `wanted`, or of the fastest if NULL; NULL if this machine cannot run it.
 * `why` says so in one line. To be asked once: the fastest is found by measuring.
 */
const char *path_rig_kernel(const char *wanted, const char **why);

/* What lies in the frames of the first worker, for a peer to compute tags over. */
const uint8_t *path_rig_msg(const struct path_rig *rig, uint32_t frame);
uint16_t path_rig_span_size(const struct path_rig *rig, uint32_t frame);
uint32_t path_rig_key_index(const struct path_rig *rig, uint32_t frame);

/* The keys that these indices name, [0, path_rig_key_count); one of 0 bytes was not given out. */
uint32_t path_rig_key_count(const struct path_rig *rig);
const uint8_t *path_rig_key(const struct path_rig *rig, uint32_t index, unsigned *size);

#ifdef __cplusplus
}
#endif

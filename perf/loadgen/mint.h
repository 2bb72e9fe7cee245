/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Minting frames in bursts: what comes next is drawn ahead (so that its lines are on their way),
 * headers are copied from a template for each length, only what is a credential's own is stored,
 * the burst is sealed at once, checksums come last. No DPDK: a frame is memory to write to.
 */

#include <stddef.h>
#include <stdint.h>

#include "crypto/tag.h"
#include "perf/loadgen/keys.h"
#include "perf/loadgen/random.h"
#include "perf/loadgen/settings.h"
#include "perf/loadgen/wide.h"
#include "wire/cred.h"

#define MINT_BURST_MAX TAG_BATCH_MAX
/* Drawn ahead: one burst, since two bursts' slots and frames are more than the L1 cache holds. */
#define MINT_AHEAD      MINT_BURST_MAX
#define MINT_HISTORY    512u  /* frames kept for replays */
#define MINT_FRAME_MAX  1344u /* largest frame, in whole 64-byte blocks */
#define MINT_STAMP_SIZE 16u   /* payloads from here on carry a time stamp */

enum mint_class {
	MINT_GENUINE,
	MINT_FORGED,
	MINT_REPLAYED,
	MINT_MALFORMED,
	MINT_UNKNOWN,
	MINT_CLASSES
};

/* "genuine", ... */
const char *mint_class_name(enum mint_class class);

/* One frame to be. */
struct mint_item {
	uint32_t node; /* index */
	uint32_t draw; /* random bits of its own */
	uint8_t shape;
	uint8_t class;
	bool wants_reply;
};

/* A template: all of a frame that does not change, for one payload length. */
struct mint_shape {
	uint16_t frame_size;
	uint16_t block_count; /* of 64 bytes, to copy */
	uint16_t span_size;   /* under the tag */
	uint16_t payload_size;
	uint64_t udp_sum; /* what the UDP checksum has besides the addresses and the datagram */
	uint32_t ip_sum;  /* of the IPv4 header without its source */
	_Alignas(64) uint8_t bytes[MINT_FRAME_MAX];
};

/* Of the last burst. */
struct mint_burst {
	unsigned count;
	struct mint_item items[MINT_BURST_MAX];
	uint8_t *creds[MINT_BURST_MAX];
	uint16_t frame_sizes[MINT_BURST_MAX];
	uint64_t serials[MINT_BURST_MAX]; /* of the genuine ones */
};

struct mint {
	const struct settings *settings;
	struct keys *keys;
	struct tag_engine *engine;
	const struct wide *wide;
	char kernel_why[160];
	/* where things are in a frame; the same in all */
	unsigned ip_at;
	unsigned udp_at;
	unsigned cred_at;
	bool has_prefix; /* each node has an address of its own */
	struct mint_shape shapes[SETTINGS_PAYLOADS_MAX];
	uint8_t shape_of[256]; /* by weight */
	uint64_t run;          /* names this run in stamps */
	struct random plan;    /* from --seed: the same run again */
	struct random salts;
	uint32_t turn;                 /* round-robin: next node */
	uint64_t limits[MINT_CLASSES]; /* a 32-bit draw below this is of that class or one before */
	uint32_t drawn;
	uint32_t taken;
	struct mint_item ahead[MINT_AHEAD];
	struct mint_burst burst;
	uint32_t history_count;
	unsigned history_candidate; /* in the burst; MINT_BURST_MAX: none */
	struct mint_kept *history;
};

/* `to_mac` and `from_mac` are the frames'. 0, or -1 and said why. */
int mint_init(struct mint *mint, const struct settings *settings, struct keys *keys,
	const uint8_t to_mac[6], const uint8_t from_mac[6]);
void mint_fini(struct mint *mint);

/*
 * Makes `count` (1 ... MINT_BURST_MAX) frames at frames[i], MINT_FRAME_MAX bytes each may be
 * written. dues[i]: when frame i was due, which goes into payloads that have room for it. What was
 * made is in mint->burst.
 */
void mint_burst(struct mint *mint, uint8_t *const *frames, const uint64_t *dues, unsigned count);

/* The first `sent` frames of the burst went out: they may be replayed. */
void mint_sent(struct mint *mint, unsigned sent);

/* The stamp in a payload: when it was due, and whose it is. */
static inline bool
mint_stamp_read(const struct mint *mint, const uint8_t *payload, size_t size, uint64_t *due)
{
	uint64_t run;

	if (size < MINT_STAMP_SIZE)
		return false;
	memcpy(due, payload, sizeof(*due));
	memcpy(&run, payload + sizeof(*due), sizeof(run));
	return run == mint->run;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A worker: everything one polling lcore owns, and the packet path over a burst of frames. No DPDK
 * in here: frames come as pointers, replies go out as frames, so that the whole path builds, fuzzes
 * and is measured without EAL. dataplane/loop.c feeds it from ports.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/crypto.h"
#include "dataplane/meters.h"
#include "dataplane/setup.h"
#include "dataplane/table.h"
#include "replay/replay.h"
#include "verdict/ring.h"

#define BURST_FRAMES_MAX 64u
/* Ethernet, one 802.1Q tag, IPv6, UDP and the largest credential. */
#define BURST_REPLY_SIZE_MAX (14 + 4 + 40 + 8 + 1232)

enum burst_checksum {
	BURST_CHECKSUM_UNKNOWN = 0, /* do as the port says */
	BURST_CHECKSUM_GOOD = 1,    /* the NIC vouches for IP and UDP */
	BURST_CHECKSUM_BAD = 2,     /* the NIC says it is wrong */
};

struct burst_frame {
	const uint8_t *data; /* Ethernet frame in one piece, readable for `size` bytes only */
	uint16_t size;
	uint8_t port;     /* index into worker_config.ports */
	uint8_t checksum; /* enum burst_checksum */
};

struct burst_reply {
	const uint8_t *data; /* in the worker's own memory, until the next worker_burst */
	uint16_t size;
	uint8_t port;
};

struct burst_result {
	uint64_t neighbours; /* bit i: frame i is ARP, NDP or ICMP echo for one of our addresses */
	unsigned reply_count;
	/* A burst's own replies and those of credentials handed in, at most one burst per peer. */
	struct burst_reply replies[2 * BURST_FRAMES_MAX];
	unsigned work; /* frames and handed-in records handled; 0 means idle */
};

struct worker_port {
	uint8_t mac[6];
	uint8_t checksum; /* enum setup_checksum */
	uint8_t address_count;
	uint16_t udp_port;
	struct setup_address addresses[SETUP_ADDRESSES_MAX];
};

struct handoff_ring; /* SPSC ring of 64-byte slots, one per ordered pair of workers */

/* Bytes of a hand-off ring with `slots` slots, and its formatting (64-byte aligned memory). */
size_t handoff_ring_size(uint32_t slots);
void handoff_ring_format(struct handoff_ring *ring, uint32_t slots);

struct worker_config {
	unsigned index;
	unsigned worker_count;
	enum tag_kernel_id kernel;
	const struct table_header *table;
	struct worker_stats *stats;
	struct replay_store *replay;
	struct meters_header *meters;                    /* of as many slots as the table */
	struct verdict_ring *delivery[TABLE_GROUPS_MAX]; /* NULL: group not used */
	struct verdict_ring *refusal;                    /* NULL: none */
	uint32_t refusals_per_s;
	uint32_t failures_per_s; /* shown of one source (dataplane/budget.h); 0: no bound */
	/* handoff_in[i]: from worker i to us; handoff_out[i]: from us to worker i; [index]: NULL */
	struct handoff_ring *handoff_in[TABLE_WORKERS_MAX];
	struct handoff_ring *handoff_out[TABLE_WORKERS_MAX];
	const struct worker_port *ports;
	unsigned port_count;
	uint8_t reply_salt[4];  /* random per dataplane start */
	uint8_t budget_key[32]; /* likewise, and secret */
	uint64_t start_us;      /* real-time clock at start: first reply serial */
};

struct worker;

/* Memory and engine of a worker; NULL with errno. Allocates; before polling only. */
struct worker *worker_create(const struct worker_config *config);
void worker_destroy(struct worker *worker);

/*
 * The packet path over up to BURST_FRAMES_MAX frames, and whatever other workers handed over since
 * the last call (call it with count 0 to drain). Never blocks, allocates, logs or makes a system
 * call (the two clocks are read through the vDSO, once per burst). Frames may be freed when it
 * returns. The worker's own thread only.
 */
void worker_burst(struct worker *worker, const struct burst_frame *frames, unsigned count,
	struct burst_result *result);

/* The same with the clocks given: real-time and monotonic, microseconds. For tests and benches. */
void worker_burst_at(struct worker *worker, const struct burst_frame *frames, unsigned count,
	uint64_t now_us, uint64_t mono_us, struct burst_result *result);

/* Around a sleep: tells control that this worker holds no table (design: QSBR, dataplane/table.h). */
void worker_offline(struct worker *worker);
void worker_online(struct worker *worker);

/*
 * Repairs what a dataplane that died left between windows and rings; before the first worker_burst
 * of any worker, by one thread. Returns how many records were published.
 */
unsigned worker_recover(struct replay_store *replay, const struct table_header *table,
	struct verdict_ring *const *rings, unsigned ring_count);

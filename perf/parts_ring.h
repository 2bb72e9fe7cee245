/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The verdict ring alone, for benchmarks in C++: on one thread, and from this thread to a second one
 * on another CPU. Beside it DPDK's rte_ring with one producer and one consumer, which carries as
 * many bytes in as many slots, but to one reader only, and has no room for one that is too slow.
 * Creators return NULL with a message on standard error.
 */

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Records of a publish, and of the peer's enqueue and dequeue: the packet path's burst. */
#define PARTS_RING_BURST 64u

/* ---- one thread ---- */

struct parts_ring;

struct parts_ring *parts_ring_create(uint32_t payload_size);
void parts_ring_destroy(struct parts_ring *ring);

/* `count` (whole bursts, at most 8,192) records written; then as many read. The latter returns how
 * many were what was written, in order: all. */
void parts_ring_publish(struct parts_ring *ring, uint32_t count);
uint32_t parts_ring_consume(struct parts_ring *ring, uint32_t count);

/* The same of the peer; an element is as large as a record with its payload slots. */
void parts_ring_peer_publish(struct parts_ring *ring, uint32_t count);
uint32_t parts_ring_peer_consume(struct parts_ring *ring, uint32_t count);

/* ---- two threads ---- */

struct parts_pair;

/* Starts a thread on `cpu`, which is busy until destroy. */
struct parts_pair *parts_pair_create(unsigned cpu);
void parts_pair_destroy(struct parts_pair *pair);

/* `count` (whole bursts) records written here and read there, until the last one is read; returns
 * how many were what was written, in order. */
uint32_t parts_pair_transfer(struct parts_pair *pair, uint32_t count);
uint32_t parts_pair_peer_transfer(struct parts_pair *pair, uint32_t count);

/* One record there and one back, `rounds` times; returns how many came back right. */
uint32_t parts_pair_echo(struct parts_pair *pair, uint32_t rounds);

/* One cache line there and one back, `rounds` times: how near the two CPUs are. */
void parts_pair_bounce(struct parts_pair *pair, uint32_t rounds);

#ifdef __cplusplus
}
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* DPDK: the environment, one port with its queues, and the buffers. */

#include <stdint.h>

#include "perf/loadgen/mint.h"
#include "perf/loadgen/settings.h"

struct rte_mbuf;
struct rte_mempool;

struct port {
	uint16_t id;
	uint16_t queues;
	struct rte_mempool *pool;
	uint8_t mac[6];
};

/*
 * Starts DPDK and the port. `main_lcore` sleeps on the CPUs that are left, lcore PORT_LCORE is the
 * busy one. 0, or -1 and said why.
 */
#define PORT_LCORE 1u
int port_open(struct port *port, const struct settings *settings);
void port_close(struct port *port);

/* Waits until the link is up (memif: until the peer is there), at most 5 s. 0 or -1. */
int port_wait(const struct port *port, const struct settings *settings);

/* Buffers with room for a frame each, and where it goes. False if there are none now. */
bool port_take(const struct port *port, struct rte_mbuf **mbufs, uint8_t **frames, unsigned count);

/* Sends one frame of `size` bytes; false if the port does not take it. */
bool port_send(const struct port *port, const uint8_t *frame, uint16_t size);

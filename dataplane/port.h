/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Ports: DPDK devices with one receive and one transmit queue per worker, and the pool their
 * packets come from. Main thread; queue i is then used by worker i only.
 */

#include <stdint.h>

#include "dataplane/failure.h"
#include "dataplane/setup.h"
#include "dataplane/worker.h"

struct rte_mempool;

struct ports {
	unsigned count;
	uint16_t ids[SETUP_PORTS_MAX]; /* DPDK's */
	struct worker_port views[SETUP_PORTS_MAX];
	struct rte_mempool *pool;
	unsigned needs;       /* enum privilege_need of their drivers */
	unsigned started;     /* how many to stop again */
	unsigned queue_count; /* per port and direction */
};

/*
 * Attaches, configures and starts every port. A failure names the port and the cure. 0 or -errno;
 * ports_stop undoes it, also after a failure.
 */
int ports_start(struct ports *ports, const struct setup_config *config, struct failure *failure);
void ports_stop(struct ports *ports);

/* One line about the ports and their links. Before privileges go: some drivers ask the kernel. */
#define PORTS_TEXT_SIZE 200u
void ports_describe(
	const struct ports *ports, const struct setup_config *config, char text[PORTS_TEXT_SIZE]);

/*
 * The device string of a port with every {queues} replaced by the number of workers. Cut if it does
 * not fit.
 */
void port_devargs_expand(
	char devargs[SETUP_DEVARGS_SIZE], const struct setup_port *port, unsigned queue_count);

/*
 * Why the device of a port could not be attached, as far as the system tells: no such interface, no
 * permission, not bound (port_diagnose.c). Fills `failure` in and returns -errno. `devargs` is
 * expanded, `complaint` is DPDK's last line.
 */
int port_diagnose(const struct setup_port *port, const char *devargs, const char *complaint,
	struct failure *failure);

/* Copies the value of key= in a device string; false if it is not there or too long. */
bool port_devargs_value(const char *devargs, const char *key, char *value, size_t size);

/* Is it the driver's device, as in "net_tap0,iface=..." or "net_tap,..."? */
bool port_devargs_is(const char *devargs, const char *driver);

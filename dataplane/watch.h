/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Watches the devices of all ports. A link that is down is said and waited for; a device that is
 * gone ends the dataplane, because drivers never find its successor: only a new start does. Main
 * thread.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/interface.h"
#include "dataplane/port.h"

struct watch_port {
	const char *name;
	uint16_t id;                /* DPDK's */
	bool has_interface;         /* else DPDK is asked */
	bool has_link;              /* the driver told it so far */
	enum interface_state state; /* the last one told */
	unsigned looks_without;     /* a carrier, in a row */
	struct interface interface;
	atomic_bool is_removed; /* a driver's thread: wo */
};

struct watch {
	unsigned count;
	struct watch_port ports[SETUP_PORTS_MAX];
};

/*
 * Opens what it takes, says which interfaces are down, and adds to ports->needs. After ports_start,
 * before privileges go; `config` and `watch` MUST stay. 0 or -errno; watch_close undoes it, also
 * after a failure, and before ports_stop.
 */
int watch_open(struct watch *watch, struct ports *ports, const struct setup_config *config,
	struct failure *failure);
void watch_close(struct watch *watch);

/*
 * Says what changed. 0, or -errno if a device is gone, with `failure` naming it. A
 * housekeeping_watch_t:
 * `context` is the struct watch.
 */
int watch_look(void *context, struct failure *failure);

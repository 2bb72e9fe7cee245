/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * An interface of the kernel that a port lives on: is it still the same device, and is it up? What
 * it takes to ask is opened while there are privileges; asking needs none, never waits for the
 * kernel's configuration lock, and takes about a microsecond. Main thread.
 */

#include <net/if.h>
#include <stdbool.h>

enum interface_state {
	INTERFACE_UP,
	INTERFACE_NO_CARRIER,
	INTERFACE_DOWN,   /* ip link set X down */
	INTERFACE_GONE,   /* for ever, also if there is a new one of that name */
	INTERFACE_UNSEEN, /* not to be told, as of a TAP device in another network namespace */
};

struct interface {
	unsigned index;
	char name[IFNAMSIZ]; /* at start */
	int fd;              /* packet socket that is bound to the device and hears nothing */
	int tap_fd;          /* the driver's; -1: no TAP device */
};

/*
 * Opens interface `index`, whose descriptor of /dev/net/tun this process has if `is_tap`. Needs
 * CAP_NET_RAW. 0 or -errno; interface_close undoes it, not after a failure.
 */
int interface_open(struct interface *interface, unsigned index, bool is_tap);
void interface_close(struct interface *interface);

/* Under a filter it needs PRIVILEGE_NEED_INTERFACE. */
enum interface_state interface_look(const struct interface *interface);

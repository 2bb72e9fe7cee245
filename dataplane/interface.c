/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/interface.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel gives the lowest free number, and a dataplane has some dozens. */
#define TAP_FD_MAX 4096

/* Any of the descriptors by which the driver holds the device; -1 if there is none. */
static int
tap_find(const char *name)
{
	struct ifreq request = {0};

	for (int fd = 0; fd < TAP_FD_MAX; fd++)
		if (ioctl(fd, TUNGETIFF, &request) == 0 && strcmp(request.ifr_name, name) == 0)
			return fd;
	return -1;
}

int
interface_open(struct interface *interface, unsigned index, bool is_tap)
{
	const struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = 0, /* no packets */
		.sll_ifindex = (int)index,
	};
	int error;

	*interface = (struct interface){.index = index, .tap_fd = -1};
	interface->fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (interface->fd < 0)
		return -errno;
	if (bind(interface->fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
		if_indextoname(index, interface->name) == NULL)
		goto err_gone;
	if (is_tap)
		interface->tap_fd = tap_find(interface->name);
	return 0;

err_gone:
	error = errno;
	close(interface->fd);
	return -error;
}

void
interface_close(struct interface *interface)
{
	close(interface->fd);
}

/*
 * Implementation notes. The kernel takes every packet socket off a device that is deleted or leaves
 * the network namespace, those of a port as well as ours, and then says that ours is bound to
 * number -1. Unlike a look-up by name or number this cannot be fooled by a new device that has the
 * old one's name and number. A TAP device lives as long as its descriptor says, also elsewhere.
 */
static bool
is_gone(const struct interface *interface)
{
	struct pollfd tap = {.fd = interface->tap_fd}; /* only errors */
	struct sockaddr_ll address = {0};
	socklen_t size = sizeof(address);

	if (interface->tap_fd >= 0)
		return poll(&tap, 1, 0) > 0;
	return getsockname(interface->fd, (struct sockaddr *)&address, &size) == 0 &&
	       address.sll_ifindex != (int)interface->index;
}

enum interface_state
interface_look(const struct interface *interface)
{
	struct ifreq request = {.ifr_ifindex = (int)interface->index};

	if (is_gone(interface))
		return INTERFACE_GONE;
	/* Its name of today: one that is renamed carries on. */
	if (ioctl(interface->fd, SIOCGIFNAME, &request) < 0 ||
		ioctl(interface->fd, SIOCGIFFLAGS, &request) < 0)
		return INTERFACE_UNSEEN;
	if (!(request.ifr_flags & IFF_UP))
		return INTERFACE_DOWN;
	return request.ifr_flags & IFF_RUNNING ? INTERFACE_UP : INTERFACE_NO_CARRIER;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/watch.h"

#include <errno.h>
#include <string.h>

#include <rte_ethdev.h>

#include "dataplane/privilege.h"

/* The kernel settles a carrier within a second after ip link set X up: no news until then. */
#define CARRIER_LOOKS 6

/* DPDK's thread for interrupts: ours looks again within a fraction of a second. */
static int
removal_note(uint16_t id, enum rte_eth_event_type event, void *context, void *result)
{
	struct watch_port *port = context;

	(void)id;
	(void)event;
	(void)result;
	atomic_store(&port->is_removed, true);
	return 0;
}

static enum interface_state
link_look(struct watch_port *port)
{
	struct rte_eth_link link = {0};

	if (atomic_load(&port->is_removed) || rte_eth_dev_is_removed(port->id) > 0)
		return INTERFACE_GONE;
	/* A driver that asks the kernel what the filter forbids does so once. */
	port->has_link = port->has_link && rte_eth_link_get_nowait(port->id, &link) == 0;
	if (!port->has_link)
		return INTERFACE_UNSEEN;
	return link.link_status == RTE_ETH_LINK_UP ? INTERFACE_UP : INTERFACE_NO_CARRIER;
}

static void
interface_say(const struct watch_port *port, enum interface_state state)
{
	const char *name = port->interface.name;

	if (state == INTERFACE_UP)
		note("port %s: interface %s is up again", port->name, name);
	else if (state == INTERFACE_DOWN)
		note("port %s: interface %s is down: ip link set %s up", port->name, name, name);
	else
		note("port %s: interface %s has no carrier: check its cable or peer", port->name,
			name);
}

static void
state_take(struct watch_port *port, enum interface_state state)
{
	if (state == INTERFACE_UNSEEN)
		return;
	port->looks_without = state == INTERFACE_NO_CARRIER ? port->looks_without + 1 : 0;
	if (state == port->state ||
		(port->looks_without > 0 && port->looks_without < CARRIER_LOOKS))
		return;
	port->state = state;
	if (port->has_interface)
		interface_say(port, state);
	else
		note("port %s: link %s", port->name, state == INTERFACE_UP ? "up" : "down");
}

/* Interfaces count as up until seen otherwise: carriers settle after a start. */
static int
interface_watch(struct watch_port *port, unsigned index, bool is_tap, struct failure *failure)
{
	int status = interface_open(&port->interface, index, is_tap);

	if (status < 0)
		return failure_set(failure, -status, "port %s: cannot watch its interface: %s",
			port->name, strerror(-status));
	port->has_interface = true;
	port->state = INTERFACE_UP;
	if (interface_look(&port->interface) == INTERFACE_DOWN)
		state_take(port, INTERFACE_DOWN);
	return 0;
}

static int
link_watch(struct watch_port *port)
{
	port->has_link = true;
	rte_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_RMV, removal_note, port);
	port->state = link_look(port);
	return 0;
}

/* A NIC's driver may name an interface of the kernel, too, but does not live on it. */
static int
port_watch(struct watch_port *port, const struct setup_port *setup, struct failure *failure)
{
	struct rte_eth_dev_info info;

	port->name = setup->name;
	if (setup->is_vdev && rte_eth_dev_info_get(port->id, &info) == 0 && info.if_index != 0)
		return interface_watch(
			port, info.if_index, port_devargs_is(setup->devargs, "net_tap"), failure);
	return link_watch(port);
}

int
watch_open(struct watch *watch, struct ports *ports, const struct setup_config *config,
	struct failure *failure)
{
	memset(watch, 0, sizeof(*watch));
	for (unsigned i = 0; i < ports->count; i++) {
		struct watch_port *port = &watch->ports[i];
		int status;

		port->id = ports->ids[i];
		status = port_watch(port, &config->ports[i], failure);
		if (status < 0)
			return status;
		watch->count = i + 1;
		if (port->has_interface)
			ports->needs |= PRIVILEGE_NEED_INTERFACE;
	}
	return 0;
}

void
watch_close(struct watch *watch)
{
	while (watch->count > 0) {
		struct watch_port *port = &watch->ports[--watch->count];

		if (port->has_interface)
			interface_close(&port->interface);
		else
			rte_eth_dev_callback_unregister(
				port->id, RTE_ETH_EVENT_INTR_RMV, removal_note, port);
	}
}

static int
lost(const struct watch_port *port, struct failure *failure)
{
	if (port->has_interface)
		return failure_set(failure, ENODEV,
			"port %s: interface %s was deleted or moved away: restarting; serves again "
			"when there is an interface of that name",
			port->name, port->interface.name);
	return failure_set(failure, ENODEV,
		"port %s: its device was removed: restarting; serves again when it is back",
		port->name);
}

int
watch_look(void *context, struct failure *failure)
{
	struct watch *watch = context;

	for (unsigned i = 0; i < watch->count; i++) {
		struct watch_port *port = &watch->ports[i];
		enum interface_state state =
			port->has_interface ? interface_look(&port->interface) : link_look(port);

		if (state == INTERFACE_GONE)
			return lost(port, failure);
		state_take(port, state);
	}
	return 0;
}

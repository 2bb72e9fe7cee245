/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/eal.h"
#include "dataplane/privilege.h"

#define QUEUES_PLACEHOLDER "{queues}"
/* A NIC needs slack for the time a worker sleeps; software rings have their own. */
#define DESCRIPTORS_PCI  1024u
#define DESCRIPTORS_VDEV 512u
/* Four bursts: refilled and flushed rarely, and small enough to stay in the L2 cache. */
#define POOL_CACHE 256u

/* What one device can do, and what it gets. */
struct plan {
	struct rte_eth_dev_info info;
	uint16_t rx_descriptors;
	uint16_t tx_descriptors;
};

void
port_devargs_expand(
	char devargs[SETUP_DEVARGS_SIZE], const struct setup_port *port, unsigned queue_count)
{
	const char *from = port->devargs;
	size_t used = 0;

	devargs[0] = '\0';
	while (*from && used < SETUP_DEVARGS_SIZE - 1) {
		const char *mark = strstr(from, QUEUES_PLACEHOLDER);
		int size = mark ? (int)(mark - from) : (int)strlen(from);

		used += (size_t)snprintf(
			devargs + used, SETUP_DEVARGS_SIZE - used, "%.*s", size, from);
		if (mark && used < SETUP_DEVARGS_SIZE - 1)
			used += (size_t)snprintf(
				devargs + used, SETUP_DEVARGS_SIZE - used, "%u", queue_count);
		from += (size_t)size + (mark ? strlen(QUEUES_PLACEHOLDER) : 0);
	}
}

/*
 * The memif driver leaves its socket behind when it is killed, and does not start where one is. It
 * goes if nobody listens on it any more.
 */
static void
stale_socket_remove(const char *devargs)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (!port_devargs_is(devargs, "net_memif") || !strstr(devargs, "role=server") ||
		!port_devargs_value(devargs, "socket", address.sun_path, sizeof(address.sun_path)))
		return;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno == ECONNREFUSED)
		unlink(address.sun_path);
	close(fd);
}

/* Finds a PCI device that EAL attached, or attaches a virtual one. */
static int
port_attach(
	struct ports *ports, const struct setup_port *port, unsigned index, struct failure *failure)
{
	char devargs[SETUP_DEVARGS_SIZE], name[SETUP_DEVARGS_SIZE];
	const char *options;

	port_devargs_expand(devargs, port, ports->queue_count);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(devargs, ","), devargs);
	options = strchr(devargs, ',');
	eal_complaint_clear();
	stale_socket_remove(devargs);
	if (port->is_vdev && rte_eal_hotplug_add("vdev", name, options ? options + 1 : "") != 0)
		return port_diagnose(port, devargs, eal_complaint(), failure);
	if (rte_eth_dev_get_port_by_name(name, &ports->ids[index]) != 0)
		return port_diagnose(port, devargs, eal_complaint(), failure);
	if (!port->is_vdev)
		ports->needs |= PRIVILEGE_NEED_PCI;
	if (port_devargs_is(devargs, "net_memif"))
		ports->needs |= PRIVILEGE_NEED_MEMIF;
	if (port_devargs_is(devargs, "net_af_xdp"))
		ports->needs |= PRIVILEGE_NEED_XDP;
	ports->count = index + 1;
	return 0;
}

static int
port_plan(struct plan *plan, const struct ports *ports, const struct setup_port *port,
	unsigned index, struct failure *failure)
{
	uint16_t descriptors = port->is_vdev ? DESCRIPTORS_VDEV : DESCRIPTORS_PCI;
	int status = rte_eth_dev_info_get(ports->ids[index], &plan->info);

	if (status < 0)
		return failure_set(failure, -status,
			"port %s: cannot ask the device what it is: %s", port->name,
			rte_strerror(-status));
	if (plan->info.max_rx_queues < ports->queue_count ||
		plan->info.max_tx_queues < ports->queue_count)
		return failure_set(failure, EINVAL,
			"port %s: device '%s' has %u receive and %u transmit queues, %u workers "
			"need "
			"one each: use fewer workers, or give the device more (af_packet: "
			"qpairs={queues})",
			port->name, port->devargs, plan->info.max_rx_queues,
			plan->info.max_tx_queues, ports->queue_count);
	plan->tx_descriptors = descriptors;
	plan->rx_descriptors = port->rx_descriptors ? port->rx_descriptors : descriptors;
	return 0;
}

/* Every descriptor may hold an mbuf; a worker holds a burst, its answers and its cache. */
static int
pool_create(struct ports *ports, const struct plan *plans, const struct setup_config *config,
	struct failure *failure)
{
	unsigned need = ports->queue_count * (POOL_CACHE * 2 + BURST_FRAMES_MAX * 4);

	for (unsigned i = 0; i < ports->count; i++)
		need += ports->queue_count *
			((unsigned)plans[i].rx_descriptors + plans[i].tx_descriptors);
	if (need < config->mbuf_count)
		need = config->mbuf_count;
	ports->pool = rte_pktmbuf_pool_create(
		"credgate", need, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (ports->pool == NULL)
		return failure_set(failure, ENOMEM,
			"no room for %u packet buffers (about %u MB) in %u MB: raise memory_mb or "
			"lower mbufs, workers or descriptors",
			need, need / 400 + 1, config->memory_mb);
	return 0;
}

/* Checksums by the hardware if there is any; software would do what the worker does anyway. */
static void
features_choose(struct rte_eth_conf *conf, const struct plan *plan, const struct setup_port *port,
	unsigned queue_count)
{
	const uint64_t hash =
		RTE_ETH_RSS_IP | RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;

	if (!port->is_vdev)
		conf->rxmode.offloads =
			plan->info.rx_offload_capa &
			(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
	/* So that a driver tells when its NIC is pulled. */
	conf->intr_conf.rmv = (*plan->info.dev_flags & RTE_ETH_DEV_INTR_RMV) != 0;
	/* One pool, no shared packets. */
	conf->txmode.offloads = plan->info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	/* Any spread will do: windows belong to nodes, not to queues. */
	conf->rx_adv_conf.rss_conf.rss_hf = plan->info.flow_type_rss_offloads & hash;
	if (queue_count > 1 && conf->rx_adv_conf.rss_conf.rss_hf)
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
}

static int
queues_setup(const struct ports *ports, unsigned index, const struct plan *plan)
{
	uint16_t id = ports->ids[index];
	int socket = rte_eth_dev_socket_id(id);
	int status = 0;

	for (uint16_t queue = 0; queue < ports->queue_count && status == 0; queue++) {
		status = rte_eth_rx_queue_setup(
			id, queue, plan->rx_descriptors, (unsigned)socket, NULL, ports->pool);
		if (status == 0)
			status = rte_eth_tx_queue_setup(
				id, queue, plan->tx_descriptors, (unsigned)socket, NULL);
	}
	return status;
}

static bool
port_has_ipv6(const struct setup_port *port)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	for (unsigned i = 0; i < port->address_count; i++)
		if (memcmp(port->addresses[i].address, mapped, sizeof(mapped)) != 0)
			return true;
	return false;
}

/*
 * Neighbour solicitations come to a group address that no kernel joined for us: without a filter
 * for groups the port must hear all. Devices that have no filter refuse both calls.
 */
static void
hearing_widen(uint16_t id, const struct setup_port *port)
{
	bool is_deaf = port_has_ipv6(port) && rte_eth_allmulticast_enable(id) != 0;

	if (port->promiscuous || is_deaf)
		rte_eth_promiscuous_enable(id);
}

/* What the packet path sees of the port. */
static int
view_fill(struct worker_port *view, uint16_t id, const struct setup_port *port)
{
	struct rte_ether_addr mac;
	int status = rte_eth_macaddr_get(id, &mac);

	if (status < 0)
		return status;
	memset(view, 0, sizeof(*view));
	memcpy(view->mac, mac.addr_bytes, sizeof(view->mac));
	/* The kernel's end of a TAP device has the port's address: take another for ours. */
	if (port_devargs_is(port->devargs, "net_tap"))
		view->mac[5] ^= 1;
	view->checksum = port->checksum;
	view->address_count = port->address_count;
	view->udp_port = port->udp_port;
	memcpy(view->addresses, port->addresses, sizeof(view->addresses));
	return 0;
}

static int
port_start(struct ports *ports, unsigned index, struct plan *plan, const struct setup_port *port,
	struct failure *failure)
{
	uint16_t id = ports->ids[index], count = (uint16_t)ports->queue_count;
	struct rte_eth_conf conf = {0};
	int status;

	eal_complaint_clear();
	features_choose(&conf, plan, port, ports->queue_count);
	status = rte_eth_dev_configure(id, count, count, &conf);
	if (status == 0)
		status = rte_eth_dev_adjust_nb_rx_tx_desc(
			id, &plan->rx_descriptors, &plan->tx_descriptors);
	if (status == 0)
		status = queues_setup(ports, index, plan);
	if (status == 0)
		status = rte_eth_dev_start(id);
	if (status == 0)
		ports->started = index + 1;
	if (status == 0)
		status = view_fill(&ports->views[index], id, port);
	if (status < 0)
		return failure_set(failure, -status,
			"port %s: device '%s' does not start with %u queues and %u descriptors: "
			"%s; "
			"DPDK: %s",
			port->name, port->devargs, ports->queue_count, plan->rx_descriptors,
			rte_strerror(-status), eal_complaint());
	hearing_widen(id, port);
	return 0;
}

int
ports_start(struct ports *ports, const struct setup_config *config, struct failure *failure)
{
	struct plan plans[SETUP_PORTS_MAX] = {0};
	int status = 0;

	memset(ports, 0, sizeof(*ports));
	ports->queue_count = config->worker_count;
	for (unsigned i = 0; i < config->port_count && status == 0; i++) {
		status = port_attach(ports, &config->ports[i], i, failure);
		if (status == 0)
			status = port_plan(&plans[i], ports, &config->ports[i], i, failure);
	}
	if (status == 0)
		status = pool_create(ports, plans, config, failure);
	for (unsigned i = 0; i < config->port_count && status == 0; i++)
		status = port_start(ports, i, &plans[i], &config->ports[i], failure);
	return status;
}

void
ports_stop(struct ports *ports)
{
	while (ports->started > 0)
		rte_eth_dev_stop(ports->ids[--ports->started]);
	while (ports->count > 0)
		rte_eth_dev_close(ports->ids[--ports->count]);
	rte_mempool_free(ports->pool);
}

void
ports_describe(
	const struct ports *ports, const struct setup_config *config, char text[PORTS_TEXT_SIZE])
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < ports->count && used < PORTS_TEXT_SIZE - 1; i++) {
		struct rte_eth_link link = {0};

		if (rte_eth_link_get_nowait(ports->ids[i], &link) < 0)
			link.link_status = RTE_ETH_LINK_DOWN;
		used += (size_t)snprintf(text + used, PORTS_TEXT_SIZE - used, "%sport %s %s",
			i ? ", " : "", config->ports[i].name, link.link_status ? "up" : "down");
	}
}

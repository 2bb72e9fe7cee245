/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/port.h"

#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "perf/loadgen/fail.h"

#define ARGUMENT_SIZE_MAX 512
#define ARGUMENTS_MAX     24
#define LCORES_SIZE       8192
#define DESCRIPTORS       1024u
#define POOL_CACHE        256u
#define LINK_WAIT_MS      5000

/* EAL keeps pointers into it and reorders the list. */
static struct {
	char text[ARGUMENTS_MAX][ARGUMENT_SIZE_MAX];
	char *list[ARGUMENTS_MAX + 1];
	int count;
} arguments;

/* DPDK's own words, the first of which is the cause of what fails. */
static char complaint[160];

static ssize_t
log_write(void *cookie, const char *text, size_t size)
{
	(void)cookie;
	if (complaint[0] == '\0')
		snprintf(complaint, sizeof(complaint), "%.*s", (int)strcspn(text, "\n"), text);
	return (ssize_t)size;
}

static int
log_catch(void)
{
	static const cookie_io_functions_t functions = {.write = log_write};
	FILE *log = fopencookie(NULL, "w", functions);

	if (log == NULL || setvbuf(log, NULL, _IOLBF, 0) != 0 || rte_openlog_stream(log) != 0)
		return fail("cannot catch DPDK's log");
	return 0;
}

static int
last_cpu(const cpu_set_t *allowed)
{
	int cpu = CPU_SETSIZE - 1;

	while (cpu > 0 && !CPU_ISSET(cpu, allowed))
		cpu--;
	return cpu;
}

/* "0@(all others),1@core": the main thread sleeps, but not on the busy CPU. */
static int
lcores_write(char *text, size_t room, const struct settings *settings)
{
	const char *separator = "0@(";
	cpu_set_t allowed;
	size_t used = 0;
	int cpu, core;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return fail("cannot ask for the allowed CPUs");
	core = settings->core < 0 ? last_cpu(&allowed) : settings->core;
	if (core >= CPU_SETSIZE || !CPU_ISSET(core, &allowed))
		return fail("--core %d: is not there, or not allowed to this process (taskset -p)",
			core);
	for (cpu = 0; cpu < CPU_SETSIZE && used < room - 32; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || (cpu == core && CPU_COUNT(&allowed) > 1))
			continue;
		used += (size_t)snprintf(text + used, room - used, "%s%d", separator, cpu);
		separator = ",";
	}
	snprintf(text + used, room - used, "),%u@%d", PORT_LCORE, core);
	return 0;
}

static bool
spec_is_vdev(const char *spec)
{
	return strncmp(spec, "net_", 4) == 0 || strncmp(spec, "eth_", 4) == 0;
}

__attribute__((format(printf, 1, 2))) static void
argument_add(const char *format, ...)
{
	char *text = arguments.text[arguments.count];
	va_list values;

	va_start(values, format);
	vsnprintf(text, ARGUMENT_SIZE_MAX, format, values);
	va_end(values);
	arguments.list[arguments.count++] = text;
}

/* As the dataplane does: no memory that others could map, no hugepages unless wanted. */
static void
arguments_build(const struct settings *settings)
{
	argument_add("credgate-loadgen");
	argument_add("--main-lcore=0");
	argument_add("--no-telemetry"); /* its socket would outlive the folder */
	argument_add("--log-level=error");
	argument_add("-m%u", settings->memory_mb);
	if (settings->file_prefix != NULL)
		argument_add("--file-prefix=%s", settings->file_prefix);
	else
		argument_add("--file-prefix=cglg%d", getpid());
	if (settings->use_hugepages) {
		argument_add("--in-memory");
	} else {
		argument_add("--no-huge");
		argument_add("--no-shconf");
	}
	/* memif's zero copy hands DPDK's memory to its peer as one file. */
	if (strstr(settings->port, "zero-copy=yes") != NULL)
		argument_add("--single-file-segments");
	if (spec_is_vdev(settings->port)) {
		argument_add("--no-pci");
		argument_add("--iova-mode=va");
	} else {
		argument_add("-a%s", settings->port);
	}
}

static int
eal_start(const struct settings *settings)
{
	static char lcores[LCORES_SIZE] = "--lcores=";
	const size_t prefix = strlen(lcores);

	if (lcores_write(lcores + prefix, sizeof(lcores) - prefix, settings) != 0 ||
		log_catch() != 0)
		return -1;
	arguments_build(settings);
	arguments.list[arguments.count++] = lcores;
	if (rte_eal_init(arguments.count, arguments.list) < 0)
		return fail("DPDK did not start%s; DPDK: %s",
			settings->use_hugepages ? " (are there free hugepages? "
						  "dpdk-config/hugepages.sh)"
						: "",
			complaint);
	return 0;
}

static int
device_attach(struct port *port, const struct settings *settings)
{
	const char *spec = settings->port, *options = strchr(spec, ',');
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(spec, ","), spec);
	complaint[0] = '\0';
	if (spec_is_vdev(spec) &&
		rte_eal_hotplug_add("vdev", name, options ? options + 1 : "") != 0)
		return fail("--port %s: cannot be made; DPDK: %s", spec, complaint);
	if (rte_eth_dev_get_port_by_name(name, &port->id) != 0)
		return fail("--port %s: no such device: write net_memif0,..., net_af_packet0,..., "
			    "or a PCI address that is bound to vfio-pci; DPDK: %s",
			spec, complaint);
	return 0;
}

static int
pool_create(struct port *port, unsigned descriptors)
{
	const unsigned need = port->queues * 2 * descriptors + 4096 + 2 * POOL_CACHE;

	port->pool = rte_pktmbuf_pool_create(
		"loadgen", need, POOL_CACHE, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (port->pool == NULL)
		return fail("no room for %u packet buffers: raise --memory or lower --descriptors",
			need);
	return 0;
}

static int
queues_setup(const struct port *port, uint16_t rx_descriptors, uint16_t tx_descriptors)
{
	const unsigned socket = (unsigned)rte_eth_dev_socket_id(port->id);
	int status = 0;

	for (uint16_t queue = 0; queue < port->queues && status == 0; queue++) {
		status = rte_eth_rx_queue_setup(
			port->id, queue, rx_descriptors, socket, NULL, port->pool);
		if (status == 0)
			status = rte_eth_tx_queue_setup(
				port->id, queue, tx_descriptors, socket, NULL);
	}
	return status;
}

static int
device_start(struct port *port, const struct settings *settings)
{
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {0};
	struct rte_ether_addr mac;
	int status = rte_eth_dev_info_get(port->id, &info);

	if (status != 0)
		return fail("--port %s: %s", settings->port, rte_strerror(-status));
	port->queues = (uint16_t)settings->queues;
	if (info.max_tx_queues < port->queues || info.max_rx_queues < port->queues)
		return fail("--queues %u: the device has %u to send and %u to receive",
			port->queues, info.max_tx_queues, info.max_rx_queues);
	if (settings->descriptors != 0)
		rx = tx = (uint16_t)settings->descriptors;
	/* Frames are ours alone, from one pool; --raw sends the same ones again. */
	if (settings->mode != SETTINGS_RAW)
		conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	complaint[0] = '\0';
	status = rte_eth_dev_configure(port->id, port->queues, port->queues, &conf);
	if (status == 0)
		status = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);
	if (status == 0 && pool_create(port, rx > tx ? rx : tx) != 0)
		return -1;
	if (status == 0)
		status = queues_setup(port, rx, tx);
	if (status == 0)
		status = rte_eth_dev_start(port->id);
	if (status == 0)
		status = rte_eth_macaddr_get(port->id, &mac);
	if (status != 0)
		return fail("--port %s: does not start: %s; DPDK: %s", settings->port,
			rte_strerror(-status), complaint);
	memcpy(port->mac, mac.addr_bytes, sizeof(port->mac));
	return 0;
}

int
port_open(struct port *port, const struct settings *settings)
{
	memset(port, 0, sizeof(*port));
	if (eal_start(settings) != 0 || device_attach(port, settings) != 0)
		return -1;
	return device_start(port, settings);
}

void
port_close(struct port *port)
{
	char folder[PATH_MAX];

	rte_eth_dev_stop(port->id);
	rte_eth_dev_close(port->id);
	rte_mempool_free(port->pool);
	/* EAL leaves its folder behind, which is empty without files to share. */
	snprintf(folder, sizeof(folder), "%s", rte_eal_get_runtime_dir());
	rte_eal_cleanup();
	(void)rmdir(folder);
}

int
port_wait(const struct port *port, const struct settings *settings)
{
	struct rte_eth_link link;

	for (int ms = 0; ms < LINK_WAIT_MS; ms += 10) {
		if (rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status)
			return 0;
		usleep(10000);
	}
	return fail("--port %s: the link is down: is its other end up (memif: is there a peer of "
		    "the other role at the same socket)?",
		settings->port);
}

bool
port_take(const struct port *port, struct rte_mbuf **mbufs, uint8_t **frames, unsigned count)
{
	if (rte_pktmbuf_alloc_bulk(port->pool, mbufs, count) != 0)
		return false;
	for (unsigned i = 0; i < count; i++)
		frames[i] = rte_pktmbuf_mtod(mbufs[i], uint8_t *);
	return true;
}

bool
port_send(const struct port *port, const uint8_t *frame, uint16_t size)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(port->pool);

	if (mbuf == NULL)
		return false;
	memcpy(rte_pktmbuf_append(mbuf, size), frame, size);
	if (rte_eth_tx_burst(port->id, 0, &mbuf, 1) == 1)
		return true;
	rte_pktmbuf_free(mbuf);
	return false;
}

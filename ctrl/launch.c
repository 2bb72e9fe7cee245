/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/launch.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "ctrl/memory.h"

#define PREFIX_BYTES 8

/* Device string of EAL; names are numbered by port, so that two of a driver differ. */
static int
devargs_make(char devargs[SETUP_DEVARGS_SIZE], const struct config_port *port, unsigned index,
	uint32_t workers)
{
	const char *device = port->device;

	switch (port->driver) {
	case CONFIG_DRIVER_AF_PACKET:
		return snprintf(devargs, SETUP_DEVARGS_SIZE, "net_af_packet%u,iface=%s,qpairs=%u",
			index, device, workers);
	case CONFIG_DRIVER_TAP:
		return snprintf(devargs, SETUP_DEVARGS_SIZE, "net_tap%u,iface=%s", index, device);
	case CONFIG_DRIVER_AF_XDP:
		return snprintf(devargs, SETUP_DEVARGS_SIZE,
			"net_af_xdp%u,iface=%s,start_queue=0,queue_count=%u", index, device,
			workers);
	case CONFIG_DRIVER_MEMIF:
		return snprintf(devargs, SETUP_DEVARGS_SIZE,
			"net_memif%u,role=server,id=0,socket-abstract=no,socket=%s", index, device);
	default: /* a PCI address, or the arguments themselves */
		return snprintf(devargs, SETUP_DEVARGS_SIZE, "%s", device);
	}
}

static int
port_make(struct setup_port *setup, const struct config_port *port, unsigned index,
	uint32_t workers, struct reason *reason)
{
	int length = devargs_make(setup->devargs, port, index, workers);

	if (length < 0 || (size_t)length >= sizeof(setup->devargs))
		return reason_set(reason, E2BIG,
			"port %s: device \"%s\" and its options are longer than %zu bytes; shorten "
			"it",
			port->name, port->device, sizeof(setup->devargs) - 1);
	snprintf(setup->name, sizeof(setup->name), "%s", port->name);
	setup->is_vdev = port->driver != CONFIG_DRIVER_PCI;
	setup->checksum = (uint8_t)port->checksum;
	setup->udp_port = port->udp_port;
	setup->address_count = (uint8_t)port->address_count;
	memcpy(setup->addresses, port->addresses, sizeof(setup->addresses));
	return 0;
}

/*
 * The name of DPDK's own run-time directory, which it leaves behind: one for each gateway of a
 * machine, and the same after each start, so that they do not pile up.
 */
static void
prefix_make(char prefix[SETUP_NAME_SIZE], const char *run_dir)
{
	uint8_t digest[crypto_generichash_BYTES_MIN];
	char hex[2 * PREFIX_BYTES + 1];

	crypto_generichash(
		digest, sizeof(digest), (const uint8_t *)run_dir, strlen(run_dir), NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), digest, PREFIX_BYTES);
	snprintf(prefix, SETUP_NAME_SIZE, "credgate-%s", hex);
}

int
launch_config_make(struct setup_config *setup, const struct config *config, bool has_hugepages,
	struct reason *reason)
{
	const struct config_dataplane *dataplane = &config->dataplane;
	int error = 0;

	memset(setup, 0, sizeof(*setup));
	setup->magic = SETUP_MAGIC;
	setup->version = SETUP_VERSION;
	setup->type = SETUP_CONFIG;
	setup->worker_count = dataplane->workers;
	setup->port_count = config->port_count;
	setup->kernel = dataplane->kernel;
	setup->hugepages = has_hugepages ? SETUP_HUGEPAGES_YES : SETUP_HUGEPAGES_NO;
	setup->memory_mb = dataplane->memory_mb;
	setup->mbuf_count = dataplane->mbufs;
	setup->refusals_per_s = dataplane->refusals_per_s;
	setup->ping_per_s = dataplane->answers_per_s;
	setup->idle_sleep_us = dataplane->idle_sleep_us;
	setup->handoff_slots = LAUNCH_HANDOFF_SLOTS;
	setup->main_cpu = dataplane->main_cpu;
	memcpy(setup->worker_cpus, dataplane->cpus, sizeof(setup->worker_cpus));
	prefix_make(setup->file_prefix, config->run_dir);
	for (unsigned i = 0; error == 0 && i < config->port_count; i++)
		error = port_make(
			&setup->ports[i], &config->ports[i], i, dataplane->workers, reason);
	return error;
}

bool
launch_has_hugepages(const struct config *config)
{
	uint64_t needed = (uint64_t)config->dataplane.memory_mb << 20;

	if (config->dataplane.hugepages == SETUP_HUGEPAGES_AUTO)
		return memory_huge_free() >= needed;
	return config->dataplane.hugepages == SETUP_HUGEPAGES_YES;
}

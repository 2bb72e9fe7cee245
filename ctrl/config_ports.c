/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports: a device by driver, addresses, and how far UDP checksums are believed. */
#include "ctrl/config_priv.h"

#include <string.h>

#include "ctrl/address.h"

/* Which key names the device of a driver, and how it may begin in the cure. */
struct driver_key {
	const char *key;
	const char *example;
};

static const struct driver_key driver_keys[] = {
	[CONFIG_DRIVER_AF_PACKET] = {"interface", "eth0"},
	[CONFIG_DRIVER_TAP] = {"interface", "cg0"},
	[CONFIG_DRIVER_AF_XDP] = {"interface", "eth0"},
	[CONFIG_DRIVER_MEMIF] = {"socket", "/run/credgate/memif.sock"},
	[CONFIG_DRIVER_PCI] = {"address", "\"0000:3b:00.0\""},
	[CONFIG_DRIVER_VDEV] = {"args", "\"net_ring0\""},
};

static bool
is_pci_address(const char *text)
{
	unsigned domain, bus, device, function;
	int end = 0;

	return sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &end) == 4 &&
	       text[end] == '\0';
}

/* What stands in the device's key goes into EAL arguments, where a comma begins the next one. */
static void
device_check_text(struct config_pass *pass, struct config_port *port, const char *key)
{
	if (port->driver == CONFIG_DRIVER_PCI && !is_pci_address(port->device))
		config_pass_fail(pass, key,
			"\"%s\" is no PCI address; write it as \"0000:3b:00.0\" (see lspci -D)",
			port->device);
	if (port->driver != CONFIG_DRIVER_VDEV &&
		(strpbrk(port->device, ", \t\"'") != NULL || port->device[0] == '-'))
		config_pass_fail(pass, key,
			"\"%s\" has a comma, blank or quote, or begins with '-'; name one device",
			port->device);
	if (port->driver == CONFIG_DRIVER_MEMIF && port->device[0] != '/')
		config_pass_fail(pass, key, "\"%s\" is no absolute path; begin it with a slash",
			port->device);
	/* Queues and sizes are added to this when it goes into setup.h's devargs. */
	if (strlen(port->device) >= SETUP_DEVARGS_SIZE - 64)
		config_pass_fail(
			pass, key, "is longer than %u bytes; shorten it", SETUP_DEVARGS_SIZE - 65);
}

static void
device_check(
	struct config_pass *pass, struct config_port *port, const struct config_file_port *file)
{
	const struct driver_key *wanted = &driver_keys[file->driver];
	const struct {
		const char *key;
		const char *value;
	} given[] = {
		{"interface", file->interface},
		{"socket", file->socket},
		{"address", file->address},
		{"args", file->args},
	};

	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
		bool is_wanted = strcmp(given[i].key, wanted->key) == 0;

		if (is_wanted && given[i].value == NULL)
			config_pass_fail(pass, given[i].key,
				"is missing for driver %s; add \"%s: %s\"",
				config_driver_text(port->driver), wanted->key, wanted->example);
		else if (!is_wanted && given[i].value != NULL)
			config_pass_fail(pass, given[i].key,
				"does not go with driver %s; use \"%s: %s\"",
				config_driver_text(port->driver), wanted->key, wanted->example);
		else if (is_wanted)
			snprintf(port->device, sizeof(port->device), "%s", given[i].value);
	}
	device_check_text(pass, port, wanted->key);
}

static bool
has_address(const struct config *config, unsigned port_count, const uint8_t address[16])
{
	for (unsigned i = 0; i < port_count; i++)
		for (unsigned j = 0; j < config->ports[i].address_count; j++)
			if (memcmp(config->ports[i].addresses[j].address, address, 16) == 0)
				return true;
	return false;
}

static void
addresses_check(struct config_pass *pass, unsigned index, const struct config_file_port *file)
{
	struct config_port *port = &pass->config->ports[index];
	const char *wrong;
	char key[32];

	if (file->addresses_count == 0)
		config_pass_fail(pass, "addresses",
			"has none: nothing could be sent to this port; add \"addresses: "
			"[10.0.0.1/24]\"");
	for (unsigned i = 0; i < file->addresses_count; i++) {
		struct setup_address *to = &port->addresses[i];

		snprintf(key, sizeof(key), "addresses[%u]", i);
		wrong = address_parse(file->addresses[i], to->address, &to->bits);
		if (wrong != NULL)
			config_pass_fail(pass, key, "\"%s\" %s", file->addresses[i], wrong);
		else if (has_address(pass->config, index + 1, to->address))
			config_pass_fail(pass, key,
				"\"%s\" is given twice; each address belongs to one port",
				file->addresses[i]);
		port->address_count = i + 1;
	}
}

/* A virtual link's frames may carry sums the kernel left unfinished for a NIC to complete. */
static enum setup_checksum
checksum_default(enum config_driver driver)
{
	return driver == CONFIG_DRIVER_PCI || driver == CONFIG_DRIVER_VDEV ? SETUP_CHECKSUM_VERIFY
									   : SETUP_CHECKSUM_PARTIAL;
}

static void
port_check(struct config_pass *pass, unsigned index)
{
	const struct config_file_port *file = &pass->file->ports[index];
	struct config_port *port = &pass->config->ports[index];

	config_pass_name(pass, "name", port->name, file->name);
	for (unsigned i = 0; i < index; i++)
		if (strcmp(pass->config->ports[i].name, port->name) == 0)
			config_pass_fail(pass, "name",
				"\"%s\" is another port's name as well; choose another",
				file->name);
	port->driver = (enum config_driver)file->driver;
	device_check(pass, port, file);
	addresses_check(pass, index, file);
	port->udp_port = (uint16_t)config_pass_number(pass, "udp_port", file->udp_port,
		(struct config_range){CONFIG_UDP_PORT, 1, UINT16_MAX});
	port->checksum = file->checksum != NULL ? (enum setup_checksum) * file->checksum
						: checksum_default(port->driver);
}

void
config_check_ports(struct config_pass *pass)
{
	for (unsigned i = 0; i < pass->file->ports_count; i++) {
		snprintf(pass->prefix, sizeof(pass->prefix), "ports[%u].", i);
		port_check(pass, i);
		pass->config->port_count = i + 1;
	}
	pass->prefix[0] = '\0';
}

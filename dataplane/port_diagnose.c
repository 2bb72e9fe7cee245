/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What an operator can do about a device that DPDK does not take. Asked only after a failure, so
 * that nothing that works is ever refused here.
 */

#include <errno.h>
#include <libgen.h>
#include <linux/capability.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/port.h"

#define VALUE_SIZE 128u

bool
port_devargs_is(const char *devargs, const char *driver)
{
	size_t size = strlen(driver);

	return strncmp(devargs, driver, size) == 0 &&
	       strspn(devargs + size, "0123456789") == strcspn(devargs + size, ",");
}

bool
port_devargs_value(const char *devargs, const char *key, char *value, size_t size)
{
	size_t key_size = strlen(key);

	while ((devargs = strchr(devargs, ',')) != NULL) {
		devargs++;
		if (strncmp(devargs, key, key_size) != 0 || devargs[key_size] != '=')
			continue;
		devargs += key_size + 1;
		return (size_t)snprintf(value, size, "%.*s", (int)strcspn(devargs, ","), devargs) <
		       size;
	}
	return false;
}

static bool
has_capability(unsigned capability)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[capability / 32].effective >> (capability % 32) & 1) != 0;
}

/* af_packet and af_xdp: an interface of the kernel. */
static int
interface_diagnose(const struct setup_port *port, const char *devargs, struct failure *failure)
{
	char interface[VALUE_SIZE];

	if (!port_devargs_value(devargs, "iface", interface, sizeof(interface)))
		return failure_set(failure, EINVAL,
			"port %s: '%s' names no interface: add iface=NAME", port->name, devargs);
	if (if_nametoindex(interface) == 0)
		return failure_set(failure, ENODEV,
			"port %s: there is no interface '%s' here: create it or correct the port "
			"(ip link lists them)",
			port->name, interface);
	if (!has_capability(CAP_NET_RAW) || !has_capability(CAP_NET_ADMIN))
		return failure_set(failure, EPERM,
			"port %s: no permission for interface '%s': start credgated as root, or "
			"with "
			"CAP_NET_RAW and CAP_NET_ADMIN",
			port->name, interface);
	return 0;
}

static int
tap_diagnose(const struct setup_port *port, struct failure *failure)
{
	if (access("/dev/net/tun", F_OK) < 0)
		return failure_set(failure, ENODEV,
			"port %s: there is no /dev/net/tun: load it with modprobe tun", port->name);
	if (access("/dev/net/tun", R_OK | W_OK) < 0 || !has_capability(CAP_NET_ADMIN))
		return failure_set(failure, EPERM,
			"port %s: no permission to make a TAP interface: start credgated as root, "
			"or "
			"with CAP_NET_ADMIN",
			port->name);
	return 0;
}

static int
memif_diagnose(const struct setup_port *port, const char *devargs, struct failure *failure)
{
	char path[VALUE_SIZE], folder[VALUE_SIZE];

	if (!port_devargs_value(devargs, "socket", path, sizeof(path)))
		return 0;
	snprintf(folder, sizeof(folder), "%s", path);
	if (access(dirname(folder), W_OK) < 0)
		return failure_set(failure, errno,
			"port %s: cannot make the memif socket '%s': %s; create its folder or "
			"correct "
			"the port",
			port->name, path, strerror(errno));
	return 0;
}

/* Reads the last part of a symbolic link. */
static bool
link_name(const char *path, char *name, size_t size)
{
	char target[256];
	ssize_t length = readlink(path, target, sizeof(target) - 1);

	if (length < 0)
		return false;
	target[length] = '\0';
	snprintf(name, size, "%s", basename(target));
	return true;
}

static int
pci_diagnose(const struct setup_port *port, const char *devargs, struct failure *failure)
{
	char address[32], path[128], driver[64];
	int size = (int)strcspn(devargs, ",");

	snprintf(address, sizeof(address), "%s%.*s", size < 12 ? "0000:" : "", size, devargs);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	if (access(path, F_OK) < 0)
		return failure_set(failure, ENODEV,
			"port %s: there is no PCI device %s here: see dpdk-config/bind-nic.sh list",
			port->name, address);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
	if (!link_name(path, driver, sizeof(driver)))
		snprintf(driver, sizeof(driver), "none");
	if (strcmp(driver, "vfio-pci") != 0)
		return failure_set(failure, EBUSY,
			"port %s: PCI device %s is bound to driver '%s': give it to DPDK with "
			"dpdk-config/bind-nic.sh bind %s",
			port->name, address, driver, address);
	return 0;
}

int
port_diagnose(const struct setup_port *port, const char *devargs, const char *complaint,
	struct failure *failure)
{
	int status = 0;

	if (!port->is_vdev)
		status = pci_diagnose(port, devargs, failure);
	else if (port_devargs_is(devargs, "net_af_packet") ||
		 port_devargs_is(devargs, "net_af_xdp"))
		status = interface_diagnose(port, devargs, failure);
	else if (port_devargs_is(devargs, "net_tap"))
		status = tap_diagnose(port, failure);
	else if (port_devargs_is(devargs, "net_memif"))
		status = memif_diagnose(port, devargs, failure);
	if (status < 0)
		return status;
	return failure_set(failure, EIO, "port %s: DPDK does not take device '%s': %s", port->name,
		devargs, complaint[0] ? complaint : "no driver of that name");
}

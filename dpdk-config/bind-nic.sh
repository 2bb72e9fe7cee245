#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Gives a NIC to DPDK (driver vfio-pci) and back to the kernel, around dpdk-devbind.py. It
# remembers the kernel's driver, refuses to take the interface you are logged in over, and says
# what is missing.
set -euo pipefail

STATE=/run/credgate-bind-nic
SYS=/sys/bus/pci/devices

usage() {
	cat <<MSG
Usage: dpdk-config/bind-nic.sh list
       dpdk-config/bind-nic.sh bind ADDRESS [--force] [--no-iommu]
       dpdk-config/bind-nic.sh unbind ADDRESS [DRIVER]
       dpdk-config/bind-nic.sh --help

  list        network devices and who drives them
  bind        take the NIC at PCI address ADDRESS (as 0000:3b:00.0) from the kernel
  unbind      give it back to the driver it had, or to DRIVER
  --force     also if its interface is up and has addresses, or carries the default route
  --no-iommu  allow vfio-pci without an IOMMU: the device can then reach all memory; only for
              virtual machines without one, never where the NIC's firmware is not trusted

NICs of the mlx4 and mlx5 families stay with their kernel driver: name their PCI address in
credgate.yaml without binding.
MSG
}

fail() {
	echo "bind-nic.sh: $*" >&2
	exit 1
}

usage_fail() {
	echo "bind-nic.sh: $* (see --help)" >&2
	exit 2
}

devbind() {
	command -v dpdk-devbind.py >/dev/null 2>&1 ||
		fail "dpdk-devbind.py is missing: run dpdk-config/install.sh"
	dpdk-devbind.py "$@"
}

driver_of() {
	[ -e "$SYS/$1/driver" ] || return 0
	basename "$(readlink "$SYS/$1/driver")"
}

interfaces_of() {
	[ -d "$SYS/$1/net" ] || { ls "$SYS/$1"/virtio*/net 2>/dev/null || true; return 0; }
	ls "$SYS/$1/net"
}

check_device() {
	[[ "$1" =~ ^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$ ]] ||
		usage_fail "'$1' is no PCI address; write it as 0000:3b:00.0"
	[ -d "$SYS/$1" ] || fail "there is no PCI device $1; see 'bind-nic.sh list'"
	case "$(cat "$SYS/$1/class")" in
	0x02*) ;;
	*) fail "PCI device $1 is no network device; see 'bind-nic.sh list'" ;;
	esac
}

# Taking the interface one is logged in over ends the session, and the way back.
check_unused() {
	local interface
	for interface in $(interfaces_of "$1"); do
		if ip route show default | grep -qw "dev $interface"; then
			fail "interface $interface of $1 carries the default route; --force takes it anyway"
		fi
		if [ -n "$(ip -brief addr show dev "$interface" up | awk '{print $3}')" ]; then
			fail "interface $interface of $1 is up and has addresses: take them off first" \
				"(ip addr flush dev $interface), or use --force"
		fi
	done
}

check_iommu() {
	if [ -n "$(ls /sys/kernel/iommu_groups 2>/dev/null)" ]; then
		return
	fi
	[ "$no_iommu" = 1 ] ||
		fail "there is no IOMMU: enable it (BIOS: VT-d or AMD-Vi; kernel: intel_iommu=on)," \
			"or accept the risk with --no-iommu"
	echo 1 >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode ||
		fail "this kernel's vfio has no mode without an IOMMU"
}

bind() {
	local address=$1 driver
	check_device "$address"
	driver=$(driver_of "$address")
	case "$driver" in
	vfio-pci) echo "bind-nic.sh: $address is bound to vfio-pci already"; return ;;
	mlx4_core | mlx5_core)
		fail "$address has driver $driver, which DPDK uses as it is: do not bind it" ;;
	esac
	[ "$force" = 1 ] || check_unused "$address"
	modprobe vfio-pci || fail "cannot load vfio-pci: is it part of this kernel?"
	check_iommu
	devbind --bind=vfio-pci ${force:+--force} "$address"
	[ "$(driver_of "$address")" = vfio-pci ] ||
		fail "$address is still bound to '$(driver_of "$address")'; see dmesg"
	mkdir -p "$STATE"
	echo "$driver" >"$STATE/$address"
	echo "bind-nic.sh: $address is DPDK's now (was: ${driver:-no driver}). In credgate.yaml:"
	echo "  ports: [{name: lan, driver: pci, address: \"$address\", addresses: [...]}]"
}

unbind() {
	local address=$1 driver=${2:-}
	check_device "$address"
	[ -n "$driver" ] || driver=$(cat "$STATE/$address" 2>/dev/null || true)
	[ -n "$driver" ] ||
		fail "the driver $address had is not known: name it, as in 'unbind $address ixgbe'"
	if [ "$(driver_of "$address")" = "$driver" ]; then
		echo "bind-nic.sh: $address is bound to $driver already"
		return
	fi
	modprobe "$driver" 2>/dev/null || true
	devbind --bind="$driver" "$address"
	[ "$(driver_of "$address")" = "$driver" ] ||
		fail "$address is bound to '$(driver_of "$address")', not to $driver; see dmesg"
	rm -f "$STATE/$address"
	echo "bind-nic.sh: $address is the kernel's again (driver $driver)"
}

need_root() {
	[ "$(id -u)" = 0 ] || fail "needs root; run it with sudo"
}

force='' no_iommu=0
words=()
for argument in "$@"; do
	case "$argument" in
	--help) usage; exit 0 ;;
	--force) force=1 ;;
	--no-iommu) no_iommu=1 ;;
	--*) usage_fail "unknown option '$argument'" ;;
	*) words+=("$argument") ;;
	esac
done
case "${words[0]:-}:${#words[@]}" in
list:1) devbind --status-dev net ;;
bind:2) need_root; bind "${words[1]}" ;;
unbind:2 | unbind:3) need_root; unbind "${words[1]}" "${words[2]:-}" ;;
:0) usage >&2; exit 2 ;;
*) usage_fail "cannot make sense of '${words[*]}'" ;;
esac

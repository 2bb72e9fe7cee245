#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Reserves, shows and releases 2 MB hugepages for the dataplane. Safe to run again: "reserve N"
# means that N are there afterwards, not N more.
set -euo pipefail

PAGES=/sys/kernel/mm/hugepages/hugepages-2048kB
NODES=/sys/devices/system/node

usage() {
	cat <<MSG
Usage: dpdk-config/hugepages.sh reserve N [--node NODE]
       dpdk-config/hugepages.sh show
       dpdk-config/hugepages.sh release [--node NODE]
       dpdk-config/hugepages.sh --help

  reserve N   have N pages of 2 MB (credgate needs dataplane.memory_mb / 2, and some spare)
  show        pages reserved and free, per NUMA node
  release     give back every page that no program uses
  --node NODE only on this NUMA node: the one the NIC is at (see show)

Needs root to change anything. The reservation ends with the next boot; to keep it, put
"vm.nr_hugepages = N" into a file below /etc/sysctl.d.
MSG
}

fail() {
	echo "hugepages.sh: $*" >&2
	exit 1
}

usage_fail() {
	echo "hugepages.sh: $* (see --help)" >&2
	exit 2
}

# The folder whose nr_hugepages is written: of the machine, or of one NUMA node.
folder() {
	if [ -z "$node" ]; then
		echo "$PAGES"
	else
		echo "$NODES/node$node/hugepages/hugepages-2048kB"
	fi
}

show() {
	local path name
	for path in "$NODES"/node[0-9]*; do
		[ -d "$path/hugepages/hugepages-2048kB" ] || continue
		name=${path##*/node}
		printf 'node %s: %s pages of 2 MB reserved, %s free\n' "$name" \
			"$(cat "$path/hugepages/hugepages-2048kB/nr_hugepages")" \
			"$(cat "$path/hugepages/hugepages-2048kB/free_hugepages")"
	done
	printf 'all: %s pages of 2 MB reserved, %s free\n' \
		"$(cat $PAGES/nr_hugepages)" "$(cat $PAGES/free_hugepages)"
}

need_root() {
	[ "$(id -u)" = 0 ] || fail "needs root to change the reservation; run it with sudo"
}

# Memory that was in use for long is in pieces: the kernel may find fewer pages than asked for.
reserve() {
	local wanted=$1 path got
	path=$(folder)
	[ "$(cat "$path/nr_hugepages")" != "$wanted" ] || { show; return; }
	echo "$wanted" >"$path/nr_hugepages"
	got=$(cat "$path/nr_hugepages")
	if [ "$got" -lt "$wanted" ]; then
		echo 1 >/proc/sys/vm/compact_memory 2>/dev/null || true
		echo "$wanted" >"$path/nr_hugepages"
		got=$(cat "$path/nr_hugepages")
	fi
	show
	[ "$got" -ge "$wanted" ] ||
		fail "only $got of $wanted pages could be had: free some memory, or reserve at boot" \
			"(kernel parameter hugepages=$wanted)"
}

release() {
	local path left
	path=$(folder)
	echo 0 >"$path/nr_hugepages"
	left=$(cat "$path/nr_hugepages")
	show
	[ "$left" = 0 ] || echo "hugepages.sh: $left pages are in use and stay; stop their users first"
}

node=''
words=()
while [ $# -gt 0 ]; do
	case "$1" in
	--help) usage; exit 0 ;;
	--node)
		[ $# -ge 2 ] || usage_fail "--node wants a number"
		node=$2
		shift
		;;
	--*) usage_fail "unknown option '$1'" ;;
	*) words+=("$1") ;;
	esac
	shift
done
[ -d "$PAGES" ] || fail "this kernel has no 2 MB hugepages; set dataplane.hugepages to no"
[[ -z "$node" || "$node" =~ ^[0-9]+$ ]] || usage_fail "--node wants a number, not '$node'"
[ -d "$(folder)" ] || fail "there is no NUMA node $node; see 'hugepages.sh show'"

case "${words[*]:-}" in
show) show ;;
release) need_root; release ;;
reserve\ *)
	[ ${#words[@]} = 2 ] || usage_fail "reserve wants one number"
	[[ "${words[1]}" =~ ^[0-9]{1,9}$ ]] || usage_fail "'${words[1]}' is no number of pages"
	need_root
	reserve "$((10#${words[1]}))"
	;;
reserve) usage_fail "reserve wants the number of pages" ;;
'') usage >&2; exit 2 ;;
*) usage_fail "unknown command '${words[*]}'" ;;
esac

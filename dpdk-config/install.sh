#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Installs what credgate needs to build, run and test on Debian 12. Safe to run again: it only
# asks the package manager for what is missing, and says what it does.
set -euo pipefail

BUILD=(gcc g++ clang make meson ninja-build pkg-config git
	dpdk dpdk-dev libdpdk-dev libipsec-mb-dev libsodium-dev libnuma-dev
	libevent-dev libcyaml-dev libyaml-dev libsqlite3-dev libjansson-dev libseccomp-dev)
RUN=(iproute2 sqlite3 procps)
CHECK=(libcmocka-dev libssl-dev openssl libbenchmark-dev valgrind clang-format-14 python3
	libclang-rt-14-dev iputils-ping tcpdump munge gnuplot-nox
	python3-prometheus-client)

usage() {
	cat <<MSG
Usage: dpdk-config/install.sh [--runtime | --dry-run | --help]

Installs the Debian packages credgate needs. Uses sudo only when not run as root.

  --dry-run   print the packages that are missing and change nothing
  --runtime   leave out what only tests and benchmarks need
  --help      this text
MSG
}

dry=0
packages=("${BUILD[@]}" "${RUN[@]}" "${CHECK[@]}")
for argument in "$@"; do
	case "$argument" in
	--dry-run) dry=1 ;;
	--runtime) packages=("${BUILD[@]}" "${RUN[@]}") ;;
	--help) usage; exit 0 ;;
	*) echo "install.sh: unknown option '$argument' (see --help)" >&2; exit 2 ;;
	esac
done

if ! command -v apt-get >/dev/null 2>&1; then
	echo "install.sh: needs Debian's apt-get; on another system install the equivalents of:" \
		"${packages[*]}" >&2
	exit 1
fi

missing=()
for package in "${packages[@]}"; do
	state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	echo "install.sh: all ${#packages[@]} packages are there, nothing to do"
	exit 0
fi
echo "install.sh: missing ${#missing[@]} of ${#packages[@]} packages: ${missing[*]}"
[ "$dry" = 0 ] || exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
	if ! command -v sudo >/dev/null 2>&1; then
		echo "install.sh: not root and no sudo; run as root: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	as_root=(sudo)
fi
echo "install.sh: refreshing the package lists"
"${as_root[@]}" apt-get -q update
echo "install.sh: installing"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
	apt-get -q install -y --no-install-recommends "${missing[@]}"
echo "install.sh: done"

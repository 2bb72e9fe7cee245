#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# static.sh OUT WORKDIR ARCHIVE...: one archive of several, with nothing global in it but cg_*.
set -euo pipefail
out=$1 work=$2
shift 2
mkdir -p "$work"
ld -r -o "$work/credgate.o" --whole-archive "$@"
objcopy --wildcard --keep-global-symbol='cg_*' "$work/credgate.o"
rm -f "$out"
ar rcs "$out" "$work/credgate.o"

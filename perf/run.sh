#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Runs the benchmarks, each with its peer in the same run, and keeps the JSON under results/.
set -euo pipefail
cd "$(dirname "$0")/.."

build=${1:-build}
if [ "$build" = --help ]; then
	echo "Usage: perf/run.sh [BUILD-FOLDER] [benchmark options, e.g. --benchmark_filter=verify]"
	exit 0
fi
shift || true

folder=results/$(date +%Y%m%d-%H%M%S)
mkdir -p "$folder"
{
	lscpu | sed -n 's/^Model name: *//p'
	uname -r
	git describe --always --dirty 2>/dev/null || true
} >"$folder/machine.txt"
for bench in tag path; do
	program=$build/perf/credgate-bench-$bench
	if [ ! -x "$program" ]; then
		echo "perf/run.sh: $program is not there; run 'make build' first" >&2
		exit 1
	fi
	echo "== $bench (raw figures: $folder/$bench.json)"
	"$program" --benchmark_out="$folder/$bench.json" --benchmark_out_format=json "$@"
done

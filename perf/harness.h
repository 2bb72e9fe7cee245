// SPDX-License-Identifier: BSD-3-Clause
//
// What the main functions of the benchmarks share: options of our own before Google Benchmark's,
// the choice of a CPU, how a pair of figures becomes counters.

#pragma once

#include <benchmark/benchmark.h>
#include <sched.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "perf/timing.h"

struct Harness {
	const char *name;
	const char *about;        // for --help: what a row's name says
	const char *min_time_s;   // of a repetition
	const char *quick_filter; // rows of --quick
};

// To the CPU it is on, so that a row is one core's figure and a move is not part of it.
inline void
harness_pin(const char *name)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		fprintf(stderr, "%s: not pinned: %s\n", name, strerror(errno));
}

// Ours come first, so that the command line overrides them; --quick becomes a filter.
inline std::vector<std::string>
harness_args(int argc, char **argv, const Harness &harness)
{
	std::vector<std::string> args = {argv[0],
		std::string("--benchmark_min_time=") + harness.min_time_s,
		"--benchmark_repetitions=3", "--benchmark_report_aggregates_only=true"};

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0)
			args.push_back(std::string("--benchmark_filter=") + harness.quick_filter);
		else
			args.push_back(argv[i]);
		if (strcmp(argv[i], "--help") == 0)
			printf("%s\n\n%s [--quick] takes the rows %s only; further options are "
			       "Google Benchmark's:\n",
				harness.about, harness.name, harness.quick_filter);
	}
	return args;
}

// Rows MUST be registered before. Returns what main returns.
inline int
harness_run(int argc, char **argv, const Harness &harness)
{
	std::vector<std::string> args = harness_args(argc, argv, harness);
	std::vector<char *> pointers;
	int count = static_cast<int>(args.size());

	for (std::string &arg : args)
		pointers.push_back(arg.data());
	pointers.push_back(nullptr);
	benchmark::Initialize(&count, pointers.data());
	if (benchmark::ReportUnrecognizedArguments(count, pointers.data()))
		return 1;
	harness_pin(harness.name);
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}

inline double
harness_tsc_rate()
{
	static const double rate = tsc_per_ns();

	return rate;
}

// What one operation of ours costs.
inline void
harness_report(benchmark::State &state, double ns)
{
	state.counters["items_per_second"] = 1e9 / ns;
	state.counters["ns"] = ns;
	state.counters["cycles"] = ns * harness_tsc_rate();
}

// The same beside a peer's: over 1, ours is the faster. The peer is the row's label.
inline void
harness_report(benchmark::State &state, double ns, double peer_ns, const char *peer_name)
{
	state.SetLabel(peer_name);
	harness_report(state, ns);
	state.counters["peer_ns"] = peer_ns;
	state.counters["x_peer"] = peer_ns / ns;
}

// CPU time of one run of `pass`, after another that brings its data back into the caches.
template <typename Function>
double
harness_timed_ns(Function pass)
{
	pass();
	const double begin_ns = cpu_ns();
	pass();
	return cpu_ns() - begin_ns;
}

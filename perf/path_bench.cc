// SPDX-License-Identifier: BSD-3-Clause
//
// What the whole packet path costs per credential, in memory, on one core: from Ethernet frames of
// fresh sealed credentials to verdict records in a ring, with headers, keys, origin, audience, time,
// tag, decryption, replay window and delivery. Beside it, in the same run, what IPsec-MB's job
// interface needs for the AES-CMAC of the same bytes alone.
//
// A row is path/what/size/nodes: `size` is the credential's bytes; `what` is
//	accepted  every credential is genuine and accepted; a NIC has checked the checksums
//	software  the same, and the path checks them
//	forged50  every second tag is wrong
//	forged    every tag is wrong
//	stages, stages_forged  cycles by stage, see below
// Each pass takes 8,192 credentials from nodes drawn at random, minted anew before it, untimed: a
// serial is accepted only once. Passes of path and peer take turns, so that both meet the machine in
// the same moments. Counters:
//   items_per_second  credentials, of the path alone
//   ns, cycles    per credential, median of all passes: CPU time, and the same in TSC cycles
//   peer_ns       likewise: IPsec-MB jobs, CMAC alone, keys expanded beforehand
//   x_peer        peer_ns / ns
// Rows by stage: stage_parse ... stage_deliver, TSC cycles per credential, median over bursts; with
// _fast, what the fastest decile needs; stages, the medians' sum; ns and cycles as above, of passes
// without a clock inside, in the same run.
// A row in which a genuine credential was refused or a forged one accepted reports an error instead.

#include <benchmark/benchmark.h>
#include <sched.h>
#include <time.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "perf/path_rig.h"
#include "perf/peer_ipsecmb.h"
#include "perf/timing.h"

namespace
{

constexpr uint32_t kFrames = 8192;
constexpr double kBurst = 64;
constexpr uint32_t kCredSizeMin = 96;
// Control's choice of windows: 65,536 serials, or 8,192 in realms of more than 16,384 nodes.
constexpr uint32_t kNodesLarge = 16384;

struct RigFree {
	void
	operator()(path_rig *rig) const
	{
		path_rig_destroy(rig);
	}
};
using Rig = std::unique_ptr<path_rig, RigFree>;

template <typename Function>
double
timed_ns(Function pass)
{
	const double begin_ns = cpu_ns();

	pass();
	return cpu_ns() - begin_ns;
}

std::unique_ptr<PeerIpsecmb>
peer_create(const path_rig *rig, uint32_t nodes)
{
	auto peer = std::make_unique<PeerIpsecmb>(16, nodes + 1);

	for (uint32_t node = 1; node <= nodes; node++)
		peer->key_set(node, path_rig_key(rig, node));
	return peer;
}

void
peer_load(PeerIpsecmb *peer, const path_rig *rig)
{
	peer->messages_clear();
	for (uint32_t i = 0; i < kFrames; i++)
		peer->message_add(
			path_rig_msg(rig, i), path_rig_span_size(rig), path_rig_node(rig, i));
}

// The last frame of a round is never forged, so that the peer's tag of it can be compared.
bool
peer_agrees(const PeerIpsecmb &peer, const path_rig *rig)
{
	const uint8_t *tag = path_rig_msg(rig, kFrames - 1) + path_rig_span_size(rig);

	return memcmp(peer.tag(kFrames - 1), tag, 16) == 0;
}

void
row_run(benchmark::State &state, const path_rig_params &params)
{
	static const double tsc_rate = tsc_per_ns();
	Rig rig(path_rig_create(&params));
	std::vector<double> ours, peers;

	if (rig == nullptr) {
		state.SkipWithError("no memory");
		return;
	}
	auto peer = peer_create(rig.get(), params.nodes);
	for (auto _ : state) {
		path_rig_mint(rig.get());
		ours.push_back(timed_ns([&] { path_rig_walk(rig.get()); }));
		peer_load(peer.get(), rig.get());
		peer->pass();
		peers.push_back(timed_ns([&] { peer->pass(); }));
	}
	if (!path_rig_is_right(rig.get()))
		state.SkipWithError("a genuine credential was refused or a forged one accepted");
	if (!peer_agrees(*peer, rig.get()))
		state.SkipWithError("IPsec-MB and the path disagree");

	const double ns = median(ours) / kFrames;
	const double peer_ns = median(peers) / kFrames;

	state.counters["items_per_second"] = 1e9 / ns;
	state.counters["ns"] = ns;
	state.counters["cycles"] = ns * tsc_rate;
	state.counters["peer_ns"] = peer_ns;
	state.counters["x_peer"] = peer_ns / ns;
}

constexpr const char *kStageNames[PATH_STAGES] = {
	"parse", "admit", "verify", "handoff", "own", "deliver"};

// Of all bursts' cycles in one stage, per credential: at `share` of them, 0.5 being the median.
double
stage_cycles(const std::vector<uint32_t> &cycles, unsigned stage, double share)
{
	std::vector<uint32_t> values;

	for (size_t i = stage; i < cycles.size(); i += PATH_STAGES)
		values.push_back(cycles[i]);
	const auto at =
		values.begin() + static_cast<ptrdiff_t>(static_cast<double>(values.size()) * share);
	std::nth_element(values.begin(), at, values.end());
	return *at / kBurst;
}

void
stages_report(benchmark::State &state, const std::vector<uint32_t> &cycles)
{
	double sum = 0;

	for (unsigned stage = 0; stage < PATH_STAGES; stage++) {
		const std::string name = std::string("stage_") + kStageNames[stage];
		const double median_cycles = stage_cycles(cycles, stage, 0.5);

		state.counters[name] = median_cycles;
		state.counters[name + "_fast"] = stage_cycles(cycles, stage, 0.1);
		sum += median_cycles;
	}
	state.counters["stages"] = sum;
}

// Cycles by stage, from passes that read the clock between them, in turn with passes that do not.
void
stages_run(benchmark::State &state, const path_rig_params &params)
{
	static const double tsc_rate = tsc_per_ns();
	Rig rig(path_rig_create(&params));
	std::vector<uint32_t> cycles;
	std::vector<double> whole;

	if (rig == nullptr) {
		state.SkipWithError("no memory");
		return;
	}
	std::vector<uint32_t> pass(size_t{path_rig_bursts(rig.get())} * PATH_STAGES);
	for (auto _ : state) {
		path_rig_mint(rig.get());
		whole.push_back(timed_ns([&] { path_rig_walk(rig.get()); }));
		path_rig_mint(rig.get());
		path_rig_walk_stages(rig.get(), pass.data());
		cycles.insert(cycles.end(), pass.begin(), pass.end());
	}
	if (!path_rig_is_right(rig.get()))
		state.SkipWithError("a genuine credential was refused or a forged one accepted");
	if (!path_rig_stages_agree(&params))
		state.SkipWithError("the path and its stages one by one disagree");
	stages_report(state, cycles);
	state.counters["ns"] = median(whole) / kFrames;
	state.counters["cycles"] = median(whole) / kFrames * tsc_rate;
}

using Run = void (*)(benchmark::State &state, const path_rig_params &params);

void
row_register(const char *what, uint32_t size, uint32_t nodes, uint32_t forged_percent,
	bool verify_checksum, Run run = row_run)
{
	path_rig_params params{};
	const std::string name = std::string("path/") + what + "/" + std::to_string(size) + "/" +
				 std::to_string(nodes);

	params.nodes = nodes;
	params.window_bits = nodes > kNodesLarge ? 8192 : 65536;
	params.frames = kFrames;
	params.forged_percent = forged_percent;
	params.payload_size = size - kCredSizeMin;
	params.verify_checksum = verify_checksum;
	benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
		run(state, params);
	})->Unit(benchmark::kMicrosecond);
}

void
rows_register()
{
	for (uint32_t nodes : {64u, 4096u, 65536u})
		row_register("accepted", 96, nodes, 0, false);
	row_register("accepted", 300, 4096, 0, false);
	row_register("software", 96, 4096, 0, true);
	row_register("forged50", 96, 4096, 50, false);
	row_register("forged", 96, 4096, 100, false);
	for (uint32_t nodes : {64u, 4096u, 65536u})
		row_register("stages", 96, nodes, 0, false, stages_run);
	row_register("stages", 300, 4096, 0, false, stages_run);
	row_register("stages_forged", 96, 4096, 100, false, stages_run);
}

// To the CPU it is on, so that a row is one core's figure and a move is not part of it.
void
pin()
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		perror("path_bench: not pinned");
}

// Ours come first, so that the command line overrides them. NULL-terminated, as argv.
std::vector<char *>
args_with_defaults(int argc, char **argv)
{
	static char min_time[] = "--benchmark_min_time=0.5";
	static char repetitions[] = "--benchmark_repetitions=3";
	static char aggregates[] = "--benchmark_report_aggregates_only=true";
	std::vector<char *> args = {argv[0], min_time, repetitions, aggregates};

	args.insert(args.end(), argv + 1, argv + argc + 1);
	return args;
}

} // namespace

int
main(int argc, char **argv)
{
	std::vector<char *> args = args_with_defaults(argc, argv);
	int arg_count = static_cast<int>(args.size()) - 1;

	pin();
	benchmark::AddCustomContext("kernel chosen", path_rig_kernel());
	rows_register();
	benchmark::Initialize(&arg_count, args.data());
	if (benchmark::ReportUnrecognizedArguments(arg_count, args.data()))
		return 1;
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
//
// What a tag kernel costs per credential, and what IPsec-MB's job interface needs for the AES-CMAC
// of the same bytes under the same keys, measured beside each row in the same run.
//
// A row is verb/kernel/suite/size/keys. `size` is the bytes under the tag (a credential has 16 more;
// 80 ... 1,216 is all there is), or "mixed": nine of ten messages 80 bytes, one 284. Messages lie in
// 8,192 buffers, keys are picked at random, and the next burst's slots are prefetched as the packet
// path does. Passes of the kernel and of the peer take turns, each after one that is not timed, so
// that both meet the machine in the same moments; the time columns are of all of them together.
// Counters:
//   items_per_second  credentials, of the kernel alone
//   ns, cycles        per credential, median of all passes: CPU time, and the same in TSC cycles
//   peer_ns           likewise: IPsec-MB jobs, CMAC alone, keys expanded beforehand
//   x_peer            peer_ns / ns
//   peer_avx2_ns, x_peer_avx2  rows of aesni, where the peer's best uses AVX-512: likewise, beside
//                     IPsec-MB as it is on a CPU without it
//
// Rows line/kernel/suite/keys are of the straight line through five sizes, by least squares, over
// 512 messages that stay in the second-level cache: what the arithmetic costs, without the memory.
//   ns, cycles, peer_ns, x_peer   of one block of 16 bytes more (the slope)
//   ns_fixed, peer_ns_fixed       of a credential apart from its blocks (the intercept)
//   ns_off                        the farthest that a size lies from our line

#include <algorithm>
#include <cmath>

#include "perf/harness.h"
#include "perf/tag_load.h"

namespace
{

constexpr unsigned kSizes[] = {80, 96, 144, 284, 528, 1216, kLoadMixed};
constexpr unsigned kKeyCounts[] = {1, 64, 4096, 65536};
constexpr unsigned kKeyCountSeal = 4096;

// Whole blocks, so that no last block is padded for one and not for the other.
constexpr unsigned kLineSizes[] = {80, 176, 336, 656, 1216};
constexpr unsigned kLinePoints = sizeof(kLineSizes) / sizeof(kLineSizes[0]);
constexpr unsigned kLineMessages = 512;
constexpr unsigned kLinePasses = 4; // to each figure: one is too short for the clock
constexpr unsigned kLineKeys = 512;

const Harness kHarness = {
	.name = "tag_bench",
	.about = "Rows: verify or seal/kernel/suite/bytes under the tag, or mixed/keys;\n"
		 "line/kernel/suite/keys: what a block more costs, and what is fixed.",
	.min_time_s = "0.04",
	.quick_filter = "verify/.*/(80|96|mixed)/4096$|line/.*128/",
};

using Pass = unsigned(const Load &, tag_engine *);

// Two sides, or three for the kernel of CPUs without AVX-512.
void
pairs_run(benchmark::State &state, const Load &load, enum tag_kernel_id kernel, Pass *pass)
{
	const TagEngine engine(kernel);
	PeerIpsecmb *best = load.keys->peer(PeerArch::kBest);
	const bool has_third = kernel == TAG_KERNEL_AESNI && best->has_avx512();
	PeerIpsecmb *third = has_third ? load.keys->peer(PeerArch::kAvx2) : best;
	std::vector<double> ours, peers, thirds;
	unsigned done = load.count;

	load_give(load, best);
	if (has_third)
		load_give(load, third);
	for (auto _ : state) {
		ours.push_back(
			harness_timed_ns([&] { done = std::min(done, pass(load, engine.get())); }));
		peers.push_back(harness_timed_ns([&] { best->pass(); }));
		if (has_third)
			thirds.push_back(harness_timed_ns([&] { third->pass(); }));
	}
	if (done != load.count)
		state.SkipWithError("a genuine credential was refused");
	if (!load_peer_agrees(load, *best) || !load_peer_agrees(load, *third))
		state.SkipWithError("IPsec-MB and the kernel disagree");
	harness_report(state, median(ours) / load.count, median(peers) / load.count, kLoadPeerName);
	if (has_third) {
		state.counters["peer_avx2_ns"] = median(thirds) / load.count;
		state.counters["x_peer_avx2"] = median(thirds) / median(ours);
	}
}

void
row_register(const char *verb, enum tag_kernel_id kernel, uint8_t suite, unsigned size,
	unsigned key_count, Pass *pass)
{
	const std::string name = std::string(verb) + "/" + tag_kernel_name(kernel) + "/" +
				 kLoadSuiteNames[suite] + "/" + load_size_name(size) + "/" +
				 std::to_string(key_count);

	benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
		pairs_run(state, load_get(suite, size, key_count), kernel, pass);
	})->Unit(benchmark::kMicrosecond);
}

struct Line {
	double slope;
	double fixed;
	double off; // of the farthest point
};

// Through (blocks, ns) of all sizes, by least squares.
Line
line_through(const double (&ns)[kLinePoints])
{
	double sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0;
	Line line{};

	for (unsigned i = 0; i < kLinePoints; i++) {
		const double x = kLineSizes[i] / 16.0;

		sum_x += x;
		sum_y += ns[i];
		sum_xx += x * x;
		sum_xy += x * ns[i];
	}
	line.slope =
		(kLinePoints * sum_xy - sum_x * sum_y) / (kLinePoints * sum_xx - sum_x * sum_x);
	line.fixed = (sum_y - line.slope * sum_x) / kLinePoints;
	for (unsigned i = 0; i < kLinePoints; i++)
		line.off = std::max(line.off,
			std::fabs(ns[i] - line.fixed - line.slope * kLineSizes[i] / 16.0));
	return line;
}

// Of one size, appended to the figures that it has already.
void
point_measure(
	const Load &load, tag_engine *engine, std::vector<double> *ours, std::vector<double> *peers)
{
	PeerIpsecmb *peer = load.keys->peer(PeerArch::kBest);
	const auto repeat = [](auto pass) {
		for (unsigned i = 0; i < kLinePasses; i++)
			pass();
	};

	load_give(load, peer);
	ours->push_back(harness_timed_ns(
		[&] { repeat([&] { benchmark::DoNotOptimize(load_verify(load, engine)); }); }));
	peers->push_back(harness_timed_ns([&] { repeat([&] { peer->pass(); }); }));
}

std::vector<std::unique_ptr<Load>>
line_loads(uint8_t suite)
{
	const LoadKeys *keys = load_get(suite, kLineSizes[0], kLineKeys, kLineMessages).keys;
	std::vector<std::unique_ptr<Load>> loads;

	for (unsigned size : kLineSizes)
		loads.push_back(load_create(*keys, size, kLineMessages));
	return loads;
}

void
line_run(benchmark::State &state, enum tag_kernel_id kernel, uint8_t suite)
{
	const TagEngine engine(kernel);
	const std::vector<std::unique_ptr<Load>> loads = line_loads(suite);
	std::vector<double> ours[kLinePoints], peers[kLinePoints];
	double ns[kLinePoints], peer_ns[kLinePoints];

	for (auto _ : state) {
		for (unsigned i = 0; i < kLinePoints; i++)
			point_measure(*loads[i], engine.get(), &ours[i], &peers[i]);
	}
	for (unsigned i = 0; i < kLinePoints; i++) {
		ns[i] = median(ours[i]) / (kLineMessages * kLinePasses);
		peer_ns[i] = median(peers[i]) / (kLineMessages * kLinePasses);
	}
	const Line line = line_through(ns);
	const Line peer_line = line_through(peer_ns);

	harness_report(state, line.slope, peer_line.slope, kLoadPeerName);
	state.counters["ns_fixed"] = line.fixed;
	state.counters["peer_ns_fixed"] = peer_line.fixed;
	state.counters["ns_off"] = line.off;
}

void
line_register(enum tag_kernel_id kernel, uint8_t suite)
{
	const std::string name = std::string("line/") + tag_kernel_name(kernel) + "/" +
				 kLoadSuiteNames[suite] + "/" + std::to_string(kLineKeys);

	benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
		line_run(state, kernel, suite);
	})->Unit(benchmark::kMicrosecond);
}

// Those this CPU has; of the others, why not.
std::vector<enum tag_kernel_id>
kernels_of_cpu()
{
	std::vector<enum tag_kernel_id> kernels;

	for (int id = TAG_KERNEL_COUNT - 1; id > TAG_KERNEL_AUTO; id--) {
		const auto kernel = static_cast<enum tag_kernel_id>(id);
		char why[160];

		if (tag_kernel_is_supported(kernel)) {
			kernels.push_back(kernel);
			continue;
		}
		tag_kernel_choose(kernel, why, sizeof(why));
		benchmark::AddCustomContext(
			std::string("left out: ") + tag_kernel_name(kernel), why);
	}
	return kernels;
}

// Rows of one load follow each other, so that it is made once.
void
rows_register(const std::vector<enum tag_kernel_id> &kernels)
{
	for (uint8_t suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		for (unsigned key_count : kKeyCounts) {
			for (unsigned size : kSizes) {
				for (auto kernel : kernels)
					row_register("verify", kernel, suite, size, key_count,
						load_verify);
				for (auto kernel : kernels)
					if (key_count == kKeyCountSeal)
						row_register("seal", kernel, suite, size, key_count,
							load_seal);
			}
		}
		for (auto kernel : kernels)
			line_register(kernel, suite);
	}
}

} // namespace

int
main(int argc, char **argv)
{
	char why[160];

	if (sodium_init() < 0 || tag_kernel_choose(TAG_KERNEL_AUTO, why, sizeof(why)) < 0) {
		fprintf(stderr, "tag_bench: %s\n", why);
		return 1;
	}
	benchmark::AddCustomContext("kernel chosen", why);
	rows_register(kernels_of_cpu());
	return harness_run(argc, argv, kHarness);
}

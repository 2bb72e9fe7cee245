// SPDX-License-Identifier: BSD-3-Clause
//
// What parts of the packet path cost alone, each by the functions that the path itself calls, beside
// a peer in the same run where there is one. 8,192 operations a pass; passes of ours and of the peer
// take turns. Rows:
//   parse/good|broken/SIZE      the parser over credentials of SIZE bytes that are in the cache;
//                               broken: a wrong length
//   window/VERB/PATTERN/NODES   replay windows of nodes drawn at random. VERB: peek,
//                               commit. PATTERN: in_order; in_line, late ones that the
//                               node's line still holds; in_ring, late by hundreds of serials up to
//                               half the window, anywhere: the worst case. Windows are as large as
//                               control makes them for so many nodes. Peer: RFC 6479 as it stands,
//                               both of its lines fetched ahead; ours has only the node's line so
//   ring/publish|consume/BYTES  verdict records with BYTES of payload, in bursts of 64, one thread.
//                               Peer: DPDK's rte_ring, one producer and one consumer
//   ring/transfer               from this CPU to another one, in wall-clock time; peer as before
//   ring/echo                   one record there and one back; peer: one cache line likewise, which
//                               is the floor, so that x_peer is below 1
//   derive/node                 K_node from K_realm; derive/slot/SUITE: a key slot's keys from K_node
// Counters: ns, cycles, items_per_second, peer_ns, x_peer as in tag_bench; rows of two CPUs have
//   rtt_ns, rtt_ns_max          round trip of a cache line, median and worst of those kept
//   kept                        share of passes in which it stayed within half as much again: the
//                               CPUs of a virtual machine come nearer and go apart. Only those
//                               count, unless there are none

#include <sched.h>
#include <sodium.h>

#include <algorithm>
#include <functional>
#include <memory>

extern "C" {
#include "crypto/crypto.h"
#include "wire/cred.h"
}

#include "perf/harness.h"
#include "perf/parts_rig.h"
#include "perf/parts_ring.h"

namespace
{

constexpr const char *kWindowPeer = "RFC 6479";
constexpr const char *kRingPeer = "DPDK rte_ring";
constexpr const char *kEchoPeer = "a cache line";

constexpr uint32_t kCount = 8192;
constexpr uint32_t kParseCount = 128; // in the second-level cache, whatever their size
constexpr uint32_t kTransferCount = 16384;
constexpr uint32_t kEchoRounds = 500;
constexpr uint32_t kBounceRounds = 200;
// A pass of two CPUs is kept if the round trip after it is within this of the one before.
constexpr double kRttRatioMax = 1.5;

const Harness kHarness = {
	.name = "parts_bench",
	.about = "Rows: parse/good or broken/bytes; window/verb/pattern/nodes; ring/publish or\n"
		 "consume/payload; ring/transfer and ring/echo to another CPU; derive/...",
	.min_time_s = "0.05",
	.quick_filter = "parse/good/96$|^window/commit/.*/(4096|65536)$|^ring/|^derive/",
};

cpu_set_t cpus; // of this process, before it is pinned

double
wall_ns()
{
	return std::chrono::duration<double, std::nano>(
		std::chrono::steady_clock::now().time_since_epoch())
		.count();
}

// Ours alone. Every pass MUST return `count`.
void
alone_run(benchmark::State &state, uint32_t count, const std::function<uint32_t()> &pass)
{
	std::vector<double> ours;
	bool right = true;

	for (auto _ : state)
		ours.push_back(harness_timed_ns([&] { right &= pass() == count; }));
	if (!right)
		state.SkipWithError("a wrong answer");
	harness_report(state, median(ours) / count);
}

// ---- parse ----

struct ParseFree {
	void
	operator()(parts_parse *parse) const
	{
		parts_parse_destroy(parse);
	}
};

void
parse_run(benchmark::State &state, uint32_t size, bool is_broken)
{
	const std::unique_ptr<parts_parse, ParseFree> parse(parts_parse_create(kParseCount, size));

	if (parse == nullptr) {
		state.SkipWithError("no memory");
		return;
	}
	parts_parse_break(parse.get(), is_broken);
	alone_run(state, kCount, [&] {
		uint32_t good = 0;

		for (uint32_t done = 0; done < kCount; done += kParseCount)
			good += parts_parse_pass(parse.get());
		return is_broken ? kCount - good : good;
	});
}

void
parse_register()
{
	for (uint32_t size : {96u, 300u, 1232u}) {
		for (bool is_broken : {false, true}) {
			const std::string name = std::string("parse/") +
						 (is_broken ? "broken/" : "good/") +
						 std::to_string(size);

			benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
				parse_run(state, size, is_broken);
			})->Unit(benchmark::kMicrosecond);
		}
	}
}

// ---- windows ----

struct WindowFree {
	void
	operator()(parts_window *window) const
	{
		parts_window_destroy(window);
	}
};

// As control makes them: by default, in realms of many nodes, and within its memory of 1 GiB.
uint32_t
window_bits(uint32_t nodes)
{
	return nodes <= 16384 ? 65536 : nodes <= 131072 ? 8192 : 4096;
}

// The last one is kept, as rows of one follow each other and many nodes take long to make.
parts_window *
window_get(uint32_t nodes, enum parts_pattern pattern)
{
	static std::unique_ptr<parts_window, WindowFree> window;
	static uint32_t nodes_made;
	static enum parts_pattern pattern_made;

	if (window == nullptr || nodes != nodes_made || pattern != pattern_made) {
		const parts_window_params params = {nodes, window_bits(nodes), kCount, pattern};

		window.reset();
		window.reset(parts_window_create(&params));
		nodes_made = nodes;
		pattern_made = pattern;
	}
	return window.get();
}

struct WindowVerb {
	const char *name;
	void (*draw)(parts_window *);
	uint32_t (*ours)(parts_window *);
	uint32_t (*peer)(parts_window *);
};

const WindowVerb kWindowVerbs[] = {
	{"peek", parts_window_draw_peeks,
		[](parts_window *window) { return parts_window_peek(window); },
		[](parts_window *window) { return parts_window_peer_peek(window); }},
	{"commit", parts_window_draw_commits, parts_window_commit, parts_window_peer_commit},
};

// A commit cannot be done twice, so that there is no pass before the one that is timed.
double
once_ns(const std::function<void()> &pass)
{
	const double begin_ns = cpu_ns();

	pass();
	return cpu_ns() - begin_ns;
}

void
window_run(
	benchmark::State &state, uint32_t nodes, enum parts_pattern pattern, const WindowVerb &verb)
{
	parts_window *window = window_get(nodes, pattern);
	std::vector<double> ours, peers;
	bool right = true;

	if (window == nullptr) {
		state.SkipWithError("no memory");
		return;
	}
	for (auto _ : state) {
		verb.draw(window);
		ours.push_back(once_ns([&] { right &= verb.ours(window) == kCount; }));
		peers.push_back(once_ns([&] { right &= verb.peer(window) == kCount; }));
	}
	if (!right)
		state.SkipWithError("a fresh serial was not new");
	harness_report(state, median(ours) / kCount, median(peers) / kCount, kWindowPeer);
}

void
window_register(uint32_t nodes, enum parts_pattern pattern, const char *pattern_name)
{
	for (const WindowVerb &verb : kWindowVerbs) {
		const std::string name = std::string("window/") + verb.name + "/" + pattern_name +
					 "/" + std::to_string(nodes);

		benchmark::RegisterBenchmark(name.c_str(), [=, &verb](benchmark::State &state) {
			window_run(state, nodes, pattern, verb);
		})->Unit(benchmark::kMicrosecond);
	}
}

void
windows_register()
{
	for (uint32_t nodes : {64u, 4096u, 65536u, 1048576u}) {
		window_register(nodes, PARTS_IN_ORDER, "in_order");
		window_register(nodes, PARTS_IN_LINE, "in_line");
		window_register(nodes, PARTS_IN_RING, "in_ring");
	}
}

// ---- ring, one thread ----

struct RingFree {
	void
	operator()(parts_ring *ring) const
	{
		parts_ring_destroy(ring);
	}
};

// Both ends run in turn; the row is of one of them.
void
ring_run(benchmark::State &state, uint32_t payload_size, bool is_consume)
{
	const std::unique_ptr<parts_ring, RingFree> ring(parts_ring_create(payload_size));
	std::vector<double> ours[2], peers[2];
	bool right = true;

	if (ring == nullptr) {
		state.SkipWithError("no memory");
		return;
	}
	for (auto _ : state) {
		ours[0].push_back(once_ns([&] { parts_ring_publish(ring.get(), kCount); }));
		ours[1].push_back(once_ns(
			[&] { right &= parts_ring_consume(ring.get(), kCount) == kCount; }));
		peers[0].push_back(once_ns([&] { parts_ring_peer_publish(ring.get(), kCount); }));
		peers[1].push_back(once_ns(
			[&] { right &= parts_ring_peer_consume(ring.get(), kCount) == kCount; }));
	}
	if (!right)
		state.SkipWithError("what was read is not what was written");
	harness_report(state, median(ours[is_consume]) / kCount, median(peers[is_consume]) / kCount,
		kRingPeer);
}

// ---- ring, two threads ----

struct PairFree {
	void
	operator()(parts_pair *pair) const
	{
		parts_pair_destroy(pair);
	}
};
using Pair = std::unique_ptr<parts_pair, PairFree>;

// Of this process, and not the one we are on.
unsigned
cpu_other()
{
	unsigned cpu = 0;

	while (!CPU_ISSET(cpu, &cpus) || static_cast<int>(cpu) == sched_getcpu())
		cpu++;
	return cpu;
}

double
wall_timed_ns(const std::function<void()> &pass)
{
	const double begin_ns = wall_ns();

	pass();
	return wall_ns() - begin_ns;
}

double
rtt_ns(parts_pair *pair)
{
	return wall_timed_ns([&] { parts_pair_bounce(pair, kBounceRounds); }) / kBounceRounds;
}

struct Sample {
	double ours;
	double peer;
	double rtt;
	bool kept;
};

template <typename Get>
double
sample_median(const std::vector<Sample> &samples, Get get)
{
	std::vector<double> values;

	for (const Sample &sample : samples)
		values.push_back(get(sample));
	return median(values);
}

// Reports those in which the CPUs stayed as near as they were; if there are none, all.
void
samples_report(benchmark::State &state, std::vector<Sample> samples, const char *peer_name)
{
	const size_t count = samples.size();
	const auto first_bad = std::partition(
		samples.begin(), samples.end(), [](const Sample &sample) { return sample.kept; });
	const auto kept = static_cast<size_t>(first_bad - samples.begin());
	double rtt_max = 0;

	if (kept > 0)
		samples.resize(kept);
	for (const Sample &sample : samples)
		rtt_max = std::max(rtt_max, sample.rtt);
	harness_report(state, sample_median(samples, [](const Sample &s) { return s.ours; }),
		sample_median(samples, [](const Sample &s) { return s.peer; }), peer_name);
	state.counters["rtt_ns"] = sample_median(samples, [](const Sample &s) { return s.rtt; });
	state.counters["rtt_ns_max"] = rtt_max;
	state.counters["kept"] = static_cast<double>(kept) / static_cast<double>(count);
}

// One after the other between two looks at the distance.
template <typename Ours, typename Peer>
Sample
sample_take(parts_pair *pair, Ours ours, Peer peer)
{
	Sample sample{};
	const double before_ns = rtt_ns(pair);

	sample.ours = ours();
	sample.peer = peer();
	sample.rtt = rtt_ns(pair);
	sample.kept =
		std::max(sample.rtt, before_ns) <= kRttRatioMax * std::min(sample.rtt, before_ns);
	return sample;
}

double
transfer_ns(parts_pair *pair, uint32_t (*transfer)(parts_pair *, uint32_t), bool *right)
{
	return wall_timed_ns([&] { *right &= transfer(pair, kTransferCount) == kTransferCount; }) /
	       kTransferCount;
}

double
echo_ns(parts_pair *pair, bool *right)
{
	return wall_timed_ns([&] { *right &= parts_pair_echo(pair, kEchoRounds) == kEchoRounds; }) /
	       kEchoRounds;
}

void
pair_run(benchmark::State &state, bool is_echo)
{
	const Pair pair(parts_pair_create(cpu_other()));
	std::vector<Sample> samples;
	bool right = true;

	if (pair == nullptr) {
		state.SkipWithError("no second thread");
		return;
	}
	for (auto _ : state) {
		if (is_echo)
			samples.push_back(sample_take(
				pair.get(), [&] { return echo_ns(pair.get(), &right); },
				[&] { return rtt_ns(pair.get()); }));
		else
			samples.push_back(sample_take(
				pair.get(),
				[&] {
					return transfer_ns(pair.get(), parts_pair_transfer, &right);
				},
				[&] {
					return transfer_ns(
						pair.get(), parts_pair_peer_transfer, &right);
				}));
	}
	if (!right)
		state.SkipWithError("what was read is not what was written");
	samples_report(state, std::move(samples), is_echo ? kEchoPeer : kRingPeer);
}

void
rings_register()
{
	for (uint32_t payload_size : {0u, 200u}) {
		for (bool is_consume : {false, true}) {
			const std::string name = std::string("ring/") +
						 (is_consume ? "consume/" : "publish/") +
						 std::to_string(payload_size);

			benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
				ring_run(state, payload_size, is_consume);
			})->Unit(benchmark::kMicrosecond);
		}
	}
	if (CPU_COUNT(&cpus) < 2) {
		benchmark::AddCustomContext(
			"left out: ring/transfer, ring/echo", "they need two CPUs");
		return;
	}
	for (bool is_echo : {false, true})
		benchmark::RegisterBenchmark(is_echo ? "ring/echo" : "ring/transfer",
			[=](benchmark::State &state) { pair_run(state, is_echo); })
			->Unit(benchmark::kMicrosecond)
			->UseRealTime();
}

// ---- keys ----

constexpr uint32_t kDerivations = 512;

void
derive_node_run(benchmark::State &state)
{
	uint8_t realm_key[KDF_KEY_SIZE], key[KDF_KEY_SIZE];

	randombytes_buf(realm_key, sizeof(realm_key));
	alone_run(state, kDerivations, [&] {
		for (uint32_t node = 1; node <= kDerivations; node++) {
			kdf_node(key, realm_key, node, 1);
			benchmark::DoNotOptimize(key);
		}
		return kDerivations;
	});
}

void
derive_slot_run(benchmark::State &state, uint8_t suite)
{
	uint8_t node_key[KDF_KEY_SIZE];
	key_slot slot{};

	randombytes_buf(node_key, sizeof(node_key));
	alone_run(state, kDerivations, [&] {
		for (uint32_t i = 0; i < kDerivations; i++) {
			node_key[0]++;
			kdf_slot_request(&slot, node_key, suite);
			benchmark::DoNotOptimize(slot);
		}
		return kDerivations;
	});
}

void
derive_register()
{
	benchmark::RegisterBenchmark("derive/node", derive_node_run)->Unit(benchmark::kMicrosecond);
	for (uint8_t suite : {CRED_SUITE_CMAC128, CRED_SUITE_SEALED128, CRED_SUITE_SEALED256}) {
		const std::string name = std::string("derive/slot/") +
					 (cred_suite_is_sealed(suite) ? "sealed" : "cmac") +
					 (cred_suite_key_size(suite) == 16 ? "128" : "256");

		benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
			derive_slot_run(state, suite);
		})->Unit(benchmark::kMicrosecond);
	}
}

} // namespace

int
main(int argc, char **argv)
{
	if (sodium_init() < 0 || sched_getaffinity(0, sizeof(cpus), &cpus) != 0) {
		fprintf(stderr, "parts_bench: no libsodium, or no CPUs\n");
		return 1;
	}
	parse_register();
	windows_register();
	rings_register();
	derive_register();
	return harness_run(argc, argv, kHarness);
}

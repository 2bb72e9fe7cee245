// SPDX-License-Identifier: BSD-3-Clause
//
// What a tag kernel costs per credential, and what IPsec-MB's job interface needs for the AES-CMAC
// of the same bytes under the same keys, measured beside each row in the same run.
//
// A row is verb/kernel/suite/size/keys. `size` is the bytes under the tag, or "mixed": nine of ten
// messages 80 bytes (a credential of 96), one 284 (of 300). Messages lie in 8,192 buffers, keys are
// picked at random, and the next burst's slots are prefetched as the packet path does. Passes of the
// kernel and of the peer take turns, each after one that is not timed, so that both meet the machine
// in the same moments; the time columns are of all four together. Counters:
//   items_per_second  credentials, of the kernel alone
//   ns, cycles        per credential, median of all passes: CPU time, and the same in TSC cycles
//   peer_ns           likewise: IPsec-MB jobs, CMAC alone, keys expanded beforehand
//   x_peer            peer_ns / ns

#include <benchmark/benchmark.h>
#include <sched.h>
#include <sodium.h>
#include <time.h>
#include <x86intrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

extern "C" {
#include "crypto/crypto.h"
#include "wire/cred.h"
}

#include "perf/peer_ipsecmb.h"
#include "perf/timing.h"

namespace
{

constexpr unsigned kMessages = 8192;
constexpr unsigned kBurst = TAG_BATCH_MAX;
constexpr unsigned kMixed = 0; // instead of a size
constexpr unsigned kSizesMixed[] = {80, 284};

static_assert(kMessages % kBurst == 0, "whole bursts");

const char *const kSuiteNames[CRED_SUITE_COUNT] = {
	"", "cmac128", "cmac256", "sealed128", "sealed256"};

struct Free {
	void
	operator()(void *p) const
	{
		free(p);
	}
};

template <typename T> using Array = std::unique_ptr<T[], Free>;

// Zeroed, so that no page fault falls into the measurement, and in huge pages if there are any.
template <typename T>
Array<T>
array_create(size_t count)
{
	const size_t align = 2 << 20;
	const size_t size = (count * sizeof(T) + align - 1) / align * align;
	void *p = aligned_alloc(align, size);

	if (p == nullptr) {
		perror("tag_bench: no memory");
		exit(1);
	}
	memset(p, 0, size);
	return Array<T>(static_cast<T *>(p));
}

// Random credentials of one suite and size under random keys; sealed and tagged once.
struct Load {
	uint8_t suite;
	unsigned key_count;
	Array<key_slot> slots;
	std::unique_ptr<PeerIpsecmb> peer;
	Array<uint8_t> bytes;
	std::vector<const key_slot *> slot_of;
	std::vector<uint8_t *> msgs;
	std::vector<uint16_t> sizes;
};

void
load_make_keys(Load *load)
{
	load->slots = array_create<key_slot>(load->key_count);
	load->peer =
		std::make_unique<PeerIpsecmb>(cred_suite_key_size(load->suite), load->key_count);
	for (unsigned i = 0; i < load->key_count; i++) {
		key_slot &slot = load->slots[i];

		randombytes_buf(&slot, sizeof(slot));
		slot.suite = load->suite;
		tag_subkey(slot.k1, slot.tag_key, cred_suite_key_size(load->suite));
		load->peer->key_set(i, slot.tag_key);
	}
}

void
load_make_messages(Load *load, unsigned size)
{
	const unsigned size_max = size == kMixed ? kSizesMixed[1] : size;
	const unsigned stride = (size_max + CRED_TAG_SIZE + 63) / 64 * 64;

	load->bytes = array_create<uint8_t>(size_t{kMessages} * stride);
	randombytes_buf(load->bytes.get(), size_t{kMessages} * stride);
	for (unsigned i = 0; i < kMessages; i++) {
		const unsigned mixed = kSizesMixed[randombytes_uniform(10) == 0];
		const uint32_t key = randombytes_uniform(load->key_count);

		load->slot_of.push_back(&load->slots[key]);
		load->msgs.push_back(&load->bytes[size_t{i} * stride]);
		load->sizes.push_back(size == kMixed ? mixed : size);
		load->peer->message_add(load->msgs[i], load->sizes[i], key);
	}
}

void
load_seal(const Load &load, tag_engine *engine)
{
	for (unsigned i = 0; i < kMessages; i += kBurst)
		tag_batch_seal(engine, &load.slot_of[i], &load.msgs[i], &load.sizes[i], kBurst);
}

std::unique_ptr<Load>
load_create(uint8_t suite, unsigned size, unsigned key_count, tag_engine *engine)
{
	auto load = std::make_unique<Load>();

	load->suite = suite;
	load->key_count = key_count;
	load_make_keys(load.get());
	load_make_messages(load.get(), size);
	load_seal(*load, engine);
	return load;
}

// The lines of the burst after the one at `i`.
void
prefetch_next(const Load &load, unsigned i)
{
	for (unsigned l = 0; l < kBurst; l++) {
		auto *slot =
			reinterpret_cast<const char *>(load.slot_of[(i + kBurst + l) % kMessages]);

		_mm_prefetch(slot, _MM_HINT_T0);
		_mm_prefetch(slot + 64, _MM_HINT_T0);
	}
}

// One pass over all messages; returns how many were proved.
unsigned
verify_all(const Load &load, tag_engine *engine)
{
	tag_identity ids[kBurst];
	unsigned proved = 0;

	for (unsigned i = 0; i < kMessages; i += kBurst) {
		prefetch_next(load, i);
		proved += __builtin_popcountll(tag_batch_verify(engine, &load.slot_of[i],
			const_cast<const uint8_t *const *>(&load.msgs[i]), &load.sizes[i], ids,
			kBurst));
		benchmark::DoNotOptimize(ids);
	}
	return proved;
}

unsigned
seal_all(const Load &load, tag_engine *engine)
{
	for (unsigned i = 0; i < kMessages; i += kBurst) {
		prefetch_next(load, i);
		tag_batch_seal(engine, &load.slot_of[i], &load.msgs[i], &load.sizes[i], kBurst);
	}
	return kMessages;
}

// CPU time of one run of `pass`, after another that brings its data back into the caches.
template <typename Function>
double
timed_ns(Function pass)
{
	pass();
	const double begin_ns = cpu_ns();
	pass();
	return cpu_ns() - begin_ns;
}

// The peer's last tag must be the one our kernel proved or wrote.
bool
peer_agrees(const Load &load)
{
	const unsigned last = kMessages - 1;

	return memcmp(load.peer->tag(last), load.msgs[last] + load.sizes[last], CRED_TAG_SIZE) == 0;
}

using Pass = unsigned(const Load &, tag_engine *);

void
row_run(benchmark::State &state, enum tag_kernel_id kernel, uint8_t suite, unsigned size,
	unsigned key_count, Pass *pass)
{
	static const double tsc_rate = tsc_per_ns();
	tag_engine *engine = tag_engine_create(kernel);
	auto load = load_create(suite, size, key_count, engine);
	std::vector<double> ours, peers;
	unsigned done = kMessages;

	for (auto _ : state) {
		ours.push_back(timed_ns([&] { done = std::min(done, pass(*load, engine)); }));
		peers.push_back(timed_ns([&] { load->peer->pass(); }));
	}
	if (done != kMessages)
		state.SkipWithError("a genuine credential was refused");
	if (!peer_agrees(*load))
		state.SkipWithError("IPsec-MB and the kernel disagree");

	const double ns = median(ours) / kMessages;
	const double peer_ns = median(peers) / kMessages;

	state.counters["items_per_second"] = 1e9 / ns;
	state.counters["ns"] = ns;
	state.counters["cycles"] = ns * tsc_rate;
	state.counters["peer_ns"] = peer_ns;
	state.counters["x_peer"] = peer_ns / ns;
	tag_engine_destroy(engine);
}

void
row_register(
	const char *verb, int kernel, uint8_t suite, unsigned size, unsigned key_count, Pass *pass)
{
	const auto id = static_cast<enum tag_kernel_id>(kernel);
	const std::string name =
		std::string(verb) + "/" + tag_kernel_name(id) + "/" + kSuiteNames[suite] + "/" +
		(size == kMixed ? "mixed" : std::to_string(size)) + "/" + std::to_string(key_count);

	benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
		row_run(state, id, suite, size, key_count, pass);
	})->Unit(benchmark::kMicrosecond);
}

void
kernel_register(int kernel)
{
	for (uint8_t suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		for (unsigned size : {80u, 96u, 284u, 1216u, kMixed}) {
			for (unsigned key_count : {1u, 64u, 4096u, 65536u})
				row_register("verify", kernel, suite, size, key_count, verify_all);
			row_register("seal", kernel, suite, size, 4096, seal_all);
		}
	}
}

// To the CPU it is on, so that a row is one core's figure and a move is not part of it.
void
pin()
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0)
		perror("tag_bench: not pinned");
}

// Ours come first, so that the command line overrides them. NULL-terminated, as argv.
std::vector<char *>
args_with_defaults(int argc, char **argv)
{
	static char min_time[] = "--benchmark_min_time=0.05";
	static char repetitions[] = "--benchmark_repetitions=5";
	static char aggregates[] = "--benchmark_report_aggregates_only=true";
	std::vector<char *> args = {argv[0], min_time, repetitions, aggregates};

	args.insert(args.end(), argv + 1, argv + argc + 1);
	return args;
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
	pin();
	benchmark::AddCustomContext("kernel chosen", why);
	for (int kernel = 1; kernel < TAG_KERNEL_COUNT; kernel++) {
		if (tag_kernel_is_supported(static_cast<enum tag_kernel_id>(kernel)))
			kernel_register(kernel);
	}
	std::vector<char *> args = args_with_defaults(argc, argv);
	int arg_count = static_cast<int>(args.size()) - 1;
	benchmark::Initialize(&arg_count, args.data());
	if (benchmark::ReportUnrecognizedArguments(arg_count, args.data()))
		return 1;
	benchmark::RunSpecifiedBenchmarks();
	benchmark::Shutdown();
	return 0;
}

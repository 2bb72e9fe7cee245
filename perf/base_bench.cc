// SPDX-License-Identifier: BSD-3-Clause
//
// What the libraries that people use need to authenticate a message, beside the tag kernel that
// credgate would choose here, in the same run and on the same bytes. A row is
// base/library/suite/size/keys: the library is the peer, and the suite is ours beside it.
//   ipsecmb         AES-CMAC by the job interface, many messages under way, keys expanded beforehand;
//                   it makes tags and compares none
//   openssl-rekey   AES-CMAC by EVP_MAC, one context that takes each message's key
//   openssl-kept    the same with a context per key, made beforehand; with 1 key: one key for ever
//   sodium-auth     crypto_auth_verify: HMAC-SHA-512, truncated; beside our AES-256
//   sodium-blake2b  crypto_generichash with a key, 16 bytes; beside our AES-256
// All but the first verify one message at a time, as their interfaces are made to be used. `size`
// is the bytes under the tag; 8,192 messages, keys picked at random. Counters as in tag_bench.

#include <algorithm>

#include "perf/harness.h"
#include "perf/peer_openssl.h"
#include "perf/peer_sodium.h"
#include "perf/tag_load.h"

namespace
{

constexpr unsigned kSizes[] = {80, 96, 284, 1216};
constexpr unsigned kKeyCounts[] = {1, 4096, 65536};

const Harness kHarness = {
	.name = "base_bench",
	.about = "Rows: base/library/suite of ours/bytes under the tag/keys.",
	.min_time_s = "0.05",
	.quick_filter = "base/.*/80/4096$",
};

enum tag_kernel_id kernel_chosen;

// A pass returns how many messages were proved.
template <typename PeerPass>
void
pairs_run(benchmark::State &state, const Load &load, const char *peer_name, PeerPass peer_pass)
{
	const TagEngine engine(kernel_chosen);
	std::vector<double> ours, peers;
	unsigned proved = load.count, peer_proved = load.count;

	for (auto _ : state) {
		ours.push_back(harness_timed_ns(
			[&] { proved = std::min(proved, load_verify(load, engine.get())); }));
		peers.push_back(harness_timed_ns(
			[&] { peer_proved = std::min(peer_proved, peer_pass()); }));
	}
	if (proved != load.count)
		state.SkipWithError("a genuine credential was refused");
	if (peer_proved != load.count)
		state.SkipWithError("the peer refused a genuine message");
	harness_report(state, median(ours) / load.count, median(peers) / load.count, peer_name);
}

template <typename Peer>
void
peer_run(benchmark::State &state, const Load &load, const char *peer_name, Peer *peer)
{
	for (unsigned i = 0; i < load.keys->count; i++)
		peer->key_set(i, load.keys->slots[i].tag_key);
	load_give(load, peer);
	pairs_run(state, load, peer_name, [peer] { return peer->pass(); });
}

void
openssl_run(benchmark::State &state, const Load &load, PeerOpenssl::Contexts contexts)
{
	PeerOpenssl peer(cred_suite_key_size(load.keys->suite), load.keys->count, contexts);

	peer_run(state, load,
		contexts == PeerOpenssl::kKept ? "OpenSSL EVP_MAC, context per key"
					       : "OpenSSL EVP_MAC, key per message",
		&peer);
}

void
sodium_run(benchmark::State &state, const Load &load, PeerSodium::Function function)
{
	PeerSodium peer(function, load.keys->count);

	peer_run(state, load,
		function == PeerSodium::kAuth ? "libsodium crypto_auth"
					      : "libsodium crypto_generichash",
		&peer);
}

void
ipsecmb_run(benchmark::State &state, const Load &load)
{
	PeerIpsecmb *peer = load.keys->peer(PeerArch::kBest);

	load_give(load, peer);
	pairs_run(state, load, kLoadPeerName, [&load, peer] {
		peer->pass();
		return load_peer_agrees(load, *peer) ? load.count : 0;
	});
}

template <typename Run>
void
row_register(const char *library, uint8_t suite, unsigned size, unsigned key_count, Run run)
{
	const std::string name = std::string("base/") + library + "/" + kLoadSuiteNames[suite] +
				 "/" + std::to_string(size) + "/" + std::to_string(key_count);

	benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State &state) {
		run(state, load_get(suite, size, key_count));
	})->Unit(benchmark::kMicrosecond);
}

void
load_register(uint8_t suite, unsigned size, unsigned keys)
{
	using State = benchmark::State;

	row_register("ipsecmb", suite, size, keys, ipsecmb_run);
	row_register("openssl-rekey", suite, size, keys, [](State &state, const Load &load) {
		openssl_run(state, load, PeerOpenssl::kRekey);
	});
	row_register("openssl-kept", suite, size, keys, [](State &state, const Load &load) {
		openssl_run(state, load, PeerOpenssl::kKept);
	});
	if (cred_suite_key_size(suite) != crypto_auth_KEYBYTES)
		return;
	row_register("sodium-auth", suite, size, keys,
		[](State &state, const Load &load) { sodium_run(state, load, PeerSodium::kAuth); });
	row_register("sodium-blake2b", suite, size, keys, [](State &state, const Load &load) {
		sodium_run(state, load, PeerSodium::kGenericHash);
	});
}

} // namespace

int
main(int argc, char **argv)
{
	char why[160] = "libsodium cannot start";
	const int kernel =
		sodium_init() < 0 ? -1 : tag_kernel_choose(TAG_KERNEL_AUTO, why, sizeof(why));

	if (kernel < 0) {
		fprintf(stderr, "base_bench: %s\n", why);
		return 1;
	}
	kernel_chosen = static_cast<enum tag_kernel_id>(kernel);
	benchmark::AddCustomContext("kernel chosen", why);
	benchmark::AddCustomContext("OpenSSL", OpenSSL_version(OPENSSL_VERSION));
	benchmark::AddCustomContext("libsodium", sodium_version_string());
	benchmark::AddCustomContext("IPsec-MB", imb_get_version_str());
	for (uint8_t suite : {CRED_SUITE_CMAC128, CRED_SUITE_CMAC256})
		for (unsigned keys : kKeyCounts)
			for (unsigned size : kSizes)
				load_register(suite, size, keys);
	return harness_run(argc, argv, kHarness);
}

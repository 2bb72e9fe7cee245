// SPDX-License-Identifier: BSD-3-Clause
//
// Random credentials under random keys, sealed and tagged, with a tag kernel to walk them and
// IPsec-MB's jobs beside it on the same bytes: what the benchmarks of tags have in common.

#pragma once

#include <sodium.h>
#include <x86intrin.h>

#include <benchmark/benchmark.h>

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

constexpr unsigned kLoadBurst = TAG_BATCH_MAX;
constexpr unsigned kLoadMessages = 8192;
constexpr unsigned kLoadMixed = 0; // instead of a size
constexpr unsigned kLoadSizesMixed[] = {80, 284};

constexpr const char *kLoadPeerName = "IPsec-MB jobs";

constexpr const char *kLoadSuiteNames[CRED_SUITE_COUNT] = {
	"", "cmac128", "cmac256", "sealed128", "sealed256"};

struct LoadFree {
	void
	operator()(void *p) const
	{
		free(p);
	}
};

template <typename T> using LoadArray = std::unique_ptr<T[], LoadFree>;

// Zeroed, so that no page fault falls into the measurement, and in huge pages if there are any.
template <typename T>
LoadArray<T>
load_array(size_t count)
{
	const size_t align = 2 << 20;
	const size_t size = (count * sizeof(T) + align - 1) / align * align;
	void *p = aligned_alloc(align, size);

	if (p == nullptr) {
		perror("no memory for the load");
		exit(1);
	}
	memset(p, 0, size);
	return LoadArray<T>(static_cast<T *>(p));
}

// All 32 bytes of tag_key are random in every suite, for peers that take more than ours does.
struct LoadKeys {
	LoadKeys(uint8_t suite_wanted, unsigned count_wanted)
	    : suite(suite_wanted), count(count_wanted), slots(load_array<key_slot>(count_wanted))
	{
		const unsigned size = cred_suite_key_size(suite);

		for (unsigned i = 0; i < count; i++) {
			randombytes_buf(&slots[i], sizeof(slots[i]));
			slots[i].suite = suite;
			tag_subkey(slots[i].k1, slots[i].tag_key, size);
		}
	}

	// IPsec-MB with the same keys, expanded; made at the first call.
	PeerIpsecmb *
	peer(PeerArch arch) const
	{
		std::unique_ptr<PeerIpsecmb> &made = peers[static_cast<size_t>(arch)];

		if (made == nullptr) {
			const unsigned size = cred_suite_key_size(suite);

			made = std::make_unique<PeerIpsecmb>(size, count, arch);
			for (unsigned i = 0; i < count; i++)
				made->key_set(i, slots[i].tag_key);
		}
		return made.get();
	}

	uint8_t suite;
	unsigned count;
	LoadArray<key_slot> slots;
	mutable std::unique_ptr<PeerIpsecmb> peers[2];
};

class TagEngine
{
      public:
	explicit TagEngine(enum tag_kernel_id kernel) : engine(tag_engine_create(kernel))
	{
		if (engine == nullptr) {
			perror("no tag engine");
			exit(1);
		}
	}

	TagEngine(const TagEngine &) = delete;
	TagEngine &operator=(const TagEngine &) = delete;

	~TagEngine()
	{
		tag_engine_destroy(engine);
	}

	tag_engine *
	get() const
	{
		return engine;
	}

      private:
	tag_engine *engine;
};

struct Load {
	const LoadKeys *keys;
	unsigned size; // under the tag; or kLoadMixed
	unsigned count;
	LoadArray<uint8_t> bytes;
	std::vector<const key_slot *> slot_of;
	std::vector<unsigned> key_of;
	std::vector<uint8_t *> msgs;
	std::vector<uint16_t> sizes;
};

// The lines of the burst after the one at `i`.
inline void
load_prefetch_next(const Load &load, unsigned i)
{
	for (unsigned l = 0; l < kLoadBurst; l++) {
		auto *slot = reinterpret_cast<const char *>(
			load.slot_of[(i + kLoadBurst + l) % load.count]);

		_mm_prefetch(slot, _MM_HINT_T0);
		_mm_prefetch(slot + 64, _MM_HINT_T0);
	}
}

// One pass over all messages; returns how many were proved.
inline unsigned
load_verify(const Load &load, tag_engine *engine)
{
	tag_identity ids[kLoadBurst];
	unsigned proved = 0;

	for (unsigned i = 0; i < load.count; i += kLoadBurst) {
		load_prefetch_next(load, i);
		proved += __builtin_popcountll(tag_batch_verify(engine, &load.slot_of[i],
			const_cast<const uint8_t *const *>(&load.msgs[i]), &load.sizes[i], ids,
			kLoadBurst));
		benchmark::DoNotOptimize(ids);
	}
	return proved;
}

// What was sealed is sealed once more: other bytes of the same size, and a right tag again.
inline unsigned
load_seal(const Load &load, tag_engine *engine)
{
	for (unsigned i = 0; i < load.count; i += kLoadBurst) {
		load_prefetch_next(load, i);
		tag_batch_seal(engine, &load.slot_of[i], &load.msgs[i], &load.sizes[i], kLoadBurst);
	}
	return load.count;
}

// `count` MUST be whole bursts.
inline std::unique_ptr<Load>
load_create(const LoadKeys &keys, unsigned size, unsigned count)
{
	const unsigned size_max = size == kLoadMixed ? kLoadSizesMixed[1] : size;
	const unsigned stride = (size_max + CRED_TAG_SIZE + 63) / 64 * 64;
	const TagEngine engine(TAG_KERNEL_AESNI);
	auto load = std::make_unique<Load>();

	load->keys = &keys;
	load->size = size;
	load->count = count;
	load->bytes = load_array<uint8_t>(size_t{count} * stride);
	randombytes_buf(load->bytes.get(), size_t{count} * stride);
	for (unsigned i = 0; i < count; i++) {
		const unsigned mixed = kLoadSizesMixed[randombytes_uniform(10) == 0];

		load->key_of.push_back(randombytes_uniform(keys.count));
		load->slot_of.push_back(&keys.slots[load->key_of[i]]);
		load->msgs.push_back(&load->bytes[size_t{i} * stride]);
		load->sizes.push_back(static_cast<uint16_t>(size == kLoadMixed ? mixed : size));
	}
	load_seal(*load, engine.get());
	return load;
}

// The last one made is kept, and its keys: a row is entered several times, and rows of one load
// follow each other. What is returned ends with the next call for something else.
inline const Load &
load_get(uint8_t suite, unsigned size, unsigned key_count, unsigned count = kLoadMessages)
{
	static std::unique_ptr<LoadKeys> keys;
	static std::unique_ptr<Load> load;

	if (keys == nullptr || keys->suite != suite || keys->count != key_count) {
		load.reset();
		keys = std::make_unique<LoadKeys>(suite, key_count);
	}
	if (load == nullptr || load->size != size || load->count != count)
		load = load_create(*keys, size, count);
	return *load;
}

// Gives the peer every message of the load, and no other.
template <typename Peer>
void
load_give(const Load &load, Peer *peer)
{
	peer->messages_clear();
	for (unsigned i = 0; i < load.count; i++)
		peer->message_add(load.msgs[i], load.sizes[i], load.key_of[i]);
}

// Is the peer's last tag the one that our kernel proved or wrote?
inline bool
load_peer_agrees(const Load &load, const PeerIpsecmb &peer)
{
	const unsigned last = load.count - 1;

	return memcmp(peer.tag(last), load.msgs[last] + load.sizes[last], CRED_TAG_SIZE) == 0;
}

inline std::string
load_size_name(unsigned size)
{
	return size == kLoadMixed ? "mixed" : std::to_string(size);
}

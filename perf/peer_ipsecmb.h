// SPDX-License-Identifier: BSD-3-Clause
//
// The peer that tags are measured against: AES-CMAC alone, through IPsec-MB's job interface, at its
// best. Keys are expanded beforehand, jobs are submitted without checks one after another, and the
// lanes are flushed once, at the end of a pass over all messages.

#pragma once

// Without the library's old names, some of which are ours.
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

// The library's best code for this CPU, or the best for one without AVX-512.
enum class PeerArch {
	kBest,
	kAvx2
};

class PeerIpsecmb
{
      public:
	// Keys of 16 or 32 bytes, to be given with key_set before the first pass.
	PeerIpsecmb(unsigned key_size, unsigned key_count, PeerArch arch = PeerArch::kBest)
	    : manager(alloc_mb_mgr(0)), key_size(key_size), keys(key_count)
	{
		if (manager == nullptr) {
			fprintf(stderr, "no memory for IPsec-MB's manager\n");
			exit(1);
		}
		if (arch == PeerArch::kAvx2)
			init_mb_mgr_avx2(manager.get());
		else
			init_mb_mgr_auto(manager.get(), nullptr);
	}

	// Does the library's best use AVX-512 here?
	bool
	has_avx512() const
	{
		return manager->used_arch == IMB_ARCH_AVX512;
	}

	void
	key_set(unsigned index, const uint8_t *key)
	{
		alignas(16) uint8_t decrypt[kScheduleSize]; // the library always makes both
		Key &to = keys[index];
		IMB_MGR *m = manager.get();

		if (key_size == 16) {
			IMB_AES_KEYEXP_128(m, key, to.schedule, decrypt);
			IMB_AES_CMAC_SUBKEY_GEN_128(m, to.schedule, to.k1, to.k2);
		} else {
			IMB_AES_KEYEXP_256(m, key, to.schedule, decrypt);
			IMB_AES_CMAC_SUBKEY_GEN_256(m, to.schedule, to.k1, to.k2);
		}
	}

	// The bytes stay the caller's and are read anew in every pass.
	void
	message_add(const uint8_t *msg, unsigned size, unsigned key)
	{
		messages.push_back({msg, size, key});
	}

	void
	messages_clear()
	{
		messages.clear();
	}

	// Tags every message.
	void
	pass()
	{
		for (size_t i = 0; i < messages.size(); i++)
			submit(messages[i], tags[i % kTags]);
		while (IMB_FLUSH_JOB(manager.get()) != nullptr)
			;
	}

	// Of one of the last kTags messages of a pass.
	const uint8_t *
	tag(size_t message) const
	{
		return tags[message % kTags];
	}

      private:
	static constexpr unsigned kScheduleSize = 16 * 15;
	// More than the library has jobs under way, few enough to stay in the first-level cache.
	static constexpr unsigned kTags = 256;

	struct Key {
		alignas(16) uint8_t schedule[kScheduleSize];
		alignas(16) uint8_t k1[16];
		alignas(16) uint8_t k2[16];
	};

	struct Message {
		const uint8_t *bytes;
		unsigned size;
		unsigned key;
	};

	struct Free {
		void
		operator()(IMB_MGR *m) const
		{
			free_mb_mgr(m);
		}
	};

	void
	submit(const Message &message, uint8_t *tag)
	{
		IMB_JOB *job = IMB_GET_NEXT_JOB(manager.get());
		const Key &key = keys[message.key];

		job->cipher_direction = IMB_DIR_ENCRYPT;
		job->chain_order = IMB_ORDER_HASH_CIPHER;
		job->cipher_mode = IMB_CIPHER_NULL;
		job->hash_alg = key_size == 16 ? IMB_AUTH_AES_CMAC : IMB_AUTH_AES_CMAC_256;
		job->src = message.bytes;
		job->hash_start_src_offset_in_bytes = 0;
		job->msg_len_to_hash_in_bytes = message.size;
		job->auth_tag_output = tag;
		job->auth_tag_output_len_in_bytes = 16;
		job->u.CMAC._key_expanded = key.schedule;
		job->u.CMAC._skey1 = key.k1;
		job->u.CMAC._skey2 = key.k2;
		IMB_SUBMIT_JOB_NOCHECK(manager.get());
	}

	std::unique_ptr<IMB_MGR, Free> manager;
	unsigned key_size;
	std::vector<Key> keys;
	std::vector<Message> messages;
	uint8_t tags[kTags][16] = {};
};

// SPDX-License-Identifier: BSD-3-Clause
//
// AES-CMAC through OpenSSL 3's EVP_MAC, one message at a time, as its manual page has it but without
// what is easily saved: the algorithm is fetched once, and contexts are used again. `kRekey` is one
// context that is given each message's key, as somebody with many keys and little memory does;
// `kKept` is a context per key, made beforehand.

#pragma once

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

class PeerOpenssl
{
      public:
	enum Contexts {
		kRekey,
		kKept
	};

	PeerOpenssl(unsigned key_size, unsigned key_count, Contexts contexts)
	    : kept(contexts == kKept), key_size(key_size), keys(key_count)
	{
		mac.reset(EVP_MAC_fetch(nullptr, "CMAC", nullptr));
		contexts_of_key.resize(kept ? key_count : 1);
	}

	// The first 16 or 32 bytes of `key`; every key before the first pass.
	void
	key_set(unsigned index, const uint8_t *key)
	{
		memcpy(keys[index].bytes, key, key_size);
		if (kept || index == 0)
			context_create(&contexts_of_key[kept ? index : 0], keys[index]);
	}

	// The tag is the 16 bytes behind the message.
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

	// Verifies every message; returns how many were proved.
	unsigned
	pass()
	{
		unsigned proved = 0;

		for (const Message &message : messages)
			proved += verify(message);
		return proved;
	}

      private:
	struct Key {
		uint8_t bytes[32];
	};

	struct Message {
		const uint8_t *bytes;
		unsigned size;
		unsigned key;
	};

	struct MacFree {
		void
		operator()(EVP_MAC *m) const
		{
			EVP_MAC_free(m);
		}
	};

	struct ContextFree {
		void
		operator()(EVP_MAC_CTX *context) const
		{
			EVP_MAC_CTX_free(context);
		}
	};
	using Context = std::unique_ptr<EVP_MAC_CTX, ContextFree>;

	void
	context_create(Context *context, const Key &key)
	{
		char aes128[] = "AES-128-CBC", aes256[] = "AES-256-CBC";
		char *cipher = key_size == 32 ? aes256 : aes128;
		const OSSL_PARAM params[] = {
			OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
			OSSL_PARAM_construct_end(),
		};

		context->reset(EVP_MAC_CTX_new(mac.get()));
		if (*context == nullptr ||
			!EVP_MAC_init(context->get(), key.bytes, key_size, params)) {
			fprintf(stderr, "OpenSSL has no CMAC with %s\n", cipher);
			exit(1);
		}
	}

	bool
	verify(const Message &message)
	{
		EVP_MAC_CTX *context = contexts_of_key[kept ? message.key : 0].get();
		const uint8_t *key = kept ? nullptr : keys[message.key].bytes;
		uint8_t tag[16];
		size_t size = 0;

		return EVP_MAC_init(context, key, kept ? 0 : key_size, nullptr) &&
		       EVP_MAC_update(context, message.bytes, message.size) &&
		       EVP_MAC_final(context, tag, &size, sizeof(tag)) && size == sizeof(tag) &&
		       CRYPTO_memcmp(tag, message.bytes + message.size, sizeof(tag)) == 0;
	}

	const bool kept;
	const unsigned key_size;
	std::unique_ptr<EVP_MAC, MacFree> mac;
	std::vector<Key> keys;
	std::vector<Context> contexts_of_key;
	std::vector<Message> messages;
};

// SPDX-License-Identifier: BSD-3-Clause
//
// libsodium's ways to authenticate a message under a key that is used again, one message at a time:
// crypto_auth (HMAC-SHA-512, 32 bytes of it), and crypto_generichash with a key (BLAKE2b), 16 bytes.
// Keys are 32 bytes. crypto_onetimeauth is none of them: it wants a key per message.

#pragma once

#include <sodium.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

class PeerSodium
{
      public:
	enum Function {
		kAuth,
		kGenericHash
	};

	PeerSodium(Function function, unsigned key_count) : function(function), keys(key_count)
	{
	}

	void
	key_set(unsigned index, const uint8_t key[crypto_auth_KEYBYTES])
	{
		memcpy(keys[index].data(), key, keys[index].size());
	}

	// Its tag is made now and kept, since it is not the one behind the message.
	void
	message_add(const uint8_t *msg, unsigned size, unsigned key)
	{
		messages.push_back({msg, size, key, {}});
		Message &message = messages.back();

		if (function == kAuth)
			crypto_auth(message.tag, msg, size, keys[key].data());
		else
			hash(message, message.tag);
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
			proved += function == kAuth ? auth_verify(message) : hash_verify(message);
		return proved;
	}

      private:
	using Key = std::array<uint8_t, crypto_auth_KEYBYTES>;
	static constexpr size_t kHashSize = crypto_generichash_BYTES_MIN;

	static_assert(crypto_generichash_KEYBYTES == crypto_auth_KEYBYTES, "one kind of key");

	struct Message {
		const uint8_t *bytes;
		unsigned size;
		unsigned key;
		uint8_t tag[crypto_auth_BYTES];
	};

	void
	hash(const Message &message, uint8_t tag[kHashSize]) const
	{
		const Key &key = keys[message.key];

		crypto_generichash(
			tag, kHashSize, message.bytes, message.size, key.data(), key.size());
	}

	bool
	auth_verify(const Message &message) const
	{
		return crypto_auth_verify(message.tag, message.bytes, message.size,
			       keys[message.key].data()) == 0;
	}

	bool
	hash_verify(const Message &message) const
	{
		uint8_t tag[kHashSize];

		hash(message, tag);
		return sodium_memcmp(tag, message.tag, sizeof(tag)) == 0;
	}

	const Function function;
	std::vector<Key> keys;
	std::vector<Message> messages;
};

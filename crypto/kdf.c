/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/kdf.h"

#include <sodium.h>

#include "crypto/tag.h"
#include "wire/cred.h"

static_assert(KDF_KEY_SIZE == crypto_kdf_KEYBYTES, "docs/wire-format.md, keys");

/*
 * A size outside 16 ... 64 bytes is the only thing libsodium refuses, and ours are constants; if it
 * refused all the same, going on would mean keys of zeroes.
 */
static void
derive(uint8_t *key, size_t size, uint64_t id, const char context[static crypto_kdf_CONTEXTBYTES],
	const uint8_t parent[KDF_KEY_SIZE])
{
	if (crypto_kdf_derive_from_key(key, size, id, context, parent) != 0)
		abort();
}

void
kdf_realm(uint8_t key[KDF_KEY_SIZE], const uint8_t master[KDF_KEY_SIZE], uint32_t realm)
{
	derive(key, KDF_KEY_SIZE, realm, "CGC1rlm_", master);
}

void
kdf_node(uint8_t key[KDF_KEY_SIZE], const uint8_t realm_key[KDF_KEY_SIZE], uint32_t node,
	uint16_t epoch)
{
	derive(key, KDF_KEY_SIZE, (uint64_t)node << 32 | epoch, "CGC1node", realm_key);
}

void
kdf_suite(
	uint8_t *key, const uint8_t node_key[KDF_KEY_SIZE], uint8_t suite, enum kdf_purpose purpose)
{
	derive(key, cred_suite_key_size(suite), suite * 256u + purpose, "CGC1keys", node_key);
}

static void
slot_fill(struct key_slot *slot, const uint8_t node_key[KDF_KEY_SIZE], uint8_t suite,
	enum kdf_purpose tag, enum kdf_purpose seal)
{
	sodium_memzero(slot->tag_key, sizeof(slot->tag_key));
	sodium_memzero(slot->seal_key, sizeof(slot->seal_key));
	slot->suite = suite;
	kdf_suite(slot->tag_key, node_key, suite, tag);
	if (cred_suite_is_sealed(suite))
		kdf_suite(slot->seal_key, node_key, suite, seal);
	tag_subkey(slot->k1, slot->tag_key, cred_suite_key_size(suite));
}

void
kdf_slot_request(struct key_slot *slot, const uint8_t node_key[KDF_KEY_SIZE], uint8_t suite)
{
	slot_fill(slot, node_key, suite, KDF_REQUEST_TAG, KDF_REQUEST_SEAL);
}

void
kdf_slot_reply(struct key_slot *slot, const uint8_t node_key[KDF_KEY_SIZE], uint8_t suite)
{
	slot_fill(slot, node_key, suite, KDF_REPLY_TAG, KDF_REPLY_SEAL);
}

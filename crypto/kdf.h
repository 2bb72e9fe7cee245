/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Key derivation (docs/wire-format.md, "Keys"): BLAKE2b with salt and personalisation, as
 * libsodium's crypto_kdf_derive_from_key. Constant-time in all keys.
 */

#include <stdint.h>

#include "crypto/slot.h"

#define KDF_KEY_SIZE 32

enum kdf_purpose {
	KDF_REQUEST_TAG = 1,
	KDF_REQUEST_SEAL = 2,
	KDF_REPLY_TAG = 3,
	KDF_REPLY_SEAL = 4,
};

/* K_realm of `realm` under the realm's master secret. */
void kdf_realm(uint8_t key[KDF_KEY_SIZE], const uint8_t master[KDF_KEY_SIZE], uint32_t realm);

/* K_node: what a node is given. */
void kdf_node(uint8_t key[KDF_KEY_SIZE], const uint8_t realm_key[KDF_KEY_SIZE], uint32_t node,
	uint16_t epoch);

/* One key of a suite; writes 16 or 32 bytes (cred_suite_key_size). */
void kdf_suite(uint8_t *key, const uint8_t node_key[KDF_KEY_SIZE], uint8_t suite,
	enum kdf_purpose purpose);

/*
 * Fills suite, tag_key, seal_key (zero for suites without sealing) and k1 of a slot, for requests
 * (purposes 1 and 2) or replies (3 and 4); leaves every other field alone. Unused key bytes are
 * zeroed. `suite` MUST be known. Needs no engine: K1 is computed by the portable path of
 * crypto/tag.h.
 */
void kdf_slot_request(struct key_slot *slot, const uint8_t node_key[KDF_KEY_SIZE], uint8_t suite);
void kdf_slot_reply(struct key_slot *slot, const uint8_t node_key[KDF_KEY_SIZE], uint8_t suite);

/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/peers/mac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crypto/kdf.h"
#include "wire/cred.h"

const char mac_program[] = "peer-recvmmsg-openssl";
const char mac_scheme[] = "cmac128";

/* One context for each node, with its round keys and subkeys inside: it is the mac_key. */
static bool
context_key(EVP_MAC_CTX *context, const uint8_t node_key[32])
{
	char cipher[] = "AES-128-CBC";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
		OSSL_PARAM_construct_end(),
	};
	uint8_t key[16];

	kdf_suite(key, node_key, CRED_SUITE_CMAC128, KDF_REQUEST_TAG);
	return EVP_MAC_init(context, key, sizeof(key), params) == 1;
}

struct mac_key *
mac_key_create(const uint8_t node_key[32])
{
	EVP_MAC *mac = EVP_MAC_fetch(NULL, "CMAC", NULL);
	EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);

	EVP_MAC_free(mac); /* the context holds it */
	if (context != NULL && !context_key(context, node_key)) {
		EVP_MAC_CTX_free(context);
		return NULL;
	}
	return (struct mac_key *)context;
}

void
mac_key_destroy(struct mac_key *key)
{
	EVP_MAC_CTX_free((EVP_MAC_CTX *)key);
}

/*
 * Without a key EVP_MAC_init only begins anew, which is faster up to some thousand nodes
 * (credgate-bench-base: 80 bytes, 4,096 keys, 228 ns against 379 with the key each time; with
 * 65,536 contexts it is the other way round).
 */
bool
mac_is_right(struct mac_key *key, const uint8_t *msg, size_t size, const uint8_t *tag)
{
	EVP_MAC_CTX *context = (EVP_MAC_CTX *)key;
	uint8_t computed[CRED_TAG_SIZE];
	size_t computed_size;

	return EVP_MAC_init(context, NULL, 0, NULL) == 1 &&
	       EVP_MAC_update(context, msg, size) == 1 &&
	       EVP_MAC_final(context, computed, &computed_size, sizeof(computed)) == 1 &&
	       computed_size == sizeof(computed) &&
	       CRYPTO_memcmp(computed, tag, sizeof(computed)) == 0;
}

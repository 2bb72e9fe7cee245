/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/crypto/oracle.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/cred.h"

static void
must(int is_right, const char *what)
{
	if (is_right)
		return;
	fprintf(stderr, "oracle: OpenSSL refuses: %s\n", what);
	abort();
}

/* A context that is made at its first use and kept: making one costs more than a CMAC. */
static EVP_MAC_CTX *
mac_context(EVP_MAC_CTX **context, const char *name)
{
	EVP_MAC *mac;

	if (*context != NULL)
		return *context;
	mac = EVP_MAC_fetch(NULL, name, NULL);
	must(mac != NULL, name);
	*context = EVP_MAC_CTX_new(mac);
	must(*context != NULL, name);
	EVP_MAC_free(mac);
	return *context;
}

static EVP_CIPHER_CTX *
cipher_context(void)
{
	static EVP_CIPHER_CTX *context;

	if (context == NULL)
		context = EVP_CIPHER_CTX_new();
	must(context != NULL, "a cipher context");
	return context;
}

void
oracle_cmac(uint8_t tag[16], const uint8_t *key, unsigned key_size, const uint8_t *msg, size_t size)
{
	static EVP_MAC_CTX *contexts[2];
	EVP_MAC_CTX *context = mac_context(&contexts[key_size / 32], "CMAC");
	char cipher[] = "AES-128-CBC";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
		OSSL_PARAM_construct_end(),
	};
	size_t tag_size;

	if (key_size == 32)
		memcpy(cipher, "AES-256", 7);
	must(EVP_MAC_init(context, key, key_size, params), "a CMAC key");
	must(EVP_MAC_update(context, msg, size), "a CMAC message");
	must(EVP_MAC_final(context, tag, &tag_size, 16) && tag_size == 16, "a CMAC tag");
}

void
oracle_ctr(uint8_t *dst, const uint8_t *key, unsigned key_size, const uint8_t counter[16],
	const uint8_t *src, size_t size)
{
	const EVP_CIPHER *cipher = key_size == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr();
	EVP_CIPHER_CTX *context = cipher_context();
	int done;

	must(EVP_EncryptInit_ex(context, cipher, NULL, key, counter), "a CTR key");
	must(EVP_EncryptUpdate(context, dst, &done, src, (int)size) && (size_t)done == size, "CTR");
}

void
oracle_block(uint8_t out[16], const uint8_t *key, unsigned key_size, const uint8_t block[16])
{
	const EVP_CIPHER *cipher = key_size == 16 ? EVP_aes_128_ecb() : EVP_aes_256_ecb();
	EVP_CIPHER_CTX *context = cipher_context();
	int done;

	must(EVP_EncryptInit_ex(context, cipher, NULL, key, NULL), "an ECB key");
	must(EVP_EncryptUpdate(context, out, &done, block, 16) && done == 16, "ECB");
}

void
oracle_k1(uint8_t k1[16], const uint8_t *key, unsigned key_size)
{
	static const uint8_t zero[16];
	uint8_t block[16];
	int i;

	oracle_block(block, key, key_size, zero);
	for (i = 0; i < 16; i++)
		k1[i] = (uint8_t)(block[i] << 1 | (i < 15 ? block[i + 1] >> 7 : 0));
	if (block[0] & 0x80)
		k1[15] ^= 0x87;
}

void
oracle_blake2b(uint8_t *out, size_t size, const uint8_t key[32], const uint8_t salt[16],
	const uint8_t personal[16])
{
	static EVP_MAC_CTX *kept;
	EVP_MAC_CTX *context = mac_context(&kept, "BLAKE2BMAC");
	uint8_t salt_copy[16], personal_copy[16];
	size_t out_size = size;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &out_size),
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_SALT, salt_copy, 16),
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_CUSTOM, personal_copy, 16),
		OSSL_PARAM_construct_end(),
	};

	memcpy(salt_copy, salt, sizeof(salt_copy));
	memcpy(personal_copy, personal, sizeof(personal_copy));
	must(EVP_MAC_init(context, key, 32, params), "a BLAKE2b key");
	must(EVP_MAC_final(context, out, &out_size, size) && out_size == size, "BLAKE2b");
}

void
oracle_seal(const struct key_slot *slot, uint8_t *msg, size_t size)
{
	const unsigned key_size = cred_suite_key_size(slot->suite);
	uint8_t counter[16] = {0};

	memcpy(counter, msg + CRED_AT_SALT, 4);
	memcpy(counter + 4, msg + CRED_AT_SERIAL, 8);
	if (cred_suite_is_sealed(slot->suite))
		oracle_ctr(msg + CRED_SEALED_FIRST, slot->seal_key, key_size, counter,
			msg + CRED_SEALED_FIRST, size - CRED_SEALED_FIRST);
	oracle_cmac(msg + size, slot->tag_key, key_size, msg, size);
}

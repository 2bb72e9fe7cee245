/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>

#include "crypto/cpu_priv.h"
#include "crypto/ct.h"
#include "crypto/tag_priv.h"

/* RFC 4493 section 2.3; the carry is folded back as a mask, since it is a bit of a secret. */
void
tag_subkey_double(uint8_t out[AES_BLOCK_SIZE], const uint8_t in[AES_BLOCK_SIZE])
{
	uint64_t high = load_be64(in);
	uint64_t low = load_be64(in + 8);
	uint64_t carry = ct_hide(high >> 63);

	store_be64(out, high << 1 | low >> 63);
	store_be64(out + 8, low << 1 ^ (0x87 & (0 - carry)));
}

void
tag_subkey(uint8_t k1[16], const uint8_t *key, unsigned key_size)
{
	uint8_t block[AES_BLOCK_SIZE] = {0};

	assert(key_size == 16 || key_size == 32);
	if (cpu_has_aesni())
		tag_aesni_block(block, key, key_size);
	else
		aes_soft_block(block, key, key_size);
	tag_subkey_double(k1, block);
	sodium_memzero(block, sizeof(block));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The independent implementation that crypto/ is held against: OpenSSL. Slow and obvious, one
 * message a call; whatever OpenSSL refuses ends the test program.
 */

#include <stddef.h>
#include <stdint.h>

#include "crypto/slot.h"

/* AES-CMAC under a key of 16 or 32 bytes. */
void oracle_cmac(
	uint8_t tag[16], const uint8_t *key, unsigned key_size, const uint8_t *msg, size_t size);

/* AES-CTR from a whole counter block; dst may be src. */
void oracle_ctr(uint8_t *dst, const uint8_t *key, unsigned key_size, const uint8_t counter[16],
	const uint8_t *src, size_t size);

/* AES of one block. */
void oracle_block(uint8_t out[16], const uint8_t *key, unsigned key_size, const uint8_t block[16]);

/* CMAC subkey K1 (RFC 4493 section 2.3), doubled bit by bit. */
void oracle_k1(uint8_t k1[16], const uint8_t *key, unsigned key_size);

/* Keyed BLAKE2b of the empty message. */
void oracle_blake2b(uint8_t *out, size_t size, const uint8_t key[32], const uint8_t salt[16],
	const uint8_t personal[16]);

/* Seals if the slot's suite says so, and tags, as docs/wire-format.md has it. */
void oracle_seal(const struct key_slot *slot, uint8_t *msg, size_t size);

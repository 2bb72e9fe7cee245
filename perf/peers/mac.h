/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The MAC of a validator, one file for each library: mac_openssl.c is the AES-CMAC of suite
 * cmac128, so that the real credential is checked; mac_sodium.c is crypto_auth (HMAC-SHA512-256,
 * its first 16 bytes), since libsodium has no CMAC. Both keep what can be computed from a key
 * beforehand with the node, which is the fastest that either library's public interface offers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mac_key;

/* What the program calls itself: "peer-recvmmsg-openssl". */
extern const char mac_program[];

/* "cmac128" or "hmac": which credentials it takes (corpus.h). */
extern const char mac_scheme[];

/* From K_node. NULL: no memory, or the library lacks the algorithm. */
struct mac_key *mac_key_create(const uint8_t node_key[32]);
void mac_key_destroy(struct mac_key *key);

/* Is `tag` (16 bytes) that of the `size` bytes at `msg`? In constant time. */
__attribute__((warn_unused_result)) bool mac_is_right(
	struct mac_key *key, const uint8_t *msg, size_t size, const uint8_t *tag);

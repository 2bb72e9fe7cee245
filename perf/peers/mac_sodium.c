/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/peers/mac.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "wire/cred.h"

static_assert(crypto_auth_KEYBYTES == 32, "K_node is the key as it is");

const char mac_program[] = "peer-recvmmsg-sodium";
const char mac_scheme[] = "hmac";

/*
 * The state after the key's own blocks: two of the four compressions that crypto_auth_verify would
 * do for each message are done once for each node.
 */
struct mac_key {
	crypto_auth_hmacsha512256_state keyed;
};

struct mac_key *
mac_key_create(const uint8_t node_key[32])
{
	struct mac_key *key = malloc(sizeof(*key));

	if (key != NULL)
		crypto_auth_hmacsha512256_init(&key->keyed, node_key, crypto_auth_KEYBYTES);
	return key;
}

void
mac_key_destroy(struct mac_key *key)
{
	free(key);
}

bool
mac_is_right(struct mac_key *key, const uint8_t *msg, size_t size, const uint8_t *tag)
{
	crypto_auth_hmacsha512256_state state = key->keyed;
	uint8_t computed[crypto_auth_BYTES];

	crypto_auth_hmacsha512256_update(&state, msg, size);
	crypto_auth_hmacsha512256_final(&state, computed);
	return sodium_memcmp(computed, tag, CRED_TAG_SIZE) == 0;
}

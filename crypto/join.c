/* SPDX-License-Identifier: BSD-3-Clause */
#include "crypto/join.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "crypto/ct.h"

#define SHARED_SIZE 32u
#define KEY_SIZE    crypto_aead_xchacha20poly1305_ietf_KEYBYTES

static_assert(crypto_scalarmult_BYTES == SHARED_SIZE, "docs/enrolment.md");
static_assert(crypto_scalarmult_BYTES == JOIN_PUBLIC_SIZE, "docs/enrolment.md");
static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == JOIN_SEAL_SIZE, "docs/enrolment.md");

void
join_public(uint8_t public[JOIN_PUBLIC_SIZE], const uint8_t secret[JOIN_PUBLIC_SIZE])
{
	crypto_scalarmult_base(public, secret);
}

/* BLAKE2b under the code's secret, with 8 letters that say what for. */
static void
hash_begin(crypto_generichash_blake2b_state *hash, const struct join_code *code, const char *what)
{
	uint8_t personal[crypto_generichash_blake2b_PERSONALBYTES] = {0};

	memcpy(personal, what, 8);
	crypto_generichash_blake2b_init_salt_personal(
		hash, code->secret, JOIN_SECRET_SIZE, 32, NULL, personal);
	crypto_generichash_blake2b_update(hash, code->gateway, JOIN_PUBLIC_SIZE);
}

/* es: what the node's ephemeral key and the gateway's own have in common. */
static void
mac_make(uint8_t mac[JOIN_MAC_SIZE], const uint8_t *request, const struct join_code *code,
	const uint8_t es[SHARED_SIZE])
{
	crypto_generichash_blake2b_state hash;

	hash_begin(&hash, code, "CGJ1mac_");
	crypto_generichash_blake2b_update(&hash, es, SHARED_SIZE);
	crypto_generichash_blake2b_update(&hash, request, JOIN_REQUEST_MAC);
	crypto_generichash_blake2b_final(&hash, mac, JOIN_MAC_SIZE);
	sodium_memzero(&hash, sizeof(hash));
}

int
join_request_make(uint8_t msg[JOIN_REQUEST_SIZE], const struct join_code *code,
	const uint8_t secret[JOIN_PUBLIC_SIZE], const char *name)
{
	struct join_request request = {.id = code->id, .realm = code->realm};
	uint8_t es[SHARED_SIZE];

	memcpy(request.name, name, strnlen(name, JOIN_NAME_SIZE - 1));
	join_public(request.public, secret);
	if (crypto_scalarmult(es, secret, code->gateway) != 0)
		return -EBADMSG;
	join_request_build(msg, &request);
	mac_make(msg + JOIN_REQUEST_MAC, msg, code, es);
	sodium_memzero(es, sizeof(es));
	return 0;
}

uint64_t
join_request_prove(const uint8_t msg[JOIN_REQUEST_SIZE], const struct join_code *code,
	const uint8_t gateway[JOIN_PUBLIC_SIZE])
{
	uint8_t mac[JOIN_MAC_SIZE], es[SHARED_SIZE];
	const uint8_t *theirs = msg + JOIN_REQUEST_MAC;
	uint64_t is_same;

	/* Public keys are public: one of low order may be refused early. */
	if (crypto_scalarmult(es, gateway, msg + JOIN_REQUEST_PUBLIC) != 0)
		return 0;
	mac_make(mac, msg, code, es);
	is_same = ct_mask_equal16(mac, theirs) & ct_mask_equal16(mac + 16, theirs + 16);
	sodium_memzero(es, sizeof(es));
	sodium_memzero(mac, sizeof(mac));
	return is_same;
}

/* The key of one answer. ee: what both ephemeral keys have in common. */
static void
answer_key(uint8_t key[KEY_SIZE], const uint8_t *answer, const uint8_t *request,
	const struct join_code *code, const uint8_t es[SHARED_SIZE], const uint8_t ee[SHARED_SIZE])
{
	crypto_generichash_blake2b_state hash;

	hash_begin(&hash, code, "CGJ1seal");
	crypto_generichash_blake2b_update(&hash, es, SHARED_SIZE);
	crypto_generichash_blake2b_update(&hash, ee, SHARED_SIZE);
	crypto_generichash_blake2b_update(&hash, request, JOIN_REQUEST_SIZE);
	crypto_generichash_blake2b_update(&hash, answer, JOIN_ANSWER_HEAD);
	crypto_generichash_blake2b_final(&hash, key, KEY_SIZE);
	sodium_memzero(&hash, sizeof(hash));
}

/* A key seals one message only, so the nonce need not be told. */
static const uint8_t nonce[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

int
join_answer_seal(uint8_t msg[JOIN_SEALED_SIZE], const struct join_body *body,
	const uint8_t request[JOIN_REQUEST_SIZE], const struct join_code *code,
	const uint8_t gateway[JOIN_PUBLIC_SIZE], const uint8_t secret[JOIN_PUBLIC_SIZE])
{
	uint8_t public[JOIN_PUBLIC_SIZE], es[SHARED_SIZE], ee[SHARED_SIZE], key[KEY_SIZE];
	uint8_t plain[JOIN_BODY_SIZE];
	int error = -EBADMSG;

	join_public(public, secret);
	join_answer_build(msg, public);
	if (crypto_scalarmult(es, gateway, request + JOIN_REQUEST_PUBLIC) == 0 &&
		crypto_scalarmult(ee, secret, request + JOIN_REQUEST_PUBLIC) == 0) {
		answer_key(key, msg, request, code, es, ee);
		join_body_build(plain, body);
		crypto_aead_xchacha20poly1305_ietf_encrypt(msg + JOIN_ANSWER_HEAD, NULL, plain,
			sizeof(plain), msg, JOIN_ANSWER_HEAD, NULL, nonce, key);
		error = 0;
	}
	sodium_memzero(es, sizeof(es));
	sodium_memzero(ee, sizeof(ee));
	sodium_memzero(key, sizeof(key));
	sodium_memzero(plain, sizeof(plain));
	return error;
}

int
join_answer_open(struct join_body *body, const uint8_t msg[JOIN_SEALED_SIZE],
	const uint8_t request[JOIN_REQUEST_SIZE], const struct join_code *code,
	const uint8_t secret[JOIN_PUBLIC_SIZE])
{
	uint8_t es[SHARED_SIZE], ee[SHARED_SIZE], key[KEY_SIZE], plain[JOIN_BODY_SIZE];
	int error = -EBADMSG;

	sodium_memzero(body, sizeof(*body));
	if (crypto_scalarmult(es, secret, code->gateway) == 0 &&
		crypto_scalarmult(ee, secret, msg + JOIN_ANSWER_PUBLIC) == 0) {
		answer_key(key, msg, request, code, es, ee);
		if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL,
			    msg + JOIN_ANSWER_HEAD, JOIN_BODY_SIZE + JOIN_SEAL_SIZE, msg,
			    JOIN_ANSWER_HEAD, nonce, key) == 0)
			error = join_body_parse(body, plain);
	}
	sodium_memzero(es, sizeof(es));
	sodium_memzero(ee, sizeof(ee));
	sodium_memzero(key, sizeof(key));
	sodium_memzero(plain, sizeof(plain));
	return error;
}

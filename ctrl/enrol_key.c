/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/enrol_key.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "crypto/join.h"
#include "ctrl/secrets.h"
#include "wire/bytes.h"

#define FILE_NAME    "enrol.key"
#define KDF_CONTEXT  "CGJ1file"
#define KDF_X25519   1u
#define KDF_CODES    2u
#define SECRETS_SIZE (JOIN_PUBLIC_SIZE + crypto_kdf_KEYBYTES)

static_assert(SECRETS_MASTER_SIZE == crypto_kdf_KEYBYTES, "docs/enrolment.md");

static int
file_read_or_make(struct enrol_key *key, uint8_t *seed, const char *path, struct reason *reason)
{
	int error = secrets_file_read(seed, path, reason);

	if (error != -ENOENT)
		return error;
	error = secrets_master_create(path, reason);
	key->is_new = error == 0;
	return error == 0 ? secrets_file_read(seed, path, reason) : error;
}

int
enrol_key_open(struct enrol_key *key, const char *state_dir, struct reason *reason)
{
	uint8_t *seed = sodium_malloc(SECRETS_MASTER_SIZE);
	char path[PATH_MAX];
	int error;

	memset(key, 0, sizeof(*key));
	key->secrets = sodium_malloc(SECRETS_SIZE);
	snprintf(path, sizeof(path), "%s/%s", state_dir, FILE_NAME);
	if (seed == NULL || key->secrets == NULL)
		error = reason_set(
			reason, ENOMEM, "no locked memory for %s; raise RLIMIT_MEMLOCK", path);
	else
		error = file_read_or_make(key, seed, path, reason);
	if (error == 0) {
		crypto_kdf_derive_from_key(
			key->secrets, JOIN_PUBLIC_SIZE, KDF_X25519, KDF_CONTEXT, seed);
		crypto_kdf_derive_from_key(key->secrets + JOIN_PUBLIC_SIZE, crypto_kdf_KEYBYTES,
			KDF_CODES, KDF_CONTEXT, seed);
		join_public(key->public, key->secrets);
		sodium_mprotect_readonly(key->secrets);
	}
	sodium_free(seed);
	if (error != 0)
		enrol_key_close(key);
	return error;
}

void
enrol_key_close(struct enrol_key *key)
{
	sodium_free(key->secrets);
	key->secrets = NULL;
}

const uint8_t *
enrol_key_secret(const struct enrol_key *key)
{
	return key->secrets;
}

/* The realm is part of it, so that a code is good for no other. */
void
enrol_key_code(const struct enrol_key *key, struct join_code *code, uint64_t id, uint32_t realm)
{
	uint8_t what[12];

	store_be64(what, id);
	store_be32(what + 8, realm);
	code->id = id;
	code->realm = realm;
	memcpy(code->gateway, key->public, JOIN_PUBLIC_SIZE);
	crypto_generichash(code->secret, JOIN_SECRET_SIZE, what, sizeof(what),
		key->secrets + JOIN_PUBLIC_SIZE, crypto_kdf_KEYBYTES);
}

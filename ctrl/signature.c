/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/signature.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PUBLIC_PREFIX    "CGP1:"
#define SEED_PREFIX      "CGX1:"
#define SIGNATURE_PREFIX "CGS1:"
#define PREFIX_SIZE      5

/* What stands in the line. */
struct line {
	uint8_t key_id[SIGNATURE_KEY_ID_SIZE];
	uint8_t serial[8]; /* big endian */
	uint8_t bytes[SIGNATURE_BYTES_SIZE];
};

/* What is signed. */
struct message {
	char format[8];
	char purpose[SIGNATURE_PURPOSE_SIZE]; /* padded with zeros */
	uint8_t serial[8];
	uint8_t digest[SIGNATURE_DIGEST_SIZE];
};

static_assert(sizeof(struct line) == 80, "docs/audit.md");
static_assert(sizeof(struct message) == 96, "docs/audit.md");
static_assert(SIGNATURE_SEED_SIZE == crypto_sign_SEEDBYTES, "Ed25519");
static_assert(SIGNATURE_PUBLIC_SIZE == crypto_sign_PUBLICKEYBYTES, "Ed25519");
static_assert(SIGNATURE_BYTES_SIZE == crypto_sign_BYTES, "Ed25519");

/* ---- PREFIX base64url ":" ---- */

static void
text_make(char *text, size_t room, const char *prefix, const uint8_t *bytes, size_t size)
{
	memcpy(text, prefix, PREFIX_SIZE);
	sodium_bin2base64(text + PREFIX_SIZE, room - PREFIX_SIZE, bytes, size,
		sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	memcpy(text + strlen(text), ":", 2);
}

static int
text_parse(uint8_t *bytes, size_t size, const char *prefix, const char *text)
{
	size_t length = strlen(text), got = 0;
	const char *end = NULL;

	length -= length > 0 && text[length - 1] == '\n';
	if (length < PREFIX_SIZE + 1 || strncmp(text, prefix, PREFIX_SIZE) != 0 ||
		text[length - 1] != ':')
		return -EBADMSG;
	if (sodium_base642bin(bytes, size, text + PREFIX_SIZE, length - PREFIX_SIZE - 1, NULL, &got,
		    &end, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
		return -EBADMSG;
	return got == size && end == text + length - 1 ? 0 : -EBADMSG;
}

/* ---- keys ---- */

void
signature_public_text(
	char text[SIGNATURE_KEY_TEXT_SIZE + 1], const uint8_t key[SIGNATURE_PUBLIC_SIZE])
{
	text_make(text, SIGNATURE_KEY_TEXT_SIZE + 1, PUBLIC_PREFIX, key, SIGNATURE_PUBLIC_SIZE);
}

void
signature_seed_text(char text[SIGNATURE_KEY_TEXT_SIZE + 1], const uint8_t seed[SIGNATURE_SEED_SIZE])
{
	text_make(text, SIGNATURE_KEY_TEXT_SIZE + 1, SEED_PREFIX, seed, SIGNATURE_SEED_SIZE);
}

int
signature_public_parse(uint8_t key[SIGNATURE_PUBLIC_SIZE], const char *text)
{
	return text_parse(key, SIGNATURE_PUBLIC_SIZE, PUBLIC_PREFIX, text);
}

int
signature_seed_parse(uint8_t seed[SIGNATURE_SEED_SIZE], const char *text)
{
	return text_parse(seed, SIGNATURE_SEED_SIZE, SEED_PREFIX, text);
}

void
signature_public_of(uint8_t key[SIGNATURE_PUBLIC_SIZE], const uint8_t seed[SIGNATURE_SEED_SIZE])
{
	uint8_t secret[crypto_sign_SECRETKEYBYTES];

	crypto_sign_seed_keypair(key, secret, seed);
	sodium_memzero(secret, sizeof(secret));
}

/* The first bytes of the key's own digest: which key to look for. */
static void
key_id_make(uint8_t id[SIGNATURE_KEY_ID_SIZE], const uint8_t key[SIGNATURE_PUBLIC_SIZE])
{
	uint8_t digest[SIGNATURE_DIGEST_SIZE];

	signature_digest(digest, key, SIGNATURE_PUBLIC_SIZE);
	memcpy(id, digest, SIGNATURE_KEY_ID_SIZE);
}

/* ---- signatures ---- */

void
signature_digest(uint8_t digest[SIGNATURE_DIGEST_SIZE], const void *bytes, size_t size)
{
	crypto_generichash(digest, SIGNATURE_DIGEST_SIZE, bytes, size, NULL, 0);
}

static void
message_make(struct message *message, const char *purpose, const uint8_t serial[8],
	const uint8_t digest[SIGNATURE_DIGEST_SIZE])
{
	*message = (struct message){.format = "CGS1"};
	snprintf(message->purpose, sizeof(message->purpose), "%s", purpose);
	memcpy(message->serial, serial, 8);
	memcpy(message->digest, digest, SIGNATURE_DIGEST_SIZE);
}

void
signature_make(char text[SIGNATURE_TEXT_SIZE + 1], const uint8_t seed[SIGNATURE_SEED_SIZE],
	const char *purpose, uint64_t serial, const uint8_t digest[SIGNATURE_DIGEST_SIZE])
{
	uint8_t key[SIGNATURE_PUBLIC_SIZE], secret[crypto_sign_SECRETKEYBYTES];
	struct message message;
	struct line line;

	for (unsigned i = 0; i < 8; i++)
		line.serial[i] = (uint8_t)(serial >> (56 - 8 * i));
	crypto_sign_seed_keypair(key, secret, seed);
	key_id_make(line.key_id, key);
	message_make(&message, purpose, line.serial, digest);
	crypto_sign_detached(line.bytes, NULL, (const uint8_t *)&message, sizeof(message), secret);
	sodium_memzero(secret, sizeof(secret));
	text_make(text, SIGNATURE_TEXT_SIZE + 1, SIGNATURE_PREFIX, (const uint8_t *)&line,
		sizeof(line));
}

int
signature_check(const char *text, const uint8_t key[SIGNATURE_PUBLIC_SIZE], const char *purpose,
	const uint8_t digest[SIGNATURE_DIGEST_SIZE], uint64_t *serial, struct reason *reason)
{
	uint8_t key_id[SIGNATURE_KEY_ID_SIZE];
	struct message message;
	struct line line;

	if (text_parse((uint8_t *)&line, sizeof(line), SIGNATURE_PREFIX, text) != 0)
		return reason_set(reason, EBADMSG,
			"the signature is no line CGS1:...: as credgate sign writes it; sign "
			"again");
	key_id_make(key_id, key);
	if (memcmp(key_id, line.key_id, sizeof(key_id)) != 0)
		return reason_set(reason, ENOKEY,
			"the signature is another key's; sign with the key that is required");
	message_make(&message, purpose, line.serial, digest);
	if (crypto_sign_verify_detached(
		    line.bytes, (const uint8_t *)&message, sizeof(message), key) != 0)
		return reason_set(reason, EKEYREJECTED,
			"the signature does not fit: the text was changed after it was signed, or "
			"it was signed for something else; look at it, then credgate sign FILE "
			"--for %s",
			purpose);
	*serial = 0;
	for (unsigned i = 0; i < 8; i++)
		*serial = *serial << 8 | line.serial[i];
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Text form of a credential: "CGC1:" unpadded base64url (RFC 4648 section 5) ":". And the node key
 * file: one line, "CGK1:" base64url ":" newline.
 */

#include "wire/cred.h"

#define TEXT_PREFIX "CGC1:"
/* Unpadded base64 of n bytes. */
#define TEXT_BASE64_SIZE(n) (((n)*4 + 2) / 3)
#define TEXT_SIZE_MAX       (5 + TEXT_BASE64_SIZE(CRED_SIZE_MAX) + 1)

/*
 * Encodes the credential of `size` bytes at `msg` into `text` (NUL-terminated; TEXT_SIZE_MAX + 1
 * is room for any). Returns the length without the NUL, or 0 if size is no credential's or there is
 * no room. Any thread.
 */
size_t text_encode(char *text, size_t room, const uint8_t *msg, size_t size);

/*
 * Decodes `length` characters. Refuses what docs/wire-format.md refuses: other characters, white
 * space, length mod 4 = 1, non-zero unused bits, anything after the last colon. Returns the bytes
 * written to `msg`, or 0. Does not judge the credential inside.
 */
size_t text_decode(uint8_t *msg, size_t room, const char *text, size_t length);

/* What a node holds. The key is a secret: wipe the struct after use (sodium_memzero). */
struct node_key {
	uint32_t realm;
	uint32_t node;
	uint16_t epoch;
	uint8_t suite;
	uint8_t key[32]; /* K_node */
};

#define NODE_KEY_BYTES     44
#define NODE_KEY_TEXT_SIZE (5 + TEXT_BASE64_SIZE(NODE_KEY_BYTES) + 1 + 1) /* with the newline */

/*
 * The text of a node key file, NUL-terminated in NODE_KEY_TEXT_SIZE + 1 characters. The base64 of
 * key bytes is made without branches or table look-ups on them.
 */
void node_key_encode(char text[NODE_KEY_TEXT_SIZE + 1], const struct node_key *key);

/*
 * Returns 0, or -EBADMSG if the text is not exactly one key line (the newline may be missing) with
 * non-zero realm, node and epoch and a known suite; `key` is then free of key bytes. Any thread.
 */
int node_key_decode(struct node_key *key, const char *text, size_t length);

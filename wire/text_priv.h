/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The one base64url codec, for whatever is written "XXXX:" base64url ":". Constant-time in data. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/text.h"

/* Writes TEXT_BASE64_SIZE(size) characters and returns the place after them. */
char *text_base64_encode(char *text, const uint8_t *bytes, size_t size);

/*
 * Decodes `length` characters to length * 3 / 4 bytes, for which there MUST be room. False if
 * length mod 4 is 1, a character is not of the alphabet, or an unused bit is set; of the latter two
 * nothing shows before the end.
 */
bool text_base64_decode(uint8_t *bytes, const char *text, size_t length);

/* The characters between a 5-character prefix and the colon that ends `length` of them; or NULL. */
const char *text_strip(const char *text, size_t length, const char *prefix, size_t *inside);

/* A node key as the NODE_KEY_BYTES in its file; false if they are none. */
void text_key_pack(uint8_t raw[NODE_KEY_BYTES], const struct node_key *key);
bool text_key_unpack(struct node_key *key, const uint8_t raw[NODE_KEY_BYTES]);

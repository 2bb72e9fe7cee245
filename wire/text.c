/* SPDX-License-Identifier: BSD-3-Clause */

#include "wire/text_priv.h"

#include <errno.h>

/*
 * Implementation notes. One base64url codec serves credentials and key files; as the latter hold
 * secrets it has no branch and no table index that depends on the data, only on lengths. A range
 * test is the sign of a subtraction.
 */

/* Hides a value from the optimiser, so that it cannot turn masks back into branches. */
static inline uint32_t
hide(uint32_t v)
{
	__asm__("" : "+r"(v));
	return v;
}

/* All ones if x < y, else 0; both below 2^31. */
static inline uint32_t
mask_less(uint32_t x, uint32_t y)
{
	return 0u - hide((x - y) >> 31);
}

/* The character of 6 bits: A-Z a-z 0-9 - _ in that order. */
static char
digit_encode(uint32_t v)
{
	uint32_t c = v + 'A';

	c += mask_less(25, v) & ('a' - 'A' - 26);
	c -= mask_less(51, v) & ('a' + 26 - '0');
	c -= mask_less(61, v) & ('0' + 10 - '-');
	c += mask_less(62, v) & ('_' - '-' - 1);
	return (char)c;
}

/* x in first ... last gives its place there plus `base` plus 1; anything else 0. */
static uint32_t
range_decode(uint32_t x, uint32_t first, uint32_t last, uint32_t base)
{
	return ~mask_less(x, first) & ~mask_less(last, x) & (x - first + base + 1);
}

/* The 6 bits of a character, plus 1; 0 if it is none of the alphabet. */
static uint32_t
digit_decode(char c)
{
	uint32_t x = (uint8_t)c;

	return range_decode(x, 'A', 'Z', 0) | range_decode(x, 'a', 'z', 26) |
	       range_decode(x, '0', '9', 52) | range_decode(x, '-', '-', 62) |
	       range_decode(x, '_', '_', 63);
}

char *
text_base64_encode(char *text, const uint8_t *bytes, size_t size)
{
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t i;

	for (i = 0; i < size; i++) {
		acc = acc << 8 | bytes[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*text++ = digit_encode(acc >> (bits - 6) & 63);
	}
	if (bits != 0)
		*text++ = digit_encode(acc << (6 - bits) & 63);
	return text;
}

/* Whole bytes in `length` characters; unlike length * 3 / 4 it cannot overflow. */
static size_t
base64_bytes(size_t length)
{
	return length / 4 * 3 + length % 4 * 3 / 4;
}

bool
text_base64_decode(uint8_t *bytes, const char *text, size_t length)
{
	uint32_t acc = 0, bad = 0, digit;
	unsigned bits = 0;
	size_t i;

	if (length % 4 == 1)
		return false;
	for (i = 0; i < length; i++) {
		digit = digit_decode(text[i]);
		bad |= mask_less(digit, 1);
		acc = acc << 6 | ((digit - 1) & 63);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			*bytes++ = (uint8_t)(acc >> bits);
		}
	}
	bad |= acc & ((1u << bits) - 1);
	return bad == 0;
}

const char *
text_strip(const char *text, size_t length, const char *prefix, size_t *inside)
{
	if (length < 6 || memcmp(text, prefix, 5) != 0 || text[length - 1] != ':')
		return NULL;
	*inside = length - 6;
	return text + 5;
}

size_t
text_encode(char *text, size_t room, const uint8_t *msg, size_t size)
{
	char *end;

	if (size < CRED_SIZE_MIN || size > CRED_SIZE_MAX)
		return 0;
	if (room < 5 + TEXT_BASE64_SIZE(size) + 2)
		return 0;
	memcpy(text, TEXT_PREFIX, 5);
	end = text_base64_encode(text + 5, msg, size);
	end[0] = ':';
	end[1] = '\0';
	return (size_t)(end + 1 - text);
}

size_t
text_decode(uint8_t *msg, size_t room, const char *text, size_t length)
{
	const char *inside;
	size_t count;

	inside = text_strip(text, length, TEXT_PREFIX, &count);
	if (inside == NULL || base64_bytes(count) > room)
		return 0;
	return text_base64_decode(msg, inside, count) ? base64_bytes(count) : 0;
}

void
text_key_pack(uint8_t raw[NODE_KEY_BYTES], const struct node_key *key)
{
	store_be32(raw, key->realm);
	store_be32(raw + 4, key->node);
	store_be16(raw + 8, key->epoch);
	raw[10] = key->suite;
	raw[11] = 0;
	memcpy(raw + 12, key->key, sizeof(key->key));
}

void
node_key_encode(char text[NODE_KEY_TEXT_SIZE + 1], const struct node_key *key)
{
	uint8_t raw[NODE_KEY_BYTES];
	char *end;

	text_key_pack(raw, key);
	memcpy(text, "CGK1:", 5);
	end = text_base64_encode(text + 5, raw, sizeof(raw));
	memcpy(end, ":\n", 3);
	explicit_bzero(raw, sizeof(raw));
}

/* The public 12 bytes before K_node. */
static bool
node_key_head_parse(struct node_key *key, const uint8_t *raw)
{
	key->realm = load_be32(raw);
	key->node = load_be32(raw + 4);
	key->epoch = load_be16(raw + 8);
	key->suite = raw[10];
	return key->realm != 0 && key->node != 0 && key->epoch != 0 &&
	       cred_suite_is_known(key->suite) && raw[11] == 0;
}

bool
text_key_unpack(struct node_key *key, const uint8_t raw[NODE_KEY_BYTES])
{
	if (!node_key_head_parse(key, raw))
		return false;
	memcpy(key->key, raw + 12, sizeof(key->key));
	return true;
}

int
node_key_decode(struct node_key *key, const char *text, size_t length)
{
	uint8_t raw[NODE_KEY_BYTES];
	const char *inside;
	size_t count;
	int rc = -EBADMSG;

	explicit_bzero(key, sizeof(*key));
	if (length > 0 && text[length - 1] == '\n')
		length--;
	inside = text_strip(text, length, "CGK1:", &count);
	if (inside == NULL || count != TEXT_BASE64_SIZE(NODE_KEY_BYTES))
		return -EBADMSG;
	if (text_base64_decode(raw, inside, count) && text_key_unpack(key, raw))
		rc = 0;
	explicit_bzero(raw, sizeof(raw));
	return rc;
}

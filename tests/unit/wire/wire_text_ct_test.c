/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The node key codec does not branch or index on key bytes. Run under valgrind's memcheck, which
 * follows undefined bits: the key is declared undefined, and then any branch or address that
 * depends on it is reported as an error and counted. Plain C, because cmocka would look at the
 * bytes. Skips (77) when it does not run under valgrind.
 */

#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "wire/text.h"

/* K_node begins after 12 bytes, which are 16 characters: no character holds both. */
#define KEY_CHARACTER (5 + 16)
#define KEY_LENGTH    (NODE_KEY_TEXT_SIZE - 2 - KEY_CHARACTER)

static const struct node_key secret = {
	.realm = 7,
	.node = 0x01020304,
	.epoch = 5,
	.suite = 3,
	.key = {0x55, 0x55, 0x7e, 0x6d, 0x41, 0xff, 0x00, 0xfb, 0xef, 0xbe},
};

static int
expect(const char *what, unsigned errors, unsigned wanted)
{
	if (errors == wanted)
		return 0;
	fprintf(stderr, "%s: %u uses of secret bits, not %u\n", what, errors, wanted);
	return 1;
}

/* Shows that memcheck would notice: one branch on a secret byte. */
static unsigned
branch_count(const uint8_t *byte)
{
	unsigned before = VALGRIND_COUNT_ERRORS;
	volatile unsigned seen = 0;

	if (*byte == 0x55)
		seen = 1;
	(void)seen;
	return VALGRIND_COUNT_ERRORS - before;
}

static unsigned
encode_count(char text[NODE_KEY_TEXT_SIZE + 1])
{
	struct node_key key = secret;
	unsigned before = VALGRIND_COUNT_ERRORS;

	(void)VALGRIND_MAKE_MEM_UNDEFINED(key.key, sizeof(key.key));
	node_key_encode(text, &key);
	return VALGRIND_COUNT_ERRORS - before;
}

/* Good or bad is told, once and at the end: that is the only branch. */
static unsigned
decode_count(const char *text, struct node_key *key)
{
	unsigned before = VALGRIND_COUNT_ERRORS;
	int rc = node_key_decode(key, text, NODE_KEY_TEXT_SIZE);

	(void)VALGRIND_MAKE_MEM_DEFINED(&rc, sizeof(rc));
	(void)VALGRIND_MAKE_MEM_DEFINED(key, sizeof(*key));
	return VALGRIND_COUNT_ERRORS - before + (rc != 0 ? 1000 : 0);
}

int
main(void)
{
	char text[NODE_KEY_TEXT_SIZE + 1];
	struct node_key key = secret;
	int failed = 0;

	if (RUNNING_ON_VALGRIND == 0) {
		printf("skipped: not under valgrind\n");
		return 77;
	}
	(void)VALGRIND_MAKE_MEM_UNDEFINED(key.key, sizeof(key.key));
	failed += expect("a branch of our own", branch_count(key.key), 1);
	failed += expect("node_key_encode", encode_count(text), 0);
	failed += expect("node_key_decode", decode_count(text, &key), 1);
	failed += memcmp(key.key, secret.key, sizeof(key.key)) != 0;
	return failed != 0;
}

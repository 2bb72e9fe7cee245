/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Lets another program use the text codecs, for text_against_python.py. Standard input has one
 * request per line, standard output one answer per line, "-" when refused:
 *
 *	e HEX   the text form of the bytes
 *	d TEXT  the bytes of a text form, in hex
 *	k HEX   the key line, without its newline, of 44 bytes as a key file holds them
 *	l TEXT  the 44 bytes of a key line, in hex
 */

#include <stdio.h>
#include <stdlib.h>

#include "wire/text.h"

static size_t
hex_read(uint8_t *out, const char *hex)
{
	size_t size;
	unsigned byte;

	for (size = 0; sscanf(hex + 2 * size, "%2x", &byte) == 1; size++)
		out[size] = (uint8_t)byte;
	return size;
}

static void
hex_print(const uint8_t *bytes, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++)
		printf("%02x", bytes[i]);
	printf("%s\n", size == 0 ? "-" : "");
}

static void
key_line_print(const uint8_t *raw)
{
	char text[NODE_KEY_TEXT_SIZE + 1];
	struct node_key key = {
		.realm = load_be32(raw),
		.node = load_be32(raw + 4),
		.epoch = load_be16(raw + 8),
		.suite = raw[10],
	};

	memcpy(key.key, raw + 12, sizeof(key.key));
	node_key_encode(text, &key);
	printf("%s", text);
}

static void
key_bytes_print(const char *text)
{
	uint8_t raw[NODE_KEY_BYTES] = {0};
	struct node_key key;

	if (node_key_decode(&key, text, strlen(text)) != 0) {
		printf("-\n");
		return;
	}
	store_be32(raw, key.realm);
	store_be32(raw + 4, key.node);
	store_be16(raw + 8, key.epoch);
	raw[10] = key.suite;
	memcpy(raw + 12, key.key, sizeof(key.key));
	hex_print(raw, sizeof(raw));
}

static void
request_answer(char what, const char *argument)
{
	static uint8_t bytes[8192];
	char text[TEXT_SIZE_MAX + 1];

	if (what == 'e')
		puts(text_encode(text, sizeof(text), bytes, hex_read(bytes, argument)) ? text
										       : "-");
	else if (what == 'd')
		hex_print(bytes, text_decode(bytes, sizeof(bytes), argument, strlen(argument)));
	else if (what == 'k' && hex_read(bytes, argument) == NODE_KEY_BYTES)
		key_line_print(bytes);
	else if (what == 'l')
		key_bytes_print(argument);
	else
		exit(2);
}

int
main(void)
{
	static char line[8192];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (strlen(line) < 2)
			return 2;
		request_answer(line[0], line + 2);
	}
	return 0;
}

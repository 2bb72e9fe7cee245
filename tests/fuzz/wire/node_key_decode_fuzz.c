/* SPDX-License-Identifier: BSD-3-Clause */

/* node_key_decode: a node key has exactly one line, the newline aside. */

#include "tests/fuzz/wire/fuzz.h"
#include "wire/text.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char again[NODE_KEY_TEXT_SIZE + 1];
	struct node_key key;

	if (node_key_decode(&key, (const char *)data, size) != 0)
		return 0;
	FUZZ_MUST(size == NODE_KEY_TEXT_SIZE || size == NODE_KEY_TEXT_SIZE - 1);
	node_key_encode(again, &key);
	FUZZ_MUST(memcmp(again, data, size) == 0);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* join_code_decode: a join code has exactly one text. */

#include <string.h>

#include "tests/fuzz/wire/fuzz.h"
#include "wire/join.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char again[JOIN_CODE_TEXT_SIZE + 1];
	struct join_code code;

	if (join_code_decode(&code, (const char *)data, size) != 0)
		return 0;
	FUZZ_MUST(size == JOIN_CODE_TEXT_SIZE);
	join_code_encode(again, &code);
	FUZZ_MUST(memcmp(again, data, size) == 0);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* join_answer_parse and join_body_parse: what a node takes apart; a body has exactly one form. */

#include <string.h>

#include "tests/fuzz/wire/fuzz.h"
#include "wire/join.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[JOIN_BODY_SIZE];
	struct join_body body;
	uint32_t retry_ms;
	int kind = join_answer_parse(data, size, &retry_ms), wanted = join_answer_size(data, size);

	FUZZ_MUST(retry_ms <= JOIN_RETRY_MS_MAX);
	FUZZ_MUST(kind < 0 || (size_t)wanted == size);
	if (size < JOIN_BODY_SIZE || join_body_parse(&body, data) != 0)
		return 0;
	join_body_build(again, &body);
	FUZZ_MUST(memcmp(again, data, sizeof(again)) == 0);
	return 0;
}

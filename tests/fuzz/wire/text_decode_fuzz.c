/* SPDX-License-Identifier: BSD-3-Clause */

/* text_decode: a credential has exactly one text form, so what is decoded encodes to the same. */

#include "tests/fuzz/wire/fuzz.h"
#include "wire/text.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t msg[CRED_SIZE_MAX];
	char again[TEXT_SIZE_MAX + 1];
	size_t decoded = text_decode(msg, sizeof(msg), (const char *)data, size);

	FUZZ_MUST(decoded <= sizeof(msg));
	if (decoded < CRED_SIZE_MIN)
		return 0;
	FUZZ_MUST(text_encode(again, sizeof(again), msg, decoded) == size);
	FUZZ_MUST(memcmp(again, data, size) == 0);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* join_request_parse: what is parsed can be built again to the same bytes, and nothing that does
 * not begin like a request is one. */

#include <string.h>

#include "tests/fuzz/wire/fuzz.h"
#include "wire/join.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[JOIN_REQUEST_SIZE];
	struct join_request request;
	bool begins = join_request_begins(data, size);

	if (join_request_parse(&request, data, size) != 0)
		return 0;
	FUZZ_MUST(begins && size == JOIN_REQUEST_SIZE);
	FUZZ_MUST(memchr(request.name, 0, sizeof(request.name)) != NULL);
	join_request_build(again, &request);
	FUZZ_MUST(memcmp(again, data, JOIN_REQUEST_MAC) == 0);
	return 0;
}

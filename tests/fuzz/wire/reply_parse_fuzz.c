/* SPDX-License-Identifier: BSD-3-Clause */

/* reply_parse and, for what it takes, reply_inside_parse; both are the inverse of reply_build. */

#include "tests/fuzz/wire/fuzz.h"
#include "wire/reply.h"

/* ttl_s and byte 67 are ignored by a reader and zero from a builder. */
static void
build_again(const struct wire_cred *cred, const struct reply_fields *f)
{
	uint8_t request[CRED_HEADER_SIZE], again[CRED_SIZE_MAX], wanted[CRED_SIZE_MAX];

	memcpy(request, cred->msg, sizeof(request));
	request[CRED_AT_KIND] &= CRED_KIND_REPLY - 1;
	memcpy(wanted, cred->msg, cred->size);
	store_be32(wanted + CRED_AT_TTL, 0);
	wanted[REPLY_AT_HINT + 1] = 0;
	FUZZ_MUST(reply_build(again, cred->size, request, cred->msg + REPLY_AT_REQUEST_TAG, f) ==
		  cred->size);
	FUZZ_MUST(memcmp(again, wanted, cred->span_size) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_cred cred, request;
	struct reply_fields fields;

	if (reply_parse(data, size, &cred) != WIRE_OK)
		return 0;
	FUZZ_MUST(cred.size == size && cred.span_size + CRED_TAG_SIZE == size);
	FUZZ_MUST(cred_parse(data, size, &request) == WIRE_UNSUPPORTED);
	reply_inside_parse(data, size, &fields);
	FUZZ_MUST(fields.payload + fields.payload_size + CRED_TAG_SIZE == data + size);
	build_again(&cred, &fields);
	return 0;
}

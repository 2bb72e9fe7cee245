/* SPDX-License-Identifier: BSD-3-Clause */

/* cred_parse: what it takes can be built again to the same bytes, but for payload and tag. */

#include "tests/fuzz/wire/fuzz.h"
#include "wire/cred.h"
#include "wire/reply.h"

static void
build_again(const struct wire_cred *cred)
{
	struct cred_fields f = {
		.suite = cred->suite,
		.kind = cred->kind,
		.epoch = cred->epoch,
		.realm = cred->realm,
		.node = cred->node,
		.flags = cred->flags,
		.ttl_s = cred->ttl_s,
		.serial = cred->serial,
		.issued_us = cred->issued_us,
		.audience = cred->audience,
		.uid = load_be32(cred->msg + CRED_AT_UID),
		.gid = load_be32(cred->msg + CRED_AT_GID),
		.auth_uid = load_be32(cred->msg + CRED_AT_AUTH_UID),
		.auth_gid = load_be32(cred->msg + CRED_AT_AUTH_GID),
		.payload = cred->msg + CRED_AT_PAYLOAD,
		.payload_size = cred->size - CRED_SIZE_MIN,
	};
	uint8_t again[CRED_SIZE_MAX];

	memcpy(f.origin, cred->msg + CRED_AT_ORIGIN, sizeof(f.origin));
	memcpy(f.salt, cred->msg + CRED_AT_SALT, sizeof(f.salt));
	FUZZ_MUST(cred_build(again, sizeof(again), &f) == cred->size);
	FUZZ_MUST(memcmp(again, cred->msg, cred->span_size) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_cred cred, reply;
	enum wire_result result = cred_parse(data, size, &cred);

	FUZZ_MUST(cred.msg == data);
	if (result != WIRE_OK)
		return 0;
	FUZZ_MUST(cred.size == size && cred.span_size + CRED_TAG_SIZE == size);
	FUZZ_MUST(reply_parse(data, size, &reply) == WIRE_UNSUPPORTED);
	build_again(&cred);
	return 0;
}

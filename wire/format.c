/* SPDX-License-Identifier: BSD-3-Clause */

#include "wire/format.h"

#include "wire/cred_parse.h"

bool
wire_is_text(const uint8_t *msg, size_t size)
{
	return cred_is_text(msg, size);
}

static bool
native_recognise(const uint8_t *msg, size_t size)
{
	return size >= 4 && load_be32(msg) == CRED_MAGIC_BE32 && !cred_is_text(msg, size);
}

static void
native_span(const struct wire_cred *cred, struct wire_span *span)
{
	*span = (struct wire_span){
		.size = cred->span_size,
		.tag = cred->span_size,
	};
	if (cred_suite_is_sealed(cred->suite)) {
		span->sealed_first = CRED_SEALED_FIRST;
		span->sealed_size = cred->span_size - CRED_SEALED_FIRST;
	}
}

static unsigned
native_key_candidates(const struct wire_cred *cred, struct wire_key_id *ids, unsigned max)
{
	if (max == 0)
		return 0;
	ids[0] = (struct wire_key_id){
		.realm = cred->realm,
		.node = cred->node,
		.epoch = cred->epoch,
	};
	return 1;
}

static void
native_replay_identity(const struct wire_cred *cred, struct wire_replay_id *id)
{
	*id = (struct wire_replay_id){
		.serial = cred->serial,
		.tag = cred->msg + cred->span_size,
	};
}

const struct wire_format wire_formats[WIRE_FORMAT_COUNT] = {
	[WIRE_FORMAT_NATIVE] =
		{
			.name = "native",
			.id = WIRE_FORMAT_NATIVE,
			.recognise = native_recognise,
			.parse = cred_parse,
			.span = native_span,
			.key_candidates = native_key_candidates,
			.replay_identity = native_replay_identity,
		},
};

const struct wire_format *
wire_format_find(const uint8_t *msg, size_t size)
{
	unsigned i;

	for (i = 0; i < WIRE_FORMAT_COUNT; i++) {
		if (wire_formats[i].recognise(msg, size))
			return &wire_formats[i];
	}
	return NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * wire_format_find, wire_is_text and cred_parse agree: a format is found or not in a way that does
 * not change the verdict, and a row's functions stay inside what was parsed.
 */

#include "tests/fuzz/wire/fuzz.h"
#include "wire/format.h"

static void
row_check(const struct wire_format *format, const struct wire_cred *cred)
{
	struct wire_key_id ids[2];
	struct wire_replay_id replay;
	struct wire_span span;

	format->span(cred, &span);
	FUZZ_MUST(span.first + span.size <= cred->size);
	FUZZ_MUST(span.tag + CRED_TAG_SIZE <= cred->size);
	FUZZ_MUST(span.sealed_first + span.sealed_size <= cred->size);
	FUZZ_MUST(format->key_candidates(cred, ids, 2) == 1);
	FUZZ_MUST(ids[0].realm == cred->realm && ids[0].node == cred->node);
	format->replay_identity(cred, &replay);
	FUZZ_MUST(replay.serial != 0 && replay.tag == cred->msg + span.tag);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct wire_format *format = wire_format_find(data, size);
	struct wire_cred cred;
	enum wire_result native = cred_parse(data, size, &cred);

	if (wire_is_text(data, size)) {
		FUZZ_MUST(format == NULL && native == WIRE_UNSUPPORTED);
	} else if (format == NULL) {
		FUZZ_MUST(native == WIRE_MALFORMED);
	} else {
		FUZZ_MUST(format->parse(data, size, &cred) == native);
		if (native == WIRE_OK)
			row_check(format, &cred);
	}
	return 0;
}

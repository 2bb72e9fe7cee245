/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Replies (docs/wire-format.md, "Reply"): the credential header with other meanings in a few
 * fields, tagged and sealed with the node's reply keys.
 */

#include "wire/cred.h"

#define REPLY_AT_REQUEST_TAG 40
#define REPLY_AT_VERDICT     64
#define REPLY_AT_FIRST       65
#define REPLY_AT_HINT        66
#define REPLY_AT_RETRY       68
#define REPLY_AT_FLOOR       72

enum reply_hint {
	REPLY_HINT_NONE = 0,
	REPLY_HINT_SERIAL = 1, /* floor is the least serial */
	REPLY_HINT_ISSUED = 2, /* floor is the least issued_us */
	REPLY_HINT_LENGTH = 3, /* floor is the length needed */
};

struct reply_fields {
	uint8_t verdict; /* verdict/verdict.h */
	uint8_t first;   /* first verdict when DUPLICATE, else the same as verdict */
	uint8_t hint;    /* enum reply_hint */
	uint32_t retry_ms;
	uint64_t floor;
	uint64_t serial; /* worker (8 bits) and a 56-bit count */
	uint64_t issued_us;
	uint8_t salt[4];
	const uint8_t *payload;
	size_t payload_size;
};

/*
 * Builds the reply to the request whose header begins at `request` (CRED_HEADER_SIZE bytes are
 * read) and whose tag is `request_tag`, in clear, tag zeroed; crypto/tag.h seals it with the reply
 * slot. Returns its size, or 0 if it would not fit `room`. MUST be given a room no larger than the
 * request, so that a reply never is longer than what asked for it. `msg` may be the request's own
 * buffer, and tag and payload may lie in it. Any thread.
 */
size_t reply_build(uint8_t *msg, size_t room, const uint8_t *request,
	const uint8_t request_tag[CRED_TAG_SIZE], const struct reply_fields *fields);

/*
 * Parses the outside of a reply (header in clear): the same rules as cred_parse, but kind 128 + a
 * request kind, and no flag is known (any is UNSUPPORTED). The inside ([64, ...) of a sealed suite) is read with reply_inside_parse after the
 * tag is proved and the bytes are unsealed in place.
 */
enum wire_result reply_parse(const uint8_t *msg, size_t size, struct wire_cred *cred);

/*
 * Reads what a reply says from its unsealed bytes; payload points into msg. `size` is that of the
 * whole reply with its tag, which MUST have passed reply_parse. Any thread.
 */
void reply_inside_parse(const uint8_t *msg, size_t size, struct reply_fields *fields);

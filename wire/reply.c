/* SPDX-License-Identifier: BSD-3-Clause */

#include "wire/reply.h"

#include "wire/cred_parse.h"

/* The 80 bytes before the payload; what is not stored below is the request's. */
static void
header_store(uint8_t header[CRED_HEADER_SIZE], const uint8_t *request_tag, uint16_t size,
	const struct reply_fields *f)
{
	header[CRED_AT_KIND] |= CRED_KIND_REPLY;
	store_be16(header + CRED_AT_LENGTH, size);
	store_be16(header + CRED_AT_FLAGS, 0);
	store_be32(header + CRED_AT_TTL, 0);
	store_be64(header + CRED_AT_SERIAL, f->serial);
	store_be64(header + CRED_AT_ISSUED, f->issued_us);
	memcpy(header + REPLY_AT_REQUEST_TAG, request_tag, CRED_TAG_SIZE);
	memcpy(header + CRED_AT_SALT, f->salt, sizeof(f->salt));
	header[REPLY_AT_VERDICT] = f->verdict;
	header[REPLY_AT_FIRST] = f->first;
	header[REPLY_AT_HINT] = f->hint;
	header[REPLY_AT_HINT + 1] = 0;
	store_be32(header + REPLY_AT_RETRY, f->retry_ms);
	store_be64(header + REPLY_AT_FLOOR, f->floor);
}

size_t
reply_build(uint8_t *msg, size_t room, const uint8_t *request,
	const uint8_t request_tag[CRED_TAG_SIZE], const struct reply_fields *fields)
{
	size_t size = CRED_SIZE_MIN + fields->payload_size;
	uint8_t header[CRED_HEADER_SIZE];

	if (fields->payload_size > CRED_PAYLOAD_SIZE_MAX || size > room)
		return 0;
	/* Complete before the first store to msg, which may be the request's own buffer. */
	memcpy(header, request, sizeof(header));
	header_store(header, request_tag, (uint16_t)size, fields);
	if (fields->payload_size != 0)
		memmove(msg + CRED_AT_PAYLOAD, fields->payload, fields->payload_size);
	memcpy(msg, header, sizeof(header));
	memset(msg + size - CRED_TAG_SIZE, 0, CRED_TAG_SIZE);
	return size;
}

enum wire_result
reply_parse(const uint8_t *msg, size_t size, struct wire_cred *cred)
{
	return cred_parse_base(msg, size, cred, CRED_KIND_REPLY, 0);
}

void
reply_inside_parse(const uint8_t *msg, size_t size, struct reply_fields *fields)
{
	*fields = (struct reply_fields){
		.verdict = msg[REPLY_AT_VERDICT],
		.first = msg[REPLY_AT_FIRST],
		.hint = msg[REPLY_AT_HINT],
		.retry_ms = load_be32(msg + REPLY_AT_RETRY),
		.floor = load_be64(msg + REPLY_AT_FLOOR),
		.serial = load_be64(msg + CRED_AT_SERIAL),
		.issued_us = load_be64(msg + CRED_AT_ISSUED),
		.payload = msg + CRED_AT_PAYLOAD,
		.payload_size = size - CRED_SIZE_MIN,
	};
	memcpy(fields->salt, msg + CRED_AT_SALT, sizeof(fields->salt));
}

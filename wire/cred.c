/* SPDX-License-Identifier: BSD-3-Clause */

#include "wire/cred.h"

#include "wire/cred_parse.h"

enum wire_result
cred_parse(const uint8_t *msg, size_t size, struct wire_cred *cred)
{
	return cred_parse_inline(msg, size, cred);
}

/* Would cred_parse take what these fields make? */
static bool
fields_are_valid(const struct cred_fields *f)
{
	if (!cred_suite_is_known(f->suite) || (f->flags & ~CRED_FLAGS_KNOWN) != 0)
		return false;
	if (f->kind != CRED_KIND_ASSERT && f->kind != CRED_KIND_BEACON)
		return false;
	if (f->realm == 0 || f->node == 0 || f->epoch == 0)
		return false;
	return f->serial - 1 < CRED_SERIAL_MAX && f->issued_us < CRED_ISSUED_US_LIMIT;
}

static void
header_store(uint8_t *msg, const struct cred_fields *f, uint16_t size)
{
	memcpy(msg + CRED_AT_MAGIC, CRED_MAGIC, 4);
	msg[CRED_AT_SUITE] = f->suite;
	msg[CRED_AT_KIND] = f->kind;
	store_be16(msg + CRED_AT_LENGTH, size);
	store_be32(msg + CRED_AT_REALM, f->realm);
	store_be32(msg + CRED_AT_NODE, f->node);
	store_be16(msg + CRED_AT_EPOCH, f->epoch);
	store_be16(msg + CRED_AT_FLAGS, f->flags);
	store_be32(msg + CRED_AT_TTL, f->ttl_s);
	store_be64(msg + CRED_AT_SERIAL, f->serial);
	store_be64(msg + CRED_AT_ISSUED, f->issued_us);
	memcpy(msg + CRED_AT_ORIGIN, f->origin, sizeof(f->origin));
	store_be32(msg + CRED_AT_AUDIENCE, f->audience);
	memcpy(msg + CRED_AT_SALT, f->salt, sizeof(f->salt));
	store_be32(msg + CRED_AT_UID, f->uid);
	store_be32(msg + CRED_AT_GID, f->gid);
	store_be32(msg + CRED_AT_AUTH_UID, f->auth_uid);
	store_be32(msg + CRED_AT_AUTH_GID, f->auth_gid);
}

size_t
cred_build(uint8_t *msg, size_t room, const struct cred_fields *fields)
{
	size_t size = CRED_SIZE_MIN + fields->payload_size;

	if (fields->payload_size > CRED_PAYLOAD_SIZE_MAX || size > room)
		return 0;
	if (!fields_are_valid(fields))
		return 0;
	header_store(msg, fields, (uint16_t)size);
	if (fields->payload_size != 0)
		memcpy(msg + CRED_AT_PAYLOAD, fields->payload, fields->payload_size);
	memset(msg + size - CRED_TAG_SIZE, 0, CRED_TAG_SIZE);
	return size;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * cred_parse as an inline function, for the burst loop of the dataplane; everyone else calls
 * cred_parse (wire/cred.h), whose contract this is.
 *
 * Implementation notes. A genuine credential takes three branches, all predicted: is the header
 * there, is a rule of the layout broken, is anything not supported. Every field is loaded by whole words; all rules
 * are evaluated, without short cuts, into two masks whose bits are only asked whether they are all
 * zero.
 */

#include "wire/cred.h"

/* wire_cred holds 16 bits of a size; what is larger than any datagram is malformed anyway. */
static inline uint16_t
cred_size_clamp(size_t size)
{
	return size < UINT16_MAX ? (uint16_t)size : UINT16_MAX;
}

/* "CGC1:" ...: the text form. Suite 0x3A is never assigned, so five bytes tell. */
static inline bool
cred_is_text(const uint8_t *msg, size_t size)
{
	return size > CRED_AT_SUITE && load_be32(msg) == CRED_MAGIC_BE32 &&
	       msg[CRED_AT_SUITE] == ':';
}

/* Of bytes that are no binary credential. */
static inline enum wire_result
cred_refuse(const uint8_t *msg, size_t size)
{
	return cred_is_text(msg, size) ? WIRE_UNSUPPORTED : WIRE_MALFORMED;
}

/* Non-zero if a rule of the layout is broken. `length` is the header's own length field. */
static inline uint64_t
cred_broken(const struct wire_cred *cred, size_t size, uint32_t length)
{
	uint64_t broken = load_be32(cred->msg) ^ CRED_MAGIC_BE32;

	broken |= size - CRED_SIZE_MIN > CRED_PAYLOAD_SIZE_MAX;
	broken |= length ^ size;
	broken |= (cred->realm == 0) | (cred->node == 0) | (cred->epoch == 0);
	broken |= cred->serial - 1 >= CRED_SERIAL_MAX;
	broken |= cred->issued_us & CRED_ISSUED_US_LIMIT;
	return broken;
}

/*
 * Requests have kind_base 0, replies CRED_KIND_REPLY; flags_known are the flags they may carry.
 * Kind ask is reserved, and so is the reply to it.
 */
static inline enum wire_result
cred_parse_base(const uint8_t *msg, size_t size, struct wire_cred *cred, uint32_t kind_base,
	uint32_t flags_known)
{
	uint32_t shape, mark, odd;

	if (__builtin_expect(size < CRED_HEADER_SIZE, 0)) {
		*cred = (struct wire_cred){.msg = msg, .size = (uint16_t)size};
		return cred_refuse(msg, size);
	}
	shape = load_be32(msg + CRED_AT_SUITE);
	mark = load_be32(msg + CRED_AT_EPOCH);
	*cred = (struct wire_cred){
		.msg = msg,
		.serial = load_be64(msg + CRED_AT_SERIAL),
		.issued_us = load_be64(msg + CRED_AT_ISSUED),
		.realm = load_be32(msg + CRED_AT_REALM),
		.node = load_be32(msg + CRED_AT_NODE),
		.ttl_s = load_be32(msg + CRED_AT_TTL),
		.audience = load_be32(msg + CRED_AT_AUDIENCE),
		.size = cred_size_clamp(size),
		.span_size = cred_size_clamp(size) - CRED_TAG_SIZE,
		.epoch = (uint16_t)(mark >> 16),
		.flags = (uint16_t)mark,
		.suite = (uint8_t)(shape >> 24),
		.kind = (uint8_t)(shape >> 16),
	};
	odd = !cred_suite_is_known(cred->suite);
	odd |= cred->kind - kind_base - CRED_KIND_ASSERT > CRED_KIND_BEACON - CRED_KIND_ASSERT;
	odd |= mark & UINT16_MAX & ~flags_known;
	if (__builtin_expect(cred_broken(cred, size, shape & UINT16_MAX) != 0, 0))
		return cred_refuse(msg, size);
	return __builtin_expect(odd != 0, 0) ? WIRE_UNSUPPORTED : WIRE_OK;
}

/* cred_parse, inline. */
static inline enum wire_result
cred_parse_inline(const uint8_t *msg, size_t size, struct wire_cred *cred)
{
	return cred_parse_base(msg, size, cred, 0, CRED_FLAGS_KNOWN);
}

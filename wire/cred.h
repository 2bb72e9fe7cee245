/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Native credential, version 1 (docs/wire-format.md): offsets, limits, the parsed form, parse and
 * build. No keys here: what is parsed is a claim until crypto/tag.h has proved it.
 */

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/bytes.h"

#define CRED_MAGIC            "CGC1"
#define CRED_MAGIC_BE32       0x43474331u
#define CRED_HEADER_SIZE      80u
#define CRED_TAG_SIZE         16u
#define CRED_PAYLOAD_SIZE_MAX 1136u
#define CRED_SIZE_MIN         (CRED_HEADER_SIZE + CRED_TAG_SIZE)
#define CRED_SIZE_MAX         (CRED_SIZE_MIN + CRED_PAYLOAD_SIZE_MAX)

/* An IPv6 packet of the minimum MTU carries the largest credential (RFC 8200 section 5). */
static_assert(CRED_SIZE_MAX + 8 + 40 == 1280, "docs/wire-format.md, layout");

#define CRED_AT_MAGIC     0
#define CRED_AT_SUITE     4
#define CRED_AT_KIND      5
#define CRED_AT_LENGTH    6
#define CRED_AT_REALM     8
#define CRED_AT_NODE      12
#define CRED_AT_EPOCH     16
#define CRED_AT_FLAGS     18
#define CRED_AT_TTL       20
#define CRED_AT_SERIAL    24
#define CRED_AT_ISSUED    32
#define CRED_AT_ORIGIN    40
#define CRED_AT_AUDIENCE  56
#define CRED_AT_SALT      60
#define CRED_AT_UID       64
#define CRED_AT_GID       68
#define CRED_AT_AUTH_UID  72
#define CRED_AT_AUTH_GID  76
#define CRED_AT_PAYLOAD   80
#define CRED_SEALED_FIRST 64 /* sealed suites: first byte of ciphertext */

/* Serials run from 1 to this, inclusive: 2^64 - 2^32 - 1. */
#define CRED_SERIAL_MAX      (UINT64_MAX - UINT32_MAX - 1)
#define CRED_ISSUED_US_LIMIT ((uint64_t)1 << 63)
#define CRED_ID_ANYONE       UINT32_MAX

enum cred_suite {
	CRED_SUITE_CMAC128 = 1,
	CRED_SUITE_CMAC256 = 2,
	CRED_SUITE_SEALED128 = 3, /* the default */
	CRED_SUITE_SEALED256 = 4,
};
#define CRED_SUITE_COUNT   5 /* array bound: index 0 is unused */
#define CRED_SUITE_DEFAULT CRED_SUITE_SEALED128

static inline bool
cred_suite_is_known(uint8_t suite)
{
	return suite - 1u < 4u;
}

static inline bool
cred_suite_is_sealed(uint8_t suite)
{
	return suite >= CRED_SUITE_SEALED128;
}

/* Bytes of each key of the suite: 16 or 32. */
static inline unsigned
cred_suite_key_size(uint8_t suite)
{
	return suite & 1 ? 16 : 32;
}

enum cred_kind {
	CRED_KIND_ASSERT = 1,
	CRED_KIND_BEACON = 2,
	CRED_KIND_ASK = 3,
	CRED_KIND_REPLY = 128, /* added to the kind it answers */
};

#define CRED_FLAG_REPLY  0x0001u /* the sender wants a reply */
#define CRED_FLAGS_KNOWN CRED_FLAG_REPLY

/* What a parser says of bytes; stages turn it into the verdict of the same name. */
enum wire_result {
	WIRE_OK = 0,
	WIRE_MALFORMED = 1,
	WIRE_UNSUPPORTED = 2,
};

/*
 * The parsed form, one cache line, host byte order. `msg` points at the credential itself, which
 * must outlive it; fields that are only compared or copied (origin, salt, payload) are read there.
 */
struct wire_cred {
	const uint8_t *msg;
	uint64_t serial;
	uint64_t issued_us;
	uint32_t realm;
	uint32_t node;
	uint32_t ttl_s;
	uint32_t audience;
	uint16_t size;      /* bytes of the whole credential */
	uint16_t span_size; /* bytes under the tag, from msg; the tag follows them */
	uint16_t epoch;
	uint16_t flags;
	uint8_t suite;
	uint8_t kind;
	uint8_t format; /* enum wire_format_id */
	uint8_t reserved[13];
};
static_assert(sizeof(struct wire_cred) == 64, "one line per credential");

/*
 * Parses `size` bytes at `msg` as a native request. Reads nothing past `size` and takes no length
 * from inside on trust: the length field must equal `size`. First that applies: UNSUPPORTED if the
 * bytes begin as the text form does ("CGC1:"); MALFORMED (bad magic, size, length field, zero
 * realm/node/epoch, serial or issued_us out of range); UNSUPPORTED (suite, kind other than assert
 * and beacon, flags). Whatever it returns, `cred` is filled in as far as the header was there, so
 * that a refusal can name what was claimed; with fewer than CRED_HEADER_SIZE bytes it is zeroed
 * apart from msg, size and format. Any thread. In a burst loop use cred_parse_inline
 * (wire/cred_parse.h).
 */
enum wire_result cred_parse(const uint8_t *msg, size_t size, struct wire_cred *cred);

/* Everything a builder needs; host byte order, addresses as 16 bytes in network order. */
struct cred_fields {
	uint8_t suite;
	uint8_t kind;
	uint16_t epoch;
	uint32_t realm;
	uint32_t node;
	uint16_t flags;
	uint32_t ttl_s;
	uint64_t serial;
	uint64_t issued_us;
	uint8_t origin[16];
	uint32_t audience;
	uint8_t salt[4];
	uint32_t uid;
	uint32_t gid;
	uint32_t auth_uid;
	uint32_t auth_gid;
	const uint8_t *payload; /* may be NULL when payload_size is 0 */
	size_t payload_size;
};

/*
 * Writes header and payload in clear at `msg` (room for `room` bytes) and leaves the 16 bytes of
 * the tag zeroed: crypto/tag.h seals and tags in place. Returns the size of the whole credential,
 * or 0 if the payload is too large, a field is out of range or there is no room.
 */
size_t cred_build(uint8_t *msg, size_t room, const struct cred_fields *fields);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A credential format is this small table of functions and nothing else: the stages of the
 * dataplane know formats only through it, so that a second one joins without touching them. The
 * stages call the native functions directly when the first bytes are CRED_MAGIC (the table would
 * cost an indirect call per credential); every other format goes through its row.
 */

#include "wire/cred.h"

enum wire_format_id {
	WIRE_FORMAT_NATIVE = 0,
	WIRE_FORMAT_COUNT
};

/* Which key may have made a tag. */
struct wire_key_id {
	uint32_t realm;
	uint32_t node;
	uint16_t epoch;
};

/* What is under the tag, and what is sealed; offsets from wire_cred.msg. */
struct wire_span {
	uint16_t first;        /* first byte under the tag */
	uint16_t size;         /* bytes under the tag */
	uint16_t tag;          /* where the tag is */
	uint16_t sealed_first; /* first sealed byte */
	uint16_t sealed_size;  /* 0: nothing is sealed */
};

/* What makes a credential the same credential again. */
struct wire_replay_id {
	uint64_t serial; /* 0: the format has no serials, use the tag */
	const uint8_t *tag;
};

struct wire_format {
	const char *name;
	uint8_t id; /* enum wire_format_id */
	/* Does a datagram of `size` bytes at `msg` claim to be of this format? */
	bool (*recognise)(const uint8_t *msg, size_t size);
	/* As cred_parse. */
	enum wire_result (*parse)(const uint8_t *msg, size_t size, struct wire_cred *cred);
	void (*span)(const struct wire_cred *cred, struct wire_span *span);
	/* Fills at most `max` ids, most likely first; returns how many. */
	unsigned (*key_candidates)(
		const struct wire_cred *cred, struct wire_key_id *ids, unsigned max);
	void (*replay_identity)(const struct wire_cred *cred, struct wire_replay_id *id);
};

extern const struct wire_format wire_formats[WIRE_FORMAT_COUNT];

/*
 * The format a datagram claims, or NULL: then it is MALFORMED, or UNSUPPORTED when it is a known
 * text form (wire_is_text). Any thread.
 */
const struct wire_format *wire_format_find(const uint8_t *msg, size_t size);

/* "CGC1:" ...: the text form, which is not taken in a datagram (UNSUPPORTED). */
bool wire_is_text(const uint8_t *msg, size_t size);

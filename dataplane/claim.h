/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The usual claim. Credentials of one sort (format, suite, kind, size, realm, time to live,
 * audience) break the same rules of layout and policy or none. A claim shape remembers a sort that
 * broke none, so that another credential of it is compared with the shape at once, 16 bytes at a
 * time, and only what is a credential's own is still looked at: source, node, serial, time.
 *
 * A credential without its shape is no worse: it goes the general way (wire/cred_parse.h,
 * dataplane/admit.c), which decides everything and knows nothing of shapes. So a shape may only
 * say "nothing to refuse"; it never refuses.
 *
 * Shapes hold for the table generation they were learnt in, and until the real-time clock steps
 * back. Owner: one worker.
 */

#include <smmintrin.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/frame.h"
#include "dataplane/view.h"
#include "wire/cred.h"

/* Direct-mapped by suite, kind, size, realm and audience; what shares a place takes turns. */
#define CLAIM_SHAPES_LOG2 6u
#define CLAIM_SHAPES      (1u << CLAIM_SHAPES_LOG2)

/* The header's first 64 bytes in host byte order. */
struct claim_words {
	__m128i names;  /* magic, shape (suite, kind, length), realm, node */
	__m128i serial; /* mark (epoch, flags), ttl_s, serial */
	__m128i issued; /* issued_us, first half of the origin */
	__m128i last;   /* second half of the origin, salt as it came, audience */
};

struct claim_shape {
	_Alignas(64) __m128i names; /* of claim_words, without the node; magic 0: no shape */
	__m128i serial;             /* ttl_s only */
	__m128i last;               /* audience only */
	__m128i origin;             /* all ones: the origin has to be the source */
	const struct table_realm *realm;
	uint64_t skew_us;
	uint64_t age_us_max; /* of now + skew - issued_us */
	uint64_t floor_us;
	uint64_t serial_max; /* when it was learnt: grown since, if anything, or it is forgotten */
	uint32_t base;       /* slot of node n is base + n ... */
	uint32_t nodes_max;  /* ... for n from 1 to this */
	uint32_t groups;
	uint32_t size;   /* of the whole credential */
	uint32_t column; /* of rules (dataplane/table_rules.h) */
};
static_assert(sizeof(struct claim_shape) == 128, "two lines");

/* `msg` MUST have CRED_HEADER_SIZE readable bytes. */
static inline struct claim_shape *
claim_shape_of(struct claim_shape *shapes, const uint8_t *msg)
{
	uint64_t sort;
	uint32_t audience;

	static_assert(CRED_AT_REALM == CRED_AT_SUITE + 4, "suite, kind, length and realm");
	memcpy(&sort, msg + CRED_AT_SUITE, sizeof(sort));
	memcpy(&audience, msg + CRED_AT_AUDIENCE, sizeof(audience));
	return &shapes[(sort ^ audience) * 0x9e3779b97f4a7c15ull >> (64 - CLAIM_SHAPES_LOG2)];
}

static inline struct claim_words
claim_words_load(const uint8_t *msg)
{
	const __m128i *from = (const __m128i *)msg;

	return (struct claim_words){
		.names = _mm_shuffle_epi8(_mm_loadu_si128(from),
			_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12)),
		.serial = _mm_shuffle_epi8(_mm_loadu_si128(from + 1),
			_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8)),
		.issued = _mm_shuffle_epi8(_mm_loadu_si128(from + 2),
			_mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 8, 9, 10, 11, 12, 13, 14, 15)),
		.last = _mm_shuffle_epi8(_mm_loadu_si128(from + 3),
			_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 14, 15, 11, 10, 9, 8)),
	};
}

static inline __m128i
claim_source(struct frame_address source)
{
	return _mm_set_epi64x((long long)source.low, (long long)source.high);
}

/*
 * Is the claim of that shape, with nothing to refuse? True also says that issued_us is below 2^63
 * and the only flag, if any, CRED_FLAG_REPLY. Of the epoch it says nothing, not even that it is not
 * 0: no live slot has that one, so stage admit looks at such a claim by all the rules.
 */
static inline bool
claim_has_shape(const struct claim_shape *shape, const struct claim_words *words,
	struct frame_address source)
{
	const __m128i names = _mm_and_si128(
		_mm_xor_si128(words->names, shape->names), _mm_setr_epi32(-1, -1, -1, 0));
	const __m128i serial = _mm_and_si128(_mm_xor_si128(words->serial, shape->serial),
		_mm_setr_epi32(UINT16_MAX & ~CRED_FLAGS_KNOWN, -1, 0, 0));
	const __m128i issued =
		_mm_and_si128(words->issued, _mm_set_epi64x(0, (long long)CRED_ISSUED_US_LIMIT));
	const __m128i last =
		_mm_and_si128(_mm_xor_si128(words->last, shape->last), _mm_setr_epi32(0, 0, 0, -1));
	const __m128i origin = _mm_and_si128(
		_mm_xor_si128(_mm_alignr_epi8(words->last, words->issued, 8), claim_source(source)),
		shape->origin);
	const __m128i differs = _mm_or_si128(
		_mm_or_si128(names, serial), _mm_or_si128(_mm_or_si128(issued, last), origin));

	return _mm_testz_si128(differs, differs);
}

/*
 * Are node, serial and time, each a credential's own, such that nothing refuses them? Sums do not
 * overflow: claim_shape_learn sees to that.
 */
static inline bool
claim_is_current(const struct claim_shape *shape, uint64_t now_us, uint32_t node, uint64_t serial,
	uint64_t issued_us)
{
	const uint64_t age_us = now_us + shape->skew_us - issued_us;

	return node - 1 < shape->nodes_max && serial - 1 < shape->serial_max &&
	       age_us <= shape->age_us_max && issued_us >= shape->floor_us;
}

/*
 * The claim's last word in a verdict record (dataplane/record.h), in its form for the way, and in
 * the upper half what struct burst_item keeps beside it: the word a key slot has to have, the bytes
 * under the tag, the IP header's offset and that the claim is usual.
 */
static inline __m128i
claim_tail(const struct claim_words *words, const uint8_t *msg, uint16_t source_port, uint8_t l3)
{
	/* After the length's, the bytes of suite ... node: then those of flags and epoch. */
	const __m128i from = _mm_alignr_epi8(words->serial, words->names, 4);
	const __m128i tail = _mm_shuffle_epi8(
		from, _mm_setr_epi8(-1, -1, 0, 1, 14, 15, 2, -1, 14, 15, -1, 3, 0, 1, -1, -1));
	const __m128i fixed = _mm_setr_epi16(
		0, -(short)CRED_SIZE_MIN, 0, 0, 0, KEY_SLOT_LIVE, -(short)CRED_TAG_SIZE, 1 << 8);
	const uint64_t own =
		(uint64_t)(msg[CRED_AT_FLAGS + 1] & CRED_FLAG_REPLY) << 55 | source_port;

	return _mm_or_si128(
		_mm_add_epi16(tail, fixed), _mm_set_epi64x((long long)l3 << 48, (long long)own));
}

/*
 * Remembers the sort of a credential that was parsed and whose realm is known, if it can be;
 * `incarnation_max` as in struct burst.
 */
void claim_shape_learn(struct claim_shape *shape, const struct view *view,
	const struct wire_cred *cred, const struct table_realm *realm, uint64_t incarnation_max);

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage parse for CPUs with AVX-512 VBMI: a packet of a sort that was usual before is compared with
 * it in two registers, and its verdict record is picked out of them by one permutation. Whatever
 * else comes takes the way of parse.c, and may teach a sort. Built with the flags of
 * dataplane/meson.build, reached only where parse_avx512_is_supported() holds.
 */

#include <immintrin.h>

#include "dataplane/packet.h"
#include "dataplane/parse_priv.h"
#include "dataplane/record.h"

#define XOR_THEN_AND 0x28 /* truth table of (a ^ b) & c for vpternlog */

/*
 * What of a frame is a sort's, as dataplane/frame.c has it: destination, one station as source,
 * IPv4 without options or fragments, UDP, address and port, and both lengths.
 */
static const _Alignas(64) uint8_t packet_frame_mask[64] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
	0, 0, 0, 0, 0, 0xff, 0xff,                            /* Ethernet */
	0xff, 0, 0xff, 0xff, 0, 0, 0x3f, 0xff, 0, 0xff, 0, 0, /* IPv4 */
	0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,                   /* addresses */
	0, 0, 0xff, 0xff, 0xff, 0xff};                        /* UDP */

/* The header's fields to host byte order; origin and salt stay as they came. By 16 bytes. */
static const _Alignas(64) uint8_t packet_swap[64] = {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14,
	13, 12,                                                /* magic, shape, realm, node */
	3, 2, 1, 0, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8,  /* mark, ttl_s, serial */
	7, 6, 5, 4, 3, 2, 1, 0, 8, 9, 10, 11, 12, 13, 14, 15,  /* issued_us, origin */
	0, 1, 2, 3, 4, 5, 6, 7, 11, 10, 9, 8, 12, 13, 14, 15}; /* origin, audience, salt */

/* In 32-bit words of the claim: what is a sort's whatever the realm, and its origin's in a strict
 * one; of issued_us only that it is below 2^63. */
static const _Alignas(64) uint32_t packet_claim_mask[16] = {
	~0u, ~0u, ~0u, 0, UINT16_MAX, ~0u, 0, 0, 0, 1u << 31, 0, 0, 0, 0, ~0u, 0};
static const _Alignas(64) uint32_t packet_origin_mask[16] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ~0u, ~0u, ~0u, 0, 0, 0};

/* Where a byte of the record comes from: the claim in host byte order, or the frame. */
#define CLAIM(at) (at)
#define FRAME(at) (64 + (at))
#define NOTHING   0

static const _Alignas(64) uint8_t packet_record_from[64] = {CLAIM(60), CLAIM(61), CLAIM(62),
	CLAIM(63),                                                              /* salt */
	CLAIM(56), CLAIM(57), CLAIM(58), CLAIM(59),                             /* audience */
	NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, /* time */
	CLAIM(24), CLAIM(25), CLAIM(26), CLAIM(27), CLAIM(28), CLAIM(29), CLAIM(30), CLAIM(31),
	NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, /* source */
	NOTHING, NOTHING, NOTHING, NOTHING, FRAME(26), FRAME(27), FRAME(28), FRAME(29), CLAIM(8),
	CLAIM(9), CLAIM(10), CLAIM(11),                                         /* realm */
	CLAIM(12), CLAIM(13), CLAIM(14), CLAIM(15),                             /* node */
	NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, /* uid, gid */
	FRAME(35), FRAME(34),                                                   /* source port */
	CLAIM(4), CLAIM(5),                                                     /* length */
	CLAIM(18), CLAIM(19),                                                   /* epoch */
	CLAIM(6), NOTHING};                                                     /* kind */
#define RECORD_COMES 0x7f00fff000ff00ffull /* bitmap of the bytes that come from anywhere */
static_assert(offsetof(struct verdict_record, source) == 24, "packet_record_from");

bool
parse_avx512_is_supported(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi");
}

/* Size, port and checksum as one word. */
static inline uint32_t
frame_descriptor(const struct burst_frame *frame)
{
	uint32_t descriptor;

	static_assert(
		offsetof(struct burst_frame, checksum) == offsetof(struct burst_frame, size) + 3,
		"one word");
	memcpy(&descriptor, &frame->size, sizeof(descriptor));
	return descriptor;
}

static inline struct packet_shape *
packet_shape_of(struct worker *worker, const uint8_t *msg)
{
	uint64_t sort;
	uint32_t audience, mark;

	memcpy(&sort, msg + CRED_AT_SUITE, sizeof(sort));
	memcpy(&audience, msg + CRED_AT_AUDIENCE, sizeof(audience));
	memcpy(&mark, msg + CRED_AT_EPOCH, sizeof(mark));
	sort ^= audience ^ (mark & (uint32_t)CRED_FLAG_REPLY << 24);
	return &worker->packets[sort * 0x9e3779b97f4a7c15ull >> (64 - PACKET_SHAPES_LOG2)];
}

/* The credential's first 64 bytes in host byte order. */
static inline __m512i
claim_load(const uint8_t *msg)
{
	return _mm512_shuffle_epi8(_mm512_loadu_si512(msg), _mm512_load_si512(packet_swap));
}

/* What of both registers is not as the sort has it. */
static inline __m512i
packet_differs(const struct packet_shape *shape, __m512i frame, __m512i claim)
{
	const __m512i differs = _mm512_ternarylogic_epi32(frame, _mm512_load_si512(shape->frame),
		_mm512_load_si512(packet_frame_mask), XOR_THEN_AND);

	return _mm512_or_si512(
		differs, _mm512_ternarylogic_epi32(claim, _mm512_load_si512(shape->claim),
				 _mm512_load_si512(shape->claim_mask), XOR_THEN_AND));
}

/* What is a packet's own: its source, node, serial and time (claim_is_current). */
static inline bool
packet_is_current(const struct packet_shape *shape, const uint8_t *data, uint64_t now_us)
{
	const uint8_t *msg = data + PARSE_USUAL_AT;
	const uint8_t *source = data + FRAME_ETHER_SIZE + 12;
	const uint64_t issued_us = load_be64(msg + CRED_AT_ISSUED);
	uint32_t from, origin;

	memcpy(&from, source, sizeof(from));
	memcpy(&origin, msg + CRED_AT_ORIGIN + 12, sizeof(origin));
	return ((from ^ origin) & shape->origin_mask) == 0 && frame_ipv4_is_sender(source) &&
	       load_be32(msg + CRED_AT_NODE) - 1 < shape->nodes_max &&
	       load_be64(msg + CRED_AT_SERIAL) - 1 < shape->serial_max &&
	       now_us + shape->skew_us - issued_us <= shape->age_us_max &&
	       issued_us >= shape->floor_us;
}

/* What item_fill_usual does in parse.c. */
static inline void
packet_item_fill(const struct worker *worker, struct burst_item *item,
	const struct packet_shape *shape, const uint8_t *msg, __m512i frame, __m512i claim)
{
	const __m512i record = _mm512_maskz_permutex2var_epi8(
		RECORD_COMES, claim, _mm512_load_si512(packet_record_from), frame);
	const uint32_t window = shape->base + load_be32(msg + CRED_AT_NODE);
	const struct key_slot *slot = &worker->burst.view.slots[window];
	const uint64_t word = shape->item_word | load_be16(msg + CRED_AT_EPOCH);

	view_slot_prefetch(slot);
	_mm512_store_si512(
		&item->record, _mm512_add_epi16(record, _mm512_load_si512(shape->addends)));
	item->msg = msg;
	item->key.realm = shape->realm;
	item->key.slot = slot;
	item->key.window = window;
	item->key.groups = shape->groups;
	item->column = (uint16_t)shape->column;
	memcpy(&item->slot_word, &word, sizeof(word));
}

/* By a NIC's word; else each packet's are summed, whatever the first of its sort had. */
static inline bool
packet_sums_are_right(const struct worker *worker, const struct burst_frame *frame)
{
	return frame->checksum == BURST_CHECKSUM_GOOD ||
	       frame_sums_are_right(&worker->shapes[frame->port], frame->data + FRAME_ETHER_SIZE,
		       frame->size - FRAME_ETHER_SIZE);
}

/* A packet of a sort that was seen before, with nothing to refuse. */
static inline bool
packet_parse(struct worker *worker, const struct burst_frame *frame, struct burst_item *item)
{
	const uint8_t *data = frame->data;
	const uint8_t *msg = data + PARSE_USUAL_AT;
	const struct packet_shape *shape;
	__m512i packet, claim, differs;

	if (frame->size < PARSE_USUAL_AT + CRED_SIZE_MIN)
		return false;
	shape = packet_shape_of(worker, msg);
	packet = _mm512_loadu_si512(data);
	claim = claim_load(msg);
	differs = packet_differs(shape, packet, claim);
	if (frame_descriptor(frame) != shape->descriptor ||
		_mm512_test_epi32_mask(differs, differs) != 0 ||
		!packet_is_current(shape, data, worker->burst.now_us) ||
		!packet_sums_are_right(worker, frame))
		return false;
	packet_item_fill(worker, item, shape, msg, packet, claim);
	return true;
}

/* The packet of a sort that both its frame and its claim were found usual. */
static void
packet_learn(struct worker *worker, const struct burst_frame *frame, const struct burst_item *item)
{
	const struct claim_shape *claim = claim_shape_of(worker->claims, item->msg);
	struct packet_shape *shape = packet_shape_of(worker, item->msg);
	const bool is_strict = _mm_cvtsi128_si32(claim->origin) != 0;
	const __m512i claim_mask = _mm512_or_si512(_mm512_load_si512(packet_claim_mask),
		_mm512_maskz_load_epi32(is_strict ? UINT16_MAX : 0, packet_origin_mask));
	uint16_t addends[32] = {0};

	addends[RECORD_AT_SOURCE / 2 + 5] = UINT16_MAX; /* ::ffff:0:0/96 */
	addends[RECORD_AT_TAIL / 2 + 1] = (uint16_t)-CRED_SIZE_MIN;
	addends[RECORD_AT_TAIL / 2 + 3] = item_wants_reply(item) ? HANDOFF_KIND_ANSWER : 0;
	_mm512_store_si512(shape->frame, _mm512_and_si512(_mm512_loadu_si512(frame->data),
						 _mm512_load_si512(packet_frame_mask)));
	_mm512_store_si512(shape->claim, _mm512_and_si512(claim_load(item->msg), claim_mask));
	_mm512_store_si512(shape->claim_mask, claim_mask);
	memcpy(shape->addends, addends, sizeof(addends));
	shape->realm = claim->realm;
	shape->skew_us = claim->skew_us;
	shape->age_us_max = claim->age_us_max;
	shape->floor_us = claim->floor_us;
	shape->serial_max = claim->serial_max;
	shape->descriptor = frame_descriptor(frame);
	shape->origin_mask = is_strict ? UINT32_MAX : 0;
	shape->base = claim->base;
	shape->nodes_max = claim->nodes_max;
	shape->groups = claim->groups;
	shape->column = claim->column;
	memcpy(&shape->item_word, &item->slot_word, sizeof(shape->item_word));
	shape->item_word &= ~(uint64_t)UINT16_MAX;
}

static __attribute__((noinline)) bool
packet_rare(struct worker *worker, unsigned i, struct burst_result *result)
{
	const struct burst_frame *frame = &worker->burst.frames[i];
	const struct burst_item *item = &worker->burst.items[i];
	struct frame_datagram datagram;

	if (!parse_rare(worker, i, result))
		return false;
	if (item->is_usual && frame_parse_usual(&worker->shapes[frame->port], frame, &datagram))
		packet_learn(worker, frame, item);
	return true;
}

unsigned
parse_avx512(struct worker *worker, unsigned count, struct burst_result *result)
{
	struct burst *burst = &worker->burst;
	const struct burst_frame *frames = burst->frames;
	unsigned live = 0;
	unsigned i;

	for (i = 0; i < count && i < PARSE_PREFETCH_FRAMES; i++)
		parse_prefetch(&frames[i]);
	for (i = 0; i < count; i++) {
		if (i + PARSE_PREFETCH_FRAMES < count)
			parse_prefetch(&frames[i + PARSE_PREFETCH_FRAMES]);
		burst->live[live] = (uint8_t)i;
		live += packet_parse(worker, &frames[i], &burst->items[i]) ||
			packet_rare(worker, i, result);
	}
	return live;
}

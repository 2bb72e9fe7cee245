/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 1: frames to credentials (dataplane/frame.h, then the credential's own layout). What is not
 * for us is only counted; what is for us but damaged below UDP is counted apart; what reaches our
 * UDP port and is no credential has a verdict.
 */

#include "dataplane/burst.h"
#include "dataplane/record.h"

/*
 * How many frames ahead the loop fetches: far enough that a line from L3 is there in time, near
 * enough that three lines a frame stay within the CPU's outstanding misses.
 */
#define PARSE_PREFETCH_FRAMES 8u

/* In a copy, so that the usual frame's datagram never needs to lie in memory. */
static inline enum frame_class
parse_unusual(const struct worker_port *port, const struct burst_frame *frame,
	struct frame_datagram *datagram)
{
	struct frame_datagram copy = {.payload = frame->data};
	const enum frame_class class = frame_parse(port, frame, &copy);

	*datagram = copy;
	return class;
}

static inline enum frame_class
parse_frame(const struct worker *worker, const struct burst_frame *frame,
	struct frame_datagram *datagram)
{
	if (frame_parse_usual(&worker->shapes[frame->port], frame, datagram))
		return FRAME_CREDENTIAL;
	return parse_unusual(&worker->ports[frame->port], frame, datagram);
}

/*
 * The record in its form for the way. Fields that share a word are stored as one: the ring is
 * written by words, and a word that is loaded while its parts are still on their way to the cache
 * stalls the CPU.
 */
static inline void
record_fill(struct verdict_record *record, const struct wire_cred *cred,
	const struct frame_datagram *datagram, uint32_t salt)
{
	const uint8_t kind = cred->kind | (cred->flags & CRED_FLAG_REPLY ? HANDOFF_KIND_ANSWER : 0);

	record_store(record, RECORD_AT_START, (uint64_t)cred->audience << 32 | salt);
	record_store(record, RECORD_AT_SERIAL, cred->serial);
	record_store(record, RECORD_AT_SOURCE, datagram->source.high);
	record_store(record, RECORD_AT_SOURCE + 8, datagram->source.low);
	record_store(record, RECORD_AT_NAMES, (uint64_t)cred->node << 32 | cred->realm);
	record_store(record, RECORD_AT_TAIL,
		(uint64_t)kind << 48 | (uint64_t)cred->epoch << 32 |
			(uint64_t)(uint16_t)(cred->size - CRED_SIZE_MIN) << 16 |
			datagram->source_port);
}

static inline void
item_fill(struct burst_item *item, const struct wire_cred *cred,
	const struct frame_datagram *datagram)
{
	uint32_t salt;

	memcpy(&salt, cred->msg + CRED_AT_SALT, sizeof(salt));
	record_fill(&item->record, cred, datagram, salt);
	item->msg = cred->msg;
	item->slot_word = item_slot_word(cred->epoch, cred->suite);
	item->span_size = cred->span_size;
	item->l3 = datagram->l3;
	item->is_usual = false;
	item->ttl_s = cred->ttl_s;
	item->issued_us = cred->issued_us;
}

/* Its realm and the place of its node's slot, which is then on its way. */
static inline enum verdict
parse_key(const struct view *view, const struct wire_cred *cred, struct view_key *key)
{
	key->realm = view_realm(view, cred->realm);
	if (key->realm == NULL)
		return VERDICT_UNKNOWN_REALM;
	key->window = view_slot(view, key->realm, cred->node);
	view_slot_prefetch(&view->slots[key->window]);
	return VERDICT_NONE;
}

/* By the row of the format that the bytes claim; MALFORMED or UNSUPPORTED if there is none. */
static enum wire_result
parse_format(const uint8_t *msg, size_t size, struct wire_cred *cred)
{
	const struct wire_format *format = wire_format_find(msg, size);

	if (format != NULL)
		return format->parse(msg, size, cred);
	*cred = (struct wire_cred){.msg = msg, .size = (uint16_t)size};
	return wire_is_text(msg, size) ? WIRE_UNSUPPORTED : WIRE_MALFORMED;
}

static enum verdict
parse_judge(const struct view *view, enum frame_class class, enum wire_result result,
	const struct wire_cred *cred, struct view_key *key)
{
	if (class == FRAME_MAPPED || result == WIRE_MALFORMED)
		return VERDICT_MALFORMED;
	return result == WIRE_OK ? parse_key(view, cred, key) : VERDICT_UNSUPPORTED;
}

/* Any credential, by all the rules; another one of its sort may then be a usual one. */
static __attribute__((noinline)) enum verdict
parse_general(struct worker *worker, enum frame_class class, const struct frame_datagram *datagram,
	struct burst_item *item)
{
	struct burst *burst = &worker->burst;
	struct wire_cred cred;
	const enum wire_result result =
		parse_format(datagram->payload, datagram->payload_size, &cred);
	const enum verdict verdict = parse_judge(&burst->view, class, result, &cred, &item->key);
	struct verdict_record record = {0};

	if (verdict == VERDICT_NONE) {
		item_fill(item, &cred, datagram);
		claim_shape_learn(claim_shape_of(worker->claims, cred.msg), &burst->view, &cred,
			item->key.realm);
		return VERDICT_NONE;
	}
	record_fill(&record, &cred, datagram, 0);
	deliver_refused(worker, &record, verdict, false);
	return verdict;
}

/* What record_fill does, from words: salt and audience; serial, source, realm, node; the rest. */
static inline void
record_fill_usual(struct verdict_record *record, const struct claim_words *words,
	const struct frame_datagram *datagram, uint32_t mark, uint32_t shape)
{
	const __m128d source = _mm_castsi128_pd(claim_source(datagram->source));
	__m128i *quarters = (__m128i *)record;

	_mm_store_si128(&quarters[0], _mm_unpackhi_epi64(words->last, words->last));
	_mm_store_pd(
		(double *)&quarters[1], _mm_shuffle_pd(_mm_castsi128_pd(words->serial), source, 1));
	_mm_store_pd(
		(double *)&quarters[2], _mm_shuffle_pd(source, _mm_castsi128_pd(words->names), 3));
	record_store(record, RECORD_AT_TAIL,
		(uint64_t)(shape & 0x00ff0000) << 32 | (uint64_t)(mark & CRED_FLAG_REPLY) << 55 |
			(uint64_t)(mark >> 16) << 32 |
			(uint64_t)(uint16_t)(shape - CRED_SIZE_MIN) << 16 | datagram->source_port);
}

/* A native credential of a sort that was seen before, of which nothing is to be refused. */
static inline bool
parse_usual(struct worker *worker, const struct frame_datagram *datagram, struct burst_item *item)
{
	const uint8_t *msg = datagram->payload;
	const struct claim_shape *claim;
	struct claim_words words;
	uint32_t shape, mark, node;

	if (datagram->payload_size < CRED_SIZE_MIN)
		return false;
	claim = claim_shape_of(worker->claims, msg);
	words = claim_words_load(msg);
	shape = load_be32(msg + CRED_AT_SUITE);
	mark = load_be32(msg + CRED_AT_EPOCH);
	node = load_be32(msg + CRED_AT_NODE);
	if (!claim_has_shape(claim, &words, datagram->source) ||
		(shape & UINT16_MAX) != datagram->payload_size ||
		!claim_is_current(claim, &worker->burst.clock, node,
			load_be64(msg + CRED_AT_SERIAL), load_be64(msg + CRED_AT_ISSUED)))
		return false;
	record_fill_usual(&item->record, &words, datagram, mark, shape);
	item->msg = msg;
	item->key.realm = claim->realm;
	item->key.window = claim->base + node;
	item->key.groups = claim->groups;
	item->slot_word = item_slot_word((uint16_t)(mark >> 16), (uint8_t)(shape >> 24));
	item->span_size = (uint16_t)(shape - CRED_TAG_SIZE);
	item->l3 = datagram->l3;
	item->is_usual = true;
	view_slot_prefetch(&worker->burst.view.slots[item->key.window]);
	return true;
}

static inline enum verdict
parse_item(struct worker *worker, enum frame_class class, const struct frame_datagram *datagram,
	struct burst_item *item)
{
	const struct frame_datagram copy = *datagram;

	if (class == FRAME_CREDENTIAL && parse_usual(worker, &copy, item))
		return VERDICT_NONE;
	return parse_general(worker, class, &copy, item);
}

/* What is no credential at all. */
static void
count_other(struct worker_stats *stats, enum frame_class class)
{
	if (class == FRAME_NEIGHBOUR)
		stat_add(&stats->rx_neighbour, 1);
	else if (class == FRAME_NOT_OURS)
		stat_add(&stats->rx_not_ours, 1);
	else
		stat_add(&stats->rx_bad_packet, 1);
}

/* Ethernet, IP and UDP headers and the fixed part of a credential. */
static void
prefetch_frame(const struct burst_frame *frame)
{
	__builtin_prefetch(frame->data);
	__builtin_prefetch(frame->data + 64);
	__builtin_prefetch(frame->data + 128);
}

unsigned
burst_parse(struct worker *worker, unsigned count, struct burst_result *result)
{
	struct burst *burst = &worker->burst;
	unsigned live = 0;
	unsigned i;

	for (i = 0; i < count && i < PARSE_PREFETCH_FRAMES; i++)
		prefetch_frame(&burst->frames[i]);
	for (i = 0; i < count; i++) {
		struct burst_item *item = &burst->items[i];
		struct frame_datagram datagram;
		enum frame_class class;

		if (i + PARSE_PREFETCH_FRAMES < count)
			prefetch_frame(&burst->frames[i + PARSE_PREFETCH_FRAMES]);
		class = parse_frame(worker, &burst->frames[i], &datagram);
		if (class > FRAME_MAPPED) {
			result->neighbours |= (uint64_t)(class == FRAME_NEIGHBOUR) << i;
			count_other(worker->stats, class);
			continue;
		}
		if (parse_item(worker, class, &datagram, item) == VERDICT_NONE)
			burst->live[live++] = (uint8_t)i;
	}
	return live;
}

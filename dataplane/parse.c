/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 1: frames to credentials (dataplane/frame.h, then the credential's own layout). What is not
 * for us is only counted; what is for us but damaged below UDP is counted apart; what reaches our
 * UDP port and is no credential has a verdict.
 */

#include "dataplane/parse_priv.h"
#include "dataplane/record.h"

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
	key->slot = &view->slots[key->window];
	view_slot_prefetch(key->slot);
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
static enum verdict
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
			item->key.realm, burst->incarnation_max);
		return VERDICT_NONE;
	}
	record_fill(&record, &cred, datagram, 0);
	deliver_refused(worker, &record, verdict, false);
	return verdict;
}

/* What item_fill does, of a claim that has a shape. */
static inline void
item_fill_usual(struct burst_item *item, const struct claim_shape *shape,
	const struct claim_words *words, const struct frame_datagram *datagram, uint32_t window)
{
	const __m128d source = _mm_castsi128_pd(claim_source(datagram->source));
	const __m128i tail =
		claim_tail(words, datagram->payload, datagram->source_port, datagram->l3);
	__m128i *quarters = (__m128i *)&item->record;

	_mm_store_si128(&quarters[0], _mm_unpackhi_epi64(words->last, words->last));
	_mm_store_pd(
		(double *)&quarters[1], _mm_shuffle_pd(_mm_castsi128_pd(words->serial), source, 1));
	_mm_store_pd(
		(double *)&quarters[2], _mm_shuffle_pd(source, _mm_castsi128_pd(words->names), 3));
	_mm_storel_epi64((void *)((uint8_t *)&item->record + RECORD_AT_TAIL), tail);
	_mm_storeh_pd((double *)(void *)&item->slot_word, _mm_castsi128_pd(tail));
	item->msg = datagram->payload;
	item->key.realm = shape->realm;
	item->key.window = window;
	item->key.groups = shape->groups;
	item->column = (uint16_t)shape->column;
}

/* A native credential of a sort that was seen before, of which nothing is to be refused. */
static inline bool
parse_usual(struct worker *worker, const struct frame_datagram *datagram, struct burst_item *item)
{
	const uint8_t *msg = datagram->payload;
	const struct claim_shape *shape = claim_shape_of(worker->claims, msg);
	const struct claim_words words = claim_words_load(msg);
	const uint32_t node = load_be32(msg + CRED_AT_NODE);
	const struct key_slot *slot;

	if (!claim_has_shape(shape, &words, datagram->source) ||
		datagram->payload_size != shape->size ||
		!claim_is_current(shape, worker->burst.now_us, node,
			load_be64(msg + CRED_AT_SERIAL), load_be64(msg + CRED_AT_ISSUED)))
		return false;
	slot = &worker->burst.view.slots[shape->base + node];
	view_slot_prefetch(slot);
	item_fill_usual(item, shape, &words, datagram, shape->base + node);
	item->key.slot = slot;
	return true;
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

/* Another kind of frame may carry a usual claim. */
__attribute__((noinline)) bool
parse_rare(struct worker *worker, unsigned i, struct burst_result *result)
{
	const struct burst_frame *frame = &worker->burst.frames[i];
	struct burst_item *item = &worker->burst.items[i];
	struct frame_datagram datagram = {.payload = frame->data};
	const enum frame_class class = frame_parse(&worker->ports[frame->port], frame, &datagram);

	if (class > FRAME_MAPPED) {
		result->neighbours |= (uint64_t)(class == FRAME_NEIGHBOUR) << i;
		count_other(worker->stats, class);
		return false;
	}
	if (class == FRAME_CREDENTIAL && datagram.payload_size >= CRED_SIZE_MIN &&
		parse_usual(worker, &datagram, item))
		return true;
	return parse_general(worker, class, &datagram, item) == VERDICT_NONE;
}

static inline bool
parse_frame(struct worker *worker, unsigned i, struct burst_result *result)
{
	const struct burst_frame *frame = &worker->burst.frames[i];
	struct frame_datagram datagram;

	return (frame_parse_usual(&worker->shapes[frame->port], frame, &datagram) &&
		       parse_usual(worker, &datagram, &worker->burst.items[i])) ||
	       parse_rare(worker, i, result);
}

unsigned
parse_portable(struct worker *worker, unsigned count, struct burst_result *result)
{
	struct burst *burst = &worker->burst;
	unsigned live = 0;
	unsigned i;

	for (i = 0; i < count && i < PARSE_PREFETCH_FRAMES; i++)
		parse_prefetch(&burst->frames[i]);
	for (i = 0; i < count; i++) {
		if (i + PARSE_PREFETCH_FRAMES < count)
			parse_prefetch(&burst->frames[i + PARSE_PREFETCH_FRAMES]);
		burst->live[live] = (uint8_t)i;
		live += parse_frame(worker, i, result);
	}
	return live;
}

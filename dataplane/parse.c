/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 1: frames to credentials (dataplane/frame.h, then the credential's own layout). What is not
 * for us is only counted; what is for us but damaged below UDP is counted apart; what reaches our
 * UDP port and is no credential has a verdict.
 */

#include "dataplane/burst.h"
#include "dataplane/record.h"
#include "wire/cred_parse.h"

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
	item->issued_us = cred->issued_us;
	item->ttl_s = cred->ttl_s;
	item->span_size = cred->span_size;
	item->suite = cred->suite;
	item->l3 = datagram->l3;
}

/* Its realm and the place of its node's slot, which is then on its way. */
static inline enum verdict
parse_key(const struct view *view, const struct wire_cred *cred, struct view_key *key)
{
	key->realm = view_realm(view, cred->realm);
	if (key->realm == NULL)
		return VERDICT_UNKNOWN_REALM;
	key->window = view_slot(view, key->realm, cred->node);
	view_slot_prefetch(view, key->window);
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

/* Whatever it is: a credential of another format, or what there is of a claim, refused. */
static __attribute__((noinline)) enum verdict
parse_rare(struct worker *worker, enum frame_class class, const struct frame_datagram *datagram,
	struct burst_item *item)
{
	struct wire_cred cred;
	const enum wire_result result =
		parse_format(datagram->payload, datagram->payload_size, &cred);
	const enum verdict verdict =
		parse_judge(&worker->burst.view, class, result, &cred, &item->key);
	struct verdict_record record = {0};

	if (verdict == VERDICT_NONE) {
		item_fill(item, &cred, datagram);
		return VERDICT_NONE;
	}
	record_fill(&record, &cred, datagram, 0);
	deliver_refused(worker, &record, verdict, false);
	return verdict;
}

/* A good native credential, in registers; everything else is looked at once more, apart. */
static inline enum verdict
parse_item(struct worker *worker, enum frame_class class, const struct frame_datagram *datagram,
	struct burst_item *item)
{
	const struct frame_datagram copy = *datagram;
	struct wire_cred cred;

	if (class == FRAME_CREDENTIAL && copy.payload_size >= CRED_SIZE_MIN &&
		cred_parse_inline(copy.payload, copy.payload_size, &cred) == WIRE_OK &&
		parse_key(&worker->burst.view, &cred, &item->key) == VERDICT_NONE) {
		item_fill(item, &cred, &copy);
		return VERDICT_NONE;
	}
	return parse_rare(worker, class, &copy, item);
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

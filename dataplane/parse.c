/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 1: frames to credentials (dataplane/frame.h, then the credential's own layout). What is not
 * for us is only counted; what is for us but damaged below UDP is counted apart; what reaches our
 * UDP port and is no credential has a verdict.
 */

#include "dataplane/burst.h"
#include "wire/cred_parse.h"

/*
 * How many frames ahead the loop fetches: far enough that a line from L3 is there in time, near
 * enough that three lines a frame stay within the CPU's outstanding misses.
 */
#define PARSE_PREFETCH_FRAMES 8u

/* Not our own format's first bytes: another format's row, or none. */
static enum wire_result
parse_foreign(const uint8_t *msg, size_t size, struct wire_cred *cred)
{
	const struct wire_format *format = wire_format_find(msg, size);

	if (format != NULL)
		return format->parse(msg, size, cred);
	*cred = (struct wire_cred){.msg = msg, .size = (uint16_t)size};
	return wire_is_text(msg, size) ? WIRE_UNSUPPORTED : WIRE_MALFORMED;
}

static enum wire_result
parse_credential(const uint8_t *msg, size_t size, struct wire_cred *cred)
{
	if (size >= 4 && load_be32(msg) == CRED_MAGIC_BE32)
		return cred_parse_inline(msg, size, cred);
	return parse_foreign(msg, size, cred);
}

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

/* The frame's headers, into the item; its credential is `datagram`'s payload. */
static inline enum frame_class
parse_frame(const struct worker *worker, const struct burst_frame *frame, struct burst_item *item,
	struct frame_datagram *datagram)
{
	enum frame_class class = FRAME_CREDENTIAL;

	if (!frame_parse_usual(&worker->shapes[frame->port], frame, datagram))
		class = parse_unusual(&worker->ports[frame->port], frame, datagram);
	item->source = datagram->source;
	item->source_port = datagram->source_port;
	item->l3 = datagram->l3;
	return class;
}

/* The credential's verdict; if there is none yet, its node's slot is on its way. */
static inline enum verdict
parse_item(const struct view *view, const struct frame_datagram *datagram, struct burst_item *item)
{
	const enum wire_result result =
		parse_credential(datagram->payload, datagram->payload_size, &item->cred);

	if (result != WIRE_OK)
		return result == WIRE_UNSUPPORTED ? VERDICT_UNSUPPORTED : VERDICT_MALFORMED;
	item->key.realm = view_realm(view, item->cred.realm);
	if (item->key.realm == NULL)
		return VERDICT_UNKNOWN_REALM;
	item->key.window = view_slot(view, item->key.realm, item->cred.node);
	view_slot_prefetch(view, item->key.window);
	return VERDICT_NONE;
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
		enum verdict verdict;

		if (i + PARSE_PREFETCH_FRAMES < count)
			prefetch_frame(&burst->frames[i + PARSE_PREFETCH_FRAMES]);
		class = parse_frame(worker, &burst->frames[i], item, &datagram);
		if (class > FRAME_MAPPED) {
			result->neighbours |= (uint64_t)(class == FRAME_NEIGHBOUR) << i;
			count_other(worker->stats, class);
			continue;
		}
		verdict = parse_item(&burst->view, &datagram, item);
		if (class == FRAME_MAPPED)
			verdict = VERDICT_MALFORMED;
		if (verdict != VERDICT_NONE)
			deliver_refused_item(worker, item, verdict);
		else
			burst->live[live++] = (uint8_t)i;
	}
	return live;
}

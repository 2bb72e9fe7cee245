/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/replies.h"

#include "wire/reply.h"

#define PROTOCOL_UDP 17u

/* Replies that were asked for, on their way to being proved. */
struct batch {
	unsigned count;
	const uint8_t *msgs[TAG_BATCH_MAX];
	const struct key_slot *slots[TAG_BATCH_MAX];
	uint16_t sizes[TAG_BATCH_MAX];
	uint64_t dues[TAG_BATCH_MAX];
};

int
replies_init(struct replies *replies, const struct mint *mint)
{
	*replies = (struct replies){
		.settings = mint->settings,
		.keys = mint->keys,
		.engine = mint->engine,
	};
	return settings_wants_replies(mint->settings) ? flight_init(&replies->flight) : 0;
}

void
replies_fini(struct replies *replies)
{
	flight_fini(&replies->flight);
}

static void
tag_load(struct flight_entry *entry, const uint8_t tag[CRED_TAG_SIZE])
{
	memcpy(&entry->low, tag, sizeof(entry->low));
	memcpy(&entry->high, tag + sizeof(entry->low), sizeof(entry->high));
}

void
replies_expect(struct replies *replies, const struct mint *mint, const uint64_t *dues)
{
	const struct mint_burst *burst = &mint->burst;
	unsigned i;

	for (i = 0; i < burst->count; i++) {
		struct flight_entry entry = {.due = dues[i], .node = burst->items[i].node};

		if (!burst->items[i].wants_reply)
			continue;
		entry.span = mint->shapes[burst->items[i].shape].span_size;
		tag_load(&entry, burst->creds[i] + entry.span);
		flight_add(&replies->flight, &entry);
	}
}

/* The UDP payload of a frame from the gateway's port; NULL if it is another frame. */
static const uint8_t *
datagram_of(const struct settings *s, const uint8_t *frame, uint32_t size, uint32_t *payload_size)
{
	const bool is_ipv4 = settings_is_ipv4(s->to);
	const uint32_t l3_size = is_ipv4 ? 20 : 40;
	const uint8_t *ip, *udp;
	uint32_t l3;

	if (size < 14 + l3_size + 8 + CRED_SIZE_MIN)
		return NULL;
	l3 = load_be16(frame + 12) == 0x8100 ? 18 : 14;
	ip = frame + l3;
	udp = ip + l3_size;
	if (size < l3 + l3_size + 8 + CRED_SIZE_MIN)
		return NULL;
	if (is_ipv4 && (load_be16(ip - 2) != 0x0800 || ip[0] != 0x45 || ip[9] != PROTOCOL_UDP ||
			       memcmp(ip + 12, s->to + 12, 4) != 0))
		return NULL;
	if (!is_ipv4 && (load_be16(ip - 2) != 0x86dd || ip[6] != PROTOCOL_UDP ||
				memcmp(ip + 8, s->to, 16) != 0))
		return NULL;
	*payload_size = load_be16(udp + 4);
	if (load_be16(udp) != s->to_port || *payload_size < 8 ||
		*payload_size > size - (uint32_t)(udp - frame))
		return NULL;
	*payload_size -= 8;
	return udp + 8;
}

/* Is it well-formed, and a reply to something that is under way? */
static void
reply_match(struct replies *replies, struct batch *batch, const uint8_t *msg, uint32_t size,
	struct results *results)
{
	struct flight_entry wanted, entry;
	const struct key_slot *slot;
	struct wire_cred cred;

	if (reply_parse(msg, size, &cred) != WIRE_OK) {
		results->received_other++;
		return;
	}
	tag_load(&wanted, msg + REPLY_AT_REQUEST_TAG);
	if (!flight_take(&replies->flight, wanted.high, wanted.low, &entry)) {
		results->replies_unmatched++;
		return;
	}
	slot = &replies->keys->replies[entry.node];
	if (cred.realm != slot->realm || cred.node != slot->node || cred.epoch != slot->epoch ||
		cred.suite != slot->suite || cred.span_size > entry.span) {
		results->replies_unproved++;
		return;
	}
	batch->msgs[batch->count] = msg;
	batch->slots[batch->count] = slot;
	batch->sizes[batch->count] = cred.span_size;
	batch->dues[batch->count++] = entry.due;
}

/* Nanoseconds from TSC cycles. */
static uint64_t
ns_of(const struct results *results, uint64_t cycles)
{
	return (uint64_t)((double)cycles * 1e9 / (double)results->tsc_hz);
}

static void
batch_prove(
	struct replies *replies, const struct batch *batch, uint64_t now, struct results *results)
{
	struct tag_identity inside[TAG_BATCH_MAX];
	const uint64_t proved = tag_batch_verify(
		replies->engine, batch->slots, batch->msgs, batch->sizes, inside, batch->count);
	unsigned i;

	for (i = 0; i < batch->count; i++) {
		if ((proved >> i & 1) == 0) {
			results->replies_unproved++;
			continue;
		}
		results->replies[inside[i].bytes[0] % VERDICT_COUNTERS]++;
		results->reply_count++;
		histogram_record(&results->send_to_reply, ns_of(results, now - batch->dues[i]));
	}
}

void
replies_take(struct replies *replies, const uint8_t *const *frames, const uint16_t *sizes,
	unsigned count, uint64_t now, struct results *results)
{
	struct batch batch = {.count = 0};
	unsigned i;

	for (i = 0; i < count; i++) {
		uint32_t size;
		const uint8_t *msg = datagram_of(replies->settings, frames[i], sizes[i], &size);

		if (msg == NULL || replies->flight.entries == NULL)
			results->received_other++;
		else
			reply_match(replies, &batch, msg, size, results);
	}
	batch_prove(replies, &batch, now, results);
}

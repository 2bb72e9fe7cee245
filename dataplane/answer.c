/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Replies. Whoever asks must have proved a key that still lives; a refusal is told only to the
 * address that the credential itself names as its origin (or, where origins are not compared with
 * sources, to one of the node's prefixes), so that a captured packet cannot make the gateway talk
 * to strangers, and no reply is longer than what asked for it.
 */

#include "dataplane/answer.h"

#include "dataplane/burst.h"
#include "dataplane/checksum.h"
#include "dataplane/limit.h"
#include "dataplane/meter.h"

#define ETHER_SIZE 14u
#define VLAN_SIZE  4u
#define IPV4_SIZE  20u
#define IPV6_SIZE  40u
#define UDP_SIZE   8u
#define UDP        17u
#define HOPS       64u
#define DONT_SPLIT 0x4000u

static_assert(ANSWERS_MAX == 2 * TAG_BATCH_MAX, "sealed in two batches");

static bool
address_is_ipv4(const uint8_t address[16])
{
	return load_be64(address) == 0 && load_be32(address + 8) == 0xffff;
}

void
answer_prefetch(const struct worker *worker, const struct burst_item *item)
{
	const struct verdict_record *record = &item->record;
	const struct key_slot *slot = item->key.slot;

	replay_cache_prefetch(worker->replay, slot->shard % REPLAY_SHARDS, record->realm,
		record->node, record->serial);
	view_slot_prefetch(view_reply(&worker->burst.view, slot));
}

void
answer_context_fill(
	const struct worker *worker, const struct burst_item *item, struct answer_context *context)
{
	const struct burst_frame *frame = &worker->burst.frames[item - worker->burst.items];
	const uint8_t *ip = frame->data + item->l3;

	*context = (struct answer_context){
		.size = item->span_size + CRED_TAG_SIZE,
		.port = frame->port,
	};
	memcpy(context->tag, item->msg + item->span_size, sizeof(context->tag));
	memcpy(context->origin, item->msg + CRED_AT_ORIGIN, sizeof(context->origin));
	memcpy(context->mac, frame->data + 6, sizeof(context->mac));
	if (item->l3 != ETHER_SIZE) {
		context->vlan = load_be16(frame->data + ETHER_SIZE);
		context->flags = ANSWER_HAS_VLAN;
	}
	if (address_is_ipv4(item->record.source))
		memcpy(context->local + 12, ip + 16, 4);
	else
		memcpy(context->local, ip + 24, 16);
}

/* ---- who gets an answer ---- */

/* Verdicts that are told to nobody: no live key, nothing proved, or the bytes came before. */
static bool
verdict_is_silent(enum verdict verdict)
{
	const uint32_t silent = 1u << VERDICT_NONE | 1u << VERDICT_MALFORMED |
				1u << VERDICT_UNKNOWN_REALM | 1u << VERDICT_UNKNOWN_NODE |
				1u << VERDICT_UNKNOWN_EPOCH | 1u << VERDICT_REVOKED |
				1u << VERDICT_BAD_TAG | 1u << VERDICT_REPLAYED;

	return silent >> verdict & 1;
}

/* Is the packet's source an address that may be told about a refusal? */
static bool
source_may_hear(const struct view *view, const struct own_cred *cred)
{
	if (cred->key->realm->origin_mode == TABLE_ORIGIN_CLAIMED ||
		cred->key->realm->origin_mode == TABLE_ORIGIN_OFF)
		return view_prefixes_have(view, cred->key->slot, cred->record->source);
	return memcmp(cred->record->source, cred->answer->origin, 16) == 0;
}

static bool
refusal_is_due(const struct worker *worker, const struct own_cred *cred, enum verdict verdict)
{
	return cred->answer != NULL && !verdict_is_silent(verdict) &&
	       source_may_hear(&worker->burst.view, cred);
}

/* ---- building ---- */

/* As much of the request's header as the reply repeats: a handed-over one has no other. */
static void
request_header(uint8_t header[CRED_HEADER_SIZE], const struct own_cred *cred)
{
	memset(header, 0, CRED_HEADER_SIZE);
	store_be32(header + CRED_AT_MAGIC, CRED_MAGIC_BE32);
	header[CRED_AT_SUITE] = cred->key->slot->suite;
	header[CRED_AT_KIND] = cred->record->kind & (uint8_t)~HANDOFF_KIND_ANSWER;
	store_be16(header + CRED_AT_LENGTH, cred->answer->size);
	store_be32(header + CRED_AT_REALM, cred->record->realm);
	store_be32(header + CRED_AT_NODE, cred->record->node);
	store_be16(header + CRED_AT_EPOCH, cred->record->epoch);
	store_be64(header + CRED_AT_SERIAL, cred->record->serial);
	store_be32(header + CRED_AT_AUDIENCE, cred->record->audience);
}

/* The least serial that is not stale. */
static uint64_t
least_serial(const struct worker *worker, const struct own_cred *cred)
{
	const struct replay_node *node = &worker->replay->nodes[cred->key->window];
	const uint64_t window_bits = (uint64_t)1 << (node->bits_log2 & 63);

	return node->top >= window_bits ? node->top - window_bits + 1 : 1;
}

static void
reply_fields_fill(struct worker *worker, const struct own_cred *cred, enum verdict verdict,
	enum verdict first, struct reply_fields *fields)
{
	const uint64_t count = worker->answers.serial_count++ & (((uint64_t)1 << 56) - 1);

	*fields = (struct reply_fields){
		.verdict = (uint8_t)verdict,
		.first = (uint8_t)first,
		.serial = (uint64_t)worker->index << 56 | count,
		.issued_us = worker->burst.now_us,
	};
	memcpy(fields->salt, worker->config.reply_salt, sizeof(fields->salt));
	if (verdict == VERDICT_BUSY) {
		fields->retry_ms = ANSWER_RETRY_MS;
	} else if (verdict == VERDICT_OVER_RATE) {
		fields->retry_ms = limit_retry_ms(worker, cred->key->slot);
	} else if (verdict == VERDICT_FLOOR) {
		fields->hint = REPLY_HINT_ISSUED;
		fields->floor = cred->key->realm->floor_us;
	} else if (verdict == VERDICT_STALE) {
		fields->hint = REPLY_HINT_SERIAL;
		fields->floor = least_serial(worker, cred);
	}
}

/* Ethernet header and tag; returns where the IP header goes. */
static uint8_t *
build_ethernet(uint8_t *frame, const struct worker_port *port, const struct answer_context *answer,
	bool is_ipv4)
{
	memcpy(frame, answer->mac, 6);
	memcpy(frame + 6, port->mac, 6);
	frame += 12;
	if (answer->flags & ANSWER_HAS_VLAN) {
		store_be16(frame, 0x8100);
		store_be16(frame + 2, answer->vlan);
		frame += VLAN_SIZE;
	}
	store_be16(frame, is_ipv4 ? 0x0800 : 0x86dd);
	return frame + 2;
}

static uint8_t *
build_ipv4(uint8_t *ip, const uint8_t local[16], const uint8_t remote[16], uint16_t udp_size)
{
	uint16_t sum;

	memset(ip, 0, IPV4_SIZE);
	ip[0] = 0x45;
	store_be16(ip + 2, (uint16_t)(IPV4_SIZE + udp_size));
	store_be16(ip + 6, DONT_SPLIT);
	ip[8] = HOPS;
	ip[9] = UDP;
	memcpy(ip + 12, local + 12, 4);
	memcpy(ip + 16, remote + 12, 4);
	sum = (uint16_t)~checksum_fold(checksum_add(0, ip, IPV4_SIZE));
	memcpy(ip + 10, &sum, sizeof(sum));
	return ip + IPV4_SIZE;
}

static uint8_t *
build_ipv6(uint8_t *ip, const uint8_t local[16], const uint8_t remote[16], uint16_t udp_size)
{
	store_be32(ip, 0x60000000);
	store_be16(ip + 4, udp_size);
	ip[6] = UDP;
	ip[7] = HOPS;
	memcpy(ip + 8, local, 16);
	memcpy(ip + 24, remote, 16);
	return ip + IPV6_SIZE;
}

/*
 * UDP header; the field of the checksum holds the addresses' sum until the rest is sealed
 * (checksum_finish).
 */
static uint8_t *
build_udp(uint8_t *udp, uint16_t local, uint16_t remote, uint16_t size, bool is_ipv4)
{
	const unsigned addresses_size = is_ipv4 ? 8 : 32;
	const uint16_t pseudo = checksum_fold(checksum_add(
		checksum_be16(UDP) + checksum_be16(size), udp - addresses_size, addresses_size));

	store_be16(udp, local);
	store_be16(udp + 2, remote);
	store_be16(udp + 4, size);
	memcpy(udp + 6, &pseudo, sizeof(pseudo));
	return udp + UDP_SIZE;
}

/* The sum over what is there now; a sum of zero is sent as its other form (RFC 768). */
static void
checksum_finish(uint8_t *udp, uint16_t size)
{
	uint16_t sum = (uint16_t)~checksum_fold(checksum_add(0, udp, size));

	if (sum == 0)
		sum = 0xffff;
	memcpy(udp + 6, &sum, sizeof(sum));
}

static uint8_t *
build_headers(struct worker *worker, uint8_t *frame, const struct own_cred *cred)
{
	const struct answer_context *answer = cred->answer;
	const struct worker_port *port = &worker->ports[answer->port];
	const bool is_ipv4 = address_is_ipv4(cred->record->source);
	const uint16_t udp_size = UDP_SIZE + ANSWER_CRED_SIZE;
	uint8_t *at = build_ethernet(frame, port, answer, is_ipv4);

	if (is_ipv4)
		at = build_ipv4(at, answer->local, cred->record->source, udp_size);
	else
		at = build_ipv6(at, answer->local, cred->record->source, udp_size);
	return build_udp(at, port->udp_port, cred->record->port, udp_size, is_ipv4);
}

/* Port 0 is nobody's; without reply keys there is nothing to prove a reply with. */
static bool
answer_is_possible(
	const struct answers *answers, const struct own_cred *cred, const struct key_slot *reply)
{
	return answers->count < ANSWERS_MAX && cred->record->port != 0 &&
	       reply->suite == cred->key->slot->suite;
}

static void
answer_build(struct worker *worker, const struct own_cred *cred, enum verdict verdict,
	enum verdict first)
{
	struct answers *answers = &worker->answers;
	const struct key_slot *reply = view_reply(&worker->burst.view, cred->key->slot);
	const unsigned n = answers->count;
	uint8_t header[CRED_HEADER_SIZE];
	struct reply_fields fields;
	uint8_t *msg;

	if (!answer_is_possible(answers, cred, reply)) {
		stat_add(&worker->stats->replies_dropped, 1);
		return;
	}
	msg = build_headers(worker, answers->frames[n].frame, cred);
	request_header(header, cred);
	reply_fields_fill(worker, cred, verdict, first, &fields);
	if (reply_build(msg, ANSWER_CRED_SIZE, header, cred->answer->tag, &fields) == 0)
		return;
	answers->slots[n] = reply;
	answers->creds[n] = msg;
	answers->sizes[n] = ANSWER_CRED_SIZE - CRED_TAG_SIZE;
	answers->frame_sizes[n] = (uint16_t)(msg + ANSWER_CRED_SIZE - answers->frames[n].frame);
	answers->ports[n] = cred->answer->port;
	answers->count = n + 1;
}

void
answer_accepted(struct worker *worker, const struct own_cred *cred, enum verdict verdict,
	enum verdict first)
{
	if (cred->answer != NULL)
		answer_build(worker, cred, verdict, first);
}

/* Was this very credential told its refusal just now? The tag is proved, and public by that. */
static bool
refusal_is_repeated(struct worker *worker, const struct own_cred *cred)
{
	const uint64_t tag = load_be64(cred->answer->tag);
	struct answer_told *told = &worker->answers.told[tag >> (64 - ANSWER_REPEAT_LOG2)];
	const uint64_t now_ms = worker->burst.mono_ms;

	if (told->tag == tag && now_ms - told->mono_ms < ANSWER_REPEAT_MS)
		return true;
	*told = (struct answer_told){.tag = tag, .mono_ms = now_ms};
	return false;
}

void
answer_refused(struct worker *worker, const struct own_cred *cred, enum verdict verdict)
{
	struct meter_node *meter = meter_of(worker, cred->key->window);

	if (!refusal_is_due(worker, cred, verdict))
		return;
	if (!refusal_is_repeated(worker, cred) &&
		bucket_take_shared(
			&meter->reply_bucket, worker->burst.mono_ms, cred->key->realm->reply_rate))
		answer_build(worker, cred, verdict, verdict);
	else
		stat_add(&worker->stats->replies_dropped, 1);
}

void
answer_refused_here(struct worker *worker, const struct own_cred *cred, enum verdict verdict)
{
	if (!refusal_is_due(worker, cred, verdict))
		return;
	if (bucket_take(&worker->answers.busy_bucket, worker->burst.mono_ms, ANSWER_BUSY_PER_S))
		answer_build(worker, cred, verdict, verdict);
	else
		stat_add(&worker->stats->replies_dropped, 1);
}

static void
answers_seal(struct worker *worker)
{
	struct answers *answers = &worker->answers;
	unsigned first, count;

	for (first = 0; first < answers->count; first += count) {
		count = answers->count - first;
		if (count > TAG_BATCH_MAX)
			count = TAG_BATCH_MAX;
		tag_batch_seal(worker->engine, answers->slots + first, answers->creds + first,
			answers->sizes + first, count);
	}
}

void
answer_flush(struct worker *worker, struct burst_result *result)
{
	struct answers *answers = &worker->answers;
	unsigned n;

	result->reply_count = answers->count;
	if (answers->count == 0)
		return;
	answers_seal(worker);
	for (n = 0; n < answers->count; n++) {
		checksum_finish(answers->creds[n] - UDP_SIZE, UDP_SIZE + ANSWER_CRED_SIZE);
		result->replies[n] = (struct burst_reply){
			.data = answers->frames[n].frame,
			.size = answers->frame_sizes[n],
			.port = answers->ports[n],
		};
	}
	stat_add(&worker->stats->replies_sent, answers->count);
	answers->count = 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/mint.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/checksum.h"
#include "perf/loadgen/clock.h"
#include "perf/loadgen/fail.h"
#include "wire/bytes.h"

#define ETHER_SIZE   14u
#define VLAN_SIZE    4u
#define IPV4_SIZE    20u
#define IPV6_SIZE    40u
#define UDP_SIZE     8u
#define PROTOCOL_UDP 17u
#define TTL_HOPS     64u
#define NODE_UNKNOWN 0xf0000000u /* above every realm's nodes_max */

/* A frame that was sent, to be sent again. */
struct mint_kept {
	uint16_t size;
	uint8_t bytes[MINT_FRAME_MAX];
};

const char *mint_class_name(enum mint_class class)
{
	static const char *const names[MINT_CLASSES] = {
		[MINT_GENUINE] = "genuine",
		[MINT_FORGED] = "forged",
		[MINT_REPLAYED] = "replayed",
		[MINT_MALFORMED] = "malformed",
		[MINT_UNKNOWN] = "unknown",
	};

	return names[class];
}

/* ---- templates ---- */

static void
ether_store(
	const struct settings *s, uint8_t *frame, const uint8_t *to_mac, const uint8_t *from_mac)
{
	const uint16_t type = settings_is_ipv4(s->to) ? 0x0800 : 0x86dd;
	uint8_t *at = frame + 12;

	memcpy(frame, to_mac, 6);
	memcpy(frame + 6, from_mac, 6);
	if (s->vlan != 0) {
		store_be16(at, 0x8100);
		store_be16(at + 2, s->vlan);
		at += VLAN_SIZE;
	}
	store_be16(at, type);
}

static void
ipv4_store(const struct settings *s, struct mint_shape *shape, uint8_t *ip, uint16_t udp_size)
{
	ip[0] = 0x45;
	store_be16(ip + 2, IPV4_SIZE + udp_size);
	store_be16(ip + 6, 0x4000); /* don't fragment */
	ip[8] = TTL_HOPS;
	ip[9] = PROTOCOL_UDP;
	memcpy(ip + 16, s->to + 12, 4);
	shape->ip_sum = checksum_fold(checksum_add(0, ip, IPV4_SIZE));
}

static void
ipv6_store(const struct settings *s, uint8_t *ip, uint16_t udp_size)
{
	ip[0] = 0x60;
	store_be16(ip + 4, udp_size);
	ip[6] = PROTOCOL_UDP;
	ip[7] = TTL_HOPS;
	memcpy(ip + 24, s->to, 16);
}

static void
cred_store(const struct mint *mint, uint8_t *cred, uint16_t payload_size)
{
	const struct settings *s = mint->settings;
	uint8_t payload[CRED_PAYLOAD_SIZE_MAX];
	struct cred_fields fields = {
		.suite = CRED_SUITE_DEFAULT,
		.kind = s->kind,
		.epoch = s->epoch,
		.realm = mint->keys->slots[0].realm,
		.node = 1,
		.ttl_s = s->ttl_s,
		.serial = 1,
		.audience = s->audience,
		.uid = s->uid,
		.gid = s->gid,
		.auth_uid = CRED_ID_ANYONE,
		.auth_gid = CRED_ID_ANYONE,
		.payload = payload,
		.payload_size = payload_size,
	};

	memset(payload, 0x5a, sizeof(payload));
	cred_build(cred, CRED_SIZE_MIN + payload_size, &fields);
}

/* The node's address, in the packet and as the origin: the prefix with the node's index behind it. */
static void
source_store(const struct settings *s, const struct mint_shape *shape, uint8_t *ip, uint8_t *cred,
	uint32_t node)
{
	const bool is_ipv4 = settings_is_ipv4(s->from);
	const unsigned host_bits = (is_ipv4 ? 32 : 128) - s->from_bits;
	const uint32_t mask = host_bits < 32 ? ((uint32_t)1 << host_bits) - 1 : UINT32_MAX;
	uint8_t address[16];
	uint32_t low;
	uint16_t sum;

	memcpy(address, s->from, sizeof(address));
	low = load_be32(address + 12) + (node & mask);
	store_be32(address + 12, low);
	memcpy(cred + CRED_AT_ORIGIN, address, sizeof(address));
	if (!is_ipv4) {
		memcpy(ip + 8, address, sizeof(address));
		return;
	}
	store_be32(ip + 12, low);
	sum = (uint16_t)~checksum_fold((uint64_t)shape->ip_sum + __builtin_bswap32(low));
	memcpy(ip + 10, &sum, sizeof(sum));
}

static void
shape_build(const struct mint *mint, struct mint_shape *shape, uint16_t payload_size,
	const uint8_t *to_mac, const uint8_t *from_mac)
{
	const struct settings *s = mint->settings;
	const uint16_t udp_size = (uint16_t)(UDP_SIZE + CRED_SIZE_MIN + payload_size);
	uint8_t *ip = shape->bytes + mint->ip_at, *udp = shape->bytes + mint->udp_at;

	*shape = (struct mint_shape){
		.payload_size = payload_size,
		.span_size = (uint16_t)(CRED_HEADER_SIZE + payload_size),
		.frame_size = (uint16_t)(mint->udp_at + udp_size),
		.udp_sum = checksum_be16(PROTOCOL_UDP) + checksum_be16(udp_size),
	};
	shape->block_count = (uint16_t)((shape->frame_size + WIDE_BLOCK - 1) / WIDE_BLOCK);
	ether_store(s, shape->bytes, to_mac, from_mac);
	if (settings_is_ipv4(s->to))
		ipv4_store(s, shape, ip, udp_size);
	else
		ipv6_store(s, ip, udp_size);
	store_be16(udp + 2, s->to_port);
	store_be16(udp + 4, udp_size);
	cred_store(mint, shape->bytes + mint->cred_at, payload_size);
	source_store(s, shape, ip, shape->bytes + mint->cred_at, 0);
}

static void
shapes_build(struct mint *mint, const uint8_t *to_mac, const uint8_t *from_mac)
{
	const struct settings *s = mint->settings;
	uint64_t total = 0, sum = 0;
	unsigned i, next = 0;

	mint->ip_at = ETHER_SIZE + (s->vlan != 0 ? VLAN_SIZE : 0);
	mint->udp_at = mint->ip_at + (settings_is_ipv4(s->to) ? IPV4_SIZE : IPV6_SIZE);
	mint->cred_at = mint->udp_at + UDP_SIZE;
	mint->has_prefix = s->from_bits < (settings_is_ipv4(s->from) ? 32 : 128);
	for (i = 0; i < s->payload_count; i++)
		total += s->payload_weights[i];
	for (i = 0; i < s->payload_count; i++) {
		shape_build(mint, &mint->shapes[i], s->payload_sizes[i], to_mac, from_mac);
		sum += s->payload_weights[i];
		for (; next < sum * sizeof(mint->shape_of) / total; next++)
			mint->shape_of[next] = (uint8_t)i;
	}
}

/* ---- what comes next ---- */

static void
limits_set(struct mint *mint)
{
	const struct settings_shares *shares = &mint->settings->shares;
	const uint64_t parts[MINT_CLASSES] = {
		[MINT_FORGED] = shares->forged,
		[MINT_REPLAYED] = shares->replayed,
		[MINT_MALFORMED] = shares->malformed,
		[MINT_UNKNOWN] = shares->unknown,
	};
	uint64_t sum = 0;
	unsigned i;

	for (i = MINT_FORGED; i < MINT_CLASSES; i++)
		mint->limits[i] = sum += parts[i];
}

static uint8_t
class_of(const struct mint *mint, uint32_t draw)
{
	unsigned class = MINT_FORGED;

	if (draw >= mint->limits[MINT_CLASSES - 1])
		return MINT_GENUINE;
	while (draw >= mint->limits[class])
		class ++;
	return (uint8_t) class;
}

static void
item_draw(struct mint *mint, struct mint_item *item)
{
	const struct settings *s = mint->settings;
	const uint64_t one = random_next(&mint->plan), two = random_next(&mint->plan);

	item->node = random_scale((uint32_t)one, mint->keys->count);
	if (s->is_round_robin) {
		item->node = mint->turn++;
		mint->turn = mint->turn == mint->keys->count ? 0 : mint->turn;
	}
	item->draw = (uint32_t)(one >> 32);
	item->shape = mint->shape_of[two & 0xff];
	item->class = class_of(mint, (uint32_t)(two >> 32));
	item->wants_reply = item->class == MINT_GENUINE && item->draw < s->shares.reply;
}

/* Draws until MINT_AHEAD are known, and calls for the lines that sealing will want. */
static void
ahead_fill(struct mint *mint)
{
	for (; mint->drawn - mint->taken < MINT_AHEAD; mint->drawn++) {
		struct mint_item *item = &mint->ahead[mint->drawn % MINT_AHEAD];
		const struct key_slot *slot;

		item_draw(mint, item);
		slot = &mint->keys->slots[item->node];
		__builtin_prefetch(slot);
		__builtin_prefetch(slot->tag_key);
		__builtin_prefetch(&mint->keys->serials[item->node], 1);
	}
}

/* ---- one frame ---- */

/* A division only where there are ports to choose from: it costs as much as the other fields. */
static uint16_t
port_of(const struct settings *s, uint32_t node)
{
	return (uint16_t)(s->from_port + (s->from_ports == 1 ? 0 : node % s->from_ports));
}

/* Everything but seal, tag and checksum. */
static void
frame_fill(struct mint *mint, unsigned index, uint8_t *frame, uint64_t due, uint64_t now_us)
{
	const struct mint_item *item = &mint->burst.items[index];
	const struct mint_shape *shape = &mint->shapes[item->shape];
	const struct key_slot *slot = &mint->keys->slots[item->node];
	uint8_t *cred = frame + mint->cred_at;
	uint64_t serial;

	if (item->class == MINT_GENUINE)
		serial = keys_serial_take(mint->keys, item->node);
	else
		serial = mint->keys->serials[item->node];
	mint->wide->copy(frame, shape->bytes, shape->block_count);
	if (mint->has_prefix)
		source_store(mint->settings, shape, frame + mint->ip_at, cred, item->node);
	store_be16(frame + mint->udp_at, port_of(mint->settings, item->node));
	cred[CRED_AT_SUITE] = slot->suite;
	store_be32(cred + CRED_AT_NODE, slot->node);
	store_be16(cred + CRED_AT_EPOCH, slot->epoch);
	store_be16(cred + CRED_AT_FLAGS, item->wants_reply ? CRED_FLAG_REPLY : 0);
	store_be64(cred + CRED_AT_SERIAL, serial);
	store_be64(cred + CRED_AT_ISSUED, now_us);
	store_be32(cred + CRED_AT_SALT, (uint32_t)random_next(&mint->salts));
	if (shape->payload_size >= MINT_STAMP_SIZE) {
		memcpy(cred + CRED_AT_PAYLOAD, &due, sizeof(due));
		memcpy(cred + CRED_AT_PAYLOAD + sizeof(due), &mint->run, sizeof(mint->run));
	}
	mint->burst.serials[index] = serial;
	mint->burst.creds[index] = cred;
	mint->burst.frame_sizes[index] = shape->frame_size;
}

/* Each breaks one rule of the layout. */
static void
cred_break(uint8_t *cred, uint32_t draw)
{
	switch (draw % 5) {
	case 0:
		cred[CRED_AT_MAGIC] ^= 0x20;
		break;
	case 1:
		cred[CRED_AT_LENGTH + 1] ^= 1;
		break;
	case 2:
		store_be32(cred + CRED_AT_NODE, 0);
		break;
	case 3:
		store_be64(cred + CRED_AT_SERIAL, 0);
		break;
	default:
		cred[CRED_AT_ISSUED] |= 0x80;
		break;
	}
}

/* What is not genuine: nobody could have sealed it, so random bytes are its tag. */
static void
frame_spoil(struct mint *mint, unsigned index)
{
	const struct mint_item *item = &mint->burst.items[index];
	uint8_t *cred = mint->burst.creds[index];
	uint8_t *tag = cred + mint->shapes[item->shape].span_size;
	unsigned i;

	for (i = 0; i < CRED_TAG_SIZE; i += 8)
		store_be64(tag + i, random_next(&mint->salts));
	if (item->class == MINT_MALFORMED)
		cred_break(cred, item->draw);
	else if (item->class == MINT_UNKNOWN)
		store_be32(cred + CRED_AT_NODE, NODE_UNKNOWN | item->draw >> 4);
}

static void
frame_replay(struct mint *mint, unsigned index, uint8_t *frame)
{
	const uint32_t kept_count =
		mint->history_count < MINT_HISTORY ? mint->history_count : MINT_HISTORY;
	const uint32_t draw = mint->burst.items[index].draw;
	const struct mint_kept *kept = &mint->history[random_scale(draw, kept_count)];

	memcpy(frame, kept->bytes, kept->size);
	mint->burst.creds[index] = frame + mint->cred_at;
	mint->burst.frame_sizes[index] = kept->size;
}

/* ---- the burst ---- */

static void
items_take(struct mint *mint, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		struct mint_item *item = &mint->burst.items[i];

		*item = mint->ahead[mint->taken++ % MINT_AHEAD];
		if (item->class == MINT_REPLAYED && mint->history_count == 0)
			item->class = MINT_GENUINE; /* there is nothing to repeat yet */
	}
	mint->burst.count = count;
	ahead_fill(mint);
}

/* Seals the genuine ones at once. */
static void
burst_seal(struct mint *mint)
{
	const struct mint_burst *burst = &mint->burst;
	const struct key_slot *slots[MINT_BURST_MAX];
	uint8_t *msgs[MINT_BURST_MAX];
	uint16_t sizes[MINT_BURST_MAX];
	unsigned i, count = 0;

	for (i = 0; i < burst->count; i++) {
		if (burst->items[i].class != MINT_GENUINE)
			continue;
		slots[count] = &mint->keys->slots[burst->items[i].node];
		msgs[count] = burst->creds[i];
		sizes[count] = mint->shapes[burst->items[i].shape].span_size;
		count++;
	}
	tag_batch_seal(mint->engine, slots, msgs, sizes, count);
}

/* The UDP checksum: source and destination lie before the UDP header, its own field is zero. */
static void
frame_checksum(const struct mint *mint, uint8_t *frame, const struct mint_shape *shape)
{
	const unsigned addresses = settings_is_ipv4(mint->settings->to) ? 8 : 32;
	unsigned size = addresses;
	uint16_t sum;

	if (mint->settings->checksum == SETTINGS_CHECKSUM_FULL)
		size += shape->frame_size - mint->udp_at;
	sum = checksum_fold(
		mint->wide->sum_add(shape->udp_sum, frame + mint->udp_at - addresses, size));
	if (mint->settings->checksum == SETTINGS_CHECKSUM_FULL) {
		sum = (uint16_t)~sum;
		sum = sum != 0 ? sum : 0xffff; /* zero says that there is none */
	}
	memcpy(frame + mint->udp_at + 6, &sum, sizeof(sum));
}

/* One genuine frame of a burst, that wants no reply, may come again. */
static void
history_keep(struct mint *mint, uint8_t *const *frames)
{
	struct mint_kept *kept = &mint->history[mint->history_count % MINT_HISTORY];
	unsigned i;

	mint->history_candidate = MINT_BURST_MAX;
	for (i = 0; i < mint->burst.count; i++) {
		const struct mint_item *item = &mint->burst.items[i];

		if (item->class != MINT_GENUINE || item->wants_reply)
			continue;
		kept->size = mint->burst.frame_sizes[i];
		memcpy(kept->bytes, frames[i], kept->size);
		mint->history_candidate = i;
		return;
	}
}

void
mint_burst(struct mint *mint, uint8_t *const *frames, const uint64_t *dues, unsigned count)
{
	const uint64_t now_us = clock_real_us();
	unsigned i;

	items_take(mint, count);
	for (i = 0; i < count; i++) {
		const uint8_t class = mint->burst.items[i].class;

		if (class == MINT_REPLAYED) {
			frame_replay(mint, i, frames[i]);
			continue;
		}
		frame_fill(mint, i, frames[i], dues[i], now_us);
		if (class != MINT_GENUINE)
			frame_spoil(mint, i);
	}
	burst_seal(mint);
	for (i = 0; i < count && mint->settings->checksum != SETTINGS_CHECKSUM_NONE; i++)
		if (mint->burst.items[i].class != MINT_REPLAYED)
			frame_checksum(mint, frames[i], &mint->shapes[mint->burst.items[i].shape]);
	if (mint->history != NULL)
		history_keep(mint, frames);
}

void
mint_sent(struct mint *mint, unsigned sent)
{
	if (mint->history != NULL && mint->history_candidate < sent)
		mint->history_count++;
	mint->history_candidate = MINT_BURST_MAX;
}

/* ---- life ---- */

static int
engine_make(struct mint *mint)
{
	const int wanted = tag_kernel_find(mint->settings->kernel);
	int id;

	if (wanted < 0)
		return fail("--kernel: '%s' is none: write auto, ipsecmb, aesni or vaes512",
			mint->settings->kernel);
	id = tag_kernel_choose(
		(enum tag_kernel_id)wanted, mint->kernel_why, sizeof(mint->kernel_why));
	if (id < 0)
		return fail("%s", mint->kernel_why);
	mint->engine = tag_engine_create((enum tag_kernel_id)id);
	return mint->engine != NULL ? 0 : fail("no memory for a tag engine");
}

int
mint_init(struct mint *mint, const struct settings *settings, struct keys *keys,
	const uint8_t to_mac[6], const uint8_t from_mac[6])
{
	memset(mint, 0, sizeof(*mint));
	mint->settings = settings;
	mint->keys = keys;
	mint->plan.state = settings->seed;
	mint->wide = wide_choose();
	mint->history_candidate = MINT_BURST_MAX;
	randombytes_buf(&mint->salts, sizeof(mint->salts));
	randombytes_buf(&mint->run, sizeof(mint->run));
	if (engine_make(mint) != 0)
		return -1;
	if (settings->shares.replayed > 0) {
		mint->history = calloc(MINT_HISTORY, sizeof(mint->history[0]));
		if (mint->history == NULL)
			return fail("no memory for replays");
	}
	shapes_build(mint, to_mac, from_mac);
	limits_set(mint);
	ahead_fill(mint);
	return 0;
}

void
mint_fini(struct mint *mint)
{
	tag_engine_destroy(mint->engine);
	free(mint->history);
}

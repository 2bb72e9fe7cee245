/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The short ways of the packet path against the general one. The same random frames go through
 * gateways that differ in nothing but how they decide: one forgets every shape before every frame
 * and takes one frame at a time, with twin groups so that stage own has no lane; the others take
 * bursts and learn. After each burst counters, delivered records, refusals and windows have to be
 * the same. Tables change in between, and the half that is out of force is overwritten.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/burst.h"
#include "dataplane/parse_priv.h"
#include "path_fixture.h"

#define ROUNDS           48u
#define BURSTS_PER_ROUND 60u

#define REALMS     FIXTURE_REALMS_MAX
#define NODES      8u
#define GROUPS     2u /* the general way has each twice */
#define PORTS      3u
#define WORKERS    2u
#define HISTORY    128u
#define REFUSALS   (2 * BURST_FRAMES_MAX)
#define US_A_DAY   86400000000u
#define UID_NOBODY 0xdeadu

enum way_id {
	WAY_GENERAL,
	WAY_PORTABLE,
	WAY_AVX512,
	WAY_COUNT
};

struct way {
	struct fixture f;
	struct verdict_reader delivered[FIXTURE_GROUPS_MAX][WORKERS];
	struct verdict_reader refused[WORKERS];
	struct verdict_record refusals[REFUSALS]; /* of this burst and worker */
	unsigned refusal_count;
	uint64_t neighbours; /* of this burst */
};

static struct fixture issuer; /* its table is what control has; no frame goes there */
static uint8_t *half_first;   /* its half in force as it was at first */
static struct way ways[WAY_COUNT];
static unsigned way_count;
static struct worker_port ports[PORTS];

/* Of the burst. */
static struct burst_frame frames[BURST_FRAMES_MAX];
static unsigned frame_count;

/* What was sent, to be sent again. */
static struct fixture_frame history[HISTORY];
static uint8_t history_port[HISTORY];
static unsigned history_count;

static uint64_t tops[REALMS][NODES + 1];
static struct cred_fields sort; /* what most of a burst have in common */
static uint64_t now_us, mono_us;

/* How often the ways were taken; and where we are, for messages. */
static uint64_t usual_count, packet_count;
static unsigned round_number, burst_number;

/* ---- random numbers: the same in every run ---- */

static uint64_t random_state;

static uint64_t
random_u64(void)
{
	uint64_t z = random_state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint32_t
below(uint32_t bound)
{
	return (uint32_t)((random_u64() >> 32) * bound >> 32);
}

static bool
percent(uint32_t chance)
{
	return below(100) < chance;
}

#define ONE_OF(values) ((values)[below(sizeof(values) / sizeof((values)[0]))])

/* ---- the gateways ---- */

/* A usual item whose record was written as a whole came by two registers. */
static unsigned
parse_and_count(
	burst_parse_t *parse, struct worker *worker, unsigned count, struct burst_result *result)
{
	struct burst *burst = &worker->burst;
	unsigned live, n;

	for (n = 0; n < count; n++)
		burst->items[n].record.uid = UID_NOBODY;
	live = parse(worker, count, result);
	for (n = 0; n < live; n++) {
		const struct burst_item *item = &burst->items[burst->live[n]];

		usual_count += item->is_usual;
		packet_count += item->is_usual && item->record.uid != UID_NOBODY;
	}
	return live;
}

static unsigned
parse_general_way(struct worker *worker, unsigned count, struct burst_result *result)
{
	const uint64_t usual_before = usual_count;
	unsigned live;

	memset(worker->claims, 0, sizeof(worker->claims));
	memset(worker->packets, 0, sizeof(worker->packets));
	assert_in_range(count, 0, 1);
	live = parse_and_count(parse_portable, worker, count, result);
	assert_int_equal(usual_count, usual_before);
	return live;
}

static unsigned
parse_portable_way(struct worker *worker, unsigned count, struct burst_result *result)
{
	return parse_and_count(parse_portable, worker, count, result);
}

static unsigned
parse_avx512_way(struct worker *worker, unsigned count, struct burst_result *result)
{
	return parse_and_count(parse_avx512, worker, count, result);
}

static burst_parse_t *const parses[WAY_COUNT] = {
	[WAY_GENERAL] = parse_general_way,
	[WAY_PORTABLE] = parse_portable_way,
	[WAY_AVX512] = parse_avx512_way,
};

static struct fixture_params
params_of(unsigned worker_count, unsigned group_count)
{
	struct fixture_params params = fixture_params_default();

	params.worker_count = worker_count;
	params.realm_count = REALMS;
	params.nodes_max = NODES;
	params.group_count = group_count;
	params.realm_window_bits[1] = 256;
	params.realm_window_bits[2] = 64;
	params.realm_window_bits[3] = 4096;
	return params;
}

static void
ports_fill(void)
{
	ports[0] = issuer.port;
	ports[1] = issuer.port; /* its first IPv4 address comes second */
	ports[1].mac[5] = 0x11;
	ports[1].udp_port = FIXTURE_UDP_PORT + 1;
	ports[1].checksum = SETUP_CHECKSUM_TRUST;
	memcpy(ports[1].addresses[0].address, fixture_local_ipv6, 16);
	memcpy(ports[1].addresses[1].address, fixture_local_ipv4, 16);
	ports[1].addresses[1].address[15]++;
	ports[2] = issuer.port; /* has no IPv6, but another IPv4 address */
	ports[2].checksum = SETUP_CHECKSUM_PARTIAL;
	memcpy(ports[2].addresses[1].address, ports[1].addresses[1].address, 16);
}

static void
worker_prepare(struct worker *worker, enum way_id id)
{
	unsigned port;

	worker->ports = ports;
	for (port = 0; port < PORTS; port++)
		frame_shape_init(&worker->shapes[port], &ports[port]);
	worker->parse = parses[id];
}

static void
way_init(enum way_id id, unsigned worker_count)
{
	const unsigned group_count = id == WAY_GENERAL ? 2 * GROUPS : GROUPS;
	const struct fixture_params params = params_of(worker_count, group_count);
	struct way *way = &ways[id];
	unsigned worker, group;

	fixture_init(&way->f, &params);
	for (worker = 0; worker < worker_count; worker++) {
		worker_prepare(way->f.workers[worker], id);
		verdict_reader_init(
			&way->refused[worker], way->f.refusal[worker], way->f.ring_size, false);
		for (group = 0; group < group_count; group++)
			verdict_reader_init(&way->delivered[group][worker],
				way->f.delivery[group][worker], way->f.ring_size, false);
	}
}

/* Both halves of a table and of all tables here have one layout. */
static uint64_t
half_size(void)
{
	return issuer.table->size - issuer.table->halves[1].policy;
}

static uint8_t *
half_at(struct fixture *f, uint64_t generation)
{
	return (uint8_t *)f->table + f->table->halves[generation & 1].policy;
}

/* Each group's twin has the same reader and gets the same credentials. */
static void
policy_twin(struct table_policy *policy)
{
	unsigned i, n;

	for (i = 0; i < GROUPS; i++)
		policy->groups[GROUPS + i] = policy->groups[i];
	for (i = 0; i < REALMS; i++) {
		struct table_realm *realm = &policy->realms[i];

		realm->any_groups |= realm->any_groups << GROUPS;
		realm->beacon_groups |= realm->beacon_groups << GROUPS;
		for (n = 0; n < realm->audience_count; n++)
			realm->audiences[n].groups |= realm->audiences[n].groups << GROUPS;
	}
}

/* As control does it; what is out of force is anything from now on. */
static void
way_publish(struct way *way)
{
	const uint64_t next = atomic_load(&way->f.table->generation) + 1;

	memcpy(half_at(&way->f, next), half_at(&issuer, 1), half_size());
	if (way == &ways[WAY_GENERAL])
		policy_twin((void *)half_at(&way->f, next));
	atomic_store(&way->f.table->generation, next);
	memset(half_at(&way->f, next + 1), 0xa5, half_size());
}

static void
publish(void)
{
	unsigned i;

	for (i = 0; i < way_count; i++)
		way_publish(&ways[i]);
}

static void
realm_prepare(uint32_t index)
{
	static const struct table_audience audiences[] = {{9, 3}, {11, 1}, {12, 2}, {13, 0}};
	struct table_realm *realm = fixture_realm(&issuer, FIXTURE_REALM + index);

	memcpy(realm->audiences, audiences, sizeof(audiences));
	realm->audience_count = sizeof(audiences) / sizeof(audiences[0]);
	realm->audience_any = index % 2 == 0;
	realm->origin_mode = (const uint8_t[REALMS]){TABLE_ORIGIN_STRICT, TABLE_ORIGIN_OFF,
		TABLE_ORIGIN_CLAIMED, TABLE_ORIGIN_STRICT}[index];
	realm->freshness = index == 3 ? TABLE_FRESHNESS_SERIAL : TABLE_FRESHNESS_CLOCK;
}

static const uint16_t epochs[] = {2, 7, UINT16_MAX}; /* beside the first, by node */

static void
nodes_add(uint32_t realm)
{
	uint32_t node;

	for (node = 1; node <= NODES; node++) {
		struct key_slot *slot = fixture_node_add(
			&issuer, realm, node, 1, (uint8_t)(1 + node % CRED_SUITE_SEALED256));

		if (node % 2 == 0 || realm == FIXTURE_REALM + 2)
			fixture_prefix_add(&issuer, slot, fixture_ipv4, 120);
	}
	for (node = 1; node <= NODES; node++)
		fixture_node_add(&issuer, realm, node, epochs[node % 3], CRED_SUITE_DEFAULT);
}

static void
gateways_init(unsigned worker_count)
{
	const struct fixture_params params = params_of(worker_count, GROUPS);
	unsigned i;

	fixture_init(&issuer, &params);
	for (i = 0; i < REALMS; i++) {
		realm_prepare(i);
		nodes_add(FIXTURE_REALM + i);
	}
	half_first = malloc(half_size());
	assert_non_null(half_first);
	memcpy(half_first, half_at(&issuer, 1), half_size());
	ports_fill();
	way_count = parse_avx512_is_supported() ? WAY_COUNT : WAY_AVX512;
	for (i = 0; i < way_count; i++)
		way_init(i, worker_count);
}

static void
gateways_fini(void)
{
	unsigned i;

	for (i = 0; i < way_count; i++)
		fixture_fini(&ways[i].f);
	fixture_fini(&issuer);
	free(half_first);
}

/* ---- what control changes ---- */

static void
change_slot(struct key_slot *slot)
{
	const uint32_t now_s = (uint32_t)(now_us / 1000000);
	static const uint8_t bits[] = {0, 1, 96, 104, 127, 128, 129, KEY_SLOT_ORIGIN_NONE};

	switch (below(5)) {
	case 0:
	case 1:
		slot->state = (uint8_t)below(KEY_SLOT_REVOKED + 1);
		break;
	case 2:
		slot->origin_bits = ONE_OF(bits);
		memcpy(slot->origin_prefix, fixture_ipv4, 16);
		break;
	case 3:
		slot->not_before_s = percent(50) ? now_s + below(2) : 0;
		break;
	default:
		slot->not_after_s = percent(50) ? now_s - below(2) : UINT32_MAX;
	}
}

static void
change_times(struct table_realm *realm)
{
	static const uint64_t skews[] = {0, 1, 2000000, 60000000, UINT64_C(1) << 61,
		(UINT64_C(1) << 62) - 1, UINT64_C(1) << 62, UINT64_MAX};
	static const uint32_t ttls[] = {0, 1, 60, 300, 3600, UINT32_MAX};

	realm->skew_us = percent(50) ? 2000000 : ONE_OF(skews);
	realm->ttl_default_s = ONE_OF(ttls);
	realm->ttl_max_s = ONE_OF(ttls);
}

static void
change_groups(struct table_realm *realm)
{
	struct table_group *group = &issuer.policy->groups[below(GROUPS)];
	const unsigned groups = 1u << GROUPS;

	realm->audiences[below(realm->audience_count)].groups = below(groups);
	realm->any_groups = below(groups);
	realm->beacon_groups = below(groups);
	realm->audience_any = percent(50);
	group->is_used = percent(75);
	group->reader_uid = 64030 + below(2);
}

/* Another id in its place: as good as removed, and no chain of the hash is torn. */
static void
change_realm_id(uint32_t realm)
{
	unsigned i;

	for (i = 0; i < TABLE_REALM_HASH; i++)
		if (issuer.policy->realm_hash[i].id == realm)
			issuer.policy->realm_hash[i].id += 1000;
}

static void
change_realm(struct table_realm *realm)
{
	switch (below(8)) {
	case 0:
	case 7:
		realm->floor_us = percent(50) ? now_us - 1 + below(3) : 0;
		break;
	case 1:
		realm->origin_mode = (uint8_t)below(3);
		break;
	case 2:
		realm->freshness = (uint8_t)below(2);
		break;
	case 3:
		realm->nodes_max = percent(50) ? NODES : below(NODES + 1);
		break;
	case 4:
		realm->audiences[1].audience = 10 + below(2); /* between its neighbours */
		break;
	case 5:
		change_groups(realm);
		break;
	default:
		change_times(realm);
	}
}

#define CLASSES  6u
#define PROGRAMS 12u /* the outcomes without a look among them */
#define LANES    6u  /* groups of them */
#define PREFIXES 4u

static void
lane_draw(struct table_lane_group *group, unsigned lane)
{
	group->uid_min[lane] = 998 + below(5);
	group->uid_span[lane] = percent(20) ? UINT32_MAX : below(2);
	group->gid_min[lane] = 99 + below(3);
	group->gid_span[lane] = percent(50) ? UINT32_MAX : below(2);
}

static void
programs_draw(struct table_rules *rules)
{
	unsigned i, lane;

	for (i = 0; i < LANES; i++) {
		for (lane = 0; lane < TABLE_LANES; lane++)
			lane_draw(&rules->groups[i], lane);
		rules->groups[i].used = (uint16_t)(below(1u << 16) & below(1u << 16));
		rules->groups[i].allows = (uint16_t)below(1u << 16);
		rules->groups[i].bound = (uint16_t)(below(1u << 16) & below(1u << 16));
	}
	for (i = 0; i < PREFIXES; i++) {
		memcpy(rules->prefixes[i].prefix, fixture_ipv4, 16);
		rules->prefixes[i].bits = (uint8_t)(96 + below(40));
		rules->prefixes[i].lane = below(2 * TABLE_LANES);
	}
	for (i = TABLE_OUTCOMES; i < PROGRAMS; i++)
		rules->programs[i] = (struct table_program){
			.group = below(LANES - 1),
			.group_count = (uint16_t)(1 + below(2)),
			.prefix_count = (uint16_t)below(PREFIXES + 1),
			.otherwise = (uint8_t)below(TABLE_OUTCOMES),
			.form = (uint8_t)(percent(50) ? TABLE_PROGRAM_LANES : 1 + below(2)),
			.odd = (uint8_t)below(TABLE_OUTCOMES),
			.vector_count = (uint8_t)below(TABLE_SPAN_VECTORS + 1),
		};
}

/* Rules that allow most, limits that nearly all nodes keep to. */
static void
change_rules(void)
{
	struct table_rules *rules = issuer.rules;
	const uint32_t columns = table_rules_columns(TABLE_AUDIENCES_MAX);
	uint32_t i;

	programs_draw(rules);
	for (i = columns; i < CLASSES * columns; i++)
		rules->cells[i] = (uint16_t)(percent(70) ? 0 : below(PROGRAMS));
	for (i = 1; i < CLASSES; i++)
		rules->classes[i] = (struct table_class){
			.cells = i * columns,
			.limit = (uint16_t)below(2),
			.flags = percent(10) ? TABLE_CLASS_DENIES : 0,
			.node_interval_ns = percent(50) ? 0 : 1000u * (1 + below(1000)),
			.node_depth_ns = UINT64_C(10000000),
		};
	rules->has_rules = percent(60);
	rules->has_limits = percent(75);
	for (i = 0; i < issuer.table->slot_count; i++)
		issuer.slots[i].policy = (uint16_t)below(CLASSES);
	for (i = 0; i < issuer.extra_count; i++)
		issuer.extras[i].policy = (uint16_t)below(CLASSES);
	for (i = 0; i < REALMS; i++)
		issuer.policy->realms[i].mode = (uint8_t)below(TABLE_MODE_ENFORCE + 1);
}

/* Few at a time, and often none but the generation, so that most of what is sent stays genuine. */
static void
change_table(void)
{
	unsigned i;

	if (percent(60))
		memcpy(half_at(&issuer, 1), half_first, half_size());
	if (percent(80))
		change_realm(&issuer.policy->realms[below(REALMS)]);
	for (i = 0; i < 3; i++)
		change_slot(percent(80) ? &issuer.slots[below(issuer.table->slot_count)]
					: &issuer.extras[below(issuer.extra_count)]);
	if (percent(50))
		change_rules();
	if (percent(10))
		change_realm_id(FIXTURE_REALM + below(REALMS));
	publish();
}

/* ---- credentials ---- */

static void
fields_draw(struct cred_fields *fields)
{
	static const uint32_t audiences[] = {9, 9, 11, 11, 11, 12, 12, 0, 13, 14};
	static const uint32_t ttls[] = {60, 60, 60, 0, 1, 3600, UINT32_MAX};

	*fields = fixture_fields(&issuer, 1);
	fields->realm = FIXTURE_REALM + below(REALMS);
	fields->kind = percent(90) ? CRED_KIND_ASSERT : CRED_KIND_BEACON;
	fields->flags = percent(25) ? CRED_FLAG_REPLY : 0;
	fields->audience = ONE_OF(audiences);
	fields->ttl_s = ONE_OF(ttls);
	fields->uid = 999 + below(4);
	fields->gid = 99 + below(3);
	fields->payload_size = percent(75) ? 0 : below(CRED_PAYLOAD_SIZE_MAX + 1);
	if (percent(50) && fields->payload_size != 0)
		fields->payload_size = 1 + below(40);
}

/* Only nodes that are named for it meet the ends of the range: they are lost to all others. */
static uint64_t
serial_edge(void)
{
	const uint64_t incarnation = now_us / 1000000 + BURST_INCARNATION_AHEAD_S;
	const uint64_t edges[] = {0, 1, CRED_SERIAL_MAX - 1, CRED_SERIAL_MAX, CRED_SERIAL_MAX + 1,
		UINT64_MAX, incarnation << 32, (incarnation << 32) + UINT32_MAX,
		(incarnation + 1) << 32};

	return ONE_OF(edges);
}

static uint64_t
serial_draw(uint32_t realm, uint32_t node)
{
	uint64_t *top = &tops[realm - FIXTURE_REALM][node];
	const uint32_t way = below(100);

	if (way < 10 && node == NODES)
		return serial_edge();
	if (way < 80)
		return ++*top;
	if (way < 86)
		return *top += 1 + below(600);
	return *top - below(way < 94 ? 300 : 6000);
}

static uint64_t
issued_draw(const struct table_realm *realm, uint32_t ttl_s)
{
	const uint64_t wanted_s = ttl_s != 0 ? ttl_s : realm->ttl_default_s;
	const uint64_t ttl_us =
		(wanted_s < realm->ttl_max_s ? wanted_s : realm->ttl_max_s) * UINT64_C(1000000);
	const uint64_t edges[] = {now_us + realm->skew_us, now_us + realm->skew_us + 1,
		now_us - ttl_us - realm->skew_us, now_us - ttl_us - realm->skew_us - 1,
		realm->floor_us, realm->floor_us - 1, 0, 1, CRED_ISSUED_US_LIMIT - 1,
		CRED_ISSUED_US_LIMIT, UINT64_MAX};

	return percent(88) ? now_us - below(1000) : ONE_OF(edges);
}

static void
fields_own(struct cred_fields *fields, const uint8_t source[16])
{
	fields->node = 1 + below(NODES);
	fields->epoch = percent(75) ? 1 : epochs[fields->node % 3];
	fields->suite = fixture_slot(&issuer, fields->realm, fields->node, fields->epoch)->suite;
	fields->auth_uid = percent(80) ? CRED_ID_ANYONE : 64030 + below(3);
	fields->auth_gid = percent(90) ? CRED_ID_ANYONE : 64130 + below(2);
	memcpy(fields->salt, &(uint32_t){below(UINT32_MAX)}, 4);
	memcpy(fields->origin, source, 16);
	if (percent(5))
		memset(fields->origin, 0, 16);
	if (percent(5))
		fields->origin[below(16)] ^= (uint8_t)(1u << below(8));
}

/* The header's rules broken: a bit, or a whole field at one of its ends. */
static void
header_damage(uint8_t *msg)
{
	static const struct {
		uint8_t at, size;
	} fields[] = {{CRED_AT_SUITE, 1}, {CRED_AT_KIND, 1}, {CRED_AT_LENGTH, 2},
		{CRED_AT_REALM, 4}, {CRED_AT_NODE, 4}, {CRED_AT_EPOCH, 2}, {CRED_AT_FLAGS, 2},
		{CRED_AT_TTL, 4}, {CRED_AT_ORIGIN, 16}, {CRED_AT_AUDIENCE, 4}};
	const unsigned i = below(sizeof(fields) / sizeof(fields[0]));

	if (percent(50))
		msg[below(CRED_AT_UID)] ^= (uint8_t)(1u << below(8));
	else
		memset(msg + fields[i].at, percent(50) ? 0 : 0xff, fields[i].size);
	if (percent(10))
		store_be32(msg + CRED_AT_NODE, NODES + below(3));
}

/* An audience that is not the sort's, and whose shape would lie in the same place. */
static void
audience_collide(uint8_t *msg)
{
	static struct claim_shape shapes[CLAIM_SHAPES];
	const struct claim_shape *place = claim_shape_of(shapes, msg);

	do
		store_be32(msg + CRED_AT_AUDIENCE, (uint32_t)random_u64());
	while (claim_shape_of(shapes, msg) != place);
}

/* Returns the size. The tag is right for what is there, whatever that is, but for a few. */
static size_t
cred_make(uint8_t *msg, const uint8_t source[16])
{
	static const uint8_t payload[CRED_PAYLOAD_SIZE_MAX] = {'p', 'a', 'y'};
	struct cred_fields fields = sort;
	const struct key_slot *slot;
	uint16_t span_size;
	size_t size;

	if (percent(20))
		fields_draw(&fields);
	fields_own(&fields, source);
	fields.payload = payload;
	size = cred_build(msg, CRED_SIZE_MAX, &fields);
	assert_int_not_equal(size, 0);
	store_be64(msg + CRED_AT_SERIAL, serial_draw(fields.realm, fields.node));
	store_be64(msg + CRED_AT_ISSUED,
		issued_draw(fixture_realm(&issuer, fields.realm), fields.ttl_s));
	if (percent(8))
		header_damage(msg);
	if (percent(2))
		audience_collide(msg);
	slot = fixture_slot(&issuer, fields.realm, fields.node, fields.epoch);
	span_size = (uint16_t)(size - CRED_TAG_SIZE);
	tag_batch_seal(issuer.issuer, &slot, &msg, &span_size, 1);
	if (percent(4))
		msg[below((uint32_t)size)] ^= (uint8_t)(1u << below(8));
	return size;
}

/* ---- frames ---- */

static void
source_draw(uint8_t source[16])
{
	static const uint8_t impossible[] = {0, 127, 223, 224, 239, 255};

	memcpy(source, percent(85) ? fixture_ipv4 : fixture_ipv6, 16);
	source[15] = (uint8_t)(3 + below(3));
	if (percent(2))
		source[12] = ONE_OF(impossible);
}

static void
address_to(struct fixture_frame *frame, unsigned port)
{
	const bool is_ipv4 = fixture_frame_ip(frame)[0] >> 4 == 4;
	uint8_t *ip = fixture_frame_ip(frame);

	memcpy(frame->data, ports[port].mac, 6);
	if (is_ipv4)
		memcpy(ip + 16, ports[port].addresses[port == 1 || percent(10)].address + 12, 4);
	store_be16(fixture_frame_udp(frame) + 2, ports[port].udp_port);
	fixture_frame_checksum(frame);
}

/* Below the credential: a bit, or lengths that are not all the same. */
static void
frame_damage(struct fixture_frame *frame)
{
	uint8_t *ip = fixture_frame_ip(frame);
	uint8_t *udp = fixture_frame_udp(frame);

	switch (below(5)) {
	case 0: /* cut off */
		frame->size -= (uint16_t)below(frame->size < 160u ? frame->size : 160);
		break;
	case 1: /* padded */
		frame->size += (uint16_t)(1 + below(20));
		break;
	case 2: /* UDP is shorter than IP */
		store_be16(udp + 4, (uint16_t)(load_be16(udp + 4) - 1 - below(20)));
		fixture_frame_checksum(frame);
		break;
	case 3: /* seen as good, or not */
		frame->data[below((uint32_t)(udp + 8 - frame->data))] ^= (uint8_t)(1u << below(8));
		break;
	default: /* without damage to what the sum is taken over */
		ip[1] ^= (uint8_t)(1u << below(8));
		udp[0] ^= (uint8_t)(1u << below(8));
		if (percent(50))
			frame->data[6] ^= 1;
		else
			ip[6] ^= 0x40;
		fixture_frame_checksum(frame);
	}
}

static void
frame_make(struct fixture_frame *frame, unsigned port)
{
	const uint32_t state = below(100);
	uint8_t msg[CRED_SIZE_MAX];

	fixture_frame_init(frame);
	source_draw(frame->source);
	frame->source_port = (uint16_t)below(65536);
	frame->vlan = percent(6) ? 0x2042 : 0;
	fixture_frame_wrap(frame, msg, cred_make(msg, frame->source));
	address_to(frame, port);
	frame->checksum = state < 75   ? BURST_CHECKSUM_GOOD
			  : state < 97 ? BURST_CHECKSUM_UNKNOWN
				       : BURST_CHECKSUM_BAD;
	if (percent(7))
		frame_damage(frame);
}

/* Each frame lies in memory of exactly its size, so that a sanitizer sees a byte too far. */
static void
frame_send(const struct fixture_frame *frame, unsigned port)
{
	uint8_t *data = malloc(frame->size + !frame->size);

	assert_non_null(data);
	memcpy(data, frame->data, frame->size);
	frames[frame_count++] = (struct burst_frame){
		.data = data,
		.size = frame->size,
		.port = (uint8_t)port,
		.checksum = frame->checksum,
	};
}

/* A new one, or one from before as it was, or from another port of its sender. */
static void
frame_draw(void)
{
	const unsigned known = history_count < HISTORY ? history_count : HISTORY;
	unsigned at = history_count % HISTORY;

	if (known != 0 && percent(12)) {
		at = percent(50) ? (history_count - 1) % HISTORY : below(known);
		if (percent(30) && history[at].size > 38)
			history[at].data[34] ^= 1;
	} else {
		history_port[at] = (uint8_t)(percent(80) ? 0 : below(PORTS));
		frame_make(&history[at], history_port[at]);
		history_count++;
	}
	frame_send(&history[at], percent(98) ? history_port[at] : below(PORTS));
}

static void
burst_make(void)
{
	const unsigned count = percent(30) ? 1 + below(3) : 1 + below(BURST_FRAMES_MAX);

	if (percent(60))
		fields_draw(&sort);
	while (frame_count < count)
		frame_draw();
}

static void
frames_free(void)
{
	while (frame_count != 0)
		free((void *)(uintptr_t)frames[--frame_count].data);
}

/* ---- bursts ---- */

/* What was handed over is decided about at once. */
static void
way_drain(struct way *way)
{
	struct burst_result result;
	unsigned worker;

	for (worker = 0; worker < way->f.params.worker_count; worker++)
		worker_burst_at(way->f.workers[worker], NULL, 0, now_us, mono_us, &result);
}

static void
way_run(struct way *way, unsigned worker)
{
	const unsigned step = way == &ways[WAY_GENERAL] ? 1 : BURST_FRAMES_MAX;
	struct burst_result *result = &way->f.result;
	unsigned i;

	way->neighbours = 0;
	for (i = 0; i < frame_count; i += step) {
		const unsigned left = frame_count - i;

		worker_burst_at(way->f.workers[worker], &frames[i], left < step ? left : step,
			now_us, mono_us, result);
		way->neighbours |= result->neighbours << i;
		if (way->f.params.worker_count > 1)
			way_drain(way);
	}
}

/* Subscribers leave room for few: the rest is BUSY. Twins have none. */
static void
room_limit(bool is_limited)
{
	const uint32_t left = below(8);
	unsigned i, group, worker;

	for (i = 0; i < way_count; i++)
		for (group = 0; group < GROUPS; group++)
			for (worker = 0; worker < issuer.params.worker_count; worker++) {
				struct verdict_ring *ring = ways[i].f.delivery[group][worker];

				ring->floor = is_limited ? ring->head - ring->capacity + left
							 : UINT64_MAX;
			}
}

static void
time_pass(void)
{
	const uint32_t way = below(100);

	mono_us += 1000 + below(100000);
	now_us += below(20000);
	if (way < 4)
		now_us += 3 * US_A_DAY;
	else if (way < 8)
		now_us -= 3 * US_A_DAY;
	else if (way < 12)
		now_us += 61000000;
}

/* ---- what has to be the same ---- */

static void
fail_here(unsigned way, const char *what, unsigned number)
{
	static const char *const names[WAY_COUNT] = {"general", "portable", "avx512"};

	fail_msg("%s way: %s %u differs from the general way's (round %u, burst %u of %u)",
		names[way], what, number, round_number, burst_number, frame_count);
}

static void
compare_stats(unsigned way, unsigned worker)
{
	const struct worker_stats *a = stats_worker(ways[WAY_GENERAL].f.stats, worker);
	const struct worker_stats *b = stats_worker(ways[way].f.stats, worker);
	unsigned v;

	for (v = 0; v < VERDICT_COUNTERS; v++) {
		if (a->proved[v] != b->proved[v])
			fail_here(way, "count of proved verdict", v);
		if (a->unproved[v] != b->unproved[v])
			fail_here(way, "count of unproved verdict", v);
	}
	if (memcmp(a->realms, b->realms, sizeof(a->realms)) != 0 ||
		memcmp(a->limit_taken, b->limit_taken, sizeof(a->limit_taken)) != 0 ||
		a->clones != b->clones || a->beacons != b->beacons)
		fail_here(way, "counts by realm, limit or kind of worker", worker);
	if (a->rx_frames != b->rx_frames || a->rx_bytes != b->rx_bytes ||
		a->rx_not_ours != b->rx_not_ours || a->rx_bad_packet != b->rx_bad_packet ||
		a->rx_neighbour != b->rx_neighbour)
		fail_here(way, "count of frames of worker", worker);
	if (a->replies_sent != b->replies_sent || a->replies_dropped != b->replies_dropped)
		fail_here(way, "count of replies of worker", worker);
	if (a->handed_off != b->handed_off || a->handed_in != b->handed_in)
		fail_here(way, "count of what was handed over by worker", worker);
	if (a->delivered != 2 * b->delivered || a->serial_collisions != b->serial_collisions)
		fail_here(way, "count of records of worker", worker);
}

static int
record_order(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct verdict_record));
}

/* In any order: what is refused early in a burst overtakes. */
static void
refusals_read(struct way *way, unsigned worker)
{
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record record;

	way->refusal_count = 0;
	while (verdict_reader_next(&way->refused[worker], &record, payload) == 1) {
		assert_in_range(way->refusal_count, 0, REFUSALS - 1);
		record.stamp = 0;
		way->refusals[way->refusal_count++] = record;
	}
	assert_int_equal(way->refused[worker].lost_slots, 0);
	qsort(way->refusals, way->refusal_count, sizeof(record), record_order);
}

static void
compare_refusals(unsigned worker)
{
	const struct way *general = &ways[WAY_GENERAL];
	unsigned i;

	for (i = 0; i < way_count; i++)
		refusals_read(&ways[i], worker);
	for (i = 1; i < way_count; i++)
		if (ways[i].refusal_count != general->refusal_count ||
			memcmp(ways[i].refusals, general->refusals,
				general->refusal_count * sizeof(struct verdict_record)) != 0)
			fail_here(i, "refusals of worker", worker);
}

/* Records with their stamps, and payloads, in order; returns whether there was one. */
static bool
compare_record(unsigned group, unsigned worker)
{
	static uint8_t payloads[WAY_COUNT][VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record records[WAY_COUNT] = {{0}};
	int found[WAY_COUNT] = {0};
	unsigned i;

	for (i = 0; i < way_count; i++)
		found[i] = verdict_reader_next(
			&ways[i].delivered[group][worker], &records[i], payloads[i]);
	for (i = 1; i < way_count; i++)
		if (found[i] != found[0] ||
			(found[0] == 1 &&
				(memcmp(&records[i], &records[0], sizeof(records[0])) ||
					memcmp(payloads[i], payloads[0], records[0].payload_size))))
			fail_here(i, "a record for group", group);
	return found[0] == 1;
}

static void
compare_ways(void)
{
	unsigned worker, group, i;

	for (worker = 0; worker < issuer.params.worker_count; worker++) {
		for (i = 1; i < way_count; i++)
			compare_stats(i, worker);
		compare_refusals(worker);
		for (group = 0; group < GROUPS; group++)
			while (compare_record(group, worker))
				;
	}
	for (i = 1; i < way_count; i++) {
		if (memcmp(ways[i].f.replay_mapping, ways[0].f.replay_mapping,
			    ways[0].f.replay_size) != 0)
			fail_here(i, "memory of windows", 0);
		if (memcmp(ways[i].f.meters, ways[0].f.meters, ways[0].f.meters->size) != 0)
			fail_here(i, "meters", 0);
		if (ways[i].neighbours != ways[0].neighbours)
			fail_here(i, "bitmap of neighbours", 0);
	}
}

/* Both take bursts and answer in the same order: their replies are the same bytes. */
static void
compare_replies(void)
{
	const struct burst_result *a = &ways[WAY_PORTABLE].f.result;
	const struct burst_result *b = &ways[WAY_AVX512].f.result;
	unsigned i;

	if (way_count != WAY_COUNT)
		return;
	if (a->reply_count != b->reply_count)
		fail_here(WAY_AVX512, "count of replies", b->reply_count);
	for (i = 0; i < a->reply_count; i++)
		if (a->replies[i].size != b->replies[i].size ||
			a->replies[i].port != b->replies[i].port ||
			memcmp(a->replies[i].data, b->replies[i].data, a->replies[i].size) != 0)
			fail_here(WAY_AVX512, "reply", i);
}

/* ---- the test ---- */

static void
round_begin(void)
{
	unsigned i, node;

	now_us = FIXTURE_NOW_US;
	issuer.now_us = now_us;
	for (i = 0; i < REALMS; i++)
		for (node = 1; node <= NODES; node++)
			tops[i][node] = node % 2 ? below(100) : (now_us / 1000000) << 32;
	for (i = 0; i < way_count; i++)
		memcpy(ways[i].f.replay_mapping, issuer.replay_mapping, issuer.replay_size);
	memcpy(half_at(&issuer, 1), half_first, half_size());
	publish();
	fields_draw(&sort);
}

static void
burst_run(void)
{
	const unsigned worker = below(issuer.params.worker_count);
	const bool is_limited = percent(4);
	unsigned i;

	time_pass();
	if (percent(12))
		change_table();
	burst_make();
	if (is_limited)
		room_limit(true);
	for (i = 0; i < way_count; i++)
		way_run(&ways[i], worker);
	if (is_limited)
		room_limit(false);
	compare_ways();
	compare_replies();
	frames_free();
}

/* A comparison of gateways that refuse everything alike would say little. */
static void
assert_all_verdicts_came(void)
{
	static const enum verdict verdicts[] = {VERDICT_ACCEPTED, VERDICT_DUPLICATE,
		VERDICT_REPLAYED, VERDICT_STALE, VERDICT_EXPIRED, VERDICT_NOT_YET_VALID,
		VERDICT_BAD_TAG, VERDICT_UNKNOWN_REALM, VERDICT_UNKNOWN_NODE, VERDICT_REVOKED,
		VERDICT_UNKNOWN_EPOCH, VERDICT_WRONG_ORIGIN, VERDICT_WRONG_AUDIENCE,
		VERDICT_MALFORMED, VERDICT_UNSUPPORTED, VERDICT_BUSY, VERDICT_FLOOR,
		VERDICT_UNAUTHORIZED};
	const struct fixture *f = &ways[WAY_GENERAL].f;
	uint64_t frames_sum = 0;
	unsigned i;

	for (i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (fixture_proved(f, verdicts[i]) + fixture_unproved(f, verdicts[i]) == 0)
			fail_msg("no frame had the verdict %u", verdicts[i]);
	for (i = 0; i < f->params.worker_count; i++)
		frames_sum += stats_worker(f->stats, i)->rx_frames;
	print_message("%lu frames: %lu accepted; usual %lu times, in registers %lu\n",
		(unsigned long)frames_sum, (unsigned long)fixture_proved(f, VERDICT_ACCEPTED),
		(unsigned long)usual_count, (unsigned long)packet_count);
	assert_in_range(fixture_proved(f, VERDICT_ACCEPTED), frames_sum / 5, frames_sum);
	assert_in_range(usual_count, frames_sum / 4, 2 * frames_sum);
	if (way_count == WAY_COUNT)
		assert_in_range(packet_count, frames_sum / 16, frames_sum);
}

static void
ways_agree(unsigned worker_count, uint64_t seed)
{
	random_state = seed;
	usual_count = 0;
	packet_count = 0;
	history_count = 0;
	mono_us = FIXTURE_MONO_US;
	gateways_init(worker_count);
	for (round_number = 0; round_number < ROUNDS; round_number++) {
		round_begin();
		for (burst_number = 0; burst_number < BURSTS_PER_ROUND; burst_number++)
			burst_run();
	}
	assert_all_verdicts_came();
	gateways_fini();
}

static void
short_ways_decide_as_the_general_one(void **state)
{
	(void)state;
	ways_agree(1, 1);
}

static void
short_ways_decide_alike_for_other_owners(void **state)
{
	(void)state;
	ways_agree(WORKERS, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_ways_decide_as_the_general_one),
		cmocka_unit_test(short_ways_decide_alike_for_other_owners),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	if (failed == 0 && !parse_avx512_is_supported()) {
		puts("skipped: this CPU has no AVX-512 VBMI; only the portable way was compared");
		return 77;
	}
	return failed;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "path_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/checksum.h"

#define BUCKETS_PER_EXTRA 8u /* as control has it */
#define PAGE              4096u

const uint8_t fixture_mac[6] = {0x02, 0xc6, 0, 0, 0, 1};
const uint8_t fixture_peer_mac[6] = {0x02, 0xc6, 0, 0, 0, 2};
const uint8_t fixture_ipv4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3};
const uint8_t fixture_ipv6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
const uint8_t fixture_local_ipv4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 9, 9, 9};
const uint8_t fixture_local_ipv6[16] = {
	0x20, 0x01, 0x0d, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0xaa, 0xbb, 0xcc, 0xdd};

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "path_fixture: %s\n", what);
	exit(1);
}

static size_t
pages(size_t size)
{
	return (size + PAGE - 1) / PAGE * PAGE;
}

/* Zeroed, all there, and shared with what a test forks (large pages are for private memory). */
static void *
memory_map(const struct fixture *f, size_t size)
{
	const int sharing = f->params.use_hugepages ? MAP_PRIVATE : MAP_SHARED;
	void *memory =
		mmap(NULL, pages(size), PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("no memory");
	if (f->params.use_hugepages)
		madvise(memory, pages(size), MADV_HUGEPAGE);
	memset(memory, 0, size);
	return memory;
}

static void
memory_unmap(void *memory, size_t size)
{
	if (memory != NULL)
		munmap(memory, pages(size));
}

struct fixture_params
fixture_params_default(void)
{
	return (struct fixture_params){
		.worker_count = 1,
		.realm_count = 1,
		.group_count = 1,
		.nodes_max = 16,
		.window_bits = 1024,
		.ring_slots = VERDICT_RING_SLOTS_MIN,
		.handoff_slots = 4096,
		.extras_max = 64,
		.cache_entries = REPLAY_CACHE_ENTRIES_MIN,
		.refusals_per_s = 1000000,
		.kernel = TAG_KERNEL_AUTO,
	};
}

/* ---- the table ---- */

static uint64_t
place(uint64_t *end, uint64_t size)
{
	const uint64_t at = *end;

	*end = pages(at + size);
	return at;
}

static void
half_place(const struct fixture *f, struct table_half *half, uint64_t *end)
{
	const uint64_t slots = (uint64_t)f->params.realm_count * (f->params.nodes_max + 1);

	half->policy = place(end, sizeof(struct table_policy));
	half->slots = place(end, slots * sizeof(struct key_slot));
	half->replies = place(end, slots * sizeof(struct key_slot));
	half->extras = place(end, f->params.extras_max * sizeof(struct key_slot));
	half->extra_replies = place(end, f->params.extras_max * sizeof(struct key_slot));
	half->buckets =
		place(end, BUCKETS_PER_EXTRA * f->params.extras_max * sizeof(struct table_bucket));
	half->prefixes = place(end, FIXTURE_PREFIXES * sizeof(struct table_prefix));
	half->rules = place(end, sizeof(struct table_rules));
}

static void *
table_at(const struct fixture *f, uint64_t offset)
{
	return (uint8_t *)f->table + offset;
}

/* As control begins: class 0, and the three outcomes without a look. */
static void
rules_reset(struct table_rules *rules)
{
	rules->class_count = 1;
	rules->cell_count = 1;
	rules->limit_count = 1;
	rules->program_count = TABLE_OUTCOMES;
	for (unsigned outcome = 0; outcome < TABLE_OUTCOMES; outcome++)
		rules->programs[outcome].otherwise = (uint8_t)outcome;
}

static void
meters_create(struct fixture *f)
{
	const uint32_t slots = f->table->slot_count;

	f->meters = memory_map(f, meters_size(slots));
	f->meters->magic = METERS_MAGIC;
	f->meters->version = METERS_VERSION;
	f->meters->slot_count = slots;
	f->meters->size = meters_size(slots);
}

static void
table_create(struct fixture *f)
{
	struct table_header header = {
		.magic = TABLE_MAGIC,
		.version = TABLE_VERSION,
		.slot_count = f->params.realm_count * (f->params.nodes_max + 1),
		.extra_count = f->params.extras_max,
		.bucket_count = BUCKETS_PER_EXTRA * f->params.extras_max,
		.prefix_count = FIXTURE_PREFIXES,
	};
	const struct table_half *half = &header.halves[1];
	uint64_t end = pages(sizeof(header));

	half_place(f, &header.halves[0], &end);
	half_place(f, &header.halves[1], &end);
	header.size = end;
	f->table = memory_map(f, end);
	memcpy(f->table, &header, sizeof(header));
	f->policy = table_at(f, half->policy);
	f->slots = table_at(f, half->slots);
	f->replies = table_at(f, half->replies);
	f->extras = table_at(f, half->extras);
	f->extra_replies = table_at(f, half->extra_replies);
	f->buckets = table_at(f, half->buckets);
	f->prefixes = table_at(f, half->prefixes);
	f->prefix_count = 1;
	f->rules = table_at(f, half->rules);
	rules_reset(f->rules);
	atomic_store(&f->table->generation, 1);
}

static void
realm_hash_add(struct table_policy *policy, uint32_t id, uint32_t index)
{
	uint32_t at = table_realm_start(id);

	while (policy->realm_hash[at % TABLE_REALM_HASH].id != 0)
		at++;
	policy->realm_hash[at % TABLE_REALM_HASH] =
		(struct table_realm_hash_entry){.id = id, .index = index};
}

static void
realm_add(struct fixture *f, uint32_t index)
{
	const uint32_t groups = (1u << f->params.group_count) - 1;

	f->policy->realms[index] = (struct table_realm){
		.id = FIXTURE_REALM + index,
		.base = index * (f->params.nodes_max + 1),
		.nodes_max = f->params.nodes_max,
		.ttl_default_s = 300,
		.ttl_max_s = 3600,
		.reply_rate = 100,
		.skew_us = 2000000,
		.dup_us = 2000000,
		.origin_mode = TABLE_ORIGIN_STRICT,
		.mode = TABLE_MODE_ENFORCE,
		.any_groups = groups,
		.beacon_groups = groups,
		.audience_count = 1,
		.audiences = {{.audience = FIXTURE_AUDIENCE, .groups = groups}},
	};
	realm_hash_add(f->policy, FIXTURE_REALM + index, index);
}

static void
policy_fill(struct fixture *f)
{
	unsigned i;

	f->policy->realm_count = f->params.realm_count;
	f->policy->group_count = f->params.group_count;
	f->policy->bucket_seed = 0x5eed;
	for (i = 0; i < f->params.realm_count; i++)
		realm_add(f, i);
	for (i = 0; i < f->params.group_count; i++)
		f->policy->groups[i] = (struct table_group){
			.reader_uid = 64030 + i,
			.reader_gid = 64130 + i,
			.is_used = 1,
		};
}

/* ---- windows and rings ---- */

static void
replay_ranges(const struct fixture *f, struct replay_layout_range *ranges)
{
	const uint32_t own = f->params.nodes_max + 1;
	unsigned i;

	for (i = 0; i < f->params.realm_count; i++)
		ranges[i] = (struct replay_layout_range){
			.first_slot = i * own,
			.slot_count = own,
			.window_bits = f->params.realm_window_bits[i] != 0
					       ? f->params.realm_window_bits[i]
					       : f->params.window_bits,
		};
}

static void
replay_create(struct fixture *f)
{
	static const uint8_t hash_key[16] = {1, 2, 3};
	struct replay_layout_range ranges[FIXTURE_REALMS_MAX];
	const unsigned count = f->params.realm_count;

	replay_ranges(f, ranges);
	f->replay_size =
		replay_store_size(f->table->slot_count, ranges, count, f->params.cache_entries);
	f->replay_mapping = memory_map(f, f->replay_size);
	if (replay_store_format(f->replay_mapping, f->replay_size, f->table->slot_count, ranges,
		    count, f->params.cache_entries, hash_key) != 0 ||
		replay_store_open(&f->replay, f->replay_mapping, f->replay_size) != 0)
		die("no replay store");
}

static struct verdict_ring *
ring_create(struct fixture *f, enum verdict_ring_kind kind, uint16_t group, uint16_t worker)
{
	struct verdict_ring *ring = memory_map(f, f->ring_size);

	verdict_ring_format(ring, f->params.ring_slots, kind, group, worker);
	return ring;
}

static void
rings_create(struct fixture *f)
{
	unsigned worker, group, peer;

	f->ring_size = verdict_ring_size(f->params.ring_slots);
	for (worker = 0; worker < f->params.worker_count; worker++) {
		f->refusal[worker] = ring_create(f, VERDICT_RING_REFUSAL, 0, (uint16_t)worker);
		for (group = 0; group < f->params.group_count; group++)
			f->delivery[group][worker] = ring_create(
				f, VERDICT_RING_DELIVERY, (uint16_t)group, (uint16_t)worker);
		for (peer = 0; peer < f->params.worker_count; peer++) {
			f->handoff[worker][peer] =
				memory_map(f, handoff_ring_size(f->params.handoff_slots));
			handoff_ring_format(f->handoff[worker][peer], f->params.handoff_slots);
		}
	}
}

static void
rings_destroy(struct fixture *f)
{
	unsigned worker, group, peer;

	for (worker = 0; worker < f->params.worker_count; worker++) {
		memory_unmap(f->refusal[worker], f->ring_size);
		for (group = 0; group < f->params.group_count; group++)
			memory_unmap(f->delivery[group][worker], f->ring_size);
		for (peer = 0; peer < f->params.worker_count; peer++)
			memory_unmap(f->handoff[worker][peer],
				handoff_ring_size(f->params.handoff_slots));
	}
}

/* ---- workers ---- */

static void
worker_start(struct fixture *f, unsigned index)
{
	struct worker_config config = {
		.index = index,
		.worker_count = f->params.worker_count,
		.kernel = f->params.kernel,
		.table = f->table,
		.stats = stats_worker(f->stats, index),
		.replay = &f->replay,
		.meters = f->meters,
		.refusal = f->refusal[index],
		.refusals_per_s = f->params.refusals_per_s,
		.failures_per_s = f->params.failures_per_s,
		.ports = &f->port,
		.port_count = 1,
		.reply_salt = {0xa, 0xb, 0xc, 0xd},
		.start_us = FIXTURE_NOW_US,
	};
	unsigned i;

	for (i = 0; i < f->params.group_count; i++)
		config.delivery[i] = f->delivery[i][index];
	for (i = 0; i < f->params.worker_count; i++) {
		config.handoff_in[i] = i == index ? NULL : f->handoff[i][index];
		config.handoff_out[i] = i == index ? NULL : f->handoff[index][i];
	}
	f->workers[index] = worker_create(&config);
	if (f->workers[index] == NULL)
		die("no worker");
}

void
fixture_workers_start(struct fixture *f)
{
	unsigned i;

	for (i = 0; i < f->params.worker_count; i++)
		worker_start(f, i);
}

void
fixture_workers_stop(struct fixture *f)
{
	unsigned i;

	for (i = 0; i < f->params.worker_count; i++) {
		worker_destroy(f->workers[i]);
		f->workers[i] = NULL;
	}
}

static void
port_fill(struct worker_port *port)
{
	memcpy(port->mac, fixture_mac, sizeof(port->mac));
	port->checksum = SETUP_CHECKSUM_VERIFY;
	port->udp_port = FIXTURE_UDP_PORT;
	port->address_count = 2;
	memcpy(port->addresses[0].address, fixture_local_ipv4, 16);
	memcpy(port->addresses[1].address, fixture_local_ipv6, 16);
}

static enum tag_kernel_id
kernel_choose(enum tag_kernel_id wanted)
{
	char why[256];
	int kernel = tag_kernel_choose(wanted, why, sizeof(why));

	if (kernel < 0)
		die(why);
	return (enum tag_kernel_id)kernel;
}

void
fixture_init(struct fixture *f, const struct fixture_params *params)
{
	unsigned i;

	memset(f, 0, sizeof(*f));
	f->params = *params;
	f->params.kernel = kernel_choose(params->kernel);
	for (i = 0; i < sizeof(f->master); i++)
		f->master[i] = (uint8_t)i;
	f->now_us = FIXTURE_NOW_US;
	f->mono_us = FIXTURE_MONO_US;
	table_create(f);
	policy_fill(f);
	f->policy_seen = memory_map(f, sizeof(*f->policy_seen));
	replay_create(f);
	meters_create(f);
	rings_create(f);
	f->stats = memory_map(f, stats_size(f->params.worker_count));
	port_fill(&f->port);
	f->issuer = tag_engine_create(f->params.kernel);
	if (f->issuer == NULL)
		die("no engine");
	fixture_workers_start(f);
}

void
fixture_fini(struct fixture *f)
{
	fixture_workers_stop(f);
	tag_engine_destroy(f->issuer);
	rings_destroy(f);
	memory_unmap(f->stats, stats_size(f->params.worker_count));
	memory_unmap(f->meters, meters_size(f->table->slot_count));
	memory_unmap(f->replay_mapping, f->replay_size);
	memory_unmap(f->policy_seen, sizeof(*f->policy_seen));
	memory_unmap(f->table, f->table->size);
}

/* ---- nodes ---- */

struct table_realm *
fixture_realm(struct fixture *f, uint32_t realm)
{
	return &f->policy->realms[realm - FIXTURE_REALM];
}

static uint32_t
slot_index(const struct fixture *f, uint32_t realm, uint32_t node)
{
	return (realm - FIXTURE_REALM) * (f->params.nodes_max + 1) + node;
}

struct replay_node *
fixture_line(const struct fixture *f, uint32_t realm, uint32_t node)
{
	return &f->replay.nodes[slot_index(f, realm, node)];
}

struct meter_node *
fixture_meter(const struct fixture *f, uint32_t realm, uint32_t node)
{
	return meters_node(f->meters, slot_index(f, realm, node));
}

static void
bucket_add(struct fixture *f, uint32_t realm, uint32_t node, uint16_t epoch, uint32_t index)
{
	struct table_bucket *bucket = &f->buckets[table_bucket_index(
		realm, node, epoch, f->policy->bucket_seed, f->table->bucket_count - 1)];
	unsigned way = 0;

	while (bucket->entries[way].realm != 0)
		if (++way == TABLE_BUCKET_WAYS)
			die("a bucket overflows: other numbers, please");
	bucket->entries[way] = (struct table_bucket_entry){
		.realm = realm,
		.node = node,
		.epoch = epoch,
		.index = index,
	};
}

/* The main slot if it is free, else an extra one; with its reply slot. */
static struct key_slot *
slot_take(struct fixture *f, uint32_t realm, uint32_t node, uint16_t epoch, struct key_slot **reply)
{
	const uint32_t main_slot = slot_index(f, realm, node);

	if (f->slots[main_slot].state == KEY_SLOT_FREE) {
		*reply = &f->replies[main_slot];
		return &f->slots[main_slot];
	}
	if (f->extra_count == f->params.extras_max)
		die("too many epochs");
	bucket_add(f, realm, node, epoch, f->extra_count);
	*reply = &f->extra_replies[f->extra_count];
	return &f->extras[f->extra_count++];
}

struct key_slot *
fixture_node_add_key(struct fixture *f, uint32_t realm, uint32_t node, uint16_t epoch,
	uint8_t suite, const uint8_t node_key[KDF_KEY_SIZE])
{
	struct key_slot *reply;
	struct key_slot *slot = slot_take(f, realm, node, epoch, &reply);

	*slot = (struct key_slot){
		.realm = realm,
		.node = node,
		.epoch = epoch,
		.state = KEY_SLOT_LIVE,
		.not_after_s = UINT32_MAX,
		.shard = (uint16_t)((node * 0x9e3779b1u ^ realm * 77) >> 22), /* 0 ... 1023 */
		.origin_bits = KEY_SLOT_ORIGIN_NONE,
	};
	*reply = *slot;
	kdf_slot_request(slot, node_key, suite);
	kdf_slot_reply(reply, node_key, suite);
	replay_window_assign(&f->replay, slot_index(f, realm, node), realm, node);
	return slot;
}

struct key_slot *
fixture_node_add(struct fixture *f, uint32_t realm, uint32_t node, uint16_t epoch, uint8_t suite)
{
	uint8_t realm_key[KDF_KEY_SIZE], node_key[KDF_KEY_SIZE];

	kdf_realm(realm_key, f->master, realm);
	kdf_node(node_key, realm_key, node, epoch);
	return fixture_node_add_key(f, realm, node, epoch, suite, node_key);
}

static bool
slot_is(const struct key_slot *slot, uint32_t realm, uint32_t node, uint16_t epoch)
{
	return slot->realm == realm && slot->node == node && slot->epoch == epoch;
}

/* Where the epoch lies among `slots` and `extras`, which run in parallel for requests, replies. */
static struct key_slot *
slot_find(const struct fixture *f, struct key_slot *slots, struct key_slot *extras, uint32_t realm,
	uint32_t node, uint16_t epoch)
{
	struct key_slot *slot = &slots[slot_index(f, realm, node)];
	uint32_t i;

	if (slot_is(slot, realm, node, epoch))
		return slot;
	for (i = 0; i < f->extra_count; i++)
		if (slot_is(&extras[i], realm, node, epoch))
			return &extras[i];
	return NULL;
}

struct key_slot *
fixture_slot(const struct fixture *f, uint32_t realm, uint32_t node, uint16_t epoch)
{
	return slot_find(f, f->slots, f->extras, realm, node, epoch);
}

struct key_slot *
fixture_reply_slot(const struct fixture *f, uint32_t realm, uint32_t node, uint16_t epoch)
{
	return slot_find(f, f->replies, f->extra_replies, realm, node, epoch);
}

/* A list must lie in one run: it is only grown while it is the newest one. */
void
fixture_prefix_add(struct fixture *f, struct key_slot *slot, const uint8_t prefix[16], uint8_t bits)
{
	if (slot->origin_bits == KEY_SLOT_ORIGIN_NONE) {
		memcpy(slot->origin_prefix, prefix, 16);
		slot->origin_bits = bits;
		return;
	}
	if (f->prefix_count == FIXTURE_PREFIXES)
		die("too many prefixes");
	if (slot->origin_more == 0)
		slot->origin_more = (uint16_t)f->prefix_count;
	else
		f->prefixes[f->prefix_count - 1].has_more = 1;
	f->prefixes[f->prefix_count].bits = bits;
	memcpy(f->prefixes[f->prefix_count++].prefix, prefix, 16);
}

/* ---- credentials ---- */

struct cred_fields
fixture_fields(const struct fixture *f, uint64_t serial)
{
	struct cred_fields fields = {
		.suite = CRED_SUITE_DEFAULT,
		.kind = CRED_KIND_ASSERT,
		.epoch = 1,
		.realm = FIXTURE_REALM,
		.node = 1,
		.ttl_s = 60,
		.serial = serial,
		.issued_us = f->now_us,
		.audience = FIXTURE_AUDIENCE,
		.salt = {(uint8_t)serial, 2, 3, 4},
		.uid = 1000,
		.gid = 100,
		.auth_uid = CRED_ID_ANYONE,
		.auth_gid = CRED_ID_ANYONE,
	};

	memcpy(fields.origin, fixture_ipv4, sizeof(fields.origin));
	return fields;
}

size_t
fixture_mint_with(struct fixture *f, const struct key_slot *slot, const struct cred_fields *fields,
	uint8_t *msg)
{
	const size_t size = cred_build(msg, CRED_SIZE_MAX, fields);
	const uint16_t span_size = (uint16_t)(size - CRED_TAG_SIZE);

	if (size == 0)
		die("the fields are no credential");
	tag_batch_seal(f->issuer, &slot, &msg, &span_size, 1);
	return size;
}

size_t
fixture_mint(struct fixture *f, const struct cred_fields *fields, uint8_t *msg)
{
	const struct key_slot *slot = fixture_slot(f, fields->realm, fields->node, fields->epoch);

	if (slot == NULL)
		die("no key to mint with");
	return fixture_mint_with(f, slot, fields, msg);
}

/* ---- frames ---- */

void
fixture_frame_init(struct fixture_frame *frame)
{
	memset(frame, 0, sizeof(*frame));
	memcpy(frame->source, fixture_ipv4, sizeof(frame->source));
	frame->source_port = 40000;
}

static bool
frame_is_ipv4(const struct fixture_frame *frame)
{
	return memcmp(frame->source, fixture_ipv4, 12) == 0;
}

uint8_t *
fixture_frame_ip(struct fixture_frame *frame)
{
	return frame->data + (frame->vlan != 0 ? 18 : 14);
}

uint8_t *
fixture_frame_udp(struct fixture_frame *frame)
{
	uint8_t *ip = fixture_frame_ip(frame);

	return ip + (frame_is_ipv4(frame) ? (ip[0] & 15) * 4 : 40);
}

uint8_t *
fixture_frame_cred(struct fixture_frame *frame)
{
	return fixture_frame_udp(frame) + 8;
}

static void
ethernet_write(struct fixture_frame *frame)
{
	uint8_t *at = frame->data + 12;

	memcpy(frame->data, fixture_mac, 6);
	memcpy(frame->data + 6, fixture_peer_mac, 6);
	if (frame->vlan != 0) {
		store_be16(at, 0x8100);
		store_be16(at + 2, frame->vlan);
		at += 4;
	}
	store_be16(at, frame_is_ipv4(frame) ? 0x0800 : 0x86dd);
}

static void
ip_write(const struct fixture_frame *frame, uint8_t *ip, size_t udp_size)
{
	if (frame_is_ipv4(frame)) {
		memset(ip, 0, 20);
		ip[0] = 0x45;
		store_be16(ip + 2, (uint16_t)(20 + udp_size));
		ip[8] = 63;
		ip[9] = 17;
		memcpy(ip + 12, frame->source + 12, 4);
		memcpy(ip + 16, fixture_local_ipv4 + 12, 4);
	} else {
		store_be32(ip, 0x60012345);
		store_be16(ip + 4, (uint16_t)udp_size);
		ip[6] = 17;
		ip[7] = 63;
		memcpy(ip + 8, frame->source, 16);
		memcpy(ip + 24, fixture_local_ipv6, 16);
	}
}

/* Bytes one after the other, as slow as RFC 1071 describes it: the path has another one. */
static uint32_t
sum_add(uint32_t sum, const uint8_t *data, size_t size)
{
	size_t i;

	for (i = 0; i < size; i++) {
		sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
		sum = (sum >> 16) + (sum & 0xffff);
	}
	return sum;
}

static void
sum_store(uint8_t *at, uint32_t sum)
{
	const uint16_t complement = (uint16_t)~sum;

	store_be16(at, complement == 0 ? 0xffff : complement);
}

void
fixture_frame_checksum(struct fixture_frame *frame)
{
	uint8_t *ip = fixture_frame_ip(frame);
	uint8_t *udp = fixture_frame_udp(frame);
	const uint16_t udp_size = load_be16(udp + 4);
	uint32_t sum = sum_add(17, udp + 4, 2);

	if (frame_is_ipv4(frame)) {
		store_be16(ip + 10, 0);
		sum_store(ip + 10, sum_add(0, ip, (ip[0] & 15) * 4));
		sum = sum_add(sum, ip + 12, 8);
	} else {
		sum = sum_add(sum, ip + 8, 32);
	}
	store_be16(udp + 6, 0);
	sum_store(udp + 6, sum_add(sum, udp, udp_size));
}

void
fixture_frame_wrap(struct fixture_frame *frame, const uint8_t *payload, size_t size)
{
	uint8_t *ip = fixture_frame_ip(frame);
	const size_t udp_size = 8 + size;
	uint8_t *udp;

	ethernet_write(frame);
	ip_write(frame, ip, udp_size);
	udp = fixture_frame_udp(frame);
	store_be16(udp, frame->source_port);
	store_be16(udp + 2, FIXTURE_UDP_PORT);
	store_be16(udp + 4, (uint16_t)udp_size);
	if (payload != udp + 8)
		memcpy(udp + 8, payload, size);
	frame->size = (uint16_t)(udp + udp_size - frame->data);
	fixture_frame_checksum(frame);
}

void
fixture_frame_mint(struct fixture *f, struct fixture_frame *frame, const struct cred_fields *fields)
{
	uint8_t msg[CRED_SIZE_MAX];

	fixture_frame_wrap(frame, msg, fixture_mint(f, fields, msg));
}

/* ---- bursts ---- */

/* A policy changed in place is a new one, as if control had published it in the same half. */
static void
publish_if_changed(struct fixture *f)
{
	if (memcmp(f->policy, f->policy_seen, sizeof(*f->policy)) == 0)
		return;
	*f->policy_seen = *f->policy;
	if (atomic_load(&f->table->generation) & 1)
		atomic_fetch_add(&f->table->generation, 2);
}

/* Each frame lies in memory of exactly its size, so that a sanitizer sees a byte too far. */
void
fixture_burst(
	struct fixture *f, unsigned worker, struct fixture_frame *const *frames, unsigned count)
{
	struct burst_frame burst[BURST_FRAMES_MAX] = {{0}};
	uint8_t *copies[BURST_FRAMES_MAX];
	unsigned i;

	for (i = 0; i < count; i++) {
		copies[i] = malloc(frames[i]->size + !frames[i]->size);
		if (copies[i] == NULL)
			die("no memory");
		memcpy(copies[i], frames[i]->data, frames[i]->size);
		burst[i] = (struct burst_frame){
			.data = copies[i],
			.size = frames[i]->size,
			.checksum = frames[i]->checksum,
		};
	}
	publish_if_changed(f);
	worker_burst_at(f->workers[worker], burst, count, f->now_us, f->mono_us, &f->result);
	for (i = 0; i < count; i++)
		free(copies[i]);
}

uint64_t
fixture_proved(const struct fixture *f, enum verdict verdict)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < f->params.worker_count; i++)
		sum += atomic_load(&stats_worker(f->stats, i)->proved[verdict]);
	return sum;
}

uint64_t
fixture_unproved(const struct fixture *f, enum verdict verdict)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < f->params.worker_count; i++)
		sum += atomic_load(&stats_worker(f->stats, i)->unproved[verdict]);
	return sum;
}

struct counts {
	uint64_t proved[VERDICT_COUNTERS];
	uint64_t unproved[VERDICT_COUNTERS];
};

static void
counts_read(const struct fixture *f, struct counts *counts)
{
	unsigned v;

	for (v = 0; v < VERDICT_COUNTERS; v++) {
		counts->proved[v] = fixture_proved(f, v);
		counts->unproved[v] = fixture_unproved(f, v);
	}
}

static enum verdict
counts_moved(struct fixture *f, const struct counts *before, const struct counts *after)
{
	enum verdict verdict = VERDICT_NONE;
	uint64_t moved = 0;
	unsigned v;

	for (v = 0; v < VERDICT_COUNTERS; v++) {
		const uint64_t proved = after->proved[v] - before->proved[v];
		const uint64_t unproved = after->unproved[v] - before->unproved[v];

		moved += proved + unproved;
		if (proved + unproved != 0) {
			verdict = v;
			f->is_proved = proved != 0;
		}
	}
	if (moved > 1)
		die("one frame, more than one verdict");
	return verdict;
}

enum verdict
fixture_verdict(struct fixture *f, struct fixture_frame *frame)
{
	struct counts before, after;

	counts_read(f, &before);
	fixture_burst(f, 0, &frame, 1);
	counts_read(f, &after);
	return counts_moved(f, &before, &after);
}

enum verdict
fixture_judge(struct fixture *f, const struct cred_fields *fields)
{
	struct fixture_frame frame;

	fixture_frame_init(&frame);
	fixture_frame_mint(f, &frame, fields);
	return fixture_verdict(f, &frame);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/keytable.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/kdf.h"
#include "ctrl/keytable_priv.h"
#include "wire/bytes.h"

#define PART_ALIGN 4096u

static_assert(crypto_shorthash_KEYBYTES == 16, "table_header.shard_key");

/* ---- layout ---- */

struct keytable_shape
keytable_shape_for(uint32_t slot_count)
{
	struct keytable_shape shape = {.slot_count = slot_count, .prefix_count = slot_count};

	shape.extra_count = slot_count;
	if (shape.extra_count < KEYTABLE_EXTRAS_MIN)
		shape.extra_count = KEYTABLE_EXTRAS_MIN;
	if (shape.extra_count > KEYTABLE_EXTRAS_MAX)
		shape.extra_count = KEYTABLE_EXTRAS_MAX;
	shape.bucket_count = 1;
	while (shape.bucket_count < shape.extra_count * KEYTABLE_BUCKETS_PER_EXTRA)
		shape.bucket_count *= 2;
	if (shape.prefix_count < 16 * KEYTABLE_EXTRAS_MIN)
		shape.prefix_count = 16 * KEYTABLE_EXTRAS_MIN;
	if (shape.prefix_count > TABLE_PREFIXES_MAX)
		shape.prefix_count = TABLE_PREFIXES_MAX;
	return shape;
}

static uint64_t
part_place(uint64_t *end, uint64_t count, uint64_t item_size)
{
	uint64_t offset = *end;

	*end += (count * item_size + PART_ALIGN - 1) / PART_ALIGN * PART_ALIGN;
	return offset;
}

static void
half_place(struct table_half *half, const struct keytable_shape *shape, uint64_t *end)
{
	half->policy = part_place(end, 1, sizeof(struct table_policy));
	half->slots = part_place(end, shape->slot_count, sizeof(struct key_slot));
	half->replies = part_place(end, shape->slot_count, sizeof(struct key_slot));
	half->extras = part_place(end, shape->extra_count, sizeof(struct key_slot));
	half->extra_replies = part_place(end, shape->extra_count, sizeof(struct key_slot));
	half->buckets = part_place(end, shape->bucket_count, sizeof(struct table_bucket));
	half->prefixes = part_place(end, shape->prefix_count, sizeof(struct table_prefix));
	half->rules = part_place(end, 1, sizeof(struct table_rules));
}

uint64_t
keytable_size(const struct keytable_shape *shape)
{
	struct table_half half = {0};
	uint64_t end = PART_ALIGN;

	half_place(&half, shape, &end);
	half_place(&half, shape, &end);
	return end;
}

static void
header_format(struct keytable *table, uint64_t size, const uint8_t shard_key[16])
{
	struct table_header *header = table->header;
	uint64_t end = PART_ALIGN;

	header->magic = TABLE_MAGIC;
	header->version = TABLE_VERSION;
	header->slot_count = table->shape.slot_count;
	header->extra_count = table->shape.extra_count;
	header->bucket_count = table->shape.bucket_count;
	header->prefix_count = table->shape.prefix_count;
	header->size = size;
	memcpy(header->shard_key, shard_key, sizeof(header->shard_key));
	half_place(&header->halves[0], &table->shape, &end);
	half_place(&header->halves[1], &table->shape, &end);
}

struct keytable *
keytable_create(void *mapping, uint64_t size, const struct keytable_shape *shape,
	const uint8_t shard_key[16], struct stats_header *stats, unsigned worker_count)
{
	struct keytable *table;

	if (size < keytable_size(shape))
		return NULL;
	table = calloc(1, sizeof(*table));
	if (table == NULL)
		return NULL;
	table->header = mapping;
	table->stats = stats;
	table->worker_count = worker_count;
	table->shape = *shape;
	if (!keytable_model_init(table)) {
		keytable_model_fini(table);
		free(table);
		return NULL;
	}
	header_format(table, size, shard_key);
	keytable_mark_policy(table);
	return table;
}

static void *
part(const struct keytable *table, uint64_t offset)
{
	return (uint8_t *)table->header + offset;
}

void
keytable_destroy(struct keytable *table)
{
	if (table == NULL)
		return;
	for (int i = 0; i < 2; i++) {
		const struct table_half *half = &table->header->halves[i];

		sodium_memzero(part(table, half->slots), half->buckets - half->slots);
	}
	keytable_model_fini(table);
	free(table);
}

/* ---- the model's fields that need no search ---- */

void
keytable_realm_set(struct keytable *table, unsigned index, uint32_t id, uint32_t base,
	uint32_t nodes_max, const uint8_t *key)
{
	struct keytable_realm *realm = &table->realms[index];

	realm->id = id;
	realm->base = base;
	realm->nodes_max = nodes_max;
	realm->keys[0] = key;
}

void
keytable_master_set(
	struct keytable *table, unsigned realm_index, unsigned place, const uint8_t *key)
{
	table->realms[realm_index].keys[place] = key;
}

static void
realm_hash_fill(struct table_policy *policy)
{
	memset(policy->realm_hash, 0, sizeof(policy->realm_hash));
	for (uint32_t i = 0; i < policy->realm_count; i++) {
		uint32_t at = table_realm_start(policy->realms[i].id);

		while (policy->realm_hash[at].id != 0)
			at = (at + 1) % TABLE_REALM_HASH;
		policy->realm_hash[at].id = policy->realms[i].id;
		policy->realm_hash[at].index = i;
	}
}

void
keytable_policy_set(struct keytable *table, const struct table_policy *policy)
{
	table->policy = *policy;
	realm_hash_fill(&table->policy);
	keytable_mark_policy(table);
}

/* Of each array what is used: the rest is never looked at. */
static void
rules_copy(struct table_rules *to, const struct table_rules *from)
{
	memcpy(to, from, offsetof(struct table_rules, classes));
	memcpy(to->classes, from->classes, from->class_count * sizeof(from->classes[0]));
	memcpy(to->programs, from->programs, from->program_count * sizeof(from->programs[0]));
	memcpy(to->cells, from->cells, from->cell_count * sizeof(from->cells[0]));
	memcpy(to->groups, from->groups, from->group_count * sizeof(from->groups[0]));
	memcpy(to->prefixes, from->prefixes, from->prefix_count * sizeof(from->prefixes[0]));
}

void
keytable_rules_set(struct keytable *table, const struct table_rules *rules)
{
	rules_copy(table->rules, rules);
	keytable_mark_rules(table);
}

uint16_t
keytable_shard(const struct keytable *table, uint32_t realm, uint32_t node)
{
	uint8_t name[8], hash[crypto_shorthash_BYTES];

	store_be32(name, realm);
	store_be32(name + 4, node);
	crypto_shorthash(hash, name, sizeof(name), table->header->shard_key);
	return load_be16(hash) % TABLE_SHARDS;
}

/* ---- writing a half ---- */

/* Everything but keys; both slots of a node share it. */
static void
slot_fill(const struct keytable *table, struct key_slot *slot, const struct keytable_node *node,
	const struct keytable_epoch *epoch, uint32_t slot_index)
{
	const struct keytable_realm *realm = &table->realms[node->realm_index];
	uint32_t number = slot_index - realm->base;

	memset(slot, 0, sizeof(*slot));
	if (node->state == KEY_SLOT_FREE)
		return;
	slot->realm = realm->id;
	slot->node = number;
	slot->epoch = epoch->epoch;
	slot->state = node->state;
	slot->suite = epoch->suite;
	slot->not_before_s = epoch->not_before_s;
	slot->not_after_s = epoch->not_after_s;
	/* Live epochs of a node lie within TABLE_EPOCHS_MAX numbers, so no two share an index. */
	slot->use_index = slot_index * TABLE_EPOCHS_MAX + epoch->epoch % TABLE_EPOCHS_MAX;
	slot->policy = node->policy;
	slot->shard = keytable_shard(table, realm->id, number);
	slot->origin_bits = node->origin_bits;
	slot->origin_more = node->origin_more;
	memcpy(slot->origin_prefix, node->origin_prefix, sizeof(slot->origin_prefix));
}

/* The same key, read by a node's name: an epoch has one suite and one master for ever. */
static bool
is_key_of(const struct key_slot *known, const struct key_slot *wanted)
{
	return known->realm == wanted->realm && known->node == wanted->node &&
	       known->epoch == wanted->epoch && known->suite == wanted->suite &&
	       known->state == KEY_SLOT_LIVE;
}

/* The place of a further epoch in half `from`, as a worker finds it; -1: none. */
static int64_t
extra_place(const struct keytable *table, int from, const struct key_slot *wanted)
{
	const struct table_half *half = &table->header->halves[from];
	const struct table_policy *policy = part(table, half->policy);
	const struct table_bucket *buckets = part(table, half->buckets);
	const struct table_bucket *bucket = &buckets[table_bucket_index(wanted->realm, wanted->node,
		wanted->epoch, policy->bucket_seed, table->shape.bucket_count - 1)];

	for (unsigned way = 0; way < TABLE_BUCKET_WAYS; way++)
		if (bucket->entries[way].realm == wanted->realm &&
			bucket->entries[way].node == wanted->node &&
			bucket->entries[way].epoch == wanted->epoch)
			return bucket->entries[way].index;
	return -1;
}

static void
keys_copy(struct key_slot *to, const struct key_slot *from)
{
	memcpy(to->k1, from->k1, sizeof(to->k1));
	memcpy(to->tag_key, from->tag_key, sizeof(to->tag_key));
	memcpy(to->seal_key, from->seal_key, sizeof(to->seal_key));
}

/*
 * Takes the keys from the other half, which is not written, if it has them in another place: a
 * rotation moves every node's key among the further epochs, and deriving is a hundred times dearer.
 */
static bool
keys_move(const struct keytable *table, int from, uint32_t slot_index, struct key_slot *request,
	struct key_slot *reply)
{
	const struct table_half *half = &table->header->halves[from];
	const struct key_slot *requests = part(table, half->slots);
	const struct key_slot *replies = part(table, half->replies);
	int64_t at = slot_index;

	if (!is_key_of(&requests[at], request)) {
		requests = part(table, half->extras);
		replies = part(table, half->extra_replies);
		at = extra_place(table, from, request);
	}
	if (at < 0 || !is_key_of(&requests[at], request))
		return false;
	keys_copy(request, &requests[at]);
	keys_copy(reply, &replies[at]);
	return true;
}

/* Derives the keys of one epoch into both slots, of half `to`. */
static void
slot_derive(const struct keytable *table, int to, struct key_slot *request, struct key_slot *reply,
	const struct keytable_node *node, const struct keytable_epoch *epoch, uint32_t slot_index)
{
	const struct keytable_realm *realm = &table->realms[node->realm_index];
	uint8_t node_key[KDF_KEY_SIZE];

	slot_fill(table, request, node, epoch, slot_index);
	*reply = *request;
	if (node->state != KEY_SLOT_LIVE || keys_move(table, !to, slot_index, request, reply))
		return;
	kdf_node(node_key, realm->keys[epoch->master], slot_index - realm->base, epoch->epoch);
	kdf_slot_request(request, node_key, epoch->suite);
	kdf_slot_reply(reply, node_key, epoch->suite);
	sodium_memzero(node_key, sizeof(node_key));
}

static void
slots_write(struct keytable *table, int to, uint32_t i)
{
	const struct table_half *half = &table->header->halves[to];
	struct key_slot *request = (struct key_slot *)part(table, half->slots) + i;
	struct key_slot *reply = (struct key_slot *)part(table, half->replies) + i;
	const struct keytable_node *node = &table->nodes[i];

	slot_derive(table, to, request, reply, node, &node->epoch, i);
}

static void
extras_write(struct keytable *table, int to, uint32_t i)
{
	const struct table_half *half = &table->header->halves[to];
	struct key_slot *request = (struct key_slot *)part(table, half->extras) + i;
	struct key_slot *reply = (struct key_slot *)part(table, half->extra_replies) + i;
	const struct keytable_extra *extra = &table->extras[i];

	if (extra->epoch.is_used) {
		slot_derive(table, to, request, reply, &table->nodes[extra->slot], &extra->epoch,
			extra->slot);
		return;
	}
	memset(request, 0, sizeof(*request));
	memset(reply, 0, sizeof(*reply));
}

/* Copies what the other half has already: deriving is a hundred times dearer. */
static void
item_copy(struct keytable *table, int to, enum keytable_part which, uint32_t i)
{
	const struct table_half *halves = table->header->halves;
	uint64_t from_requests, to_requests, from_replies, to_replies;

	from_requests = which == KEYTABLE_SLOTS ? halves[!to].slots : halves[!to].extras;
	to_requests = which == KEYTABLE_SLOTS ? halves[to].slots : halves[to].extras;
	from_replies = which == KEYTABLE_SLOTS ? halves[!to].replies : halves[!to].extra_replies;
	to_replies = which == KEYTABLE_SLOTS ? halves[to].replies : halves[to].extra_replies;
	memcpy((struct key_slot *)part(table, to_requests) + i,
		(struct key_slot *)part(table, from_requests) + i, sizeof(struct key_slot));
	memcpy((struct key_slot *)part(table, to_replies) + i,
		(struct key_slot *)part(table, from_replies) + i, sizeof(struct key_slot));
}

static void
keys_write(struct keytable *table, int to, enum keytable_part which)
{
	const struct keytable_set *other = &table->lacks[!to].sets[which];
	struct keytable_set *set = &table->lacks[to].sets[which];
	uint32_t i = keytable_set_next(set, 0);

	for (; i != UINT32_MAX; i = keytable_set_next(set, i + 1)) {
		if (!keytable_set_has(other, i))
			item_copy(table, to, which, i);
		else if (which == KEYTABLE_SLOTS)
			slots_write(table, to, i);
		else
			extras_write(table, to, i);
	}
	keytable_set_clear(set);
}

static void
buckets_write(struct keytable *table, int to)
{
	struct table_bucket *buckets = part(table, table->header->halves[to].buckets);
	struct keytable_set *set = &table->lacks[to].sets[KEYTABLE_BUCKETS];
	uint32_t i = keytable_set_next(set, 0);

	for (; i != UINT32_MAX; i = keytable_set_next(set, i + 1))
		buckets[i] = table->buckets[i];
	keytable_set_clear(set);
}

/* A class is no secret and is in no key: it is written over the old one. */
static void
classes_write(struct keytable *table, int to)
{
	const struct table_half *half = &table->header->halves[to];
	struct keytable_set *set = &table->lacks[to].sets[KEYTABLE_CLASSES];
	uint32_t i = keytable_set_next(set, 0);

	for (; i != UINT32_MAX; i = keytable_set_next(set, i + 1)) {
		const struct keytable_node *node = &table->nodes[i];

		((struct key_slot *)part(table, half->slots))[i].policy = node->policy;
		((struct key_slot *)part(table, half->replies))[i].policy = node->policy;
		for (uint32_t at = node->extra; at != 0; at = table->extras[at - 1].next) {
			((struct key_slot *)part(table, half->extras))[at - 1].policy =
				node->policy;
			((struct key_slot *)part(table, half->extra_replies))[at - 1].policy =
				node->policy;
		}
	}
	keytable_set_clear(set);
}

/* Brings half `to` up to date. No worker may be reading it. */
static void
half_write(struct keytable *table, int to)
{
	const struct table_half *half = &table->header->halves[to];
	struct keytable_lack *lack = &table->lacks[to];

	keys_write(table, to, KEYTABLE_SLOTS);
	keys_write(table, to, KEYTABLE_EXTRAS);
	classes_write(table, to);
	buckets_write(table, to);
	if (lack->prefixes)
		memcpy(part(table, half->prefixes), table->prefixes,
			table->shape.prefix_count * sizeof(*table->prefixes));
	if (lack->rules)
		rules_copy(part(table, half->rules), table->rules);
	if (lack->policy) {
		table->policy.bucket_seed = table->bucket_seed;
		memcpy(part(table, half->policy), &table->policy, sizeof(table->policy));
	}
	lack->prefixes = false;
	lack->rules = false;
	lack->policy = false;
	lack->anything = false;
}

/* ---- generations ---- */

uint64_t
keytable_generation(const struct keytable *table)
{
	return atomic_load_explicit(&table->header->generation, memory_order_relaxed);
}

struct keytable_uptake
keytable_uptake(const struct keytable *table, uint64_t least)
{
	struct keytable_uptake uptake = {0, 0};

	for (unsigned i = 0; i < table->worker_count; i++) {
		uint64_t seen = atomic_load_explicit(
			&stats_worker(table->stats, i)->seen, memory_order_acquire);

		uptake.running += seen != 0;
		uptake.current += seen != 0 && seen >= least;
	}
	return uptake;
}

/*
 * Nobody reads the half out of force if every worker is offline or uses the half in force. The
 * fence pairs with the one of a waking worker: either it sees the new generation, or we see that it
 * is awake.
 */
static bool
is_half_free(const struct keytable *table)
{
	struct keytable_uptake uptake;

	atomic_thread_fence(memory_order_seq_cst);
	uptake = keytable_uptake(table, keytable_generation(table));
	return uptake.running == uptake.current;
}

bool
keytable_is_dirty(const struct keytable *table)
{
	return table->lacks[keytable_generation(table) & 1].anything;
}

int
keytable_publish(struct keytable *table)
{
	uint64_t next = keytable_generation(table) + 1;

	if (!is_half_free(table))
		return -EAGAIN;
	half_write(table, (int)(next & 1));
	atomic_store_explicit(&table->header->generation, next, memory_order_release);
	return 0;
}

int
keytable_settle(struct keytable *table)
{
	int out = !(keytable_generation(table) & 1);

	/* Before the first publish there is nothing in force to copy from. */
	if (keytable_generation(table) == 0 || !table->lacks[out].anything)
		return 0;
	if (!is_half_free(table))
		return -EAGAIN;
	/* What changed since the publish is not in force yet; it stays marked for both halves. */
	if (!keytable_is_dirty(table))
		half_write(table, out);
	return 0;
}

/* ---- counts ---- */

struct keytable_counts
keytable_counts(const struct keytable *table, unsigned realm_index)
{
	return table->realms[realm_index].counts;
}

struct keytable_counts
keytable_counts_all(const struct keytable *table)
{
	struct keytable_counts all = {0};

	for (unsigned i = 0; i < TABLE_REALMS_MAX; i++) {
		const struct keytable_counts *counts = &table->realms[i].counts;

		all.live += counts->live;
		all.revoked += counts->revoked;
		all.extras += counts->extras;
		all.prefixes += counts->prefixes;
	}
	return all;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The model of the key table: nodes, further epochs and their buckets, prefixes. No keys here. */
#include "ctrl/keytable_priv.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* At 1/8 load an overflow comes about once in ten seeds; this many in a row do not happen. */
#define SEED_TRIES_MAX 1000u

/* ---- sets of indices ---- */

static bool
set_init(struct keytable_set *set, uint32_t count)
{
	set->word_count = (count + 63) / 64;
	set->words = calloc(set->word_count, sizeof(*set->words));
	return set->words != NULL;
}

bool
keytable_set_has(const struct keytable_set *set, uint32_t i)
{
	return (set->words[i / 64] >> (i % 64) & 1) != 0;
}

uint32_t
keytable_set_next(const struct keytable_set *set, uint32_t i)
{
	uint32_t word = i / 64;
	uint64_t bits;

	if (word >= set->word_count)
		return UINT32_MAX;
	bits = set->words[word] & ~0ull << (i % 64);
	while (bits == 0) {
		if (++word == set->word_count)
			return UINT32_MAX;
		bits = set->words[word];
	}
	return word * 64 + (uint32_t)__builtin_ctzll(bits);
}

void
keytable_set_clear(struct keytable_set *set)
{
	memset(set->words, 0, set->word_count * sizeof(*set->words));
}

void
keytable_mark(struct keytable *table, enum keytable_part part, uint32_t i)
{
	for (int half = 0; half < 2; half++) {
		struct keytable_lack *lack = &table->lacks[half];

		lack->sets[part].words[i / 64] |= 1ull << (i % 64);
		lack->anything = true;
	}
}

void
keytable_mark_policy(struct keytable *table)
{
	for (int half = 0; half < 2; half++) {
		table->lacks[half].policy = true;
		table->lacks[half].anything = true;
	}
}

void
keytable_mark_rules(struct keytable *table)
{
	for (int half = 0; half < 2; half++) {
		table->lacks[half].rules = true;
		table->lacks[half].anything = true;
	}
}

static void
mark_prefixes(struct keytable *table)
{
	for (int half = 0; half < 2; half++) {
		table->lacks[half].prefixes = true;
		table->lacks[half].anything = true;
	}
}

static void
mark_buckets(struct keytable *table)
{
	for (uint32_t i = 0; i < table->shape.bucket_count; i++)
		keytable_mark(table, KEYTABLE_BUCKETS, i);
}

bool
keytable_model_init(struct keytable *table)
{
	const struct keytable_shape *shape = &table->shape;
	bool is_there = true;

	table->nodes = calloc(shape->slot_count, sizeof(*table->nodes));
	table->extras = calloc(shape->extra_count, sizeof(*table->extras));
	table->free_extras = calloc(shape->extra_count, sizeof(*table->free_extras));
	table->buckets = aligned_alloc(64, shape->bucket_count * sizeof(*table->buckets));
	table->prefixes = calloc(shape->prefix_count, sizeof(*table->prefixes));
	table->prefix_used = calloc(shape->prefix_count, 1);
	table->rules = aligned_alloc(64, sizeof(*table->rules));
	for (int half = 0; half < 2; half++) {
		struct keytable_set *sets = table->lacks[half].sets;

		is_there &= set_init(&sets[KEYTABLE_SLOTS], shape->slot_count);
		is_there &= set_init(&sets[KEYTABLE_EXTRAS], shape->extra_count);
		is_there &= set_init(&sets[KEYTABLE_BUCKETS], shape->bucket_count);
		is_there &= set_init(&sets[KEYTABLE_CLASSES], shape->slot_count);
	}
	if (!is_there || table->nodes == NULL || table->extras == NULL ||
		table->free_extras == NULL || table->buckets == NULL || table->prefixes == NULL ||
		table->prefix_used == NULL || table->rules == NULL)
		return false;
	memset(table->rules, 0, sizeof(*table->rules));
	memset(table->buckets, 0, shape->bucket_count * sizeof(*table->buckets));
	for (uint32_t i = 0; i < shape->extra_count; i++)
		table->free_extras[i] = shape->extra_count - 1 - i;
	table->free_extra_count = shape->extra_count;
	table->prefix_used[0] = 1; /* index 0 means "none" */
	table->prefix_hint = 1;
	table->bucket_seed = randombytes_random();
	return true;
}

void
keytable_model_fini(struct keytable *table)
{
	for (int half = 0; half < 2; half++)
		for (int part = 0; part < KEYTABLE_PARTS; part++)
			free(table->lacks[half].sets[part].words);
	free(table->rules);
	free(table->prefix_used);
	free(table->prefixes);
	free(table->buckets);
	free(table->free_extras);
	free(table->extras);
	free(table->nodes);
}

/* ---- buckets of further epochs ---- */

static uint32_t
bucket_of(const struct keytable *table, uint32_t realm, uint32_t node, uint16_t epoch)
{
	return table_bucket_index(
		realm, node, epoch, table->bucket_seed, table->shape.bucket_count - 1);
}

static bool
bucket_put(struct keytable *table, uint32_t index)
{
	const struct keytable_extra *extra = &table->extras[index];
	const struct keytable_realm *realm = &table->realms[table->nodes[extra->slot].realm_index];
	uint32_t node = extra->slot - realm->base;
	uint32_t at = bucket_of(table, realm->id, node, extra->epoch.epoch);

	for (unsigned way = 0; way < TABLE_BUCKET_WAYS; way++) {
		struct table_bucket_entry *entry = &table->buckets[at].entries[way];

		if (entry->realm != 0)
			continue;
		*entry = (struct table_bucket_entry){
			.realm = realm->id,
			.node = node,
			.epoch = extra->epoch.epoch,
			.index = index,
		};
		keytable_mark(table, KEYTABLE_BUCKETS, at);
		return true;
	}
	return false;
}

static bool
buckets_fill(struct keytable *table)
{
	memset(table->buckets, 0, table->shape.bucket_count * sizeof(*table->buckets));
	for (uint32_t i = 0; i < table->shape.extra_count; i++)
		if (table->extras[i].epoch.is_used && !bucket_put(table, i))
			return false;
	return true;
}

/* Another seed for all, until no bucket overflows. */
static bool
buckets_reseed(struct keytable *table)
{
	for (unsigned tries = 0; tries < SEED_TRIES_MAX; tries++) {
		table->bucket_seed = randombytes_random();
		if (!buckets_fill(table))
			continue;
		mark_buckets(table);
		keytable_mark_policy(table);
		return true;
	}
	return false;
}

static void
bucket_take_out(struct keytable *table, uint32_t index)
{
	const struct keytable_extra *extra = &table->extras[index];
	const struct keytable_realm *realm = &table->realms[table->nodes[extra->slot].realm_index];
	uint32_t at = bucket_of(table, realm->id, extra->slot - realm->base, extra->epoch.epoch);

	for (unsigned way = 0; way < TABLE_BUCKET_WAYS; way++) {
		struct table_bucket_entry *entry = &table->buckets[at].entries[way];

		if (entry->realm == 0 || entry->index != index)
			continue;
		memset(entry, 0, sizeof(*entry));
		keytable_mark(table, KEYTABLE_BUCKETS, at);
	}
}

/* ---- further epochs ---- */

/* Takes out the epoch that *link leads to, which then leads to the one behind it. */
static void
extra_drop(struct keytable *table, struct keytable_node *node, uint32_t *link)
{
	uint32_t index = *link - 1;
	struct keytable_extra *extra = &table->extras[index];

	*link = extra->next;
	bucket_take_out(table, index);
	memset(extra, 0, sizeof(*extra));
	table->free_extras[table->free_extra_count++] = index;
	keytable_mark(table, KEYTABLE_EXTRAS, index);
	table->realms[node->realm_index].counts.extras--;
}

static void
extras_clear(struct keytable *table, struct keytable_node *node)
{
	while (node->extra != 0)
		extra_drop(table, node, &node->extra);
}

unsigned
keytable_extras_expire(struct keytable *table, const uint32_t before_s[TABLE_REALMS_MAX])
{
	unsigned count = 0;

	if (table->free_extra_count == table->shape.extra_count)
		return 0;
	for (uint32_t i = 0; i < table->shape.extra_count; i++) {
		const struct keytable_extra *extra = &table->extras[i];
		struct keytable_node *node = &table->nodes[extra->slot];
		uint32_t *link = &node->extra;

		if (!extra->epoch.is_used ||
			extra->epoch.not_after_s >= before_s[node->realm_index])
			continue;
		while (*link != i + 1)
			link = &table->extras[*link - 1].next;
		extra_drop(table, node, link);
		count++;
	}
	return count;
}

static struct keytable_epoch
epoch_of(const struct registry_epoch *from)
{
	return (struct keytable_epoch){
		.epoch = from->epoch,
		.suite = from->suite,
		.is_used = 1,
		.not_before_s = from->not_before_s,
		.not_after_s = from->not_after_s,
		.opened_s = from->opened_s,
		.master = from->master_place,
	};
}

/* There is room: the caller counted. Only the seed can fail, and practically does not. */
static bool
extras_put(struct keytable *table, uint32_t slot, const struct registry_node *from)
{
	struct keytable_node *node = &table->nodes[slot];

	for (unsigned i = 1; i < from->epoch_count; i++) {
		uint32_t index = table->free_extras[--table->free_extra_count];

		table->extras[index] = (struct keytable_extra){
			.epoch = epoch_of(&from->epochs[i]),
			.slot = slot,
			.next = node->extra,
		};
		node->extra = index + 1;
		keytable_mark(table, KEYTABLE_EXTRAS, index);
		table->realms[node->realm_index].counts.extras++;
		if (!bucket_put(table, index) && !buckets_reseed(table))
			return false;
	}
	return true;
}

/* ---- prefixes beyond a node's first ---- */

static void
prefixes_clear(struct keytable *table, struct keytable_node *node)
{
	if (node->more_count == 0)
		return;
	memset(&table->prefix_used[node->origin_more], 0, node->more_count);
	memset(&table->prefixes[node->origin_more], 0, node->more_count * sizeof(*table->prefixes));
	if (node->origin_more < table->prefix_hint)
		table->prefix_hint = node->origin_more;
	table->realms[node->realm_index].counts.prefixes -= node->more_count;
	node->origin_more = 0;
	node->more_count = 0;
	mark_prefixes(table);
}

/* The first run of `count` entries that are free, or are the node's own and given back; or 0. */
static uint32_t
prefixes_find(const struct keytable *table, const struct keytable_node *node, unsigned count)
{
	uint32_t own = node->origin_more, own_end = own + node->more_count;
	uint32_t i = own != 0 && own < table->prefix_hint ? own : table->prefix_hint;
	unsigned run = 0;

	for (; i < table->shape.prefix_count; i++) {
		run = table->prefix_used[i] && (i < own || i >= own_end) ? 0 : run + 1;
		if (run == count)
			return i + 1 - count;
	}
	return 0;
}

static void
prefixes_put(struct keytable *table, struct keytable_node *node, uint32_t first,
	const struct registry_node *from)
{
	unsigned count = from->prefix_count - 1;

	for (unsigned i = 0; i < count; i++) {
		struct table_prefix *prefix = &table->prefixes[first + i];

		memcpy(prefix->prefix, from->prefixes[i + 1].address, sizeof(prefix->prefix));
		prefix->bits = from->prefixes[i + 1].bits;
		prefix->has_more = i + 1 < count;
	}
	memset(&table->prefix_used[first], 1, count);
	if (first == table->prefix_hint)
		table->prefix_hint = first + count;
	node->origin_more = (uint16_t)first;
	node->more_count = (uint8_t)count;
	table->realms[node->realm_index].counts.prefixes += count;
	mark_prefixes(table);
}

/* ---- nodes ---- */

static void
node_reset(struct keytable *table, uint32_t slot, unsigned realm_index)
{
	struct keytable_node *node = &table->nodes[slot];
	struct keytable_counts *counts = &table->realms[realm_index].counts;
	uint16_t policy = node->policy;

	if (node->state != KEY_SLOT_FREE) {
		extras_clear(table, node);
		prefixes_clear(table, node);
		counts->live -= node->state == KEY_SLOT_LIVE;
		counts->revoked -= node->state == KEY_SLOT_REVOKED;
	}
	memset(node, 0, sizeof(*node));
	node->realm_index = (uint8_t)realm_index;
	node->policy = policy;
	node->origin_bits = KEY_SLOT_ORIGIN_NONE;
	keytable_mark(table, KEYTABLE_SLOTS, slot);
}

/* How many epochs the node may have, counting the places it gives back. */
static uint32_t
epochs_room(const struct keytable *table, const struct keytable_node *node)
{
	uint32_t room = 1 + table->free_extra_count;

	for (uint32_t at = node->extra; at != 0; at = table->extras[at - 1].next)
		room++;
	return room;
}

static int
no_room(const struct keytable *table, struct reason *reason)
{
	return reason_set(reason, ENOSPC,
		"all %u places for further epochs are taken; retire old keys "
		"(credgate realm retire), wait until older epochs end, or revoke nodes",
		table->shape.extra_count);
}

/* Room for the further epochs and prefixes; *first gets where the prefixes go. */
static int
room_check(const struct keytable *table, const struct keytable_node *node,
	const struct registry_node *from, uint32_t *first, struct reason *reason)
{
	*first = 0;
	if (from->epoch_count > epochs_room(table, node))
		return no_room(table, reason);
	if (from->prefix_count <= 1)
		return 0;
	*first = prefixes_find(table, node, from->prefix_count - 1);
	if (*first == 0)
		return reason_set(reason, ENOSPC,
			"all %u places for further prefixes are taken; give nodes fewer prefixes",
			table->shape.prefix_count - 1);
	return 0;
}

/* Can the node be put as it stands? A revoked one needs no room. */
static int
node_check(const struct keytable *table, const struct keytable_realm *realm,
	const struct registry_node *from, uint32_t *first, struct reason *reason)
{
	if (from->node == 0 || from->node > realm->nodes_max)
		return reason_set(reason, ERANGE,
			"node %u is above nodes_max (%u); raise it and restart credgated",
			from->node, realm->nodes_max);
	if (!from->is_live || from->epoch_count == 0)
		return 0;
	return room_check(table, &table->nodes[realm->base + from->node], from, first, reason);
}

int
keytable_node_fits(const struct keytable *table, unsigned realm_index,
	const struct registry_node *node, struct reason *reason)
{
	uint32_t first;

	return node_check(table, &table->realms[realm_index], node, &first, reason);
}

bool
keytable_node_trim(const struct keytable *table, unsigned realm_index, struct registry_node *node)
{
	const struct keytable_realm *realm = &table->realms[realm_index];
	const struct keytable_node *known = &table->nodes[realm->base + node->node];
	bool is_cut = false;

	if (node->node == 0 || node->node > realm->nodes_max)
		return false;
	if (node->epoch_count > epochs_room(table, known)) {
		node->epoch_count = epochs_room(table, known);
		is_cut = true;
	}
	while (node->prefix_count > 1 && prefixes_find(table, known, node->prefix_count - 1) == 0) {
		node->prefix_count--;
		is_cut = true;
	}
	return is_cut;
}

static void
node_put_live(struct keytable *table, uint32_t slot, uint32_t first_prefix,
	const struct registry_node *from)
{
	struct keytable_node *node = &table->nodes[slot];

	node->state = KEY_SLOT_LIVE;
	node->epoch = epoch_of(&from->epochs[0]);
	table->realms[node->realm_index].counts.live++;
	if (from->prefix_count > 0) {
		memcpy(node->origin_prefix, from->prefixes[0].address, sizeof(node->origin_prefix));
		node->origin_bits = from->prefixes[0].bits;
	}
	if (first_prefix != 0)
		prefixes_put(table, node, first_prefix, from);
}

int
keytable_node_set(struct keytable *table, unsigned realm_index, const struct registry_node *from,
	struct reason *reason)
{
	const struct keytable_realm *realm = &table->realms[realm_index];
	uint32_t slot = realm->base + from->node, first = 0;
	int error = node_check(table, realm, from, &first, reason);

	if (error != 0)
		return error;
	node_reset(table, slot, realm_index);
	if (!from->is_live || from->epoch_count == 0) {
		struct keytable_node *node = &table->nodes[slot];

		node->state = KEY_SLOT_REVOKED;
		node->epoch.epoch = from->highest;
		table->realms[realm_index].counts.revoked++;
		return 0;
	}
	node_put_live(table, slot, first, from);
	if (extras_put(table, slot, from))
		return 0;
	return reason_set(reason, ENOSPC, "no seed spreads the further epochs; report this");
}

void
keytable_node_clear(struct keytable *table, unsigned realm_index, uint32_t node)
{
	const struct keytable_realm *realm = &table->realms[realm_index];

	/* The registry may have nodes from a time when nodes_max was larger. */
	if (node == 0 || node > realm->nodes_max)
		return;
	node_reset(table, realm->base + node, realm_index);
	table->nodes[realm->base + node].policy = 0;
}

void
keytable_class_set(struct keytable *table, unsigned realm_index, uint32_t node, uint16_t class)
{
	const struct keytable_realm *realm = &table->realms[realm_index];
	uint32_t slot = realm->base + node;

	if (node == 0 || node > realm->nodes_max || table->nodes[slot].policy == class)
		return;
	table->nodes[slot].policy = class;
	keytable_mark(table, KEYTABLE_CLASSES, slot);
}

/* ---- epochs of a node that is there ---- */

static void
epoch_tell(const struct keytable_epoch *from, struct registry_epoch *to)
{
	to->epoch = from->epoch;
	to->suite = from->suite;
	to->not_before_s = from->not_before_s;
	to->not_after_s = from->not_after_s;
	to->opened_s = from->opened_s;
	to->master_place = from->master;
}

unsigned
keytable_epochs_get(const struct keytable *table, unsigned realm_index, uint32_t id,
	struct registry_epoch epochs[TABLE_EPOCHS_MAX])
{
	const struct keytable_realm *realm = &table->realms[realm_index];
	const struct keytable_node *node = &table->nodes[realm->base + id];
	unsigned count = 1;

	if (id == 0 || id > realm->nodes_max || node->state != KEY_SLOT_LIVE)
		return 0;
	epoch_tell(&node->epoch, &epochs[0]);
	for (uint32_t at = node->extra; at != 0; at = table->extras[at - 1].next) {
		unsigned place = count++;

		for (; epochs[place - 1].epoch < table->extras[at - 1].epoch.epoch; place--)
			epochs[place] = epochs[place - 1];
		epoch_tell(&table->extras[at - 1].epoch, &epochs[place]);
	}
	return count;
}

static bool
epochs_are(const struct keytable *table, unsigned realm_index, const struct registry_node *node)
{
	struct registry_epoch known[TABLE_EPOCHS_MAX];
	unsigned count = keytable_epochs_get(table, realm_index, node->node, known);

	if (count != node->epoch_count)
		return false;
	for (unsigned i = 0; i < count; i++)
		if (known[i].epoch != node->epochs[i].epoch ||
			known[i].not_before_s != node->epochs[i].not_before_s ||
			known[i].not_after_s != node->epochs[i].not_after_s)
			return false;
	return true;
}

int
keytable_epochs_set(struct keytable *table, unsigned realm_index, const struct registry_node *from,
	struct reason *reason)
{
	const struct keytable_realm *realm = &table->realms[realm_index];
	uint32_t slot = realm->base + from->node;
	struct keytable_node *node = &table->nodes[slot];

	if (from->node == 0 || from->node > realm->nodes_max || node->state != KEY_SLOT_LIVE ||
		from->epoch_count == 0 || epochs_are(table, realm_index, from))
		return 0;
	if (from->epoch_count > epochs_room(table, node))
		return no_room(table, reason);
	extras_clear(table, node);
	node->epoch = epoch_of(&from->epochs[0]);
	keytable_mark(table, KEYTABLE_SLOTS, slot);
	if (extras_put(table, slot, from))
		return 1;
	return reason_set(reason, ENOSPC, "no seed spreads the further epochs; report this");
}

uint32_t
keytable_extras_free(const struct keytable *table)
{
	return table->free_extra_count;
}

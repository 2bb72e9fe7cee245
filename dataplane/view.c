/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/view.h"

#include "wire/bytes.h"

/* Before the first table there are no realms; the loops need not know. */
static const struct table_policy no_policy;

static const void *
at(const struct table_header *table, uint64_t offset)
{
	return (const uint8_t *)table + offset;
}

void
view_open(struct view *view, const struct table_header *table, uint64_t generation,
	uint32_t slot_limit, uint64_t now_us)
{
	const struct table_half *half = &table->halves[generation & 1];
	const uint64_t now_s = now_us / 1000000;

	*view = (struct view){
		.policy = &no_policy,
		.now_s = now_s < UINT32_MAX ? (uint32_t)now_s : UINT32_MAX,
	};
	if (generation == 0)
		return;
	view->policy = at(table, half->policy);
	view->slots = at(table, half->slots);
	view->replies = at(table, half->replies);
	view->extras = at(table, half->extras);
	view->extra_replies = at(table, half->extra_replies);
	view->buckets = at(table, half->buckets);
	view->prefixes = at(table, half->prefixes);
	view->rules = at(table, half->rules);
	view->slot_count = table->slot_count < slot_limit ? table->slot_count : slot_limit;
	view->extra_count = table->extra_count;
	view->bucket_count = table->bucket_count;
	view->prefix_count = table->prefix_count;
}

static const struct table_bucket_entry *
bucket_find(const struct table_bucket *bucket, uint32_t realm, uint32_t node, uint16_t epoch)
{
	unsigned way;

	for (way = 0; way < TABLE_BUCKET_WAYS; way++) {
		const struct table_bucket_entry *entry = &bucket->entries[way];

		if (entry->realm == realm && entry->node == node && entry->epoch == epoch)
			return entry;
	}
	return NULL;
}

const struct table_bucket *
view_bucket(const struct view *view, uint32_t realm, uint32_t node, uint16_t epoch)
{
	static const struct table_bucket empty;

	if (view->bucket_count == 0)
		return &empty;
	return &view->buckets[table_bucket_index(
		realm, node, epoch, view->policy->bucket_seed, view->bucket_count - 1)];
}

const struct key_slot *
view_bucket_slot(const struct view *view, const struct table_bucket *bucket, uint32_t realm,
	uint32_t node, uint16_t epoch)
{
	const struct table_bucket_entry *entry = bucket_find(bucket, realm, node, epoch);

	return entry != NULL && entry->index < view->extra_count ? &view->extras[entry->index]
								 : NULL;
}

/* A further live epoch of a node. */
static enum verdict
extra_find(const struct view *view, uint32_t realm, uint32_t node, uint16_t epoch,
	struct view_key *key)
{
	const struct key_slot *slot =
		view_bucket_slot(view, view_bucket(view, realm, node, epoch), realm, node, epoch);

	if (slot == NULL || slot->realm != realm || slot->node != node || slot->epoch != epoch ||
		slot->state != KEY_SLOT_LIVE)
		return VERDICT_UNKNOWN_EPOCH;
	key->slot = slot;
	return VERDICT_NONE;
}

enum verdict
view_key_find(const struct view *view, uint32_t realm, uint32_t node, uint16_t epoch,
	struct view_key *key)
{
	const struct key_slot *slot = &view->slots[key->window];

	if (slot->realm != realm || slot->node != node || slot->state == KEY_SLOT_FREE)
		return VERDICT_UNKNOWN_NODE;
	if (slot->state != KEY_SLOT_LIVE)
		return VERDICT_REVOKED;
	if (slot->epoch != epoch)
		return extra_find(view, realm, node, epoch, key);
	key->slot = slot;
	return VERDICT_NONE;
}

const struct key_slot *
view_reply(const struct view *view, const struct key_slot *slot)
{
	if (slot >= view->extras && slot < view->extras + view->extra_count)
		return &view->extra_replies[slot - view->extras];
	return &view->replies[slot - view->slots];
}

bool
view_prefix_has(const uint8_t prefix[16], unsigned bits, const uint8_t address[16])
{
	const uint64_t high = load_be64(prefix) ^ load_be64(address);
	const uint64_t low = load_be64(prefix + 8) ^ load_be64(address + 8);

	if (bits == 0)
		return true;
	if (bits <= 64)
		return high >> (64 - bits) == 0;
	return bits <= 128 && high == 0 && low >> (128 - bits) == 0;
}

bool
view_prefixes_have(const struct view *view, const struct key_slot *slot, const uint8_t address[16])
{
	uint32_t index = slot->origin_more;
	unsigned n;

	if (!view_has_prefixes(slot))
		return false;
	if (view_prefix_has(slot->origin_prefix, slot->origin_bits, address))
		return true;
	if (index == 0)
		return false;
	for (n = 0; n < TABLE_NODE_PREFIXES_MAX && index < view->prefix_count; n++, index++) {
		const struct table_prefix *prefix = &view->prefixes[index];

		if (view_prefix_has(prefix->prefix, prefix->bits, address))
			return true;
		if (!prefix->has_more)
			break;
	}
	return false;
}

uint32_t
view_groups(const struct view *view)
{
	uint32_t groups = 0;
	unsigned group;

	for (group = 0; group < TABLE_GROUPS_MAX; group++)
		groups |= (uint32_t)(view->policy->groups[group].is_used != 0) << group;
	return groups;
}

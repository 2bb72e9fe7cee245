/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The half of the key and policy table that is in force during one burst (dataplane/table.h), and
 * the look-ups in it. A view MUST NOT outlive the burst it was opened for.
 *
 * Control is trusted more than the dataplane, so the table's contents are believed; indices are
 * still kept inside the mapping, since that costs nothing beside the load they guard.
 */

#include "crypto/slot.h"
#include "dataplane/table.h"
#include "verdict/verdict.h"

struct view {
	const struct table_policy *policy;
	const struct key_slot *slots;
	const struct key_slot *replies;
	const struct key_slot *extras;
	const struct key_slot *extra_replies;
	const struct table_bucket *buckets;
	const struct table_prefix *prefixes;
	const struct table_rules *rules;
	uint32_t slot_count;
	uint32_t extra_count;
	uint32_t bucket_count;
	uint32_t prefix_count;
	uint32_t now_s;
};

/* What there is to know about who a credential claims to be from. */
struct view_key {
	const struct table_realm *realm;
	const struct key_slot *slot;
	uint32_t window; /* the node's slot in the replay store, the same for all its epochs */
	uint32_t groups; /* that the audience is for */
};

/*
 * Opens the half that `generation` put in force; with generation 0 no realm is known. `slot_limit`
 * bounds slots further: windows that the replay store has. Any thread.
 */
void view_open(struct view *view, const struct table_header *table, uint64_t generation,
	uint32_t slot_limit, uint64_t now_us);

/*
 * Finds the slot of (realm, node, epoch), whose realm and window (view_slot) are already in `key`:
 * VERDICT_NONE, UNKNOWN_NODE, REVOKED or UNKNOWN_EPOCH (no such one). A node that was thrown out
 * has no epochs any more.
 */
enum verdict view_key_find(const struct view *view, uint32_t realm, uint32_t node, uint16_t epoch,
	struct view_key *key);

/*
 * What view_key_find looks up for an epoch that is not the node's current one, in two steps, so
 * that the loads of a burst can be started together: the bucket, not read yet, never NULL; and once
 * it is there the slot, not read yet either, or NULL. Whether the node is live is not asked.
 */
const struct table_bucket *view_bucket(
	const struct view *view, uint32_t realm, uint32_t node, uint16_t epoch);
const struct key_slot *view_bucket_slot(const struct view *view, const struct table_bucket *bucket,
	uint32_t realm, uint32_t node, uint16_t epoch);

/* The slot with the reply keys of a request slot that was found here. */
const struct key_slot *view_reply(const struct view *view, const struct key_slot *slot);

/* NULL if there is no such realm. `id` MUST not be 0. */
static inline const struct table_realm *
view_realm(const struct view *view, uint32_t id)
{
	const struct table_policy *policy = view->policy;
	uint32_t at = table_realm_start(id);
	unsigned n;

	for (n = 0; n < TABLE_REALM_HASH; n++, at++) {
		const struct table_realm_hash_entry *entry =
			&policy->realm_hash[at % TABLE_REALM_HASH];

		if (entry->id == id)
			return &policy->realms[entry->index % TABLE_REALMS_MAX];
		if (entry->id == 0)
			break;
	}
	return NULL;
}

/* The node's main slot; slot 0, which is nobody's, for a node that cannot be. */
static inline uint32_t
view_slot(const struct view *view, const struct table_realm *realm, uint32_t node)
{
	const uint64_t slot = (uint64_t)realm->base + node;

	return node <= realm->nodes_max && slot < view->slot_count ? (uint32_t)slot : 0;
}

/* Starts the loads that view_key_find and then the tag kernel are going to wait for. */
static inline void
view_slot_prefetch(const struct key_slot *slot)
{
	__builtin_prefetch(slot);
	__builtin_prefetch((const uint8_t *)slot + 64);
}

static inline bool
view_is_valid_now(const struct view *view, const struct key_slot *slot)
{
	return (slot->not_before_s <= view->now_s) & (view->now_s <= slot->not_after_s);
}

/* Does the node have any prefix that its addresses must lie in? */
static inline bool
view_has_prefixes(const struct key_slot *slot)
{
	return slot->origin_bits != KEY_SLOT_ORIGIN_NONE;
}

/* Are the first `bits` (0 ... 128; more match nothing) of both the same? */
bool view_prefix_has(const uint8_t prefix[16], unsigned bits, const uint8_t address[16]);

/* Does `address` lie in one of the node's prefixes? No prefix: no. */
bool view_prefixes_have(
	const struct view *view, const struct key_slot *slot, const uint8_t address[16]);

/* 0 for audience 0, else 1 + the index of `audience`, which the realm MUST serve. */
static inline uint32_t
view_audience_place(const struct table_realm *realm, uint32_t audience)
{
	const struct table_audience *found = realm->audiences;
	unsigned left = realm->audience_count;

	if (audience == 0 || left == 0 || left > TABLE_AUDIENCES_MAX)
		return 0;
	for (; left > 1; left -= left / 2)
		found += found[left / 2].audience <= audience ? left / 2 : 0;
	return (uint32_t)(found - realm->audiences) + 1;
}

/* The groups that get `audience`; false if the realm does not serve it. */
static inline bool
view_audience_find(const struct table_realm *realm, uint32_t audience, uint32_t *groups)
{
	const struct table_audience *found = realm->audiences;
	unsigned left = realm->audience_count;

	*groups = realm->any_groups;
	if (audience == 0)
		return realm->audience_any;
	if (left == 0 || left > TABLE_AUDIENCES_MAX)
		return false;
	/* Without a branch on what it finds: senders mix audiences. */
	for (; left > 1; left -= left / 2)
		found += found[left / 2].audience <= audience ? left / 2 : 0;
	*groups = found->groups;
	return found->audience == audience;
}

/* Bitmap of the groups that are in use. */
uint32_t view_groups(const struct view *view);

/* Uid and gid of the group's reader, in the halves of a word as in a credential's restriction. */
static inline uint64_t
view_reader(const struct view *view, unsigned group)
{
	const struct table_group *found = &view->policy->groups[group];

	return (uint64_t)found->reader_gid << 32 | found->reader_uid;
}

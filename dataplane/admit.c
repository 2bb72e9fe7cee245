/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 2: everything that can be said of a claim without its tag. A refusal here is cheap, but
 * unproved: counted apart and never answered. So from WRONG_ORIGIN on, where an honest node must
 * learn why, a credential that wants a reply keeps its refusal provisionally and is proved first.
 *
 * No table keyed by a source address refuses here: whoever forges addresses must not be able to
 * silence a node.
 */

#include "dataplane/burst.h"

/* A serial whose incarnation is further ahead than this comes from a clock gone wrong. */
#define ADMIT_INCARNATION_AHEAD_S 86400u
#define US_A_SECOND               1000000u

static uint64_t
add_saturating(uint64_t a, uint64_t b)
{
	const uint64_t sum = a + b;

	return sum < a ? UINT64_MAX : sum;
}

static bool
address_is_stated(const uint8_t address[16])
{
	return (load_be64(address) | load_be64(address + 8)) != 0;
}

static bool
origin_is_right(const struct view *view, const struct burst_item *item)
{
	const uint8_t *origin = item->cred.msg + CRED_AT_ORIGIN;
	const struct key_slot *slot = item->key.slot;

	if (item->key.realm->origin_mode == TABLE_ORIGIN_OFF)
		return true;
	if (!address_is_stated(origin))
		return false;
	if (item->key.realm->origin_mode == TABLE_ORIGIN_CLAIMED)
		return view_prefixes_have(view, slot, origin);
	return memcmp(origin, item->source, 16) == 0 &&
	       (!view_has_prefixes(slot) || view_prefixes_have(view, slot, origin));
}

/* NOT_YET_VALID, EXPIRED or FLOOR, in realms with synchronised clocks. */
static enum verdict
admit_clock(const struct burst *burst, const struct burst_item *item)
{
	const struct table_realm *realm = item->key.realm;
	const struct wire_cred *cred = &item->cred;
	const uint64_t wanted_s = cred->ttl_s != 0 ? cred->ttl_s : realm->ttl_default_s;
	const uint64_t ttl_s = wanted_s < realm->ttl_max_s ? wanted_s : realm->ttl_max_s;
	const uint64_t end_us = add_saturating(
		add_saturating(cred->issued_us, ttl_s * US_A_SECOND), realm->skew_us);

	if (cred->issued_us > add_saturating(burst->now_us, realm->skew_us) ||
		cred->serial >> 32 > (uint64_t)burst->view.now_s + ADMIT_INCARNATION_AHEAD_S)
		return VERDICT_NOT_YET_VALID;
	if (burst->now_us > end_us)
		return VERDICT_EXPIRED;
	return cred->issued_us < realm->floor_us ? VERDICT_FLOOR : VERDICT_NONE;
}

/* The claims of a credential whose key was found. */
static enum verdict
admit_claims(const struct burst *burst, struct burst_item *item)
{
	if (!origin_is_right(&burst->view, item))
		return VERDICT_WRONG_ORIGIN;
	if (!view_audience_find(item->key.realm, item->cred.audience, &item->groups))
		return VERDICT_WRONG_AUDIENCE;
	if (item->key.realm->freshness == TABLE_FRESHNESS_SERIAL)
		return VERDICT_NONE;
	return admit_clock(burst, item);
}

/* Only LIVE slots have a suite: the others' keys are gone. */
static enum verdict
admit_key(const struct view *view, struct burst_item *item)
{
	const struct wire_cred *cred = &item->cred;
	const enum verdict verdict =
		view_key_find(view, cred->realm, cred->node, cred->epoch, &item->key);

	if (verdict != VERDICT_NONE)
		return verdict;
	if (item->key.slot->suite != cred->suite)
		return VERDICT_UNSUPPORTED;
	return view_is_valid_now(view, item->key.slot) ? VERDICT_NONE : VERDICT_UNKNOWN_EPOCH;
}

/* First pass: the key and the claims; the windows of what is left are on their way. */
static unsigned
admit_items(struct worker *worker, unsigned count)
{
	struct burst *burst = &worker->burst;
	unsigned live = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		struct burst_item *item = &burst->items[burst->live[n]];
		enum verdict verdict = admit_key(&burst->view, item);

		if (verdict == VERDICT_NONE) {
			item->owner = (uint8_t)table_shard_owner(
				item->key.slot->shard, worker->worker_count);
			if (item->owner == worker->index)
				replay_window_prefetch(worker->replay, item->key.window);
			verdict = admit_claims(burst, item);
			item->verdict = (uint8_t)verdict;
			if (item_wants_reply(item))
				verdict = VERDICT_NONE;
		}
		if (verdict != VERDICT_NONE)
			deliver_refused_item(worker, item, verdict);
		else
			burst->live[live++] = burst->live[n];
	}
	return live;
}

/*
 * A window peek, by the owner only: another worker's would be a hint at best, and would take the
 * line away from the owner. What wants a reply is looked up once it is proved.
 */
static enum verdict
admit_window(const struct worker *worker, const struct burst_item *item)
{
	enum replay_result seen;

	if (item->owner != worker->index || item_wants_reply(item))
		return VERDICT_NONE;
	seen = replay_window_peek_line(worker->replay, item->key.window, item->cred.serial);
	if (seen == REPLAY_NEW)
		return VERDICT_NONE;
	return seen == REPLAY_STALE ? VERDICT_STALE : VERDICT_REPLAYED;
}

/* Second pass: the windows. */
static unsigned
admit_windows(struct worker *worker, unsigned count)
{
	struct burst *burst = &worker->burst;
	unsigned live = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		const struct burst_item *item = &burst->items[burst->live[n]];
		const enum verdict verdict = admit_window(worker, item);

		if (verdict != VERDICT_NONE)
			deliver_refused_item(worker, item, verdict);
		else
			burst->live[live++] = burst->live[n];
	}
	return live;
}

unsigned
burst_admit(struct worker *worker, unsigned count)
{
	return admit_windows(worker, admit_items(worker, count));
}

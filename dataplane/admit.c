/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 2: what can be said of a claim without its tag. A refusal here is cheap, but
 * unproved: counted apart and never answered. So from WRONG_ORIGIN on, where an honest node must
 * learn why, a credential that wants a reply keeps its refusal provisionally and is proved first.
 *
 * No table keyed by a source address refuses here: whoever forges addresses must not be able to
 * silence a node.
 */

#include "dataplane/burst.h"
#include "dataplane/record.h"

#define US_A_SECOND 1000000u

static bool
address_is_stated(const uint8_t address[16])
{
	uint64_t words[2];

	memcpy(words, address, sizeof(words));
	return (words[0] | words[1]) != 0;
}

/* Elsewhere than in a strict realm. `::` states nothing, whatever prefixes there are. */
static bool
origin_is_right_unbound(const struct view *view, const struct burst_item *item)
{
	const uint8_t *origin = item->msg + CRED_AT_ORIGIN;

	return item->key.realm->origin_mode == TABLE_ORIGIN_OFF ||
	       (address_is_stated(origin) && view_prefixes_have(view, item->key.slot, origin));
}

/* A strict origin is the source, which parse has not let be `::`. */
static bool
origin_is_right(const struct view *view, const struct burst_item *item)
{
	const uint8_t *origin = item->msg + CRED_AT_ORIGIN;
	const struct key_slot *slot = item->key.slot;

	if (item->key.realm->origin_mode - 1u < 2u)
		return origin_is_right_unbound(view, item);
	return memcmp(origin, item->record.source, 16) == 0 &&
	       (!view_has_prefixes(slot) || view_prefixes_have(view, slot, origin));
}

/* Is `later` more than `most` behind `earlier`? As sums that saturate would have it. */
static bool
is_later(uint64_t later, uint64_t earlier, uint64_t most)
{
	return later > earlier && later - earlier > most;
}

/*
 * NOT_YET_VALID, EXPIRED or FLOOR, in realms with synchronised clocks. issued_us is below 2^63 and
 * a time to live below 2^52, so that their sum is right.
 */
static enum verdict
admit_clock(const struct burst *burst, const struct burst_item *item)
{
	const struct table_realm *realm = item->key.realm;
	const uint64_t wanted_s = item->ttl_s != 0 ? item->ttl_s : realm->ttl_default_s;
	const uint64_t ttl_s = wanted_s < realm->ttl_max_s ? wanted_s : realm->ttl_max_s;
	const uint64_t end_us = item->issued_us + ttl_s * US_A_SECOND;

	if (is_later(item->issued_us, burst->now_us, realm->skew_us) ||
		item->record.serial >> 32 > burst->incarnation_max)
		return VERDICT_NOT_YET_VALID;
	if (is_later(burst->now_us, end_us, realm->skew_us))
		return VERDICT_EXPIRED;
	return item->issued_us < realm->floor_us ? VERDICT_FLOOR : VERDICT_NONE;
}

/* The claims of a credential whose key was found. */
static enum verdict
admit_claims(const struct burst *burst, struct burst_item *item)
{
	if (!origin_is_right(&burst->view, item))
		return VERDICT_WRONG_ORIGIN;
	if (item->is_usual)
		return VERDICT_NONE;
	if (!view_audience_find(item->key.realm, item->record.audience, &item->key.groups))
		return VERDICT_WRONG_AUDIENCE;
	if (item->key.realm->freshness == TABLE_FRESHNESS_SERIAL)
		return VERDICT_NONE;
	return admit_clock(burst, item);
}

/* Which of them it is that is not there. Only LIVE slots have a suite: others' keys are gone. */
static enum verdict
admit_key(const struct view *view, struct burst_item *item)
{
	const struct verdict_record *record = &item->record;
	const enum verdict verdict =
		view_key_find(view, record->realm, record->node, record->epoch, &item->key);

	if (verdict != VERDICT_NONE)
		return verdict;
	if (item->key.slot->suite != item->slot_word >> 24)
		return VERDICT_UNSUPPORTED;
	return view_is_valid_now(view, item->key.slot) ? VERDICT_NONE : VERDICT_UNKNOWN_EPOCH;
}

/* By all the rules; and by one of the layout that a usual claim's parse leaves to us (claim.h). */
static __attribute__((noinline)) enum verdict
admit_general(const struct burst *burst, struct burst_item *item)
{
	enum verdict verdict;

	if (item->record.epoch == 0)
		return VERDICT_MALFORMED;
	verdict = admit_key(&burst->view, item);
	if (verdict != VERDICT_NONE)
		return verdict;
	verdict = admit_claims(burst, item);
	if (verdict == VERDICT_NONE || !item_wants_reply(item))
		return verdict;
	item->record.verdict = (uint8_t)verdict;
	return VERDICT_NONE;
}

/* Is the slot that node's? */
static inline bool
slot_is_of(const struct key_slot *slot, const struct verdict_record *record)
{
	uint64_t names;

	memcpy(&names, &slot->realm, sizeof(names));
	return names == record_load(record, RECORD_AT_NAMES);
}

/* Is it the live slot that the claim names, valid now, of a node that may be where it is? */
static inline bool
admit_slot_is_usual(
	const struct view *view, const struct key_slot *slot, const struct burst_item *item)
{
	uint64_t names;
	uint32_t word;

	memcpy(&names, &slot->realm, sizeof(names));
	memcpy(&word, (const uint8_t *)slot + offsetof(struct key_slot, epoch), sizeof(word));
	return ((names ^ record_load(&item->record, RECORD_AT_NAMES)) | (word ^ item->slot_word)) ==
		       0 &&
	       view_is_valid_now(view, slot) &&
	       (!view_has_prefixes(slot) ||
		       view_prefixes_have(view, slot, item->msg + CRED_AT_ORIGIN));
}

/* Whose it is, if there is a choice; the window's line will be there when the tags are done. */
static inline void
admit_owner(const struct worker *worker, struct burst_item *item)
{
	if (worker->worker_count > 1)
		item->owner =
			(uint8_t)table_shard_owner(item->key.slot->shard, worker->worker_count);
	else
		item->owner = 0;
	if (item->owner == worker->index)
		replay_window_prefetch(worker->replay, item->key.window);
}

/* Of another epoch, perhaps: its bucket is far away, and the others' turn hides some of the wait. */
static __attribute__((noinline)) void
admit_bucket_fetch(const struct burst *burst, const struct burst_item *item)
{
	const struct verdict_record *record = &item->record;

	__builtin_prefetch(view_bucket(&burst->view, record->realm, record->node, record->epoch));
}

/* First pass: the usual ones. The others' positions go to `rare`; returns how many they are. */
static unsigned
admit_usual(struct worker *worker, unsigned count, uint8_t rare[BURST_FRAMES_MAX])
{
	struct burst *burst = &worker->burst;
	unsigned rare_count = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		struct burst_item *item = &burst->items[burst->live[n]];

		if (item->is_usual && admit_slot_is_usual(&burst->view, item->key.slot, item)) {
			admit_owner(worker, item);
		} else {
			admit_bucket_fetch(burst, item);
			rare[rare_count++] = (uint8_t)n;
		}
	}
	return rare_count;
}

/*
 * Half a realm may be on another epoch than its nodes' current ones, with keys two loads away: the
 * loads of all of them together. What has such a slot is told its place; a node must be live, or
 * its other epochs do not count.
 */
static void
admit_extras(struct burst *burst, const uint8_t *rare, unsigned rare_count)
{
	const struct table_bucket *buckets[BURST_FRAMES_MAX];
	const struct view *view = &burst->view;
	unsigned i;

	for (i = 0; i < rare_count; i++) {
		const struct verdict_record *record = &burst->items[burst->live[rare[i]]].record;

		buckets[i] = view_bucket(view, record->realm, record->node, record->epoch);
		__builtin_prefetch(buckets[i]);
	}
	for (i = 0; i < rare_count; i++) {
		struct burst_item *item = &burst->items[burst->live[rare[i]]];
		const struct verdict_record *record = &item->record;
		const struct key_slot *slot = view_bucket_slot(
			view, buckets[i], record->realm, record->node, record->epoch);

		if (slot != NULL && item->key.slot->state == KEY_SLOT_LIVE &&
			slot_is_of(item->key.slot, record)) {
			item->key.slot = slot;
			view_slot_prefetch(slot);
		}
	}
}

/* The others. Returns the bitmap of the positions that are refused, with verdicts in records. */
static __attribute__((noinline)) uint64_t
admit_rare(struct worker *worker, const uint8_t *rare, unsigned rare_count)
{
	struct burst *burst = &worker->burst;
	uint64_t refused = 0;
	unsigned i;

	admit_extras(burst, rare, rare_count);
	for (i = 0; i < rare_count; i++) {
		struct burst_item *item = &burst->items[burst->live[rare[i]]];
		enum verdict verdict = VERDICT_NONE;

		if (!item->is_usual || !admit_slot_is_usual(&burst->view, item->key.slot, item))
			verdict = admit_general(burst, item);
		if (verdict == VERDICT_NONE) {
			admit_owner(worker, item);
		} else {
			item->record.verdict = (uint8_t)verdict;
			refused |= (uint64_t)1 << rare[i];
		}
	}
	return refused;
}

/* Refuses, in the order of arrival, and returns how many are left. */
static __attribute__((noinline)) unsigned
admit_refuse(struct worker *worker, unsigned count, uint64_t refused)
{
	struct burst *burst = &worker->burst;
	unsigned live = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		struct burst_item *item = &burst->items[burst->live[n]];
		const enum verdict verdict = item->record.verdict;

		if (refused >> n & 1) {
			item->record.verdict = VERDICT_NONE;
			deliver_unproved(worker, item, verdict);
		} else {
			burst->live[live++] = burst->live[n];
		}
	}
	return live;
}

/* Lays out what is left for the tag kernels. */
static void
admit_lay_out(struct burst *burst, unsigned count)
{
	unsigned n;

	for (n = 0; n < count; n++) {
		const struct burst_item *item = &burst->items[burst->live[n]];

		burst->slots[n] = item->key.slot;
		burst->msgs[n] = item->msg;
		burst->sizes[n] = item->span_size;
	}
}

unsigned
burst_admit(struct worker *worker, unsigned count)
{
	const struct table_rules *rules = worker->burst.view.rules;
	uint8_t rare[BURST_FRAMES_MAX];
	const unsigned rare_count = admit_usual(worker, count, rare);
	uint64_t refused;

	if (rare_count != 0) {
		refused = admit_rare(worker, rare, rare_count);
		if (refused != 0)
			count = admit_refuse(worker, count, refused);
	}
	admit_lay_out(&worker->burst, count);
	if (count != 0 && (rules->has_rules || rules->has_limits))
		rules_find(&worker->burst, count);
	return count;
}

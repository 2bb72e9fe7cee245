/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stage 5: the owner of a node decides about its proved credentials, one after the other, so that
 * two copies in one burst meet the window as if they had come in two.
 *
 * Order of an acceptance, and why a kill between any two of its stores neither loses a promised
 * verdict nor accepts twice:
 *	1. the ring's reservation (deliver.c) tells readers that the slots are being overwritten;
 *	2. record and stamp, then the payload, are written in every ring. Killed here: the serial is
 *	   not marked, so recovery voids the record, and the sender's next try is the first;
 *	3. the window is marked. Killed here: recovery finds stamp and mark and publishes;
 *	4. the retransmission cache is told. Killed before: a retransmission is called a replay;
 *	5. head, once for the burst: consumers see it. Killed before: as 3.
 * Without a payload each credential goes through 2 to 4 before the next is looked at. One with a
 * payload waits with those behind it, so that payloads are decrypted in one batch (a fifth of the
 * time); they are marked in the order of their records. So what a dead writer leaves behind head is
 * always a run of marked records, then a run of others. A credential of a node that is waiting
 * already makes the run go through first: the window has to know. Nothing is told to the sender
 * before 3.
 *
 * Only what was proved is looked at here, and nothing else may mark or spend: no address, port or
 * arrival worker decides whether a serial is used.
 */

#include "dataplane/burst.h"
#include "dataplane/deliver_inline.h"
#include "dataplane/ids.h"
#include "dataplane/limit.h"
#include "dataplane/meter.h"
#include "dataplane/own_lane.h"
#include "dataplane/record.h"

/*
 * 0 if a reader may read what is restricted to (or open to anyone), for uid and gid, which lie in
 * the halves of both words. The ids are proved plaintext, so they are not branched upon: a product
 * of two halves is 0 iff one of them is.
 */
static uint64_t
is_hidden(uint64_t restriction, uint64_t reader)
{
	const uint64_t other = restriction ^ reader;
	const uint64_t bound = ~restriction;

	return (other >> 32) * (bound >> 32) | (uint64_t)(uint32_t)other * (uint32_t)bound;
}

/* Of `groups`, those that are in use, have a ring here and may read what `auth` restricts. */
static inline uint32_t
own_readers(const struct worker *worker, uint64_t auth, uint32_t groups)
{
	uint32_t left = groups & worker->burst.groups;
	uint32_t readers = 0;

	for (; left != 0; left &= left - 1) {
		const unsigned group = (unsigned)__builtin_ctz(left);
		const uint64_t reader = view_reader(&worker->burst.view, group);

		readers |= (uint32_t)(ct_hide(is_hidden(auth, reader)) == 0) << group;
	}
	return readers;
}

static void
cache_entry_fill(struct replay_cache_entry *entry, const struct own_cred *cred)
{
	*entry = (struct replay_cache_entry){
		.serial = cred->record->serial,
		.realm = cred->record->realm,
		.node = cred->record->node,
		.port = cred->record->port,
		.epoch = cred->record->epoch,
		.verdict = VERDICT_ACCEPTED,
	};
	memcpy(entry->tag, cred->answer->tag, sizeof(entry->tag));
	memcpy(entry->source, cred->record->source, sizeof(entry->source));
}

static void run_finish(struct worker *worker);

/* The serial is marked: an honest retransmission, a replay, or two issuers with one key. */
static enum verdict
own_seen(struct worker *worker, struct own_cred cred, uint8_t *first)
{
	struct replay_cache_entry want;
	enum replay_cache_result found;

	if (cred.answer == NULL)
		return VERDICT_REPLAYED;
	/* What waits is going to be remembered, and may take a place: as in bursts of one. */
	if (worker->run.count != 0)
		run_finish(worker);
	cache_entry_fill(&want, &cred);
	found = replay_cache_find(worker->replay, cred.key->slot->shard % REPLAY_SHARDS, &want,
		worker->burst.mono_us, cred.key->realm->dup_us, first);
	if (found == REPLAY_CACHE_COLLISION) {
		stat_add(&worker->stats->serial_collisions, 1);
		meter_collision(worker, cred.key->window);
	}
	return found == REPLAY_CACHE_DUPLICATE ? VERDICT_DUPLICATE : VERDICT_REPLAYED;
}

/*
 * A serial that touches the ring behind the node's line needs that window to be the node's own and
 * intact; until control has seen to it nothing can be recorded.
 */
static __attribute__((noinline)) enum verdict
own_window_ring(struct worker *worker, struct own_cred cred, uint8_t *first)
{
	const struct verdict_record *record = cred.record;
	const uint32_t window = cred.key->window;

	switch (replay_window_peek(worker->replay, window, record->serial)) {
	case REPLAY_NEW:
		break;
	case REPLAY_STALE:
		return VERDICT_STALE;
	default:
		return own_seen(worker, cred, first);
	}
	return replay_window_is_clean(worker->replay, window, record->realm, record->node)
		       ? VERDICT_NONE
		       : VERDICT_BUSY;
}

/* The window's answer; nearly always the node's line has it. */
static inline enum verdict
own_window(struct worker *worker, struct own_cred cred, uint8_t *first)
{
	const struct replay_node *node = &worker->replay->nodes[cred.key->window];
	const uint64_t top = replay_word_load(&node->top);
	const uint64_t serial = cred.record->serial;

	if (!replay_line_has(top, serial))
		return own_window_ring(worker, cred, first);
	switch (replay_line_peek(node, top, serial)) {
	case REPLAY_NEW:
		return VERDICT_NONE;
	case REPLAY_STALE:
		return VERDICT_STALE;
	default:
		return own_seen(worker, cred, first);
	}
}

/* Who is to get it; UNAUTHORIZED if it must reach somebody and may reach nobody. */
static inline enum verdict
own_groups(const struct worker *worker, struct own_cred cred, uint32_t *readers)
{
	if ((cred.record->kind & ~HANDOFF_KIND_ANSWER) == CRED_KIND_BEACON) {
		*readers =
			own_readers(worker, cred.record->time_us, cred.key->realm->beacon_groups);
		return VERDICT_NONE;
	}
	*readers = own_readers(worker, cred.record->time_us, cred.key->groups);
	return *readers == 0 ? VERDICT_UNAUTHORIZED : VERDICT_NONE;
}

/* Of what was found on the way, does the window have anything to say first? */
static inline bool
own_is_open(uint8_t found)
{
	return found == VERDICT_NONE || found == VERDICT_FORBIDDEN || found == HANDOFF_SPARED;
}

/*
 * The first refusal that applies, VERDICT_NONE if there is none: then, last of all, its tokens are
 * taken.
 */
static inline enum verdict
own_judge(struct worker *worker, struct own_cred cred, uint32_t *readers, uint8_t *first)
{
	struct replay_node *node = &worker->replay->nodes[cred.key->window];
	const uint8_t found = cred.record->verdict;
	enum verdict verdict, window;

	if (!own_is_open(found))
		return (enum verdict)found;
	window = own_window(worker, cred, first);
	if (window != VERDICT_NONE && window != VERDICT_BUSY)
		return window;
	if (found == VERDICT_FORBIDDEN)
		return VERDICT_FORBIDDEN;
	verdict = own_groups(worker, cred, readers);
	if (verdict != VERDICT_NONE)
		return verdict;
	if (window == VERDICT_BUSY || !deliver_has_room(&worker->deliver, *readers,
					      deliver_slots(cred.record->payload_size)))
		return VERDICT_BUSY;
	if (limit_of(&worker->burst.view) == NULL ||
		limit_take(worker, limit_class(worker->burst.view.rules, cred.key->slot), node))
		return VERDICT_NONE;
	limit_note(worker, cred.key->slot, node);
	return VERDICT_OVER_RATE;
}

/* From its form for the way to what consumers get; the salt stays until the stamp takes its place. */
static inline void
record_accept(struct verdict_record *record, uint64_t now_us)
{
	const uint64_t tail = record_load(record, RECORD_AT_TAIL);

	record_store(record, RECORD_AT_TAIL,
		(tail & ~((uint64_t)HANDOFF_KIND_ANSWER << 48 | (uint64_t)HANDOFF_SPARED << 56)) |
			(uint64_t)VERDICT_ACCEPTED << 56);
	record_store(record, RECORD_AT_TIME, now_us);
}

/* What wants a reply may come again; and gets one. */
static __attribute__((noinline)) void
own_remember(struct worker *worker, struct own_cred cred)
{
	struct replay_cache_entry entry;

	cache_entry_fill(&entry, &cred);
	replay_cache_insert(worker->replay, cred.key->slot->shard % REPLAY_SHARDS, &entry,
		worker->burst.mono_us);
	answer_accepted(worker, &cred, VERDICT_ACCEPTED, VERDICT_ACCEPTED);
}

/* Steps 3 and 4. */
static inline void
own_mark(struct worker *worker, struct own_cred cred)
{
	enum replay_result marked;

	/* A kill leaves the stores before it in program order: the compiler must leave it so. */
	atomic_signal_fence(memory_order_seq_cst);
	meter_turn(worker, cred.key->window, cred.record->epoch);
	meter_incarnation(worker, cred.key->window, cred.record->serial);
	marked = replay_window_commit(worker->replay, cred.key->window, cred.record->serial,
		cred.record->epoch, worker->burst.now_us);
	/* It was new a moment ago, and nobody else writes here: else recovery must void it. */
	assert(marked == REPLAY_NEW);
	(void)marked;
	if (cred.answer != NULL)
		own_remember(worker, cred);
}

/* ---- the run of those whose payloads are still to be written ---- */

static uint64_t *
run_filter_word(struct own_run *run, uint32_t window)
{
	return &run->filter[window / 64 % (OWN_RUN_FILTER / 64)];
}

static inline bool
run_may_have(struct own_run *run, uint32_t window)
{
	return *run_filter_word(run, window) >> window % 64 & 1;
}

static __attribute__((noinline)) void
run_finish(struct worker *worker)
{
	struct own_run *run = &worker->run;
	unsigned i;

	deliver_payloads(worker, run->creds, run->count);
	for (i = 0; i < run->count; i++)
		own_mark(worker, run->creds[i].cred);
	memset(run->filter, 0, sizeof(run->filter));
	run->count = 0;
}

/* Writes the records of one with a payload, or behind one that has; the rest comes with the run. */
static __attribute__((noinline)) void
run_add(struct worker *worker, struct own_cred cred, uint32_t readers)
{
	struct own_run *run = &worker->run;
	struct own_accepted *accepted = &run->creds[run->count];
	const uint32_t window = cred.key->window;

	accepted->cred = cred;
	accepted->payload_count = deliver_records(worker, cred.record, readers, accepted->payloads);
	*run_filter_word(run, window) |= (uint64_t)1 << window % 64;
	if (++run->count == OWN_RUN_MAX)
		run_finish(worker);
}

/* Steps 2 to 4, or as far as the run goes. */
static inline void
own_accept(struct worker *worker, struct own_cred cred, uint32_t readers)
{
	if (cred.record->verdict == HANDOFF_SPARED)
		meter_spared(worker, cred.key);
	record_accept(cred.record, worker->burst.now_us);
	if (cred.record->kind == CRED_KIND_BEACON)
		meter_beacon(worker, &cred);
	stat_add(&worker->stats->proved[VERDICT_ACCEPTED], 1);
	stat_add(&realm_stats_of(worker, cred.key->realm)->proved[VERDICT_ACCEPTED], 1);
	if (cred.record->payload_size == 0 && worker->run.count == 0) {
		deliver_records(worker, cred.record, readers, NULL);
		own_mark(worker, cred);
	} else {
		run_add(worker, cred, readers);
	}
}

static __attribute__((noinline)) void
own_refuse_and_answer(
	struct worker *worker, struct own_cred cred, enum verdict verdict, uint8_t first)
{
	deliver_refused(worker, cred.record, verdict, true);
	meter_refused(worker, &cred, verdict);
	if (verdict == VERDICT_DUPLICATE)
		answer_accepted(worker, &cred, VERDICT_DUPLICATE, first);
	else
		answer_refused(worker, &cred, verdict);
}

/*
 * Inlined into both loops below (the call alone was a tenth of the stage's instructions), and what
 * is rare gets the credential by value, so that here it stays in registers.
 */
static inline __attribute__((always_inline)) void
own_decide(struct worker *worker, struct own_cred cred)
{
	uint8_t first = VERDICT_NONE;
	uint32_t readers = 0;
	const enum verdict verdict = own_judge(worker, cred, &readers, &first);

	if (verdict == VERDICT_NONE)
		own_accept(worker, cred, readers);
	else
		own_refuse_and_answer(worker, cred, verdict, first);
}

static inline void
own_finish(struct worker *worker)
{
	if (worker->run.count != 0)
		run_finish(worker);
}

/* If a credential of that node waits in the run, it has to go through first. */
static inline void
own_wait_for(struct worker *worker, uint32_t window)
{
	if (worker->run.count != 0 && run_may_have(&worker->run, window))
		run_finish(worker);
}

/* What the tag has proved joins the record: two pairs of ids, big-endian, as they were sealed. */
static inline void
record_prove(struct verdict_record *record, const struct tag_identity *id)
{
	const uint64_t ids = load_be64(id->bytes);
	const uint64_t auth = load_be64(id->bytes + 8);

	record_store(record, RECORD_AT_IDS, ids << 32 | ids >> 32);
	record_store(record, RECORD_AT_TIME, auth << 32 | auth >> 32);
}

static inline struct own_cred
cred_from_item(struct worker *worker, unsigned n, struct answer_context *answer)
{
	struct burst_item *item = &worker->burst.items[worker->burst.live[n]];
	const bool wants_reply = item_wants_reply(item);

	record_prove(&item->record, &worker->burst.ids[n]);
	if (wants_reply)
		answer_context_fill(worker, item, answer);
	return (struct own_cred){
		.record = &item->record,
		.key = &item->key,
		.payload = item->msg + CRED_AT_PAYLOAD,
		.origin = item->msg + CRED_AT_ORIGIN,
		.issued_us = load_be64(item->msg + CRED_AT_ISSUED),
		.answer = wants_reply ? answer : NULL,
	};
}

struct own_cred
own_cred_from_item(struct worker *worker, unsigned n, struct answer_context *answer)
{
	return cred_from_item(worker, n, answer);
}

/* What our part of the burst may need of any one ring. */
static uint32_t
own_slots(const struct burst *burst, unsigned count)
{
	uint32_t slots = 0;
	unsigned n;

	for (n = 0; n < count; n++)
		slots += deliver_slots(burst->sizes[n] - CRED_HEADER_SIZE);
	return slots;
}

/* ---- the usual credential ---- */

/* The serial at position n is marked, and nobody wants to know. */
static __attribute__((noinline)) void
own_refuse_replayed(struct worker *worker, unsigned n)
{
	struct burst_item *item = &worker->burst.items[worker->burst.live[n]];
	const struct own_cred cred = {.record = &item->record, .key = &item->key};

	record_prove(&item->record, &worker->burst.ids[n]);
	deliver_refused(worker, &item->record, VERDICT_REPLAYED, true);
	meter_refused(worker, &cred, VERDICT_REPLAYED);
}

/*
 * Accepts, and refuses replays, from position `first` of live on, as long as all is as usual.
 * Returns the first position that it leaves as it is.
 */
static inline __attribute__((always_inline)) unsigned
own_accept_lanes(struct worker *worker, unsigned first, unsigned count, bool has_limits)
{
	const struct burst *burst = &worker->burst;
	enum verdict verdict;
	struct own_lane lane;
	unsigned accepted = 0;
	unsigned n;

	if (!lane_open(worker, &lane, &burst->items[burst->live[first]].key))
		return first;
	for (n = first; n < count; n++) {
		const struct burst_item *item = &burst->items[burst->live[n]];

		if (item->key.realm != lane.realm &&
			!lane_change(worker, &lane, &item->key, &accepted))
			return n;
		verdict = lane_accept(worker, &lane, &item->record, &item->key,
			ids_load(&burst->ids[n]),
			has_limits ? &lane.rules->classes[burst->policies[n]] : NULL);
		if (verdict == VERDICT_NONE)
			break;
		if (verdict == VERDICT_REPLAYED)
			own_refuse_replayed(worker, n);
		else
			accepted++;
	}
	lane_close(worker, &lane, accepted);
	return n;
}

/* Where nothing limits a rate nothing is asked of limits: two functions, so that neither has both. */
static __attribute__((noinline)) unsigned
own_accept_free(struct worker *worker, unsigned first, unsigned count)
{
	return own_accept_lanes(worker, first, count, false);
}

static __attribute__((noinline)) unsigned
own_accept_limited(struct worker *worker, unsigned first, unsigned count)
{
	return own_accept_lanes(worker, first, count, true);
}

static inline unsigned
own_accept_usual(struct worker *worker, unsigned first, unsigned count)
{
	return limit_of(&worker->burst.view) == NULL ? own_accept_free(worker, first, count)
						     : own_accept_limited(worker, first, count);
}

/* ---- what was handed over ---- */

/* The key of what was handed over, and its audience, by the table of this burst. */
static enum verdict
own_locate_key(const struct worker *worker, struct verdict_record *record, struct view_key *key)
{
	const struct view *view = &worker->burst.view;
	enum verdict verdict;

	if (key->realm == NULL)
		return VERDICT_UNKNOWN_REALM;
	verdict = view_key_find(view, record->realm, record->node, record->epoch, key);
	if (!view_audience_find(key->realm, record->audience, &key->groups) &&
		own_is_open(record->verdict))
		record->verdict = VERDICT_WRONG_AUDIENCE;
	return verdict;
}

/* Two workers with different ideas of who owns a node would both write its window. */
static inline bool
own_is_mine(const struct worker *worker, const struct key_slot *slot)
{
	return table_shard_owner(slot->shard, worker->worker_count) == worker->index;
}

/*
 * Rules were asked where it arrived, and by the table of then. Who is let in nowhere any more since
 * is refused all the same, as a revoked node is.
 */
static inline bool
own_is_denied(const struct worker *worker, const struct key_slot *slot)
{
	const struct table_rules *rules = worker->burst.view.rules;

	return slot->policy != 0 && (limit_class(rules, slot)->flags & TABLE_CLASS_DENIES) != 0;
}

static struct own_cred
cred_from_message(const struct handoff_message *message, const struct view_key *key)
{
	const struct answer_context *answer = message->answer;
	const bool is_silent = answer != NULL && (answer->flags & ANSWER_IS_SILENT);

	return (struct own_cred){
		.record = message->record,
		.key = key,
		.payload = message->payload,
		.origin = answer != NULL ? answer->origin : NULL,
		.answer = is_silent ? NULL : answer,
	};
}

static __attribute__((noinline)) void
own_message(struct worker *worker, const struct handoff_message *message, struct view_key *key)
{
	const struct own_cred cred = cred_from_message(message, key);
	enum verdict verdict = own_locate_key(worker, message->record, key);

	own_wait_for(worker, key->window);
	if (verdict == VERDICT_NONE && !view_is_valid_now(&worker->burst.view, key->slot))
		verdict = VERDICT_UNKNOWN_EPOCH;
	if (verdict == VERDICT_NONE && !own_is_mine(worker, key->slot))
		verdict = VERDICT_BUSY;
	if (verdict != VERDICT_NONE) {
		deliver_refused(worker, cred.record, verdict, true); /* no live key: silent */
		return;
	}
	if (own_is_open(cred.record->verdict) && own_is_denied(worker, key->slot))
		cred.record->verdict = VERDICT_FORBIDDEN;
	own_decide(worker, cred);
}

/*
 * Realm, audience and window of a message; starts the loads of its node, which its decision is
 * going to wait for. Without groups no message is a usual one.
 */
static inline void
own_locate(const struct worker *worker, const struct verdict_record *record, struct view_key *key)
{
	const struct view *view = &worker->burst.view;
	const struct table_realm *realm = view_realm(view, record->realm);

	*key = (struct view_key){.realm = realm};
	if (realm == NULL)
		return;
	key->window = view_slot(view, realm, record->node);
	key->slot = &view->slots[key->window];
	__builtin_prefetch(key->slot);
	replay_window_prefetch(worker->replay, key->window);
	if (!view_audience_find(realm, record->audience, &key->groups))
		key->groups = 0;
}

/* Is it of the node's current epoch, live and valid, and ours? All that own_message asks first. */
static inline bool
own_key_is_usual(const struct worker *worker, const struct verdict_record *record,
	const struct view_key *key)
{
	const struct key_slot *slot = key->slot;
	uint64_t names;

	memcpy(&names, &slot->realm, sizeof(names));
	return names == record_load(record, RECORD_AT_NAMES) && slot->epoch == record->epoch &&
	       slot->state == KEY_SLOT_LIVE && view_is_valid_now(&worker->burst.view, slot) &&
	       own_is_mine(worker, slot) && !own_is_denied(worker, slot);
}

static __attribute__((noinline)) void
own_refuse_message(struct worker *worker, struct verdict_record *record, const struct view_key *key)
{
	const struct own_cred cred = {.record = record, .key = key};

	deliver_refused(worker, record, VERDICT_REPLAYED, true);
	meter_refused(worker, &cred, VERDICT_REPLAYED);
}

/* As own_accept_usual does, from message `first` on. The ring's lines are only read. */
static __attribute__((noinline)) unsigned
own_accept_messages(struct worker *worker, const struct handoff_message *messages,
	const struct view_key *keys, unsigned first, unsigned count)
{
	enum verdict verdict;
	struct own_lane lane;
	unsigned accepted = 0;
	unsigned n;

	if (!lane_open(worker, &lane, &keys[first]))
		return first;
	for (n = first; n < count; n++) {
		struct verdict_record *record = messages[n].record;
		const __m128i ids = _mm_set_epi64x((long long)record_load(record, RECORD_AT_TIME),
			(long long)record_load(record, RECORD_AT_IDS));

		if (keys[n].groups == 0 || !own_key_is_usual(worker, record, &keys[n]))
			break;
		if (keys[n].realm != lane.realm && !lane_change(worker, &lane, &keys[n], &accepted))
			return n;
		verdict = lane_accept(worker, &lane, record, &keys[n], ids,
			lane.rules != NULL ? limit_class(lane.rules, keys[n].slot) : NULL);
		if (verdict == VERDICT_NONE)
			break;
		if (verdict == VERDICT_REPLAYED)
			own_refuse_message(worker, record, &keys[n]);
		else
			accepted++;
	}
	lane_close(worker, &lane, accepted);
	return n;
}

/* Starts the loads of what waits; returns how many slots it may need of any one ring. */
static uint32_t
own_look(struct worker *worker)
{
	const uint64_t slots_max = BURST_FRAMES_MAX * deliver_slots(CRED_PAYLOAD_SIZE_MAX);
	uint64_t slots = 0;
	unsigned peer;

	for (peer = 0; peer < worker->worker_count; peer++)
		if (worker->config.handoff_in[peer] != NULL)
			slots += handoff_ring_look(worker->config.handoff_in[peer]);
	return (uint32_t)(slots < slots_max ? slots : slots_max);
}

/* Takes up to one burst from all peers together, another one first each time. */
static unsigned
own_collect(struct worker *worker, struct handoff_message *messages)
{
	unsigned peer = worker->handoff_next;
	unsigned count = 0;
	unsigned n;

	for (n = 0; n < worker->worker_count; n++) {
		struct handoff_ring *ring = worker->config.handoff_in[peer];

		if (ring != NULL)
			count +=
				handoff_ring_take(ring, &messages[count], BURST_FRAMES_MAX - count);
		peer = peer + 1 < worker->worker_count ? peer + 1 : 0;
	}
	worker->handoff_next = peer + 1 < worker->worker_count ? peer + 1 : 0;
	return count;
}

static void
own_release(struct worker *worker)
{
	unsigned peer;

	for (peer = 0; peer < worker->worker_count; peer++)
		if (worker->config.handoff_in[peer] != NULL)
			handoff_ring_release(worker->config.handoff_in[peer]);
}

/* Decides about what was handed over; returns how many. */
static unsigned
own_messages(struct worker *worker)
{
	struct handoff_message messages[BURST_FRAMES_MAX];
	struct view_key keys[BURST_FRAMES_MAX];
	const unsigned count = own_collect(worker, messages);
	unsigned n;

	for (n = 0; n < count; n++)
		own_locate(worker, messages[n].record, &keys[n]);
	n = 0;
	while (n < count) {
		if (worker->run.count == 0)
			n = own_accept_messages(worker, messages, keys, n, count);
		if (n < count) {
			own_message(worker, &messages[n], &keys[n]);
			n++;
		}
	}
	own_finish(worker); /* what is in the run points to keys, and into the rings */
	return count;
}

/* ---- ours ---- */

static __attribute__((noinline)) void
own_item(struct worker *worker, unsigned n)
{
	const struct burst_item *item = &worker->burst.items[worker->burst.live[n]];

	own_wait_for(worker, item->key.window);
	own_decide(worker, cred_from_item(worker, n, &worker->run.creds[worker->run.count].answer));
}

/*
 * Serials that the nodes' lines cannot answer for: one in 64 in order, which moves its window on, and
 * late ones. What they touch lies far away, and one load behind the other, so that the loads of all
 * are started before the first decision.
 */
static void
own_fetch_windows(struct worker *worker, unsigned count)
{
	const struct burst *burst = &worker->burst;
	const struct replay_store *replay = worker->replay;
	uint8_t far[BURST_FRAMES_MAX];
	unsigned far_count = 0;
	unsigned n;

	for (n = 0; n < count; n++) {
		const struct burst_item *item = &burst->items[burst->live[n]];
		const struct replay_node *node = &replay->nodes[item->key.window];
		const uint64_t top = replay_word_load(&node->top);

		if (node->epoch != item->record.epoch)
			meter_book_prefetch(worker, item->key.window, node->epoch);
		if (!replay_line_has(top, item->record.serial)) {
			replay_header_prefetch(replay, item->key.window);
			far[far_count++] = burst->live[n];
		}
	}
	for (n = 0; n < far_count; n++)
		replay_ring_prefetch(replay, burst->items[far[n]].key.window,
			burst->items[far[n]].record.serial);
}

/* How many credentials ahead the loads for a reply begin: six lines of it, and as many misses at a
 * time as a core has. */
#define OWN_ANSWERS_AHEAD 12u

/*
 * Starts the loads for the replies wanted up to OWN_ANSWERS_AHEAD positions behind n, from position
 * `from` on. Returns where it came to: each position is looked at once, and in a burst without
 * replies none.
 */
static unsigned
own_fetch_answers(const struct worker *worker, unsigned n, unsigned from, unsigned count)
{
	const struct burst *burst = &worker->burst;
	const unsigned end = n + OWN_ANSWERS_AHEAD < count ? n + OWN_ANSWERS_AHEAD : count;

	for (; from < end; from++) {
		const struct burst_item *item = &burst->items[burst->live[from]];

		if (item_wants_reply(item))
			answer_prefetch(worker, item);
	}
	return from;
}

/* Ours. Records lie in a ring in the order of their marks, so nothing overtakes a run. */
static void
own_items(struct worker *worker, unsigned count)
{
	unsigned n = 0, fetched = 0;

	own_fetch_windows(worker, count);
	while (n < count) {
		if (worker->run.count == 0)
			n = own_accept_usual(worker, n, count);
		if (n == count)
			break;
		fetched = own_fetch_answers(worker, n, fetched > n ? fetched : n + 1, count);
		own_item(worker, n++);
	}
}

unsigned
burst_own(struct worker *worker, unsigned count)
{
	unsigned message_count = 0;
	const uint32_t slots = own_slots(&worker->burst, count);
	uint32_t waiting = 0;

	if (worker->worker_count > 1)
		waiting = own_look(worker);
	worker->deliver.slots = slots + waiting;
	own_items(worker, count);
	if (waiting != 0)
		message_count = own_messages(worker);
	own_finish(worker);
	if (worker->limits.any_open)
		limit_close(worker);
	if (message_count != 0) {
		own_release(worker);
		stat_add(&worker->stats->handed_in, message_count);
	}
	return message_count;
}

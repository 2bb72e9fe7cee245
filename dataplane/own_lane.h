/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The lane of usual credentials, for own.c only: those of one realm and one group, without payload
 * or reply, are accepted from registers, with the same stores in the same order as any other.
 */

#include "dataplane/burst.h"
#include "dataplane/deliver_inline.h"
#include "dataplane/ids.h"
#include "dataplane/limit.h"
#include "dataplane/meter.h"
#include "dataplane/record.h"

/* Of the record's last word: no payload, no reply, no verdict yet, and of kind assert. */
#define OWN_TAIL_CARES (UINT64_C(0xffff) << 48 | UINT64_C(0xffff) << 16)
#define OWN_TAIL_USUAL ((uint64_t)CRED_KIND_ASSERT << 48)

/* is_hidden of ids, by comparing them four at once; `reader` has the reader's in its upper half. */
static inline bool
ids_are_hidden(__m128i ids, __m128i reader)
{
	const __m128i is_open = _mm_or_si128(
		_mm_cmpeq_epi32(ids, reader), _mm_cmpeq_epi32(ids, _mm_set1_epi32(-1)));

	return ct_hide((uint64_t)_mm_movemask_ps(_mm_castsi128_ps(is_open)) >> 2) != 3;
}

/* The record as consumers get it, but for the stamp. */
static inline void
quarters_fill(verdict_quarter_t quarters[VERDICT_QUARTERS], const struct verdict_record *record,
	__m128i ids, uint64_t now_us, uint64_t tail)
{
	const __m128i *from = (const __m128i *)record;

	quarters[0] = (verdict_quarter_t)_mm_unpacklo_epi64(
		_mm_load_si128(&from[0]), _mm_cvtsi64_si128((long long)now_us));
	quarters[1] = (verdict_quarter_t)_mm_load_si128(&from[1]);
	quarters[2] = (verdict_quarter_t)_mm_load_si128(&from[2]);
	quarters[3] = (verdict_quarter_t)_mm_unpacklo_epi64(
		ids, _mm_cvtsi64_si128((long long)(tail | (uint64_t)VERDICT_ACCEPTED << 56)));
}

/* The one ring that usual credentials go to, with its writer in registers. */
struct own_lane {
	struct verdict_writer writer;
	uint64_t limit;
	__m128i reader;
	uint32_t group; /* its bit */
	const struct table_realm *realm;
	const struct table_rules *rules; /* for limits; unused where there are none */
};

/* False: not one group. */
static inline bool
lane_open(struct worker *worker, struct own_lane *lane, const struct view_key *key)
{
	struct deliver *deliver = &worker->deliver;
	unsigned group;

	lane->group = key->groups & worker->burst.groups;
	if (lane->group == 0 || (lane->group & (lane->group - 1)) != 0)
		return false;
	group = (unsigned)__builtin_ctz(lane->group);
	if (!(deliver->touched & lane->group))
		deliver_touch(deliver, group, deliver->slots);
	lane->writer = deliver->rings[group].writer;
	lane->limit = deliver->rings[group].limit;
	lane->reader = _mm_set1_epi64x((long long)view_reader(&worker->burst.view, group));
	lane->realm = key->realm;
	lane->rules = limit_of(&worker->burst.view);
	return true;
}

static inline void
lane_close(struct worker *worker, const struct own_lane *lane, unsigned accepted)
{
	worker->deliver.rings[__builtin_ctz(lane->group)].writer = lane->writer;
	worker->deliver.written += accepted;
	stat_add(&worker->stats->proved[VERDICT_ACCEPTED], accepted);
	stat_add(&realm_stats_of(worker, lane->realm)->proved[VERDICT_ACCEPTED], accepted);
}

/* To another realm's; false: it has none, and the old one is closed. */
static __attribute__((noinline)) bool
lane_change(struct worker *worker, struct own_lane *lane, const struct view_key *key,
	unsigned *accepted)
{
	lane_close(worker, lane, *accepted);
	*accepted = 0;
	return lane_open(worker, lane, key);
}

/*
 * A usual credential whose serial is not new in the line. One in 64 in order is ahead of it: true,
 * if the window may be moved on. In a flood of replays each is marked.
 */
static __attribute__((noinline)) bool
own_is_ahead(const struct worker *worker, const struct verdict_record *record,
	const struct view_key *key)
{
	return replay_window_is_ahead(worker->replay, key->window, record->serial) &&
	       replay_window_is_clean(worker->replay, key->window, record->realm, record->node);
}

/* Moves that window on. */
static __attribute__((noinline)) void
own_move(struct worker *worker, uint32_t window, uint64_t serial)
{
	meter_incarnation(worker, window, serial);
	replay_window_commit_ahead(worker->replay, window, serial);
}

/*
 * Accepts what nothing stands in the way of, with the same stores in the same order as own_decide:
 * VERDICT_ACCEPTED; REPLAYED, for the caller to refuse; or NONE, if it is not as usual and was left
 * as it is. Usual is: no payload, no reply, the lane's group and no other, a serial in the node's
 * line or ahead of it.
 */
static inline __attribute__((always_inline)) enum verdict
lane_accept(struct worker *worker, struct own_lane *lane, const struct verdict_record *record,
	const struct view_key *key, __m128i ids, const struct table_class *class)
{
	struct replay_node *node = &worker->replay->nodes[key->window];
	const uint64_t now_us = worker->burst.now_us;
	const uint64_t tail = record_load(record, RECORD_AT_TAIL);
	const uint64_t serial = record->serial;
	const uint64_t top = replay_word_load(&node->top);
	const bool is_in_line = replay_line_is_new(node, top, serial);
	verdict_quarter_t quarters[VERDICT_QUARTERS];

	if ((tail & OWN_TAIL_CARES) != OWN_TAIL_USUAL)
		return VERDICT_NONE;
	if (!is_in_line && replay_line_is_seen(node, top, serial))
		return VERDICT_REPLAYED;
	if ((key->groups & worker->burst.groups) != lane->group ||
		lane->writer.position == lane->limit ||
		!(is_in_line || own_is_ahead(worker, record, key)) ||
		ids_are_hidden(ids, lane->reader) ||
		(class != NULL && !limit_take(worker, class, node)))
		return VERDICT_NONE;
	meter_turn(worker, key->window, record->epoch);
	quarters_fill(quarters, record, ids, now_us, tail);
	deliver_ring_prefetch(&lane->writer, 1);
	verdict_writer_append_quarters(&lane->writer, quarters, 0);
	atomic_signal_fence(memory_order_seq_cst);
	if (is_in_line)
		replay_line_mark(node, top, serial);
	else
		own_move(worker, key->window, serial);
	replay_node_touch(node, record->epoch, now_us);
	return VERDICT_ACCEPTED;
}

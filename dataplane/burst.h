/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Inside of the packet path: a burst on its way through the stages, the worker that carries it, and
 * the stages themselves, one per file. Only files of the path include this; others use worker.h.
 *
 * A stage takes the `count` live credentials, whose numbers are in burst->live[0 ... count - 1],
 * gives a final verdict to those that end there and returns how many are left, moved to the front.
 * The order of arrival is kept: of two copies the first is the accepted one.
 */

#include "dataplane/answer.h"
#include "dataplane/bucket.h"
#include "dataplane/budget.h"
#include "dataplane/claim.h"
#include "dataplane/frame.h"
#include "dataplane/handoff.h"
#include "dataplane/limit_bucket.h"
#include "dataplane/packet.h"
#include "dataplane/rules.h"
#include "dataplane/view.h"
#include "dataplane/worker.h"
#include "wire/wire.h"

/* A serial whose incarnation is further ahead than this comes from a clock gone wrong. */
#define BURST_INCARNATION_AHEAD_S 86400u

/*
 * Item i is what frame i carries, or claims to carry: two lines. The record is what consumers are
 * going to get, in its form for the way (dataplane/handoff.h); uid, gid and time_us are there once
 * the tag is proved.
 */
struct burst_item {
	_Alignas(64) struct verdict_record record;
	const uint8_t *msg; /* the credential */
	struct view_key key;
	/* 16 bytes that claim_tail makes together, the record's last word apart: */
	uint32_t slot_word; /* epoch, state and suite that its key slot has to have */
	uint16_t span_size; /* bytes under the tag */
	uint8_t l3;         /* offset of the IP header in the frame */
	bool is_usual;      /* nothing is left to be said of its claims (dataplane/claim.h) */
	uint8_t owner;      /* worker */
	uint16_t column;    /* of rules, if it is usual */
	/* Unless it is usual: */
	uint32_t ttl_s;
	uint64_t issued_us;
};
static_assert(sizeof(struct burst_item) == 128, "two lines per credential");
static_assert(offsetof(struct burst_item, is_usual) == offsetof(struct burst_item, slot_word) + 7,
	"claim_tail");

struct burst {
	const struct burst_frame *frames;
	struct view view;
	uint64_t now_us;  /* real-time clock */
	uint64_t mono_us; /* monotonic clock */
	uint64_t mono_ms;
	uint64_t mono_ns;
	uint64_t incarnation_max; /* upper half of serials, where clocks are compared */
	uint32_t groups;          /* bitmap of those that are in use and have a ring here */
	uint8_t live[BURST_FRAMES_MAX];
	/* In the order of live, from admit on and from verify on. */
	const struct key_slot *slots[BURST_FRAMES_MAX];
	const uint8_t *msgs[BURST_FRAMES_MAX];
	uint16_t sizes[BURST_FRAMES_MAX]; /* under the tag */
	/* From admit on, if there are rules or limits: read while slots and items are near. */
	uint16_t policies[BURST_FRAMES_MAX]; /* classes */
	uint16_t programs[BURST_FRAMES_MAX]; /* of rules */
	struct tag_identity ids[BURST_FRAMES_MAX];
	struct burst_item items[BURST_FRAMES_MAX];
};

/* A delivery ring as this worker writes it. */
struct deliver_ring {
	struct verdict_writer writer;
	uint64_t limit; /* this burst may write until here */
};

/* The refusal ring is kept behind the groups' delivery rings. */
#define DELIVER_REFUSAL TABLE_GROUPS_MAX
#define DELIVER_RINGS   (TABLE_GROUPS_MAX + 1)
#define DELIVER_GROUPS  ((1u << TABLE_GROUPS_MAX) - 1)

struct deliver {
	struct deliver_ring rings[DELIVER_RINGS];
	uint32_t present; /* bitmap of the rings there are */
	uint32_t touched; /* bitmap of the rings reserved in this burst */
	uint32_t slots;   /* what this burst may need of any one delivery ring */
	uint32_t written; /* records in this burst, for statistics */
	uint64_t refusal_bucket;
	uint64_t refusals_dropped; /* in this burst, for statistics */
	bool has_refused_enough;   /* in this burst: the bucket is empty */
};

/* A proved credential at its owner, here or handed over: what stage own decides about. */
struct own_cred {
	struct verdict_record *record; /* in its form for the way, its owner's to change */
	const struct view_key *key;
	const uint8_t *payload;              /* as it came: in clear only if the suite is */
	const uint8_t *origin;               /* NULL: it was handed over without */
	uint64_t issued_us;                  /* 0: likewise */
	const struct answer_context *answer; /* NULL: no reply is wanted */
};

/* How many accepted credentials wait for their payloads at most; and the filter of their nodes. */
#define OWN_RUN_MAX    BURST_FRAMES_MAX
#define OWN_RUN_FILTER 1024u /* bits */

/* One of them, with a place for its payload in each ring that has its record. */
struct own_accepted {
	struct own_cred cred;
	struct answer_context answer; /* what cred.answer points to, unless it was handed over */
	unsigned payload_count;
	uint8_t *payloads[TABLE_GROUPS_MAX];
};

/*
 * Accepted credentials whose records are written and whose windows are not marked yet, in order, so
 * that their payloads are decrypted in one batch. No two are of one node: `filter` has a bit for each node among them, and for some others.
 */
struct own_run {
	unsigned count;
	uint64_t filter[OWN_RUN_FILTER / 64];
	struct own_accepted creds[OWN_RUN_MAX];
};

/* Stage parse, as the CPU has it. */
typedef unsigned burst_parse_t(struct worker *worker, unsigned count, struct burst_result *result);

struct worker {
	struct burst burst;
	struct tag_engine *engine;
	burst_parse_t *parse;
	burst_rules_t *rules;
	struct worker_stats *stats;
	struct replay_store *replay;
	const struct worker_port *ports;
	struct frame_shape shapes[SETUP_PORTS_MAX];
	unsigned index;
	unsigned worker_count;
	uint64_t generation;                        /* of the table in use */
	struct claim_shape claims[CLAIM_SHAPES];    /* learnt in that generation */
	struct packet_shape packets[PACKET_SHAPES]; /* likewise, by parse_avx512 */
	unsigned handoff_next;                      /* peer that is drained first */
	struct deliver deliver;
	struct answers answers;
	struct own_run run;
	struct budget budget;
	struct limit_buckets limits;
	struct worker_config config;
};

/* ---- the stages, in their order ---- */

/* Frames to credentials: everything below the claims. Returns how many are live. */
static inline unsigned
burst_parse(struct worker *worker, unsigned count, struct burst_result *result)
{
	return worker->parse(worker, count, result);
}

/* Claims against table, clocks and window: everything that needs no tag. */
unsigned burst_admit(struct worker *worker, unsigned count);

/* Tags. After it, everything live is proved. */
unsigned burst_verify(struct worker *worker, unsigned count);

/* What rules say of them, into their records (dataplane/rules.h). Nobody is refused here. */
static inline void
burst_rules(struct worker *worker, unsigned count)
{
	if (count != 0 && worker->burst.view.rules->has_rules)
		worker->rules(worker, count);
}

/* Sends other owners' credentials to them; what is left is ours. */
unsigned burst_handoff(struct worker *worker, unsigned count);

/* Decides about what is ours and what was handed over, and writes it. Returns the latter's count. */
unsigned burst_own(struct worker *worker, unsigned count);

/* ---- own.c, for handoff.c ---- */

/* The proved item at position `n` of live as own sees it; `answer` is filled if a reply is wanted. */
struct own_cred own_cred_from_item(
	struct worker *worker, unsigned n, struct answer_context *answer);

/* ---- deliver.c ---- */

/* A statistic of this worker, its only writer. */
static inline void
stat_add(_Atomic uint64_t *counter, uint64_t count)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + count,
		memory_order_relaxed);
}

void deliver_init(struct worker *worker);

/* Statistics of one realm of the table in use. */
static inline struct realm_stats *
realm_stats_of(const struct worker *worker, const struct table_realm *realm)
{
	return &worker->stats->realms[realm - worker->burst.view.policy->realms];
}

/* Slots a credential with a payload of that size takes in a ring. */
static inline uint32_t
deliver_slots(uint32_t payload_size)
{
	return 1 + VERDICT_PAYLOAD_SLOTS(payload_size);
}

/* Reserves what the burst may write to a ring: once a burst, when it is first needed. */
void deliver_touch(struct deliver *deliver, unsigned ring, uint32_t slots);

/* Payloads of a run, from as they came to clear text, in every ring they go to. */
void deliver_payloads(struct worker *worker, const struct own_accepted *creds, unsigned count);

/* Shows a refusal to observers, if one is due. Everybody calls deliver_refused. */
void deliver_refusal(struct worker *worker, const struct verdict_record *record,
	enum verdict verdict, bool is_proved);

/*
 * Counts a refusal and shows it to observers: of a record in its form for the way, without what is
 * not proved. In a flood it is only counted.
 */
static inline void
deliver_refused(struct worker *worker, const struct verdict_record *record, enum verdict verdict,
	bool is_proved)
{
	stat_add(
		is_proved ? &worker->stats->proved[verdict] : &worker->stats->unproved[verdict], 1);
	if (worker->deliver.has_refused_enough)
		worker->deliver.refusals_dropped++;
	else
		deliver_refusal(worker, record, verdict, is_proved);
}

/* The same for a claim that is not proved, of a realm that is known; what is malformed names none. */
static inline void
deliver_unproved(struct worker *worker, const struct burst_item *item, enum verdict verdict)
{
	if (verdict != VERDICT_MALFORMED)
		stat_add(&realm_stats_of(worker, item->key.realm)->unproved[verdict], 1);
	deliver_refused(worker, &item->record, verdict, false);
}

/* Makes everything written in this burst visible. */
void deliver_publish(struct worker *worker);

/* As the first bytes of a live key slot that would do, from its epoch on. */
static inline uint32_t
item_slot_word(uint16_t epoch, uint8_t suite)
{
	return epoch | (uint32_t)KEY_SLOT_LIVE << 16 | (uint32_t)suite << 24;
}

static inline bool
item_wants_reply(const struct burst_item *item)
{
	return item->record.kind & HANDOFF_KIND_ANSWER;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Verdict ring: one writer (a worker), any number of readers with a read-only mapping.
 *
 * Positions count slots of 64 bytes and never wrap (64 bits); slot = position & (capacity - 1).
 * A record takes one slot, its payload the ceil(size / 64) slots after it. A payload that begins
 * before the end of the ring goes on behind it, in the tail, in one piece; its positions count
 * all the same, and the first slots of the ring stay unused then. (Tail bytes of lap n are
 * overwritten by a record of lap n + 1 that ends in lap n + 2: the reader's one test covers them.)
 *
 * Writer, once per burst: stores reserved = end of what this burst may need, release fence, voids
 * the stamp of the first slot and stores voided = its position; writes records, each with its stamp
 * last, after it has voided the stamp of the slot behind; (the windows are marked, record by
 * record, after the record's payload is written); store-releases head. `reserved` never goes back.
 * Reader: load-acquires head; copies the slots from position on, up to VERDICT_READER_SLOTS and
 * never behind head, once with relaxed loads, acquire fence, loads reserved: the copy is good iff
 * reserved - position <= capacity, else the reader was lapped and goes on at head; it knows exactly
 * how many slots it lost. Records are then bound-checked and handed out from the copy alone.
 * (With the position only inside the record lapped readers accept torn ones.)
 *
 * Why one test is enough for all slots of a copy: position is that of the oldest. A store that
 * overwrites slot q >= position of this lap was made for position q + capacity or a later one, and
 * the writer stored reserved > q + capacity before it, a release fence between the two. If one of
 * our loads saw such a store, then behind our fence we see that reserved or a later one, which is
 * too far from q, and farther still from position. So a copy is refused too early at most, by what
 * it is long, and never too late; and the line of reserved and head, which the writer stores to,
 * crosses from core to core twice a copy at most instead of twice a record. What is in the copy is
 * the reader's own: a writer may lap the ring before it is handed out.
 *
 * A restarted writer looks at what lies between head and reserved: from head on, a record whose
 * stamp matches its position and whose serial is marked is published, the first that is not ends
 * the walk. Payload slots of this lap are only ever stepped over. Those of the lap before may hold
 * any bytes, also a stamp that would fit now: that is why the slot to be written next is always
 * voided, and why the walk begins only if voided = head. So no payload can pose as a record.
 *
 * Delivery rings, one per (group, worker), carry ACCEPTED only; refusal rings, one per worker, all
 * other verdicts, rate-bounded and without payload, for observers.
 */

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERDICT_RING_MAGIC   0x31474e4952564743ull /* "CGVRING1" as bytes */
#define VERDICT_RING_VERSION 1u
#define VERDICT_SLOT_SIZE    64u
#define VERDICT_SLOTS_OFFSET 4096u
/* A burst of largest credentials must fit twice: 64 * (1 + 18). */
#define VERDICT_RING_SLOTS_MIN      4096u
#define VERDICT_RING_SLOTS_MAX      (1u << 22)
#define VERDICT_RING_SLOTS_DEFAULT  65536u
#define VERDICT_PAYLOAD_SIZE_MAX    1136u
#define VERDICT_PAYLOAD_SLOTS(size) (((size) + VERDICT_SLOT_SIZE - 1) / VERDICT_SLOT_SIZE)
#define VERDICT_TAIL_SIZE           4096u
static_assert(
	VERDICT_PAYLOAD_SLOTS(VERDICT_PAYLOAD_SIZE_MAX) * VERDICT_SLOT_SIZE <= VERDICT_TAIL_SIZE,
	"a largest payload fits behind the last slot");
static_assert(
	VERDICT_RING_SLOTS_MIN >= 2 * 64 * (1 + VERDICT_PAYLOAD_SLOTS(VERDICT_PAYLOAD_SIZE_MAX)),
	"a burst of largest credentials fits twice");

enum verdict_ring_kind {
	VERDICT_RING_DELIVERY = 1,
	VERDICT_RING_REFUSAL = 2,
};

/* Host byte order; source in network order. */
struct verdict_record {
	uint32_t stamp; /* low 32 bits of position + 1, stored last */
	uint32_t audience;
	uint64_t time_us; /* gateway's real-time clock */
	uint64_t serial;
	uint8_t source[16]; /* packet's source address, IPv4 as ::ffff:a.b.c.d */
	uint32_t realm;
	uint32_t node;
	uint32_t uid; /* zero unless proved */
	uint32_t gid;
	uint16_t port; /* packet's source port */
	uint16_t payload_size;
	uint16_t epoch;
	uint8_t kind;
	uint8_t verdict; /* refusal rings: with VERDICT_RECORD_* */
};
static_assert(sizeof(struct verdict_record) == VERDICT_SLOT_SIZE, "docs/shared-memory.md");
static_assert(offsetof(struct verdict_record, source) == 24, "docs/shared-memory.md");
static_assert(offsetof(struct verdict_record, port) == 56, "docs/shared-memory.md");

#define VERDICT_RECORD_UNPROVED 0x80u
/* The realm's mode advises to let it pass: whatever decided before credgate came decides still. */
#define VERDICT_RECORD_ADVISED 0x40u

struct verdict_ring {
	/* ctrl: wo before anybody else maps it */
	uint64_t magic;
	uint32_t version;
	uint32_t capacity; /* slots, a power of two */
	uint64_t size;     /* of the mapping */
	uint32_t kind;     /* enum verdict_ring_kind */
	uint16_t group;
	uint16_t worker;
	uint8_t reserved_space[32];
	/* writer: wo, readers: ro. Stored once per burst. */
	_Alignas(64) _Atomic uint64_t reserved;
	_Atomic uint64_t head;
	_Atomic uint64_t dropped; /* refusal rings: records left out by the rate bound */
	_Atomic uint64_t voided;  /* the slot here has lost its stamp of the lap before */
	/* ctrl: wo, writer: ro. The least cursor of the ring's subscribers; UINT64_MAX: none. */
	_Alignas(64) _Atomic uint64_t floor;
};
static_assert(offsetof(struct verdict_ring, reserved) == 64, "docs/shared-memory.md");
static_assert(offsetof(struct verdict_ring, head) == 72, "docs/shared-memory.md");
static_assert(offsetof(struct verdict_ring, dropped) == 80, "docs/shared-memory.md");
static_assert(offsetof(struct verdict_ring, voided) == 88, "docs/shared-memory.md");
static_assert(offsetof(struct verdict_ring, floor) == 128, "docs/shared-memory.md");
static_assert(sizeof(struct verdict_ring) <= VERDICT_SLOTS_OFFSET, "docs/shared-memory.md");

/* A subscriber's own page: subscriber: wo, ctrl: ro. */
struct verdict_cursor {
	uint64_t magic;
	_Alignas(64) _Atomic uint64_t cursor[16]; /* one per worker's ring of the group */
};
#define VERDICT_CURSOR_MAGIC 0x3152535255434743ull /* "CGCURSR1" as bytes */
static_assert(sizeof(struct verdict_cursor) == 192, "docs/shared-memory.md");

/* Bytes of a ring's mapping, tail included; 0 if capacity is no power of two within the limits. */
uint64_t verdict_ring_size(uint32_t capacity);

/* Formats a zeroed mapping and touches every page. Control, before anybody else maps it. */
void verdict_ring_format(struct verdict_ring *ring, uint32_t capacity, enum verdict_ring_kind kind,
	uint16_t group, uint16_t worker);

/* 0, or -EBADMSG if the mapping of `size` bytes is not a ring of this version. */
int verdict_ring_check(const struct verdict_ring *ring, uint64_t size);

/* ---- writer: the one worker of the ring ---- */

struct verdict_writer {
	struct verdict_ring *ring;
	struct verdict_record *slots;
	uint64_t position; /* next slot to write */
	uint64_t end;      /* reserved until here */
	uint64_t mask;
};

/* Continues where the ring's head is. After verdict_ring_recover, if a writer died before. */
void verdict_writer_init(struct verdict_writer *writer, struct verdict_ring *ring);

/*
 * Slots that may be reserved without overwriting what a subscriber has not read; capacity if there
 * is none.
 */
static inline uint32_t verdict_writer_room(const struct verdict_writer *writer);

/*
 * Announces that up to `slots` slots are going to be written. MUST be at most verdict_writer_room,
 * or subscribers lose. Once per burst, before the first append; not again before publish.
 */
static inline void verdict_writer_reserve(struct verdict_writer *writer, uint32_t slots);

/*
 * Writes one record (its stamp is set here, last) and returns where its payload goes: payload_size
 * bytes in one piece. MUST have been reserved. The payload MUST be written before the record's
 * window is marked. The record is not visible yet.
 */
static inline uint8_t *verdict_writer_append(
	struct verdict_writer *writer, const struct verdict_record *record);

/* Makes everything appended visible. */
static inline void verdict_writer_publish(struct verdict_writer *writer);

/*
 * Repairs a ring whose writer died: publishes from head on every record that `is_marked` says was
 * committed and stops at the first other one. What lies behind was overwritten for readers, so
 * reserved stays. Returns how many it published. Before verdict_writer_init.
 */
unsigned verdict_ring_recover(struct verdict_ring *ring,
	bool (*is_marked)(const struct verdict_record *record, void *context), void *context);

/* ---- reader ---- */

/* A largest record and its payload have room. */
#define VERDICT_READER_SLOTS 32u
static_assert(1 + VERDICT_PAYLOAD_SLOTS(VERDICT_PAYLOAD_SIZE_MAX) <= VERDICT_READER_SLOTS,
	"the copy holds a largest record");
static_assert(VERDICT_READER_SLOTS * VERDICT_SLOT_SIZE <= VERDICT_TAIL_SIZE,
	"a copy that begins at the last slot ends in the tail");

struct verdict_reader {
	const struct verdict_ring *ring;
	const struct verdict_record *slots;
	uint64_t position; /* of the record that is handed out next */
	uint64_t mask;
	uint64_t lost_slots; /* slots this reader was too slow for */
	uint64_t head;       /* as last seen */
	uint64_t copy_start; /* the positions in the copy, found good */
	uint64_t copy_end;
	struct verdict_record copy[VERDICT_READER_SLOTS];
};

/*
 * Starts at the ring's head, or at the oldest readable record if `from_oldest`: since record
 * borders of the past are not known, that is position 0 as long as nothing was overwritten, else
 * head. Returns 0, or -EBADMSG as verdict_ring_check. Takes bounds from `size` only, which MUST be
 * the mapping's.
 */
int verdict_reader_init(struct verdict_reader *reader, const struct verdict_ring *ring,
	uint64_t size, bool from_oldest);

/*
 * Copies the next record and its payload (room for VERDICT_PAYLOAD_SIZE_MAX). Returns 1 if there
 * was one, 0 if there is none yet. A lapped reader goes on at the current head and counts what it
 * lost. Never trusts what it reads: a copy with an impossible size is counted as lost. Reads ahead,
 * so that most calls touch nothing that the writer does; a subscriber's cursor is `position`.
 */
int verdict_reader_next(
	struct verdict_reader *reader, struct verdict_record *record, uint8_t *payload);

#include "verdict/ring_inline.h"

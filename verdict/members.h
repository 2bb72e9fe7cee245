/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The member table: who of the registered nodes is there, at which addresses, since when. One memfd,
 * written by control alone and read-only for everybody else: struct members_header, an entry for
 * each slot (a node's is realm.base + node), and a ring of what changed.
 *
 * Entry, writer: sequence becomes odd; release fence; the words; sequence becomes even again,
 * release. Reader: load sequence, acquire; copy the words; acquire fence; the copy is good if the
 * sequence was even and still is what it was. A copy is therefore of one moment, never half of
 * another node's; only a writer that was killed on the way leaves an odd sequence behind.
 *
 * Events, writer: the stamp of the slot becomes 0; release fence; the words; stamp = position + 1,
 * release; then head, once for many, release, and a futex wake on its low half. An entry is written
 * before its event. Reader: from its own position below head, copies with the same care. Whoever is
 * more than event_count behind head, or finds another stamp, has lost events: it goes on at head
 * and reads the whole table again, which is never older than that head.
 */

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MEMBERS_MAGIC          0x31524d454d4d4743ull /* "CGMMEMR1" as bytes */
#define MEMBERS_VERSION        1u
#define MEMBERS_REALMS_MAX     64u
#define MEMBERS_NAME_SIZE      64u
#define MEMBERS_EVENTS         16384u /* a power of two */
#define MEMBERS_ENTRIES_OFFSET 8192u

/* Numbers are those of the public header and of the file `members`: fixed for ever. */
enum members_state {
	MEMBERS_NONE = 0,      /* no such node */
	MEMBERS_SILENT = 1,    /* registered, and no beacon was ever accepted */
	MEMBERS_UP = 2,        /* its beacons come */
	MEMBERS_LATE = 3,      /* none for late_after intervals */
	MEMBERS_LEFT = 4,      /* said that it leaves, or none for left_after intervals */
	MEMBERS_UNKNOWN = 5,   /* was there before the gateway restarted, not heard since */
	MEMBERS_SUSPENDED = 6, /* by the operator; may come back */
	MEMBERS_REVOKED = 7,   /* by the operator, for good */
	MEMBERS_STATES = 8,
};

enum members_changed {
	MEMBERS_CHANGED_STATE = 1,
	MEMBERS_CHANGED_ADDRESS = 2,
	MEMBERS_CHANGED_INCARNATION = 4,
	MEMBERS_CHANGED_NAME = 8,
};

#define MEMBERS_HAS_V4  1u
#define MEMBERS_HAS_V6  2u
#define MEMBERS_LEAVING 4u /* it said so in its last beacon */

/* Host byte order, addresses in network order. */
struct members_entry {
	_Alignas(64) _Atomic uint32_t sequence; /* odd: being written */
	uint32_t realm;
	uint32_t node;
	uint32_t incarnation;  /* of its last beacon: upper half of the serial */
	uint64_t last_seen_us; /* gateway's real-time clock at its last beacon; 0: never */
	uint64_t since_us;     /* likewise, when it came into this state */
	uint8_t v6[16];        /* origins that its beacons stated; see flags */
	uint8_t v4[4];
	uint16_t interval_s; /* between beacons, as it told; 0: it did not */
	uint8_t state;       /* enum members_state */
	uint8_t flags;       /* MEMBERS_HAS_*, MEMBERS_LEAVING */
	uint8_t reserved[8];
	char name[MEMBERS_NAME_SIZE]; /* NUL-terminated */
};
static_assert(offsetof(struct members_entry, v6) == 32, "docs/shared-memory.md");
static_assert(offsetof(struct members_entry, name) == 64, "docs/shared-memory.md");
static_assert(sizeof(struct members_entry) == 128, "docs/shared-memory.md");

struct members_event {
	_Atomic uint64_t stamp; /* position + 1 */
	uint64_t time_us;       /* gateway's real-time clock */
	uint32_t realm;
	uint32_t node;
	uint8_t old_state;
	uint8_t state;
	uint8_t changed; /* set of enum members_changed */
	uint8_t reserved[5];
};
static_assert(sizeof(struct members_event) == 32, "docs/shared-memory.md");

struct members_realm {
	uint32_t id;
	uint32_t base; /* entry of node 0, which does not exist */
	uint32_t nodes_max;
	_Atomic uint32_t beacon_s; /* interval of nodes that tell none */
	_Atomic uint32_t late_tenths;
	_Atomic uint32_t left_tenths; /* tenths of an interval */
	uint8_t reserved[8];
	char name[32]; /* NUL-terminated */
};
static_assert(sizeof(struct members_realm) == 64, "docs/shared-memory.md");

struct members_header {
	uint64_t magic; /* stored last */
	uint32_t version;
	uint32_t realm_count;
	uint64_t size;
	uint32_t entry_count;
	uint32_t event_count; /* slots of the ring */
	uint64_t events_offset;
	uint64_t started_us; /* real-time clock */
	uint8_t reserved[16];
	_Alignas(64) _Atomic uint64_t head; /* events so far */
	_Atomic uint64_t passed_us; /* real-time clock, when every node had been looked at */
	uint8_t reserved_line[48];
	struct members_realm realms[MEMBERS_REALMS_MAX];
};
static_assert(offsetof(struct members_header, head) == 64, "docs/shared-memory.md");
static_assert(offsetof(struct members_header, realms) == 128, "docs/shared-memory.md");
static_assert(sizeof(struct members_header) <= MEMBERS_ENTRIES_OFFSET, "docs/shared-memory.md");

static inline uint64_t
members_events_offset(uint32_t entry_count)
{
	return MEMBERS_ENTRIES_OFFSET + (uint64_t)entry_count * sizeof(struct members_entry);
}

static inline uint64_t
members_size(uint32_t entry_count)
{
	return members_events_offset(entry_count) + MEMBERS_EVENTS * sizeof(struct members_event);
}

/* Formats a zeroed mapping of members_size(entry_count). Control, before anybody else maps it. */
void members_format(struct members_header *header, uint32_t entry_count, uint64_t started_us);

/* 0, or -EBADMSG if the mapping of `size` bytes is no member table of this version. */
int members_check(const struct members_header *header, uint64_t size);

/* "up", "late", ...; "unknown-state" for a number that is none. */
const char *members_state_text(unsigned state);

/* ---- writer: control's one thread ---- */

/* Puts `entry` (its sequence is ignored) into slot `i`, which MUST be below entry_count. */
void members_entry_write(
	struct members_header *header, uint32_t i, const struct members_entry *entry);

/* Adds an event behind `*position`, which goes up; seen by nobody before members_publish. */
void members_event_write(
	struct members_header *header, uint64_t *position, const struct members_event *event);

/* Shows all events below `position` and wakes who waits for them. */
void members_publish(struct members_header *header, uint64_t position);

/* ---- readers: any process with a read-only mapping ---- */

/*
 * What a reader relies on: taken from the header once, when it was checked, and never again, for
 * the other side might change it.
 */
struct members_view {
	const struct members_header *header;
	const struct members_entry *entries;
	const struct members_event *events;
	uint32_t entry_count;
	uint32_t event_mask;
};

/* 0, or -EBADMSG as members_check. */
int members_view_init(
	struct members_view *view, const struct members_header *header, uint64_t size);

/*
 * Copies entry `i`, which MUST be below entry_count. False: it was being written all the time; try
 * again later (never, if the writer is gone).
 */
bool members_entry_read(const struct members_view *view, uint32_t i, struct members_entry *entry);

/*
 * Copies the event at *position and steps over it: 1. 0: there is none yet. -EOVERFLOW: events were
 * lost, and *position is the head now.
 */
int members_event_read(
	const struct members_view *view, uint64_t *position, struct members_event *event);

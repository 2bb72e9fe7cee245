/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What members.c, members_file.c and members_watch.c share. */

#include <event2/event.h>

#include "ctrl/members.h"

enum member_standing {
	MEMBER_ABSENT = 0, /* no such node */
	MEMBER_LIVE,
	MEMBER_SUSPENDED,
	MEMBER_REVOKED,
};

enum member_flags {
	MEMBER_HEARD = 1,    /* a beacon was accepted since this start */
	MEMBER_HEARD_V4 = 2, /* likewise, from such an origin */
	MEMBER_HEARD_V6 = 4,
	MEMBER_RESTORED = 8, /* was there before this start, not heard since */
	MEMBER_GONE = 16,    /* likewise, and had left */
	MEMBER_AGAIN = 32,   /* its meter changed: look once more, the rest of it may follow */
};

/*
 * What control knows of a node beside its entry: all that a look needs, so that only a change
 * touches the table. Times ending in _ds are tenths of a second of the membership clock.
 */
struct member {
	uint64_t beacon_us; /* the meter's words when they were last seen to change */
	uint32_t v4_s;
	uint32_t v6_s;
	uint32_t heard_ds; /* MEMBER_RESTORED: when it counts as left instead */
	uint32_t v4_heard_ds;
	uint32_t v6_heard_ds;
	uint8_t standing; /* enum member_standing */
	uint8_t flags;    /* set of enum member_flags */
	uint8_t realm_index;
	uint8_t state; /* enum members_state, as it is in the table */
};
static_assert(sizeof(struct member) == 32, "two to a cache line");

struct members_saving {
	int fd; /* -1: none under way */
	uint32_t next;
	uint64_t count;
	void *digest; /* crypto_generichash_state */
};

struct members {
	struct memory_object object;
	struct members_view view;
	struct members_header *header;
	struct members_realm *realms;
	struct member *nodes; /* entry_count */
	uint32_t counts[TABLE_REALMS_MAX][MEMBERS_STATES];
	uint32_t next;     /* slot to look at first */
	uint64_t position; /* of events */
	uint64_t clock_us; /* of membership */
	uint64_t mono_us;  /* at the last look; 0: none yet */
	uint64_t real_us;
	bool was_serving;
	struct meters_header *meters; /* of the last look; NULL: none yet */
	struct members_saving saving;
	/* members_watch.c */
	struct event *event;
	uint64_t saved_mono_us;
	uint64_t spent_us; /* in looks, all in all */
	uint64_t looks;
	bool has_save_failed;
};

/* What the table shows of slot `i` now. */
void members_entry(const struct members *members, uint32_t i, struct members_entry *entry);

/* Puts an entry that was restored into the table. */
void members_entry_restore(struct members *members, uint32_t i, const struct members_entry *entry);

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CREDGATE_MEMBERS_H
#define CREDGATE_MEMBERS_H

/*
 * Who is there: the gateway's table of nodes, made from their beacons, straight from shared memory.
 * A program that schedules work reads it instead of a list of addresses that somebody must push.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers are fixed for ever; new ones may join at the end. */
enum cg_member_state {
	CG_MEMBER_NONE = 0,      /* no such node (any more) */
	CG_MEMBER_SILENT = 1,    /* registered, never heard */
	CG_MEMBER_UP = 2,        /* its beacons come */
	CG_MEMBER_LATE = 3,      /* a beacon or two are missing */
	CG_MEMBER_LEFT = 4,      /* said that it leaves, or many are missing */
	CG_MEMBER_UNKNOWN = 5,   /* was there before the gateway restarted, not heard since */
	CG_MEMBER_SUSPENDED = 6, /* put aside by the operator */
	CG_MEMBER_REVOKED = 7    /* thrown out by the operator */
};

/* "up", "late", ...; "unknown-state" for a number this library does not know. */
const char *cg_member_state_text(unsigned state);

#define CG_MEMBER_NAME_MAX 64 /* with the NUL */

/* One node. Addresses in network order, IPv4 as ::ffff:a.b.c.d; all zero: none. */
struct cg_member {
	size_t size; /* sizeof(struct cg_member), set by the caller */
	uint32_t realm;
	uint32_t node;
	unsigned state;        /* enum cg_member_state */
	int has_said_leaving;  /* in its last beacon */
	uint32_t interval_s;   /* between beacons, as it told; 0: it did not */
	uint32_t incarnation;  /* upper half of the serial of its last beacon */
	uint64_t last_seen_us; /* gateway's real-time clock at its last beacon; 0: never */
	uint64_t since_us;     /* likewise, when it came into this state */
	uint8_t address4[16];  /* that its beacons state as their origin */
	uint8_t address6[16];
	char name[CG_MEMBER_NAME_MAX];
};

/* What changed about a node; more than one at once is possible. */
#define CG_MEMBER_CHANGED_STATE       1
#define CG_MEMBER_CHANGED_ADDRESS     2
#define CG_MEMBER_CHANGED_INCARNATION 4
#define CG_MEMBER_CHANGED_NAME        8

struct cg_member_event {
	size_t size; /* sizeof(struct cg_member_event), set by the caller */
	uint64_t sequence;
	uint64_t time_us; /* gateway's real-time clock */
	uint32_t realm;
	uint32_t node;
	unsigned old_state;
	unsigned state;   /* of then; cg_member_find tells that of now */
	unsigned changed; /* set of CG_MEMBER_CHANGED_* */
};

struct cg_members;

/*
 * Attaches to the member table. `socket_path` NULL: CG_SOCKET_DEFAULT. -EACCES: the gateway gives
 * it to its admins, observers and readers of groups only. One thread per cg_members.
 */
int cg_members_open(struct cg_members **members, const char *socket_path);
void cg_members_close(struct cg_members *members);

/*
 * The next node of the table, in the order of realms and numbers. 1: there was one; 0: the end, the
 * next call begins anew; -EPIPE: the gateway is gone, open again.
 */
int cg_members_next(struct cg_members *members, struct cg_member *member);

/* The next call of cg_members_next begins anew. */
void cg_members_rewind(struct cg_members *members);

/*
 * Looks one node up: by number (one look), by name, or by an address that it states (the table is
 * searched: about a millisecond for 100,000 nodes). With realm 0 any realm will do. Of several with
 * one address the one that is up, else late, and so on, and among those the one that was heard last.
 * 1: found; 0: there is none; -EPIPE: the gateway is gone.
 */
int cg_member_find(
	struct cg_members *members, uint32_t realm, uint32_t node, struct cg_member *member);
int cg_member_find_name(
	struct cg_members *members, uint32_t realm, const char *name, struct cg_member *member);
int cg_member_find_address(struct cg_members *members, uint32_t realm, const uint8_t address[16],
	struct cg_member *member);

/* A realm's number by its name: 1, or 0 if the gateway has none of that name. */
int cg_members_realm(struct cg_members *members, const char *name, uint32_t *realm);
/* And its name by its number; NULL if there is none. */
const char *cg_members_realm_name(const struct cg_members *members, uint32_t realm);

/*
 * The next change since cg_members_open. 1: there was one; 0: none now; -EOVERFLOW: we were too
 * slow and some are lost: read the whole table (cg_members_rewind, cg_members_next), then go on
 * here; -EPIPE: the gateway is gone and everything was read.
 */
int cg_members_event(struct cg_members *members, struct cg_member_event *event);

/* Sleeps until there may be a change, at most timeout_ms (-1: no limit). 1, 0 on timeout, -EPIPE,
 * -EINTR on a signal. */
int cg_members_wait(struct cg_members *members, int timeout_ms);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: BSD-3-Clause */

#include <credgate/consume.h>
#include <credgate/members.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/attach_priv.h"
#include "client/error_priv.h"
#include "client/waiter_priv.h"
#include "verdict/members.h"

/* The structs of the first release. */
#define MEMBER_BASE 144u
#define EVENT_BASE  48u
static_assert(sizeof(struct cg_member) >= MEMBER_BASE, "the ABI only grows");
static_assert(offsetof(struct cg_member, name) == MEMBER_BASE - 64, "the ABI only grows");
static_assert(sizeof(struct cg_member_event) >= EVENT_BASE, "the ABI only grows");
static_assert(offsetof(struct cg_member_event, changed) == 40, "the ABI only grows");

static_assert((int)CG_MEMBER_NONE == (int)MEMBERS_NONE, "docs/client.md");
static_assert((int)CG_MEMBER_SILENT == (int)MEMBERS_SILENT, "docs/client.md");
static_assert((int)CG_MEMBER_UP == (int)MEMBERS_UP, "docs/client.md");
static_assert((int)CG_MEMBER_LATE == (int)MEMBERS_LATE, "docs/client.md");
static_assert((int)CG_MEMBER_LEFT == (int)MEMBERS_LEFT, "docs/client.md");
static_assert((int)CG_MEMBER_UNKNOWN == (int)MEMBERS_UNKNOWN, "docs/client.md");
static_assert((int)CG_MEMBER_SUSPENDED == (int)MEMBERS_SUSPENDED, "docs/client.md");
static_assert((int)CG_MEMBER_REVOKED == (int)MEMBERS_REVOKED, "docs/client.md");
static_assert(CG_MEMBER_NAME_MAX == MEMBERS_NAME_SIZE, "docs/client.md");
static_assert(CG_MEMBER_CHANGED_STATE == MEMBERS_CHANGED_STATE, "docs/client.md");
static_assert(CG_MEMBER_CHANGED_ADDRESS == MEMBERS_CHANGED_ADDRESS, "docs/client.md");
static_assert(CG_MEMBER_CHANGED_INCARNATION == MEMBERS_CHANGED_INCARNATION, "docs/client.md");
static_assert(CG_MEMBER_CHANGED_NAME == MEMBERS_CHANGED_NAME, "docs/client.md");

/* Nobody wakes us when the gateway dies, so a sleep is cut into slices of this. */
#define WAIT_SLICE_MS 100
#define GONE_CHECK_NS 10000000
/* A writer that lost its CPU in the middle of an entry gets it back within these. */
#define READ_TRIES  100
#define READ_NAP_NS 1000000

struct cg_members {
	struct attached attached;
	const struct members_view *view;
	uint32_t realm_count;
	uint32_t next; /* entry */
	uint64_t position;
	bool is_gone;
	int64_t checked_ns;
};

const char *
cg_member_state_text(unsigned state)
{
	return members_state_text(state);
}

int
cg_members_open(struct cg_members **members, const char *socket_path)
{
	struct cg_members *fresh;
	int rc;

	if (members == NULL)
		return client_fail(EINVAL, "members must not be NULL");
	*members = NULL;
	fresh = calloc(1, sizeof(*fresh));
	if (fresh == NULL)
		return client_fail(ENOMEM, "no memory for members");
	rc = attach_members_open(
		&fresh->attached, socket_path != NULL ? socket_path : CG_SOCKET_DEFAULT);
	if (rc != 0) {
		free(fresh);
		return rc;
	}
	fresh->view = &fresh->attached.members;
	fresh->realm_count = fresh->view->header->realm_count;
	if (fresh->realm_count > MEMBERS_REALMS_MAX)
		fresh->realm_count = MEMBERS_REALMS_MAX;
	fresh->position = atomic_load_explicit(&fresh->view->header->head, memory_order_acquire);
	*members = fresh;
	return 0;
}

void
cg_members_close(struct cg_members *members)
{
	if (members == NULL)
		return;
	attach_close(&members->attached);
	free(members);
}

/* ---- is anybody keeping the table? ---- */

static int
gone_fail(void)
{
	return client_fail(EPIPE, "the gateway is gone: open again when it is back");
}

static bool
is_gone(struct cg_members *members)
{
	int64_t now_ns = waiter_now_ns();

	if (!members->is_gone && now_ns - members->checked_ns >= GONE_CHECK_NS) {
		members->checked_ns = now_ns;
		members->is_gone = attach_is_closed(&members->attached);
	}
	return members->is_gone;
}

/* ---- entries ---- */

static void
address4_set(uint8_t address[16], const uint8_t v4[4])
{
	address[10] = 0xff;
	address[11] = 0xff;
	memcpy(address + 12, v4, 4);
}

static void
member_fill(struct cg_member *out, const struct members_entry *in)
{
	*out = (struct cg_member){
		.size = sizeof(*out),
		.realm = in->realm,
		.node = in->node,
		.state = in->state,
		.has_said_leaving = (in->flags & MEMBERS_LEAVING) != 0,
		.interval_s = in->interval_s,
		.incarnation = in->incarnation,
		.last_seen_us = in->last_seen_us,
		.since_us = in->since_us,
	};
	if ((in->flags & MEMBERS_HAS_V4) != 0)
		address4_set(out->address4, in->v4);
	if ((in->flags & MEMBERS_HAS_V6) != 0)
		memcpy(out->address6, in->v6, sizeof(out->address6));
	memcpy(out->name, in->name, sizeof(out->name));
}

static void
member_give(struct cg_member *member, const struct members_entry *entry)
{
	struct cg_member out;

	member_fill(&out, entry);
	client_struct_give(member, &out, sizeof(out));
}

/* 0, or -EPIPE if the writer died in the middle of it. */
static int
entry_read(struct cg_members *members, uint32_t i, struct members_entry *entry)
{
	const struct timespec nap = {.tv_nsec = READ_NAP_NS};

	for (unsigned tries = 0; tries < READ_TRIES; tries++) {
		if (members_entry_read(members->view, i, entry))
			return 0;
		nanosleep(&nap, NULL);
	}
	return gone_fail();
}

void
cg_members_rewind(struct cg_members *members)
{
	members->next = 0;
}

int
cg_members_next(struct cg_members *members, struct cg_member *member)
{
	struct members_entry entry;
	int rc = client_struct_check(member, MEMBER_BASE, "member");

	if (rc == 0 && is_gone(members))
		rc = gone_fail();
	while (rc == 0 && members->next < members->view->entry_count) {
		rc = entry_read(members, members->next++, &entry);
		if (rc != 0 || entry.state == MEMBERS_NONE)
			continue;
		member_give(member, &entry);
		return 1;
	}
	members->next = 0;
	return rc;
}

/* ---- looking up ---- */

/* Realms never change while the gateway runs. */
static const struct members_realm *
realm_at(const struct cg_members *members, uint32_t i)
{
	return &members->view->header->realms[i];
}

static bool
realm_has(const struct cg_members *members, uint32_t i, uint32_t realm, uint32_t node)
{
	const struct members_realm *row = realm_at(members, i);

	return row->id == realm && node <= row->nodes_max &&
	       (uint64_t)row->base + node < members->view->entry_count;
}

int
cg_member_find(struct cg_members *members, uint32_t realm, uint32_t node, struct cg_member *member)
{
	struct members_entry entry;
	int rc = client_struct_check(member, MEMBER_BASE, "member");

	if (rc == 0 && is_gone(members))
		rc = gone_fail();
	for (uint32_t i = 0; rc == 0 && i < members->realm_count; i++) {
		if (!realm_has(members, i, realm, node))
			continue;
		rc = entry_read(members, realm_at(members, i)->base + node, &entry);
		if (rc != 0 || entry.state == MEMBERS_NONE || entry.node != node)
			break;
		member_give(member, &entry);
		return 1;
	}
	return rc;
}

/* What is looked for: a name, or an address. */
struct search {
	uint32_t realm; /* 0: any */
	const char *name;
	const uint8_t *address;
};

static bool
is_v4(const uint8_t address[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static bool
entry_fits(const struct members_entry *entry, const struct search *search)
{
	if (entry->state == MEMBERS_NONE || (search->realm != 0 && entry->realm != search->realm))
		return false;
	if (search->name != NULL)
		return strcmp(entry->name, search->name) == 0;
	if (is_v4(search->address))
		return (entry->flags & MEMBERS_HAS_V4) != 0 &&
		       memcmp(entry->v4, search->address + 12, sizeof(entry->v4)) == 0;
	return (entry->flags & MEMBERS_HAS_V6) != 0 &&
	       memcmp(entry->v6, search->address, sizeof(entry->v6)) == 0;
}

/* Which of two that state one address is more likely there; the greater one. */
static unsigned
rank(unsigned state)
{
	static const uint8_t ranks[MEMBERS_STATES] = {
		[MEMBERS_UP] = 7,
		[MEMBERS_LATE] = 6,
		[MEMBERS_UNKNOWN] = 5,
		[MEMBERS_LEFT] = 4,
		[MEMBERS_SILENT] = 3,
		[MEMBERS_SUSPENDED] = 2,
		[MEMBERS_REVOKED] = 1,
	};

	return state < MEMBERS_STATES ? ranks[state] : 0;
}

static bool
is_better(const struct members_entry *entry, const struct members_entry *best)
{
	const unsigned ours = rank(entry->state), theirs = rank(best->state);

	return ours != theirs ? ours > theirs : entry->last_seen_us > best->last_seen_us;
}

static int
search_all(struct cg_members *members, const struct search *search, struct cg_member *member)
{
	struct members_entry entry, best = {.state = MEMBERS_NONE};
	int rc = client_struct_check(member, MEMBER_BASE, "member");

	if (rc == 0 && is_gone(members))
		rc = gone_fail();
	for (uint32_t i = 0; rc == 0 && i < members->view->entry_count; i++) {
		rc = entry_read(members, i, &entry);
		if (rc == 0 && entry_fits(&entry, search) && is_better(&entry, &best))
			best = entry;
	}
	if (rc != 0 || best.state == MEMBERS_NONE)
		return rc;
	member_give(member, &best);
	return 1;
}

int
cg_member_find_name(
	struct cg_members *members, uint32_t realm, const char *name, struct cg_member *member)
{
	const struct search search = {.realm = realm, .name = name};

	if (name == NULL)
		return client_fail(EINVAL, "name must not be NULL");
	return search_all(members, &search, member);
}

int
cg_member_find_address(struct cg_members *members, uint32_t realm, const uint8_t address[16],
	struct cg_member *member)
{
	const struct search search = {.realm = realm, .address = address};

	if (address == NULL)
		return client_fail(EINVAL, "address must not be NULL");
	return search_all(members, &search, member);
}

int
cg_members_realm(struct cg_members *members, const char *name, uint32_t *realm)
{
	if (name == NULL || realm == NULL)
		return client_fail(EINVAL, "name and realm must not be NULL");
	for (uint32_t i = 0; i < members->realm_count; i++) {
		const struct members_realm *row = realm_at(members, i);

		if (strncmp(row->name, name, sizeof(row->name)) != 0)
			continue;
		*realm = row->id;
		return 1;
	}
	return 0;
}

const char *
cg_members_realm_name(const struct cg_members *members, uint32_t realm)
{
	for (uint32_t i = 0; i < members->realm_count; i++)
		if (realm_at(members, i)->id == realm)
			return realm_at(members, i)->name;
	return NULL;
}

/* ---- events ---- */

static int
event_take(struct cg_members *members, struct cg_member_event *event)
{
	const uint64_t sequence = members->position;
	struct members_event in;
	struct cg_member_event out;
	int rc = members_event_read(members->view, &members->position, &in);

	if (rc == -EOVERFLOW)
		return client_fail(EOVERFLOW,
			"too slow, events of members are lost: read the whole table again");
	if (rc <= 0)
		return rc;
	out = (struct cg_member_event){
		.size = sizeof(out),
		.sequence = sequence,
		.time_us = in.time_us,
		.realm = in.realm,
		.node = in.node,
		.old_state = in.old_state,
		.state = in.state,
		.changed = in.changed,
	};
	client_struct_give(event, &out, sizeof(out));
	return 1;
}

int
cg_members_event(struct cg_members *members, struct cg_member_event *event)
{
	int rc = client_struct_check(event, EVENT_BASE, "event");

	if (rc == 0)
		rc = event_take(members, event);
	if (rc != 0 || !is_gone(members))
		return rc;
	/* It may have published between our look and its end. */
	rc = event_take(members, event);
	return rc != 0 ? rc : gone_fail();
}

static bool
has_event(const struct cg_members *members)
{
	return atomic_load_explicit(&members->view->header->head, memory_order_acquire) !=
	       members->position;
}

int
cg_members_wait(struct cg_members *members, int timeout_ms)
{
	int64_t start_ns = waiter_now_ns();

	for (;;) {
		const struct waiter waiter = {
			.count = 1,
			.words = {&members->view->header->head},
			.seen = {members->position},
		};
		int64_t left_ms = WAIT_SLICE_MS;

		if (has_event(members))
			return 1;
		if (members->is_gone || attach_is_closed(&members->attached)) {
			members->is_gone = true;
			return has_event(members) ? 1 : gone_fail();
		}
		if (timeout_ms >= 0)
			left_ms = timeout_ms - (waiter_now_ns() - start_ns) / 1000000;
		if (left_ms <= 0)
			return 0;
		if (left_ms > WAIT_SLICE_MS)
			left_ms = WAIT_SLICE_MS;
		if (waiter_sleep(&waiter, (int)left_ms) == -EINTR)
			return client_fail(EINTR, "waiting for members: interrupted by a signal");
	}
}

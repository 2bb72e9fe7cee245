/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/members.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/members_priv.h"
#include "ctrl/windows.h"

#define TENTH_US      100000u
#define CLOCK_STEP_US 1000000u /* the membership clock goes on by no more at once */
/* Meter lines on their way while others are looked at: one comes in about 100 ns, a look takes 5. */
#define LOOK_AHEAD 16u

static_assert(MEMBERS_REALMS_MAX == TABLE_REALMS_MAX, "one row for each");
static_assert(MEMBERS_NAME_SIZE >= REGISTRY_NAME_SIZE, "names are whole");
static_assert(sizeof(((struct members_realm *)0)->name) >= CONFIG_NAME_SIZE, "names are whole");

/* ---- making ---- */

static void
realm_name(struct members *members, unsigned i, const struct config_realm *realm, uint32_t base)
{
	members->realms[i].id = realm->id;
	members->realms[i].base = base;
	members->realms[i].nodes_max = realm->nodes_max;
	members->counts[i][MEMBERS_NONE] = realm->nodes_max;
	snprintf(members->realms[i].name, sizeof(members->realms[i].name), "%s", realm->name);
}

static int
table_create(struct members *members, uint32_t slot_count, uint64_t now_us, struct reason *reason)
{
	int error = memory_object_create(&members->object, "credgate-members",
		members_size(slot_count), MEMORY_PAGES_SMALL, reason);

	if (error != 0)
		return error;
	members->header = members->object.mapping;
	members->realms = members->header->realms;
	members_format(members->header, slot_count, now_us);
	members_view_init(&members->view, members->header, members->object.size);
	error = memory_object_seal(&members->object, true, reason);
	return error != 0 ? error : memory_object_open_reader(&members->object, reason);
}

struct members *
members_create(const struct config *config, uint64_t now_us, struct reason *reason)
{
	struct members *members = calloc(1, sizeof(*members));
	uint32_t bases[TABLE_REALMS_MAX], slot_count = windows_bases(config, bases);

	if (members != NULL)
		members->nodes = calloc(slot_count, sizeof(*members->nodes));
	if (members == NULL || members->nodes == NULL) {
		reason_set(reason, ENOMEM, "no memory for the member table; lower nodes_max");
		free(members);
		return NULL;
	}
	members->object = MEMORY_OBJECT_NONE;
	members->saving.fd = -1;
	members->real_us = now_us;
	if (table_create(members, slot_count, now_us, reason) != 0) {
		members_destroy(members);
		return NULL;
	}
	for (unsigned i = 0; i < config->realm_count; i++)
		realm_name(members, i, &config->realms[i], bases[i]);
	members->header->realm_count = config->realm_count;
	members_configure(members, config);
	return members;
}

void
members_destroy(struct members *members)
{
	if (members == NULL)
		return;
	memory_object_destroy(&members->object);
	free(members->nodes);
	free(members);
}

void
members_configure(struct members *members, const struct config *config)
{
	for (unsigned i = 0; i < config->realm_count; i++) {
		const struct config_realm *from = &config->realms[i];
		struct members_realm *to = &members->realms[i];

		atomic_store_explicit(&to->beacon_s, from->beacon_s, memory_order_relaxed);
		atomic_store_explicit(&to->late_tenths, from->late_tenths, memory_order_relaxed);
		atomic_store_explicit(&to->left_tenths, from->left_tenths, memory_order_relaxed);
	}
}

const struct memory_object *
members_object(const struct members *members)
{
	return &members->object;
}

const struct members_view *
members_view(const struct members *members)
{
	return &members->view;
}

void
members_count(const struct members *members, unsigned realm_index, uint32_t counts[MEMBERS_STATES])
{
	memcpy(counts, members->counts[realm_index], sizeof(members->counts[realm_index]));
}

void
members_cost(const struct members *members, struct members_cost *cost)
{
	*cost = (struct members_cost){
		.events = members->position,
		.looks = members->looks,
		.looks_us = members->spent_us,
	};
}

/* ---- which state ---- */

static uint32_t
clock_ds(const struct members *members)
{
	return (uint32_t)(members->clock_us / TENTH_US);
}

static struct meter_node *
meter_of(const struct members *members, uint32_t i)
{
	return members->meters != NULL ? meters_node(members->meters, i) : NULL;
}

/* Tenths of a second in `tenths` of an interval: the one that was told, or the realm's. */
static uint32_t
span_ds(const struct members_realm *realm, uint32_t told_s, const _Atomic uint32_t *tenths)
{
	if (told_s == 0)
		told_s = atomic_load_explicit(&realm->beacon_s, memory_order_relaxed);
	return told_s * atomic_load_explicit(tenths, memory_order_relaxed);
}

static uint16_t
interval_told_s(const struct meter_node *meter)
{
	return atomic_load_explicit(&meter->beacon_interval_s, memory_order_relaxed);
}

static bool
is_leaving(const struct meter_node *meter)
{
	return atomic_load_explicit(&meter->beacon_state, memory_order_relaxed) == METER_LEAVING;
}

/* One that was heard in this run of the gateway: `meter` is there. */
static enum members_state
state_heard(const struct members_realm *realm, const struct member *member,
	const struct meter_node *meter, uint32_t now_ds)
{
	const uint32_t age_ds = now_ds - member->heard_ds;
	const uint16_t told_s = interval_told_s(meter);

	if (is_leaving(meter) || age_ds > span_ds(realm, told_s, &realm->left_tenths))
		return MEMBERS_LEFT;
	if (age_ds > span_ds(realm, told_s, &realm->late_tenths))
		return MEMBERS_LATE;
	return MEMBERS_UP;
}

static enum members_state
state_of(const struct members *members, const struct member *member, const struct meter_node *meter)
{
	const struct members_realm *realm = &members->realms[member->realm_index];

	if (member->standing == MEMBER_ABSENT)
		return MEMBERS_NONE;
	if (member->standing == MEMBER_REVOKED)
		return MEMBERS_REVOKED;
	if (member->standing == MEMBER_SUSPENDED)
		return MEMBERS_SUSPENDED;
	if ((member->flags & MEMBER_HEARD) != 0)
		return state_heard(realm, member, meter, clock_ds(members));
	if ((member->flags & MEMBER_RESTORED) == 0)
		return MEMBERS_SILENT;
	if ((member->flags & MEMBER_GONE) != 0 || clock_ds(members) > member->heard_ds)
		return MEMBERS_LEFT;
	return MEMBERS_UNKNOWN;
}

/* ---- the table ---- */

void
members_entry(const struct members *members, uint32_t i, struct members_entry *entry)
{
	members_entry_read(&members->view, i, entry);
}

static uint8_t
changes(const struct members_entry *old, const struct members_entry *entry)
{
	const uint8_t families = MEMBERS_HAS_V4 | MEMBERS_HAS_V6;
	uint8_t changed = 0;

	if (old->state != entry->state)
		changed |= MEMBERS_CHANGED_STATE;
	if (memcmp(old->v4, entry->v4, 4) != 0 || memcmp(old->v6, entry->v6, 16) != 0 ||
		((old->flags ^ entry->flags) & families) != 0)
		changed |= MEMBERS_CHANGED_ADDRESS;
	if (old->incarnation != entry->incarnation)
		changed |= MEMBERS_CHANGED_INCARNATION;
	if (strncmp(old->name, entry->name, sizeof(old->name)) != 0)
		changed |= MEMBERS_CHANGED_NAME;
	return changed;
}

static void
event_note(struct members *members, uint8_t changed, uint8_t old_state,
	const struct members_entry *entry)
{
	const struct members_event event = {
		.time_us = members->real_us,
		.realm = entry->realm,
		.node = entry->node,
		.old_state = old_state,
		.state = entry->state,
		.changed = changed,
	};

	members_event_write(members->header, &members->position, &event);
}

/* The entry first, then its event; what did not change is not written. */
static void
entry_put(struct members *members, uint32_t i, const struct members_entry *old,
	struct members_entry *entry)
{
	const uint8_t changed = changes(old, entry);
	struct member *member = &members->nodes[i];

	if ((changed & MEMBERS_CHANGED_STATE) != 0)
		entry->since_us = members->real_us;
	members_entry_write(members->header, i, entry);
	if (changed != 0)
		event_note(members, changed, old->state, entry);
	members->counts[member->realm_index][old->state]--;
	members->counts[member->realm_index][entry->state]++;
	member->state = entry->state;
}

/* An address that beacons no longer state goes after left_after, beacon for beacon. */
static bool
has_family(const struct members *members, const struct member *member,
	const struct meter_node *meter, uint8_t flag, uint32_t heard_ds)
{
	const struct members_realm *realm = &members->realms[member->realm_index];

	return (member->flags & flag) != 0 &&
	       member->heard_ds - heard_ds <=
		       span_ds(realm, interval_told_s(meter), &realm->left_tenths);
}

static void
entry_take_meter(const struct members *members, const struct member *member,
	struct meter_node *meter, struct members_entry *entry)
{
	const uint32_t v4 = atomic_load_explicit(&meter->beacon_v4, memory_order_relaxed);
	uint64_t v6[2];

	v6[0] = atomic_load_explicit(&meter->beacon_v6[0], memory_order_relaxed);
	v6[1] = atomic_load_explicit(&meter->beacon_v6[1], memory_order_relaxed);
	memset(entry->v4, 0, sizeof(entry->v4));
	memset(entry->v6, 0, sizeof(entry->v6));
	entry->flags = is_leaving(meter) ? MEMBERS_LEAVING : 0;
	if (has_family(members, member, meter, MEMBER_HEARD_V4, member->v4_heard_ds)) {
		entry->flags |= MEMBERS_HAS_V4;
		memcpy(entry->v4, &v4, sizeof(v4));
	}
	if (has_family(members, member, meter, MEMBER_HEARD_V6, member->v6_heard_ds)) {
		entry->flags |= MEMBERS_HAS_V6;
		memcpy(entry->v6, v6, sizeof(v6));
	}
	entry->last_seen_us = member->beacon_us;
	entry->incarnation = atomic_load_explicit(&meter->beacon_incarnation, memory_order_relaxed);
	entry->interval_s = interval_told_s(meter);
}

/* Brings the entry up to what is known; the name is the caller's to set. */
static void
entry_update(struct members *members, uint32_t i, const struct members_entry *old,
	struct members_entry *entry)
{
	const struct member *member = &members->nodes[i];
	struct meter_node *meter = meter_of(members, i);

	if (meter != NULL && (member->flags & MEMBER_HEARD) != 0)
		entry_take_meter(members, member, meter, entry);
	entry->state = (uint8_t)state_of(members, member, meter);
	if (memcmp(entry, old, sizeof(*entry)) != 0)
		entry_put(members, i, old, entry);
}

static void
entry_refresh(struct members *members, uint32_t i)
{
	struct members_entry old, entry;

	members_entry(members, i, &old);
	entry = old;
	entry_update(members, i, &old, &entry);
}

void
members_entry_restore(struct members *members, uint32_t i, const struct members_entry *from)
{
	struct member *member = &members->nodes[i];
	const struct members_realm *realm = &members->realms[member->realm_index];
	struct members_entry old, entry;

	members_entry(members, i, &old);
	entry = *from;
	memcpy(entry.name, old.name, sizeof(entry.name));
	entry.since_us = old.since_us;
	member->flags = MEMBER_RESTORED;
	member->heard_ds =
		clock_ds(members) + span_ds(realm, from->interval_s, &realm->left_tenths);
	if (from->state == MEMBERS_LEFT)
		member->flags |= MEMBER_GONE;
	entry.state = old.state;
	entry_update(members, i, &old, &entry);
	if (member->state != from->state)
		return;
	/* Nothing happened to it since: it is in that state for as long as it was. */
	members_entry(members, i, &entry);
	entry.since_us = from->since_us;
	members_entry_write(members->header, i, &entry);
}

/* ---- what the registry says ---- */

static uint32_t
slot_of(const struct members *members, unsigned realm_index, uint32_t node)
{
	return members->realms[realm_index].base + node;
}

static bool
has_slot(const struct members *members, unsigned realm_index, uint32_t node)
{
	return node != 0 && node <= members->realms[realm_index].nodes_max;
}

static enum member_standing
standing_of(const struct registry_node *node)
{
	if (!node->is_live)
		return MEMBER_REVOKED;
	return node->is_suspended ? MEMBER_SUSPENDED : MEMBER_LIVE;
}

/* Whoever gets the number or the name next has yet to be heard. */
static void
member_forget(struct members *members, uint32_t i)
{
	struct member *member = &members->nodes[i];
	const struct meter_node *meter = meter_of(members, i);

	member->flags = 0;
	if (meter == NULL)
		return;
	member->beacon_us = atomic_load_explicit(&meter->beacon_us, memory_order_relaxed);
	member->v4_s = atomic_load_explicit(&meter->beacon_v4_s, memory_order_relaxed);
	member->v6_s = atomic_load_explicit(&meter->beacon_v6_s, memory_order_relaxed);
}

static void
node_set(struct members *members, unsigned realm_index, const struct registry_node *node)
{
	uint32_t i = slot_of(members, realm_index, node->node);
	struct members_entry old, entry;
	struct member *member = &members->nodes[i];

	members_entry(members, i, &old);
	entry = old;
	if (member->standing == MEMBER_ABSENT ||
		(member->standing == MEMBER_REVOKED && node->is_live)) {
		member_forget(members, i);
		entry = (struct members_entry){.since_us = old.since_us};
	}
	member->standing = (uint8_t)standing_of(node);
	member->realm_index = (uint8_t)realm_index;
	entry.realm = members->realms[realm_index].id;
	entry.node = node->node;
	/* What a revocation knows of a node is its number alone. */
	if (node->name[0] != '\0') {
		memset(entry.name, 0, sizeof(entry.name));
		snprintf(entry.name, sizeof(entry.name), "%s", node->name);
	}
	entry_update(members, i, &old, &entry);
	members_publish(members->header, members->position);
}

void
members_node_set(struct members *members, unsigned realm_index, const struct registry_node *node)
{
	if (members != NULL && has_slot(members, realm_index, node->node))
		node_set(members, realm_index, node);
}

/* The event names the node that was; the entry is empty then. */
static void
node_clear(struct members *members, unsigned realm_index, uint32_t node)
{
	uint32_t i = slot_of(members, realm_index, node);
	const struct members_entry none = {.state = MEMBERS_NONE};
	struct members_entry old;

	members_entry(members, i, &old);
	member_forget(members, i);
	members->nodes[i].standing = MEMBER_ABSENT;
	members->nodes[i].state = MEMBERS_NONE;
	members->counts[realm_index][old.state]--;
	members->counts[realm_index][MEMBERS_NONE]++;
	members_entry_write(members->header, i, &none);
	members_event_write(members->header, &members->position,
		&(struct members_event){
			.time_us = members->real_us,
			.realm = old.realm,
			.node = old.node,
			.old_state = old.state,
			.state = MEMBERS_NONE,
			.changed = MEMBERS_CHANGED_STATE,
		});
	members_publish(members->header, members->position);
}

void
members_node_clear(struct members *members, unsigned realm_index, uint32_t node)
{
	if (members != NULL && has_slot(members, realm_index, node) &&
		members->nodes[slot_of(members, realm_index, node)].standing != MEMBER_ABSENT)
		node_clear(members, realm_index, node);
}

/* ---- looking ---- */

static void
clock_advance(struct members *members, const struct members_moment *now)
{
	uint64_t step_us = 0;

	if (members->mono_us != 0 && now->mono_us > members->mono_us)
		step_us = now->mono_us - members->mono_us;
	if (members->was_serving && now->is_serving)
		members->clock_us += step_us < CLOCK_STEP_US ? step_us : CLOCK_STEP_US;
	members->was_serving = now->is_serving;
	members->mono_us = now->mono_us;
	members->real_us = now->real_us;
}

static bool
word_changed(const _Atomic uint32_t *word, uint32_t *seen)
{
	uint32_t now = atomic_load_explicit(word, memory_order_relaxed);
	bool has_changed = now != *seen;

	*seen = now;
	return has_changed;
}

/* Was there a beacon since the last look? Another time is one, be it earlier or later. */
static bool
member_hear(struct member *member, const struct meter_node *meter, uint32_t now_ds)
{
	uint64_t beacon_us = atomic_load_explicit(&meter->beacon_us, memory_order_acquire);

	if (beacon_us == member->beacon_us)
		return false;
	member->beacon_us = beacon_us;
	member->heard_ds = now_ds;
	member->flags &= (uint8_t) ~(MEMBER_RESTORED | MEMBER_GONE);
	member->flags |= MEMBER_HEARD;
	return true;
}

static bool
member_hear_origins(struct member *member, const struct meter_node *meter, uint32_t now_ds)
{
	bool has_heard = false;

	if (word_changed(&meter->beacon_v4_s, &member->v4_s)) {
		member->flags |= MEMBER_HEARD_V4;
		member->v4_heard_ds = now_ds;
		has_heard = true;
	}
	if (word_changed(&meter->beacon_v6_s, &member->v6_s)) {
		member->flags |= MEMBER_HEARD_V6;
		member->v6_heard_ds = now_ds;
		has_heard = true;
	}
	return has_heard;
}

/*
 * The dataplane stores the words of a beacon one by one, so what is new now may be followed by the
 * rest of it: the next look takes that too.
 */
static void
member_look(struct members *members, uint32_t i, const struct meter_node *meter)
{
	struct member *member = &members->nodes[i];
	uint32_t now_ds = clock_ds(members);
	bool is_due = (member->flags & MEMBER_AGAIN) != 0;
	bool has_heard = member_hear(member, meter, now_ds);

	member->flags &= (uint8_t)~MEMBER_AGAIN;
	has_heard |= member_hear_origins(member, meter, now_ds);
	if (has_heard)
		member->flags |= MEMBER_AGAIN;
	if (is_due || has_heard || state_of(members, member, meter) != member->state)
		entry_refresh(members, i);
}

static void
meter_prefetch(const struct members *members, uint32_t i)
{
	if (i < members->view.entry_count && members->nodes[i].standing != MEMBER_ABSENT)
		__builtin_prefetch(&meters_node(members->meters, i)->beacon_us);
}

bool
members_look(struct members *members, struct meters_header *meters, uint32_t count,
	const struct members_moment *now)
{
	const uint32_t all = members->view.entry_count;
	uint32_t end;

	members->meters = meters;
	clock_advance(members, now);
	if (count > MEMBERS_LOOK_MAX)
		count = MEMBERS_LOOK_MAX;
	end = count < all - members->next ? members->next + count : all;
	for (uint32_t i = members->next; i < end; i++) {
		meter_prefetch(members, i + LOOK_AHEAD);
		if (members->nodes[i].standing != MEMBER_ABSENT)
			member_look(members, i, meters_node(meters, i));
	}
	members->next = end == all ? 0 : end;
	members_publish(members->header, members->position);
	if (end != all)
		return false;
	atomic_store_explicit(&members->header->passed_us, now->real_us, memory_order_relaxed);
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The key and policy table of dataplane/table.h, control's side: a model of all nodes and policies
 * in private memory, and the two halves in shared memory. A change marks what it touches; publish
 * brings the half that is not in force up to date and puts it in force; settle then does the same
 * to the half that went out of force, so that a revoked key is gone from both.
 *
 * A half is written only while no worker may be reading it: every worker is offline (seen = 0) or
 * has seen the generation that took the half out of force. Keys exist in the halves only; they are
 * derived when a slot is written. All functions: control's one thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/reason.h"
#include "ctrl/registry.h"
#include "dataplane/table.h"

/*
 * Places for further epochs: one for each slot, so that all nodes may have two keys at a time, and
 * no more than this in the largest table. A place takes 512 bytes of keys and its buckets 6 * 64 to
 * 12 * 64 in each half and in the model: about 2 KB.
 */
#define KEYTABLE_EXTRAS_MIN 64u
#define KEYTABLE_EXTRAS_MAX 131072u
/* Buckets per extra: at a load of 1/6 per bucket of 4 about every second seed has no overflow. */
#define KEYTABLE_BUCKETS_PER_EXTRA 6u

struct keytable_shape {
	uint32_t slot_count;
	uint32_t extra_count;
	uint32_t bucket_count;
	uint32_t prefix_count;
};

/* The parts that go with `slot_count` slots, and the bytes of a mapping for them. */
struct keytable_shape keytable_shape_for(uint32_t slot_count);
uint64_t keytable_size(const struct keytable_shape *shape);

struct keytable;

/*
 * Formats a zeroed mapping of `size` bytes, at least keytable_size(). `stats` are the workers'
 * pages, read for `seen`; both MUST outlive the table. NULL without memory.
 */
struct keytable *keytable_create(void *mapping, uint64_t size, const struct keytable_shape *shape,
	const uint8_t shard_key[16], struct stats_header *stats, unsigned worker_count);

/* Wipes the keys in both halves and frees the model. */
void keytable_destroy(struct keytable *table);

/*
 * Names realm `index`: nodes 1 ... nodes_max have slots base + node. `key` is K_realm and MUST
 * outlive the table; it is read when slots are written.
 */
void keytable_realm_set(struct keytable *table, unsigned index, uint32_t id, uint32_t base,
	uint32_t nodes_max, const uint8_t *key);

/*
 * Names a further K_realm of a realm, of another master, in place `place` below SECRETS_MASTERS_MAX;
 * keytable_realm_set names that in place 0. MUST outlive all epochs of that place. NULL: none.
 */
void keytable_master_set(
	struct keytable *table, unsigned realm_index, unsigned place, const uint8_t *key);

/* Copies a policy; its realm_hash and bucket_seed are filled in here. */
void keytable_policy_set(struct keytable *table, const struct table_policy *policy);

struct table_rules;

/*
 * Copies compiled rules (dataplane/table_rules.h). They and the classes of nodes, which are indices
 * into them, come in force together with the next publish.
 */
void keytable_rules_set(struct keytable *table, const struct table_rules *rules);

/*
 * Gives a node its class in the rules; one above nodes_max has none. Keys stay as they are. A node
 * that is put again keeps its class.
 */
void keytable_class_set(
	struct keytable *table, unsigned realm_index, uint32_t node, uint16_t class);

/*
 * Puts a node as the registry has it: live with its epochs (the newest in the main slot), or
 * revoked. 0, or -ENOSPC with the cure if there is no room for its further epochs or prefixes; then
 * nothing changed.
 */
int keytable_node_set(struct keytable *table, unsigned realm_index,
	const struct registry_node *node, struct reason *reason);

/* Would keytable_node_set do it? 0, or what it would answer; nothing changes. */
int keytable_node_fits(const struct keytable *table, unsigned realm_index,
	const struct registry_node *node, struct reason *reason);

/*
 * Cuts off the oldest epochs and the last prefixes for which there is no room; the newest epoch and
 * the first prefix have theirs in the node's slot. True if something was cut off.
 */
bool keytable_node_trim(
	const struct keytable *table, unsigned realm_index, struct registry_node *node);

/*
 * Gives a live node these epochs, newest first, and leaves all else as it is; of `node` only id and
 * epochs are looked at. Returns 1 if that changed something, 0 if the node has them already or is
 * not live, -ENOSPC as keytable_node_set.
 */
int keytable_epochs_set(struct keytable *table, unsigned realm_index,
	const struct registry_node *node, struct reason *reason);

/* A live node's epochs, newest first, without the names of their masters; returns how many. */
unsigned keytable_epochs_get(const struct keytable *table, unsigned realm_index, uint32_t node,
	struct registry_epoch epochs[TABLE_EPOCHS_MAX]);

/* How many places for further epochs are free. */
uint32_t keytable_extras_free(const struct keytable *table);

/* Takes out further epochs that ended before before_s[realm index]. Returns how many. */
unsigned keytable_extras_expire(struct keytable *table, const uint32_t before_s[TABLE_REALMS_MAX]);

/* Takes a node out, if the table can have it at all: its slot is free, its keys go with the next publish. */
void keytable_node_clear(struct keytable *table, unsigned realm_index, uint32_t node);

/* The hand-off shard of a node. */
uint16_t keytable_shard(const struct keytable *table, uint32_t realm, uint32_t node);

/* Is there anything that the table in force does not have? */
bool keytable_is_dirty(const struct keytable *table);

/*
 * Puts the model in force. Returns 0, or -EAGAIN if a worker may still be reading the half that
 * would be written: nothing was touched, try again soon.
 */
int keytable_publish(struct keytable *table);

/*
 * Brings the half that is out of force up to date, so that no old key stays in memory. -EAGAIN if a
 * worker may still be reading it. After it every worker uses the newest generation or is offline.
 */
int keytable_settle(struct keytable *table);

uint64_t keytable_generation(const struct keytable *table);

/* How many workers run (seen is not 0), and how many of them use generation `least` or newer. */
struct keytable_uptake {
	unsigned running;
	unsigned current;
};
struct keytable_uptake keytable_uptake(const struct keytable *table, uint64_t least);

struct keytable_counts {
	uint32_t live;
	uint32_t revoked;
	uint32_t extras;
	uint32_t prefixes; /* beyond each node's first */
};
struct keytable_counts keytable_counts(const struct keytable *table, unsigned realm_index);
struct keytable_counts keytable_counts_all(const struct keytable *table);

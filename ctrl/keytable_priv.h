/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The model behind keytable.c: what each slot, extra epoch, bucket and prefix is to hold, and which
 * of them each half still lacks. keytable_model.c keeps it, keytable.c writes the halves from it.
 */

#include "ctrl/keytable.h"

/* A set of indices, walked by words. */
struct keytable_set {
	uint64_t *words;
	uint32_t word_count;
};

struct keytable_epoch {
	uint16_t epoch;
	uint8_t suite;
	uint8_t is_used; /* extras: taken */
	uint32_t not_before_s;
	uint32_t not_after_s;
	uint32_t opened_s;
	uint8_t master; /* its place among the realm's keys */
	uint8_t reserved[3];
};

struct keytable_node {
	struct keytable_epoch epoch; /* the newest */
	uint8_t state;               /* enum key_slot_state */
	uint8_t realm_index;
	uint8_t origin_bits;
	uint8_t more_count; /* prefixes from origin_more on */
	uint16_t origin_more;
	uint16_t policy; /* class in the rules */
	uint8_t origin_prefix[16];
	uint32_t extra; /* first further epoch, index + 1; 0: none */
};

struct keytable_extra {
	struct keytable_epoch epoch;
	uint32_t slot; /* of its node */
	uint32_t next; /* index + 1 */
};

struct keytable_realm {
	uint32_t id;
	uint32_t base;
	uint32_t nodes_max;
	const uint8_t *keys[SECRETS_MASTERS_MAX];
	struct keytable_counts counts;
};

enum keytable_part {
	KEYTABLE_SLOTS,
	KEYTABLE_EXTRAS,
	KEYTABLE_BUCKETS,
	KEYTABLE_CLASSES, /* slots of which only the class is another */
	KEYTABLE_PARTS
};

/* What one half lacks. */
struct keytable_lack {
	struct keytable_set sets[KEYTABLE_PARTS];
	bool policy;
	bool prefixes;
	bool rules;
	bool anything;
};

struct keytable {
	struct table_header *header;
	struct stats_header *stats;
	unsigned worker_count;
	struct keytable_shape shape;
	struct keytable_realm realms[TABLE_REALMS_MAX];
	struct keytable_node *nodes;   /* slot_count */
	struct keytable_extra *extras; /* extra_count */
	uint32_t *free_extras;         /* a stack of indices */
	uint32_t free_extra_count;
	struct table_bucket *buckets;
	uint32_t bucket_seed;
	struct table_prefix *prefixes;
	uint8_t *prefix_used; /* by index */
	uint32_t prefix_hint; /* where the search for free ones begins */
	struct table_policy policy;
	struct table_rules *rules;
	struct keytable_lack lacks[2];
};

/* ---- keytable_model.c ---- */

/* Memory of the model; false without. */
bool keytable_model_init(struct keytable *table);
void keytable_model_fini(struct keytable *table);

/* Marks index `i` of a part (or the policy, or the rules) as lacking in both halves. */
void keytable_mark(struct keytable *table, enum keytable_part part, uint32_t i);
void keytable_mark_policy(struct keytable *table);
void keytable_mark_rules(struct keytable *table);

/* Takes and gives back sets of indices: the next of a set from `i` on, or UINT32_MAX. */
uint32_t keytable_set_next(const struct keytable_set *set, uint32_t i);
bool keytable_set_has(const struct keytable_set *set, uint32_t i);
void keytable_set_clear(struct keytable_set *set);

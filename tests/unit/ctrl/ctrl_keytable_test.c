/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The key table against direct derivation, through random changes, with two fake workers that take
 * up generations in any order: what a worker may be reading is never written.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <sodium.h>
#include <sys/mman.h>

#include "crypto/kdf.h"
#include "ctrl/keytable.h"

#define WORKERS    2u
#define NODES_MAX  40u
#define REALMS     2u
#define STEPS      4000u
#define EPOCHS_MAX 6u

/* What the table should hold, kept the simple way. */
struct expected {
	bool is_there;
	uint16_t class;
	struct registry_node node;
};

struct rig {
	struct table_header *header;
	uint64_t size;
	struct stats_header *stats;
	struct keytable *table;
	struct expected nodes[REALMS][NODES_MAX + 1];
	uint8_t keys[REALMS][KDF_KEY_SIZE];
	uint32_t bases[REALMS];
	uint32_t ids[REALMS];
	uint32_t rules_number; /* of the last ones given; 0: none */
};

static struct rig rig;
static uint64_t random_state;

static uint32_t
pick(uint32_t below)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 33) % below;
}

static struct table_policy *
policy_of(const struct rig *r, uint64_t generation)
{
	return (struct table_policy *)((uint8_t *)r->header +
				       r->header->halves[generation & 1].policy);
}

static void
policy_give(struct rig *r, uint32_t ttl)
{
	struct table_policy *policy = calloc(1, sizeof(*policy));

	assert_non_null(policy);
	policy->realm_count = REALMS;
	for (unsigned i = 0; i < REALMS; i++) {
		policy->realms[i].id = r->ids[i];
		policy->realms[i].base = r->bases[i];
		policy->realms[i].nodes_max = NODES_MAX;
		policy->realms[i].ttl_max_s = ttl;
	}
	keytable_policy_set(r->table, policy);
	free(policy);
}

static void
rig_make(struct rig *r, uint32_t slot_count)
{
	struct keytable_shape shape = keytable_shape_for(slot_count);
	uint8_t shard_key[16] = {1, 2, 3};

	memset(r, 0, sizeof(*r));
	r->size = keytable_size(&shape);
	r->header = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(r->header != MAP_FAILED);
	r->stats = aligned_alloc(64, (stats_size(WORKERS) + 63) / 64 * 64);
	assert_non_null(r->stats);
	memset(r->stats, 0, stats_size(WORKERS));
	r->table = keytable_create(r->header, r->size, &shape, shard_key, r->stats, WORKERS);
	assert_non_null(r->table);
	for (unsigned i = 0; i < REALMS; i++) {
		r->ids[i] = 7 + 1000 * i;
		r->bases[i] = i * (NODES_MAX + 1);
		memset(r->keys[i], (int)(0x50 + i), KDF_KEY_SIZE);
		keytable_realm_set(r->table, i, r->ids[i], r->bases[i], NODES_MAX, r->keys[i]);
	}
	policy_give(r, 300);
}

static void
rig_drop(struct rig *r)
{
	keytable_destroy(r->table);
	munmap(r->header, r->size);
	free(r->stats);
}

static void
seen_set(struct rig *r, unsigned worker, uint64_t generation)
{
	atomic_store(&stats_worker(r->stats, worker)->seen, generation);
}

static struct registry_node
node_make(const struct rig *r, unsigned realm, uint32_t node)
{
	struct registry_node made = {.realm = r->ids[realm], .node = node, .is_live = true};

	made.epoch_count = 1 + pick(3) * pick(3);
	made.highest = (uint16_t)(EPOCHS_MAX + pick(1000));
	for (unsigned i = 0; i < made.epoch_count; i++)
		made.epochs[i] = (struct registry_epoch){
			.epoch = (uint16_t)(made.highest - i),
			.suite = (uint8_t)(1 + pick(4)),
			.not_before_s = pick(100),
			.not_after_s = UINT32_MAX - pick(100),
		};
	made.prefix_count = pick(2) * pick(6);
	for (unsigned i = 0; i < made.prefix_count; i++) {
		made.prefixes[i].address[0] = (uint8_t)pick(256);
		made.prefixes[i].bits = (uint8_t)pick(129);
	}
	return made;
}

/* ---- what a worker would find ---- */

static const struct key_slot *
slots_of(const struct rig *r, uint64_t generation, bool is_reply, bool is_extra)
{
	const struct table_half *half = &r->header->halves[generation & 1];
	uint64_t offset = is_extra ? (is_reply ? half->extra_replies : half->extras)
				   : (is_reply ? half->replies : half->slots);

	return (const struct key_slot *)((const uint8_t *)r->header + offset);
}

/* Index of a further epoch, by its bucket; -1: none. */
static int64_t
extra_find(const struct rig *r, uint64_t generation, uint32_t realm, uint32_t node, uint16_t epoch)
{
	const struct table_bucket *buckets =
		(const struct table_bucket *)((const uint8_t *)r->header +
					      r->header->halves[generation & 1].buckets);
	uint32_t at = table_bucket_index(realm, node, epoch, policy_of(r, generation)->bucket_seed,
		r->header->bucket_count - 1);

	for (unsigned way = 0; way < TABLE_BUCKET_WAYS; way++) {
		const struct table_bucket_entry *entry = &buckets[at].entries[way];

		if (entry->realm == realm && entry->node == node && entry->epoch == epoch)
			return entry->index;
	}
	return -1;
}

static void
prefixes_check(const struct rig *r, uint64_t generation, const struct key_slot *slot,
	const struct registry_node *node)
{
	const struct table_prefix *prefixes =
		(const struct table_prefix *)((const uint8_t *)r->header +
					      r->header->halves[generation & 1].prefixes);

	if (node->prefix_count == 0) {
		assert_int_equal(slot->origin_bits, KEY_SLOT_ORIGIN_NONE);
		return;
	}
	assert_int_equal(slot->origin_bits, node->prefixes[0].bits);
	assert_memory_equal(slot->origin_prefix, node->prefixes[0].address, 16);
	if (node->prefix_count == 1)
		assert_int_equal(slot->origin_more, 0);
	for (unsigned i = 1; i < node->prefix_count; i++) {
		const struct table_prefix *prefix = &prefixes[slot->origin_more + i - 1];

		assert_int_equal(prefix->bits, node->prefixes[i].bits);
		assert_memory_equal(prefix->prefix, node->prefixes[i].address, 16);
		assert_int_equal(prefix->has_more, i + 1 < node->prefix_count);
	}
}

/* Both slots of an epoch, derived here directly. */
static void
slot_check(const struct rig *r, uint64_t generation, unsigned realm,
	const struct registry_node *node, unsigned epoch_index)
{
	const struct registry_epoch *epoch = &node->epochs[epoch_index];
	struct key_slot request = {0}, reply = {0};
	const struct key_slot *got, *got_reply;
	uint8_t node_key[KDF_KEY_SIZE];
	int64_t index = r->bases[realm] + node->node;

	if (epoch_index > 0)
		index = extra_find(r, generation, r->ids[realm], node->node, epoch->epoch);
	assert_true(index >= 0);
	got = slots_of(r, generation, false, epoch_index > 0) + index;
	got_reply = slots_of(r, generation, true, epoch_index > 0) + index;
	kdf_node(node_key, r->keys[realm], node->node, epoch->epoch);
	kdf_slot_request(&request, node_key, epoch->suite);
	kdf_slot_reply(&reply, node_key, epoch->suite);
	assert_int_equal(got->realm, r->ids[realm]);
	assert_int_equal(got->node, node->node);
	assert_int_equal(got->epoch, epoch->epoch);
	assert_int_equal(got->state, KEY_SLOT_LIVE);
	assert_int_equal(got->suite, epoch->suite);
	assert_int_equal(got->not_before_s, epoch->not_before_s);
	assert_int_equal(got->not_after_s, epoch->not_after_s);
	assert_int_equal(got->shard, keytable_shard(r->table, r->ids[realm], node->node));
	assert_int_equal(got->policy, got_reply->policy);
	if (node->node <= NODES_MAX)
		assert_int_equal(got->policy, r->nodes[realm][node->node].class);
	assert_memory_equal(got->tag_key, request.tag_key, 32);
	assert_memory_equal(got->seal_key, request.seal_key, 32);
	assert_memory_equal(got->k1, request.k1, 16);
	assert_memory_equal(got_reply->tag_key, reply.tag_key, 32);
	assert_memory_equal(got_reply->seal_key, reply.seal_key, 32);
	assert_memory_equal(got_reply->k1, reply.k1, 16);
	prefixes_check(r, generation, got, node);
}

static void
node_check(const struct rig *r, uint64_t generation, unsigned realm, uint32_t node)
{
	const struct expected *expected = &r->nodes[realm][node];
	const struct key_slot *slot =
		slots_of(r, generation, false, false) + r->bases[realm] + node;
	const struct key_slot *reply =
		slots_of(r, generation, true, false) + r->bases[realm] + node;

	if (expected->is_there && expected->node.is_live) {
		for (unsigned i = 0; i < expected->node.epoch_count; i++)
			slot_check(r, generation, realm, &expected->node, i);
		return;
	}
	/* Free or revoked: not a byte of a key is left. */
	assert_int_equal(slot->state, expected->is_there ? KEY_SLOT_REVOKED : KEY_SLOT_FREE);
	assert_true(sodium_is_zero(slot->tag_key, 64));
	assert_true(sodium_is_zero(slot->k1, 16));
	assert_true(sodium_is_zero(reply->tag_key, 64));
	assert_true(sodium_is_zero(reply->k1, 16));
}

/* All nodes, and no further epoch that should not be there. */
static void
half_check(const struct rig *r, uint64_t generation)
{
	const struct key_slot *replies = slots_of(r, generation, true, true);
	unsigned extras = 0, found = 0;

	for (unsigned realm = 0; realm < REALMS; realm++) {
		for (uint32_t node = 1; node <= NODES_MAX; node++) {
			const struct expected *expected = &r->nodes[realm][node];

			node_check(r, generation, realm, node);
			if (expected->is_there && expected->node.is_live)
				extras += expected->node.epoch_count - 1;
		}
	}
	for (uint32_t i = 0; i < r->header->extra_count; i++) {
		const struct key_slot *slot = slots_of(r, generation, false, true) + i;

		found += slot->state == KEY_SLOT_LIVE;
		assert_int_equal(slot->policy, replies[i].policy);
		if (slot->state != KEY_SLOT_LIVE)
			assert_true(sodium_is_zero((const uint8_t *)slot, sizeof(*slot)));
	}
	assert_int_equal(found, extras);
}

/* ---- changes ---- */

static void
change(struct rig *r)
{
	unsigned realm = pick(REALMS);
	uint32_t node = 1 + pick(NODES_MAX);
	struct expected *expected = &r->nodes[realm][node];
	struct registry_node made = node_make(r, realm, node);
	struct reason reason;
	unsigned kind = pick(6);

	if (kind == 0) {
		keytable_node_clear(r->table, realm, node);
		expected->is_there = false;
		expected->class = 0;
		return;
	}
	if (kind >= 4) {
		expected->class = (uint16_t)pick(TABLE_CLASSES_MAX);
		keytable_class_set(r->table, realm, node, expected->class);
		return;
	}
	if (kind == 1) {
		made.is_live = false;
		made.epoch_count = 0;
	}
	assert_int_equal(keytable_node_set(r->table, realm, &made, &reason), 0);
	expected->is_there = true;
	expected->node = made;
}

static void
test_first_publish(void **state)
{
	(void)state;
	rig_make(&rig, REALMS * (NODES_MAX + 1));
	assert_int_equal(keytable_generation(rig.table), 0);
	assert_true(keytable_is_dirty(rig.table));
	for (unsigned i = 0; i < 60; i++)
		change(&rig);
	assert_int_equal(keytable_publish(rig.table), 0);
	assert_int_equal(keytable_generation(rig.table), 1);
	assert_false(keytable_is_dirty(rig.table));
	half_check(&rig, 1);
	assert_int_equal(keytable_settle(rig.table), 0);
	half_check(&rig, 0);
	assert_int_equal(policy_of(&rig, 1)->realms[1].id, rig.ids[1]);
	assert_int_equal(policy_of(&rig, 0)->realms[1].id, rig.ids[1]);
	rig_drop(&rig);
}

/* The realm hash finds every realm by dataplane/table.h's rule. */
static void
test_realm_hash(void **state)
{
	struct table_policy *policy = calloc(1, sizeof(*policy));

	(void)state;
	assert_non_null(policy);
	rig_make(&rig, REALMS * (NODES_MAX + 1));
	policy->realm_count = TABLE_REALMS_MAX;
	for (unsigned i = 0; i < TABLE_REALMS_MAX; i++)
		policy->realms[i].id = i * 128 + 5;
	keytable_policy_set(rig.table, policy);
	assert_int_equal(keytable_publish(rig.table), 0);
	for (unsigned i = 0; i < TABLE_REALMS_MAX; i++) {
		const struct table_realm_hash_entry *hash = policy_of(&rig, 1)->realm_hash;
		uint32_t at = table_realm_start(i * 128 + 5);

		while (hash[at].id != i * 128 + 5) {
			assert_int_not_equal(hash[at].id, 0);
			at = (at + 1) % TABLE_REALM_HASH;
		}
		assert_int_equal(hash[at].index, i);
	}
	free(policy);
	rig_drop(&rig);
}

/* A worker holds generation 1: half 1 must not change by a byte until it lets go. */
static void
test_held_half_is_not_touched(void **state)
{
	uint64_t half_size, offset;
	uint8_t *before;

	(void)state;
	rig_make(&rig, REALMS * (NODES_MAX + 1));
	change(&rig);
	assert_int_equal(keytable_publish(rig.table), 0);
	assert_int_equal(keytable_settle(rig.table), 0);
	seen_set(&rig, 0, 1);
	seen_set(&rig, 1, 1);
	offset = rig.header->halves[1].policy;
	half_size = rig.size - offset;
	before = malloc(half_size);
	assert_non_null(before);
	memcpy(before, (uint8_t *)rig.header + offset, half_size);

	change(&rig);
	assert_int_equal(keytable_publish(rig.table), 0); /* into half 0, which nobody holds */
	assert_int_equal(keytable_generation(rig.table), 2);
	for (unsigned i = 0; i < 50; i++) {
		change(&rig);
		assert_int_equal(keytable_publish(rig.table), -EAGAIN);
		assert_int_equal(keytable_settle(rig.table), -EAGAIN);
	}
	seen_set(&rig, 0, 2); /* one of two is not enough */
	assert_int_equal(keytable_publish(rig.table), -EAGAIN);
	assert_memory_equal(before, (uint8_t *)rig.header + offset, half_size);
	seen_set(&rig, 1, 0); /* asleep holds nothing */
	assert_int_equal(keytable_publish(rig.table), 0);
	assert_int_equal(keytable_generation(rig.table), 3);
	half_check(&rig, 3);
	free(before);
	rig_drop(&rig);
}

/* One fake worker: polls, sleeps, wakes; while it polls, its half must stay as it found it. */
struct fake {
	uint64_t seen;
	uint32_t sum;
};

/* Of the rules, the head and the first classes: the rest of their 2 MB tells no more. */
#define RULES_SUMMED 1024u

/* Enough to notice any write: keys, states and policy all go in. */
static uint32_t
half_sum(const struct rig *r, uint64_t generation)
{
	const uint32_t *words = (const uint32_t *)((const uint8_t *)r->header +
						   r->header->halves[generation & 1].policy);
	const struct table_half *half = &r->header->halves[generation & 1];
	uint64_t size = half->rules + RULES_SUMMED - half->policy;
	uint32_t sum = 1;

	for (uint64_t i = 0; i < size / 4; i++)
		sum = (sum ^ words[i]) * 0x01000193u;
	return sum;
}

static void
fake_step(struct rig *r, unsigned worker, struct fake *fake)
{
	uint64_t now = keytable_generation(r->table);

	if (fake->seen != 0)
		assert_int_equal(half_sum(r, fake->seen), fake->sum);
	switch (pick(12)) {
	case 0: /* falls asleep */
		fake->seen = 0;
		break;
	case 1: /* next burst */
	case 2:
		fake->seen = now;
		fake->sum = half_sum(r, now);
		break;
	default: /* the burst goes on */
		return;
	}
	seen_set(r, worker, fake->seen);
}

/* Rules that tell their number in every part that is used, and in no other. */
static void
rules_give(struct rig *r, uint32_t number)
{
	struct table_rules *rules = aligned_alloc(64, sizeof(*rules));

	assert_non_null(rules);
	memset(rules, 0xee, sizeof(*rules));
	rules->class_count = number % 5;
	rules->cell_count = number % 7;
	rules->program_count = number % 11;
	rules->group_count = number % 3;
	rules->prefix_count = number % 13;
	for (uint32_t i = 0; i < rules->class_count; i++)
		rules->classes[i].cells = number;
	for (uint32_t i = 0; i < rules->cell_count; i++)
		rules->cells[i] = (uint16_t)number;
	for (uint32_t i = 0; i < rules->program_count; i++)
		rules->programs[i].group = number;
	for (uint32_t i = 0; i < rules->group_count; i++)
		rules->groups[i].uid_min[0] = number;
	for (uint32_t i = 0; i < rules->prefix_count; i++)
		rules->prefixes[i].lane = number;
	keytable_rules_set(r->table, rules);
	free(rules);
	r->rules_number = number;
}

static void
rules_check(const struct rig *r, uint64_t generation)
{
	const struct table_rules *rules =
		(const struct table_rules *)((const uint8_t *)r->header +
					     r->header->halves[generation & 1].rules);
	uint32_t number = r->rules_number;

	assert_int_equal(rules->class_count, number % 5);
	assert_int_equal(rules->cell_count, number % 7);
	assert_int_equal(rules->program_count, number % 11);
	assert_int_equal(rules->group_count, number % 3);
	assert_int_equal(rules->prefix_count, number % 13);
	for (uint32_t i = 0; i < rules->class_count; i++)
		assert_int_equal(rules->classes[i].cells, number);
	for (uint32_t i = 0; i < rules->cell_count; i++)
		assert_int_equal(rules->cells[i], (uint16_t)number);
	for (uint32_t i = 0; i < rules->program_count; i++)
		assert_int_equal(rules->programs[i].group, number);
	for (uint32_t i = 0; i < rules->group_count; i++)
		assert_int_equal(rules->groups[i].uid_min[0], number);
	for (uint32_t i = 0; i < rules->prefix_count; i++)
		assert_int_equal(rules->prefixes[i].lane, number);
}

static void
test_random_changes_with_workers(void **state)
{
	struct fake fakes[WORKERS] = {0};
	unsigned published = 0, held = 0;

	(void)state;
	rig_make(&rig, REALMS * (NODES_MAX + 1));
	assert_int_equal(keytable_publish(rig.table), 0);
	for (unsigned step = 0; step < STEPS; step++) {
		fake_step(&rig, 0, &fakes[0]);
		fake_step(&rig, 1, &fakes[1]);
		if (pick(3) == 0)
			change(&rig);
		if (pick(50) == 0)
			policy_give(&rig, step);
		if (pick(50) == 0)
			rules_give(&rig, step);
		if (pick(4) == 0)
			keytable_settle(rig.table);
		if (pick(4) != 0 || !keytable_is_dirty(rig.table))
			continue;
		if (keytable_publish(rig.table) != 0) {
			held++;
			continue;
		}
		published++;
		half_check(&rig, keytable_generation(rig.table));
		rules_check(&rig, keytable_generation(rig.table));
	}
	print_message("published %u, held back %u\n", published, held);
	assert_true(published > 100);
	assert_true(held > 50);
	seen_set(&rig, 0, 0);
	seen_set(&rig, 1, 0);
	if (keytable_is_dirty(rig.table))
		assert_int_equal(keytable_publish(rig.table), 0);
	assert_int_equal(keytable_settle(rig.table), 0);
	half_check(&rig, 0);
	half_check(&rig, 1);
	rig_drop(&rig);
}

/* A revoked key leaves both halves, not only the one in force. */
static void
test_revoked_key_leaves_memory(void **state)
{
	struct registry_node node = {.node = 3, .is_live = true, .epoch_count = 2, .highest = 2};
	struct key_slot slot = {0};
	uint8_t node_key[KDF_KEY_SIZE];
	struct reason reason;

	(void)state;
	rig_make(&rig, REALMS * (NODES_MAX + 1));
	node.epochs[0] = (struct registry_epoch){.epoch = 2, .suite = 4, .not_after_s = UINT32_MAX};
	node.epochs[1] = (struct registry_epoch){.epoch = 1, .suite = 3, .not_after_s = UINT32_MAX};
	assert_int_equal(keytable_node_set(rig.table, 0, &node, &reason), 0);
	assert_int_equal(keytable_publish(rig.table), 0);
	assert_int_equal(keytable_settle(rig.table), 0);
	seen_set(&rig, 0, 1);
	node.is_live = false;
	assert_int_equal(keytable_node_set(rig.table, 0, &node, &reason), 0);
	assert_int_equal(keytable_publish(rig.table), 0);
	for (unsigned i = 0; i < 2; i++) {
		kdf_node(node_key, rig.keys[0], 3, (uint16_t)(2 - i));
		kdf_slot_request(&slot, node_key, node.epochs[i].suite);
		assert_non_null(memmem(rig.header, rig.size, slot.tag_key, 16));
	}
	seen_set(&rig, 0, 2);
	assert_int_equal(keytable_settle(rig.table), 0);
	for (unsigned i = 0; i < 2; i++) {
		kdf_node(node_key, rig.keys[0], 3, (uint16_t)(2 - i));
		kdf_slot_request(&slot, node_key, node.epochs[i].suite);
		assert_null(memmem(rig.header, rig.size, slot.tag_key, 16));
		kdf_slot_reply(&slot, node_key, node.epochs[i].suite);
		assert_null(memmem(rig.header, rig.size, slot.tag_key, 16));
	}
	rig_drop(&rig);
}

/*
 * A rotation under a new master, and back: the old key goes among the further epochs and returns
 * without being derived again, for which its master would be missing.
 */
static void
test_rotation_moves_keys(void **state)
{
	struct registry_node node = {.node = 3, .is_live = true, .epoch_count = 1, .highest = 2};
	struct registry_node both;
	uint8_t second[KDF_KEY_SIZE] = {0x77}, first[KDF_KEY_SIZE];
	struct reason reason;

	(void)state;
	rig_make(&rig, REALMS * (NODES_MAX + 1));
	memcpy(first, rig.keys[0], sizeof(first));
	node.epochs[0] = (struct registry_epoch){.epoch = 1, .suite = 3};
	both = node;
	both.epochs[1] = node.epochs[0];
	both.epochs[0] = (struct registry_epoch){.epoch = 2, .suite = 3, .master_place = 1};
	both.epoch_count = 2;
	assert_int_equal(keytable_node_set(rig.table, 0, &node, &reason), 0);
	assert_int_equal(keytable_publish(rig.table), 0);
	assert_int_equal(keytable_settle(rig.table), 0);
	keytable_master_set(rig.table, 0, 0, NULL);
	keytable_master_set(rig.table, 0, 1, second);
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(keytable_node_set(rig.table, 0, &both, &reason), 0);
		assert_int_equal(keytable_publish(rig.table), 0);
		slot_check(&rig, keytable_generation(rig.table), 0, &both, 1);
		memcpy(rig.keys[0], second, sizeof(second));
		slot_check(&rig, keytable_generation(rig.table), 0, &both, 0);
		memcpy(rig.keys[0], first, sizeof(first));
		if (round != 1) /* from a half that settled, and from one that did not */
			assert_int_equal(keytable_settle(rig.table), 0);
		assert_int_equal(keytable_node_set(rig.table, 0, &node, &reason), 0);
		assert_int_equal(keytable_publish(rig.table), 0);
		slot_check(&rig, keytable_generation(rig.table), 0, &node, 0);
	}
	rig_drop(&rig);
}

/* Tables have written bounds: when they are full the node stays as it was. */
static void
test_full(void **state)
{
	struct registry_node node = {.is_live = true, .epoch_count = 8, .highest = 8};
	struct keytable_counts counts;
	struct reason reason;
	uint32_t i;
	int error = 0;

	(void)state;
	rig_make(&rig, REALMS * (NODES_MAX + 1));
	for (i = 0; i < 8; i++)
		node.epochs[i] = (struct registry_epoch){.epoch = (uint16_t)(8 - i), .suite = 3};
	for (i = 1; i <= NODES_MAX && error == 0; i++) {
		node.node = i;
		error = keytable_node_set(rig.table, 0, &node, &reason);
	}
	assert_int_equal(error, -ENOSPC);
	assert_non_null(strstr(reason.text, "places for further epochs are taken"));
	counts = keytable_counts(rig.table, 0);
	assert_int_equal(counts.live, i - 2);
	assert_int_equal(counts.extras, 7 * (i - 2));
	/* Giving one back makes room for one. */
	keytable_node_clear(rig.table, 0, 1);
	assert_int_equal(keytable_node_set(rig.table, 0, &node, &reason), 0);
	node.node = NODES_MAX + 1;
	assert_int_equal(keytable_node_set(rig.table, 0, &node, &reason), -ERANGE);
	rig_drop(&rig);
}

/* Further epochs of a whole realm: a seed without overflow is found, and all are there. */
static void
test_many_extras(void **state)
{
	uint32_t slot_count = KEYTABLE_EXTRAS_MAX + 1;
	struct registry_node node = {.is_live = true, .epoch_count = 2, .highest = 9};
	struct reason reason;

	(void)state;
	rig_make(&rig, slot_count);
	keytable_realm_set(rig.table, 0, rig.ids[0], 0, slot_count - 1, rig.keys[0]);
	node.epochs[0] = (struct registry_epoch){.epoch = 9, .suite = 3};
	node.epochs[1] = (struct registry_epoch){.epoch = 8, .suite = 3};
	for (node.node = 1; node.node <= KEYTABLE_EXTRAS_MAX; node.node++)
		assert_int_equal(keytable_node_set(rig.table, 0, &node, &reason), 0);
	assert_int_equal(keytable_counts(rig.table, 0).extras, KEYTABLE_EXTRAS_MAX);
	assert_int_equal(keytable_publish(rig.table), 0);
	for (node.node = 1; node.node <= KEYTABLE_EXTRAS_MAX; node.node += 97)
		slot_check(&rig, 1, 0, &node, 1);
	rig_drop(&rig);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_publish),
		cmocka_unit_test(test_realm_hash),
		cmocka_unit_test(test_held_half_is_not_touched),
		cmocka_unit_test(test_random_changes_with_workers),
		cmocka_unit_test(test_revoked_key_leaves_memory),
		cmocka_unit_test(test_rotation_moves_keys),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_many_extras),
	};

	if (sodium_init() < 0)
		return 1;
	random_state = argc > 1 ? strtoull(argv[1], NULL, 0) : 20260101;
	print_message("seed %llu\n", (unsigned long long)random_state);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

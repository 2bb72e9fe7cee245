/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One tag kernel, named by the argument, proves nothing that is not genuine: one changed bit of a
 * message, its tag or its key refuses exactly that input, and the identity of what is refused is
 * zero. Unknown suites prove nothing.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/crypto/fixture.h"
#include "tests/unit/crypto/oracle.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct tag_kernel *kernel;
static struct tag_engine *engine;

/* Whole blocks and not; eight, sixteen and some lanes, and one that is left over. */
static const uint16_t sizes[] = {80, 96, 203};
static const unsigned counts[] = {1, 8, 16, 17};

static bool
is_zero(const struct tag_identity *id)
{
	static const struct tag_identity zero;

	return memcmp(id, &zero, sizeof(zero)) == 0;
}

/* All are proved but `victim`, of which nothing is told. */
static void
refused_alone(const struct batch *batch, unsigned count, unsigned victim)
{
	struct tag_identity ids[TAG_BATCH_MAX];
	uint64_t proved;
	unsigned i;

	memset(ids, 0xa5, sizeof(ids));
	proved = tag_batch_verify(engine, batch->slot_list, batch->msgs, batch->sizes, ids, count);
	assert_int_equal(proved, fixture_all(count) & ~((uint64_t)1 << victim));
	for (i = 0; i < count; i++) {
		if (i == victim)
			assert_true(is_zero(&ids[i]));
		else
			assert_memory_equal(
				&ids[i], batch->clear[i] + CRED_SEALED_FIRST, sizeof(ids[i]));
	}
}

/* Every bit of `size` bytes, one at a time. */
static void
bits_refused(
	const struct batch *batch, unsigned count, unsigned victim, uint8_t *bytes, unsigned size)
{
	unsigned bit;

	for (bit = 0; bit < 8 * size; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		refused_alone(batch, count, victim);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

typedef void victim_check_t(struct batch *batch, unsigned count, unsigned victim);

/* For every suite, size, count and input. */
static void
each_victim(victim_check_t *check)
{
	struct batch *batch = batch_create();
	struct random random = {1};
	uint8_t suite;
	unsigned victim;
	size_t s, c;

	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		for (s = 0; s < COUNT_OF(sizes); s++) {
			batch_uniform(batch, &random, suite, sizes[s], TAG_BATCH_MAX);
			for (c = 0; c < COUNT_OF(counts); c++)
				for (victim = 0; victim < counts[c]; victim++)
					check(batch, counts[c], victim);
		}
	}
	batch_destroy(batch);
}

static void
message_and_tag_bits(struct batch *batch, unsigned count, unsigned victim)
{
	bits_refused(
		batch, count, victim, batch->sent[victim], batch->sizes[victim] + CRED_TAG_SIZE);
}

static void
one_bit_of_message_or_tag_refuses(void **state)
{
	(void)state;
	each_victim(message_and_tag_bits);
}

static void
tag_key_bits(struct batch *batch, unsigned count, unsigned victim)
{
	struct key_slot *slot = &batch->slots[victim];

	bits_refused(batch, count, victim, slot->tag_key, cred_suite_key_size(slot->suite));
	bits_refused(batch, count, victim, slot->k1, sizeof(slot->k1));
}

static void
one_bit_of_tag_key_or_subkey_refuses(void **state)
{
	(void)state;
	each_victim(tag_key_bits);
}

/* As a key that control would write: with the subkey that belongs to it. */
static void
whole_key_bits(struct batch *batch, unsigned count, unsigned victim)
{
	struct key_slot *slot = &batch->slots[victim];
	const struct key_slot kept = *slot;
	const unsigned key_size = cred_suite_key_size(slot->suite);
	unsigned bit;

	for (bit = 0; bit < 8 * key_size; bit++) {
		slot->tag_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		oracle_k1(slot->k1, slot->tag_key, key_size);
		refused_alone(batch, count, victim);
		*slot = kept;
	}
}

static void
one_bit_of_key_with_its_subkey_refuses(void **state)
{
	(void)state;
	each_victim(whole_key_bits);
}

/* The halves of a 32-byte field that a 16-byte key does not use: as if they were not there. */
static void
unused_bits(struct batch *batch, unsigned count, unsigned victim)
{
	struct key_slot *slot = &batch->slots[victim];
	const unsigned key_size = cred_suite_key_size(slot->suite);
	const struct key_slot kept = *slot;
	struct tag_identity ids[TAG_BATCH_MAX];

	memset(slot->tag_key + key_size, 0x5a, sizeof(slot->tag_key) - key_size);
	memset(slot->seal_key + key_size, 0x5a, sizeof(slot->seal_key) - key_size);
	assert_int_equal(
		tag_batch_verify(engine, batch->slot_list, batch->msgs, batch->sizes, ids, count),
		fixture_all(count));
	assert_memory_equal(
		&ids[victim], batch->clear[victim] + CRED_SEALED_FIRST, sizeof(ids[victim]));
	*slot = kept;
}

static void
unused_key_bytes_do_not_count(void **state)
{
	(void)state;
	each_victim(unused_bits);
}

/*
 * The tag is over the ciphertext, so another sealing key is still proved; but its identity is
 * another one, and that of its neighbours stays.
 */
static void
seal_key_bits(struct batch *batch, unsigned count, unsigned victim)
{
	struct key_slot *slot = &batch->slots[victim];
	struct tag_identity ids[TAG_BATCH_MAX];
	const bool is_sealed = cred_suite_is_sealed(slot->suite);
	unsigned bit, i;

	for (bit = 0; bit < 8 * cred_suite_key_size(slot->suite); bit++) {
		slot->seal_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(tag_batch_verify(engine, batch->slot_list, batch->msgs,
					 batch->sizes, ids, count),
			fixture_all(count));
		slot->seal_key[bit / 8] ^= (uint8_t)(1 << bit % 8);
		for (i = 0; i < count; i++) {
			const bool is_same = memcmp(&ids[i], batch->clear[i] + CRED_SEALED_FIRST,
						     sizeof(ids[i])) == 0;

			assert_int_equal(is_same, !is_sealed || i != victim);
		}
	}
}

static void
one_bit_of_seal_key_changes_that_identity(void **state)
{
	(void)state;
	each_victim(seal_key_bits);
}

/* A right tag at the wrong length: one byte of the message cut off, or one added. */
static void
other_size(struct batch *batch, unsigned count, unsigned victim)
{
	uint8_t *msg = batch->sent[victim];
	const uint16_t size = batch->sizes[victim];
	uint8_t kept[CRED_SIZE_MAX];
	int change;

	memcpy(kept, msg, sizeof(kept));
	for (change = size > CRED_HEADER_SIZE ? -1 : 1; change <= 1; change += 2) {
		memmove(msg + size + change, kept + size, CRED_TAG_SIZE);
		batch->sizes[victim] = (uint16_t)(size + change);
		refused_alone(batch, count, victim);
		batch->sizes[victim] = size;
		memcpy(msg, kept, sizeof(kept));
	}
}

static void
another_size_refuses(void **state)
{
	(void)state;
	each_victim(other_size);
}

/* CMAC's padding is the classic slip: a padded message and the same bytes whole must differ. */
static void
padding_as_message(struct batch *batch, unsigned count, unsigned victim)
{
	uint8_t *msg = batch->sent[victim];
	const uint16_t size = batch->sizes[victim];
	const uint16_t whole = (uint16_t)(tag_block_count(size) * AES_BLOCK_SIZE);
	uint8_t kept[CRED_SIZE_MAX];

	if (size == whole)
		return;
	memcpy(kept, msg, sizeof(kept));
	memmove(msg + whole, kept + size, CRED_TAG_SIZE);
	memset(msg + size, 0, whole - size);
	msg[size] = 0x80;
	batch->sizes[victim] = whole;
	refused_alone(batch, count, victim);
	batch->sizes[victim] = size;
	memcpy(msg, kept, sizeof(kept));
}

static void
padding_sent_as_message_refuses(void **state)
{
	(void)state;
	each_victim(padding_as_message);
}

/* The tag of the neighbour, which is right for the neighbour. */
static void
tags_swapped_refuse_both(void **state)
{
	struct batch *batch = batch_create();
	struct tag_identity ids[TAG_BATCH_MAX];
	struct random random = {2};
	uint8_t tag[CRED_TAG_SIZE];
	unsigned i;

	(void)state;
	batch_uniform(batch, &random, CRED_SUITE_DEFAULT, 96, TAG_BATCH_MAX);
	for (i = 0; i + 1 < TAG_BATCH_MAX; i++) {
		memcpy(tag, batch->sent[i] + 96, sizeof(tag));
		memcpy(batch->sent[i] + 96, batch->sent[i + 1] + 96, sizeof(tag));
		memcpy(batch->sent[i + 1] + 96, tag, sizeof(tag));
		assert_int_equal(tag_batch_verify(engine, batch->slot_list, batch->msgs,
					 batch->sizes, ids, TAG_BATCH_MAX),
			UINT64_MAX & ~((uint64_t)3 << i));
		assert_true(is_zero(&ids[i]) && is_zero(&ids[i + 1]));
		memcpy(tag, batch->sent[i] + 96, sizeof(tag));
		memcpy(batch->sent[i] + 96, batch->sent[i + 1] + 96, sizeof(tag));
		memcpy(batch->sent[i + 1] + 96, tag, sizeof(tag));
	}
	batch_destroy(batch);
}

/* Any set of inputs may be spoiled: the bitmap is exactly the rest. */
static void
any_set_is_told_exactly(void **state)
{
	struct batch *batch = batch_create();
	struct tag_identity ids[TAG_BATCH_MAX];
	struct random random = {3};
	uint64_t good, proved;
	unsigned round, i;

	(void)state;
	for (round = 0; round < 200; round++) {
		batch_mixed(batch, &random, TAG_BATCH_MAX);
		good = round == 0 ? 0 : random_next(&random);
		for (i = 0; i < TAG_BATCH_MAX; i++)
			batch->sent[i][batch->sizes[i] + random_below(&random, CRED_TAG_SIZE)] ^=
				(uint8_t)(~good >> i & 1);
		proved = tag_batch_verify(
			engine, batch->slot_list, batch->msgs, batch->sizes, ids, TAG_BATCH_MAX);
		assert_int_equal(proved, good);
		for (i = 0; i < TAG_BATCH_MAX; i++)
			assert_int_equal(is_zero(&ids[i]), ~good >> i & 1);
	}
	batch_destroy(batch);
}

static void
unknown_suite_at(struct batch *batch, unsigned count, unsigned victim)
{
	static const uint8_t unknown[] = {0, 5, 0x3a, 128, 129, 255};
	const uint8_t suite = batch->slots[victim].suite;
	size_t u;

	for (u = 0; u < COUNT_OF(unknown); u++) {
		batch->slots[victim].suite = unknown[u];
		refused_alone(batch, count, victim);
	}
	batch->slots[victim].suite = suite;
}

static void
unknown_suite_proves_nothing(void **state)
{
	struct batch *batch = batch_create();
	struct tag_identity ids[TAG_BATCH_MAX];
	unsigned i;

	(void)state;
	each_victim(unknown_suite_at);
	for (i = 0; i < TAG_BATCH_MAX; i++)
		batch->sizes[i] = CRED_HEADER_SIZE; /* slots of zeroes: suite 0 */
	memset(ids, 0xa5, sizeof(ids));
	assert_int_equal(tag_batch_verify(engine, batch->slot_list, batch->msgs, batch->sizes, ids,
				 TAG_BATCH_MAX),
		0);
	for (i = 0; i < TAG_BATCH_MAX; i++)
		assert_true(is_zero(&ids[i]));
	batch_destroy(batch);
}

/* What cannot be sealed is left as it is, without a tag. */
static void
unknown_suite_seals_nothing(void **state)
{
	struct batch *batch = batch_create();
	struct random random = {4};
	unsigned i;

	(void)state;
	batch_mixed(batch, &random, 20);
	memcpy(batch->work, batch->clear, sizeof(batch->work));
	batch->slots[7].suite = 5;
	tag_batch_seal(engine, batch->slot_list, batch->rows, batch->sizes, 20);
	for (i = 0; i < 20; i++)
		assert_memory_equal(
			batch->work[i], i == 7 ? batch->clear[i] : batch->sent[i], CRED_SIZE_MAX);
	batch_destroy(batch);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_bit_of_message_or_tag_refuses),
		cmocka_unit_test(one_bit_of_tag_key_or_subkey_refuses),
		cmocka_unit_test(one_bit_of_key_with_its_subkey_refuses),
		cmocka_unit_test(unused_key_bytes_do_not_count),
		cmocka_unit_test(one_bit_of_seal_key_changes_that_identity),
		cmocka_unit_test(another_size_refuses),
		cmocka_unit_test(padding_sent_as_message_refuses),
		cmocka_unit_test(tags_swapped_refuse_both),
		cmocka_unit_test(any_set_is_told_exactly),
		cmocka_unit_test(unknown_suite_proves_nothing),
		cmocka_unit_test(unknown_suite_seals_nothing),
	};
	int failed;

	kernel = fixture_kernel(argc, argv);
	engine = fixture_engine(kernel);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	tag_engine_destroy(engine);
	return failed;
}

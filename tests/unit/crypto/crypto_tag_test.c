/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One tag kernel, named on the command line, against OpenSSL: every suite, size and count, in
 * buffers that end and begin at unmapped pages.
 */

#include "tag_fixture.h"

#define MIXED_ROUNDS 400u

static const struct tag_kernel *kernel;
static struct tag_engine *engine;
static struct batch batch;

static const struct key_slot *const *
batch_slots(void)
{
	return (const struct key_slot *const *)batch.slots;
}

static uint8_t
random_suite(void)
{
	return (uint8_t)(1 + fixture_random(CRED_SUITE_COUNT - 1));
}

/* Half of them the smallest, as in life; the others of any size. */
static unsigned
random_size(void)
{
	return CRED_HEADER_SIZE +
	       (fixture_random(2) == 0 ? 0 : fixture_random(CRED_PAYLOAD_SIZE_MAX + 1));
}

static void
fill_all(uint8_t suite, unsigned size)
{
	for (unsigned i = 0; i < TAG_BATCH_MAX; i++)
		batch_fill(&batch, i, suite, size);
}

static void
fill_mixed(void)
{
	for (unsigned i = 0; i < TAG_BATCH_MAX; i++)
		batch_fill(&batch, i, random_suite(), random_size());
}

/* Every size with every count, all genuine, then with one forged whose place wanders. */
static void
verify_every_size_and_count(uint8_t suite)
{
	for (unsigned size = CRED_HEADER_SIZE; size <= TAG_MSG_SIZE_MAX; size++) {
		fill_all(suite, size);
		for (unsigned count = 1; count <= TAG_BATCH_MAX; count++) {
			const unsigned forged = (size + count * 7) % count;

			batch_expect(&batch, engine, count, bits_below(count));
			batch.msgs[forged][fixture_random(size + CRED_TAG_SIZE)] ^= 0x10;
			batch_expect(&batch, engine, count,
				bits_below(count) & ~((uint64_t)1 << forged));
			batch_restore(&batch, forged);
		}
	}
}

static void
cmac128_every_size_and_count(void **state)
{
	(void)state;
	verify_every_size_and_count(CRED_SUITE_CMAC128);
}

static void
cmac256_every_size_and_count(void **state)
{
	(void)state;
	verify_every_size_and_count(CRED_SUITE_CMAC256);
}

static void
sealed128_every_size_and_count(void **state)
{
	(void)state;
	verify_every_size_and_count(CRED_SUITE_SEALED128);
}

static void
sealed256_every_size_and_count(void **state)
{
	(void)state;
	verify_every_size_and_count(CRED_SUITE_SEALED256);
}

/* Seals the first `count` from clear; the others must stay as they are. */
static void
expect_sealed(unsigned count)
{
	for (unsigned i = 0; i < TAG_BATCH_MAX; i++) {
		memcpy(batch.msgs[i], batch.clears[i], batch.sizes[i]);
		memset(batch.msgs[i] + batch.sizes[i], 0, CRED_TAG_SIZE);
	}
	tag_batch_seal(engine, batch_slots(), batch.msgs, batch.sizes, count);
	for (unsigned i = 0; i < count; i++)
		assert_memory_equal(batch.msgs[i], batch.wires[i], batch.sizes[i] + CRED_TAG_SIZE);
	for (unsigned i = count; i < TAG_BATCH_MAX; i++)
		assert_memory_equal(batch.msgs[i], batch.clears[i], batch.sizes[i]);
}

static void
seal_every_size_gives_openssls_bytes(void **state)
{
	(void)state;
	for (uint8_t suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		for (unsigned size = CRED_HEADER_SIZE; size <= TAG_MSG_SIZE_MAX; size++) {
			fill_all(suite, size);
			expect_sealed(TAG_BATCH_MAX);
			expect_sealed(1 + size % TAG_BATCH_MAX);
		}
	}
}

/* Unseals the payloads of the first `count`, each to a place of its own or in place. */
static void
expect_unsealed(const struct fence *dst_fence, unsigned count, bool is_in_place)
{
	const uint8_t *srcs[TAG_BATCH_MAX] = {NULL};
	uint8_t *dsts[TAG_BATCH_MAX] = {NULL};
	uint64_t serials[TAG_BATCH_MAX] = {0};
	uint32_t salts[TAG_BATCH_MAX] = {0};
	uint16_t sizes[TAG_BATCH_MAX] = {0};
	uint8_t *src;

	for (unsigned i = 0; i < count; i++) {
		sizes[i] = batch.sizes[i] - CRED_HEADER_SIZE;
		serials[i] = load_be64(batch.clears[i] + CRED_AT_SERIAL);
		memcpy(&salts[i], batch.clears[i] + CRED_AT_SALT, sizeof(salts[i]));
		/* Away from the tag, so that reading past the payload would fault. */
		src = fence_place(&batch.msg_fence, i, sizes[i]);
		memcpy(src, batch.wires[i] + CRED_HEADER_SIZE, sizes[i]);
		dsts[i] = is_in_place ? src : fence_place(dst_fence, i, sizes[i]);
		srcs[i] = src;
	}
	tag_batch_unseal(engine, batch_slots(), serials, salts, srcs, dsts, sizes, count);
	for (unsigned i = 0; i < count; i++)
		assert_memory_equal(dsts[i], batch.clears[i] + CRED_HEADER_SIZE, sizes[i]);
}

static void
unseal_every_payload_size(void **state)
{
	struct fence dst_fence;

	(void)state;
	fence_init(&dst_fence);
	for (uint8_t suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		for (unsigned size = CRED_HEADER_SIZE; size <= TAG_MSG_SIZE_MAX; size++) {
			fill_all(suite, size);
			expect_unsealed(&dst_fence, TAG_BATCH_MAX, false);
			expect_unsealed(&dst_fence, 1 + size % TAG_BATCH_MAX, true);
		}
	}
	fence_fini(&dst_fence);
}

static void
mixed_suites_and_sizes_with_some_forged(void **state)
{
	struct fence dst_fence;

	(void)state;
	fence_init(&dst_fence);
	for (unsigned round = 0; round < MIXED_ROUNDS; round++) {
		const unsigned count = 1 + fixture_random(TAG_BATCH_MAX);
		uint64_t forged;

		fill_mixed();
		fixture_random_bytes(&forged, sizeof(forged));
		for (unsigned i = 0; i < count; i++) {
			if (forged >> i & 1)
				batch.msgs[i][fixture_random(batch.sizes[i] + CRED_TAG_SIZE)] ^= 1;
		}
		batch_expect(&batch, engine, count, bits_below(count) & ~forged);
		expect_sealed(count);
		expect_unsealed(&dst_fence, count, round % 2 == 0);
	}
	fence_fini(&dst_fence);
}

/* Many sizes of few block counts, so that groups are whole, mixed, and filled up. */
static void
nearly_uniform_batches(void **state)
{
	(void)state;
	for (unsigned round = 0; round < MIXED_ROUNDS; round++) {
		const uint8_t suite = random_suite();
		const unsigned large = CRED_HEADER_SIZE + fixture_random(CRED_PAYLOAD_SIZE_MAX + 1);

		for (unsigned i = 0; i < TAG_BATCH_MAX; i++)
			batch_fill(&batch, i, suite,
				fixture_random(10) == 0 ? large : CRED_HEADER_SIZE);
		batch_expect(&batch, engine, TAG_BATCH_MAX, UINT64_MAX);
		batch_expect(&batch, engine, 1 + round % TAG_BATCH_MAX,
			bits_below(1 + round % TAG_BATCH_MAX));
		expect_sealed(TAG_BATCH_MAX);
	}
}

static void
a_batch_answers_as_its_singles_do(void **state)
{
	(void)state;
	fill_mixed();
	for (unsigned i = 0; i < TAG_BATCH_MAX; i += 3)
		batch.msgs[i][fixture_random(batch.sizes[i])] ^= 0x80;
	for (unsigned i = 0; i < TAG_BATCH_MAX; i++) {
		const uint8_t *msg = batch.msgs[i];
		const struct key_slot *slot = batch.slots[i];
		struct tag_identity id;
		const uint64_t proved =
			tag_batch_verify(engine, &slot, &msg, &batch.sizes[i], &id, 1);

		assert_int_equal(proved, i % 3 != 0);
	}
	batch_expect(&batch, engine, TAG_BATCH_MAX, ~UINT64_C(0x9249249249249249));
}

/* Flips bit after bit of `bytes`; each time exactly lane `lane` of 64 must be refused. */
static void
expect_each_bit_matters(uint8_t *bytes, unsigned size, unsigned lane)
{
	for (unsigned bit = 0; bit < size * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		batch_expect(&batch, engine, TAG_BATCH_MAX, ~((uint64_t)1 << lane));
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* Sizes of a whole last block, a partial one, and a lone byte in it. */
static void
one_flipped_bit_refuses_that_one(void **state)
{
	static const unsigned sizes[] = {80, 93, 97, 96, 128};

	(void)state;
	for (uint8_t suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		const unsigned key_size = cred_suite_key_size(suite);

		for (unsigned s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			const unsigned lane = fixture_random(TAG_BATCH_MAX);
			struct key_slot *slot = batch.slots[lane];

			fill_all(suite, sizes[s]);
			expect_each_bit_matters(batch.msgs[lane], sizes[s] + CRED_TAG_SIZE, lane);
			expect_each_bit_matters(slot->tag_key, key_size, lane);
			expect_each_bit_matters(slot->k1, sizeof(slot->k1), lane);
			batch_expect(&batch, engine, TAG_BATCH_MAX, UINT64_MAX);
		}
	}
}

/* Bytes of a slot that are no part of the suite's keys must not matter. */
static void
other_fields_of_the_slot_do_not_matter(void **state)
{
	(void)state;
	for (uint8_t suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		const unsigned key_size = cred_suite_key_size(suite);

		fill_all(suite, CRED_HEADER_SIZE);
		for (unsigned i = 0; i < TAG_BATCH_MAX; i++) {
			struct key_slot old = *batch.slots[i];

			fixture_random_bytes(batch.slots[i], sizeof(old));
			batch.slots[i]->suite = suite;
			memcpy(batch.slots[i]->k1, old.k1, sizeof(old.k1));
			memcpy(batch.slots[i]->tag_key, old.tag_key, key_size);
			if (cred_suite_is_sealed(suite))
				memcpy(batch.slots[i]->seal_key, old.seal_key, key_size);
		}
		batch_expect(&batch, engine, TAG_BATCH_MAX, UINT64_MAX);
	}
}

static void
a_wrong_sealing_key_proves_but_does_not_unseal(void **state)
{
	(void)state;
	fill_all(CRED_SUITE_SEALED128, CRED_HEADER_SIZE);
	batch.slots[5]->seal_key[3] ^= 0x20;
	assert_int_equal(tag_batch_verify(engine, batch_slots(), (const uint8_t *const *)batch.msgs,
				 batch.sizes, batch.ids, TAG_BATCH_MAX),
		UINT64_MAX);
	assert_memory_not_equal(batch.ids[5].bytes, batch.clears[5] + CRED_SEALED_FIRST, 16);
	assert_memory_equal(batch.ids[6].bytes, batch.clears[6] + CRED_SEALED_FIRST, 16);
}

static void
unknown_suites_prove_nothing(void **state)
{
	static const uint8_t unknown[] = {0, 5, 0x3a, 255};

	(void)state;
	fill_mixed();
	for (unsigned i = 0; i < sizeof(unknown); i++)
		batch.slots[10 + i]->suite = unknown[i];
	batch_expect(&batch, engine, TAG_BATCH_MAX, ~((uint64_t)0xf << 10));
	for (unsigned i = 0; i < TAG_BATCH_MAX; i++)
		batch.slots[i]->suite = 0x3a;
	batch_expect(&batch, engine, TAG_BATCH_MAX, 0);
}

static void
an_empty_batch_is_nothing(void **state)
{
	(void)state;
	assert_int_equal(tag_batch_verify(engine, NULL, NULL, NULL, NULL, 0), 0);
	tag_batch_seal(engine, NULL, NULL, NULL, 0);
	tag_batch_unseal(engine, NULL, NULL, NULL, NULL, NULL, NULL, 0);
}

/* One credential and one slot in every lane: lanes must not lean on being different. */
static void
the_same_credential_in_every_lane(void **state)
{
	const struct key_slot *slots[TAG_BATCH_MAX];
	const uint8_t *msgs[TAG_BATCH_MAX];

	(void)state;
	fill_all(CRED_SUITE_SEALED256, 100);
	for (unsigned i = 0; i < TAG_BATCH_MAX; i++) {
		slots[i] = batch.slots[0];
		msgs[i] = batch.msgs[0];
	}
	assert_int_equal(
		tag_batch_verify(engine, slots, msgs, batch.sizes, batch.ids, 64), UINT64_MAX);
	for (unsigned i = 0; i < TAG_BATCH_MAX; i++)
		assert_memory_equal(
			batch.ids[i].bytes, batch.clears[0] + CRED_SEALED_FIRST, AES_BLOCK_SIZE);
}

static int
engine_setup(void **state)
{
	(void)state;
	engine = tag_engine_create(kernel->id);
	assert_non_null(engine);
	assert_string_equal(tag_engine_name(engine), kernel->name);
	batch_init(&batch);
	return 0;
}

static int
engine_teardown(void **state)
{
	(void)state;
	tag_engine_destroy(engine);
	batch_fini(&batch);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmac128_every_size_and_count),
		cmocka_unit_test(cmac256_every_size_and_count),
		cmocka_unit_test(sealed128_every_size_and_count),
		cmocka_unit_test(sealed256_every_size_and_count),
		cmocka_unit_test(seal_every_size_gives_openssls_bytes),
		cmocka_unit_test(unseal_every_payload_size),
		cmocka_unit_test(mixed_suites_and_sizes_with_some_forged),
		cmocka_unit_test(nearly_uniform_batches),
		cmocka_unit_test(a_batch_answers_as_its_singles_do),
		cmocka_unit_test(one_flipped_bit_refuses_that_one),
		cmocka_unit_test(other_fields_of_the_slot_do_not_matter),
		cmocka_unit_test(a_wrong_sealing_key_proves_but_does_not_unseal),
		cmocka_unit_test(unknown_suites_prove_nothing),
		cmocka_unit_test(an_empty_batch_is_nothing),
		cmocka_unit_test(the_same_credential_in_every_lane),
	};

	kernel = fixture_kernel(argc, argv);
	return cmocka_run_group_tests(tests, engine_setup, engine_teardown);
}

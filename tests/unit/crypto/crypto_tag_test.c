/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One tag kernel, named by the argument, gives the right answers: published vectors, OpenSSL over
 * every size, a batch against its inputs one by one, the project's own vectors, other kernels.
 * What it must refuse is crypto_refusal_test.c, what it may touch crypto_bounds_test.c.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crypto/kdf.h"
#include "tests/unit/crypto/fixture.h"
#include "tests/unit/crypto/oracle.h"
#include "tests/vectors/vectors.h"

#define NATIVE "vectors/native-v1.txt"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct tag_kernel *kernel;
static struct tag_engine *engine;

/* Around the widths of the kernels: 8 lanes and 16. */
static const unsigned counts[] = {1, 2, 7, 8, 9, 15, 16, 17, 33, 64};

/* RFC 4493 section 4, SP 800-38A appendix F and SP 800-38B appendix D use the same message. */
static const uint8_t nist_message[64] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d,
	0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a, 0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03, 0xac, 0x9c, 0x9e,
	0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51, 0x30, 0xc8, 0x1c, 0x46, 0xa3, 0x5c, 0xe4, 0x11,
	0xe5, 0xfb, 0xc1, 0x19, 0x1a, 0x0a, 0x52, 0xef, 0xf6, 0x9f, 0x24, 0x45, 0xdf, 0x4f, 0x9b,
	0x17, 0xad, 0x2b, 0x41, 0x7b, 0xe6, 0x6c, 0x37, 0x10};
static const uint8_t nist_key128[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7,
	0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
static const uint8_t nist_key256[32] = {0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73,
	0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d,
	0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4};

struct cmac_vector {
	const char *where;
	uint8_t suite;
	uint16_t size;
	uint8_t tag[CRED_TAG_SIZE];
};

static const struct cmac_vector cmac_vectors[] = {
	{"RFC 4493 example 1", CRED_SUITE_CMAC128, 0,
		{0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28, 0x7f, 0xa3, 0x7d, 0x12, 0x9b, 0x75,
			0x67, 0x46}},
	{"RFC 4493 example 2", CRED_SUITE_CMAC128, 16,
		{0x07, 0x0a, 0x16, 0xb4, 0x6b, 0x4d, 0x41, 0x44, 0xf7, 0x9b, 0xdd, 0x9d, 0xd0, 0x4a,
			0x28, 0x7c}},
	{"RFC 4493 example 3", CRED_SUITE_CMAC128, 40,
		{0xdf, 0xa6, 0x67, 0x47, 0xde, 0x9a, 0xe6, 0x30, 0x30, 0xca, 0x32, 0x61, 0x14, 0x97,
			0xc8, 0x27}},
	{"RFC 4493 example 4", CRED_SUITE_CMAC128, 64,
		{0x51, 0xf0, 0xbe, 0xbf, 0x7e, 0x3b, 0x9d, 0x92, 0xfc, 0x49, 0x74, 0x17, 0x79, 0x36,
			0x3c, 0xfe}},
	{"SP 800-38B example 9", CRED_SUITE_CMAC256, 0,
		{0x02, 0x89, 0x62, 0xf6, 0x1b, 0x7b, 0xf8, 0x9e, 0xfc, 0x6b, 0x55, 0x1f, 0x46, 0x67,
			0xd9, 0x83}},
	{"SP 800-38B example 10", CRED_SUITE_CMAC256, 16,
		{0x28, 0xa7, 0x02, 0x3f, 0x45, 0x2e, 0x8f, 0x82, 0xbd, 0x4b, 0xf2, 0x8d, 0x8c, 0x37,
			0xc3, 0x5c}},
	{"SP 800-38B example 11", CRED_SUITE_CMAC256, 40,
		{0xaa, 0xf3, 0xd8, 0xf1, 0xde, 0x56, 0x40, 0xc2, 0x32, 0xf5, 0xb1, 0x69, 0xb9, 0xc9,
			0x11, 0xe6}},
	{"SP 800-38B example 12", CRED_SUITE_CMAC256, 64,
		{0xe1, 0x99, 0x21, 0x90, 0x54, 0x9f, 0x6e, 0xd5, 0x69, 0x6a, 0x2c, 0x05, 0x6c, 0x31,
			0x54, 0x10}},
};

/* SP 800-38A F.5.1 and F.5.5: four blocks of CTR. */
static const uint8_t ctr_counter[16] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9,
	0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff};
static const uint8_t ctr_answer128[64] = {0x87, 0x4d, 0x61, 0x91, 0xb6, 0x20, 0xe3, 0x26, 0x1b,
	0xef, 0x68, 0x64, 0x99, 0x0d, 0xb6, 0xce, 0x98, 0x06, 0xf6, 0x6b, 0x79, 0x70, 0xfd, 0xff,
	0x86, 0x17, 0x18, 0x7b, 0xb9, 0xff, 0xfd, 0xff, 0x5a, 0xe4, 0xdf, 0x3e, 0xdb, 0xd5, 0xd3,
	0x5e, 0x5b, 0x4f, 0x09, 0x02, 0x0d, 0xb0, 0x3e, 0xab, 0x1e, 0x03, 0x1d, 0xda, 0x2f, 0xbe,
	0x03, 0xd1, 0x79, 0x21, 0x70, 0xa0, 0xf3, 0x00, 0x9c, 0xee};
static const uint8_t ctr_answer256[64] = {0x60, 0x1e, 0xc3, 0x13, 0x77, 0x57, 0x89, 0xa5, 0xb7,
	0xa7, 0xf5, 0x04, 0xbb, 0xf3, 0xd2, 0x28, 0xf4, 0x43, 0xe3, 0xca, 0x4d, 0x62, 0xb5, 0x9a,
	0xca, 0x84, 0xe9, 0x90, 0xca, 0xca, 0xf5, 0xc5, 0x2b, 0x09, 0x30, 0xda, 0xa2, 0x3d, 0xe9,
	0x4c, 0xe8, 0x70, 0x17, 0xba, 0x2d, 0x84, 0x98, 0x8d, 0xdf, 0xc9, 0xc5, 0x8d, 0xb6, 0x7a,
	0xad, 0xa6, 0x13, 0xc2, 0xdd, 0x08, 0x45, 0x79, 0x41, 0xa6};

static void
nist_slot(struct key_slot *slot, uint8_t suite)
{
	const unsigned key_size = cred_suite_key_size(suite);
	const uint8_t *key = key_size == 16 ? nist_key128 : nist_key256;

	memset(slot, 0xee, sizeof(*slot));
	slot->suite = suite;
	memcpy(slot->tag_key, key, key_size);
	memcpy(slot->seal_key, key, key_size);
	tag_subkey(slot->k1, key, key_size);
}

/* Puts the vector at input `lane` of a batch of the same suite and asks for it alone. */
static void
published_in_lane(const struct cmac_vector *vector, struct batch *batch, unsigned lane)
{
	const struct key_slot *slots[TAG_BATCH_MAX];
	struct tag_identity ids[TAG_BATCH_MAX];
	const uint16_t size = batch->sizes[lane];
	uint8_t message[CRED_SIZE_MIN] = {0};
	struct key_slot slot;
	uint64_t proved;

	nist_slot(&slot, vector->suite);
	memcpy(slots, batch->slot_list, sizeof(slots));
	memcpy(message, nist_message, vector->size);
	memcpy(message + vector->size, vector->tag, CRED_TAG_SIZE);
	slots[lane] = &slot;
	batch->msgs[lane] = message;
	batch->sizes[lane] = vector->size;
	proved = kernel->verify(tag_engine_scratch(engine), vector->suite, slots, batch->msgs,
		batch->sizes, ids, TAG_BATCH_MAX);
	assert_int_equal(proved, fixture_all(TAG_BATCH_MAX));
	message[vector->size] ^= 1;
	proved = kernel->verify(tag_engine_scratch(engine), vector->suite, slots, batch->msgs,
		batch->sizes, ids, TAG_BATCH_MAX);
	assert_int_equal(proved, fixture_all(TAG_BATCH_MAX) & ~((uint64_t)1 << lane));
	batch->msgs[lane] = batch->sent[lane];
	batch->sizes[lane] = size;
}

static void
published_cmac_in_every_lane(void **state)
{
	struct batch *batch = batch_create();
	struct random random = {1};
	unsigned lane;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(cmac_vectors); i++) {
		print_message("%s\n", cmac_vectors[i].where);
		batch_uniform(batch, &random, cmac_vectors[i].suite, 96, TAG_BATCH_MAX);
		for (lane = 0; lane < TAG_BATCH_MAX; lane++)
			published_in_lane(&cmac_vectors[i], batch, lane);
	}
	batch_destroy(batch);
}

/* The first `size` bytes of the vector, there and back, in place. */
static void
published_ctr_of(uint8_t suite, const uint8_t answer[64], uint16_t size)
{
	struct key_slot slot;
	const struct key_slot *slots[1] = {&slot};
	struct tag_counter counter;
	uint8_t bytes[65];
	const uint8_t *srcs[1] = {nist_message};
	uint8_t *dsts[1] = {bytes};

	nist_slot(&slot, suite);
	memcpy(counter.bytes, ctr_counter, sizeof(counter.bytes));
	memset(bytes, 0xa5, sizeof(bytes));
	kernel->ctr(tag_engine_scratch(engine), suite, slots, &counter, srcs, dsts, &size, 1);
	assert_memory_equal(bytes, answer, size);
	assert_int_equal(bytes[size], 0xa5);
	srcs[0] = bytes;
	kernel->ctr(tag_engine_scratch(engine), suite, slots, &counter, srcs, dsts, &size, 1);
	assert_memory_equal(bytes, nist_message, size);
}

static void
published_ctr_of_every_size(void **state)
{
	uint16_t size;

	(void)state;
	for (size = 0; size <= 64; size++) {
		published_ctr_of(CRED_SUITE_SEALED128, ctr_answer128, size);
		published_ctr_of(CRED_SUITE_SEALED256, ctr_answer256, size);
	}
}

/* Inputs first ... first + count - 1 are proved, with their identities, and no more is written. */
static void
batch_is_proved(const struct batch *batch, unsigned first, unsigned count)
{
	struct tag_identity ids[TAG_BATCH_MAX + 1];
	uint64_t proved;
	unsigned i;

	memset(ids, 0xa5, sizeof(ids));
	proved = tag_batch_verify(engine, batch->slot_list + first, batch->msgs + first,
		batch->sizes + first, ids, count);
	assert_int_equal(proved, fixture_all(count));
	for (i = 0; i < count; i++)
		assert_memory_equal(
			&ids[i], batch->clear[first + i] + CRED_SEALED_FIRST, sizeof(ids[i]));
	for (i = 0; i < sizeof(ids[0]); i++)
		assert_int_equal(ids[count].bytes[i], 0xa5);
}

/* Sealing what is in clear gives what the oracle sent, and touches nothing behind the tag. */
static void
batch_is_sealed(struct batch *batch, unsigned first, unsigned count)
{
	unsigned i;

	for (i = first; i < first + count; i++)
		memcpy(batch->work[i], batch->clear[i], CRED_SIZE_MAX);
	tag_batch_seal(
		engine, batch->slot_list + first, batch->rows + first, batch->sizes + first, count);
	for (i = first; i < first + count; i++)
		assert_memory_equal(batch->work[i], batch->sent[i], CRED_SIZE_MAX);
}

static void
every_size(uint8_t suite)
{
	struct batch *batch = batch_create();
	struct random random = {suite};
	unsigned count;
	uint16_t size;
	size_t c;

	for (size = CRED_HEADER_SIZE; size <= TAG_MSG_SIZE_MAX; size++) {
		batch_uniform(batch, &random, suite, size, TAG_BATCH_MAX);
		for (count = 1; count <= TAG_BATCH_MAX; count++)
			batch_is_proved(
				batch, random_below(&random, TAG_BATCH_MAX - count + 1), count);
		for (c = 0; c < COUNT_OF(counts); c++)
			batch_is_sealed(batch, random_below(&random, TAG_BATCH_MAX - counts[c] + 1),
				counts[c]);
	}
	batch_destroy(batch);
}

static void
every_size_cmac128(void **state)
{
	(void)state;
	every_size(CRED_SUITE_CMAC128);
}

static void
every_size_cmac256(void **state)
{
	(void)state;
	every_size(CRED_SUITE_CMAC256);
}

static void
every_size_sealed128(void **state)
{
	(void)state;
	every_size(CRED_SUITE_SEALED128);
}

static void
every_size_sealed256(void **state)
{
	(void)state;
	every_size(CRED_SUITE_SEALED256);
}

static void
every_count(void **state)
{
	static const uint16_t sizes[] = {80, 96, 203};
	struct batch *batch = batch_create();
	struct random random = {2};
	unsigned count;
	uint8_t suite;
	size_t s;

	(void)state;
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		for (s = 0; s < COUNT_OF(sizes); s++) {
			batch_uniform(batch, &random, suite, sizes[s], TAG_BATCH_MAX);
			for (count = 1; count <= TAG_BATCH_MAX; count++) {
				batch_is_proved(batch, 0, count);
				batch_is_sealed(batch, 0, count);
			}
		}
	}
	batch_destroy(batch);
}

static void
count_zero_does_nothing(void **state)
{
	(void)state;
	assert_int_equal(tag_batch_verify(engine, NULL, NULL, NULL, NULL, 0), 0);
	tag_batch_seal(engine, NULL, NULL, NULL, 0);
	tag_batch_unseal(engine, NULL, NULL, NULL, NULL, NULL, NULL, 0);
}

static void
mixed_suites_and_sizes(void **state)
{
	struct batch *batch = batch_create();
	struct random random = {3};
	unsigned round, count;

	(void)state;
	for (round = 0; round < 400; round++) {
		count = 1 + round % TAG_BATCH_MAX;
		batch_mixed(batch, &random, count);
		batch_is_proved(batch, 0, count);
		batch_is_sealed(batch, 0, count);
	}
	batch_destroy(batch);
}

/* One suite, all sizes: the lanes of a kernel are of different lengths. */
static void
mixed_sizes_of_one_suite(void **state)
{
	struct batch *batch = batch_create();
	struct random random = {4};
	unsigned round, i, count;
	uint8_t suite;

	(void)state;
	for (round = 0; round < 400; round++) {
		suite = (uint8_t)(1 + round % 4);
		count = 1 + random_below(&random, TAG_BATCH_MAX);
		for (i = 0; i < count; i++)
			batch_input(batch, &random, i, suite,
				(uint16_t)(CRED_HEADER_SIZE +
					   random_below(&random, CRED_PAYLOAD_SIZE_MAX + 1)));
		batch_is_proved(batch, 0, count);
		batch_is_sealed(batch, 0, count);
	}
	batch_destroy(batch);
}

static void
batch_like_single(const struct batch *batch, unsigned count)
{
	struct tag_identity ids[TAG_BATCH_MAX], id;
	uint64_t proved =
		tag_batch_verify(engine, batch->slot_list, batch->msgs, batch->sizes, ids, count);
	unsigned i;

	for (i = 0; i < count; i++) {
		assert_int_equal(
			proved >> i & 1, tag_batch_verify(engine, &batch->slot_list[i],
						 &batch->msgs[i], &batch->sizes[i], &id, 1));
		assert_memory_equal(&ids[i], &id, sizeof(id));
	}
	if (count < 64)
		assert_int_equal(proved >> count, 0);
}

/* About half of the inputs are spoiled, so that both answers are compared. */
static void
batch_against_single(void **state)
{
	struct batch *batch = batch_create();
	struct random random = {5};
	unsigned round, i, count;

	(void)state;
	for (round = 0; round < 200; round++) {
		count = 1 + random_below(&random, TAG_BATCH_MAX);
		if (round % 2 == 0)
			batch_mixed(batch, &random, count);
		else
			batch_uniform(batch, &random, (uint8_t)(1 + round / 2 % 4), 80 + 16, count);
		for (i = 0; i < count; i++)
			batch->sent[i][random_below(&random, batch->sizes[i] + CRED_TAG_SIZE)] ^=
				(uint8_t)random_below(&random, 2);
		batch_like_single(batch, count);
	}
	batch_destroy(batch);
}

/* The payloads of all inputs, unsealed to dsts, are those in clear. */
static void
payloads_unseal(
	const struct batch *batch, const uint8_t *const *srcs, uint8_t *const *dsts, unsigned count)
{
	uint64_t serials[TAG_BATCH_MAX] = {0};
	uint32_t salts[TAG_BATCH_MAX] = {0};
	uint16_t sizes[TAG_BATCH_MAX] = {0};
	unsigned i;

	for (i = 0; i < count; i++) {
		serials[i] = load_be64(batch->clear[i] + CRED_AT_SERIAL);
		memcpy(&salts[i], batch->clear[i] + CRED_AT_SALT, sizeof(salts[i]));
		sizes[i] = batch->sizes[i] - CRED_HEADER_SIZE;
	}
	tag_batch_unseal(engine, batch->slot_list, serials, salts, srcs, dsts, sizes, count);
	for (i = 0; i < count; i++)
		assert_memory_equal(dsts[i], batch->clear[i] + CRED_AT_PAYLOAD, sizes[i]);
}

static void
seal_verify_unseal(struct batch *batch, unsigned count)
{
	static uint8_t apart[TAG_BATCH_MAX][CRED_PAYLOAD_SIZE_MAX];
	const uint8_t *srcs[TAG_BATCH_MAX];
	uint8_t *dsts[TAG_BATCH_MAX], *same[TAG_BATCH_MAX];
	struct tag_identity ids[TAG_BATCH_MAX];
	unsigned i;

	for (i = 0; i < count; i++) {
		memcpy(batch->work[i], batch->clear[i], CRED_SIZE_MAX);
		srcs[i] = same[i] = batch->work[i] + CRED_AT_PAYLOAD;
		dsts[i] = apart[i];
	}
	tag_batch_seal(engine, batch->slot_list, batch->rows, batch->sizes, count);
	assert_int_equal(tag_batch_verify(engine, batch->slot_list,
				 (const uint8_t *const *)batch->rows, batch->sizes, ids, count),
		fixture_all(count));
	payloads_unseal(batch, srcs, dsts, count);
	payloads_unseal(batch, srcs, same, count);
}

static void
seal_verify_unseal_mixed(void **state)
{
	struct batch *batch = batch_create();
	struct random random = {6};
	unsigned round, count;

	(void)state;
	for (round = 0; round < 200; round++) {
		count = 1 + random_below(&random, TAG_BATCH_MAX);
		batch_mixed(batch, &random, count);
		seal_verify_unseal(batch, count);
	}
	batch_destroy(batch);
}

/* A single payload is where a kernel may spread one message over its lanes. */
static void
seal_verify_unseal_every_payload(void **state)
{
	struct batch *batch = batch_create();
	struct random random = {7};
	unsigned size;
	uint8_t suite;

	(void)state;
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		for (size = 0; size <= CRED_PAYLOAD_SIZE_MAX; size++) {
			batch_input(batch, &random, 0, suite, (uint16_t)(CRED_HEADER_SIZE + size));
			seal_verify_unseal(batch, 1);
		}
	}
	batch_destroy(batch);
}

/* What this kernel seals, `other` proves, and the other way round. */
static void
interoperate(struct tag_engine *other, struct batch *batch, unsigned count)
{
	struct tag_engine *sealer[2] = {engine, other}, *prover[2] = {other, engine};
	struct tag_identity ids[TAG_BATCH_MAX];
	unsigned way, i;

	for (way = 0; way < 2; way++) {
		for (i = 0; i < count; i++)
			memcpy(batch->work[i], batch->clear[i], CRED_SIZE_MAX);
		tag_batch_seal(sealer[way], batch->slot_list, batch->rows, batch->sizes, count);
		assert_int_equal(
			tag_batch_verify(prover[way], batch->slot_list,
				(const uint8_t *const *)batch->rows, batch->sizes, ids, count),
			fixture_all(count));
		for (i = 0; i < count; i++)
			assert_memory_equal(
				&ids[i], batch->clear[i] + CRED_SEALED_FIRST, sizeof(ids[i]));
	}
}

static void
kernels_interoperate(void **state)
{
	struct batch *batch = batch_create();
	struct random random = {8};
	struct tag_engine *other;
	unsigned k, round;

	(void)state;
	for (k = 0; k < FIXTURE_KERNEL_COUNT; k++) {
		if (!fixture_kernels[k]->is_supported())
			continue;
		print_message("with %s\n", fixture_kernels[k]->name);
		other = fixture_engine(fixture_kernels[k]);
		for (round = 0; round < 50; round++) {
			batch_mixed(batch, &random, TAG_BATCH_MAX);
			interoperate(other, batch, TAG_BATCH_MAX);
		}
		tag_engine_destroy(other);
	}
	batch_destroy(batch);
}

/* Suite and K_node of the record's key, in a file of its own reading position. */
static void
vector_key(const struct vectors *v, struct vectors *keys, uint8_t node_key[KDF_KEY_SIZE],
	uint8_t *suite)
{
	char name[64];

	vectors_string(v, "key", name, sizeof(name));
	vectors_find(keys, "node", name);
	vectors_exactly(keys, "node_key", node_key, KDF_KEY_SIZE);
	*suite = (uint8_t)vectors_number(keys, "suite");
}

/* Sealing `clear` gives `wire`, and `wire` proves with the identity of `clear`. */
static void
vector_reproduce(const struct vectors *v, const struct key_slot *slot)
{
	const struct key_slot *slots[1] = {slot};
	uint8_t msg[CRED_SIZE_MAX], clear[CRED_SIZE_MAX], wire[CRED_SIZE_MAX];
	uint16_t size = (uint16_t)vectors_bytes(v, "clear", clear, sizeof(clear));
	const uint8_t *msgs[1] = {msg};
	uint8_t *rows[1] = {msg};
	struct tag_identity id;

	vectors_exactly(v, "wire", wire, size + CRED_TAG_SIZE);
	memcpy(msg, clear, size);
	tag_batch_seal(engine, slots, rows, &size, 1);
	assert_memory_equal(msg, wire, size + CRED_TAG_SIZE);
	assert_int_equal(tag_batch_verify(engine, slots, msgs, &size, &id, 1), 1);
	assert_memory_equal(&id, clear + CRED_SEALED_FIRST, sizeof(id));
}

/* All records of a type, under the keys of this direction; returns how many. */
static unsigned
vectors_reproduce(const char *type,
	void (*slot_fill)(struct key_slot *slot, const uint8_t *node_key, uint8_t suite))
{
	uint8_t node_key[KDF_KEY_SIZE], suite;
	struct vectors v, keys;
	struct key_slot slot = {0};
	unsigned records = 0;

	vectors_open(&v, NATIVE);
	vectors_open(&keys, NATIVE);
	while (vectors_next(&v, type)) {
		vector_key(&v, &keys, node_key, &suite);
		slot_fill(&slot, node_key, suite);
		vector_reproduce(&v, &slot);
		records++;
	}
	vectors_close(&keys);
	vectors_close(&v);
	return records;
}

static void
native_credentials(void **state)
{
	(void)state;
	assert_true(vectors_reproduce("credential", kdf_slot_request) >= 50);
}

static void
native_replies(void **state)
{
	(void)state;
	assert_true(vectors_reproduce("reply", kdf_slot_reply) >= 40);
}

static void
engine_is_named_after_its_kernel(void **state)
{
	struct tag_engine *by_id = tag_engine_create(kernel->id);

	(void)state;
	assert_string_equal(tag_engine_name(engine), kernel->name);
	assert_non_null(by_id);
	assert_string_equal(tag_engine_name(by_id), kernel->name);
	tag_engine_destroy(by_id);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_cmac_in_every_lane),
		cmocka_unit_test(published_ctr_of_every_size),
		cmocka_unit_test(every_size_cmac128),
		cmocka_unit_test(every_size_cmac256),
		cmocka_unit_test(every_size_sealed128),
		cmocka_unit_test(every_size_sealed256),
		cmocka_unit_test(every_count),
		cmocka_unit_test(count_zero_does_nothing),
		cmocka_unit_test(mixed_suites_and_sizes),
		cmocka_unit_test(mixed_sizes_of_one_suite),
		cmocka_unit_test(batch_against_single),
		cmocka_unit_test(seal_verify_unseal_mixed),
		cmocka_unit_test(seal_verify_unseal_every_payload),
		cmocka_unit_test(kernels_interoperate),
		cmocka_unit_test(native_credentials),
		cmocka_unit_test(native_replies),
		cmocka_unit_test(engine_is_named_after_its_kernel),
	};
	int failed;

	kernel = fixture_kernel(argc, argv);
	engine = fixture_engine(kernel);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	tag_engine_destroy(engine);
	return failed;
}

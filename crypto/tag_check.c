/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What every start does before a tag kernel may decide: known answers, a cross-check of all kernels
 * against each other, and, where there is a choice, a short measurement.
 */

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "crypto/tag_priv.h"

#define CHECK_ANY       0u   /* instead of a suite or a size */
#define MEASURE_BATCHES 200u /* about two milliseconds a kernel */

/* RFC 4493 section 4 and NIST SP 800-38B appendix D: one message, cut at four lengths. */
static const uint8_t cmac_message[64] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d,
	0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a, 0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03, 0xac, 0x9c, 0x9e,
	0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51, 0x30, 0xc8, 0x1c, 0x46, 0xa3, 0x5c, 0xe4, 0x11,
	0xe5, 0xfb, 0xc1, 0x19, 0x1a, 0x0a, 0x52, 0xef, 0xf6, 0x9f, 0x24, 0x45, 0xdf, 0x4f, 0x9b,
	0x17, 0xad, 0x2b, 0x41, 0x7b, 0xe6, 0x6c, 0x37, 0x10};

static const uint8_t key128[32] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15,
	0x88, 0x09, 0xcf, 0x4f, 0x3c};
static const uint8_t key256[32] = {0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae,
	0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f, 0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98,
	0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4};

struct cmac_vector {
	uint8_t suite;
	uint16_t size;
	uint8_t tag[CRED_TAG_SIZE];
};

static const struct cmac_vector cmac_vectors[] = {
	{CRED_SUITE_CMAC128, 0,
		{0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28, 0x7f, 0xa3, 0x7d, 0x12, 0x9b, 0x75,
			0x67, 0x46}},
	{CRED_SUITE_CMAC128, 16,
		{0x07, 0x0a, 0x16, 0xb4, 0x6b, 0x4d, 0x41, 0x44, 0xf7, 0x9b, 0xdd, 0x9d, 0xd0, 0x4a,
			0x28, 0x7c}},
	{CRED_SUITE_CMAC128, 40,
		{0xdf, 0xa6, 0x67, 0x47, 0xde, 0x9a, 0xe6, 0x30, 0x30, 0xca, 0x32, 0x61, 0x14, 0x97,
			0xc8, 0x27}},
	{CRED_SUITE_CMAC128, 64,
		{0x51, 0xf0, 0xbe, 0xbf, 0x7e, 0x3b, 0x9d, 0x92, 0xfc, 0x49, 0x74, 0x17, 0x79, 0x36,
			0x3c, 0xfe}},
	{CRED_SUITE_CMAC256, 0,
		{0x02, 0x89, 0x62, 0xf6, 0x1b, 0x7b, 0xf8, 0x9e, 0xfc, 0x6b, 0x55, 0x1f, 0x46, 0x67,
			0xd9, 0x83}},
	{CRED_SUITE_CMAC256, 16,
		{0x28, 0xa7, 0x02, 0x3f, 0x45, 0x2e, 0x8f, 0x82, 0xbd, 0x4b, 0xf2, 0x8d, 0x8c, 0x37,
			0xc3, 0x5c}},
	{CRED_SUITE_CMAC256, 40,
		{0xaa, 0xf3, 0xd8, 0xf1, 0xde, 0x56, 0x40, 0xc2, 0x32, 0xf5, 0xb1, 0x69, 0xb9, 0xc9,
			0x11, 0xe6}},
	{CRED_SUITE_CMAC256, 64,
		{0xe1, 0x99, 0x21, 0x90, 0x54, 0x9f, 0x6e, 0xd5, 0x69, 0x6a, 0x2c, 0x05, 0x6c, 0x31,
			0x54, 0x10}},
};

/* NIST SP 800-38A F.5.1 and F.5.5: CTR over the same message. */
static const uint8_t ctr_counter[AES_BLOCK_SIZE] = {0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
	0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff};
static const uint8_t ctr_answer128[sizeof(cmac_message)] = {0x87, 0x4d, 0x61, 0x91, 0xb6, 0x20,
	0xe3, 0x26, 0x1b, 0xef, 0x68, 0x64, 0x99, 0x0d, 0xb6, 0xce, 0x98, 0x06, 0xf6, 0x6b, 0x79,
	0x70, 0xfd, 0xff, 0x86, 0x17, 0x18, 0x7b, 0xb9, 0xff, 0xfd, 0xff, 0x5a, 0xe4, 0xdf, 0x3e,
	0xdb, 0xd5, 0xd3, 0x5e, 0x5b, 0x4f, 0x09, 0x02, 0x0d, 0xb0, 0x3e, 0xab, 0x1e, 0x03, 0x1d,
	0xda, 0x2f, 0xbe, 0x03, 0xd1, 0x79, 0x21, 0x70, 0xa0, 0xf3, 0x00, 0x9c, 0xee};
static const uint8_t ctr_answer256[sizeof(cmac_message)] = {0x60, 0x1e, 0xc3, 0x13, 0x77, 0x57,
	0x89, 0xa5, 0xb7, 0xa7, 0xf5, 0x04, 0xbb, 0xf3, 0xd2, 0x28, 0xf4, 0x43, 0xe3, 0xca, 0x4d,
	0x62, 0xb5, 0x9a, 0xca, 0x84, 0xe9, 0x90, 0xca, 0xca, 0xf5, 0xc5, 0x2b, 0x09, 0x30, 0xda,
	0xa2, 0x3d, 0xe9, 0x4c, 0xe8, 0x70, 0x17, 0xba, 0x2d, 0x84, 0x98, 0x8d, 0xdf, 0xc9, 0xc5,
	0x8d, 0xb6, 0x7a, 0xad, 0xa6, 0x13, 0xc2, 0xdd, 0x08, 0x45, 0x79, 0x41, 0xa6};

/* A batch of all suites and mixed lengths, and what the kernels made of it. */
struct check_batch {
	struct key_slot slots[TAG_BATCH_MAX];
	const struct key_slot *slot_list[TAG_BATCH_MAX];
	uint8_t clear[TAG_BATCH_MAX][CRED_SIZE_MAX];
	uint8_t sealed[TAG_BATCH_MAX][CRED_SIZE_MAX];
	uint8_t again[TAG_BATCH_MAX][CRED_SIZE_MAX];
	uint16_t sizes[TAG_BATCH_MAX];
};

static bool
known_cmac(struct tag_engine *engine, const struct cmac_vector *vector)
{
	const uint8_t *key = vector->suite == CRED_SUITE_CMAC128 ? key128 : key256;
	struct key_slot slot = {.suite = vector->suite};
	const struct key_slot *slots[1] = {&slot};
	uint8_t message[CRED_SIZE_MIN + CRED_TAG_SIZE] = {0};
	const uint8_t *msgs[1] = {message};
	struct tag_identity id;
	bool is_right, is_wrong;

	memcpy(slot.tag_key, key, sizeof(slot.tag_key));
	tag_subkey(slot.k1, key, cred_suite_key_size(vector->suite));
	memcpy(message, cmac_message, vector->size);
	memcpy(message + vector->size, vector->tag, CRED_TAG_SIZE);
	is_right = tag_batch_verify(engine, slots, msgs, &vector->size, &id, 1) == 1;
	message[vector->size + CRED_TAG_SIZE - 1] ^= 0x01;
	is_wrong = tag_batch_verify(engine, slots, msgs, &vector->size, &id, 1) == 0;
	return is_right && is_wrong;
}

static bool
known_ctr(struct tag_engine *engine, const struct tag_kernel *kernel, uint8_t suite)
{
	const bool is_128 = suite == CRED_SUITE_SEALED128;
	struct key_slot slot = {.suite = suite};
	const struct key_slot *slots[1] = {&slot};
	const uint16_t size = sizeof(cmac_message);
	struct tag_counter counter;
	uint8_t bytes[sizeof(cmac_message)];
	const uint8_t *srcs[1] = {bytes};
	uint8_t *dsts[1] = {bytes};

	memcpy(slot.seal_key, is_128 ? key128 : key256, sizeof(slot.seal_key));
	memcpy(counter.bytes, ctr_counter, sizeof(counter.bytes));
	memcpy(bytes, cmac_message, sizeof(bytes));
	kernel->ctr(tag_engine_scratch(engine), suite, slots, &counter, srcs, dsts, &size, 1);
	return memcmp(bytes, is_128 ? ctr_answer128 : ctr_answer256, sizeof(bytes)) == 0;
}

static bool
known_answers(struct tag_engine *engine, const struct tag_kernel *kernel)
{
	size_t i;

	for (i = 0; i < sizeof(cmac_vectors) / sizeof(cmac_vectors[0]); i++) {
		if (!known_cmac(engine, &cmac_vectors[i]))
			return false;
	}
	return known_ctr(engine, kernel, CRED_SUITE_SEALED128) &&
	       known_ctr(engine, kernel, CRED_SUITE_SEALED256);
}

/* Every other one of the least size, as in life. */
static uint16_t
size_pick(unsigned i, uint16_t size)
{
	if (size != CHECK_ANY)
		return size;
	return (uint16_t)(CRED_HEADER_SIZE +
			  (i % 2 == 0 ? 0 : randombytes_uniform(CRED_PAYLOAD_SIZE_MAX + 1)));
}

static void
batch_fill(struct check_batch *batch, uint8_t suite, uint16_t size)
{
	unsigned i;

	for (i = 0; i < TAG_BATCH_MAX; i++) {
		struct key_slot *slot = &batch->slots[i];

		randombytes_buf(slot, sizeof(*slot));
		slot->suite = suite != CHECK_ANY ? suite : (uint8_t)(1 + randombytes_uniform(4));
		tag_subkey(slot->k1, slot->tag_key, cred_suite_key_size(slot->suite));
		batch->slot_list[i] = slot;
		batch->sizes[i] = size_pick(i, size);
		randombytes_buf(batch->clear[i], batch->sizes[i]);
	}
}

static void
rows_of(uint8_t *rows[TAG_BATCH_MAX], uint8_t bytes[TAG_BATCH_MAX][CRED_SIZE_MAX])
{
	unsigned i;

	for (i = 0; i < TAG_BATCH_MAX; i++)
		rows[i] = bytes[i];
}

static bool
batch_is_verified(struct tag_engine *engine, struct check_batch *batch, unsigned count,
	const uint8_t *const *msgs)
{
	const uint64_t all = count == 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
	struct tag_identity ids[TAG_BATCH_MAX];
	unsigned i;

	if (tag_batch_verify(engine, batch->slot_list, msgs, batch->sizes, ids, count) != all)
		return false;
	for (i = 0; i < count; i++) {
		if (memcmp(ids[i].bytes, batch->clear[i] + CRED_SEALED_FIRST, AES_BLOCK_SIZE) != 0)
			return false;
	}
	return true;
}

/* The payloads as sealed, unsealed to `again`, are those in clear. */
static bool
batch_is_unsealed(struct tag_engine *engine, struct check_batch *batch, unsigned count)
{
	const uint8_t *srcs[TAG_BATCH_MAX];
	uint8_t *dsts[TAG_BATCH_MAX];
	uint64_t serials[TAG_BATCH_MAX];
	uint32_t salts[TAG_BATCH_MAX];
	uint16_t sizes[TAG_BATCH_MAX];
	unsigned i;

	for (i = 0; i < TAG_BATCH_MAX; i++) {
		srcs[i] = batch->sealed[i] + CRED_AT_PAYLOAD;
		dsts[i] = batch->again[i];
		serials[i] = load_be64(batch->sealed[i] + CRED_AT_SERIAL);
		memcpy(&salts[i], batch->sealed[i] + CRED_AT_SALT, sizeof(salts[i]));
		sizes[i] = batch->sizes[i] - CRED_HEADER_SIZE;
	}
	tag_batch_unseal(engine, batch->slot_list, serials, salts, srcs, dsts, sizes, count);
	for (i = 0; i < count; i++) {
		if (memcmp(dsts[i], batch->clear[i] + CRED_AT_PAYLOAD, sizes[i]) != 0)
			return false;
	}
	return true;
}

/* With one bit of each of `bad` changed, anywhere in message or tag, exactly those are refused. */
static bool
batch_is_told_apart(struct tag_engine *engine, struct check_batch *batch, unsigned count,
	const uint8_t *const *msgs, uint64_t bad)
{
	const uint64_t all = count == 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
	struct tag_identity ids[TAG_BATCH_MAX];
	uint16_t at[TAG_BATCH_MAX];
	bool is_silent = true;
	uint64_t proved;
	unsigned i;

	for (i = 0; i < TAG_BATCH_MAX; i++) {
		at[i] = (uint16_t)randombytes_uniform(batch->sizes[i] + CRED_TAG_SIZE);
		batch->sealed[i][at[i]] ^= (bad >> i & 1) << 6;
	}
	proved = tag_batch_verify(engine, batch->slot_list, msgs, batch->sizes, ids, count);
	for (i = 0; i < TAG_BATCH_MAX; i++)
		batch->sealed[i][at[i]] ^= (bad >> i & 1) << 6;
	for (i = 0; i < count; i++) {
		if (bad >> i & 1)
			is_silent &= sodium_is_zero(ids[i].bytes, sizeof(ids[i].bytes));
	}
	return proved == (all & ~bad) && is_silent;
}

/* A random half, then the other half: every lane is seen good and bad beside both. */
static bool
batch_is_refused(struct tag_engine *engine, struct check_batch *batch, unsigned count,
	const uint8_t *const *msgs)
{
	uint64_t bad;

	randombytes_buf(&bad, sizeof(bad));
	return batch_is_told_apart(engine, batch, count, msgs, bad) &&
	       batch_is_told_apart(engine, batch, count, msgs, ~bad);
}

/* What `sealer` seals, `other` must seal alike, prove, refuse with a bit changed, and unseal. */
static bool
batch_agrees(struct tag_engine *sealer, struct tag_engine *other, struct check_batch *batch,
	unsigned count)
{
	uint8_t *sealed[TAG_BATCH_MAX], *again[TAG_BATCH_MAX];

	rows_of(sealed, batch->sealed);
	rows_of(again, batch->again);
	memcpy(batch->sealed, batch->clear, sizeof(batch->sealed));
	memcpy(batch->again, batch->clear, sizeof(batch->again));
	tag_batch_seal(sealer, batch->slot_list, sealed, batch->sizes, count);
	tag_batch_seal(other, batch->slot_list, again, batch->sizes, count);
	return memcmp(batch->sealed, batch->again, sizeof(batch->sealed)) == 0 &&
	       batch_is_verified(other, batch, count, (const uint8_t *const *)sealed) &&
	       batch_is_refused(other, batch, count, (const uint8_t *const *)sealed) &&
	       batch_is_unsealed(other, batch, count);
}

/* A full batch, whose every lane counts, and part of one. */
static bool
cross_check_batch(struct tag_engine *a, struct tag_engine *b, struct check_batch *batch,
	uint8_t suite, uint16_t size)
{
	batch_fill(batch, suite, size);
	return batch_agrees(a, b, batch, TAG_BATCH_MAX) &&
	       batch_agrees(a, b, batch, 1 + randombytes_uniform(TAG_BATCH_MAX));
}

/*
 * Kernels have ways of their own for batches that are uniform, of whole blocks, or neither: each is
 * gone for every suite, and for suites mixed.
 */
static bool
cross_check(struct tag_engine *a, struct tag_engine *b, struct check_batch *batch)
{
	static const uint16_t sizes[] = {
		CHECK_ANY, CRED_HEADER_SIZE, CRED_HEADER_SIZE + 7, CRED_HEADER_SIZE + 32};
	uint8_t suite;
	size_t i;

	for (suite = CHECK_ANY; suite < CRED_SUITE_COUNT; suite++) {
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			if (!cross_check_batch(a, b, batch, suite, sizes[i]))
				return false;
		}
	}
	return true;
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The shortest time of a batch of the smallest sealed credentials: others' load only adds to it. */
static uint64_t
measure(struct tag_engine *engine, struct check_batch *batch)
{
	struct tag_identity ids[TAG_BATCH_MAX];
	uint8_t *rows[TAG_BATCH_MAX];
	uint64_t begin_ns, batch_ns, best_ns = UINT64_MAX;
	unsigned i;

	rows_of(rows, batch->clear);
	for (i = 0; i < MEASURE_BATCHES; i++) {
		begin_ns = now_ns();
		if (tag_batch_verify(engine, batch->slot_list, (const uint8_t *const *)rows,
			    batch->sizes, ids, TAG_BATCH_MAX) != 0)
			return UINT64_MAX; /* random bytes proved: impossible, so never the best */
		batch_ns = now_ns() - begin_ns;
		if (batch_ns < best_ns)
			best_ns = batch_ns;
	}
	return best_ns;
}

/* Known answers and cross-checks; 0, or -EILSEQ and the reason in `why`. */
static int
engines_check(const struct tag_kernel *const *kernels, struct tag_engine *const *engines,
	unsigned kernel_count, struct check_batch *batch, char *why, size_t why_size)
{
	struct tag_engine *first = NULL;
	const char *first_name = NULL;
	unsigned k;

	for (k = 0; k < kernel_count; k++) {
		if (engines[k] == NULL)
			continue;
		if (!known_answers(engines[k], kernels[k])) {
			snprintf(why, why_size,
				"tag kernel %s fails a known-answer test: refusing to run",
				kernels[k]->name);
			return -EILSEQ;
		}
		if (first == NULL) {
			first = engines[k];
			first_name = kernels[k]->name;
		}
		if (!cross_check(first, engines[k], batch)) {
			snprintf(why, why_size, "tag kernels %s and %s disagree: refusing to run",
				first_name, kernels[k]->name);
			return -EILSEQ;
		}
	}
	return 0;
}

static int
choose_fastest(const struct tag_kernel *const *kernels, struct tag_engine *const *engines,
	unsigned kernel_count, struct check_batch *batch, char *why, size_t why_size)
{
	uint64_t batch_ns, best_ns = UINT64_MAX;
	unsigned k, best = 0;

	batch_fill(batch, CRED_SUITE_DEFAULT, CRED_HEADER_SIZE);
	for (k = 0; k < kernel_count; k++) {
		if (engines[k] == NULL)
			continue;
		batch_ns = measure(engines[k], batch);
		if (batch_ns <= best_ns) {
			best_ns = batch_ns;
			best = k;
		}
	}
	snprintf(why, why_size, "tag kernel %s, the fastest here; all kernels agree",
		kernels[best]->name);
	return (int)kernels[best]->id;
}

static int
choose_wanted(const struct tag_kernel *const *kernels, struct tag_engine *const *engines,
	unsigned kernel_count, enum tag_kernel_id wanted, char *why, size_t why_size)
{
	unsigned k;

	for (k = 0; k < kernel_count; k++) {
		if (engines[k] != NULL && kernels[k]->id == wanted) {
			snprintf(why, why_size, "tag kernel %s, as configured; all kernels agree",
				kernels[k]->name);
			return (int)wanted;
		}
	}
	snprintf(why, why_size, "this CPU cannot run the tag kernel asked for; set kernel: auto");
	return -ENOTSUP;
}

/* One engine per supported kernel; returns how many. */
static unsigned
engines_create(const struct tag_kernel *const *kernels, struct tag_engine **engines, unsigned count)
{
	unsigned k, made = 0;

	for (k = 0; k < count; k++) {
		engines[k] = tag_engine_create_from(kernels[k]);
		made += engines[k] != NULL;
	}
	return made;
}

static int
check_and_choose(const struct tag_kernel *const *kernels, struct tag_engine *const *engines,
	unsigned kernel_count, enum tag_kernel_id wanted, char *why, size_t why_size)
{
	struct check_batch *batch = sodium_malloc(sizeof(*batch));
	int rc;

	if (batch == NULL) {
		snprintf(why, why_size, "no memory to check the tag kernels");
		return -ENOMEM;
	}
	rc = engines_check(kernels, engines, kernel_count, batch, why, why_size);
	if (rc == 0 && wanted == TAG_KERNEL_AUTO)
		rc = choose_fastest(kernels, engines, kernel_count, batch, why, why_size);
	else if (rc == 0)
		rc = choose_wanted(kernels, engines, kernel_count, wanted, why, why_size);
	sodium_free(batch);
	return rc;
}

int
tag_check_choose(const struct tag_kernel *const *kernels, unsigned kernel_count,
	enum tag_kernel_id wanted, char *why, size_t why_size)
{
	struct tag_engine *engines[TAG_KERNELS_MAX] = {NULL};
	unsigned k;
	int rc;

	assert(kernel_count <= TAG_KERNELS_MAX);
	if (sodium_init() < 0 || engines_create(kernels, engines, kernel_count) == 0) {
		snprintf(why, why_size,
			"no tag kernel runs on this CPU: it needs AES-NI (check the BIOS, or the "
			"CPU model of the virtual machine)");
		return -ENOTSUP;
	}
	rc = check_and_choose(kernels, engines, kernel_count, wanted, why, why_size);
	for (k = 0; k < kernel_count; k++)
		tag_engine_destroy(engines[k]);
	return rc;
}

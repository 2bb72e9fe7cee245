/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/peers/corpus.h"

#include <errno.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/tag.h"

struct minter {
	struct corpus *corpus;
	const struct corpus_params *params;
	const struct realm *realm;
	struct tag_engine *engine; /* scheme cmac128 */
	struct key_slot *slots;    /* of each node; 0 is unused */
	uint64_t *serials;         /* next one of each node */
	uint64_t random;
	uint64_t now_us;
};

int
corpus_scheme_find(const char *name)
{
	static const char *const names[CORPUS_SCHEME_COUNT] = {"cmac128", "hmac"};
	int i;

	for (i = 0; i < CORPUS_SCHEME_COUNT; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

/* xorshift64*: neither a cache nor a predictor shall know which node comes next. */
static uint64_t
draw(struct minter *minter)
{
	minter->random ^= minter->random >> 12;
	minter->random ^= minter->random << 25;
	minter->random ^= minter->random >> 27;
	return minter->random * 0x2545f4914f6cdd1dull;
}

/*
 * High half: seconds. Low half: 4,096 serials for each microsecond, so that a run begins above
 * whatever one before it used, as long as that took longer than 1 us for 4,096 of one node.
 */
static uint64_t
serial_first(uint64_t now_us)
{
	return (now_us / 1000000) << 32 | (now_us % 1000000 * 4096 + 1);
}

static bool
minter_init(struct minter *minter)
{
	uint8_t key[KDF_KEY_SIZE];
	uint32_t i;

	minter->now_us = realm_now_us();
	minter->random = 0x9e3779b97f4a7c15ull;
	minter->slots = calloc(minter->realm->nodes + (size_t)1, sizeof(minter->slots[0]));
	minter->serials = calloc(minter->realm->nodes + (size_t)1, sizeof(minter->serials[0]));
	if (minter->slots == NULL || minter->serials == NULL)
		return false;
	for (i = 1; i <= minter->realm->nodes; i++) {
		realm_node_key(minter->realm, i, key);
		kdf_slot_request(&minter->slots[i], key, CRED_SUITE_CMAC128);
		if (minter->params->scheme == CORPUS_HMAC)
			memcpy(minter->slots[i].tag_key, key, sizeof(key));
		minter->serials[i] = serial_first(minter->now_us);
	}
	return true;
}

static void
minter_fini(struct minter *minter)
{
	if (minter->engine != NULL)
		tag_engine_destroy(minter->engine);
	free(minter->slots);
	free(minter->serials);
}

/* In clear, without its tag. */
static void
msg_build(struct minter *minter, uint8_t *msg, uint32_t node)
{
	struct cred_fields fields = {
		.suite = CRED_SUITE_CMAC128,
		.kind = CRED_KIND_ASSERT,
		.epoch = REALM_EPOCH,
		.realm = minter->realm->id,
		.node = node,
		.serial = minter->serials[node]++,
		.issued_us = minter->now_us,
		.uid = 1000,
		.gid = 100,
		.auth_uid = CRED_ID_ANYONE,
		.auth_gid = CRED_ID_ANYONE,
	};
	const uint32_t salt = (uint32_t)draw(minter);

	memcpy(fields.salt, &salt, sizeof(fields.salt));
	memcpy(fields.origin, minter->params->origin, sizeof(fields.origin));
	cred_build(msg, CORPUS_CRED_SIZE, &fields);
}

static void
tags_hmac(const struct key_slot *const *slots, uint8_t *const *msgs, unsigned count)
{
	uint8_t tag[crypto_auth_BYTES];
	unsigned i;

	for (i = 0; i < count; i++) {
		crypto_auth(tag, msgs[i], CRED_HEADER_SIZE, slots[i]->tag_key);
		memcpy(msgs[i] + CRED_HEADER_SIZE, tag, CRED_TAG_SIZE);
	}
}

static void
batch_mint(struct minter *minter, uint8_t *first, unsigned count)
{
	const struct key_slot *slots[TAG_BATCH_MAX];
	uint16_t sizes[TAG_BATCH_MAX];
	uint8_t *msgs[TAG_BATCH_MAX];
	unsigned i;

	for (i = 0; i < count; i++) {
		const uint32_t node =
			1 + (uint32_t)((draw(minter) >> 32) * minter->realm->nodes >> 32);

		slots[i] = &minter->slots[node];
		sizes[i] = CRED_HEADER_SIZE;
		msgs[i] = first + (size_t)i * CORPUS_CRED_SIZE;
		msg_build(minter, msgs[i], node);
	}
	if (minter->params->scheme == CORPUS_HMAC)
		tags_hmac(slots, msgs, count);
	else
		tag_batch_seal(minter->engine, slots, msgs, sizes, count);
}

static bool
share(struct minter *minter, unsigned percent)
{
	return draw(minter) % 100 < percent;
}

/* Spoils shares of what is genuine so far. The one replayed is genuine itself, and stays so. */
static void
spoil(struct minter *minter)
{
	struct corpus *corpus = minter->corpus;
	size_t i, last_genuine = 0;

	for (i = 0; i < corpus->count; i++) {
		uint8_t *msg = corpus->msgs + i * CORPUS_CRED_SIZE;

		if (share(minter, minter->params->forged_percent)) {
			msg[CRED_HEADER_SIZE] ^= 1;
			corpus->forged++;
		} else if (corpus->genuine > 0 && share(minter, minter->params->replayed_percent)) {
			memcpy(msg, corpus->msgs + last_genuine * CORPUS_CRED_SIZE,
				CORPUS_CRED_SIZE);
			corpus->replayed++;
		} else {
			last_genuine = i;
			corpus->genuine++;
		}
	}
}

static int
engine_create(struct minter *minter)
{
	char why[160];
	int kernel;

	if (minter->params->scheme == CORPUS_HMAC)
		return 0;
	kernel = tag_kernel_choose(TAG_KERNEL_AUTO, why, sizeof(why));
	if (kernel < 0)
		return -ENOTSUP;
	minter->engine = tag_engine_create((enum tag_kernel_id)kernel);
	return minter->engine != NULL ? 0 : -ENOMEM;
}

int
corpus_mint(struct corpus *corpus, const struct realm *realm, const struct corpus_params *params)
{
	struct minter minter = {.corpus = corpus, .params = params, .realm = realm};
	int status = -ENOMEM;
	size_t i;

	*corpus = (struct corpus){.count = params->count};
	corpus->msgs = malloc(params->count * CORPUS_CRED_SIZE);
	if (corpus->msgs != NULL && minter_init(&minter))
		status = engine_create(&minter);
	for (i = 0; status == 0 && i < params->count; i += TAG_BATCH_MAX)
		batch_mint(&minter, corpus->msgs + i * CORPUS_CRED_SIZE,
			params->count - i < TAG_BATCH_MAX ? (unsigned)(params->count - i)
							  : TAG_BATCH_MAX);
	if (status == 0)
		spoil(&minter);
	else
		corpus_free(corpus);
	minter_fini(&minter);
	return status;
}

void
corpus_free(struct corpus *corpus)
{
	free(corpus->msgs);
	corpus->msgs = NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The reference kernel: Intel IPsec-MB's job interface, on every x86 with AES-NI. It wants expanded
 * keys, so each batch expands them into the engine's scratch first (the library's own expansion),
 * which is what a user of that library with many keys would do too.
 */

#include <errno.h>
/* Without the library's old names, some of which are ours. */
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#include <sodium.h>

#include "crypto/cpu_priv.h"
#include "crypto/ct.h"
#include "crypto/tag_priv.h"

#define SCHEDULE_SIZE (AES_BLOCK_SIZE * (AES_ROUNDS_MAX + 1))

struct lane {
	alignas(AES_BLOCK_SIZE) uint8_t encrypt[SCHEDULE_SIZE];
	uint8_t decrypt[SCHEDULE_SIZE]; /* the library always makes both */
	uint8_t k2[AES_BLOCK_SIZE];
	uint8_t tag[CRED_TAG_SIZE];
	struct tag_identity identity;
};

struct scratch {
	IMB_MGR *manager;
	struct lane lanes[TAG_BATCH_MAX];
};

static void
key_expand(struct scratch *scratch, struct lane *lane, const uint8_t *key, uint8_t suite)
{
	if (tag_suite_rounds(suite) == 10)
		IMB_AES_KEYEXP_128(scratch->manager, key, lane->encrypt, lane->decrypt);
	else
		IMB_AES_KEYEXP_256(scratch->manager, key, lane->encrypt, lane->decrypt);
}

/* Jobs point at their results: what comes back needs no look. */
static void
jobs_flush(struct scratch *scratch)
{
	while (IMB_FLUSH_JOB(scratch->manager) != NULL)
		;
}

static void
cmac_submit(struct scratch *scratch, uint8_t suite, struct lane *lane, const struct key_slot *slot,
	const uint8_t *msg, unsigned size)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(scratch->manager);

	key_expand(scratch, lane, slot->tag_key, suite);
	tag_subkey_double(lane->k2, slot->k1);
	job->cipher_mode = IMB_CIPHER_NULL;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_HASH_CIPHER;
	job->hash_alg = tag_suite_rounds(suite) == 10 ? IMB_AUTH_AES_CMAC : IMB_AUTH_AES_CMAC_256;
	job->src = msg;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = size;
	job->auth_tag_output = lane->tag;
	job->auth_tag_output_len_in_bytes = CRED_TAG_SIZE;
	job->u.CMAC._key_expanded = lane->encrypt;
	job->u.CMAC._skey1 = slot->k1;
	job->u.CMAC._skey2 = lane->k2;
	IMB_SUBMIT_JOB_NOCHECK(scratch->manager);
}

static void
cmac_batch(struct scratch *scratch, uint8_t suite, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		cmac_submit(scratch, suite, &scratch->lanes[i], slots[i], msgs[i], sizes[i]);
	jobs_flush(scratch);
}

static void
ctr_submit(struct scratch *scratch, uint8_t suite, struct lane *lane, const struct key_slot *slot,
	const struct tag_counter *counter, const uint8_t *src, uint8_t *dst, unsigned size)
{
	IMB_JOB *job = IMB_GET_NEXT_JOB(scratch->manager);

	key_expand(scratch, lane, slot->seal_key, suite);
	job->cipher_mode = IMB_CIPHER_CNTR;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_CIPHER_HASH;
	job->hash_alg = IMB_AUTH_NULL;
	job->enc_keys = lane->encrypt;
	job->dec_keys = lane->encrypt;
	job->key_len_in_bytes =
		tag_suite_rounds(suite) == 10 ? IMB_KEY_128_BYTES : IMB_KEY_256_BYTES;
	job->iv = counter->bytes;
	job->iv_len_in_bytes = AES_BLOCK_SIZE;
	job->src = src;
	job->dst = dst;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = size;
	IMB_SUBMIT_JOB_NOCHECK(scratch->manager);
}

static void
ipsecmb_ctr(void *context, uint8_t suite, const struct key_slot *const *slots,
	const struct tag_counter *counters, const uint8_t *const *srcs, uint8_t *const *dsts,
	const uint16_t *sizes, unsigned count)
{
	struct scratch *scratch = context;
	unsigned i;

	for (i = 0; i < count; i++) {
		/* A length of 0 is an error to the library. */
		if (sizes[i] > 0)
			ctr_submit(scratch, suite, &scratch->lanes[i], slots[i], &counters[i],
				srcs[i], dsts[i], sizes[i]);
	}
	jobs_flush(scratch);
}

static void
identities_batch(struct scratch *scratch, uint8_t suite, const struct key_slot *const *slots,
	const uint8_t *const *msgs, unsigned count)
{
	struct tag_counter counters[TAG_BATCH_MAX];
	unsigned i;

	for (i = 0; i < count; i++) {
		struct lane *lane = &scratch->lanes[i];

		memcpy(lane->identity.bytes, msgs[i] + CRED_SEALED_FIRST, AES_BLOCK_SIZE);
		if (!cred_suite_is_sealed(suite))
			continue;
		tag_counter_of(&counters[i], msgs[i]);
		ctr_submit(scratch, suite, lane, slots[i], &counters[i],
			msgs[i] + CRED_SEALED_FIRST, lane->identity.bytes, AES_BLOCK_SIZE);
	}
	jobs_flush(scratch);
}

static uint64_t
ipsecmb_verify(void *context, uint8_t suite, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, struct tag_identity *ids, unsigned count)
{
	struct scratch *scratch = context;
	uint64_t proved = 0;
	unsigned i, b;

	cmac_batch(scratch, suite, slots, msgs, sizes, count);
	identities_batch(scratch, suite, slots, msgs, count);
	for (i = 0; i < count; i++) {
		struct lane *lane = &scratch->lanes[i];
		const uint64_t mask = ct_mask_equal16(lane->tag, msgs[i] + sizes[i]);

		for (b = 0; b < sizeof(ids[i].bytes); b++)
			ids[i].bytes[b] = lane->identity.bytes[b] & (uint8_t)mask;
		proved |= (mask & 1) << i;
	}
	return proved;
}

static void
ipsecmb_seal(void *context, uint8_t suite, const struct key_slot *const *slots,
	uint8_t *const *msgs, const uint16_t *sizes, unsigned count)
{
	struct scratch *scratch = context;
	struct tag_counter counters[TAG_BATCH_MAX];
	unsigned i;

	for (i = 0; cred_suite_is_sealed(suite) && i < count; i++) {
		uint8_t *sealed = msgs[i] + CRED_SEALED_FIRST;

		tag_counter_of(&counters[i], msgs[i]);
		ctr_submit(scratch, suite, &scratch->lanes[i], slots[i], &counters[i], sealed,
			sealed, sizes[i] - CRED_SEALED_FIRST);
	}
	jobs_flush(scratch);
	cmac_batch(scratch, suite, slots, (const uint8_t *const *)msgs, sizes, count);
	for (i = 0; i < count; i++)
		memcpy(msgs[i] + sizes[i], scratch->lanes[i].tag, CRED_TAG_SIZE);
}

static int
ipsecmb_init(void *context)
{
	struct scratch *scratch = context;

	scratch->manager = alloc_mb_mgr(0);
	if (scratch->manager == NULL)
		return -ENOMEM;
	init_mb_mgr_auto(scratch->manager, NULL);
	return 0;
}

/* The manager holds states of messages on their way. */
static void
ipsecmb_fini(void *context)
{
	struct scratch *scratch = context;

	sodium_memzero(scratch->manager, imb_get_mb_mgr_size());
	free_mb_mgr(scratch->manager);
}

const struct tag_kernel tag_kernel_ipsecmb = {
	.id = TAG_KERNEL_IPSECMB,
	.name = "ipsecmb",
	.is_supported = cpu_has_aesni,
	.scratch_size = sizeof(struct scratch),
	.scratch_init = ipsecmb_init,
	.scratch_fini = ipsecmb_fini,
	.verify = ipsecmb_verify,
	.seal = ipsecmb_seal,
	.ctr = ipsecmb_ctr,
};

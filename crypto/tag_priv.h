/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Between tag.c, which splits batches by suite, and the kernels, which do the work. Not for other
 * folders.
 */

#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crypto/tag.h"
#include "wire/cred.h"

#define AES_BLOCK_SIZE    16u
#define AES_ROUNDS_MAX    14u
#define TAG_MSG_SIZE_MAX  (CRED_SIZE_MAX - CRED_TAG_SIZE)
#define TAG_BLOCKS_MAX    (TAG_MSG_SIZE_MAX / AES_BLOCK_SIZE)
#define TAG_SCRATCH_ALIGN 64u
#define TAG_KERNELS_MAX   8u

/* A whole counter block (NIST SP 800-38A): salt, serial, and the number, the part that counts. */
struct tag_counter {
	uint8_t bytes[AES_BLOCK_SIZE];
};

/*
 * A kernel. Every call has one suite, the same for all of its `count` (1 ... TAG_BATCH_MAX) inputs;
 * scratch is the engine's, TAG_SCRATCH_ALIGN aligned, zeroed before scratch_init. Messages, sizes
 * and results are those of tag_batch_verify and tag_batch_seal.
 *
 * So that published test vectors can be run on the real code, the unsealed suites MUST also work
 * for sizes 0 ... 79 if 80 bytes can be read at msgs[i].
 */
struct tag_kernel {
	enum tag_kernel_id id;
	const char *name;
	bool (*is_supported)(void);
	size_t scratch_size;
	int (*scratch_init)(void *scratch);  /* 0 or -errno */
	void (*scratch_fini)(void *scratch); /* MUST wipe what lies outside the scratch */

	uint64_t (*verify)(void *scratch, uint8_t suite, const struct key_slot *const *slots,
		const uint8_t *const *msgs, const uint16_t *sizes, struct tag_identity *ids,
		unsigned count);
	void (*seal)(void *scratch, uint8_t suite, const struct key_slot *const *slots,
		uint8_t *const *msgs, const uint16_t *sizes, unsigned count);

	/*
	 * AES-CTR under seal_key: the sizes[i] (0 ... TAG_MSG_SIZE_MAX) bytes at srcs[i] go to
	 * dsts[i], which may be the same; nothing is read or written past them. Sealed suites only.
	 */
	void (*ctr)(void *scratch, uint8_t suite, const struct key_slot *const *slots,
		const struct tag_counter *counters, const uint8_t *const *srcs,
		uint8_t *const *dsts, const uint16_t *sizes, unsigned count);
};

extern const struct tag_kernel tag_kernel_ipsecmb;
extern const struct tag_kernel tag_kernel_aesni;
extern const struct tag_kernel tag_kernel_vaes512;

/* Numbers of the inputs, those of fewer blocks first: lanes of one length waste nothing. */
void tag_order(uint8_t order[TAG_BATCH_MAX], const uint16_t *sizes, unsigned count);

/* Some blocks of one message, the last perhaps partial: what one lane of a kernel's CTR does. */
struct tag_piece {
	const struct key_slot *slot;
	const struct tag_counter *counter; /* of the message */
	const uint8_t *src;
	uint8_t *dst;    /* may be src */
	uint32_t size;   /* 1 ... TAG_MSG_SIZE_MAX */
	uint32_t number; /* to add to the counter: blocks of the message before this piece */
};

typedef void tag_pieces_t(
	void *scratch, uint8_t suite, const struct tag_piece *pieces, unsigned count);

/*
 * A kernel's ctr for `lanes` (up to TAG_BATCH_MAX) lanes: cuts the messages into pieces, as few
 * blocks to a piece as fill all lanes, and hands them to `run`, those of short messages first,
 * 1 ... lanes at a time. So a burst of short payloads fills the lanes with messages, and a single
 * long one with its own blocks.
 */
void tag_pieces_run(unsigned lanes, tag_pieces_t *run, void *scratch, uint8_t suite,
	const struct key_slot *const *slots, const struct tag_counter *counters,
	const uint8_t *const *srcs, uint8_t *const *dsts, const uint16_t *sizes, unsigned count);

/*
 * Seals bytes [first, size) of each message in place. `first` is CRED_SEALED_FIRST, or
 * CRED_AT_PAYLOAD for a kernel that seals what lies between while it tags.
 */
void tag_pieces_seal(unsigned lanes, tag_pieces_t *run, void *scratch, uint8_t suite,
	const struct key_slot *const *slots, uint8_t *const *msgs, const uint16_t *sizes,
	unsigned first, unsigned count);

/* An engine of a kernel that need not be in the table; NULL with errno ENOTSUP or ENOMEM. */
struct tag_engine *tag_engine_create_from(const struct tag_kernel *kernel);

/* The scratch to hand to the kernel's own functions. */
void *tag_engine_scratch(struct tag_engine *engine);

/* tag_kernel_choose over another table: a test puts a broken kernel in it. */
int tag_check_choose(const struct tag_kernel *const *kernels, unsigned kernel_count,
	enum tag_kernel_id wanted, char *why, size_t why_size);

/* AES of one block with the CPU's instructions (tag_aesni.c) and without (aes_soft.c). */
void tag_aesni_block(uint8_t block[AES_BLOCK_SIZE], const uint8_t *key, unsigned key_size);
void aes_soft_block(uint8_t block[AES_BLOCK_SIZE], const uint8_t *key, unsigned key_size);

/* Doubling in GF(2^128) as CMAC wants it: K1 from the encrypted zero block, K2 from K1. */
void tag_subkey_double(uint8_t out[AES_BLOCK_SIZE], const uint8_t in[AES_BLOCK_SIZE]);

static inline unsigned
tag_suite_rounds(uint8_t suite)
{
	return cred_suite_key_size(suite) == 16 ? 10 : 14;
}

/* Blocks under a CMAC: an empty message is one padded block. */
static inline unsigned
tag_block_count(unsigned size)
{
	return size == 0 ? 1 : (size + AES_BLOCK_SIZE - 1) / AES_BLOCK_SIZE;
}

static inline void
tag_counter_build(struct tag_counter *counter, uint32_t salt, uint64_t serial, uint32_t number)
{
	memcpy(counter->bytes, &salt, sizeof(salt));
	store_be64(counter->bytes + 4, serial);
	store_be32(counter->bytes + 12, number);
}

/* The first counter block of the credential at msg. */
static inline void
tag_counter_of(struct tag_counter *counter, const uint8_t *msg)
{
	memcpy(counter->bytes, msg + CRED_AT_SALT, 4);
	memcpy(counter->bytes + 4, msg + CRED_AT_SERIAL, 8);
	memset(counter->bytes + 12, 0, 4);
}

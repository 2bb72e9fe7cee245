/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the tests of tag kernels share: OpenSSL as the second implementation, buffers between
 * unmapped pages, random batches, and the kernel named on the command line.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/crypto.h"
#include "crypto/tag_priv.h"

#define FENCE_PLACES TAG_BATCH_MAX
#define SKIPPED      77 /* exit code meson takes for a skipped test */

/* Places of up to a page, each with an unmapped page before and behind it. */
struct fence {
	uint8_t *map;
	size_t page_size;
};

/* 64 credentials; msgs[i] are sealed and tagged by OpenSSL from clears[i]. */
struct batch {
	struct fence msg_fence;
	struct fence slot_fence;
	struct key_slot *slots[TAG_BATCH_MAX];
	uint8_t *msgs[TAG_BATCH_MAX];
	uint8_t clears[TAG_BATCH_MAX][CRED_SIZE_MAX];
	uint8_t wires[TAG_BATCH_MAX][CRED_SIZE_MAX]; /* what msgs hold when nobody spoils them */
	uint16_t sizes[TAG_BATCH_MAX];
	struct tag_identity ids[TAG_BATCH_MAX];
};

void fence_init(struct fence *fence);
void fence_fini(struct fence *fence);

/*
 * `size` bytes in place `index`: of even places the last ones before the unmapped page, of odd
 * places the first ones behind it.
 */
uint8_t *fence_place(const struct fence *fence, unsigned index, size_t size);

/* A random number of the test's own sequence, the same in every run, below `limit`. */
uint32_t fixture_random(uint32_t limit);
void fixture_random_bytes(void *bytes, size_t size);

void model_cmac(uint8_t tag[CRED_TAG_SIZE], const uint8_t *key, unsigned key_size,
	const uint8_t *msg, size_t size);
void model_ctr(const uint8_t *key, unsigned key_size, const struct tag_counter *counter,
	const uint8_t *src, uint8_t *dst, size_t size);
void model_block(uint8_t block[AES_BLOCK_SIZE], const uint8_t *key, unsigned key_size);

/* Seals and tags as docs/wire-format.md says, with OpenSSL alone. */
void model_seal(const struct key_slot *slot, uint8_t *msg, unsigned size);

void batch_init(struct batch *batch);
void batch_fini(struct batch *batch);

/* Credential `index` anew: random bytes and keys, sealed. */
void batch_fill(struct batch *batch, unsigned index, uint8_t suite, unsigned size);

/* Puts back the bytes of msgs[index]. */
void batch_restore(struct batch *batch, unsigned index);

/*
 * Verifies the first `count` and fails the test unless exactly those of `expected` are proved, with
 * the right identities, and the others' identities are zero.
 */
void batch_expect(
	struct batch *batch, struct tag_engine *engine, unsigned count, uint64_t expected);

/* Bits 0 ... count - 1. */
static inline uint64_t
bits_below(unsigned count)
{
	return count == 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
}

/*
 * The kernel argv names; ends the program with SKIPPED and the reason if this CPU cannot run it.
 */
const struct tag_kernel *fixture_kernel(int argc, char **argv);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the tests of tag kernels share: random numbers that come again, the kernel named on the
 * command line, and batches whose right answers come from oracle.h.
 */

#include "crypto/tag.h"
#include "crypto/tag_priv.h"

/* Splitmix64: the same numbers in every run, so that a failure can be repeated. */
struct random {
	uint64_t state;
};

uint64_t random_next(struct random *random);
unsigned random_below(struct random *random, unsigned limit);
void random_fill(struct random *random, void *out, size_t size);

#define FIXTURE_KERNEL_COUNT 3u
extern const struct tag_kernel *const fixture_kernels[FIXTURE_KERNEL_COUNT];

/*
 * The kernel that the program's one argument names. Ends the program with 77 and the reason if this
 * CPU cannot run it, with 2 if there is no such kernel.
 */
const struct tag_kernel *fixture_kernel(int argc, char **argv);

/* An engine, or the end of the program. */
struct tag_engine *fixture_engine(const struct tag_kernel *kernel);

/* Bits of the first `count` inputs. */
uint64_t fixture_all(unsigned count);

/*
 * A batch: `clear` before sealing, `sent` as the oracle sealed and tagged it. All of a slot is
 * random, the unused halves of its keys too: no kernel may depend on them.
 */
struct batch {
	struct key_slot slots[TAG_BATCH_MAX];
	const struct key_slot *slot_list[TAG_BATCH_MAX];
	uint16_t sizes[TAG_BATCH_MAX];
	uint8_t clear[TAG_BATCH_MAX][CRED_SIZE_MAX];
	uint8_t sent[TAG_BATCH_MAX][CRED_SIZE_MAX];
	uint8_t work[TAG_BATCH_MAX][CRED_SIZE_MAX]; /* for the test */
	const uint8_t *msgs[TAG_BATCH_MAX];         /* rows of sent */
	uint8_t *rows[TAG_BATCH_MAX];               /* rows of work */
};

/* Allocates; never NULL. */
struct batch *batch_create(void);
void batch_destroy(struct batch *batch);

/* A random key of this suite, with the oracle's K1. */
void batch_slot(struct key_slot *slot, struct random *random, uint8_t suite);

/* Fills input i: random key and message, sealed and tagged by the oracle. */
void batch_input(
	struct batch *batch, struct random *random, unsigned i, uint8_t suite, uint16_t size);

/* Inputs 0 ... count - 1, all of one suite and size. */
void batch_uniform(
	struct batch *batch, struct random *random, uint8_t suite, uint16_t size, unsigned count);

/* Inputs 0 ... count - 1 of any suites and sizes; every other one of the least size. */
void batch_mixed(struct batch *batch, struct random *random, unsigned count);

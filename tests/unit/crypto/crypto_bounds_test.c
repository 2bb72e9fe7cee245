/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * One tag kernel, named by the argument, touches what it may and nothing else. Every array and
 * every message lies against a page that faults, after it or before it: verify reads up to
 * msgs[i] + sizes[i] + 16, seal writes that far, unseal no more than the payload, and no array is
 * looked at beyond `count`. Bytes on the other side must come out as they went in.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/crypto/fixture.h"
#include "tests/unit/crypto/oracle.h"
#include "tests/unit/wire/guard.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define CANARY          0xa5

static const struct tag_kernel *kernel;
static struct tag_engine *engine;

static const unsigned counts[] = {1, 3, 8, 15, 16, 17, 40, 64};

/* Where the fault is: at the end of each thing, or before its beginning. */
enum side {
	SIDE_HIGH,
	SIDE_LOW,
	SIDE_COUNT
};

/* Guarded memory for one batch. */
struct rig {
	struct guard msgs[TAG_BATCH_MAX], dsts[TAG_BATCH_MAX], slots[TAG_BATCH_MAX];
	struct guard slot_list, msg_list, dst_list, size_list, id_list, serial_list, salt_list;
};

/* One batch placed in it. */
struct placed {
	unsigned count;
	const struct key_slot **slots;
	uint8_t **msgs;
	uint8_t **dsts;
	uint16_t *sizes;
	struct tag_identity *ids;
	uint64_t *serials;
	uint32_t *salts;
};

static struct rig rig;

static void
rig_init(void)
{
	unsigned i;

	for (i = 0; i < TAG_BATCH_MAX; i++) {
		guard_init(&rig.msgs[i]);
		guard_init(&rig.dsts[i]);
		guard_init(&rig.slots[i]);
	}
	guard_init(&rig.slot_list);
	guard_init(&rig.msg_list);
	guard_init(&rig.dst_list);
	guard_init(&rig.size_list);
	guard_init(&rig.id_list);
	guard_init(&rig.serial_list);
	guard_init(&rig.salt_list);
}

static void
rig_fini(void)
{
	unsigned i;

	for (i = 0; i < TAG_BATCH_MAX; i++) {
		guard_fini(&rig.msgs[i]);
		guard_fini(&rig.dsts[i]);
		guard_fini(&rig.slots[i]);
	}
	guard_fini(&rig.slot_list);
	guard_fini(&rig.msg_list);
	guard_fini(&rig.dst_list);
	guard_fini(&rig.size_list);
	guard_fini(&rig.id_list);
	guard_fini(&rig.serial_list);
	guard_fini(&rig.salt_list);
}

/* `size` bytes against the fault, the rest of the memory filled with canaries. */
static void *
guard_place(const struct guard *guard, enum side side, size_t size)
{
	memset(guard->base, CANARY, GUARD_ROOM);
	return side == SIDE_HIGH ? guard_high(guard, size) : guard_low(guard);
}

/* Everything that is not the `size` bytes at `at` is still canaries. */
static void
guard_is_kept(const struct guard *guard, const uint8_t *at, size_t size)
{
	const uint8_t *p;

	for (p = guard->base; p < guard->base + GUARD_ROOM; p++) {
		if (p == at)
			p += size;
		if (p < guard->base + GUARD_ROOM)
			assert_int_equal(*p, CANARY);
	}
}

static void
lists_place(struct placed *placed, enum side side, unsigned count)
{
	placed->count = count;
	placed->slots = guard_place(&rig.slot_list, side, count * sizeof(*placed->slots));
	placed->msgs = guard_place(&rig.msg_list, side, count * sizeof(*placed->msgs));
	placed->dsts = guard_place(&rig.dst_list, side, count * sizeof(*placed->dsts));
	placed->sizes = guard_place(&rig.size_list, side, count * sizeof(*placed->sizes));
	placed->ids = guard_place(&rig.id_list, side, count * sizeof(*placed->ids));
	placed->serials = guard_place(&rig.serial_list, side, count * sizeof(*placed->serials));
	placed->salts = guard_place(&rig.salt_list, side, count * sizeof(*placed->salts));
}

/* The first `count` inputs of the batch, with messages as they are in `rows`. */
static void
batch_place(struct placed *placed, const struct batch *batch, uint8_t (*rows)[CRED_SIZE_MAX],
	enum side side, unsigned count)
{
	struct key_slot *slot;
	unsigned i;

	lists_place(placed, side, count);
	for (i = 0; i < count; i++) {
		slot = guard_place(&rig.slots[i], side, sizeof(*slot));
		*slot = batch->slots[i];
		placed->slots[i] = slot;
		placed->sizes[i] = batch->sizes[i];
		placed->msgs[i] = guard_place(&rig.msgs[i], side, batch->sizes[i] + CRED_TAG_SIZE);
		memcpy(placed->msgs[i], rows[i], batch->sizes[i] + CRED_TAG_SIZE);
	}
}

static void
verify_stays_inside(struct batch *batch, enum side side, unsigned count)
{
	struct placed placed;
	unsigned i;

	batch_place(&placed, batch, batch->sent, side, count);
	assert_int_equal(tag_batch_verify(engine, placed.slots, (const uint8_t *const *)placed.msgs,
				 placed.sizes, placed.ids, count),
		fixture_all(count));
	for (i = 0; i < count; i++)
		assert_memory_equal(
			&placed.ids[i], batch->clear[i] + CRED_SEALED_FIRST, sizeof(placed.ids[i]));
	guard_is_kept(&rig.id_list, placed.ids[0].bytes, count * sizeof(*placed.ids));
}

static void
seal_stays_inside(struct batch *batch, enum side side, unsigned count)
{
	struct placed placed;
	unsigned i;

	batch_place(&placed, batch, batch->clear, side, count);
	tag_batch_seal(engine, placed.slots, placed.msgs, placed.sizes, count);
	for (i = 0; i < count; i++) {
		assert_memory_equal(
			placed.msgs[i], batch->sent[i], batch->sizes[i] + CRED_TAG_SIZE);
		guard_is_kept(&rig.msgs[i], placed.msgs[i], batch->sizes[i] + CRED_TAG_SIZE);
	}
}

/* Payloads alone: header and tag are not there to be read. */
static void
payloads_place(struct placed *placed, const struct batch *batch, enum side side, unsigned count)
{
	unsigned i;

	lists_place(placed, side, count);
	for (i = 0; i < count; i++) {
		const uint16_t size = batch->sizes[i] - CRED_HEADER_SIZE;
		struct key_slot *slot = guard_place(&rig.slots[i], side, sizeof(*slot));

		*slot = batch->slots[i];
		placed->slots[i] = slot;
		placed->sizes[i] = size;
		placed->serials[i] = load_be64(batch->sent[i] + CRED_AT_SERIAL);
		memcpy(&placed->salts[i], batch->sent[i] + CRED_AT_SALT, sizeof(uint32_t));
		placed->msgs[i] = guard_place(&rig.msgs[i], side, size);
		placed->dsts[i] = guard_place(&rig.dsts[i], side, size);
		memcpy(placed->msgs[i], batch->sent[i] + CRED_AT_PAYLOAD, size);
	}
}

static void
unseal_stays_inside(struct batch *batch, enum side side, unsigned count)
{
	struct placed placed;
	unsigned i;

	payloads_place(&placed, batch, side, count);
	tag_batch_unseal(engine, placed.slots, placed.serials, placed.salts,
		(const uint8_t *const *)placed.msgs, placed.dsts, placed.sizes, count);
	for (i = 0; i < count; i++) {
		assert_memory_equal(
			placed.dsts[i], batch->clear[i] + CRED_AT_PAYLOAD, placed.sizes[i]);
		guard_is_kept(&rig.dsts[i], placed.dsts[i], placed.sizes[i]);
	}
}

typedef void stays_inside_t(struct batch *batch, enum side side, unsigned count);

/* One input of every suite and size, which is also every alignment of the message's end. */
static void
each_size_alone(stays_inside_t *stays_inside)
{
	struct batch *batch = batch_create();
	struct random random = {1};
	uint16_t size;
	uint8_t suite;

	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		for (size = CRED_HEADER_SIZE; size <= TAG_MSG_SIZE_MAX; size++) {
			batch_input(batch, &random, 0, suite, size);
			stays_inside(batch, SIDE_HIGH, 1);
			stays_inside(batch, SIDE_LOW, 1);
		}
	}
	batch_destroy(batch);
}

/* Batches of one size, and of all. */
static void
each_batch(stays_inside_t *stays_inside)
{
	static const uint16_t sizes[] = {80, 81, 95, 96, 97, 300, 1216};
	struct batch *batch = batch_create();
	struct random random = {2};
	size_t s, c;

	for (c = 0; c < COUNT_OF(counts); c++) {
		for (s = 0; s < 4 * COUNT_OF(sizes); s++) {
			batch_uniform(
				batch, &random, (uint8_t)(1 + s % 4), sizes[s / 4], counts[c]);
			stays_inside(batch, SIDE_HIGH, counts[c]);
			stays_inside(batch, SIDE_LOW, counts[c]);
		}
		for (s = 0; s < 8; s++) {
			batch_mixed(batch, &random, counts[c]);
			stays_inside(batch, SIDE_HIGH, counts[c]);
			stays_inside(batch, SIDE_LOW, counts[c]);
		}
	}
	batch_destroy(batch);
}

static void
verify_of_every_size(void **state)
{
	(void)state;
	each_size_alone(verify_stays_inside);
}

static void
verify_of_batches(void **state)
{
	(void)state;
	each_batch(verify_stays_inside);
}

static void
seal_of_every_size(void **state)
{
	(void)state;
	each_size_alone(seal_stays_inside);
}

static void
seal_of_batches(void **state)
{
	(void)state;
	each_batch(seal_stays_inside);
}

static void
unseal_of_every_size(void **state)
{
	(void)state;
	each_size_alone(unseal_stays_inside);
}

static void
unseal_of_batches(void **state)
{
	(void)state;
	each_batch(unseal_stays_inside);
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(verify_of_every_size),
		cmocka_unit_test(verify_of_batches),
		cmocka_unit_test(seal_of_every_size),
		cmocka_unit_test(seal_of_batches),
		cmocka_unit_test(unseal_of_every_size),
		cmocka_unit_test(unseal_of_batches),
	};
	int failed;

	kernel = fixture_kernel(argc, argv);
	engine = fixture_engine(kernel);
	rig_init();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rig_fini();
	tag_engine_destroy(engine);
	return failed;
}

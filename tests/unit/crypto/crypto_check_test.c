/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * What every start does before a tag kernel may decide: a kernel that is wrong in any way a test
 * can think of, beside right ones, is found and nothing runs; what the CPU lacks is refused.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

#include "tests/unit/crypto/fixture.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Broken kernels are this one with a fault put in: it runs wherever any does. */
#define RIGHT (&tag_kernel_aesni)

#define BAD_LANE 5u

#define VERIFY(name)                                                                            \
	static uint64_t name(void *scratch, uint8_t suite, const struct key_slot *const *slots, \
		const uint8_t *const *msgs, const uint16_t *sizes, struct tag_identity *ids,    \
		unsigned count)

#define SEAL(name)                                                                          \
	static void name(void *scratch, uint8_t suite, const struct key_slot *const *slots, \
		uint8_t *const *msgs, const uint16_t *sizes, unsigned count)

#define CTR(name)                                                                           \
	static void name(void *scratch, uint8_t suite, const struct key_slot *const *slots, \
		const struct tag_counter *counters, const uint8_t *const *srcs,             \
		uint8_t *const *dsts, const uint16_t *sizes, unsigned count)

VERIFY(verify_accepts_all)
{
	(void)RIGHT->verify(scratch, suite, slots, msgs, sizes, ids, count);
	return fixture_all(count);
}

VERIFY(verify_refuses_all)
{
	(void)RIGHT->verify(scratch, suite, slots, msgs, sizes, ids, count);
	memset(ids, 0, count * sizeof(*ids));
	return 0;
}

/* The last lane of sixteen is always good. */
VERIFY(verify_accepts_last)
{
	const uint64_t proved = RIGHT->verify(scratch, suite, slots, msgs, sizes, ids, count);

	return count >= 16 ? proved | (uint64_t)1 << 15 : proved;
}

VERIFY(verify_in_reverse_order)
{
	uint64_t proved = RIGHT->verify(scratch, suite, slots, msgs, sizes, ids, count);
	uint64_t reversed = 0;
	unsigned i;

	for (i = 0; i < count; i++)
		reversed |= (proved >> i & 1) << (count - 1 - i);
	return reversed;
}

VERIFY(verify_looks_at_half_the_tag)
{
	uint8_t copy[CRED_SIZE_MAX];
	const uint8_t *one[1] = {copy};
	struct tag_counter tag;
	uint8_t *row[1] = {copy};
	struct tag_identity id;
	uint64_t proved = 0;
	unsigned i;

	(void)RIGHT->verify(scratch, suite, slots, msgs, sizes, ids, count);
	for (i = 0; i < count; i++) {
		/* The CMAC of the ciphertext: as an unsealed suite of the same key size. */
		memcpy(copy, msgs[i], sizes[i]);
		RIGHT->seal(scratch, (uint8_t)(2 - suite % 2), &slots[i], row, &sizes[i], 1);
		memcpy(tag.bytes, copy + sizes[i], sizeof(tag.bytes));
		if (memcmp(tag.bytes, msgs[i] + sizes[i], 8) != 0)
			continue;
		proved |= (uint64_t)1 << i;
		(void)RIGHT->verify(scratch, suite, &slots[i], one, &sizes[i], &id, 1);
		ids[i] = id;
	}
	return proved;
}

VERIFY(verify_tells_refused_identities)
{
	const uint64_t proved = RIGHT->verify(scratch, suite, slots, msgs, sizes, ids, count);
	unsigned i;

	for (i = 0; i < count; i++) {
		if ((proved >> i & 1) == 0)
			memcpy(ids[i].bytes, msgs[i] + CRED_SEALED_FIRST, sizeof(ids[i].bytes));
	}
	return proved;
}

VERIFY(verify_leaves_identities_sealed)
{
	const uint64_t proved = RIGHT->verify(scratch, suite, slots, msgs, sizes, ids, count);
	unsigned i;

	for (i = 0; i < count; i++) {
		if (proved >> i & 1)
			memcpy(ids[i].bytes, msgs[i] + CRED_SEALED_FIRST, sizeof(ids[i].bytes));
	}
	return proved;
}

/* Wrong at the lengths that need K2 only. */
VERIFY(verify_refuses_partial_blocks)
{
	uint64_t proved = RIGHT->verify(scratch, suite, slots, msgs, sizes, ids, count);
	unsigned i;

	for (i = 0; i < count; i++) {
		if (sizes[i] % AES_BLOCK_SIZE == 0 || sizes[i] < CRED_HEADER_SIZE)
			continue;
		proved &= ~((uint64_t)1 << i);
		memset(&ids[i], 0, sizeof(ids[i]));
	}
	return proved;
}

SEAL(seal_wrong_tag_in_one_lane)
{
	RIGHT->seal(scratch, suite, slots, msgs, sizes, count);
	if (count > BAD_LANE)
		msgs[BAD_LANE][sizes[BAD_LANE] + CRED_TAG_SIZE - 1] ^= 1;
}

/* Agrees with seal_wrong_tag_in_one_lane: by itself this kernel is in perfect order. */
VERIFY(verify_wrong_tag_in_one_lane)
{
	const uint8_t *others[TAG_BATCH_MAX];
	uint8_t copy[CRED_SIZE_MAX];

	if (count <= BAD_LANE)
		return RIGHT->verify(scratch, suite, slots, msgs, sizes, ids, count);
	memcpy(others, msgs, count * sizeof(*msgs));
	memcpy(copy, msgs[BAD_LANE], sizes[BAD_LANE] + CRED_TAG_SIZE);
	copy[sizes[BAD_LANE] + CRED_TAG_SIZE - 1] ^= 1;
	others[BAD_LANE] = copy;
	return RIGHT->verify(scratch, suite, slots, others, sizes, ids, count);
}

/* One byte too far: the next thing in memory is not ours. */
SEAL(seal_writes_behind_the_tag)
{
	unsigned i;

	RIGHT->seal(scratch, suite, slots, msgs, sizes, count);
	for (i = 0; i < count; i++) {
		if (sizes[i] < TAG_MSG_SIZE_MAX)
			msgs[i][sizes[i] + CRED_TAG_SIZE] ^= 1;
	}
}

SEAL(seal_leaves_payload_in_clear)
{
	RIGHT->seal(scratch, (uint8_t)(2 - suite % 2), slots, msgs, sizes, count);
}

CTR(ctr_wrong_first_byte)
{
	RIGHT->ctr(scratch, suite, slots, counters, srcs, dsts, sizes, count);
	dsts[0][0] ^= 1;
}

/* Right for one block, as in the shortest vectors, and never counts on. */
CTR(ctr_does_not_count)
{
	unsigned i, at;

	for (i = 0; i < count; i++) {
		for (at = 0; at < sizes[i]; at += AES_BLOCK_SIZE) {
			const unsigned left = sizes[i] - at;
			const uint16_t part =
				(uint16_t)(left < AES_BLOCK_SIZE ? left : AES_BLOCK_SIZE);
			const uint8_t *src = srcs[i] + at;
			uint8_t *dst = dsts[i] + at;

			RIGHT->ctr(scratch, suite, &slots[i], &counters[i], &src, &dst, &part, 1);
		}
	}
}

/* Only where more than one is asked for at once. */
CTR(ctr_wrong_in_a_batch)
{
	RIGHT->ctr(scratch, suite, slots, counters, srcs, dsts, sizes, count);
	if (count > 1 && sizes[count - 1] > 0)
		dsts[count - 1][sizes[count - 1] - 1] ^= 0x80;
}

struct fault {
	const char *what;
	uint64_t (*verify)(void *scratch, uint8_t suite, const struct key_slot *const *slots,
		const uint8_t *const *msgs, const uint16_t *sizes, struct tag_identity *ids,
		unsigned count);
	void (*seal)(void *scratch, uint8_t suite, const struct key_slot *const *slots,
		uint8_t *const *msgs, const uint16_t *sizes, unsigned count);
	void (*ctr)(void *scratch, uint8_t suite, const struct key_slot *const *slots,
		const struct tag_counter *counters, const uint8_t *const *srcs,
		uint8_t *const *dsts, const uint16_t *sizes, unsigned count);
	bool is_only_told_beside_others; /* no contradiction in itself */
};

static const struct fault faults[] = {
	{"accepts everything", .verify = verify_accepts_all},
	{"refuses everything", .verify = verify_refuses_all},
	{"accepts the last lane", .verify = verify_accepts_last},
	{"bitmap in reverse order", .verify = verify_in_reverse_order},
	{"half the tag", .verify = verify_looks_at_half_the_tag},
	{"identities of refused ones", .verify = verify_tells_refused_identities},
	{"identities left sealed", .verify = verify_leaves_identities_sealed},
	{"no partial blocks", .verify = verify_refuses_partial_blocks},
	{"wrong tag sealed in one lane", .seal = seal_wrong_tag_in_one_lane},
	{"wrong tag asked for in one lane", .verify = verify_wrong_tag_in_one_lane},
	{"wrong tag in one lane, everywhere", .verify = verify_wrong_tag_in_one_lane,
		.seal = seal_wrong_tag_in_one_lane, .is_only_told_beside_others = true},
	{"writes behind the tag", .seal = seal_writes_behind_the_tag,
		.is_only_told_beside_others = true},
	{"payload in clear", .seal = seal_leaves_payload_in_clear},
	{"wrong CTR", .ctr = ctr_wrong_first_byte},
	{"CTR that does not count", .ctr = ctr_does_not_count},
	{"wrong CTR in a batch", .ctr = ctr_wrong_in_a_batch},
};

static struct tag_kernel
fault_kernel(const struct fault *fault)
{
	struct tag_kernel broken = *RIGHT;

	broken.id = TAG_KERNEL_VAES512;
	broken.name = "broken";
	if (fault->verify != NULL)
		broken.verify = fault->verify;
	if (fault->seal != NULL)
		broken.seal = fault->seal;
	if (fault->ctr != NULL)
		broken.ctr = fault->ctr;
	return broken;
}

/* The whole table is refused, whatever is wanted of it, and the operator is told which. */
static void
table_is_refused(const struct tag_kernel *const *kernels, unsigned count)
{
	static const enum tag_kernel_id wanted[] = {TAG_KERNEL_AUTO, TAG_KERNEL_IPSECMB};
	char why[160];
	size_t w;

	for (w = 0; w < COUNT_OF(wanted); w++) {
		memset(why, 0, sizeof(why));
		assert_int_equal(
			tag_check_choose(kernels, count, wanted[w], why, sizeof(why)), -EILSEQ);
		assert_non_null(strstr(why, "broken"));
		assert_null(strchr(why, '\n'));
	}
}

static void
every_fault_refuses_the_table(void **state)
{
	size_t f;

	(void)state;
	for (f = 0; f < COUNT_OF(faults); f++) {
		const struct tag_kernel broken = fault_kernel(&faults[f]);
		const struct tag_kernel *alone[] = {&broken};
		const struct tag_kernel *last[] = {&tag_kernel_ipsecmb, RIGHT, &broken};
		const struct tag_kernel *first[] = {&broken, &tag_kernel_ipsecmb, RIGHT};

		print_message("%s\n", faults[f].what);
		table_is_refused(last, 3);
		table_is_refused(first, 3);
		if (!faults[f].is_only_told_beside_others)
			table_is_refused(alone, 1);
	}
}

/* The counterpart: without the fault, the very same tables are accepted. */
static void
no_fault_is_accepted(void **state)
{
	static const struct fault none;
	const struct tag_kernel twin = fault_kernel(&none);
	const struct tag_kernel *kernels[] = {&tag_kernel_ipsecmb, RIGHT, &twin};
	char why[160];
	int round;

	(void)state;
	for (round = 0; round < 5; round++) {
		assert_int_equal(tag_check_choose(kernels, 3, TAG_KERNEL_VAES512, why, sizeof(why)),
			TAG_KERNEL_VAES512);
		assert_int_equal(tag_check_choose(kernels, 3, TAG_KERNEL_IPSECMB, why, sizeof(why)),
			TAG_KERNEL_IPSECMB);
		assert_true(tag_check_choose(kernels, 3, TAG_KERNEL_AUTO, why, sizeof(why)) > 0);
		assert_int_equal(
			tag_check_choose(kernels + 2, 1, TAG_KERNEL_AUTO, why, sizeof(why)),
			TAG_KERNEL_VAES512);
	}
}

static bool
is_never_supported(void)
{
	return false;
}

/* A kernel of another CPU is neither run nor checked: here it would crash, and it is wrong. */
static void
what_the_cpu_lacks_is_enotsup(void **state)
{
	struct tag_kernel absent = fault_kernel(&faults[0]);
	const struct tag_kernel *kernels[] = {&tag_kernel_ipsecmb, RIGHT, &absent};
	const struct tag_kernel *only_absent[] = {&absent};
	char why[160];
	int id;

	(void)state;
	absent.is_supported = is_never_supported;
	assert_int_equal(
		tag_check_choose(kernels, 3, TAG_KERNEL_VAES512, why, sizeof(why)), -ENOTSUP);
	assert_non_null(strstr(why, "kernel: auto"));
	id = tag_check_choose(kernels, 3, TAG_KERNEL_AUTO, why, sizeof(why));
	assert_true(id == TAG_KERNEL_IPSECMB || id == TAG_KERNEL_AESNI);
	assert_int_equal(
		tag_check_choose(only_absent, 1, TAG_KERNEL_AUTO, why, sizeof(why)), -ENOTSUP);
	assert_non_null(strstr(why, "AES-NI"));
	assert_int_equal(
		tag_check_choose(kernels, 2, TAG_KERNEL_COUNT, why, sizeof(why)), -ENOTSUP);
	assert_null(tag_engine_create_from(&absent));
	assert_int_equal(errno, ENOTSUP);
}

static int
init_without_memory(void *scratch)
{
	(void)scratch;
	return -ENOMEM;
}

static void
engine_without_memory_is_null(void **state)
{
	struct tag_kernel poor = *RIGHT;

	(void)state;
	poor.scratch_init = init_without_memory;
	assert_null(tag_engine_create_from(&poor));
	assert_int_equal(errno, ENOMEM);
	tag_engine_destroy(NULL);
}

static void
real_table_is_in_order(void **state)
{
	char why[160];
	int id, chosen;

	(void)state;
	chosen = tag_kernel_choose(TAG_KERNEL_AUTO, why, sizeof(why));
	print_message("%s\n", why);
	assert_true(chosen > 0 && tag_kernel_is_supported((enum tag_kernel_id)chosen));
	assert_non_null(strstr(why, tag_kernel_name((enum tag_kernel_id)chosen)));
	for (id = 1; id < TAG_KERNEL_COUNT; id++) {
		const bool has = tag_kernel_is_supported((enum tag_kernel_id)id);

		assert_int_equal(tag_kernel_choose((enum tag_kernel_id)id, why, sizeof(why)),
			has ? id : -ENOTSUP);
	}
}

/* A short buffer gets the beginning of the reason and its end mark. */
static void
reason_fits_its_buffer(void **state)
{
	char why[8];

	(void)state;
	memset(why, 'x', sizeof(why));
	assert_true(tag_kernel_choose(TAG_KERNEL_AUTO, why, 4) > 0);
	assert_string_equal(why, "tag");
	assert_int_equal(why[4], 'x');
}

static void
names_and_ids(void **state)
{
	int id;

	(void)state;
	assert_string_equal(tag_kernel_name(TAG_KERNEL_AUTO), "auto");
	assert_string_equal(tag_kernel_name(TAG_KERNEL_IPSECMB), "ipsecmb");
	assert_string_equal(tag_kernel_name(TAG_KERNEL_AESNI), "aesni");
	assert_string_equal(tag_kernel_name(TAG_KERNEL_VAES512), "vaes512");
	for (id = 0; id < TAG_KERNEL_COUNT; id++)
		assert_int_equal(tag_kernel_find(tag_kernel_name((enum tag_kernel_id)id)), id);
	assert_null(tag_kernel_name(TAG_KERNEL_COUNT));
	assert_int_equal(tag_kernel_find("vaes"), -1);
	assert_int_equal(tag_kernel_find(""), -1);
	assert_false(tag_kernel_is_supported(TAG_KERNEL_AUTO));
	assert_false(tag_kernel_is_supported(TAG_KERNEL_COUNT));
	assert_null(tag_engine_create(TAG_KERNEL_AUTO));
	assert_int_equal(errno, ENOTSUP);
	assert_null(tag_engine_create(TAG_KERNEL_COUNT));
	assert_int_equal(errno, ENOTSUP);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_fault_refuses_the_table),
		cmocka_unit_test(no_fault_is_accepted),
		cmocka_unit_test(what_the_cpu_lacks_is_enotsup),
		cmocka_unit_test(engine_without_memory_is_null),
		cmocka_unit_test(real_table_is_in_order),
		cmocka_unit_test(reason_fits_its_buffer),
		cmocka_unit_test(names_and_ids),
	};

	if (!RIGHT->is_supported()) {
		printf("skipped: this CPU has no AES-NI\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

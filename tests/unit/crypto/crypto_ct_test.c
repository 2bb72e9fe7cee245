/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/ct.h"

static void
only_zero_gives_all_ones(void **state)
{
	(void)state;
	assert_int_equal(ct_mask_zero(0), UINT64_MAX);
	assert_int_equal(ct_mask_zero(UINT64_MAX), 0);
	for (unsigned bit = 0; bit < 64; bit++) {
		assert_int_equal(ct_mask_zero((uint64_t)1 << bit), 0);
		assert_int_equal(ct_mask_zero(UINT64_MAX << bit), 0);
		assert_int_equal(ct_mask_zero(UINT64_MAX >> bit), 0);
	}
}

static void
hiding_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(ct_hide(0), 0);
	assert_int_equal(ct_hide(UINT64_C(0x0123456789abcdef)), UINT64_C(0x0123456789abcdef));
}

static void
every_bit_of_16_bytes_counts(void **state)
{
	uint8_t a[17], b[17];

	(void)state;
	for (unsigned i = 0; i < sizeof(a); i++)
		a[i] = b[i] = (uint8_t)(i * 37);
	assert_int_equal(ct_mask_equal16(a, b), UINT64_MAX);
	for (unsigned bit = 0; bit < 128; bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(ct_mask_equal16(a, b), 0);
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	b[16] ^= 1; /* the seventeenth is not asked */
	assert_int_equal(ct_mask_equal16(a, b), UINT64_MAX);
	assert_int_equal(ct_mask_equal16(a + 1, b + 1), 0);
}

/* Differences that cancel each other in a sum, or in an XOR of the halves, must not cancel here. */
static void
differences_do_not_cancel(void **state)
{
	uint8_t a[16] = {0}, b[16] = {0};

	(void)state;
	b[0] = b[8] = 0x80;
	assert_int_equal(ct_mask_equal16(a, b), 0);
	b[8] = 0x7f;
	assert_int_equal(ct_mask_equal16(a, b), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_zero_gives_all_ones),
		cmocka_unit_test(hiding_changes_nothing),
		cmocka_unit_test(every_bit_of_16_bytes_counts),
		cmocka_unit_test(differences_do_not_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

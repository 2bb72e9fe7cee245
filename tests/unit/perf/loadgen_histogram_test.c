/* SPDX-License-Identifier: BSD-3-Clause */

/* The histogram of latencies: buckets without gaps, three figures, quantiles against sorting. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "perf/loadgen/histogram.h"
#include "perf/loadgen/random.h"

#define VALUES 100000u

static struct histogram histogram;

static void
buckets_follow_each_other_without_gap(void **state)
{
	uint64_t next = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		assert_true(histogram_low(i) == next);
		assert_true(histogram_high(i) >= histogram_low(i));
		next = histogram_high(i) + 1;
	}
	assert_true(next == HISTOGRAM_VALUE_MAX + 1);
}

static void
ends_of_a_bucket_are_in_it(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < HISTOGRAM_BUCKETS; i++) {
		assert_int_equal(histogram_index(histogram_low(i)), i);
		assert_int_equal(histogram_index(histogram_high(i)), i);
	}
}

static void
a_bucket_is_a_thousandth_wide(void **state)
{
	unsigned i;

	(void)state;
	for (i = 1; i < HISTOGRAM_BUCKETS; i++)
		assert_true((histogram_high(i) - histogram_low(i)) * HISTOGRAM_STEPS <=
			    histogram_low(i));
}

static int
compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Values over the whole range, most of them small, as latencies are. */
static uint64_t
value_draw(struct random *random)
{
	const uint64_t bits = random_next(random);

	return bits >> (24 + bits % 40);
}

static void
quantiles_are_those_of_the_sorted_values(void **state)
{
	static const double shares[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.99999, 1};
	static uint64_t values[VALUES];
	struct random random = {42};
	unsigned i;

	(void)state;
	histogram_init(&histogram);
	for (i = 0; i < VALUES; i++) {
		values[i] = value_draw(&random);
		histogram_record(&histogram, values[i]);
	}
	qsort(values, VALUES, sizeof(values[0]), compare);
	assert_int_equal(histogram.count, VALUES);
	assert_true(histogram.min == values[0]);
	assert_true(histogram.max == values[VALUES - 1]);
	for (i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
		const double exact = shares[i] * VALUES;
		const unsigned rank = (unsigned)exact + (exact > (unsigned)exact);
		const uint64_t wanted = values[rank == 0 ? 0 : rank - 1];
		const uint64_t got = histogram_quantile(&histogram, shares[i]);

		assert_true(got >= wanted);
		assert_true(got - wanted <= wanted / HISTOGRAM_STEPS);
	}
}

static void
nothing_recorded_is_zero(void **state)
{
	(void)state;
	histogram_init(&histogram);
	assert_int_equal(histogram_quantile(&histogram, 0.5), 0);
	assert_true(histogram.min == UINT64_MAX);
}

static void
what_is_too_large_counts_as_the_largest(void **state)
{
	(void)state;
	histogram_init(&histogram);
	histogram_record(&histogram, UINT64_MAX);
	histogram_record(&histogram, HISTOGRAM_VALUE_MAX + 1);
	assert_true(histogram.max == HISTOGRAM_VALUE_MAX);
	assert_int_equal(histogram.buckets[HISTOGRAM_BUCKETS - 1], 2);
	assert_true(histogram_quantile(&histogram, 0.5) == HISTOGRAM_VALUE_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buckets_follow_each_other_without_gap),
		cmocka_unit_test(ends_of_a_bucket_are_in_it),
		cmocka_unit_test(a_bucket_is_a_thousandth_wide),
		cmocka_unit_test(quantiles_are_those_of_the_sorted_values),
		cmocka_unit_test(nothing_recorded_is_zero),
		cmocka_unit_test(what_is_too_large_counts_as_the_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

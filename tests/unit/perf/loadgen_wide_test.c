/* SPDX-License-Identifier: BSD-3-Clause */

/* The wide copies and sums are those of plain C, at every size and place. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/checksum.h"
#include "perf/loadgen/random.h"
#include "perf/loadgen/wide.h"

#define SIZE_MAX_TESTED 1400u
#define BLOCKS          21u

static _Alignas(64) uint8_t from[BLOCKS * WIDE_BLOCK + 128];
static uint8_t to[BLOCKS * WIDE_BLOCK + 128];

static void
fill(uint64_t seed)
{
	struct random random = {seed};
	unsigned i;

	for (i = 0; i < sizeof(from); i++)
		from[i] = (uint8_t)random_next(&random);
}

static void
sums_check(const struct wide *wide)
{
	size_t size, at;

	for (size = 0; size <= SIZE_MAX_TESTED; size++)
		for (at = 0; at < 8; at++)
			assert_int_equal(checksum_fold(wide->sum_add(77, from + at, size)),
				checksum_fold(checksum_add(77, from + at, size)));
}

static void
copies_check(const struct wide *wide)
{
	unsigned count, at;

	for (count = 1; count <= BLOCKS; count++)
		for (at = 0; at < 64; at += 7) {
			const size_t size = count * WIDE_BLOCK;

			memset(to, 0xee, sizeof(to));
			wide->copy(to + at, from, count);
			assert_memory_equal(to + at, from, size);
			assert_int_equal(to[at + size], 0xee);
		}
}

static void
plain_is_right(void **state)
{
	(void)state;
	fill(1);
	sums_check(&wide_plain);
	copies_check(&wide_plain);
}

static void
avx512_is_as_plain(void **state)
{
	(void)state;
	if (!__builtin_cpu_supports("avx512bw")) {
		print_message("this CPU has no AVX-512 BW\n");
		skip();
	}
	fill(2);
	sums_check(&wide_avx512);
	copies_check(&wide_avx512);
	memset(from, 0xff, sizeof(from)); /* the largest sums */
	sums_check(&wide_avx512);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_is_right),
		cmocka_unit_test(avx512_is_as_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

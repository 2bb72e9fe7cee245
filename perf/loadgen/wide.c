/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/wide.h"

#include "dataplane/checksum.h"

static void
copy(uint8_t *to, const uint8_t *from, unsigned block_count)
{
	unsigned i;

	for (i = 0; i < block_count; i++)
		memcpy(to + i * WIDE_BLOCK, from + i * WIDE_BLOCK, WIDE_BLOCK);
}

static uint64_t
sum_add(uint64_t sum, const uint8_t *data, size_t size)
{
	return checksum_add(sum, data, size);
}

const struct wide wide_plain = {copy, sum_add};

const struct wide *
wide_choose(void)
{
	return __builtin_cpu_supports("avx512bw") ? &wide_avx512 : &wide_plain;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/wide.h"

#include <immintrin.h>

static void
copy(uint8_t *to, const uint8_t *from, unsigned block_count)
{
	unsigned i;

	for (i = 0; i < block_count; i++)
		_mm512_storeu_si512(to + i * WIDE_BLOCK, _mm512_load_si512(from + i * WIDE_BLOCK));
}

/*
 * Eight pairs of 32-bit halves at once, each half in a sum of 64 bits: no carries. The last, partial
 * vector is loaded under a mask, so nothing past the data is touched; zeroes add nothing.
 */
static uint64_t
sum_add(uint64_t sum, const uint8_t *data, size_t size)
{
	const __m512i halves = _mm512_set1_epi64(UINT32_MAX);
	__m512i low = _mm512_setzero_si512(), high = low, words;

	for (; size >= sizeof(words); size -= sizeof(words), data += sizeof(words)) {
		words = _mm512_loadu_si512(data);
		low = _mm512_add_epi64(low, _mm512_and_si512(words, halves));
		high = _mm512_add_epi64(high, _mm512_srli_epi64(words, 32));
	}
	words = _mm512_maskz_loadu_epi8(((uint64_t)1 << size) - 1, data);
	low = _mm512_add_epi64(low, _mm512_and_si512(words, halves));
	high = _mm512_add_epi64(high, _mm512_srli_epi64(words, 32));
	return sum + (uint64_t)_mm512_reduce_add_epi64(_mm512_add_epi64(low, high));
}

const struct wide wide_avx512 = {copy, sum_add};

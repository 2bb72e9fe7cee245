/* SPDX-License-Identifier: BSD-3-Clause */

/* Stage 3b, 16 lanes or borders at a time. */

#include <immintrin.h>

#include "dataplane/rules_inline.h"

static inline uint64_t
rules_match(const struct table_lane_group *group, uint32_t uid, uint32_t gid)
{
	const __m512i uid_above =
		_mm512_sub_epi32(_mm512_set1_epi32((int)uid), _mm512_load_si512(group->uid_min));
	const __m512i gid_above =
		_mm512_sub_epi32(_mm512_set1_epi32((int)gid), _mm512_load_si512(group->gid_min));
	const __mmask16 in_uid =
		_mm512_cmple_epu32_mask(uid_above, _mm512_load_si512(group->uid_span));

	return _mm512_mask_cmple_epu32_mask(in_uid, gid_above, _mm512_load_si512(group->gid_span));
}

static inline uint64_t
rules_side(const struct table_lane_group *groups, unsigned vector_count, uint32_t id)
{
	const __m512i ids = _mm512_set1_epi32((int)id);
	uint32_t above = 0;

	for (unsigned v = 0; v < vector_count; v++)
		above ^= _mm512_cmpgt_epu32_mask(
			ids, _mm512_load_si512(table_span_borders_ro(groups, v)));
	return (uint64_t)__builtin_popcount(above) & 1;
}

static inline uint64_t
rules_side_short(const struct table_lane_group *group, uint32_t id)
{
	const __m512i ids = _mm512_set1_epi32((int)id);
	const uint32_t above =
		_mm512_cmpgt_epu32_mask(ids, _mm512_load_si512(table_span_borders_ro(group, 0))) ^
		_mm512_cmpgt_epu32_mask(ids, _mm512_load_si512(table_span_borders_ro(group, 1)));

	static_assert(RULES_SHORT_VECTORS == 2, "two loads");
	return (uint64_t)__builtin_popcount(above) & 1;
}

void
rules_avx512(struct worker *worker, unsigned count)
{
	rules_stage(worker, count);
}

enum table_outcome
rules_run_avx512(const struct table_lane_group *groups, unsigned group_count, const uint16_t *hits,
	uint32_t uid, uint32_t gid, enum table_outcome otherwise)
{
	return rules_run(groups, group_count, hits, uid, gid, otherwise);
}

uint64_t
rules_side_avx512(const struct table_lane_group *groups, unsigned vector_count, uint32_t id)
{
	return rules_side(groups, vector_count, id);
}

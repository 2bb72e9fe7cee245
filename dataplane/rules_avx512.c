/* SPDX-License-Identifier: BSD-3-Clause */

/* Compiled rules, 16 lanes at a time. */

#include <immintrin.h>

#include "dataplane/rules.h"

static inline uint32_t
lanes_match(const struct table_lane_group *group, __m512i uid, __m512i gid)
{
	const __m512i uid_above = _mm512_sub_epi32(uid, _mm512_load_si512(group->uid_min));
	const __m512i gid_above = _mm512_sub_epi32(gid, _mm512_load_si512(group->gid_min));
	const __mmask16 in_uid =
		_mm512_cmple_epu32_mask(uid_above, _mm512_load_si512(group->uid_span));

	return _mm512_mask_cmple_epu32_mask(in_uid, gid_above, _mm512_load_si512(group->gid_span));
}

enum table_outcome
rules_run_avx512(const struct table_lane_group *groups, unsigned group_count, const uint16_t *hits,
	uint32_t uid, uint32_t gid, enum table_outcome otherwise)
{
	const __m512i uids = _mm512_set1_epi32((int)uid);
	const __m512i gids = _mm512_set1_epi32((int)gid);
	uint32_t outcome = otherwise, open = UINT32_MAX;

	for (unsigned g = 0; g < group_count; g++) {
		const struct table_lane_group *group = &groups[g];
		const uint32_t may = group->used & (uint32_t)(~group->bound | hits[g]);

		outcome = rules_decide(
			outcome, &open, lanes_match(group, uids, gids) & may, group->allows);
	}
	return (enum table_outcome)outcome;
}

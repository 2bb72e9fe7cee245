/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/claim.h"

#include "wire/format.h"

#define US_A_SECOND 1000000u
/* Far more than any skew makes sense, and too little for a sum with a clock to overflow. */
#define CLAIM_SKEW_US_LIMIT ((uint64_t)1 << 62)

/* The greatest serial that the clock says may be used by now. */
static uint64_t
serial_max(uint64_t incarnation_max)
{
	return incarnation_max < UINT32_MAX - 1 ? ((incarnation_max + 1) << 32) - 1
						: CRED_SERIAL_MAX;
}

static uint64_t
ttl_us(const struct table_realm *realm, uint32_t ttl_s)
{
	const uint64_t wanted_s = ttl_s != 0 ? ttl_s : realm->ttl_default_s;

	return (wanted_s < realm->ttl_max_s ? wanted_s : realm->ttl_max_s) * US_A_SECOND;
}

static uint32_t
nodes_max(const struct view *view, const struct table_realm *realm)
{
	const uint64_t room =
		realm->base < view->slot_count ? view->slot_count - 1 - realm->base : 0;

	return realm->nodes_max < room ? realm->nodes_max : (uint32_t)room;
}

void
claim_shape_learn(struct claim_shape *shape, const struct view *view, const struct wire_cred *cred,
	const struct table_realm *realm, uint64_t incarnation_max)
{
	const struct claim_words words = claim_words_load(cred->msg);
	const bool is_clocked = realm->freshness == TABLE_FRESHNESS_CLOCK;
	uint32_t groups;

	if (cred->format != WIRE_FORMAT_NATIVE || realm->origin_mode == TABLE_ORIGIN_CLAIMED ||
		realm->skew_us >= CLAIM_SKEW_US_LIMIT ||
		!view_audience_find(realm, cred->audience, &groups))
		return;
	*shape = (struct claim_shape){
		.names = _mm_and_si128(words.names, _mm_setr_epi32(-1, -1, -1, 0)),
		.serial = _mm_and_si128(words.serial, _mm_setr_epi32(0, -1, 0, 0)),
		.last = _mm_and_si128(words.last, _mm_setr_epi32(0, 0, 0, -1)),
		.origin = _mm_set1_epi32(realm->origin_mode == TABLE_ORIGIN_OFF ? 0 : -1),
		.realm = realm,
		.skew_us = is_clocked ? realm->skew_us : 0,
		.age_us_max =
			is_clocked ? ttl_us(realm, cred->ttl_s) + 2 * realm->skew_us : UINT64_MAX,
		.floor_us = is_clocked ? realm->floor_us : 0,
		.serial_max = is_clocked ? serial_max(incarnation_max) : CRED_SERIAL_MAX,
		.base = realm->base,
		.nodes_max = nodes_max(view, realm),
		.groups = groups,
		.size = cred->size,
		.column = table_rules_column(realm->audience_count, cred->kind,
			view_audience_place(realm, cred->audience)),
	};
}

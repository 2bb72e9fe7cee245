/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Running a program of compiled rules (dataplane/table_rules.h). Uid and gid are proved plaintext:
 * every lane of a program is compared, whatever they are, and nothing branches upon them before the
 * outcome, which is public.
 */

#include <stdint.h>

#include "dataplane/table_rules.h"

/*
 * Compares the lanes of `group_count` groups; `hits[g]` has the lanes of group g whose prefixes the
 * origin lies in. Returns the outcome of the first lane that matches, else `otherwise`.
 */
typedef enum table_outcome rules_run_t(const struct table_lane_group *groups, unsigned group_count,
	const uint16_t *hits, uint32_t uid, uint32_t gid, enum table_outcome otherwise);

rules_run_t rules_run_portable;
rules_run_t rules_run_avx512; /* with parse_avx512 only */

/*
 * The outcome so far, after a group in which the lanes of `matches` match: the first group with one
 * decides. All ones in *open until then.
 */
static inline uint32_t
rules_decide(uint32_t outcome, uint32_t *open, uint32_t matches, uint32_t allows)
{
	const uint32_t first = matches & (0u - matches);
	const uint32_t any = 0u - ((matches | (0u - matches)) >> 31);
	const uint32_t allowed = first & allows;
	const uint32_t denies = 1u ^ (allowed | (0u - allowed)) >> 31;
	const uint32_t decides = any & *open;

	*open &= ~any;
	return (outcome & ~decides) | (denies & decides);
}

static_assert(TABLE_OUTCOME_ALLOW == 0 && TABLE_OUTCOME_DENY == 1, "rules_decide");

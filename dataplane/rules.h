/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Stage 3b: what compiled rules (dataplane/table_rules.h) say of a proved credential. Where it
 * arrived, not at its owner: a rule may ask for the origin, which does not cross over, and asks for
 * nothing that only the owner knows. A refusal travels with the record; the owner says it if the
 * window has nothing worse to say (FORBIDDEN comes after REPLAYED).
 *
 * Uid and gid are proved plaintext: all lanes, or borders, of a program are compared, whatever they
 * are, and nothing branches upon them before the outcome, which is public.
 */

#include <stdint.h>

#include "crypto/ct.h"
#include "dataplane/table_rules.h"

struct burst;
struct burst_item;
struct worker;

/* The stage, as the CPU has it. Only for tables that have rules. */
typedef void burst_rules_t(struct worker *worker, unsigned count);

burst_rules_t rules_portable;
burst_rules_t rules_avx512; /* with parse_avx512 only */

/* ---- one program, for tests ---- */

/*
 * Compares the lanes of `group_count` groups; `hits[g]` has the lanes of group g whose prefixes the
 * origin lies in. Returns the outcome of the first lane that matches, else `otherwise`.
 */
typedef enum table_outcome rules_run_t(const struct table_lane_group *groups, unsigned group_count,
	const uint16_t *hits, uint32_t uid, uint32_t gid, enum table_outcome otherwise);

rules_run_t rules_run_portable;
rules_run_t rules_run_avx512;

/* 1 if the id is above an odd number of the borders in `vector_count` vectors, else 0. */
typedef uint64_t rules_side_t(
	const struct table_lane_group *groups, unsigned vector_count, uint32_t id);

rules_side_t rules_side_portable;
rules_side_t rules_side_avx512;

/* ---- what the variants have in common (rules.c) ---- */

/* Sets the bits of those lanes bound to prefixes that the origin lies in. */
void rules_prefixes_hit(const struct table_rules *rules, const struct table_program *program,
	const uint8_t *origin, uint16_t hits[TABLE_PROGRAM_GROUPS_MAX]);

/*
 * Notes class and program of the live credentials, for burst_rules and for limits: in stage admit,
 * which has their slots and items at hand.
 */
void rules_find(struct burst *burst, unsigned count);

/* Writes an outcome other than ALLOW into the record, unless a refusal was found before. */
void rules_note(struct burst_item *item, enum table_outcome outcome);

/*
 * The outcome so far, after up to 64 lanes of which those of `matches` match: the first one decides,
 * if none did before. All ones in *open until then.
 */
static inline uint64_t
rules_decide(uint64_t outcome, uint64_t *open, uint64_t matches, uint64_t allows)
{
	const uint64_t first = matches & (0u - matches);
	const uint64_t decides = *open & ~ct_mask_zero(matches);
	const uint64_t denies = ct_mask_zero(first & allows) & 1;

	*open &= ~decides;
	return (outcome & ~decides) | (denies & decides);
}

/* Groups whose lanes are decided about at once. */
#define RULES_GROUPS_AT_ONCE 4u
static_assert(RULES_GROUPS_AT_ONCE * TABLE_LANES == 64, "rules_decide");

static_assert(TABLE_OUTCOME_ALLOW == 0 && TABLE_OUTCOME_DENY == 1, "rules_decide");

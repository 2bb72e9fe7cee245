/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which of many lists of names hold a name. Lists are of names and of patterns with ranges as in
 * ctrl/names.h; a pattern is never expanded, so that "n[0-999999]" costs no more than "n1".
 */

#include <stdbool.h>
#include <stdint.h>

#define POLICY_NAMES_FAULT_SIZE 128
#define POLICY_NAMES_BRACKETS   4u   /* in one pattern */
#define POLICY_NAMES_RANGES_MAX 256u /* in one bracket */

/* Sets of lists are bitmaps of 64-bit words. */
#define POLICY_WORDS(count) (((count) + 63) / 64)

static inline bool
policy_bit(const uint64_t *words, unsigned i)
{
	return (words[i / 64] >> (i % 64) & 1) != 0;
}

static inline void
policy_bit_set(uint64_t *words, unsigned i)
{
	words[i / 64] |= UINT64_C(1) << (i % 64);
}

/* Is it a pattern at all? 0, or -EINVAL with what is wrong in `fault`. */
int policy_names_check(const char *pattern, char fault[POLICY_NAMES_FAULT_SIZE]);

struct policy_names;

/* NULL without memory. */
struct policy_names *policy_names_create(void);
void policy_names_destroy(struct policy_names *names);

/* Puts a name or pattern, which MUST have passed the check, on list `list`. 0 or -ENOMEM. */
int policy_names_add(struct policy_names *names, const char *pattern, unsigned list);

/* Sets the bit of every list that holds `name`. */
void policy_names_find(const struct policy_names *names, const char *name, uint64_t *lists);

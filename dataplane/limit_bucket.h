/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A worker's shares of shared limits. Tokens are counted out once a burst, when the first credential
 * that needs them comes: the clock stands still in a burst, so that after it each costs a decrement
 * and no arithmetic that waits for the one before.
 */

#include <stdint.h>

#include "dataplane/table_rules.h"

struct limit_bucket {
	uint64_t word;        /* dataplane/rate.h */
	uint64_t interval_ns; /* as counted out */
	uint32_t left;        /* tokens still to be given in this burst */
	uint32_t given;
};

struct limit_buckets {
	struct limit_bucket buckets[TABLE_LIMITS_MAX];
	uint64_t open[TABLE_LIMITS_MAX / 64]; /* bitmap of those counted out in this burst */
	uint64_t any_open;
};

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Sleeping until one of several 64-bit words in shared memory grows. The futex is a word's low
 * half, which is what its writer wakes.
 */

#include <stdint.h>

#include "verdict/attach.h"

struct waiter {
	unsigned count;                                  /* at most ATTACH_RINGS_MAX */
	const _Atomic uint64_t *words[ATTACH_RINGS_MAX]; /* read-only mappings will do */
	uint64_t seen[ATTACH_RINGS_MAX]; /* what they held: another value ends the sleep */
};

/* Nanoseconds of the monotonic clock. */
int64_t waiter_now_ns(void);

/*
 * Sleeps until somebody wakes a word's futex, a word differs, or timeout_ms are over. 0, or -EINTR
 * on a signal. May wake for nothing. Uses futex_waitv (Linux 5.16); where the kernel or a sandbox
 * refuses it, short sleeps.
 */
int waiter_sleep(const struct waiter *waiter, int timeout_ms);

/* The short sleeps alone. For tests. */
int waiter_doze(const struct waiter *waiter, int timeout_ms);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The two clocks, in microseconds: real time for validity, monotonic for ages and deadlines. */

#include <stdint.h>
#include <time.h>

static inline uint64_t
clock_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t
clock_real_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

static inline uint64_t
clock_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

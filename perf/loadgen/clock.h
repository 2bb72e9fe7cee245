/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Time: the TSC for what is measured, the real-time clock for what credentials say. */

#include <stdint.h>
#include <time.h>

#include <x86intrin.h>

static inline uint64_t
clock_tsc(void)
{
	return __rdtsc();
}

static inline uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Real-time microseconds: issued_us. */
static inline uint64_t
clock_real_us(void)
{
	return clock_ns(CLOCK_REALTIME) / 1000;
}

/* Cycles of the TSC per second, measured over 20 ms: right to some 10^-5. */
static inline uint64_t
clock_tsc_hz(void)
{
	const uint64_t begin_ns = clock_ns(CLOCK_MONOTONIC), begin = clock_tsc();
	uint64_t ns;

	while ((ns = clock_ns(CLOCK_MONOTONIC) - begin_ns) < 20000000)
		;
	return (uint64_t)((double)(clock_tsc() - begin) * 1e9 / (double)ns);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

// How the benchmarks take their times: the thread's own CPU time, the TSC, medians.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <vector>

#include <x86intrin.h>

// Of this thread: what others do to the machine meanwhile is not the cost of what is measured.
inline double
cpu_ns()
{
	timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// TSC cycles per nanosecond, over a few milliseconds.
inline double
tsc_per_ns()
{
	const auto begin = std::chrono::steady_clock::now();
	const uint64_t begin_tsc = __rdtsc();
	std::chrono::duration<double, std::nano> elapsed{};

	while (elapsed.count() < 5e6)
		elapsed = std::chrono::steady_clock::now() - begin;
	return static_cast<double>(__rdtsc() - begin_tsc) / elapsed.count();
}

inline double
median(std::vector<double> values)
{
	const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);

	std::nth_element(values.begin(), middle, values.end());
	return *middle;
}

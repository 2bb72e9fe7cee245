/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What the targets share. libFuzzer (clang) or replay.c (gcc) calls LLVMFuzzerTestOneInput with a
 * copy of the input that is exactly `size` bytes on the heap, so that the sanitizers see any access
 * outside it.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An invariant of the target; assert() would vanish with NDEBUG. */
#define FUZZ_MUST(condition)      \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

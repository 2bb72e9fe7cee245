/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A stretch of memory between two pages that fault when touched: whatever reads or writes a byte
 * outside what it was given ends the test program.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define GUARD_PAGE 4096u
#define GUARD_ROOM (2 * GUARD_PAGE)

struct guard {
	uint8_t *base; /* of the readable part, GUARD_ROOM bytes */
};

static inline void
guard_init(struct guard *g)
{
	uint8_t *all = mmap(
		NULL, GUARD_ROOM + 2 * GUARD_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (all == MAP_FAILED || mprotect(all + GUARD_PAGE, GUARD_ROOM, PROT_READ | PROT_WRITE))
		abort();
	g->base = all + GUARD_PAGE;
}

static inline void
guard_fini(struct guard *g)
{
	munmap(g->base - GUARD_PAGE, GUARD_ROOM + 2 * GUARD_PAGE);
}

/* The first `size` bytes: one byte before them faults. */
static inline uint8_t *
guard_low(const struct guard *g)
{
	return g->base;
}

/* The last `size` bytes: one byte after them faults. */
static inline uint8_t *
guard_high(const struct guard *g, size_t size)
{
	return g->base + GUARD_ROOM - size;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Rounds of a rig in threads of their own: one worker on one CPU, or two workers at once, each on a
 * CPU of its own, with the round trip of a cache line between the two beside it. CPUs of a virtual
 * machine move between near and far within seconds, and what two of them do together moves along.
 */

#include <stdbool.h>

#include "perf/path_rig.h"

#ifdef __cplusplus
extern "C" {
#endif

struct path_pair_time {
	double ns; /* wall clock, from the common start until the last credential had its verdict */
	double rtt_ns[2]; /* before and after; 0 for one worker */
	uint64_t busy;    /* refused for want of room in a hand-off ring */
	bool is_whole;    /* no thread lost its CPU meanwhile */
};

/* Two CPUs that this process may run on, or false. */
bool path_pair_cpus(unsigned cpus[2]);

/*
 * Walks the round that was minted last: worker n of the rig on CPU cpus[n], after it has taken its
 * frames into that CPU's cache. Ends the program if a thread cannot be had. With `cycles`, one array
 * per worker, it walks by stages (path_rig_walk_stages).
 */
void path_pair_walk(struct path_rig *rig, unsigned workers, const unsigned *cpus,
	uint32_t *const *cycles, struct path_pair_time *time);

#ifdef __cplusplus
}
#endif

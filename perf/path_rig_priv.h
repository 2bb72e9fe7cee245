/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Inside of the rig, for path_rig.c, path_mint.c and path_stages.c. */

#include <stdatomic.h>

#include "path_fixture.h"
#include "perf/path_rig.h"

#define RIG_BURST 64u

struct path_rig {
	struct path_rig_params params;
	struct fixture fixture;
	uint64_t random;
	uint32_t window_bits;
	uint32_t frame_count; /* all workers' */
	uint32_t stride;
	uint16_t cred_at; /* offset of the credential in its frame */
	uint8_t *memory;
	struct burst_frame *frames;
	struct key_slot **slots; /* [epoch - 1][node], 0 ... nodes each */
	uint32_t *keys;          /* of each frame, an index into slots */
	uint16_t *spans;         /* of each frame, bytes under the tag */
	uint64_t *serials;       /* next one of each node */
	/* What the counters must say, by verdict. */
	uint64_t proved[VERDICT_COUNTERS];
	uint64_t unproved[VERDICT_COUNTERS];
	struct burst_result results[PATH_WORKERS_MAX];
	_Alignas(128) _Atomic uint32_t walked; /* workers that have walked their frames */
};

/* Zeroed and all there. */
void *rig_memory(size_t size);

static inline uint8_t *
rig_msg(const struct path_rig *rig, uint32_t frame)
{
	return rig->memory + (size_t)frame * rig->stride + rig->cred_at;
}

/* xorshift64*: which node comes next shall not be foreseen, by the prefetcher either. */
static inline uint64_t
rig_random(struct path_rig *rig)
{
	rig->random ^= rig->random >> 12;
	rig->random ^= rig->random << 25;
	rig->random ^= rig->random >> 27;
	return rig->random * 0x2545f4914f6cdd1dull;
}

/* 0 ... count - 1 */
static inline uint32_t
rig_draw(struct path_rig *rig, uint32_t count)
{
	return (uint32_t)((rig_random(rig) >> 32) * count >> 32);
}

/* path_mint.c: headers, and all of a credential that is not a round's own. */
bool rig_frames_prepare(struct path_rig *rig);

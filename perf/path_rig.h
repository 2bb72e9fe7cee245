/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The packet path with credentials to walk it, for benchmarks in C++: one worker in memory, many
 * nodes, frames of fresh credentials minted anew for each round. Plain C types only, since the
 * project's headers use C11 atomics.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct path_rig;

/* What worker_burst_at goes through; deliver: publishing, sealing of replies, statistics. */
enum path_stage {
	PATH_STAGE_PARSE,
	PATH_STAGE_ADMIT,
	PATH_STAGE_VERIFY,
	PATH_STAGE_HANDOFF,
	PATH_STAGE_OWN,
	PATH_STAGE_DELIVER,
	PATH_STAGES
};

struct path_rig_params {
	uint32_t nodes;
	uint32_t window_bits;
	uint32_t frames; /* of a round, a multiple of 64 */
	uint32_t forged_percent;
	uint32_t payload_size;
	bool verify_checksum; /* in software; else as if a NIC had */
};

/* NULL with a message on standard error. Takes a moment for many nodes. */
struct path_rig *path_rig_create(const struct path_rig_params *params);
void path_rig_destroy(struct path_rig *rig);

/* Mints the next round's frames, each from a node drawn at random; the last is never forged. */
void path_rig_mint(struct path_rig *rig);

/* Walks all frames of the round in bursts of 64. */
void path_rig_walk(struct path_rig *rig);

/*
 * The same through a copy of the path that reads the clock between the stages. `cycles` gets
 * PATH_STAGES TSC differences for each burst of the round.
 */
void path_rig_walk_stages(struct path_rig *rig, uint32_t *cycles);
uint32_t path_rig_bursts(const struct path_rig *rig);

/*
 * Two rigs of such parameters, one walked, the other walked by stages: do all counters agree, and
 * every byte of the rings? A few rounds.
 */
bool path_rig_stages_agree(const struct path_rig_params *params);

/* Did every genuine credential so far get accepted, and no forged one? */
bool path_rig_is_right(const struct path_rig *rig);

/* The tag kernel that rigs of this machine run on, as one line. */
const char *path_rig_kernel(void);

/* What lies in the frames, for a peer to compute tags over. */
const uint8_t *path_rig_msg(const struct path_rig *rig, uint32_t frame);
uint16_t path_rig_span_size(const struct path_rig *rig);
uint32_t path_rig_node(const struct path_rig *rig, uint32_t frame);
const uint8_t *path_rig_key(const struct path_rig *rig, uint32_t node);

#ifdef __cplusplus
}
#endif

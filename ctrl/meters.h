/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Control's reading of the meters (dataplane/meters.h): how often and when each epoch of a node was
 * used, and its memory over restarts. The meters die with credgated; so they are written to the file
 * `meters` of the state directory at an orderly stop and, while something changes, in the background
 * after each pass over all nodes (METERS_SLICES seconds), and taken from there at the next start. A
 * crash forgets what was noted since the last whole pass: at most two passes, a minute. All
 * functions: control's one thread.
 *
 * File, host byte order: struct meters_file; struct meters_record for each epoch that was ever used,
 * ended by one of realm 0; a BLAKE2b digest of all before it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/config.h"
#include "ctrl/reason.h"
#include "dataplane/meters.h"
#include "replay/replay.h"

#define METERS_FILE_MAGIC   0x314c4945544d4743ull /* "CGMTEIL1" as bytes */
#define METERS_FILE_VERSION 1u
#define METERS_FILE_DIGEST  32u
#define METERS_SLICES       30u /* of a pass, one per second */

struct meters_file {
	uint64_t magic;
	uint32_t version;
	uint32_t reserved;
};

struct meters_record {
	uint32_t realm; /* 0: the end */
	uint32_t node;
	uint64_t accepted;
	uint32_t last_s;
	uint32_t refused;
	uint16_t epoch;
	uint8_t reserved[6];
};
static_assert(sizeof(struct meters_record) == 32, "docs/rotation.md");

/* What is known of one epoch of a node. */
struct meters_use {
	uint64_t accepted;
	uint64_t per_minute; /* of late: measured over the last 30 to 60 s */
	uint32_t last_s;     /* real-time clock at the last acceptance; 0: never */
	uint32_t refused;    /* proved, but refused */
};

struct meters;

/*
 * Reads `shared` and the nodes' lines of `store`, both of which MUST outlive it and MUST NOT be in
 * use by a dataplane yet: what the file of `dir` knows is put into them. A file that is damaged is
 * told in the log and not used. `bases` as windows_bases. NULL without memory.
 */
struct meters *meters_create(const char *dir, const struct config *config,
	const uint32_t bases[TABLE_REALMS_MAX], struct meters_header *shared,
	const struct replay_store *store);
void meters_destroy(struct meters *meters);

/* Once a second: looks at the next slice of nodes, and writes what it has to. */
void meters_second(struct meters *meters);

/* Writes all now, durably. 0 or -errno with the cure. */
int meters_save(struct meters *meters, struct reason *reason);

/* What is known of `epoch` of the node in `slot`. */
struct meters_use meters_use(const struct meters *meters, uint32_t slot, uint16_t epoch);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Replay windows over an orderly stop: when the dataplane has ended, they are written to the file
 * `windows` of the state directory, and the next start takes them from there, so that nothing is
 * refused for a restart that was planned. The file is removed, durably, before a dataplane runs: it
 * is never older than the last acceptance. It carries the number of its run, which the stamp carries too
 * (ctrl/floor.h) until the next run begins, so that a copy put back later is not taken for it. Without it (a crash, a power cut, another layout) floors
 * and ceilings apply (ctrl/floor.h, ctrl/serials.h).
 *
 * Layout, host byte order: struct snapshot_header; then records of a 64-bit page number and that
 * page, for pages that are not all zero, between the node lines and the retransmission cache (which
 * is not kept: it turns DUPLICATE into REPLAYED, never the reverse); SNAPSHOT_END; a BLAKE2b digest
 * of everything before it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/config.h"
#include "ctrl/floor.h"
#include "ctrl/reason.h"
#include "replay/replay.h"

#define SNAPSHOT_MAGIC   0x31504e5357494743ull /* "CGIWSNP1" as bytes */
#define SNAPSHOT_VERSION 2u
#define SNAPSHOT_PAGE    4096u
#define SNAPSHOT_END     UINT64_MAX
#define SNAPSHOT_DIGEST  32u

struct snapshot_realm {
	uint32_t id;
	uint32_t nodes_max;
	uint32_t window_bits;
	uint32_t reserved;
	uint64_t floor_us; /* in force when it was written, and still needed */
};

struct snapshot_header {
	uint64_t magic;
	uint32_t version;
	uint32_t realm_count;
	uint64_t store_size;
	char run[40]; /* FLOOR_RUN_SIZE, then zeros */
	struct snapshot_realm realms[TABLE_REALMS_MAX];
};

static_assert(FLOOR_RUN_SIZE <= sizeof(((struct snapshot_header *)0)->run), "floor.h");

/*
 * Fills the freshly formatted store and the floors from the file. 1 if it did; 0 if there is no
 * file, or none that fits, is whole and of this run (told in the log): then nothing was touched. -errno with the
 * cure if it cannot be read.
 */
int snapshot_load(const char *dir, const char *run, const struct config *config,
	struct replay_store *store, uint64_t floors_us[TABLE_REALMS_MAX], struct reason *reason);

/* Removes the file durably; MUST be called before a dataplane runs. 0 or -errno with the cure. */
int snapshot_remove(const char *dir, struct reason *reason);

/* Writes the file durably. No dataplane may run. 0 or -errno with the cure. */
int snapshot_save(const char *dir, const char *run, const struct config *config,
	const struct replay_store *store, const uint64_t floors_us[TABLE_REALMS_MAX],
	struct reason *reason);

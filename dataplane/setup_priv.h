/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The dataplane's end of dataplane/setup.h: receives configuration and memory, maps it, and
 * answers. Start-up and the main thread only.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/failure.h"
#include "dataplane/meters.h"
#include "dataplane/setup.h"
#include "dataplane/table.h"
#include "replay/replay.h"
#include "verdict/ring.h"

/* Table, statistics, replay state, meters, a ring per group and worker, a refusal ring per worker. */
#define SETUP_MAPPINGS_MAX (4 + (TABLE_GROUPS_MAX + 1) * TABLE_WORKERS_MAX)

struct setup_mapping {
	void *address;
	uint64_t size;
};

struct setup {
	int fd;
	struct setup_config config;
	const struct table_header *table;
	struct stats_header *stats;
	struct replay_store replay;
	struct meters_header *meters;
	struct verdict_ring *delivery[TABLE_GROUPS_MAX][TABLE_WORKERS_MAX]; /* NULL: not used */
	struct verdict_ring *refusal[TABLE_WORKERS_MAX];                    /* NULL: none */
	struct setup_mapping mappings[SETUP_MAPPINGS_MAX];
	unsigned mapping_count;
};

/*
 * Receives and checks everything from the SOCK_SEQPACKET socket `fd` and maps it: the table
 * read-only, all of it present in memory and kept out of core files. Waits at most 10 s for each
 * message. Takes over `fd`, also when it fails. 0 or -errno; MUST be followed by setup_release.
 */
int setup_receive(struct setup *setup, int fd, struct failure *failure);

/* Unmaps everything and closes the socket. */
void setup_release(struct setup *setup);

/* Tell control that ports are polled, or why they are not. A dead control is no error. */
void setup_answer_ready(const struct setup *setup, uint32_t kernel, const char *text);
void setup_answer_failed(const struct setup *setup, const struct failure *failure);

/* Reads what is there without waiting. Has control asked to stop, or gone? */
bool setup_is_over(const struct setup *setup);

/* Maps and checks one object whose descriptor is `fd` (setup_map.c). 0 or -errno. */
int setup_map_object(
	struct setup *setup, const struct setup_object *object, int fd, struct failure *failure);

/* Is everything there that the configuration needs? 0 or -errno. */
int setup_map_check(const struct setup *setup, struct failure *failure);

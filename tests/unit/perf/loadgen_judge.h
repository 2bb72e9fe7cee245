/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A gateway in memory that judges what the load generator makes, through the project's own packet
 * path: every frame is parsed, its checksum verified, its tag proved, its serial marked.
 */

#include <stdint.h>

#include "path_fixture.h"

#define JUDGE_NODES 64u
#define JUDGE_PATH  64u

struct judge {
	struct fixture fixture;
	char master[JUDGE_PATH]; /* file with the realm's master secret, mode 0600 */
};

/* Nodes 1 to JUDGE_NODES of FIXTURE_REALM, suites in turn. Dies if it cannot be had. */
void judge_init(struct judge *judge, const uint8_t *suites, unsigned suite_count);
void judge_fini(struct judge *judge);

/* At the time of the real clock. */
void judge_frames(
	struct judge *judge, const uint8_t *const *frames, const uint16_t *sizes, unsigned count);

/* How many got this verdict, proved or not. */
uint64_t judge_count(const struct judge *judge, enum verdict verdict);

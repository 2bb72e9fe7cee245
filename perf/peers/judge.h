/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * A peer's judgement of one message: parse, node table, time, replay window, tag, window again. The
 * cheap questions come first and nothing is written before the tag is right. It does less than a
 * gateway: origin, audience, validity of keys, revocation, duplicates told from replays and the
 * delivery of a record are left out, all to the peer's advantage.
 */

#include <stddef.h>
#include <stdint.h>

#include "perf/peers/realm.h"
#include "verdict/verdict.h"

#define JUDGE_TTL_S_DEFAULT 60u
#define JUDGE_TTL_S_MAX     300u
#define JUDGE_SKEW_US       2000000u

struct judge;

/* A table of the realm's nodes, in memory that is there. NULL: no memory, or no such algorithm. */
struct judge *judge_create(const struct realm *realm);
void judge_destroy(struct judge *judge);

/* The verdict on `size` bytes at `msg`, counted. One thread. */
enum verdict judge_message(struct judge *judge, const uint8_t *msg, size_t size, uint64_t now_us);

/* How often each verdict was given. */
const uint64_t *judge_counts(const struct judge *judge);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * What a gateway must remember of time when its windows are gone: a durable stamp, written each
 * second, and from it the floor below which nothing is accepted after a start. A credential accepted
 * before was issued at most `skew` after the clock of that moment, which the stamp follows within
 * FLOOR_MARGIN_US; so no credential accepted once is accepted again (docs/replay.md).
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/reason.h"

#define FLOOR_MARGIN_US 2000000u

/* A stamp further ahead than this was written by a clock that was ahead. */
#define FLOOR_AHEAD_US 5000000u

#define FLOOR_RUN_SIZE 33u /* 32 hexadecimal digits and a NUL */

struct floor;

/* Opens or makes the file `clock` in `dir` and reads what the last run left. NULL with the cure. */
struct floor *floor_open(const char *dir, struct reason *reason);
void floor_close(struct floor *floor);

/* The floor of a realm whose epochs were in use before this start: max(now, stamp + margin) + skew. */
uint64_t floor_us(const struct floor *floor, uint64_t now_us, uint64_t skew_us);

/* The stamp the last run left, if it is more than FLOOR_AHEAD_US after `now`; else 0. */
uint64_t floor_ahead_us(const struct floor *floor, uint64_t now_us);

/*
 * The run the stamp was written in: a random number, which binds the windows that were kept to it
 * (ctrl/snapshot.h). Empty: none is known.
 */
const char *floor_run(const struct floor *floor);

/* Begins another run, durably: no windows kept before fit to it. 0 or -errno with the cure. */
int floor_run_begin(struct floor *floor, uint64_t now_us, struct reason *reason);

/* Writes the stamp durably; each second, and at the end. 0 or -errno. */
int floor_stamp(struct floor *floor, uint64_t now_us, struct reason *reason);

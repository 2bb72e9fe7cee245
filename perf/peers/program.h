/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the peers' programs have in common: options, an end with one clear line, CPU time. */

#include <netinet/in.h>
#include <stdint.h>

/* "PROGRAM: message" on standard error, and exit 1. */
__attribute__((noreturn, format(printf, 1, 2))) void program_fail(const char *format, ...);

/* The number in `text`, from `min` to `max`, or program_fail naming `option`. */
uint64_t program_number(const char *option, const char *text, uint64_t min, uint64_t max);

/* "10.77.0.1:7475" or, with port 0, "10.77.0.1"; else program_fail naming `option`. */
struct sockaddr_in program_address(const char *option, const char *text);

/* Stays on that CPU from now on. */
void program_pin(unsigned cpu);

/* SIGUSR1 is kept from now on until the wait, which another signal's handler ends as well. */
void program_hold_prepare(void);
void program_hold_wait(void);

/* Seconds of a clock: CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID. */
double program_seconds(int clock);

/* Middle of `count` values, which it sorts. */
double program_median(double *values, size_t count);

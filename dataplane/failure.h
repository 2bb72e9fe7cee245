/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Why start-up failed: one line for the operator that names the object and the cure, and an errno
 * for control. Functions that may fail at start take one, fill it in, and return -errno.
 */

struct failure {
	int error; /* 0: nothing failed */
	char text[256];
};

/* Fills `failure` in and returns -error. `error` MUST be positive. */
__attribute__((format(printf, 3, 4))) int failure_set(
	struct failure *failure, int error, const char *format, ...);

/*
 * One line for the operator on stderr, after the program's name. At most NOTES_BURST at once and then
 * one each second, so that a link that flaps or a peer that keeps connecting fills no log; the next
 * line says how many were left out. Any thread, not the hot path.
 */
#define NOTES_BURST 64u
__attribute__((format(printf, 1, 2))) void note(const char *format, ...);

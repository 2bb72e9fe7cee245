/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Why something could not be done: an errno for programs, one line for people. */

#define REASON_SIZE 768

struct reason {
	int error; /* errno, positive */
	char text[REASON_SIZE];
};

/* Fills in `reason` (which may be NULL) and returns -error. The text names object and cure. */
int reason_set(struct reason *reason, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Log lines on standard error: "level: object: message". One line each, control characters of
 * what others sent are shown as '?'. Nothing secret is ever passed in.
 */

#include <stdint.h>

void log_error(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warning(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * A bound for lines that a client can cause: at most LOG_LIMIT_BURST in a second, then silence
 * until the second is over; the first line after that says how many were left out.
 */
#define LOG_LIMIT_BURST 5u

struct log_limit {
	uint64_t second_us; /* monotonic clock at the first line of this second */
	unsigned lines;
	unsigned left_out;
};

void log_limited(struct log_limit *limit, const char *object, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Failures of this program: one line on standard error, with the cure. */

/* Prints "credgate-loadgen: ..." and returns -1. Any thread. */
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...);

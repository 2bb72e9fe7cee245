/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Verbs that go on until Ctrl-C: SIGINT and SIGTERM are noted, and their loops look. */

#include <stdbool.h>

/* `flags` of sigaction: SA_RESTART, or 0 so that a wait ends. */
void stop_catch(int flags);

bool stop_is_asked(void);

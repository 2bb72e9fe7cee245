/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * All threads of this process, EAL's own included: run something in each, and see what the kernel
 * thinks of each. Linux keeps capabilities and filters per thread, and knows no call that changes
 * the capabilities of another.
 */

#include <sys/types.h>

#include "dataplane/failure.h"

/*
 * Runs `action` in every thread, by a signal, and waits until all have. `action` MUST be
 * async-signal-safe. Threads must not be made meanwhile by others than threads that ran it: those
 * inherit. Main thread only. 0 or -errno.
 */
int threads_run(void (*action)(void), struct failure *failure);

struct threads_view;

/* Opens the kernel's view of every thread that is there now; NULL with `failure`. */
struct threads_view *threads_view_open(struct failure *failure);
void threads_view_close(struct threads_view *view);

/*
 * Does every thread run as uid:gid, without capabilities, with no_new_privs and a filter? The first
 * one that does not is named in `failure`, as is a thread that came after threads_view_open. Opens
 * no file. 0 or -errno.
 */
int threads_view_check(struct threads_view *view, uid_t uid, gid_t gid, struct failure *failure);

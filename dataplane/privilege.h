/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Giving up everything the dataplane needed to start and does not need to run. It parses hostile
 * input: after privilege_drop it is an ordinary user without capabilities, and a system call
 * outside a short list fails or kills it (seccomp.c). Linux keeps capabilities, no_new_privs and
 * filters per thread, and EAL's threads exist by then, so every thread is changed and then looked
 * at; one that differs ends the program.
 */

#include <stdint.h>
#include <sys/types.h>

#include "dataplane/failure.h"

/* What some ports need of the kernel while they run, beyond the common list. */
enum privilege_need {
	PRIVILEGE_NEED_MEMIF = 1 << 0, /* Unix sockets and shared memory, when a peer connects */
	PRIVILEGE_NEED_PCI = 1 << 1,   /* VFIO and verbs requests to a NIC */
	PRIVILEGE_NEED_XDP = 1 << 2,   /* its attempt to clean up fails instead of killing */
	PRIVILEGE_NEED_INTERFACE = 1 << 3, /* asking whether an interface is there and up */
};

/*
 * What can be given up before anything else: core files, what an execve could gain back. Before
 * the first thread is made, so that all inherit it. 0 or -errno.
 */
int privilege_prepare(struct failure *failure);

/*
 * Becomes uid:gid without further groups in every thread (nothing if it is already), drops all
 * capabilities, loads the filter into every thread and checks each. `needs` is a set of enum
 * privilege_need. Main thread only, after all ports are up. 0 or -errno; what was done before an
 * error stays done.
 */
int privilege_drop(uid_t uid, gid_t gid, unsigned needs, struct failure *failure);

/* Loads the filter into all threads (seccomp.c). 0 or -errno. */
int privilege_filter_load(unsigned needs, struct failure *failure);

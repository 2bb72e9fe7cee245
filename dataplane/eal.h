/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* DPDK's environment: started with arguments of our own making, its log caught. Main thread. */

#include <stdbool.h>

#include "dataplane/failure.h"
#include "dataplane/setup.h"

/* Lcore 0 is the main thread, lcore 1 + i worker i. */
#define EAL_WORKER_LCORE(worker) (1u + (worker))

/*
 * Starts EAL with one lcore per worker and one for the main thread, and the PCI devices among the
 * ports. 0 or -errno.
 */
int eal_start(const struct setup_config *config, struct failure *failure);
void eal_stop(void);

/* The first line DPDK logged since eal_complaint_clear, without its end; "" if there was none. */
const char *eal_complaint(void);
void eal_complaint_clear(void);

/*
 * While it runs DPDK's lines go to stderr as they come. Before, they are kept for our own messages;
 * after, drivers only complain that they clean up without privileges.
 */
void eal_complaint_show(bool is_shown);

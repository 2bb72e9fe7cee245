/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The statistics pages as commands of DPDK's telemetry socket (dpdk-telemetry.py):
 *	/credgate/stats     what was received, sent, handed over; of all workers, or of ",N"
 *	/credgate/verdicts  proved and unproved verdicts, likewise
 */

#include "dataplane/failure.h"
#include "dataplane/table.h"

/* Registers the commands; `stats` MUST stay mapped until the program ends. 0 or -errno. */
int telemetry_register(struct stats_header *stats, struct failure *failure);

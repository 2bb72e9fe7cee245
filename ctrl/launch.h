/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What a dataplane is told at start, from the configuration. */

#include <stdbool.h>

#include "ctrl/config.h"
#include "dataplane/setup.h"

/* Slots of each hand-off ring between two workers: three bursts of the largest credentials that want
 * replies, 20 slots each, or 64 of such as have no payload. */
#define LAUNCH_HANDOFF_SLOTS 4096u

/*
 * Fills in the set-up message. `has_hugepages` is what AUTO came to. 0, or -E2BIG with the cure if
 * a port's device and options do not fit.
 */
int launch_config_make(struct setup_config *setup, const struct config *config, bool has_hugepages,
	struct reason *reason);

/* Are hugepages to be used? YES and NO say so themselves, AUTO looks whether enough are free. */
bool launch_has_hugepages(const struct config *config);

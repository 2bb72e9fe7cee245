/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Sizes of replay windows, and the places of realms among the slots of the shared tables. */

#include <stdint.h>

#include "ctrl/config.h"
#include "replay/replay.h"

/*
 * Gives each realm without a stated window_bits the largest power of two that fits: it begins with
 * the default and halves the windows of the realm that takes most until the memory is within
 * window_memory_max_mb. *bytes gets what the windows need. 0, or -E2BIG if even the smallest do not
 * fit.
 */
int windows_fit(struct config *config, uint64_t *bytes);

/* Slot of node 0 (which does not exist) of each realm; returns the number of slots in all. */
uint32_t windows_bases(const struct config *config, uint32_t bases[TABLE_REALMS_MAX]);

/* The layout as replay/window.h wants it; returns the number of ranges. */
unsigned windows_ranges(
	const struct config *config, struct replay_layout_range ranges[TABLE_REALMS_MAX]);

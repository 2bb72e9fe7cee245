/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The mode of each realm: what the configuration says, unless it was set on the running gateway
 * (`credgate realm mode`). What was set live lasts over reloads and restarts until it is set
 * otherwise; it is kept in the registry, with who did it and why. docs/rollout.md.
 *
 * All functions: the thread of the event loop.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/config.h"
#include "ctrl/reason.h"
#include "ctrl/registry.h"

#define MODES_KIND       "mode"
#define MODES_WHY_SIZE   128u
#define MODES_CONFIGURED 3 /* beside enum table_mode: as the configuration says */

struct mode_setting {
	bool is_live; /* else the configuration decides, and the rest is empty */
	enum table_mode mode;
	int64_t since_s;
	char who[REGISTRY_WHO_SIZE];
	char why[MODES_WHY_SIZE];
};

struct modes {
	struct mode_setting settings[TABLE_REALMS_MAX]; /* by index in the configuration */
};

/* What was set in earlier runs; one that makes no sense is logged and left out. 0 or -errno. */
int modes_load(struct modes *modes, const struct config *config, struct registry *registry,
	struct reason *reason);

/* The mode in force. */
enum table_mode modes_get(
	const struct modes *modes, const struct config *config, unsigned realm_index);

/*
 * Sets it, MODES_CONFIGURED gives it back to the configuration; on disk when this returns 0. `why`
 * may be NULL. Or -errno, and nothing changed.
 */
int modes_set(struct modes *modes, const struct config *config, struct registry *registry,
	unsigned realm_index, unsigned mode, const char *who, const char *why,
	struct reason *reason);

/* The number of a mode's text, MODES_CONFIGURED for "configured", or -EINVAL. */
int modes_parse(const char *text);

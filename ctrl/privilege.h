/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* From root, or whoever started credgated, to the control user; and the directories it needs. */

#include "ctrl/config.h"

/*
 * Makes run and state directory if they are missing, for the control user; root's own are given to
 * him. With root's rights, or with the caller's where they are enough. 0, or -errno with the cure.
 */
int privilege_make_dirs(const struct config *config, struct reason *reason);

/*
 * Becomes the control user for good: no other group, no capability, no way back; and raises the
 * limits on descriptors and locked memory first, while that is allowed. Without root: checks that
 * there is nothing to drop. 0 or -errno.
 */
int privilege_become(const struct config_user *user, struct reason *reason);

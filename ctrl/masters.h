/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Which master secrets of a realm are in service. The first is the file that the configuration's
 * `master` names; further ones lie beside it as MASTER.FINGERPRINT. The registry says which is the
 * current one, from which new epochs are derived. A master goes out of service when no epoch is
 * derived from it any more; its file is never removed or changed here.
 */

#include "ctrl/ctrl.h"

/*
 * Loads the masters of all realms. Where the current one is not there it fails; where an older one
 * is not, its epochs are refused and the log says so. 0 or -errno with the cure.
 */
int masters_begin(struct ctrl *ctrl, struct reason *reason);

/*
 * Makes a new master of the realm and loads it; the current one stays that. `fingerprint` gets its
 * own. 0 or -errno with the cure.
 */
int masters_add(struct ctrl *ctrl, unsigned realm_index, char fingerprint[SECRETS_FINGERPRINT_SIZE],
	struct reason *reason);

/*
 * Takes one that was just added out of service again. Its file stays, and the log names it: whatever
 * made the rotation fail, a key may be derived from it after all.
 */
void masters_take_back(struct ctrl *ctrl, unsigned realm_index, const char *fingerprint);

/* New epochs are derived from it, from now on; it MUST be loaded. */
void masters_use(struct ctrl *ctrl, unsigned realm_index, const char *fingerprint);

/* Takes masters out of service that no epoch names any more. */
void masters_sweep(struct ctrl *ctrl, unsigned realm_index);

/* The file of a master that is loaded, into `path` of PATH_MAX bytes. */
void masters_path(
	const struct ctrl *ctrl, unsigned realm_index, const char *fingerprint, char *path);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The high-water file: which (realm, node, epoch) were ever used, outside the registry database, so
 * that an old copy of the database cannot bring a used or revoked key back. Append-only text, one
 * line each, durable before what it says takes effect:
 *
 *	REALM NODE EPOCH		the epoch is used
 *	REALM NODE EPOCH closed		all epochs of the node up to this one are over
 *
 * A last line without its newline was torn by a crash before it took effect, and is cut off.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctrl/reason.h"

struct highwater;

struct highwater_mark {
	uint16_t highest; /* 0: never used */
	uint16_t closed;  /* 0: none */
};

/*
 * Opens the file if it is there, checks owner and mode, reads it, and takes its lock: two credgated
 * on one state directory would use an epoch twice. NULL with the cure.
 */
struct highwater *highwater_open(const char *path, struct reason *reason);
void highwater_close(struct highwater *highwater);

/*
 * Is there no such file? Then either nothing in this state directory was ever used, or the memory
 * of it is lost: the caller MUST find out which before it makes the file.
 */
bool highwater_is_new(const struct highwater *highwater);

/* Makes the file, durably, and locks it. MUST come before any other change. 0 or -errno. */
int highwater_create(struct highwater *highwater, struct reason *reason);

struct highwater_mark highwater_find(
	const struct highwater *highwater, uint32_t realm, uint32_t node);

/* Does the file name no node at all? */
bool highwater_is_empty(const struct highwater *highwater);

/* Is any node of the realm in the file? */
bool highwater_has_realm(const struct highwater *highwater, uint32_t realm);

struct highwater_line {
	uint32_t realm;
	uint32_t node;
	uint16_t epoch;
	bool is_closed;
};

/*
 * Appends lines and makes them durable, all with one fdatasync: after a crash a first part of them
 * may be there. What is there already is not repeated. 0, or -errno with the cure: then none of them
 * holds. highwater_use and highwater_shut are of one line.
 */
int highwater_append(struct highwater *highwater, const struct highwater_line *lines, size_t count,
	struct reason *reason);

/*
 * Takes what the last highwater_append wrote back, for what it prepared did not happen. 0, or -errno
 * if it stays: then it holds, at the latest from the next start on.
 */
int highwater_take_back(struct highwater *highwater);

int highwater_use(struct highwater *highwater, uint32_t realm, uint32_t node, uint16_t epoch,
	struct reason *reason);
int highwater_shut(struct highwater *highwater, uint32_t realm, uint32_t node, uint16_t epoch,
	struct reason *reason);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Whitelists: the file that `whitelist` of a realm names says which of its nodes may speak at all.
 * No such key: everybody; an empty file: nobody. A file that cannot be read, that others could have
 * written or that makes no sense changes nothing: the last good list stays in force, also over a
 * restart, and the log says so until it is mended. docs/rollout.md.
 *
 * All functions: the thread of the event loop.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "ctrl/config.h"
#include "ctrl/reason.h"
#include "ctrl/registry.h"

#define WHITELIST_SIZE_MAX (4u << 20) /* of a file, in bytes: as much as the registry keeps */
#define WHITELIST_KIND     "whitelist"

struct whitelists;

/* What is known of one realm's list. */
struct whitelist_view {
	const char *path;   /* NULL: the realm has none */
	const char *fault;  /* why the file is not in force; NULL: it is */
	uint32_t count;     /* names in force */
	uint64_t taken_us;  /* real-time clock: when the list in force was taken */
	uint64_t failed_us; /* when the fault was found; 0: there is none */
	bool is_due;        /* the list changed, and whitelists_done was not called since */
};

/* Files MUST be root's or `owner`'s. `registry` MUST outlive it. NULL without memory. */
struct whitelists *whitelists_create(struct registry *registry, uid_t owner);
void whitelists_destroy(struct whitelists *lists);

/*
 * Takes the lists that `config` names, at the start and on reload. A bad file leaves the last good
 * list in force; where there never was one it is an error, and then nothing changed. 0 or -errno.
 */
int whitelists_load(struct whitelists *lists, const struct config *config, struct reason *reason);

/*
 * Forgets the last good lists of realms that have no list any more; once the configuration is in
 * force, for until then whitelists_load with the old one has to find them.
 */
void whitelists_forget(struct whitelists *lists, const struct config *config);

/*
 * To be called each second: takes files that changed and then stayed the same for a second, so that
 * one that is being written is not taken half. Returns true if nodes have to be told apart anew, and
 * does so until whitelists_done says that they were.
 */
bool whitelists_look(struct whitelists *lists);
void whitelists_done(struct whitelists *lists);

/* May the node of this name speak? Realms by their index in the configuration. */
bool whitelist_has(const struct whitelists *lists, unsigned realm_index, const char *name);
struct whitelist_view whitelist_view(const struct whitelists *lists, unsigned realm_index);

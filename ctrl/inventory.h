/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Inventories of very many nodes, imported in pieces: rows come over the admin socket and are
 * written as they come, a commit makes all of them durable at once, and then they are put into the
 * key table, a few at a time, so that the event loop goes on serving. One import at a time; one that
 * is not heard of for INVENTORY_IDLE_S is given up. All functions: control's one thread.
 */

#include <stddef.h>
#include <stdint.h>

#include "ctrl/registry.h"

#define INVENTORY_IDLE_S 15

/* Nodes put into the key table at a time: deriving their keys takes some 5 ms. */
#define INVENTORY_SLICE 512u

struct ctrl;
struct inventory;

struct inventory_counts {
	uint32_t added;
	uint32_t changed;
	uint32_t unchanged;
	uint32_t skipped;
};

struct inventory *inventory_create(struct ctrl *ctrl);

/* Gives up an import that is under way. */
void inventory_destroy(struct inventory *inventory);

/* *number gets what the further calls MUST give. -EAGAIN while another one is under way. */
int inventory_begin(
	struct inventory *inventory, unsigned realm_index, uint32_t *number, struct reason *reason);

/*
 * One row: a request as for nodes_add, without its realm, and the state that is wanted. After an
 * error the import is over and nothing of it is there.
 */
int inventory_row(struct inventory *inventory, uint32_t number, struct registry_request *request,
	enum registry_import_state state, struct reason *reason);

/* Keeps all rows, or none (abort); *counts gets what they came to. */
int inventory_commit(struct inventory *inventory, uint32_t number, struct inventory_counts *counts,
	struct reason *reason);
int inventory_abort(struct inventory *inventory, uint32_t number, struct inventory_counts *counts,
	struct reason *reason);

/* The realm of an import under way, to understand its rows. -ENOENT if it is over. */
int inventory_realm(const struct inventory *inventory, uint32_t number, unsigned *realm_index,
	struct reason *reason);

/* How many nodes of imports are durable and not yet in force. */
size_t inventory_left(const struct inventory *inventory);

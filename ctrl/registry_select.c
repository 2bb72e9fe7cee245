/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes by what they are or where: as little of each as revoking it takes, for it must be quick. */
#include "ctrl/registry_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "ctrl/address.h"

static int
selection_add(struct registry_selection *selection, const struct registry_selected *item,
	struct reason *reason)
{
	if (selection->count == selection->room) {
		size_t room = selection->room == 0 ? 256 : 2 * selection->room;
		struct registry_selected *more =
			realloc(selection->items, room * sizeof(*selection->items));

		if (more == NULL)
			return reason_set(reason, ENOMEM, "no memory for so many nodes");
		selection->items = more;
		selection->room = room;
	}
	selection->items[selection->count++] = *item;
	return 0;
}

void
registry_selection_fini(struct registry_selection *selection)
{
	free(selection->items);
	*selection = (struct registry_selection){0};
}

/* From a row whose first columns are node, highest and state. */
static struct registry_selected
selected_read(const struct registry *registry, uint32_t realm, sqlite3_stmt *row)
{
	uint32_t node = (uint32_t)sqlite3_column_int64(row, 0);

	return (struct registry_selected){
		.node = node,
		.highest = (uint16_t)sqlite3_column_int(row, 1),
		.is_live = sqlite3_column_int(row, 2) == REGISTRY_NODE_LIVE &&
			   !revocations_has(&registry->unwritten, realm, node),
	};
}

int
registry_select_name(struct registry *registry, uint32_t realm, const char *name,
	struct registry_selection *selection, struct reason *reason)
{
	struct registry_selected item;
	sqlite3_stmt *row;
	int error, state = registry_db_query(
			   registry, &row, reason, SQL_SELECT_NAME, "it", (int64_t)realm, name);

	if (state != 1)
		return state;
	item = selected_read(registry, realm, row);
	sqlite3_reset(row);
	error = selection_add(selection, &item, reason);
	return error != 0 ? error : 1;
}

int
registry_select_role(struct registry *registry, uint32_t realm, const char *role,
	struct registry_selection *selection, struct reason *reason)
{
	sqlite3_stmt *row;
	int error = 0, state = registry_db_query(
			       registry, &row, reason, SQL_SELECT_ROLE, "it", (int64_t)realm, role);

	while (state == 1) {
		struct registry_selected item = selected_read(registry, realm, row);

		error = selection_add(selection, &item, reason);
		if (error != 0) {
			sqlite3_reset(row);
			return error;
		}
		state = registry_db_next(registry, row, reason);
	}
	return state;
}

/* Where a node is, against the prefix that was asked for. */
enum place {
	PLACE_OUTSIDE,
	PLACE_INSIDE,
	PLACE_AROUND, /* the asked one is a part of it */
};

static enum place
place_of(sqlite3_stmt *row, const struct registry_prefix *prefix)
{
	unsigned bits = (unsigned)sqlite3_column_int(row, 4);

	if (sqlite3_column_bytes(row, 3) != sizeof(prefix->address))
		return PLACE_OUTSIDE;
	if (!address_is_in(sqlite3_column_blob(row, 3), prefix->address,
		    (uint8_t)(bits < prefix->bits ? bits : prefix->bits)))
		return PLACE_OUTSIDE;
	return bits >= prefix->bits ? PLACE_INSIDE : PLACE_AROUND;
}

/* The rows of one node follow each other; it goes in when the last of them was seen. */
struct gathering {
	struct registry_selected item; /* node 0: none yet */
	bool has_inside;
	bool has_other;
};

static int
gathering_end(
	struct gathering *gathering, struct registry_selection *selection, struct reason *reason)
{
	struct registry_selected item = gathering->item;

	if (!gathering->has_inside && !item.is_partial)
		return 0;
	item.is_partial |= gathering->has_other;
	return selection_add(selection, &item, reason);
}

static int
gathering_row(struct gathering *gathering, struct registry_selection *selection,
	const struct registry_selected *item, enum place place, struct reason *reason)
{
	int error = 0;

	if (gathering->item.node != item->node) {
		error = gathering_end(gathering, selection, reason);
		*gathering = (struct gathering){.item = *item};
	}
	gathering->has_inside |= place == PLACE_INSIDE;
	gathering->has_other |= place != PLACE_INSIDE;
	gathering->item.is_partial |= place == PLACE_AROUND;
	return error;
}

int
registry_select_prefix(struct registry *registry, uint32_t realm,
	const struct registry_prefix *prefix, struct registry_selection *selection,
	struct reason *reason)
{
	struct gathering gathering = {0};
	sqlite3_stmt *row;
	int state =
		registry_db_query(registry, &row, reason, SQL_SELECT_PREFIXES, "i", (int64_t)realm);

	while (state == 1) {
		struct registry_selected item = selected_read(registry, realm, row);
		int error =
			gathering_row(&gathering, selection, &item, place_of(row, prefix), reason);

		if (error != 0) {
			sqlite3_reset(row);
			return error;
		}
		state = registry_db_next(registry, row, reason);
	}
	return state < 0 ? state : gathering_end(&gathering, selection, reason);
}

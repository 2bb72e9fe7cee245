/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Hands rings to consumers over consumer.sock (verdict/attach.h): a group's delivery rings to its
 * reader and to nobody else, the refusal rings to observers and admins, the member table to all of
 * these; always as read-only memfds.
 * A connection is a consumer's claim and stays open; when credgated stops it is closed, which tells
 * the consumer to attach again. Whoever could be given nothing is hung up on at once, so that
 * strangers, however many uids they have, leave the places to those who may.
 */

#include <event2/event.h>

#include "ctrl/ctrl.h"
#include "ctrl/peer.h"
#include "verdict/attach.h"

#define CONSUMERS_MEMBERS     (TABLE_GROUPS_MAX + 1)
#define CONSUMERS_MAX         512u
#define CONSUMERS_PER_UID_MAX 64u
#define CONSUMERS_ASK_S       5 /* a connection that asks for nothing is closed */

/* `ctrl` MUST outlive it. NULL with the cure. */
struct consumers *consumers_create(const struct ctrl *ctrl, struct reason *reason);
void consumers_destroy(struct consumers *consumers);

/* How many are attached to group `group`; TABLE_GROUPS_MAX: to the refusal rings,
 * CONSUMERS_MEMBERS: to the member table. */
unsigned consumers_count(const struct consumers *consumers, unsigned group);

/*
 * May `peer` have what it asks for? Fills in status and text of `reply`, and *group
 * (TABLE_GROUPS_MAX for refusals, CONSUMERS_MEMBERS for members).
 */
void consumers_decide(const struct config *config, const struct peer *peer,
	const struct attach_request *request, struct attach_reply *reply, unsigned *group);

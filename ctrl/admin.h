/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The admin socket (docs/admin-protocol.md): one line of JSON in, one line out. A stranger's
 * connection is closed unread; a bad line is answered with an error; a client that does not read
 * its answers, or does not end a line it began, is dropped. When all places are taken, root and the
 * control user get that of somebody else. Nothing a client does ends or blocks credgated.
 */

#include "ctrl/ctrl.h"

#define ADMIN_LINE_MAX    (1u << 20)
#define ADMIN_OUTPUT_MAX  (4u << 20) /* unread answers */
#define ADMIN_CLIENTS_MAX 64u
#define ADMIN_WRITE_S     10
#define ADMIN_LINE_S      10 /* from the first byte of a line to its end */

/* `ctrl` MUST outlive it. NULL with the cure. */
struct admin *admin_create(struct ctrl *ctrl, struct reason *reason);
void admin_destroy(struct admin *admin);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Who is on the other end of a Unix socket, as the kernel says. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctrl/config.h"

#define PEER_GROUPS_MAX 256u

struct peer {
	pid_t pid;
	uint32_t uid;
	uint32_t gid;
	uint32_t groups[PEER_GROUPS_MAX]; /* supplementary; those beyond are not looked at */
	unsigned group_count;
};

/* 0 or -errno. The groups are those the peer had when it connected. */
int peer_read(int socket, struct peer *peer);

/* Is its uid, its gid or one of its groups in the list? */
bool peer_is_in(const struct peer *peer, const struct config_ids *ids);

/* Is it exactly this user, with this group as its own or a supplementary one? */
bool peer_is(const struct peer *peer, const struct config_user *user);

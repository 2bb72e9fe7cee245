/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/peer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int
peer_read(int socket, struct peer *peer)
{
	socklen_t size = sizeof(struct ucred), groups_size = sizeof(peer->groups);
	struct ucred ucred;

	memset(peer, 0, sizeof(*peer));
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &ucred, &size) != 0)
		return -errno;
	peer->pid = ucred.pid;
	peer->uid = ucred.uid;
	peer->gid = ucred.gid;
	/* More groups than there is room for (ERANGE): none of them counts. */
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &groups_size) == 0)
		peer->group_count = (unsigned)(groups_size / sizeof(peer->groups[0]));
	return 0;
}

static bool
has_id(const uint32_t *ids, unsigned count, uint32_t id)
{
	for (unsigned i = 0; i < count; i++)
		if (ids[i] == id)
			return true;
	return false;
}

bool
peer_is_in(const struct peer *peer, const struct config_ids *ids)
{
	if (has_id(ids->uids, ids->uid_count, peer->uid) ||
		has_id(ids->gids, ids->gid_count, peer->gid))
		return true;
	for (unsigned i = 0; i < peer->group_count; i++)
		if (has_id(ids->gids, ids->gid_count, peer->groups[i]))
			return true;
	return false;
}

bool
peer_is(const struct peer *peer, const struct config_user *user)
{
	return peer->uid == user->uid &&
	       (peer->gid == user->gid || has_id(peer->groups, peer->group_count, user->gid));
}

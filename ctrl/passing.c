/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/passing.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
	char bytes[CMSG_SPACE(PASSING_FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

int
passing_send(int socket, const void *message, size_t size, const int *fds, unsigned count)
{
	union control control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)message, .iov_len = size};
	struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
	struct cmsghdr *rights;

	if (count > PASSING_FDS_MAX)
		return -EINVAL;
	if (count > 0) {
		header.msg_control = control.bytes;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
	}
	if (sendmsg(socket, &header, MSG_NOSIGNAL) < 0)
		return -errno;
	return 0;
}

/* Keeps the first descriptor and closes the others. */
static void
rights_take(struct msghdr *header, int *fd)
{
	struct cmsghdr *part;
	int one;

	for (part = CMSG_FIRSTHDR(header); part != NULL; part = CMSG_NXTHDR(header, part)) {
		size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			memcpy(&one, CMSG_DATA(part) + i * sizeof(int), sizeof(one));
			if (*fd < 0)
				*fd = one;
			else
				close(one);
		}
	}
}

ssize_t
passing_receive(int socket, void *message, size_t size, int *fd)
{
	union control control = {0};
	struct iovec part = {.iov_base = message, .iov_len = size};
	struct msghdr header = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t got;

	*fd = -1;
	got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
	if (got < 0)
		return -errno;
	rights_take(&header, fd);
	if ((header.msg_flags & MSG_TRUNC) == 0)
		return got;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return -EMSGSIZE;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/attach_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/error_priv.h"

/* A gateway that hangs must not hang its consumers. */
#define ATTACH_TIMEOUT_S 5

/* A member table has no name. */
static const struct attach_request members_request = {
	.magic = ATTACH_MAGIC,
	.version = ATTACH_VERSION,
	.what = ATTACH_MEMBERS,
};

static int
request_fill(struct attach_request *request, const char *group)
{
	*request = (struct attach_request){
		.magic = ATTACH_MAGIC,
		.version = ATTACH_VERSION,
		.what = group != NULL ? ATTACH_DELIVERY : ATTACH_REFUSALS,
	};
	if (group == NULL)
		return 0;
	if (group[0] == '\0' || strlen(group) >= sizeof(request->group))
		return client_fail(EINVAL, "group '%.64s': a name has 1 to %zu characters", group,
			sizeof(request->group) - 1);
	snprintf(request->group, sizeof(request->group), "%s", group);
	return 0;
}

static int
socket_open(const char *path)
{
	const struct timeval timeout = {.tv_sec = ATTACH_TIMEOUT_S};
	union {
		struct sockaddr any;
		struct sockaddr_un un;
	} address = {.un = {.sun_family = AF_UNIX}};
	int fd, rc = 0;

	if (strlen(path) >= sizeof(address.un.sun_path))
		return client_fail(ENAMETOOLONG, "%.64s...: too long for a socket", path);
	snprintf(address.un.sun_path, sizeof(address.un.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return client_fail(errno, "socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, &address.any, sizeof(address.un)) != 0)
		rc = client_fail(errno, "%s: %m; is the gateway running?", path);
	if (rc != 0)
		close(fd);
	return rc != 0 ? rc : fd;
}

/* The descriptors of a message; more than ATTACH_RINGS_MAX cannot come. */
static unsigned
descriptors_take(struct msghdr *message, int fds[ATTACH_RINGS_MAX])
{
	struct cmsghdr *part;
	unsigned count = 0;

	for (part = CMSG_FIRSTHDR(message); part != NULL; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		count = (unsigned)((part->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(part), count * sizeof(int));
	}
	return count;
}

static int
reply_receive(int fd, struct attach_reply *reply, int fds[ATTACH_RINGS_MAX], unsigned *fd_count)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(ATTACH_RINGS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = reply, .iov_len = sizeof(*reply)};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);

	if (size < 0)
		return client_fail(errno, "no answer from the gateway: %m");
	if (size == 0)
		return client_fail(ECONNRESET,
			"the gateway hung up without an answer: are there too many consumers?");
	*fd_count = descriptors_take(&message, fds);
	if (size != (ssize_t)sizeof(*reply) || (message.msg_flags & MSG_CTRUNC) != 0 ||
		reply->magic != ATTACH_MAGIC || reply->version != ATTACH_VERSION)
		return client_fail(EPROTO, "the gateway speaks another version: update one side");
	return 0;
}

static int
reply_check(struct attach_reply *reply, unsigned fd_count)
{
	reply->text[sizeof(reply->text) - 1] = '\0';
	if (reply->status != 0)
		return client_fail(reply->status > 0 ? reply->status : EPROTO,
			"the gateway refuses: %s (%s)", reply->text, strerror(reply->status));
	if (reply->ring_count == 0 || reply->ring_count != fd_count)
		return client_fail(EPROTO, "the gateway promises %u rings and gives %u",
			reply->ring_count, fd_count);
	return 0;
}

/* Maps part `index` of what was given: a ring, or the member table. */
static int
part_map(struct attached *attached, int fd, uint64_t size, unsigned index, const void **mapping)
{
	struct stat st;
	void *mapped;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
		return client_fail(EPROTO, "ring %u is not sealed against shrinking", index);
	if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size != size ||
		size < VERDICT_SLOTS_OFFSET)
		return client_fail(EPROTO, "ring %u has not the size that was promised", index);
	mapped = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		return client_fail(errno, "ring %u cannot be mapped: %m", index);
	*mapping = mapped;
	attached->sizes[index] = size;
	return 0;
}

static int
ring_map(struct attached *attached, int fd, uint64_t size, enum verdict_ring_kind kind)
{
	unsigned index = attached->count;
	const void *mapping = NULL;
	int rc = part_map(attached, fd, size, index, &mapping);

	if (rc != 0)
		return rc;
	attached->rings[index] = mapping;
	attached->count++;
	if (verdict_ring_check(mapping, size) != 0 || attached->rings[index]->kind != kind)
		return client_fail(EPROTO, "ring %u is none of this version", index);
	return 0;
}

static void
rings_unmap(struct attached *attached)
{
	unsigned i;

	for (i = 0; i < attached->count; i++)
		munmap((void *)(uintptr_t)attached->rings[i], attached->sizes[i]);
	attached->count = 0;
}

static int
rings_map(struct attached *attached, const struct attach_reply *reply, const int *fds,
	enum verdict_ring_kind kind)
{
	unsigned i;
	int rc;

	for (i = 0; i < reply->ring_count; i++) {
		rc = ring_map(attached, fds[i], reply->ring_size[i], kind);
		if (rc != 0) {
			rings_unmap(attached);
			return rc;
		}
	}
	return 0;
}

static int
members_map(struct attached *attached, const struct attach_reply *reply, int fd)
{
	const void *mapping = NULL;
	int rc = part_map(attached, fd, reply->ring_size[0], 0, &mapping);

	if (rc != 0)
		return rc;
	if (members_view_init(&attached->members, mapping, reply->ring_size[0]) == 0)
		return 0;
	munmap((void *)(uintptr_t)mapping, attached->sizes[0]);
	return client_fail(EPROTO, "the member table is none of this version: update one side");
}

static int
all_map(struct attached *attached, const struct attach_request *request,
	const struct attach_reply *reply, const int *fds)
{
	if (request->what == ATTACH_MEMBERS)
		return members_map(attached, reply, fds[0]);
	return rings_map(attached, reply, fds,
		request->what == ATTACH_DELIVERY ? VERDICT_RING_DELIVERY : VERDICT_RING_REFUSAL);
}

/* Asks, and maps what comes; the descriptors are not needed any more then. */
static int
converse(struct attached *attached, const struct attach_request *request)
{
	struct attach_reply reply;
	int fds[ATTACH_RINGS_MAX];
	unsigned fd_count = 0, i;
	int rc;

	/* EPIPE: refused before it was asked; why is there to be read. */
	if (send(attached->socket, request, sizeof(*request), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return client_fail(errno, "asking the gateway: %m");
	rc = reply_receive(attached->socket, &reply, fds, &fd_count);
	if (rc == 0)
		rc = reply_check(&reply, fd_count);
	if (rc == 0)
		rc = all_map(attached, request, &reply, fds);
	for (i = 0; i < fd_count; i++)
		close(fds[i]);
	return rc;
}

static int
attach(struct attached *attached, const char *socket_path, const struct attach_request *request)
{
	int rc;

	*attached = (struct attached){.count = 0};
	attached->socket = socket_open(socket_path);
	if (attached->socket < 0)
		return attached->socket;
	rc = converse(attached, request);
	if (rc != 0)
		close(attached->socket);
	return rc;
}

int
attach_open(struct attached *attached, const char *socket_path, const char *group)
{
	struct attach_request request;
	int rc = request_fill(&request, group);

	return rc != 0 ? rc : attach(attached, socket_path, &request);
}

int
attach_members_open(struct attached *attached, const char *socket_path)
{
	return attach(attached, socket_path, &members_request);
}

void
attach_close(struct attached *attached)
{
	rings_unmap(attached);
	if (attached->members.header != NULL)
		munmap((void *)(uintptr_t)attached->members.header, attached->sizes[0]);
	close(attached->socket);
}

bool
attach_is_closed(const struct attached *attached)
{
	struct pollfd pollfd = {.fd = attached->socket, .events = POLLIN | POLLRDHUP};

	return poll(&pollfd, 1, 0) > 0;
}

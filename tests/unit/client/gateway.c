/* SPDX-License-Identifier: BSD-3-Clause */

#include "gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "verdict/verdict.h"

#define CONSUMERS_MAX 16u

struct gateway {
	unsigned count;
	enum gateway_fault fault;
	int listener;
	int consumers[CONSUMERS_MAX];
	_Atomic unsigned consumer_count;
	pthread_t thread;
	char path[108];
	uint64_t size;
	int fds[2][ATTACH_RINGS_MAX]; /* read-only; delivery, refusals */
	int members_fd;               /* likewise */
	uint64_t members_size;
	struct members_header *members;
	struct verdict_ring *rings[2][ATTACH_RINGS_MAX];
	struct verdict_writer writers[2][ATTACH_RINGS_MAX];
};

static void
must(int is_good, const char *what)
{
	if (is_good)
		return;
	perror(what);
	abort();
}

/* As control does it: 0600. Maps `size` bytes of it. */
static int
memory_make(const struct gateway *g, uint64_t size, void **mapping)
{
	uint64_t file_size = size + (g->fault == GATEWAY_WRONG_SIZE ? 4096 : 0);
	int fd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	must(fd >= 0 && fchmod(fd, 0600) == 0 && ftruncate(fd, (off_t)file_size) == 0, "memfd");
	*mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(*mapping != MAP_FAILED, "mmap");
	return fd;
}

/* Likewise: sealed in size, given away read-only. */
static int
memory_seal(const struct gateway *g, int fd)
{
	char name[64];
	int reader;

	if (g->fault != GATEWAY_UNSEALED)
		must(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0,
			"seal");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	reader = open(name, O_RDONLY | O_CLOEXEC);
	must(reader >= 0, "reopen");
	close(fd);
	return reader;
}

static int
members_make(struct gateway *g)
{
	void *mapping;
	int fd;

	g->members_size = members_size(2 * (GATEWAY_NODES + 1));
	fd = memory_make(g, g->members_size, &mapping);
	g->members = mapping;
	members_format(g->members, 2 * (GATEWAY_NODES + 1), 1);
	g->members->realm_count = 2;
	g->members->realms[0] =
		(struct members_realm){.id = 7, .nodes_max = GATEWAY_NODES, .name = "lab"};
	g->members->realms[1] = (struct members_realm){
		.id = 8, .base = GATEWAY_NODES + 1, .nodes_max = GATEWAY_NODES, .name = "other"};
	if (g->fault == GATEWAY_WRONG_MAGIC)
		g->members->magic++;
	return memory_seal(g, fd);
}

static int
ring_make(struct gateway *g, unsigned what, unsigned worker)
{
	enum verdict_ring_kind kind = what == 0 ? VERDICT_RING_DELIVERY : VERDICT_RING_REFUSAL;
	void *mapping;
	int fd = memory_make(g, g->size, &mapping);

	g->rings[what][worker] = mapping;
	if (g->fault == GATEWAY_WRONG_KIND)
		kind = what == 0 ? VERDICT_RING_REFUSAL : VERDICT_RING_DELIVERY;
	verdict_ring_format(
		g->rings[what][worker], VERDICT_RING_SLOTS_MIN, kind, 0, (uint16_t)worker);
	if (g->fault == GATEWAY_WRONG_MAGIC)
		g->rings[what][worker]->magic++;
	verdict_writer_init(&g->writers[what][worker], g->rings[what][worker]);
	return memory_seal(g, fd);
}

static void
reply_send(const struct gateway *g, int fd, const struct attach_reply *reply, const int *fds)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(ATTACH_RINGS_MAX * sizeof(int))];
	} control = {.room = {0}};
	struct attach_reply copy = *reply;
	struct iovec iov = {.iov_base = &copy, .iov_len = sizeof(copy)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	unsigned count = copy.ring_count - (g->fault == GATEWAY_FEWER_RINGS);

	if (g->fault == GATEWAY_SHORT_REPLY)
		iov.iov_len--;
	if (copy.status == 0 && count != 0 && g->fault != GATEWAY_NO_RINGS) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	}
	must(sendmsg(fd, &message, MSG_NOSIGNAL) > 0, "sendmsg");
}

static void
reply_fill(
	const struct gateway *g, const struct attach_request *request, struct attach_reply *reply)
{
	unsigned i;

	*reply = (struct attach_reply){.magic = ATTACH_MAGIC, .version = ATTACH_VERSION};
	if (g->fault == GATEWAY_OTHER_VERSION)
		reply->version++;
	if (request->what == ATTACH_DELIVERY && strcmp(request->group, "jobs") != 0) {
		reply->status = strcmp(request->group, "none") == 0 ? ENOENT : EACCES;
		snprintf(reply->text, sizeof(reply->text), "group %s is not for you",
			request->group);
		return;
	}
	if (request->what == ATTACH_MEMBERS) {
		reply->ring_count = 1;
		reply->ring_size[0] = g->members_size;
		return;
	}
	reply->ring_count = g->fault == GATEWAY_NO_RINGS ? 0 : g->count;
	for (i = 0; i < g->count; i++)
		reply->ring_size[i] = g->size;
}

static void *
serve(void *context)
{
	struct gateway *g = context;
	struct attach_request request;
	struct attach_reply reply;
	int fd;

	while ((fd = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		must(recv(fd, &request, sizeof(request), 0) == (ssize_t)sizeof(request) &&
				request.magic == ATTACH_MAGIC && request.version == ATTACH_VERSION,
			"request");
		reply_fill(g, &request, &reply);
		if (g->fault == GATEWAY_HANGS_UP) {
			close(fd);
			continue;
		}
		reply_send(g, fd, &reply,
			request.what == ATTACH_MEMBERS ? &g->members_fd
						       : g->fds[request.what - ATTACH_DELIVERY]);
		must(g->consumer_count < CONSUMERS_MAX, "consumers");
		g->consumers[g->consumer_count] = fd;
		g->consumer_count++;
	}
	return NULL;
}

static void
listen_at(struct gateway *g, const char *path)
{
	union {
		struct sockaddr any;
		struct sockaddr_un un;
	} address = {.un = {.sun_family = AF_UNIX}};

	snprintf(g->path, sizeof(g->path), "%s", path);
	snprintf(address.un.sun_path, sizeof(address.un.sun_path), "%s", path);
	g->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must(g->listener >= 0 && bind(g->listener, &address.any, sizeof(address.un)) == 0 &&
			listen(g->listener, 4) == 0,
		"listen");
}

struct gateway *
gateway_start(const char *path, unsigned count, enum gateway_fault fault)
{
	struct gateway *g = calloc(1, sizeof(*g));
	unsigned what, i;

	must(g != NULL, "calloc");
	g->count = count;
	g->fault = fault;
	g->size = verdict_ring_size(VERDICT_RING_SLOTS_MIN);
	for (what = 0; what < 2; what++) {
		for (i = 0; i < count; i++)
			g->fds[what][i] = ring_make(g, what, i);
	}
	g->members_fd = members_make(g);
	listen_at(g, path);
	must(pthread_create(&g->thread, NULL, serve, g) == 0, "thread");
	return g;
}

void
gateway_stop(struct gateway *g)
{
	unsigned what, i;

	shutdown(g->listener, SHUT_RDWR); /* ends accept */
	pthread_join(g->thread, NULL);
	close(g->listener);
	unlink(g->path);
	for (i = 0; i < g->consumer_count; i++)
		close(g->consumers[i]);
	for (what = 0; what < 2; what++) {
		for (i = 0; i < g->count; i++) {
			munmap(g->rings[what][i], g->size);
			close(g->fds[what][i]);
		}
	}
	munmap(g->members, g->members_size);
	close(g->members_fd);
	free(g);
}

struct members_header *
gateway_members(struct gateway *g)
{
	return g->members;
}

void
gateway_wait(struct gateway *g, unsigned consumers)
{
	while (g->consumer_count < consumers)
		usleep(1000);
	/* The answer is sent; give the consumer the time to map its rings and look at the heads. */
	usleep(200000);
}

void
gateway_publish(struct gateway *g, unsigned worker, const struct verdict_record *record,
	const void *payload, int is_wake)
{
	/* As the dataplane: what was accepted is delivered, everything else is a refusal. */
	unsigned what = record->verdict == VERDICT_ACCEPTED ? 0 : 1;
	struct verdict_writer *writer = &g->writers[what][worker];
	uint8_t *room;

	verdict_writer_reserve(writer, 1 + VERDICT_PAYLOAD_SLOTS(record->payload_size));
	room = verdict_writer_append(writer, record);
	if (record->payload_size != 0)
		memcpy(room, payload, record->payload_size);
	verdict_writer_publish(writer);
	if (is_wake)
		syscall(SYS_futex, &writer->ring->head, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

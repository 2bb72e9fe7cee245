/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/setup_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/tag.h"
#include "dataplane/handoff.h"

#define SETUP_WAIT_MS 10000

/* Anybody may start the program by hand; say what it wants instead of a bare errno. */
static int
socket_check(int fd, struct failure *failure)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || domain != AF_UNIX ||
		type != SOCK_SEQPACKET)
		return failure_set(failure, ENOTSOCK,
			"descriptor %d is no set-up socket: this program is started by credgated",
			fd);
	return 0;
}

/*
 * Receives one message of exactly `size` bytes and, if `passed` is not NULL, the one descriptor
 * that comes with it.
 */
static int
message_receive(int fd, void *message, size_t size, int *passed, struct failure *failure)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	struct iovec part = {.iov_base = message, .iov_len = size};
	struct msghdr header = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = passed ? control : NULL,
		.msg_controllen = passed ? sizeof(control) : 0};
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	struct cmsghdr *extra;
	ssize_t got;

	if (poll(&wait, 1, SETUP_WAIT_MS) <= 0)
		return failure_set(failure, ETIMEDOUT, "control sent nothing for %d s: see its log",
			SETUP_WAIT_MS / 1000);
	got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	if (got == 0)
		return failure_set(failure, EPIPE, "control went away during set-up: see its log");
	extra = got > 0 && passed ? CMSG_FIRSTHDR(&header) : NULL;
	if (extra && extra->cmsg_level == SOL_SOCKET && extra->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(extra), sizeof(int));
	if (got != (ssize_t)size || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
		return failure_set(failure, EPROTO,
			"a set-up message has %zd bytes instead of %zu: credgated and "
			"credgate-dataplane are not of the same build",
			got, size);
	return 0;
}

static bool
text_is_terminated(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static int
port_check(const struct setup_port *port, unsigned index, struct failure *failure)
{
	if (!text_is_terminated(port->name, sizeof(port->name)) ||
		!text_is_terminated(port->devargs, sizeof(port->devargs)) || !port->name[0] ||
		!port->devargs[0] || port->address_count > SETUP_ADDRESSES_MAX ||
		port->checksum > SETUP_CHECKSUM_TRUST || port->udp_port == 0)
		return failure_set(failure, EINVAL, "set-up: port %u is not valid", index);
	return 0;
}

static int
config_check(const struct setup_config *config, struct failure *failure)
{
	const char *bad = NULL;

	if (config->magic != SETUP_MAGIC || config->version != SETUP_VERSION ||
		config->type != SETUP_CONFIG)
		return failure_set(failure, EPROTO,
			"the set-up message is of another version: credgated and "
			"credgate-dataplane are not of the same build");
	if (config->worker_count < 1 || config->worker_count > TABLE_WORKERS_MAX)
		bad = "worker_count";
	else if (config->port_count < 1 || config->port_count > SETUP_PORTS_MAX)
		bad = "port_count";
	else if (config->kernel >= TAG_KERNEL_COUNT)
		bad = "kernel";
	else if (config->hugepages > SETUP_HUGEPAGES_YES)
		bad = "hugepages";
	else if (config->memory_mb < 1)
		bad = "memory_mb";
	else if (config->worker_count > 1 &&
		 (config->handoff_slots < HANDOFF_SLOTS_MIN ||
			 (config->handoff_slots & (config->handoff_slots - 1)) != 0))
		bad = "handoff_slots";
	else if (!text_is_terminated(config->file_prefix, sizeof(config->file_prefix)) ||
		 !config->file_prefix[0] || strchr(config->file_prefix, '/'))
		bad = "file_prefix";
	if (bad)
		return failure_set(failure, EINVAL, "set-up: %s is not valid", bad);
	for (unsigned i = 0; i < config->port_count; i++)
		if (port_check(&config->ports[i], i, failure) < 0)
			return -EINVAL;
	return 0;
}

static int
object_receive(struct setup *setup, struct setup_object *object, struct failure *failure)
{
	int fd = -1, status;

	status = message_receive(setup->fd, object, sizeof(*object), &fd, failure);
	if (status == 0 && (object->magic != SETUP_MAGIC || object->version != SETUP_VERSION ||
				   object->type != SETUP_OBJECT || fd < 0))
		status = failure_set(failure, EPROTO, "set-up: a message is no object");
	if (status == 0)
		status = setup_map_object(setup, object, fd, failure);
	if (fd >= 0)
		close(fd);
	return status;
}

int
setup_receive(struct setup *setup, int fd, struct failure *failure)
{
	struct setup_object object = {0};
	int status;

	memset(setup, 0, sizeof(*setup));
	setup->fd = fd;
	status = socket_check(fd, failure);
	if (status == 0)
		status = message_receive(fd, &setup->config, sizeof(setup->config), NULL, failure);
	if (status == 0)
		status = config_check(&setup->config, failure);
	while (status == 0 && !object.is_last)
		status = object_receive(setup, &object, failure);
	return status < 0 ? status : setup_map_check(setup, failure);
}

void
setup_release(struct setup *setup)
{
	while (setup->mapping_count > 0) {
		setup->mapping_count--;
		munmap(setup->mappings[setup->mapping_count].address,
			setup->mappings[setup->mapping_count].size);
	}
	close(setup->fd);
}

static void
answer_send(const struct setup *setup, int status, uint32_t kernel, const char *text)
{
	struct setup_answer answer = {
		.magic = SETUP_MAGIC,
		.version = SETUP_VERSION,
		.type = SETUP_ANSWER,
		.status = status,
		.kernel = kernel,
	};

	snprintf(answer.text, sizeof(answer.text), "%s", text);
	if (send(setup->fd, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* control is gone: setup_is_over says so */
}

void
setup_answer_ready(const struct setup *setup, uint32_t kernel, const char *text)
{
	answer_send(setup, 0, kernel, text);
}

void
setup_answer_failed(const struct setup *setup, const struct failure *failure)
{
	answer_send(setup, failure->error, 0, failure->text);
}

bool
setup_is_over(const struct setup *setup)
{
	struct setup_object message;
	ssize_t got = recv(setup->fd, &message, sizeof(message), MSG_DONTWAIT);

	if (got < 0)
		return errno != EAGAIN && errno != EINTR;
	if (got < (ssize_t)offsetof(struct setup_object, what))
		return true; /* end of file; what is shorter than any message comes from no control */
	return message.magic == SETUP_MAGIC && message.type == SETUP_STOP;
}

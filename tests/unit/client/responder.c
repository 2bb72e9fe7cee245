/* SPDX-License-Identifier: BSD-3-Clause */

#include "responder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire/cred.h"

static void
must(int is_good, const char *what)
{
	if (is_good)
		return;
	perror(what);
	abort();
}

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void *
serve(void *context)
{
	struct responder *r = context;
	uint8_t request[CRED_SIZE_MAX];
	ssize_t size;

	for (;;) {
		socklen_t length = sizeof(r->peer);
		unsigned index = atomic_load(&r->count);

		size = recvfrom(
			r->fd, request, sizeof(request), 0, (struct sockaddr *)&r->peer, &length);
		if (size <= 0) /* shut down; no credential is empty */
			return NULL;
		must(index < RESPONDER_REQUESTS_MAX, "requests");
		memcpy(r->requests[index], request, (size_t)size);
		r->sizes[index] = (size_t)size;
		r->ports[index] = r->peer.sin_port;
		atomic_store(&r->count, index + 1);
		r->handler(r, index + 1, request, (size_t)size);
	}
}

void
responder_start(struct responder *r, const struct key_slot *slot, responder_handler_t handler)
{
	struct sockaddr_in own = {.sin_family = AF_INET};
	socklen_t length = sizeof(own);

	memset(r, 0, sizeof(*r));
	own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->slot = *slot;
	r->handler = handler;
	r->serial = now_us();
	r->engine = tag_engine_create(TAG_KERNEL_AESNI);
	must(r->engine != NULL, "engine");
	r->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(r->fd >= 0 && bind(r->fd, (struct sockaddr *)&own, sizeof(own)) == 0 &&
			getsockname(r->fd, (struct sockaddr *)&own, &length) == 0,
		"bind");
	snprintf(r->port, sizeof(r->port), "%u", ntohs(own.sin_port));
	must(pthread_create(&r->thread, NULL, serve, r) == 0, "thread");
}

void
responder_stop(struct responder *r)
{
	shutdown(r->fd, SHUT_RDWR);
	pthread_join(r->thread, NULL);
	close(r->fd);
	tag_engine_destroy(r->engine);
}

void
responder_seal(struct responder *r, uint8_t *reply, size_t size)
{
	const struct key_slot *slot = &r->slot;
	uint16_t span_size = (uint16_t)(size - CRED_TAG_SIZE);

	tag_batch_seal(r->engine, &slot, &reply, &span_size, 1);
}

size_t
responder_build(struct responder *r, uint8_t reply[CRED_SIZE_MAX], const uint8_t *request,
	size_t size, const struct reply_fields *fields)
{
	struct reply_fields full = *fields;
	size_t reply_size;

	full.serial = ++r->serial;
	full.issued_us = now_us();
	if (full.first == 0)
		full.first = full.verdict;
	reply_size =
		reply_build(reply, CRED_SIZE_MAX, request, request + size - CRED_TAG_SIZE, &full);
	must(reply_size != 0, "reply");
	responder_seal(r, reply, reply_size);
	return reply_size;
}

void
responder_send(struct responder *r, const void *bytes, size_t size)
{
	ssize_t sent = sendto(
		r->fd, bytes, size, MSG_NOSIGNAL, (struct sockaddr *)&r->peer, sizeof(r->peer));

	/* EPIPE: the test has what it wants and stops us, while we answer a retransmission. */
	must(sent == (ssize_t)size || errno == EPIPE, "sendto");
}

void
responder_reply(
	struct responder *r, const uint8_t *request, size_t size, const struct reply_fields *fields)
{
	uint8_t reply[CRED_SIZE_MAX];
	size_t reply_size = responder_build(r, reply, request, size, fields);

	responder_send(r, reply, reply_size);
}

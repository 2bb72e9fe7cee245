/* SPDX-License-Identifier: BSD-3-Clause */

#include <credgate/exchange.h>

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/address_priv.h"
#include "client/answer_priv.h"
#include "client/error_priv.h"
#include "verdict/verdict.h"
#include "wire/cred.h"

/* What a gateway remembers of a retransmission (dup_ms) is longer than this, twice. */
#define EXCHANGE_MS_MAX 1000u
/* Far above a round trip inside a cluster; then doubled: at 0, 50, 150, 350 and 750 ms. */
#define RESEND_FIRST_US 50000u
/* A gateway that says "busy, at once" is not asked more often than this. */
#define RETRY_US_MIN 1000u
/* Bounds what a gateway with short retry_ms can make us send. */
#define SENDS_MAX 32u

/* ---- connecting ---- */

/* errno of a failed look-up; a missing name is ENOENT. */
static int
lookup_error(int code)
{
	switch (code) {
	case EAI_SYSTEM:
		return errno;
	case EAI_MEMORY:
		return ENOMEM;
	case EAI_AGAIN:
		return EAGAIN;
	default:
		return ENOENT;
	}
}

static int
socket_connect(const struct addrinfo *where)
{
	int fd = socket(where->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, where->ai_protocol);

	if (fd < 0)
		return -errno;
	if (connect(fd, where->ai_addr, where->ai_addrlen) != 0) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	return fd;
}

static int
origin_get(int fd, uint8_t origin[16])
{
	union {
		struct sockaddr any;
		struct sockaddr_storage room;
	} own;
	socklen_t size = sizeof(own);

	if (getsockname(fd, &own.any, &size) != 0)
		return client_fail(errno, "own address of the socket: %m");
	client_address_of(origin, &own.any);
	return 0;
}

/* Decimal digits from 1 to 65535: getaddrinfo would take the rest of a greater number. */
static bool
is_port(const char *text)
{
	size_t size = strspn(text, "0123456789");
	unsigned long number = size != 0 && size <= 5 ? strtoul(text, NULL, 10) : 0;

	return text[size] == '\0' && number >= 1 && number <= UINT16_MAX;
}

int
cg_connect(const char *host, const char *port, uint8_t origin[16])
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
	struct addrinfo *list, *where;
	int fd = -ENOENT, rc;

	if (host == NULL || port == NULL || origin == NULL)
		return client_fail(EINVAL, "host, port and origin must not be NULL");
	if (!is_port(port))
		return client_fail(EINVAL, "'%s' is no port from 1 to 65535", port);
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return client_fail(
			lookup_error(rc), "%s port %s: %s", host, port, gai_strerror(rc));
	for (where = list; where != NULL && fd < 0; where = where->ai_next)
		fd = socket_connect(where);
	freeaddrinfo(list);
	if (fd < 0)
		return client_fail(-fd, "%s port %s: %s", host, port, strerror(-fd));
	rc = origin_get(fd, origin);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	return fd;
}

/* ---- one exchange ---- */

/* Times are of the monotonic clock. */
struct exchange {
	struct cg_key *key;
	int fd;
	const uint8_t *request;
	size_t request_size;
	uint64_t deadline_us;
	uint64_t sent_us; /* last send */
	uint64_t send_us; /* next send; UINT64_MAX: no more */
	uint64_t pause_us;
	unsigned sends;
	unsigned refusals;                 /* BUSY and OVER_RATE, each reply counted once */
	uint64_t refusals_seen[SENDS_MAX]; /* their serials */
	int icmp_errno;                    /* of an ICMP error, from whoever it may be; or 0 */
	struct cg_answer answer;           /* the last refusal, or the final answer */
};

static uint64_t
mono_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static bool
is_icmp_error(int error)
{
	return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH ||
	       error == EHOSTDOWN || error == EPROTO || error == ENOPROTOOPT;
}

/* Of no consequence: full buffers, as a network that loses it; or what an ICMP packet claims. */
static bool
is_send_error_passing(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == EINTR || error == ECONNREFUSED;
}

/*
 * Sends, and plans the next send. A failure before anything went out is final: then the outcome is
 * known. A pending ICMP error takes the place of one send, so that is tried again at once.
 */
static int
exchange_send(struct exchange *x, uint64_t now_us)
{
	ssize_t sent = send(x->fd, x->request, x->request_size, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (sent < 0 && errno == ECONNREFUSED) {
		x->icmp_errno = errno;
		sent = send(x->fd, x->request, x->request_size, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	if (sent < 0 && x->sends == 0 && !is_send_error_passing(errno))
		return client_fail(errno, "the credential was not sent: %m");
	x->sends++;
	x->sent_us = now_us;
	x->send_us = x->sends < SENDS_MAX ? now_us + x->pause_us : UINT64_MAX;
	x->pause_us *= 2;
	return 0;
}

/* Has this refusal been counted? A captured one may come again. */
static bool
is_refusal_new(struct exchange *x, uint64_t serial)
{
	unsigned i;

	for (i = 0; i < x->refusals; i++) {
		if (x->refusals_seen[i] == serial)
			return false;
	}
	if (x->refusals == SENDS_MAX)
		return false;
	x->refusals_seen[x->refusals++] = serial;
	return true;
}

/* Nothing was recorded: the same bytes again, when the gateway wants them. */
static void
refusal_take(struct exchange *x, const struct cg_answer *answer, uint64_t serial, uint64_t now_us)
{
	uint64_t retry_us = (uint64_t)answer->retry_ms * 1000;

	if (!is_refusal_new(x, serial))
		return;
	x->answer = *answer;
	if (x->sends < SENDS_MAX)
		x->send_us = now_us + (retry_us > RETRY_US_MIN ? retry_us : RETRY_US_MIN);
}

/*
 * Reads one datagram. 1: the final answer; 0: nothing to act on; -EAGAIN: nothing left; another
 * negative errno: cannot go on.
 */
static int
exchange_receive(struct exchange *x)
{
	uint8_t reply[CRED_SIZE_MAX + 1];
	struct cg_answer answer;
	uint64_t serial, now_us;
	ssize_t size = recv(x->fd, reply, sizeof(reply), MSG_DONTWAIT);
	int rc;

	if (size < 0 && is_icmp_error(errno)) {
		x->icmp_errno = errno;
		return 0;
	}
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return errno == EINTR ? 0 : -EAGAIN;
	if (size < 0)
		return client_fail(errno, "receiving a reply: %m");
	rc = answer_prove(
		x->key, x->request, x->request_size, reply, (size_t)size, &answer, &serial);
	if (rc != 0)
		return rc == -EBADMSG ? 0 : rc;
	now_us = mono_us();
	answer.round_trip_us = (uint32_t)(now_us - x->sent_us);
	if (answer.verdict == VERDICT_BUSY || answer.verdict == VERDICT_OVER_RATE) {
		refusal_take(x, &answer, serial, now_us);
		return 0;
	}
	x->answer = answer;
	return 1;
}

static uint64_t
exchange_until_us(const struct exchange *x)
{
	return x->send_us < x->deadline_us ? x->send_us : x->deadline_us;
}

/* Everything that has arrived; a flood of forged replies holds up neither send nor deadline. */
static int
exchange_drain(struct exchange *x)
{
	int rc;

	do
		rc = exchange_receive(x);
	while (rc == 0 && mono_us() < exchange_until_us(x));
	return rc == -EAGAIN ? 0 : rc;
}

static int
exchange_sleep(const struct exchange *x, uint64_t now_us)
{
	uint64_t until_us = exchange_until_us(x);
	uint64_t wait_us = until_us > now_us ? until_us - now_us : 0;
	struct timespec ts = {
		.tv_sec = (time_t)(wait_us / 1000000),
		.tv_nsec = (long)(wait_us % 1000000) * 1000,
	};
	struct pollfd pollfd = {.fd = x->fd, .events = POLLIN};

	if (ppoll(&pollfd, 1, &ts, NULL) < 0 && errno != EINTR)
		return client_fail(errno, "waiting for a reply: %m");
	if ((pollfd.revents & POLLNVAL) != 0)
		return client_fail(EBADF, "fd %d is no open socket", x->fd);
	return 0;
}

/* Every copy that was sent was refused, and there is no time for one more: that is the answer. */
static bool
is_refused(const struct exchange *x)
{
	return x->refusals >= x->sends && x->sends != 0 && x->send_us >= x->deadline_us;
}

static int
exchange_run(struct exchange *x)
{
	uint64_t now_us;
	int rc = 0;

	while (rc == 0 && !is_refused(x)) {
		now_us = mono_us();
		if (now_us >= x->deadline_us)
			return client_fail(ETIMEDOUT,
				"no reply to %u datagrams: outcome unknown%s%s", x->sends,
				x->icmp_errno != 0 ? "; unreachable, says ICMP: " : "",
				x->icmp_errno != 0 ? strerror(x->icmp_errno) : "");
		if (now_us >= x->send_us)
			rc = exchange_send(x, now_us);
		if (rc == 0)
			rc = exchange_sleep(x, now_us);
		if (rc == 0)
			rc = exchange_drain(x);
	}
	return rc < 0 ? rc : 0;
}

static int
exchange_check(const struct exchange *x, unsigned timeout_ms, const struct cg_answer *answer)
{
	int rc = client_struct_check(answer, ANSWER_BASE, "answer");

	if (rc == 0)
		rc = answer_request_check(x->key, x->request, x->request_size);
	if (rc != 0)
		return rc;
	if ((load_be16(x->request + CRED_AT_FLAGS) & CRED_FLAG_REPLY) == 0)
		return client_fail(EINVAL,
			"the credential does not want a reply: set wants_reply in its claim");
	if (timeout_ms > EXCHANGE_MS_MAX)
		return client_fail(EINVAL,
			"timeout of %u ms: retransmissions count as such for %u ms", timeout_ms,
			EXCHANGE_MS_MAX);
	return 0;
}

int
cg_exchange(struct cg_key *key, int fd, const void *request, size_t request_size,
	unsigned timeout_ms, struct cg_answer *answer)
{
	struct exchange x = {
		.key = key,
		.fd = fd,
		.request = request,
		.request_size = request_size,
		.pause_us = RESEND_FIRST_US,
	};
	int rc = exchange_check(&x, timeout_ms, answer);

	if (rc != 0)
		return rc;
	x.deadline_us = mono_us() + (timeout_ms != 0 ? timeout_ms : EXCHANGE_MS_MAX) * 1000;
	rc = exchange_run(&x);
	if (rc != 0)
		return rc;
	x.answer.sends = x.sends;
	client_struct_give(answer, &x.answer, sizeof(x.answer));
	/* The outcome is known whether or not this can be stored; if not, it is told again. */
	cg_key_floor(key, &x.answer);
	return 0;
}

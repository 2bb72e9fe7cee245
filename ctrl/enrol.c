/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/enrol.h"

#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctrl/address.h"
#include "ctrl/clock.h"
#include "ctrl/ctrl.h"
#include "ctrl/enrol_judge.h"
#include "ctrl/enrol_limit.h"
#include "ctrl/registry_codes.h"

#define BACKLOG       512
#define ACCEPT_US     (1000000u / ENROL_ACCEPTS_PER_S)
#define ACCEPT_DEPTH  64u
#define PAUSE_MS      50
#define ACCEPTS_BATCH 16

/*
 * A connection reads its request, waits for its turn, perhaps waits until the workers have the key,
 * gets its answer and is closed. It is in `ready` while it waits for its turn.
 */
struct visitor {
	TAILQ_ENTRY(visitor) next;  /* oldest first */
	TAILQ_ENTRY(visitor) ready; /* in order of arrival */
	struct enrol *enrol;
	struct event *event;
	struct event *deadline;
	int fd;
	uint8_t source[16];
	uint8_t request[JOIN_REQUEST_SIZE];
	size_t size;
	bool is_ready;
	struct enrol_answer answer;
};

struct enrol {
	struct enrol_judge judge;
	struct enrol_limit limit;
	struct enrol_counts counts;
	struct log_limit log;
	int fd;
	struct event *listener;
	struct event *pause;
	struct event *turn;
	uint64_t accept_us; /* monotonic clock when connections are no longer ahead of their pace */
	uint64_t expired_us;
	TAILQ_HEAD(, visitor) visitors;
	TAILQ_HEAD(visitors_ready, visitor) ready;
};

/* ---- visitors ---- */

static void
visitor_close(struct visitor *visitor)
{
	struct enrol *enrol = visitor->enrol;

	uptake_cancel(enrol->judge.ctrl->uptake, visitor);
	TAILQ_REMOVE(&enrol->visitors, visitor, next);
	if (visitor->is_ready)
		TAILQ_REMOVE(&enrol->ready, visitor, ready);
	enrol->counts.open--;
	if (visitor->event != NULL)
		event_free(visitor->event);
	if (visitor->deadline != NULL)
		event_free(visitor->deadline);
	close(visitor->fd);
	sodium_memzero(visitor, sizeof(*visitor));
	free(visitor);
}

/* An answer fits any socket's buffer; whoever made it not fit can ask again. */
static void
visitor_answer(struct visitor *visitor)
{
	if (visitor->answer.size > 0)
		(void)!send(visitor->fd, visitor->answer.bytes, visitor->answer.size,
			MSG_NOSIGNAL | MSG_DONTWAIT);
	visitor_close(visitor);
}

static void
workers_have_it(void *context, uint64_t generation, unsigned lagging)
{
	(void)generation;
	(void)lagging;
	visitor_answer(context);
}

static void
visitor_judge(struct visitor *visitor)
{
	struct enrol *enrol = visitor->enrol;
	struct enrol_answer *answer = &visitor->answer;

	enrol->counts.requests++;
	enrol_judge(&enrol->judge, visitor->request, visitor->size, visitor->source, answer);
	if (answer->is_honest)
		enrol_limit_give(&enrol->limit, visitor->source, clock_mono_us());
	enrol->counts.joined += answer->is_changed;
	/* The node may send a credential as soon as it has its key. */
	if (!answer->is_changed ||
		uptake_request(enrol->judge.ctrl->uptake, workers_have_it, visitor) != 0)
		visitor_answer(visitor);
}

/* One request for each turn of the event loop: a join writes to the disk several times. */
static void
turn_due(evutil_socket_t fd, short what, void *context)
{
	const struct timeval at_once = {0, 0};
	struct enrol *enrol = context;
	struct visitor *visitor = TAILQ_FIRST(&enrol->ready);

	(void)fd;
	(void)what;
	if (visitor == NULL)
		return;
	TAILQ_REMOVE(&enrol->ready, visitor, ready);
	visitor->is_ready = false;
	visitor_judge(visitor);
	if (!TAILQ_EMPTY(&enrol->ready))
		event_add(enrol->turn, &at_once);
}

static void
visitor_queue(struct visitor *visitor)
{
	const struct timeval at_once = {0, 0};
	struct enrol *enrol = visitor->enrol;

	event_del(visitor->event);
	event_del(visitor->deadline);
	visitor->is_ready = true;
	TAILQ_INSERT_TAIL(&enrol->ready, visitor, ready);
	event_add(enrol->turn, &at_once);
}

/* Not a byte more than a request is read, and nothing that does not begin like one. */
static void
visitor_due(evutil_socket_t fd, short what, void *context)
{
	struct visitor *visitor = context;
	ssize_t n = recv(fd, visitor->request + visitor->size,
		sizeof(visitor->request) - visitor->size, MSG_DONTWAIT);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		visitor->size += (size_t)n;
	if (n <= 0 || !join_request_begins(visitor->request, visitor->size))
		visitor_close(visitor);
	else if (visitor->size == sizeof(visitor->request))
		visitor_queue(visitor);
}

static void
visitor_late(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	visitor_close(context);
}

/* ---- room ---- */

static bool
is_same_place(const uint8_t a[16], const uint8_t b[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	return memcmp(a, b, memcmp(a, mapped, sizeof(mapped)) == 0 ? 16 : 8) == 0;
}

static unsigned
place_count(const struct enrol *enrol, const uint8_t source[16])
{
	const struct visitor *visitor;
	unsigned count = 0;

	TAILQ_FOREACH (visitor, &enrol->visitors, next)
		count += is_same_place(visitor->source, source);
	return count;
}

/* Of a visitor that waits for its turn or its key, nothing may be taken. */
static bool
is_silent(const struct visitor *visitor)
{
	return visitor->size < sizeof(visitor->request);
}

/*
 * All places are taken: the oldest that has not sent its request gives way, first of those of the
 * place that holds most. An honest node needs its place for one round trip.
 */
static bool
room_make(struct enrol *enrol)
{
	struct visitor *visitor, *victim = NULL;
	unsigned most = 0;

	TAILQ_FOREACH (visitor, &enrol->visitors, next) {
		unsigned count = place_count(enrol, visitor->source);

		if (!is_silent(visitor) || count <= most)
			continue;
		victim = visitor;
		most = count;
	}
	if (victim == NULL)
		return false;
	visitor_close(victim);
	return true;
}

/* Likewise, for one whose place came too often: only its own place gives way. */
static bool
place_yield(struct enrol *enrol, const uint8_t source[16])
{
	struct visitor *visitor;

	TAILQ_FOREACH (visitor, &enrol->visitors, next)
		if (is_silent(visitor) && is_same_place(visitor->source, source)) {
			visitor_close(visitor);
			return true;
		}
	return false;
}

/* Whoever cannot be served now may come again; an answer that is not read is not waited for. */
static void
put_off(struct enrol *enrol, int fd)
{
	uint8_t busy[JOIN_PLAIN_SIZE];

	enrol->counts.put_off++;
	join_plain_build(busy, JOIN_BUSY, ENROL_RETRY_MS);
	(void)!send(fd, busy, sizeof(busy), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* ---- connections ---- */

static void
visitor_add(struct enrol *enrol, int fd, const uint8_t source[16])
{
	const struct timeval patience = {ENROL_DEADLINE_S, 0};
	struct visitor *visitor = calloc(1, sizeof(*visitor));

	if (visitor == NULL) {
		close(fd);
		return;
	}
	visitor->enrol = enrol;
	visitor->fd = fd;
	memcpy(visitor->source, source, sizeof(visitor->source));
	TAILQ_INSERT_TAIL(&enrol->visitors, visitor, next);
	enrol->counts.open++;
	visitor->event =
		event_new(enrol->judge.ctrl->base, fd, EV_READ | EV_PERSIST, visitor_due, visitor);
	visitor->deadline = evtimer_new(enrol->judge.ctrl->base, visitor_late, visitor);
	if (visitor->event == NULL || visitor->deadline == NULL ||
		event_add(visitor->event, NULL) != 0 ||
		event_add(visitor->deadline, &patience) != 0)
		visitor_close(visitor);
}

static void
source_of(const struct sockaddr_storage *from, uint8_t source[16])
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)from;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)from;

	memset(source, 0, 16);
	if (from->ss_family == AF_INET) {
		source[10] = source[11] = 0xff;
		memcpy(source + 12, &v4->sin_addr, 4);
	} else {
		memcpy(source, &v6->sin6_addr, 16);
	}
}

/*
 * A place that came too often is served while half of the house is empty, so that neither an
 * attacker behind the same address nor a rack that boots at once keeps an honest node waiting.
 */
static bool
room_find(struct enrol *enrol, const uint8_t source[16])
{
	if (enrol_limit_take(&enrol->limit, source, clock_mono_us()))
		return enrol->counts.open < ENROL_CONNECTIONS_MAX || room_make(enrol);
	return enrol->counts.open < ENROL_SPARE || place_yield(enrol, source);
}

static void
visitor_accept(struct enrol *enrol, int fd, const struct sockaddr_storage *from)
{
	uint8_t source[16];

	source_of(from, source);
	enrol->counts.accepted++;
	if (room_find(enrol, source))
		visitor_add(enrol, fd, source);
	else
		put_off(enrol, fd);
}

static void
listener_pause(struct enrol *enrol)
{
	const struct timeval wait = {0, PAUSE_MS * 1000};

	event_del(enrol->listener);
	event_add(enrol->pause, &wait);
}

static void
pause_over(evutil_socket_t fd, short what, void *context)
{
	struct enrol *enrol = context;

	(void)fd;
	(void)what;
	event_add(enrol->listener, NULL);
}

/* A flood of connections costs no more than its pace; what is beyond waits in the kernel's queue. */
static bool
is_ahead(struct enrol *enrol)
{
	uint64_t now_us = clock_mono_us();

	if (enrol->accept_us < now_us)
		enrol->accept_us = now_us;
	if (enrol->accept_us > now_us + ACCEPT_DEPTH * ACCEPT_US)
		return true;
	enrol->accept_us += ACCEPT_US;
	return false;
}

static void
connection_due(evutil_socket_t fd, short what, void *context)
{
	struct enrol *enrol = context;

	(void)what;
	for (unsigned i = 0; i < ACCEPTS_BATCH; i++) {
		struct sockaddr_storage from = {0};
		socklen_t size = sizeof(from);
		int connection;

		if (is_ahead(enrol)) {
			listener_pause(enrol);
			return;
		}
		connection =
			accept4(fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (connection >= 0) {
			visitor_accept(enrol, connection, &from);
			continue;
		}
		if (errno == EAGAIN)
			return;
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			log_limited(&enrol->log, "enrol", "a connection cannot be taken: %s",
				strerror(errno));
			listener_pause(enrol);
			return;
		}
	}
}

/* ---- life ---- */

static int
listener_open(struct enrol *enrol, const struct endpoint *listen_at, struct reason *reason)
{
	char text[ENDPOINT_TEXT_SIZE];
	int error;

	enrol->fd = endpoint_bind(listen_at, SOCK_STREAM);
	if (enrol->fd >= 0 && listen(enrol->fd, BACKLOG) == 0)
		return 0;
	error = enrol->fd < 0 ? -enrol->fd : errno;
	endpoint_format(text, listen_at);
	return reason_set(reason, error,
		"enrol.listen: nobody can be listened to at %s: %s; give an address of this "
		"machine and a free port, or remove enrol",
		text, strerror(error));
}

static int
events_begin(struct enrol *enrol, struct reason *reason)
{
	struct event_base *base = enrol->judge.ctrl->base;

	enrol->listener = event_new(base, enrol->fd, EV_READ | EV_PERSIST, connection_due, enrol);
	enrol->pause = evtimer_new(base, pause_over, enrol);
	enrol->turn = evtimer_new(base, turn_due, enrol);
	if (enrol->listener == NULL || enrol->pause == NULL || enrol->turn == NULL ||
		event_add(enrol->listener, NULL) != 0)
		return reason_set(reason, ENOMEM, "no memory for enrolment");
	return 0;
}

/* Without the old secret the old codes are waste paper; whoever holds one should learn why. */
static int
codes_begin(struct enrol *enrol, struct reason *reason)
{
	if (!enrol->judge.key.is_new)
		return 0;
	log_info("enrol", "%s/enrol.key is made; join codes of before, if any, no longer hold",
		enrol->judge.ctrl->config->state_dir);
	return registry_codes_clear(enrol->judge.ctrl->registry, reason);
}

struct enrol *
enrol_create(struct ctrl *ctrl, struct reason *reason)
{
	struct enrol *enrol = calloc(1, sizeof(*enrol));
	int error;

	if (enrol == NULL) {
		reason_set(reason, ENOMEM, "no memory for enrolment");
		return NULL;
	}
	enrol->judge.ctrl = ctrl;
	enrol->fd = -1;
	TAILQ_INIT(&enrol->visitors);
	TAILQ_INIT(&enrol->ready);
	enrol_limit_init(&enrol->limit);
	error = enrol_key_open(&enrol->judge.key, ctrl->config->state_dir, reason);
	if (error == 0)
		error = codes_begin(enrol, reason);
	if (error == 0)
		error = listener_open(enrol, &ctrl->config->enrol, reason);
	if (error == 0)
		error = events_begin(enrol, reason);
	if (error == 0)
		return enrol;
	enrol_destroy(enrol);
	return NULL;
}

void
enrol_destroy(struct enrol *enrol)
{
	struct event *events[3];

	if (enrol == NULL)
		return;
	while (!TAILQ_EMPTY(&enrol->visitors))
		visitor_close(TAILQ_FIRST(&enrol->visitors));
	events[0] = enrol->listener;
	events[1] = enrol->pause;
	events[2] = enrol->turn;
	for (unsigned i = 0; i < 3; i++)
		if (events[i] != NULL)
			event_free(events[i]);
	if (enrol->fd >= 0)
		close(enrol->fd);
	enrol_key_close(&enrol->judge.key);
	free(enrol);
}

void
enrol_code(const struct enrol *enrol, uint64_t id, uint32_t realm, struct join_code *code)
{
	enrol_key_code(&enrol->judge.key, code, id, realm);
}

void
enrol_tick(struct enrol *enrol)
{
	uint64_t now_us = clock_mono_us();

	if (now_us - enrol->expired_us < ENROL_EXPIRE_EACH_S * 1000000ull)
		return;
	enrol->expired_us = now_us;
	/* Whoever looks at a code looks at its end as well: nothing is lost if this fails. */
	registry_codes_expire(
		enrol->judge.ctrl->registry, (int64_t)(clock_real_us() / 1000000), NULL);
}

struct enrol_counts
enrol_counts(const struct enrol *enrol)
{
	return enrol->counts;
}

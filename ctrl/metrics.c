/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/metrics.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctrl/clock.h"
#include "ctrl/log.h"
#include "ctrl/metrics_priv.h"

#define BACKLOG     64
#define PAUSE_MS    100
#define PATH        "/metrics"
#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* The text as it was made once, and how many answers (and the cache) still point to it. */
struct page {
	char *bytes;
	size_t size;
	unsigned holders;
};

struct visitor {
	TAILQ_ENTRY(visitor) next; /* oldest first */
	struct metrics *metrics;
	struct bufferevent *stream;
	struct event *timer;
	bool is_answered; /* what still comes is thrown away */
};

struct metrics {
	const struct ctrl *ctrl;
	struct evconnlistener *listener; /* NULL: off */
	struct event *pause;
	TAILQ_HEAD(, visitor) visitors;
	unsigned count;
	struct page *page;
	uint64_t page_us;
	struct metrics_visits visits;
	struct metrics_drain drain;
	struct log_limit limit;
};

/* ---- the page ---- */

static void
page_release(const void *bytes, size_t size, void *context)
{
	struct page *page = context;

	(void)bytes;
	(void)size;
	if (--page->holders > 0)
		return;
	free(page->bytes);
	free(page);
}

static struct page *
page_make(const struct ctrl *ctrl)
{
	struct page *page = calloc(1, sizeof(*page));

	if (page == NULL)
		return NULL;
	page->holders = 1;
	page->bytes = metrics_make(ctrl, &page->size);
	if (page->bytes != NULL)
		return page;
	free(page);
	return NULL;
}

/* The newest page, made anew if it is old. */
static struct page *
page_get(struct metrics *metrics)
{
	uint64_t now_us = clock_mono_us();
	struct page *page;

	if (metrics->page != NULL && now_us - metrics->page_us < METRICS_AGE_US)
		return metrics->page;
	page = page_make(metrics->ctrl);
	if (page == NULL)
		return NULL;
	if (metrics->page != NULL)
		page_release(NULL, 0, metrics->page);
	metrics->page = page;
	metrics->page_us = now_us;
	return page;
}

/* ---- answers ---- */

static void
visitor_drop(struct visitor *visitor)
{
	struct metrics *metrics = visitor->metrics;

	TAILQ_REMOVE(&metrics->visitors, visitor, next);
	metrics->count--;
	metrics->visits.refused += !visitor->is_answered;
	event_free(visitor->timer);
	bufferevent_free(visitor->stream);
	free(visitor);
}

static void
head_write(struct visitor *visitor, const char *status, const char *type, size_t size)
{
	evbuffer_add_printf(bufferevent_get_output(visitor->stream),
		"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s"
		"Connection: close\r\n\r\n",
		status, type, size, strncmp(status, "405", 3) == 0 ? "Allow: GET, HEAD\r\n" : "");
	visitor->is_answered = true;
}

static void
refusal_write(struct visitor *visitor, const char *status)
{
	head_write(visitor, status, "text/plain; charset=utf-8", strlen(status) + 1);
	evbuffer_add_printf(bufferevent_get_output(visitor->stream), "%s\n", status);
	visitor->metrics->visits.refused++;
}

static void
page_write(struct visitor *visitor, bool has_body)
{
	struct page *page = page_get(visitor->metrics);

	if (page == NULL) {
		refusal_write(visitor, "503 Service Unavailable");
		return;
	}
	head_write(visitor, "200 OK", OPENMETRICS, page->size);
	visitor->metrics->visits.served++;
	if (!has_body)
		return;
	page->holders++;
	if (evbuffer_add_reference(bufferevent_get_output(visitor->stream), page->bytes, page->size,
		    page_release, page) != 0)
		page->holders--;
}

/* ---- requests ---- */

/* METHOD SP TARGET SP HTTP/1.x; the pieces end in zeros. False: it is no such line. */
static bool
line_split(char *line, char **method, char **target)
{
	char *version;

	*method = line;
	*target = strchr(line, ' ');
	version = *target != NULL ? strchr(*target + 1, ' ') : NULL;
	if (version == NULL || strncmp(version + 1, "HTTP/1.", 7) != 0)
		return false;
	*(*target)++ = '\0';
	*version = '\0';
	(*target)[strcspn(*target, "?")] = '\0';
	return (*target)[0] == '/';
}

static void
request_answer(struct visitor *visitor, char *line)
{
	char *method, *target;

	if (!line_split(line, &method, &target))
		refusal_write(visitor, "400 Bad Request");
	else if (strcmp(target, PATH) != 0)
		refusal_write(visitor, "404 Not Found: metrics are at " PATH);
	else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		refusal_write(visitor, "405 Method Not Allowed");
	else
		page_write(visitor, method[0] == 'G');
}

/* The empty line that ends the head of a request is there. */
static bool
head_is_whole(struct evbuffer *input)
{
	return evbuffer_search(input, "\r\n\r\n", 4, NULL).pos >= 0 ||
	       evbuffer_search(input, "\n\n", 2, NULL).pos >= 0;
}

static void
read_due(struct bufferevent *stream, void *context)
{
	struct evbuffer *input = bufferevent_get_input(stream);
	struct visitor *visitor = context;
	char *line;

	if (!visitor->is_answered && head_is_whole(input)) {
		line = evbuffer_readln(input, NULL, EVBUFFER_EOL_CRLF);
		if (line != NULL)
			request_answer(visitor, line);
		free(line);
	} else if (!visitor->is_answered && evbuffer_get_length(input) >= METRICS_HEAD_MAX) {
		refusal_write(visitor, "431 Request Header Fields Too Large");
	}
	if (visitor->is_answered)
		evbuffer_drain(input, evbuffer_get_length(input));
}

/* All is written: the client hangs up next, and what it still sends must not reset the answer. */
static void
write_done(struct bufferevent *stream, void *context)
{
	struct visitor *visitor = context;

	if (!visitor->is_answered)
		return;
	shutdown(bufferevent_getfd(stream), SHUT_WR);
	if ((bufferevent_get_enabled(stream) & EV_READ) == 0)
		visitor_drop(visitor);
}

/* End of file or an error. Whoever has only ended his side may still read what he asked for. */
static void
stream_over(struct bufferevent *stream, short what, void *context)
{
	struct visitor *visitor = context;

	if ((what & BEV_EVENT_ERROR) == 0 && visitor->is_answered &&
		evbuffer_get_length(bufferevent_get_output(stream)) > 0)
		bufferevent_disable(stream, EV_READ);
	else
		visitor_drop(visitor);
}

static void
visit_over(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	visitor_drop(context);
}

static void
visitor_serve(struct metrics *metrics, evutil_socket_t fd)
{
	struct event_base *base = metrics->ctrl->base;
	const struct timeval patience = {METRICS_VISIT_S, 0};
	struct visitor *visitor = calloc(1, sizeof(*visitor));

	if (visitor == NULL)
		goto err_visitor;
	visitor->metrics = metrics;
	visitor->timer = evtimer_new(base, visit_over, visitor);
	if (visitor->timer == NULL || event_add(visitor->timer, &patience) != 0)
		goto err_timer;
	visitor->stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (visitor->stream == NULL)
		goto err_timer;
	TAILQ_INSERT_TAIL(&metrics->visitors, visitor, next);
	metrics->count++;
	bufferevent_setcb(visitor->stream, read_due, write_done, stream_over, visitor);
	bufferevent_setwatermark(visitor->stream, EV_READ, 0, METRICS_HEAD_MAX);
	bufferevent_enable(visitor->stream, EV_READ | EV_WRITE);
	return;

err_timer:
	if (visitor->timer != NULL)
		event_free(visitor->timer);
	free(visitor);
err_visitor:
	close(fd);
}

static void
connection_due(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
	int length, void *context)
{
	struct metrics *metrics = context;

	(void)listener;
	(void)address;
	(void)length;
	if (metrics->count >= METRICS_VISITORS_MAX) {
		log_limited(&metrics->limit, "metrics",
			"all %u places are taken: the oldest client was dropped",
			METRICS_VISITORS_MAX);
		visitor_drop(TAILQ_FIRST(&metrics->visitors));
	}
	visitor_serve(metrics, fd);
}

/* No descriptor is left: the connection stays where it is, and the listener looks away. */
static void
accept_failed(struct evconnlistener *listener, void *context)
{
	const struct timeval wait = {0, PAUSE_MS * 1000};
	struct metrics *metrics = context;

	log_limited(
		&metrics->limit, "metrics", "a connection cannot be taken: %s", strerror(errno));
	evconnlistener_disable(listener);
	event_add(metrics->pause, &wait);
}

static void
pause_over(evutil_socket_t fd, short what, void *context)
{
	struct metrics *metrics = context;

	(void)fd;
	(void)what;
	evconnlistener_enable(metrics->listener);
}

/* ---- life ---- */

static int
listener_open(struct metrics *metrics, struct reason *reason)
{
	const struct endpoint *listen = &metrics->ctrl->config->metrics.listen;
	int fd = endpoint_bind(listen, SOCK_STREAM);
	char text[ENDPOINT_TEXT_SIZE];

	endpoint_format(text, listen);
	if (fd < 0)
		return reason_set(reason, -fd,
			"metrics.listen: %s cannot be had: %s; choose another address or port, or "
			"\"off\"",
			text, strerror(-fd));
	metrics->listener = evconnlistener_new(metrics->ctrl->base, connection_due, metrics,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
	metrics->pause = evtimer_new(metrics->ctrl->base, pause_over, metrics);
	if (metrics->listener == NULL || metrics->pause == NULL) {
		if (metrics->listener == NULL)
			close(fd);
		return reason_set(
			reason, ENOMEM, "metrics.listen: no memory to listen at %s", text);
	}
	evconnlistener_set_error_cb(metrics->listener, accept_failed);
	log_info("metrics", "at http://%s" PATH, text);
	return 0;
}

struct metrics *
metrics_create(const struct ctrl *ctrl, struct reason *reason)
{
	const struct config_metrics *config = &ctrl->config->metrics;
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (metrics == NULL) {
		reason_set(reason, ENOMEM, "no memory for metrics");
		return NULL;
	}
	metrics->ctrl = ctrl;
	TAILQ_INIT(&metrics->visitors);
	if (config->is_off || listener_open(metrics, reason) == 0)
		return metrics;
	if (config->is_stated) {
		metrics_destroy(metrics);
		return NULL;
	}
	log_warning("metrics", "there are none: %s", reason->text);
	return metrics;
}

void
metrics_destroy(struct metrics *metrics)
{
	if (metrics == NULL)
		return;
	if (metrics->pause != NULL)
		event_free(metrics->pause);
	if (metrics->listener != NULL)
		evconnlistener_free(metrics->listener);
	while (!TAILQ_EMPTY(&metrics->visitors))
		visitor_drop(TAILQ_FIRST(&metrics->visitors));
	if (metrics->page != NULL)
		page_release(NULL, 0, metrics->page);
	free(metrics);
}

struct metrics_visits
metrics_visits(const struct metrics *metrics)
{
	return metrics != NULL ? metrics->visits : (struct metrics_visits){0};
}

void
metrics_tick(struct metrics *metrics)
{
	if (metrics != NULL && metrics->listener != NULL)
		metrics_drain_tick(&metrics->drain, metrics->ctrl);
}

struct metrics_drain_counts
metrics_drain_counts(const struct metrics *metrics, unsigned realm)
{
	return metrics != NULL ? metrics->drain.counts[realm] : (struct metrics_drain_counts){0};
}

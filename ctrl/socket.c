/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/socket.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctrl/log.h"

#define BACKLOG  64
#define PAUSE_MS 100

struct socket_listener {
	int fd;
	struct event *event;
	struct event *pause;
	struct sockaddr_un address;
	struct log_limit limit;
	void (*accepted)(int fd, void *context);
	void *context;
};

/*
 * No descriptor or memory is left: the connection stays where it is, and the listener would be due
 * again at once, for ever. It looks away for a moment.
 */
static void
listener_pause(struct socket_listener *listener)
{
	const struct timeval wait = {0, PAUSE_MS * 1000};

	event_del(listener->event);
	event_add(listener->pause, &wait);
}

static void
pause_over(evutil_socket_t fd, short what, void *context)
{
	struct socket_listener *listener = context;

	(void)fd;
	(void)what;
	event_add(listener->event, NULL);
}

static void
connection_due(evutil_socket_t fd, short what, void *context)
{
	struct socket_listener *listener = context;
	int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (connection >= 0) {
		listener->accepted(connection, listener->context);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		log_limited(&listener->limit, "socket", "%s: a connection cannot be taken: %s",
			listener->address.sun_path, strerror(errno));
		listener_pause(listener);
	}
}

/* Does somebody listen there? A socket file that a killed credgated left behind refuses at once. */
static bool
address_is_served(const struct sockaddr_un *address, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool is_served;

	if (fd < 0)
		return false;
	is_served = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		    errno == EAGAIN;
	close(fd);
	return is_served;
}

/* The mode holds from the first moment on: the mask is narrower than any mode asked for. */
static int
address_bind(struct socket_listener *listener, mode_t mode)
{
	mode_t mask = umask(0177);
	int status;

	unlink(listener->address.sun_path);
	status = bind(listener->fd, (const struct sockaddr *)&listener->address,
		sizeof(listener->address));
	umask(mask);
	if (status != 0 || chmod(listener->address.sun_path, mode) != 0 ||
		listen(listener->fd, BACKLOG) != 0)
		return -errno;
	return 0;
}

struct socket_listener *
socket_listen(struct event_base *base, const char *dir, const char *name, int type, mode_t mode,
	void (*accepted)(int fd, void *context), void *context, struct reason *reason)
{
	struct socket_listener *listener = calloc(1, sizeof(*listener));
	int error = ENOMEM;

	if (listener == NULL) {
		reason_set(reason, ENOMEM, "no memory for %s", name);
		return NULL;
	}
	listener->accepted = accepted;
	listener->context = context;
	listener->address.sun_family = AF_UNIX;
	snprintf(listener->address.sun_path, sizeof(listener->address.sun_path), "%.90s/%.16s", dir,
		name);
	listener->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0) {
		error = errno;
		goto err;
	}
	if (address_is_served(&listener->address, type)) {
		reason_set(reason, EADDRINUSE,
			"%s is in use: another credgated runs with this run_dir; stop it, or give "
			"this one a run_dir of its own",
			listener->address.sun_path);
		goto err_served;
	}
	error = -address_bind(listener, mode);
	if (error != 0)
		goto err;
	listener->event =
		event_new(base, listener->fd, EV_READ | EV_PERSIST, connection_due, listener);
	listener->pause = evtimer_new(base, pause_over, listener);
	if (listener->event != NULL && listener->pause != NULL) {
		event_add(listener->event, NULL);
		return listener;
	}
	error = ENOMEM;
err:
	reason_set(reason, error, "%s: %s; check owner and mode of the directory",
		listener->address.sun_path, strerror(error));
err_served:
	socket_listener_destroy(listener);
	return NULL;
}

void
socket_listener_destroy(struct socket_listener *listener)
{
	if (listener == NULL)
		return;
	if (listener->pause != NULL)
		event_free(listener->pause);
	if (listener->event != NULL) {
		event_free(listener->event);
		unlink(listener->address.sun_path);
	}
	if (listener->fd >= 0)
		close(listener->fd);
	free(listener);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/admin.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctrl/log.h"
#include "ctrl/peer.h"
#include "ctrl/socket.h"
#include "ctrl/verbs.h"

#define SOCKET_NAME "admin.sock"

struct client {
	TAILQ_ENTRY(client) next; /* oldest first */
	struct admin *admin;
	struct bufferevent *stream;
	struct event *line_timer; /* runs while a line is begun and not ended */
	struct peer peer;
	bool is_privileged; /* root or the control user */
	json_t *pending;    /* the result of a change that waits for the workers */
	bool is_closing;    /* after what is still to be written */
};

struct admin {
	struct ctrl *ctrl;
	struct socket_listener *listener;
	TAILQ_HEAD(, client) clients;
	unsigned count;
	struct log_limit limit;
};

static void
client_drop(struct client *client)
{
	uptake_cancel(client->admin->ctrl->uptake, client);
	TAILQ_REMOVE(&client->admin->clients, client, next);
	client->admin->count--;
	json_decref(client->pending);
	event_free(client->line_timer);
	bufferevent_free(client->stream);
	free(client);
}

/* ---- answers ---- */

/* Takes the reference. */
static void
answer_write(struct client *client, json_t *answer)
{
	char *line = answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	if (line == NULL)
		line = strdup("{\"ok\":false,\"errno\":12,\"error\":\"no memory for the answer\"}");
	if (line == NULL)
		return;
	bufferevent_write(client->stream, line, strlen(line));
	bufferevent_write(client->stream, "\n", 1);
	free(line);
}

static void
answer_result(struct client *client, json_t *result)
{
	answer_write(client, json_pack("{s:b, s:o}", "ok", 1, "result", result));
}

/* Texts may quote what a client sent; what is no UTF-8 cannot be repeated. */
static void
answer_error(struct client *client, const struct reason *reason)
{
	json_t *text = json_string(reason->text);

	if (text == NULL)
		text = json_string("the request names something that is no UTF-8 text");
	answer_write(client,
		json_pack("{s:b, s:i, s:o}", "ok", 0, "errno", reason->error, "error", text));
}

/* ---- requests ---- */

/* The workers use the change, or a second is over. */
static void
change_taken_up(void *context, uint64_t generation, unsigned lagging)
{
	struct client *client = context;
	const struct ctrl *ctrl = client->admin->ctrl;
	bool runs = supervise_status(ctrl->supervise)->state == SUPERVISE_RUNNING;
	json_t *result = client->pending;

	client->pending = NULL;
	json_object_set_new(result, "generation", json_integer((json_int_t)generation));
	json_object_set_new(result, "workers",
		json_integer(runs ? (json_int_t)(ctrl->config->dataplane.workers - lagging) : 0));
	answer_result(client, result);
	bufferevent_enable(client->stream, EV_READ);
	bufferevent_trigger(client->stream, EV_READ, BEV_OPT_DEFER_CALLBACKS);
}

/* Runs one verb; its result is answered now, or when it has taken effect. */
static void
request_run(struct client *client, const char *verb, json_t *args)
{
	struct verb_call call = {.ctrl = client->admin->ctrl, .peer = &client->peer, .args = args};

	if (verb_run(&call, verb) != 0) {
		json_decref(call.result);
		answer_error(client, &call.reason);
	} else if (!call.is_change) {
		answer_result(client, call.result);
	} else {
		client->pending = call.result;
		bufferevent_disable(client->stream, EV_READ);
		if (uptake_request(call.ctrl->uptake, change_taken_up, client) != 0)
			change_taken_up(client, keytable_generation(call.ctrl->keys),
				call.ctrl->config->dataplane.workers);
	}
}

static void
line_handle(struct client *client, const char *line, size_t length)
{
	struct reason reason;
	json_error_t where;
	json_t *request, *args = NULL;
	const char *verb, *unknown = NULL;

	request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &where);
	if (request == NULL) {
		reason_set(&reason, EBADMSG, "the request is no JSON: %s (column %d)", where.text,
			where.column);
		answer_error(client, &reason);
		return;
	}
	if (json_unpack(request, "{s:s, s?o !}", "verb", &verb, "args", &args) != 0)
		unknown = "a request is {\"verb\": TEXT, \"args\": {...}} and nothing else";
	else if (args != NULL && !json_is_object(args))
		unknown = "args must be an object";
	if (unknown != NULL) {
		reason_set(&reason, EINVAL, "%s", unknown);
		answer_error(client, &reason);
	} else {
		request_run(client, verb, args);
	}
	json_decref(request);
}

static void
line_refuse(struct client *client)
{
	struct reason reason;

	reason_set(&reason, EMSGSIZE, "the line is longer than %u bytes; ask for less",
		ADMIN_LINE_MAX);
	answer_error(client, &reason);
	bufferevent_disable(client->stream, EV_READ);
	client->is_closing = true;
}

static void
line_late(evutil_socket_t fd, short what, void *context)
{
	struct client *client = context;

	(void)fd;
	(void)what;
	log_limited(&client->admin->limit, "admin",
		"a client that did not end its line within %u s was dropped", ADMIN_LINE_S);
	client_drop(client);
}

/* Further bytes of the same line do not buy more time. */
static void
line_watch(struct client *client, bool is_begun)
{
	const struct timeval patience = {ADMIN_LINE_S, 0};

	if (!is_begun)
		event_del(client->line_timer);
	else if (!event_pending(client->line_timer, EV_TIMEOUT, NULL))
		event_add(client->line_timer, &patience);
}

/* One request after the other: while a change waits for the workers, later lines do too. */
static void
read_due(struct bufferevent *stream, void *context)
{
	struct client *client = context;
	struct evbuffer *input = bufferevent_get_input(stream);
	struct evbuffer *output = bufferevent_get_output(stream);
	size_t length;
	char *line;

	while (client->pending == NULL && !client->is_closing) {
		if (evbuffer_get_length(output) > ADMIN_OUTPUT_MAX) {
			log_limited(&client->admin->limit, "admin",
				"a client that does not read its answers was dropped");
			client_drop(client);
			return;
		}
		line = evbuffer_readln(input, &length, EVBUFFER_EOL_LF);
		if (line == NULL)
			break;
		line_watch(client, false);
		line_handle(client, line, length);
		free(line);
	}
	if (client->pending != NULL || client->is_closing)
		return;
	line_watch(client, evbuffer_get_length(input) > 0);
	if (evbuffer_get_length(input) >= ADMIN_LINE_MAX)
		line_refuse(client);
}

static void
write_done(struct bufferevent *stream, void *context)
{
	struct client *client = context;

	(void)stream;
	if (client->is_closing)
		client_drop(client);
}

/* End of file, an error, or answers that nobody reads. */
static void
stream_over(struct bufferevent *stream, short what, void *context)
{
	struct client *client = context;

	if ((what & BEV_EVENT_EOF) != 0 &&
		evbuffer_get_length(bufferevent_get_output(stream)) > 0) {
		client->is_closing = true; /* it may still read what it asked for */
		return;
	}
	if ((what & BEV_EVENT_TIMEOUT) != 0)
		log_limited(&client->admin->limit, "admin",
			"a client that does not read its answers was dropped");
	client_drop(client);
}

static bool
is_privileged(const struct ctrl *ctrl, const struct peer *peer)
{
	return peer->uid == 0 || peer->uid == ctrl->config->control.uid;
}

static bool
is_admitted(const struct ctrl *ctrl, const struct peer *peer)
{
	return is_privileged(ctrl, peer) || peer_is_in(peer, &ctrl->config->admins);
}

/* Whose place is given away: others before one's own kind, idle ones before busy ones, the oldest. */
static unsigned
eviction_rank(const struct client *client)
{
	return 2 * client->is_privileged + (client->pending != NULL);
}

/* Makes room for root or the control user. False: all are root's or control's, and busy. */
static bool
client_evict(struct admin *admin)
{
	struct client *client, *victim = TAILQ_FIRST(&admin->clients);

	TAILQ_FOREACH (client, &admin->clients, next)
		if (eviction_rank(client) < eviction_rank(victim))
			victim = client;
	if (victim->is_privileged && victim->pending != NULL)
		return false;
	log_limited(&admin->limit, "admin", "a client was dropped for root or the control user");
	client_drop(victim);
	return true;
}

static void
client_serve(struct admin *admin, const struct peer *peer, int fd)
{
	const struct timeval patience = {ADMIN_WRITE_S, 0};
	struct client *client = calloc(1, sizeof(*client));

	if (client == NULL) {
		close(fd);
		return;
	}
	client->admin = admin;
	client->peer = *peer;
	client->is_privileged = is_privileged(admin->ctrl, peer);
	client->line_timer = evtimer_new(admin->ctrl->base, line_late, client);
	if (client->line_timer != NULL)
		client->stream =
			bufferevent_socket_new(admin->ctrl->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (client->stream == NULL) {
		if (client->line_timer != NULL)
			event_free(client->line_timer);
		free(client);
		close(fd);
		return;
	}
	TAILQ_INSERT_TAIL(&admin->clients, client, next);
	admin->count++;
	bufferevent_setcb(client->stream, read_due, write_done, stream_over, client);
	/* Input stops at one line and a little, so that a flood stays in the client's socket. */
	bufferevent_setwatermark(client->stream, EV_READ, 0, ADMIN_LINE_MAX + 4096);
	bufferevent_set_timeouts(client->stream, NULL, &patience);
	bufferevent_enable(client->stream, EV_READ | EV_WRITE);
}

static void
client_accept(int fd, void *context)
{
	struct admin *admin = context;
	struct peer peer;

	if (peer_read(fd, &peer) != 0 || !is_admitted(admin->ctrl, &peer)) {
		log_limited(&admin->limit, "admin",
			"uid %u pid %d was refused: it is none of admins in the configuration",
			peer.uid, (int)peer.pid);
		close(fd);
	} else if (admin->count >= ADMIN_CLIENTS_MAX &&
		   !(is_privileged(admin->ctrl, &peer) && client_evict(admin))) {
		log_limited(&admin->limit, "admin",
			"uid %u was refused: %u clients are served already", peer.uid,
			admin->count);
		close(fd);
	} else {
		client_serve(admin, &peer, fd);
	}
}

struct admin *
admin_create(struct ctrl *ctrl, struct reason *reason)
{
	const struct config_ids *admins = &ctrl->config->admins;
	mode_t mode = admins->uid_count + admins->gid_count > 0 ? 0666 : 0660;
	struct admin *admin = calloc(1, sizeof(*admin));

	if (admin == NULL) {
		reason_set(reason, ENOMEM, "no memory for the admin socket");
		return NULL;
	}
	admin->ctrl = ctrl;
	TAILQ_INIT(&admin->clients);
	admin->listener = socket_listen(ctrl->base, ctrl->config->run_dir, SOCKET_NAME, SOCK_STREAM,
		mode, client_accept, admin, reason);
	if (admin->listener != NULL)
		return admin;
	free(admin);
	return NULL;
}

void
admin_destroy(struct admin *admin)
{
	if (admin == NULL)
		return;
	socket_listener_destroy(admin->listener);
	while (!TAILQ_EMPTY(&admin->clients))
		client_drop(TAILQ_FIRST(&admin->clients));
	free(admin);
}

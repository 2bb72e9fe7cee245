/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/consumers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctrl/log.h"
#include "ctrl/members.h"
#include "ctrl/passing.h"
#include "ctrl/socket.h"

#define GROUP_NONE    (TABLE_GROUPS_MAX + 2)
#define SOCKET_NAME   "consumer.sock"
#define GROUP_REFUSAL TABLE_GROUPS_MAX

struct consumer {
	LIST_ENTRY(consumer) next;
	struct consumers *consumers;
	int fd;
	struct event *event;
	struct peer peer;
	unsigned group; /* GROUP_NONE: has not asked yet */
};

struct consumers {
	const struct ctrl *ctrl;
	struct socket_listener *listener;
	LIST_HEAD(, consumer) list;
	unsigned count;
	struct log_limit limit;
};

/* ---- who may have what ---- */

static void
decide_delivery(const struct config *config, const struct peer *peer, const char *name,
	struct attach_reply *reply, unsigned *group)
{
	for (unsigned i = 0; i < config->group_count; i++) {
		const struct config_user *reader = &config->groups[i].reader;

		if (strcmp(config->groups[i].name, name) != 0)
			continue;
		*group = i;
		if (peer_is(peer, reader))
			return;
		reply->status = EACCES;
		snprintf(reply->text, sizeof(reply->text),
			"%s may not read group %.20s: its reader is uid %u gid %u, run as that",
			peer->uid == 0 ? "even root" : "you", name, reader->uid, reader->gid);
		return;
	}
	reply->status = ENOENT;
	snprintf(reply->text, sizeof(reply->text),
		"there is no group %.31s; see groups in the configuration", name);
}

static bool
may_observe(const struct config *config, const struct peer *peer)
{
	return peer->uid == 0 || peer->uid == config->control.uid ||
	       peer_is_in(peer, &config->observers) || peer_is_in(peer, &config->admins);
}

/* Could it be given anything at all? */
static bool
is_known(const struct config *config, const struct peer *peer)
{
	for (unsigned i = 0; i < config->group_count; i++)
		if (peer_is(peer, &config->groups[i].reader))
			return true;
	return may_observe(config, peer);
}

static void
decide_refusals(const struct config *config, const struct peer *peer, struct attach_reply *reply)
{
	if (may_observe(config, peer))
		return;
	reply->status = EACCES;
	snprintf(reply->text, sizeof(reply->text),
		"uid %u may not read refusals: add it to observers in the configuration",
		peer->uid);
}

/* Where nodes are is no secret to whoever may read what they send. */
static void
decide_members(const struct config *config, const struct peer *peer, struct attach_reply *reply)
{
	if (is_known(config, peer))
		return;
	reply->status = EACCES;
	snprintf(reply->text, sizeof(reply->text),
		"uid %u may not read members: add it to observers in the configuration", peer->uid);
}

void
consumers_decide(const struct config *config, const struct peer *peer,
	const struct attach_request *request, struct attach_reply *reply, unsigned *group)
{
	char name[ATTACH_GROUP_SIZE];

	memset(reply, 0, sizeof(*reply));
	reply->magic = ATTACH_MAGIC;
	reply->version = ATTACH_VERSION;
	*group = GROUP_REFUSAL;
	memcpy(name, request->group, sizeof(name));
	if (request->magic != ATTACH_MAGIC || request->version != ATTACH_VERSION ||
		memchr(name, '\0', sizeof(name)) == NULL) {
		reply->status = EPROTO;
		snprintf(reply->text, sizeof(reply->text),
			"the request is of another version than this credgated; rebuild the "
			"consumer");
	} else if (request->what == ATTACH_DELIVERY) {
		decide_delivery(config, peer, name, reply, group);
	} else if (request->what == ATTACH_REFUSALS) {
		decide_refusals(config, peer, reply);
	} else if (request->what == ATTACH_MEMBERS) {
		*group = CONSUMERS_MEMBERS;
		decide_members(config, peer, reply);
	} else {
		reply->status = EINVAL;
		snprintf(reply->text, sizeof(reply->text),
			"there is nothing of kind %u to attach to", request->what);
	}
}

/* ---- connections ---- */

static void
consumer_drop(struct consumer *consumer)
{
	LIST_REMOVE(consumer, next);
	consumer->consumers->count--;
	if (consumer->event != NULL)
		event_free(consumer->event);
	close(consumer->fd);
	free(consumer);
}

/* Rings of a group, or of refusals, worker 0 first. */
static unsigned
rings_collect(const struct ctrl *ctrl, unsigned group, int fds[ATTACH_RINGS_MAX],
	struct attach_reply *reply)
{
	unsigned count = ctrl->config->dataplane.workers;

	for (unsigned worker = 0; worker < count; worker++) {
		const struct memory_object *ring = group == GROUP_REFUSAL
							   ? &ctrl->shared.refusal[worker]
							   : &ctrl->shared.delivery[group][worker];

		fds[worker] = ring->reader_fd;
		reply->ring_size[worker] = ring->size;
	}
	reply->ring_count = count;
	return count;
}

static unsigned
members_collect(const struct ctrl *ctrl, int fds[ATTACH_RINGS_MAX], struct attach_reply *reply)
{
	const struct memory_object *table = members_object(ctrl->members);

	fds[0] = table->reader_fd;
	reply->ring_size[0] = table->size;
	reply->ring_count = 1;
	return 1;
}

/* False: the consumer is to be dropped. */
static bool
request_answer(struct consumer *consumer, const struct attach_request *request)
{
	struct consumers *consumers = consumer->consumers;
	const struct ctrl *ctrl = consumers->ctrl;
	struct attach_reply reply;
	int fds[ATTACH_RINGS_MAX];
	unsigned count = 0, group;
	int error;

	consumers_decide(ctrl->config, &consumer->peer, request, &reply, &group);
	if (reply.status == 0 && group == CONSUMERS_MEMBERS)
		count = members_collect(ctrl, fds, &reply);
	else if (reply.status == 0)
		count = rings_collect(ctrl, group, fds, &reply);
	else
		log_limited(&consumers->limit, "consumers", "uid %u pid %d refused: %s",
			consumer->peer.uid, (int)consumer->peer.pid, reply.text);
	error = passing_send(consumer->fd, &reply, sizeof(reply), fds, count);
	if (error != 0 || reply.status != 0)
		return false;
	consumer->group = group;
	return true;
}

static void
consumer_due(evutil_socket_t fd, short what, void *context)
{
	struct consumer *consumer = context;
	struct attach_request request;
	int passed;
	ssize_t got;

	/* The time to ask is over. */
	if ((what & EV_TIMEOUT) != 0 && consumer->group == GROUP_NONE) {
		consumer_drop(consumer);
		return;
	}
	got = passing_receive(fd, &request, sizeof(request), &passed);
	if (passed >= 0)
		close(passed);
	if (got == -EAGAIN || got == -EINTR)
		return;
	/* End of file, a second request, or nonsense: the claim is over. */
	if (got != (ssize_t)sizeof(request) || consumer->group != GROUP_NONE ||
		!request_answer(consumer, &request)) {
		consumer_drop(consumer);
		return;
	}
	event_del(consumer->event);
	event_add(consumer->event, NULL);
}

static unsigned
count_uid(const struct consumers *consumers, uint32_t uid)
{
	const struct consumer *consumer;
	unsigned count = 0;

	LIST_FOREACH(consumer, &consumers->list, next)
	count += consumer->peer.uid == uid;
	return count;
}

/* Strangers take up no room: told why, whether they have asked already or not. The caller closes. */
static void
stranger_refuse(struct consumers *consumers, int fd, const struct peer *peer)
{
	struct attach_request request;
	struct attach_reply reply = {
		.magic = ATTACH_MAGIC,
		.version = ATTACH_VERSION,
		.status = EACCES,
	};
	unsigned group;
	int passed;

	log_limited(&consumers->limit, "consumers",
		"uid %u pid %d refused: no reader, observer or admin of the configuration",
		peer->uid, (int)peer->pid);
	snprintf(reply.text, sizeof(reply.text),
		"uid %u gid %u is neither reader, observer nor admin in the configuration",
		peer->uid, peer->gid);
	if (passing_receive(fd, &request, sizeof(request), &passed) == (ssize_t)sizeof(request))
		consumers_decide(consumers->ctrl->config, peer, &request, &reply, &group);
	if (passed >= 0)
		close(passed);
	passing_send(fd, &reply, sizeof(reply), NULL, 0);
}

/* False: not to be served. */
static bool
is_admitted(struct consumers *consumers, int fd, const struct peer *peer)
{
	if (!is_known(consumers->ctrl->config, peer)) {
		stranger_refuse(consumers, fd, peer);
		return false;
	}
	if (consumers->count < CONSUMERS_MAX &&
		count_uid(consumers, peer->uid) < CONSUMERS_PER_UID_MAX)
		return true;
	log_limited(&consumers->limit, "consumers",
		"a connection of uid %u was refused: %u are open, at most %u, and %u of one uid",
		peer->uid, consumers->count, CONSUMERS_MAX, CONSUMERS_PER_UID_MAX);
	return false;
}

static void
consumer_accept(int fd, void *context)
{
	const struct timeval patience = {CONSUMERS_ASK_S, 0};
	struct consumers *consumers = context;
	struct consumer *consumer = calloc(1, sizeof(*consumer));

	if (consumer == NULL || peer_read(fd, &consumer->peer) != 0 ||
		!is_admitted(consumers, fd, &consumer->peer)) {
		free(consumer);
		close(fd);
		return;
	}
	consumer->consumers = consumers;
	consumer->fd = fd;
	consumer->group = GROUP_NONE;
	LIST_INSERT_HEAD(&consumers->list, consumer, next);
	consumers->count++;
	consumer->event =
		event_new(consumers->ctrl->base, fd, EV_READ | EV_PERSIST, consumer_due, consumer);
	if (consumer->event == NULL)
		consumer_drop(consumer);
	else
		event_add(consumer->event, &patience);
}

struct consumers *
consumers_create(const struct ctrl *ctrl, struct reason *reason)
{
	struct consumers *consumers = calloc(1, sizeof(*consumers));

	if (consumers == NULL) {
		reason_set(reason, ENOMEM, "no memory for consumers");
		return NULL;
	}
	consumers->ctrl = ctrl;
	LIST_INIT(&consumers->list);
	/* Readers are other users: who they are is looked at, not the mode. */
	consumers->listener = socket_listen(ctrl->base, ctrl->config->run_dir, SOCKET_NAME,
		SOCK_SEQPACKET, 0666, consumer_accept, consumers, reason);
	if (consumers->listener != NULL)
		return consumers;
	free(consumers);
	return NULL;
}

void
consumers_destroy(struct consumers *consumers)
{
	if (consumers == NULL)
		return;
	socket_listener_destroy(consumers->listener);
	while (!LIST_EMPTY(&consumers->list))
		consumer_drop(LIST_FIRST(&consumers->list));
	free(consumers);
}

unsigned
consumers_count(const struct consumers *consumers, unsigned group)
{
	const struct consumer *consumer;
	unsigned count = 0;

	LIST_FOREACH(consumer, &consumers->list, next)
	count += consumer->group == group;
	return count;
}

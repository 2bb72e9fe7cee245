/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/uptake.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "ctrl/clock.h"

struct request {
	STAILQ_ENTRY(request) next;
	uptake_done_t *done;
	void *context;
	uint64_t generation; /* 0: not published yet */
	uint64_t deadline_us;
};

struct uptake {
	struct keytable *table;
	struct event *look;
	STAILQ_HEAD(, request) requests;
	uint64_t waiting_us; /* since when workers have held a table we want to write; 0: none do */
	void (*on_stuck)(void *context);
	void *context;
};

static void
look_soon(struct uptake *uptake)
{
	const struct timeval wait = {0, UPTAKE_LOOK_US};

	event_add(uptake->look, &wait);
}

static void
generation_assign(struct uptake *uptake)
{
	struct request *request;

	STAILQ_FOREACH (request, &uptake->requests, next)
		if (request->generation == 0)
			request->generation = keytable_generation(uptake->table);
}

/* Publishes what there is, then clears the half that went out of force. True: nothing is left. */
static bool
table_advance(struct uptake *uptake)
{
	uint64_t now_us = clock_mono_us();

	if (!keytable_is_dirty(uptake->table) || keytable_publish(uptake->table) == 0) {
		generation_assign(uptake);
		if (keytable_settle(uptake->table) == 0) {
			uptake->waiting_us = 0;
			return true;
		}
	}
	if (uptake->waiting_us == 0)
		uptake->waiting_us = now_us;
	if (now_us - uptake->waiting_us > UPTAKE_STUCK_US) {
		uptake->waiting_us = now_us;
		uptake->on_stuck(uptake->context);
	}
	return false;
}

/* How many running workers do not use the request's generation. */
static unsigned
request_lagging(const struct uptake *uptake, const struct request *request)
{
	uint64_t least = request->generation != 0 ? request->generation : UINT64_MAX;
	struct keytable_uptake state = keytable_uptake(uptake->table, least);

	return state.running - state.current;
}

static void
requests_answer(struct uptake *uptake)
{
	uint64_t now_us = clock_mono_us();
	struct request *request;

	while ((request = STAILQ_FIRST(&uptake->requests)) != NULL) {
		unsigned lagging = request_lagging(uptake, request);

		/* In their order: a later one is never done before. */
		if ((request->generation == 0 || lagging > 0) && now_us < request->deadline_us)
			return;
		STAILQ_REMOVE_HEAD(&uptake->requests, next);
		if (request->done != NULL)
			request->done(
				request->context, keytable_generation(uptake->table), lagging);
		free(request);
	}
}

static void
look(evutil_socket_t fd, short what, void *context)
{
	struct uptake *uptake = context;
	bool is_done = table_advance(uptake);

	(void)fd;
	(void)what;
	requests_answer(uptake);
	if (!is_done || !STAILQ_EMPTY(&uptake->requests))
		look_soon(uptake);
}

struct uptake *
uptake_create(struct event_base *base, struct keytable *table, void (*on_stuck)(void *context),
	void *context)
{
	struct uptake *uptake = calloc(1, sizeof(*uptake));

	if (uptake == NULL)
		return NULL;
	uptake->table = table;
	uptake->on_stuck = on_stuck;
	uptake->context = context;
	STAILQ_INIT(&uptake->requests);
	uptake->look = evtimer_new(base, look, uptake);
	if (uptake->look == NULL) {
		free(uptake);
		return NULL;
	}
	return uptake;
}

void
uptake_destroy(struct uptake *uptake)
{
	struct request *request;

	if (uptake == NULL)
		return;
	while ((request = STAILQ_FIRST(&uptake->requests)) != NULL) {
		STAILQ_REMOVE_HEAD(&uptake->requests, next);
		free(request);
	}
	event_free(uptake->look);
	free(uptake);
}

int
uptake_request(struct uptake *uptake, uptake_done_t *done, void *context)
{
	struct request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return -ENOMEM;
	request->done = done;
	request->context = context;
	request->deadline_us = clock_mono_us() + UPTAKE_WAIT_US;
	STAILQ_INSERT_TAIL(&uptake->requests, request, next);
	event_active(uptake->look, EV_TIMEOUT, 0);
	return 0;
}

void
uptake_cancel(struct uptake *uptake, const void *context)
{
	struct request *request;

	STAILQ_FOREACH (request, &uptake->requests, next)
		if (request->context == context)
			request->done = NULL;
}

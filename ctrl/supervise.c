/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/supervise.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctrl/clock.h"
#include "ctrl/log.h"
#include "ctrl/passing.h"

#define HEARTBEAT_LOOK_MS 500

struct supervise {
	struct supervise_config config;
	struct supervise_status status;
	int setup_fd; /* our end; -1: none */
	int pidfd;
	unsigned ready_count;
	unsigned next_object; /* to send; 0: the configuration, i: object i - 1 */
	unsigned quick_ends;  /* in a row */
	bool is_replacing;    /* the starter kills the one that runs */
	bool has_failed;      /* told why it cannot run */
	char failure[SUPERVISE_TEXT_SIZE];
	struct event *starter_event;
	struct event *setup_read;
	struct event *setup_write;
	struct event *pidfd_event; /* only when the starter is gone */
	struct event *retry;       /* backoff, READY and stop deadlines */
	struct event *heartbeat;
};

static void start_again(struct supervise *supervise);

static void
event_drop(struct event **event)
{
	if (*event != NULL)
		event_free(*event);
	*event = NULL;
}

static void
timer_set(struct event *event, unsigned ms)
{
	const struct timeval wait = {ms / 1000, ms % 1000 * 1000};

	event_add(event, &wait);
}

static void
setup_close(struct supervise *supervise)
{
	event_drop(&supervise->setup_read);
	event_drop(&supervise->setup_write);
	if (supervise->setup_fd >= 0)
		close(supervise->setup_fd);
	supervise->setup_fd = -1;
}

static void
fail(struct supervise *supervise, const char *text)
{
	if (supervise->has_failed)
		return;
	supervise->has_failed = true;
	supervise->config.on_failure(supervise->config.context, text);
}

/* ---- handing over ---- */

static int
object_send(struct supervise *supervise, unsigned i)
{
	const struct supervise_object *object = &supervise->config.objects[i];
	const struct setup_object message = {
		.magic = SETUP_MAGIC,
		.version = SETUP_VERSION,
		.type = SETUP_OBJECT,
		.what = object->what,
		.group = object->group,
		.worker = object->worker,
		.size = object->size,
		.is_last = i + 1 == supervise->config.object_count,
	};

	return passing_send(supervise->setup_fd, &message, sizeof(message), &object->fd, 1);
}

/* Sends as much as the socket takes. */
static void
setup_write_ready(evutil_socket_t fd, short what, void *context)
{
	struct supervise *supervise = context;
	int error = 0;

	(void)what;
	while (error == 0 && supervise->next_object <= supervise->config.object_count) {
		if (supervise->next_object == 0)
			error = passing_send(fd, supervise->config.setup,
				sizeof(*supervise->config.setup), NULL, 0);
		else
			error = object_send(supervise, supervise->next_object - 1);
		supervise->next_object += error == 0;
	}
	/* ETOOMANYREFS: too many descriptors in flight; it takes them one by one. */
	if (error != -EAGAIN && error != -ETOOMANYREFS)
		event_del(supervise->setup_write);
	if (error != 0 && error != -EAGAIN && error != -ETOOMANYREFS && error != -EPIPE)
		log_error("dataplane", "set-up cannot be sent: %s", strerror(-error));
}

static void
answer_take(struct supervise *supervise, const struct setup_answer *answer)
{
	struct supervise_status *status = &supervise->status;

	if (answer->status != 0) {
		snprintf(supervise->failure, sizeof(supervise->failure), "%s", answer->text);
		return;
	}
	status->state = SUPERVISE_RUNNING;
	status->ready_us = clock_mono_us();
	status->kernel = answer->kernel;
	supervise->ready_count++;
	event_del(supervise->retry);
	timer_set(supervise->heartbeat, HEARTBEAT_LOOK_MS);
	/* What it runs with it has said itself. */
	log_fields(LOG_INFO, "dataplane",
		(const struct log_field[]){LOG_NUMBER("pid", status->pid), LOG_END},
		"running, pid %d", (int)status->pid);
	supervise->config.on_ready(supervise->config.context, supervise->ready_count);
}

static void
setup_read_ready(evutil_socket_t fd, short what, void *context)
{
	struct supervise *supervise = context;
	struct setup_answer answer;
	ssize_t got = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);

	(void)what;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	/* End of file, or nonsense: how it ended comes from the starter. */
	if (got != (ssize_t)sizeof(answer) || answer.magic != SETUP_MAGIC ||
		answer.version != SETUP_VERSION || answer.type != SETUP_ANSWER) {
		event_drop(&supervise->setup_read);
		return;
	}
	answer.text[sizeof(answer.text) - 1] = '\0';
	if (supervise->status.state == SUPERVISE_STARTING)
		answer_take(supervise, &answer);
}

/* A new pair; `theirs` goes to the starter and is closed by the caller. */
static int
setup_open(struct supervise *supervise, int *theirs, struct reason *reason)
{
	int pair[2];

	setup_close(supervise);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return reason_set(reason, errno, "set-up socket: %s", strerror(errno));
	supervise->setup_fd = pair[0];
	*theirs = pair[1];
	evutil_make_socket_nonblocking(pair[0]);
	supervise->next_object = 0;
	supervise->setup_read = event_new(
		supervise->config.base, pair[0], EV_READ | EV_PERSIST, setup_read_ready, supervise);
	supervise->setup_write = event_new(supervise->config.base, pair[0], EV_WRITE | EV_PERSIST,
		setup_write_ready, supervise);
	if (supervise->setup_read == NULL || supervise->setup_write == NULL) {
		close(*theirs);
		setup_close(supervise);
		return reason_set(reason, ENOMEM, "no memory for the set-up socket");
	}
	event_add(supervise->setup_read, NULL);
	return 0;
}

int
supervise_start(struct supervise *supervise, struct reason *reason)
{
	int theirs = -1, error;

	error = setup_open(supervise, &theirs, reason);
	if (error != 0)
		return error;
	error = starter_start(supervise->config.starter, theirs, reason);
	close(theirs);
	if (error != 0) {
		setup_close(supervise);
		return error;
	}
	supervise->status.state = SUPERVISE_STARTING;
	supervise->failure[0] = '\0';
	event_del(supervise->heartbeat);
	timer_set(supervise->retry, SUPERVISE_READY_S * 1000);
	return 0;
}

/* ---- its end ---- */

static void
end_describe(char text[SUPERVISE_TEXT_SIZE], const struct supervise *supervise, int status)
{
	if (supervise->failure[0] != '\0')
		snprintf(text, SUPERVISE_TEXT_SIZE, "%s", supervise->failure);
	else if (WIFSIGNALED(status))
		snprintf(text, SUPERVISE_TEXT_SIZE, "killed by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		snprintf(text, SUPERVISE_TEXT_SIZE, "exit status %d", WEXITSTATUS(status));
}

/* Nothing of a dead dataplane reads the key table. */
static void
stats_reset(struct supervise *supervise)
{
	struct stats_header *stats = supervise->config.stats;

	for (unsigned i = 0; i < supervise->config.worker_count; i++)
		atomic_store_explicit(&stats_worker(stats, i)->seen, 0, memory_order_release);
	atomic_store_explicit(&stats->state, STATS_DOWN, memory_order_release);
	atomic_store_explicit(&stats->heartbeat_us, 0, memory_order_relaxed);
}

static unsigned
backoff_ms(struct supervise *supervise)
{
	uint64_t ready_us = supervise->status.ready_us;
	unsigned wait = SUPERVISE_BACKOFF_MIN_MS, doubled;

	if (ready_us != 0 && clock_mono_us() - ready_us >= SUPERVISE_QUICK_US)
		supervise->quick_ends = 0;
	if (supervise->quick_ends++ == 0)
		return 0;
	for (doubled = 2; doubled < supervise->quick_ends && wait < SUPERVISE_BACKOFF_MAX_MS;
		doubled++)
		wait *= 2;
	return wait < SUPERVISE_BACKOFF_MAX_MS ? wait : SUPERVISE_BACKOFF_MAX_MS;
}

static void
restart_plan(struct supervise *supervise, pid_t pid)
{
	struct supervise_status *status = &supervise->status;
	unsigned wait = backoff_ms(supervise);

	status->state = SUPERVISE_DOWN;
	status->ready_us = 0;
	log_fields(LOG_ERROR, "dataplane",
		(const struct log_field[]){LOG_NUMBER("pid", pid),
			LOG_NUMBER("restarts", status->restarts + 1), LOG_END},
		"pid %d ended: %s; starting it again %s (restart %u)", (int)pid, status->last_exit,
		wait == 0 ? "now" : "after a pause", status->restarts + 1);
	if (wait == 0)
		start_again(supervise);
	else
		timer_set(supervise->retry, wait);
}

static void
ended(struct supervise *supervise, pid_t pid, int end)
{
	struct supervise_status *status = &supervise->status;

	stats_reset(supervise);
	end_describe(status->last_exit, supervise, end);
	status->pid = 0;
	if (supervise->pidfd >= 0)
		close(supervise->pidfd);
	supervise->pidfd = -1;
	event_del(supervise->heartbeat);
	if (supervise->is_replacing) {
		/* Its successor is on the way already. */
		supervise->is_replacing = false;
		status->restarts++;
		return;
	}
	setup_close(supervise);
	event_del(supervise->retry);
	if (status->state == SUPERVISE_STOPPING)
		supervise->config.on_stopped(supervise->config.context);
	else if (supervise->ready_count == 0)
		fail(supervise, status->last_exit);
	else
		restart_plan(supervise, pid);
}

/* The program itself cannot be executed. */
static void
start_failed(struct supervise *supervise, const char *text)
{
	snprintf(supervise->failure, sizeof(supervise->failure), "%s", text);
	ended(supervise, 0, 0);
}

static void
start_again(struct supervise *supervise)
{
	struct reason reason;

	supervise->status.restarts++;
	if (supervise_start(supervise, &reason) != 0)
		fail(supervise, reason.text);
}

static void
retry_due(evutil_socket_t fd, short what, void *context)
{
	struct supervise *supervise = context;

	(void)fd;
	(void)what;
	if (supervise->status.state == SUPERVISE_DOWN)
		start_again(supervise);
	else if (supervise->status.state == SUPERVISE_STOPPING)
		supervise->config.on_stopped(supervise->config.context);
	else if (supervise->ready_count == 0)
		fail(supervise, "did not become ready in time; see its messages above");
	else
		supervise_replace(supervise, "did not become ready in time");
}

void
supervise_replace(struct supervise *supervise, const char *why)
{
	struct reason reason;

	if (supervise->is_replacing || supervise->status.pid == 0 ||
		supervise->status.state == SUPERVISE_STOPPING)
		return;
	log_error("dataplane", "pid %d %s; killing it and starting another one",
		(int)supervise->status.pid, why);
	supervise->is_replacing = true;
	supervise->status.ready_us = 0;
	if (supervise_start(supervise, &reason) != 0)
		fail(supervise, reason.text);
}

static void
heartbeat_look(evutil_socket_t fd, short what, void *context)
{
	struct supervise *supervise = context;
	uint64_t beat_us =
		atomic_load_explicit(&supervise->config.stats->heartbeat_us, memory_order_relaxed);
	uint64_t now_us = clock_mono_us(), since_us = supervise->status.ready_us;

	(void)fd;
	(void)what;
	if (supervise->status.state != SUPERVISE_RUNNING)
		return;
	/* A clock from the future is not a beat; what beat before READY does not count either. */
	if (beat_us > since_us && beat_us <= now_us)
		since_us = beat_us;
	if (now_us - since_us > SUPERVISE_HANG_US)
		supervise_replace(supervise, "hangs: no heartbeat for 5 s");
	else
		timer_set(supervise->heartbeat, HEARTBEAT_LOOK_MS);
}

/* ---- the starter ---- */

/* Set-up begins only now: what the one before left in `seen` is reset by then. */
static void
started(struct supervise *supervise, pid_t pid, int pidfd)
{
	if (supervise->pidfd >= 0)
		close(supervise->pidfd);
	supervise->pidfd = pidfd;
	supervise->status.pid = pid;
	if (supervise->setup_write != NULL)
		event_add(supervise->setup_write, NULL);
}

static void
orphan_ended(evutil_socket_t fd, short what, void *context)
{
	struct supervise *supervise = context;

	(void)fd;
	(void)what;
	stats_reset(supervise);
	if (supervise->status.state == SUPERVISE_STOPPING)
		supervise->config.on_stopped(supervise->config.context);
	else
		fail(supervise, "ended, and without the starter there is no other; start credgated "
				"again");
}

/* What runs goes on as long as it can. */
static void
starter_lost(struct supervise *supervise)
{
	event_drop(&supervise->starter_event);
	if (supervise->pidfd < 0) {
		fail(supervise, "the starter is gone; start credgated again");
		return;
	}
	log_error("starter", "is gone: the dataplane runs on, but cannot be started again; restart "
			     "credgated");
	supervise->pidfd_event = event_new(
		supervise->config.base, supervise->pidfd, EV_READ, orphan_ended, supervise);
	if (supervise->pidfd_event != NULL)
		event_add(supervise->pidfd_event, NULL);
}

static void
starter_ready(evutil_socket_t fd, short what, void *context)
{
	struct supervise *supervise = context;
	struct starter_event event;
	int pidfd, state;

	(void)fd;
	(void)what;
	while ((state = starter_receive(supervise->config.starter, &event, &pidfd)) == 1) {
		if (event.type == STARTER_STARTED)
			started(supervise, event.pid, pidfd);
		else if (event.type == STARTER_ENDED)
			ended(supervise, event.pid, event.status);
		else if (event.type == STARTER_FAILED)
			start_failed(supervise, event.text);
	}
	if (state < 0)
		starter_lost(supervise);
}

/* ---- life ---- */

struct supervise *
supervise_create(const struct supervise_config *config)
{
	struct supervise *supervise = calloc(1, sizeof(*supervise));

	if (supervise == NULL)
		return NULL;
	supervise->config = *config;
	supervise->setup_fd = -1;
	supervise->pidfd = -1;
	supervise->starter_event = event_new(
		config->base, config->starter->fd, EV_READ | EV_PERSIST, starter_ready, supervise);
	supervise->retry = evtimer_new(config->base, retry_due, supervise);
	supervise->heartbeat = evtimer_new(config->base, heartbeat_look, supervise);
	if (supervise->starter_event == NULL || supervise->retry == NULL ||
		supervise->heartbeat == NULL) {
		supervise_destroy(supervise);
		return NULL;
	}
	event_add(supervise->starter_event, NULL);
	return supervise;
}

void
supervise_destroy(struct supervise *supervise)
{
	if (supervise == NULL)
		return;
	setup_close(supervise);
	event_drop(&supervise->pidfd_event);
	event_drop(&supervise->starter_event);
	event_drop(&supervise->retry);
	event_drop(&supervise->heartbeat);
	if (supervise->pidfd >= 0)
		close(supervise->pidfd);
	free(supervise);
}

void
supervise_stop(struct supervise *supervise)
{
	const struct setup_object stop = {
		.magic = SETUP_MAGIC,
		.version = SETUP_VERSION,
		.type = SETUP_STOP,
	};

	if (supervise->status.state == SUPERVISE_STOPPING)
		return;
	supervise->status.state = SUPERVISE_STOPPING;
	if (supervise->status.pid == 0 || supervise->setup_fd < 0 ||
		passing_send(supervise->setup_fd, &stop, sizeof(stop), NULL, 0) != 0) {
		supervise->config.on_stopped(supervise->config.context);
		return;
	}
	timer_set(supervise->retry, SUPERVISE_STOP_S * 1000);
}

bool
supervise_wait_end(const struct supervise *supervise, unsigned ms)
{
	struct pollfd wait = {.fd = supervise->pidfd, .events = POLLIN};

	if (supervise->pidfd < 0 || supervise->is_replacing)
		return false;
	return poll(&wait, 1, (int)ms) == 1 && (wait.revents & POLLIN) != 0;
}

const struct supervise_status *
supervise_status(const struct supervise *supervise)
{
	return &supervise->status;
}

const char *
supervise_state_text(enum supervise_state state)
{
	static const char *const texts[] = {
		[SUPERVISE_DOWN] = "down",
		[SUPERVISE_STARTING] = "starting",
		[SUPERVISE_RUNNING] = "running",
		[SUPERVISE_STOPPING] = "stopping",
	};

	return texts[state];
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The supervisor, with this program executed as the dataplane: set-up in order, the same memory for
 * each successor, quick restarts that slow down, hangs, and a first start that fails.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "crypto/tag.h"
#include "ctrl/clock.h"
#include "ctrl/memory.h"
#include "ctrl/passing.h"
#include "ctrl/supervise.h"

#define OBJECTS 40u

/* How the played dataplane behaves; it reads this from its first object. */
enum play {
	PLAY_FAIL,  /* answers FAILED */
	PLAY_EXIT,  /* exits before it answers */
	PLAY_READY, /* answers READY and beats */
	PLAY_HANG,  /* answers READY and never beats */
	PLAY_QUICK, /* answers READY and exits at once */
};

struct board {
	_Atomic uint32_t play;
	_Atomic uint32_t starts;  /* counted by the played dataplane */
	_Atomic uint32_t objects; /* that the last one got */
	_Atomic uint64_t last_us; /* when the last one got its set-up */
	_Atomic uint32_t stale;   /* began while an old one's `seen` was there */
};

/* ---- the played dataplane ---- */

static void
play_answer(int32_t status, const char *text)
{
	struct setup_answer answer = {
		.magic = SETUP_MAGIC,
		.version = SETUP_VERSION,
		.type = SETUP_ANSWER,
		.status = status,
		.kernel = TAG_KERNEL_IPSECMB,
	};

	snprintf(answer.text, sizeof(answer.text), "%s", text);
	if (send(STARTER_SETUP_FD, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
		_exit(80);
}

/* Takes the set-up as dataplane/setup.h says; maps the first two objects. */
static void
play_set_up(struct board **board, struct stats_header **stats)
{
	struct setup_config config;
	struct setup_object object;
	unsigned count = 0;
	int fd;

	if (passing_receive(STARTER_SETUP_FD, &config, sizeof(config), &fd) != sizeof(config) ||
		config.magic != SETUP_MAGIC || config.type != SETUP_CONFIG)
		_exit(81);
	do {
		void *map;

		if (passing_receive(STARTER_SETUP_FD, &object, sizeof(object), &fd) !=
				sizeof(object) ||
			object.type != SETUP_OBJECT || fd < 0)
			_exit(82);
		map = mmap(NULL, object.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			_exit(83);
		close(fd);
		if (object.what == SETUP_OBJECT_REPLAY)
			*board = map;
		else if (object.what == SETUP_OBJECT_STATS)
			*stats = map;
		count++;
	} while (!object.is_last);
	(*board)->objects = count;
}

__attribute__((noreturn)) static void
play_run(enum play play, struct stats_header *stats)
{
	struct setup_object message;

	play_answer(play == PLAY_FAIL ? ENODEV : 0, play == PLAY_FAIL ? "no such port" : "polling");
	if (play == PLAY_FAIL)
		_exit(1);
	if (play == PLAY_QUICK)
		_exit(3);
	atomic_store(&stats_worker(stats, 0)->seen, 5);
	for (;;) {
		ssize_t got = recv(STARTER_SETUP_FD, &message, sizeof(message), MSG_DONTWAIT);

		if (got == 0)
			_exit(0);
		if (got > 0 && message.type == SETUP_STOP)
			_exit(0);
		if (play == PLAY_READY)
			atomic_store(&stats->heartbeat_us, clock_mono_us());
		usleep(20000);
	}
}

__attribute__((noreturn)) static void
child_play(void)
{
	struct stats_header *stats = NULL;
	struct board *board = NULL;

	play_set_up(&board, &stats);
	board->starts++;
	board->last_us = clock_mono_us();
	board->stale += atomic_load(&stats_worker(stats, 0)->seen) != 0;
	if (board->play == PLAY_EXIT)
		_exit(7);
	play_run((enum play)board->play, stats);
}

/* ---- the rig ---- */

struct rig {
	struct event_base *base;
	struct starter starter;
	struct memory_object board_memory;
	struct memory_object stats_memory;
	struct board *board;
	struct supervise_object objects[OBJECTS];
	struct setup_config setup;
	struct supervise *supervise;
	unsigned ready;
	unsigned ready_wanted; /* leave the loop then */
	bool is_stopped;
	char failure[SUPERVISE_TEXT_SIZE];
};

static struct rig rig;
static char own_path[PATH_MAX];
static struct reason reason;

static void
on_ready(void *context, unsigned count)
{
	struct rig *r = context;

	assert_int_equal(count, ++r->ready);
	if (r->ready >= r->ready_wanted)
		event_base_loopbreak(r->base);
}

static void
on_failure(void *context, const char *text)
{
	struct rig *r = context;

	snprintf(r->failure, sizeof(r->failure), "%s", text);
	event_base_loopbreak(r->base);
}

static void
on_stopped(void *context)
{
	struct rig *r = context;

	r->is_stopped = true;
	event_base_loopbreak(r->base);
}

static void
rig_make(struct rig *r, const char *program, enum play play)
{
	const struct starter_config starter = {.program = program};
	struct supervise_config config = {
		.setup = &r->setup,
		.objects = r->objects,
		.object_count = OBJECTS,
		.worker_count = 1,
		.context = r,
		.on_ready = on_ready,
		.on_failure = on_failure,
		.on_stopped = on_stopped,
	};

	memset(r, 0, sizeof(*r));
	assert_int_equal(starter_fork(&r->starter, &starter, &reason), 0);
	r->base = event_base_new();
	assert_non_null(r->base);
	assert_int_equal(
		memory_object_create(&r->board_memory, "board", 4096, MEMORY_PAGES_SMALL, &reason),
		0);
	assert_int_equal(memory_object_create(&r->stats_memory, "stats", stats_size(1),
				 MEMORY_PAGES_SMALL, &reason),
		0);
	r->board = r->board_memory.mapping;
	r->board->play = play;
	r->setup = (struct setup_config){
		.magic = SETUP_MAGIC, .version = SETUP_VERSION, .type = SETUP_CONFIG};
	for (unsigned i = 0; i < OBJECTS; i++)
		r->objects[i] = (struct supervise_object){
			.what = i == 1 ? SETUP_OBJECT_STATS : SETUP_OBJECT_DELIVERY,
			.fd = i == 1 ? r->stats_memory.fd : r->board_memory.fd,
			.size = i == 1 ? r->stats_memory.size : r->board_memory.size,
		};
	r->objects[0].what = SETUP_OBJECT_REPLAY;
	config.base = r->base;
	config.starter = &r->starter;
	config.stats = r->stats_memory.mapping;
	r->supervise = supervise_create(&config);
	assert_non_null(r->supervise);
	assert_int_equal(supervise_start(r->supervise, &reason), 0);
}

static void
rig_drop(struct rig *r)
{
	supervise_destroy(r->supervise);
	starter_stop(&r->starter);
	event_base_free(r->base);
	memory_object_destroy(&r->board_memory);
	memory_object_destroy(&r->stats_memory);
}

static void
loop_until_ready(struct rig *r, unsigned count)
{
	const struct timeval limit = {20, 0};

	r->ready_wanted = count;
	event_base_loopexit(r->base, &limit);
	event_base_dispatch(r->base);
}

static void
loop_for_ms(struct rig *r, unsigned ms)
{
	const struct timeval limit = {ms / 1000, ms % 1000 * 1000};

	r->ready_wanted = UINT32_MAX;
	event_base_loopexit(r->base, &limit);
	event_base_dispatch(r->base);
}

static void
test_ready_and_stop(void **state)
{
	const struct supervise_status *status;

	(void)state;
	rig_make(&rig, own_path, PLAY_READY);
	status = supervise_status(rig.supervise);
	assert_int_equal(status->state, SUPERVISE_STARTING);
	loop_until_ready(&rig, 1);
	assert_int_equal(status->state, SUPERVISE_RUNNING);
	assert_true(status->pid > 0);
	assert_int_equal(status->restarts, 0);
	assert_int_equal(status->kernel, TAG_KERNEL_IPSECMB);
	assert_int_equal(rig.board->objects, OBJECTS);
	supervise_stop(rig.supervise);
	loop_for_ms(&rig, 5000);
	assert_true(rig.is_stopped);
	assert_int_equal(status->pid, 0);
	assert_int_equal(rig.board->starts, 1);
	rig_drop(&rig);
}

/* What it said is the one line; it is not tried again. */
static void
test_first_start_fails(void **state)
{
	(void)state;
	rig_make(&rig, own_path, PLAY_FAIL);
	loop_until_ready(&rig, 1);
	assert_string_equal(rig.failure, "no such port");
	assert_int_equal(rig.board->starts, 1);
	rig_drop(&rig);
	rig_make(&rig, own_path, PLAY_EXIT);
	loop_until_ready(&rig, 1);
	assert_string_equal(rig.failure, "exit status 7");
	rig_drop(&rig);
	rig_make(&rig, "/nonexistent/dataplane", PLAY_READY);
	loop_until_ready(&rig, 1);
	assert_string_equal(rig.failure, "/nonexistent/dataplane: No such file or directory");
	rig_drop(&rig);
}

/* Killed: another one at once, with the same memory, after `seen` of the dead one was reset. */
static void
test_killed_is_replaced_at_once(void **state)
{
	const struct supervise_status *status;
	uint64_t killed_us;
	pid_t first;

	(void)state;
	rig_make(&rig, own_path, PLAY_READY);
	status = supervise_status(rig.supervise);
	loop_until_ready(&rig, 1);
	first = status->pid;
	killed_us = clock_mono_us();
	kill(first, SIGKILL);
	loop_until_ready(&rig, 2);
	assert_true(clock_mono_us() - killed_us < 1000000);
	assert_int_not_equal(status->pid, first);
	assert_int_equal(status->restarts, 1);
	assert_string_equal(status->last_exit, "killed by signal 9 (Killed)");
	assert_int_equal(rig.board->starts, 2);
	assert_int_equal(rig.board->objects, OBJECTS);
	assert_int_equal(rig.board->stale, 0);
	rig_drop(&rig);
}

/* Dying again and again: 0, 50, 100, 200, 400 ms; and it goes on trying. */
static void
test_backoff(void **state)
{
	(void)state;
	rig_make(&rig, own_path, PLAY_QUICK);
	loop_for_ms(&rig, 1000);
	assert_in_range(rig.board->starts, 4, 7);
	assert_in_range(supervise_status(rig.supervise)->restarts, 3, 6);
	assert_int_equal(rig.failure[0], '\0');
	/* Fails to come up later: tried again as well. */
	rig.board->play = PLAY_FAIL;
	loop_for_ms(&rig, 2500);
	assert_int_equal(rig.failure[0], '\0');
	assert_string_equal(supervise_status(rig.supervise)->last_exit, "no such port");
	rig.board->play = PLAY_READY;
	loop_until_ready(&rig, rig.ready + 1);
	assert_int_equal(supervise_status(rig.supervise)->state, SUPERVISE_RUNNING);
	rig_drop(&rig);
}

/* It runs, but its heart does not beat. */
static void
test_hang(void **state)
{
	const struct supervise_status *status;
	uint64_t begun_us = clock_mono_us();
	pid_t first;

	(void)state;
	rig_make(&rig, own_path, PLAY_HANG);
	status = supervise_status(rig.supervise);
	loop_until_ready(&rig, 1);
	first = status->pid;
	rig.board->play = PLAY_READY;
	loop_until_ready(&rig, 2);
	assert_in_range(clock_mono_us() - begun_us, SUPERVISE_HANG_US, SUPERVISE_HANG_US + 2000000);
	assert_int_not_equal(status->pid, first);
	assert_int_equal(status->restarts, 1);
	assert_int_equal(rig.board->stale, 0);
	/* The one that beats stays. */
	loop_for_ms(&rig, 1500);
	assert_int_equal(status->restarts, 1);
	rig_drop(&rig);
}

/* Without the starter the dataplane runs on; when it ends too, that is the end. */
static void
test_starter_killed(void **state)
{
	(void)state;
	rig_make(&rig, own_path, PLAY_READY);
	loop_until_ready(&rig, 1);
	kill(rig.starter.pid, SIGKILL);
	loop_for_ms(&rig, 1000);
	assert_non_null(strstr(rig.failure, "start credgated again"));
	rig_drop(&rig);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready_and_stop),
		cmocka_unit_test(test_first_start_fails),
		cmocka_unit_test(test_killed_is_replaced_at_once),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_hang),
		cmocka_unit_test(test_starter_killed),
	};

	(void)argc;
	if (strcmp(argv[0], "credgate-dataplane") == 0)
		child_play();
	if (realpath("/proc/self/exe", own_path) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The starter with real processes: this program, executed under the dataplane's name, plays the
 * child. What it is given, what is told of its end, and that nothing is left behind.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "ctrl/passing.h"
#include "ctrl/starter.h"

#define WAIT_MS 5000

/* What the played dataplane says over its socket. */
struct hello {
	pid_t pid;
	pid_t group;
	unsigned descriptors; /* open ones */
	unsigned environment; /* variables */
	char arguments[128];
};

/* ---- the played dataplane ---- */

static unsigned
descriptors_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	while (dir != NULL && readdir(dir) != NULL)
		count++;
	return count - 3; /* ".", ".." and the directory itself */
}

__attribute__((noreturn)) static void
child_play(int argc, char **argv)
{
	struct hello hello = {.pid = getpid(), .group = getpgrp()};
	char command = 0;

	hello.descriptors = descriptors_count();
	for (char **variable = environ; *variable != NULL; variable++)
		hello.environment++;
	for (int i = 1; i < argc; i++)
		snprintf(hello.arguments + strlen(hello.arguments),
			sizeof(hello.arguments) - strlen(hello.arguments), "%s ", argv[i]);
	if (send(STARTER_SETUP_FD, &hello, sizeof(hello), MSG_NOSIGNAL) < 0)
		_exit(90);
	/* Lives on when its socket ends, as one that hangs would. */
	if (recv(STARTER_SETUP_FD, &command, 1, 0) == 1 && command == 'x')
		_exit(23);
	if (command == 'k')
		raise(SIGKILL);
	for (;;)
		pause();
}

/* ---- control's side ---- */

static char own_path[PATH_MAX];
static struct reason reason;

static struct starter
starter_make(const char *program)
{
	struct starter_config config = {.program = program, .uid = 4001, .gid = 4002};
	struct starter starter;

	assert_int_equal(starter_fork(&starter, &config, &reason), 0);
	return starter;
}

static void
event_wait(struct starter *starter, struct starter_event *event, int *pidfd)
{
	struct pollfd wait = {.fd = starter->fd, .events = POLLIN};

	assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
	assert_int_equal(starter_receive(starter, event, pidfd), 1);
}

/* Starts one; returns our end of its socket. */
static int
child_start(struct starter *starter, struct hello *hello, int *pidfd)
{
	struct starter_event event;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(starter_start(starter, pair[1], &reason), 0);
	close(pair[1]);
	event_wait(starter, &event, pidfd);
	assert_int_equal(event.type, STARTER_STARTED);
	assert_true(*pidfd >= 0);
	assert_int_equal(recv(pair[0], hello, sizeof(*hello), 0), sizeof(*hello));
	assert_int_equal(hello->pid, event.pid);
	return pair[0];
}

/* Gone within a while, zombies not counted. */
static bool
is_gone(pid_t pid)
{
	for (unsigned i = 0; i < WAIT_MS / 10; i++) {
		char path[64], state = 'X';
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		file = fopen(path, "r");
		if (file == NULL)
			return true;
		if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = 'X';
		fclose(file);
		if (state == 'Z' || state == 'X')
			return true;
		usleep(10000);
	}
	return false;
}

static void
test_what_the_child_gets(void **state)
{
	struct starter starter;
	struct hello hello;
	int leaked = open("/dev/null", O_RDONLY); /* inheritable: the starter must close it */
	int socket, pidfd;

	(void)state;
	setenv("LD_SOMETHING", "leaked", 1);
	starter = starter_make(own_path);
	socket = child_start(&starter, &hello, &pidfd);
	assert_string_equal(hello.arguments, "--setup-fd 3 --uid 4001 --gid 4002 ");
	assert_int_equal(hello.descriptors, 4);
	assert_int_equal(hello.environment, 2);
	assert_int_equal(hello.group, hello.pid);
	close(socket);
	close(pidfd);
	starter_stop(&starter);
	close(leaked);
}

static void
test_its_end_is_told(void **state)
{
	static const struct {
		char command;
		int status;
	} ends[] = {{'x', 23 << 8}, {'k', SIGKILL}};
	struct starter starter = starter_make(own_path);
	struct starter_event event;
	struct hello hello;
	int socket, pidfd, none;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct pollfd died;

		socket = child_start(&starter, &hello, &pidfd);
		assert_int_equal(send(socket, &ends[i].command, 1, 0), 1);
		event_wait(&starter, &event, &none);
		assert_int_equal(event.type, STARTER_ENDED);
		assert_int_equal(event.pid, hello.pid);
		assert_int_equal(event.status & ~0x80, ends[i].status);
		died = (struct pollfd){.fd = pidfd, .events = POLLIN};
		assert_int_equal(poll(&died, 1, WAIT_MS), 1);
		close(socket);
		close(pidfd);
	}
	starter_stop(&starter);
}

/* A start while one runs replaces it: the old one is dead before the new one begins. */
static void
test_start_replaces(void **state)
{
	struct starter starter = starter_make(own_path);
	struct starter_event event;
	struct hello first, second;
	int sockets[2], pidfds[2], pair[2], none;

	(void)state;
	sockets[0] = child_start(&starter, &first, &pidfds[0]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(starter_start(&starter, pair[1], &reason), 0);
	close(pair[1]);
	sockets[1] = pair[0];
	event_wait(&starter, &event, &none);
	assert_int_equal(event.type, STARTER_ENDED);
	assert_int_equal(event.pid, first.pid);
	assert_int_equal(event.status, SIGKILL);
	event_wait(&starter, &event, &pidfds[1]);
	assert_int_equal(event.type, STARTER_STARTED);
	assert_int_equal(recv(sockets[1], &second, sizeof(second), 0), sizeof(second));
	assert_int_not_equal(second.pid, first.pid);
	starter_stop(&starter);
	assert_true(is_gone(second.pid));
	for (unsigned i = 0; i < 2; i++) {
		close(sockets[i]);
		close(pidfds[i]);
	}
}

static void
test_no_such_program(void **state)
{
	struct starter starter = starter_make("/nonexistent/credgate-dataplane");
	struct starter_event event;
	int pair[2], none;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(starter_start(&starter, pair[1], &reason), 0);
	event_wait(&starter, &event, &none);
	assert_int_equal(event.type, STARTER_FAILED);
	assert_string_equal(
		event.text, "/nonexistent/credgate-dataplane: No such file or directory");
	assert_int_equal(none, -1);
	close(pair[0]);
	close(pair[1]);
	starter_stop(&starter);
}

/* End of file on its socket: it takes its child along. */
static void
test_stop_leaves_nothing(void **state)
{
	struct starter starter = starter_make(own_path);
	pid_t starter_pid = starter.pid;
	struct hello hello;
	int pidfd, socket = child_start(&starter, &hello, &pidfd);

	(void)state;
	assert_true(starter_stop(&starter));
	assert_true(is_gone(starter_pid));
	assert_true(is_gone(hello.pid));
	close(socket);
	close(pidfd);
}

/* A starter that was killed cannot say what became of its child. */
static void
test_stop_without_starter(void **state)
{
	struct starter starter = starter_make(own_path);
	struct hello hello;
	int pidfd, socket = child_start(&starter, &hello, &pidfd);

	(void)state;
	kill(starter.pid, SIGKILL);
	assert_false(starter_stop(&starter));
	kill(hello.pid, SIGKILL);
	close(socket);
	close(pidfd);
}

/* What a terminal or a service manager sends to all is for credgated to answer. */
static void
test_signals_to_all(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
	struct starter starter = starter_make(own_path);
	struct hello hello;
	int pidfd, socket;

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		kill(starter.pid, signals[i]);
	socket = child_start(&starter, &hello, &pidfd);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		kill(starter.pid, signals[i]);
	usleep(50000);
	assert_int_equal(kill(hello.pid, 0), 0);
	assert_int_equal(kill(starter.pid, 0), 0);
	starter_stop(&starter);
	assert_true(is_gone(hello.pid));
	close(socket);
	close(pidfd);
}

/* Nonsense on its socket is as good as end of file. */
static void
test_nonsense_ends_it(void **state)
{
	struct starter starter = starter_make(own_path);
	struct hello hello;
	int pidfd, socket = child_start(&starter, &hello, &pidfd);

	(void)state;
	assert_int_equal(send(starter.fd, "kill -9 1", 9, 0), 9);
	assert_true(is_gone(hello.pid));
	starter_stop(&starter);
	close(socket);
	close(pidfd);
}

/* credgated dies by SIGKILL: neither starter nor dataplane stays. */
static void
test_control_killed(void **state)
{
	int told[2], status;
	pid_t pids[2], control;

	(void)state;
	assert_int_equal(pipe(told), 0);
	control = fork();
	if (control == 0) {
		struct starter starter = starter_make(own_path);
		struct hello hello;
		int pidfd;

		child_start(&starter, &hello, &pidfd);
		pids[0] = starter.pid;
		pids[1] = hello.pid;
		if (write(told[1], pids, sizeof(pids)) != sizeof(pids))
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(told[0], pids, sizeof(pids)), sizeof(pids));
	kill(control, SIGKILL);
	assert_int_equal(waitpid(control, &status, 0), control);
	assert_true(is_gone(pids[1]));
	assert_true(is_gone(pids[0]));
	close(told[0]);
	close(told[1]);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_child_gets),
		cmocka_unit_test(test_its_end_is_told),
		cmocka_unit_test(test_start_replaces),
		cmocka_unit_test(test_no_such_program),
		cmocka_unit_test(test_stop_leaves_nothing),
		cmocka_unit_test(test_stop_without_starter),
		cmocka_unit_test(test_signals_to_all),
		cmocka_unit_test(test_nonsense_ends_it),
		cmocka_unit_test(test_control_killed),
	};

	if (strcmp(argv[0], "credgate-dataplane") == 0)
		child_play(argc, argv);
	if (realpath("/proc/self/exe", own_path) == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

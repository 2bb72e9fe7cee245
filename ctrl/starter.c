/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctrl/passing.h"

#define EXEC_FAILED 127
/* Control died. Not one that a service manager sends to every process of a service. */
#define DEATH_SIGNAL SIGUSR1

/* The child's own state. */
struct child {
	struct starter_config config;
	int socket;
	int signals; /* signalfd of SIGCHLD and DEATH_SIGNAL */
	pid_t dataplane;
};

static void
event_send(const struct child *child, uint32_t type, pid_t pid, int status, int fd)
{
	struct starter_event event = {
		.magic = STARTER_MAGIC,
		.type = type,
		.pid = pid,
		.status = status,
	};

	/* Control that does not listen any more is about to show as end of file. */
	if (passing_send(child->socket, &event, sizeof(event), &fd, fd >= 0) != 0)
		return;
}

static void
failed_send(const struct child *child, const char *what, int error)
{
	struct starter_event event = {
		.magic = STARTER_MAGIC,
		.type = STARTER_FAILED,
		.status = error,
	};

	snprintf(event.text, sizeof(event.text), "%.120s: %s", what, strerror(error));
	if (passing_send(child->socket, &event, sizeof(event), NULL, 0) != 0)
		return;
}

/* ---- the grandchild: becomes the dataplane ---- */

static void
signals_reset(void)
{
	sigset_t none;

	for (int number = 1; number < SIGRTMIN; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Nothing comes along but the standard streams and the set-up socket. */
static int
descriptors_arrange(int setup_fd, int failure_fd, int *moved)
{
	*moved = fcntl(failure_fd, F_DUPFD_CLOEXEC, STARTER_SETUP_FD + 1);
	if (*moved < 0)
		return -1;
	if (setup_fd == STARTER_SETUP_FD) {
		if (fcntl(setup_fd, F_SETFD, 0) < 0)
			return -1;
	} else if (dup2(setup_fd, STARTER_SETUP_FD) < 0) {
		return -1;
	}
	return (int)syscall(SYS_close_range, STARTER_SETUP_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC);
}

static int
input_close(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : dup2(fd, STDIN_FILENO);
}

__attribute__((noreturn)) static void
dataplane_become(const struct child *child, int setup_fd, int failure_fd, pid_t starter)
{
	char setup[16], uid[16], gid[16];
	char *const arguments[] = {(char[]){"credgate-dataplane"}, (char[]){"--setup-fd"}, setup,
		(char[]){"--uid"}, uid, (char[]){"--gid"}, gid, NULL};
	char *const environment[] = {
		(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, (char[]){"LANG=C.UTF-8"}, NULL};
	int error, moved = failure_fd;

	snprintf(setup, sizeof(setup), "%d", STARTER_SETUP_FD);
	snprintf(uid, sizeof(uid), "%u", child->config.uid);
	snprintf(gid, sizeof(gid), "%u", child->config.gid);
	/* Until the dataplane changes its uid; from then on end of file on its socket stops it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signals_reset();
	/* Of its own group: a terminal's interrupt is credgated's to answer. */
	setpgid(0, 0);
	if (getppid() == starter && input_close() == 0 &&
		descriptors_arrange(setup_fd, failure_fd, &moved) == 0)
		execve(child->config.program, arguments, environment);
	error = errno;
	if (write(moved, &error, sizeof(error)) < 0)
		_exit(EXEC_FAILED);
	_exit(EXEC_FAILED);
}

/* ---- the starter's loop ---- */

static int
pidfd_open_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Waits for the dataplane to be executed, or for its errno. */
static int
exec_wait(int failure_fd)
{
	int error = 0;
	ssize_t got;

	do {
		got = read(failure_fd, &error, sizeof(error));
	} while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(error) ? error : 0;
}

static void
dataplane_end(struct child *child)
{
	int status;

	if (child->dataplane <= 0)
		return;
	kill(child->dataplane, SIGKILL);
	while (waitpid(child->dataplane, &status, 0) < 0 && errno == EINTR)
		;
	event_send(child, STARTER_ENDED, child->dataplane, status, -1);
	child->dataplane = 0;
}

static void
dataplane_start(struct child *child, int setup_fd)
{
	pid_t starter = getpid();
	int failure[2], error, pidfd;

	if (pipe2(failure, O_CLOEXEC) != 0) {
		failed_send(child, "pipe", errno);
		return;
	}
	child->dataplane = fork();
	if (child->dataplane == 0)
		dataplane_become(child, setup_fd, failure[1], starter);
	error = child->dataplane < 0 ? errno : 0;
	close(failure[1]);
	if (error == 0)
		error = exec_wait(failure[0]);
	close(failure[0]);
	if (error != 0) {
		if (child->dataplane > 0)
			waitpid(child->dataplane, NULL, 0);
		child->dataplane = 0;
		failed_send(child, child->config.program, error);
		return;
	}
	pidfd = pidfd_open_of(child->dataplane);
	event_send(child, STARTER_STARTED, child->dataplane, 0, pidfd);
	if (pidfd >= 0)
		close(pidfd);
}

static void
dataplane_reap(struct child *child)
{
	int status;

	if (child->dataplane <= 0 || waitpid(child->dataplane, &status, WNOHANG) <= 0)
		return;
	event_send(child, STARTER_ENDED, child->dataplane, status, -1);
	child->dataplane = 0;
}

/* False: control is gone. */
static bool
command_take(struct child *child)
{
	struct starter_start start;
	ssize_t got;
	int fd;

	got = passing_receive(child->socket, &start, sizeof(start), &fd);
	if (got == -EAGAIN || got == -EINTR)
		return true;
	if (got != (ssize_t)sizeof(start) || start.magic != STARTER_MAGIC || fd < 0) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	dataplane_end(child);
	dataplane_start(child, fd);
	close(fd);
	return true;
}

/* False: told to stop. */
static bool
signal_take(struct child *child)
{
	struct signalfd_siginfo info;

	if (read(child->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return true;
	dataplane_reap(child);
	return info.ssi_signo == SIGCHLD;
}

static int
signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, DEATH_SIGNAL);
	/* What a terminal or a service manager sends goes to credgated too, which ends us in its
	 * own order: by closing our socket. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Everything inherited goes, apart from the standard streams and our socket. */
static bool
child_prepare(struct child *child, pid_t control)
{
	if (dup2(child->socket, STARTER_SETUP_FD) < 0)
		return false;
	child->socket = STARTER_SETUP_FD;
	if (syscall(SYS_close_range, STARTER_SETUP_FD + 1, ~0u, 0) != 0 ||
		fcntl(child->socket, F_SETFD, FD_CLOEXEC) != 0)
		return false;
	child->signals = signals_open();
	/* Control's death is end of file as well; the signal is for a socket that leaked. */
	return child->signals >= 0 && prctl(PR_SET_PDEATHSIG, DEATH_SIGNAL) == 0 &&
	       getppid() == control && prctl(PR_SET_NAME, "credgate-start") == 0;
}

__attribute__((noreturn)) static void
child_run(struct child *child, pid_t control)
{
	bool runs = child_prepare(child, control);

	while (runs) {
		struct pollfd wait[] = {
			{.fd = child->socket, .events = POLLIN},
			{.fd = child->signals, .events = POLLIN},
		};

		if (poll(wait, 2, -1) < 0 && errno != EINTR)
			break;
		if (wait[1].revents != 0)
			runs = signal_take(child);
		if (runs && wait[0].revents != 0)
			runs = command_take(child);
	}
	dataplane_end(child);
	_exit(0);
}

/* ---- control's side ---- */

int
starter_fork(struct starter *starter, const struct starter_config *config, struct reason *reason)
{
	struct child child = {.config = *config};
	pid_t control = getpid();
	sigset_t all, mask;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return reason_set(reason, errno, "the starter cannot be made: %s", strerror(errno));
	/* None may reach the child before it has said which it ignores. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	starter->pid = fork();
	if (starter->pid == 0) {
		close(pair[0]);
		child.socket = pair[1];
		child_run(&child, control);
	}
	sigprocmask(SIG_SETMASK, &mask, NULL);
	close(pair[1]);
	if (starter->pid < 0) {
		close(pair[0]);
		return reason_set(reason, errno, "the starter cannot be made: %s", strerror(errno));
	}
	starter->fd = pair[0];
	if (fcntl(starter->fd, F_SETFL, O_NONBLOCK) != 0)
		return reason_set(reason, errno, "the starter's socket: %s", strerror(errno));
	return 0;
}

int
starter_start(struct starter *starter, int setup_fd, struct reason *reason)
{
	const struct starter_start start = {.magic = STARTER_MAGIC};
	int error = passing_send(starter->fd, &start, sizeof(start), &setup_fd, 1);

	if (error != 0)
		return reason_set(reason, -error,
			"the starter does not answer (%s); restart credgated", strerror(-error));
	return 0;
}

int
starter_receive(struct starter *starter, struct starter_event *event, int *pidfd)
{
	ssize_t got = passing_receive(starter->fd, event, sizeof(*event), pidfd);

	if (got == -EAGAIN || got == -EINTR)
		return 0;
	if (got != (ssize_t)sizeof(*event) || event->magic != STARTER_MAGIC) {
		if (*pidfd >= 0)
			close(*pidfd);
		return -EPIPE;
	}
	event->text[sizeof(event->text) - 1] = '\0';
	return 1;
}

bool
starter_stop(struct starter *starter)
{
	int status = -1;

	if (starter->fd >= 0)
		close(starter->fd);
	starter->fd = -1;
	if (starter->pid > 0)
		while (waitpid(starter->pid, &status, 0) < 0 && errno == EINTR)
			;
	starter->pid = 0;
	/* It exits with 0 only once it has reaped what it started. */
	return status == 0;
}

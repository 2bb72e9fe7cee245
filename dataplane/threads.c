/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/threads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX       256u
#define THREADS_WAIT_MS   2000u
#define STATUS_SIZE       4096u
#define CAPABILITIES_NONE "0000000000000000"

struct thread_list {
	unsigned count;
	pid_t tids[THREADS_MAX];
};

static void (*signal_action)(void);
static atomic_uint signal_count;

static void
signal_handle(int number)
{
	int error = errno;

	(void)number;
	signal_action();
	atomic_fetch_add(&signal_count, 1);
	errno = error;
}

/* Reads /proc/self/task again from its start. 0 or -errno. */
static int
list_read(struct thread_list *list, DIR *directory)
{
	struct dirent *entry;

	list->count = 0;
	rewinddir(directory);
	errno = 0;
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (list->count == THREADS_MAX)
			return -E2BIG;
		list->tids[list->count++] = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	return -errno;
}

static bool
list_has(const struct thread_list *list, pid_t tid)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->tids[i] == tid)
			return true;
	return false;
}

/* A real-time signal nobody uses (net_tap takes one for its queues); 0 if there is none. */
static int
signal_find(void)
{
	struct sigaction old;

	for (int number = SIGRTMAX; number >= SIGRTMIN; number--)
		if (sigaction(number, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
			return number;
	return 0;
}

/* Signals every thread that is not in `done`, and waits for them. 0 or -errno. */
static int
list_signal(const struct thread_list *list, const struct thread_list *done, int number)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	unsigned expected = 0;

	atomic_store(&signal_count, 0);
	for (unsigned i = 0; i < list->count; i++)
		if (!list_has(done, list->tids[i]))
			expected += syscall(SYS_tgkill, getpid(), list->tids[i], number) == 0;
	for (unsigned ms = 0; atomic_load(&signal_count) < expected; ms++) {
		if (ms == THREADS_WAIT_MS)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* Until a look finds no thread that was not there before. 0 or -errno. */
static int
rounds_run(DIR *directory, int number)
{
	struct thread_list done = {0}, now;
	bool is_new;
	int status;

	do {
		status = list_read(&now, directory);
		if (status == 0)
			status = list_signal(&now, &done, number);
		if (status < 0)
			return status;
		is_new = false;
		for (unsigned i = 0; i < now.count; i++)
			is_new |= !list_has(&done, now.tids[i]);
		done = now;
	} while (is_new);
	return 0;
}

int
threads_run(void (*action)(void), struct failure *failure)
{
	struct sigaction handler = {.sa_handler = signal_handle, .sa_flags = SA_RESTART}, old;
	DIR *directory = opendir("/proc/self/task");
	int number = signal_find();
	int status = directory && number ? 0 : -ENOENT;

	signal_action = action;
	if (status == 0 && sigaction(number, &handler, &old) < 0)
		status = -errno;
	if (status == 0) {
		status = rounds_run(directory, number);
		sigaction(number, &old, NULL);
	}
	if (directory)
		closedir(directory);
	if (status < 0)
		return failure_set(failure, -status,
			"cannot reach every thread: %s; is /proc mounted?", strerror(-status));
	return 0;
}

struct threads_view {
	DIR *directory;
	struct thread_list list;
	int fds[THREADS_MAX]; /* of each thread's status file; -1: it has ended */
};

struct threads_view *
threads_view_open(struct failure *failure)
{
	struct threads_view *view = calloc(1, sizeof(*view));
	char path[64];

	if (view)
		view->directory = opendir("/proc/self/task");
	if (!view || !view->directory || list_read(&view->list, view->directory) < 0) {
		failure_set(failure, errno ? errno : E2BIG,
			"cannot look at the threads: is /proc mounted?");
		threads_view_close(view);
		return NULL;
	}
	for (unsigned i = 0; i < view->list.count; i++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/status", view->list.tids[i]);
		view->fds[i] = open(path, O_RDONLY | O_CLOEXEC);
	}
	return view;
}

void
threads_view_close(struct threads_view *view)
{
	if (view == NULL)
		return;
	for (unsigned i = 0; view->directory && i < view->list.count; i++)
		if (view->fds[i] >= 0)
			close(view->fds[i]);
	if (view->directory)
		closedir(view->directory);
	free(view);
}

/* Does the text have the line "name:\tvalue"? */
static bool
status_has(const char *text, const char *name, const char *value)
{
	char line[128];

	snprintf(line, sizeof(line), "\n%s:\t%s\n", name, value);
	return strstr(text, line) != NULL;
}

/* The first thing that is not as it must be, or NULL. */
static const char *
status_complain(const char *text, uid_t uid, gid_t gid)
{
	static const char *const capability_sets[] = {"CapInh", "CapPrm", "CapEff", "CapAmb"};
	char ids[64];

	snprintf(ids, sizeof(ids), "%u\t%u\t%u\t%u", uid, uid, uid, uid);
	if (!status_has(text, "Uid", ids))
		return "Uid";
	snprintf(ids, sizeof(ids), "%u\t%u\t%u\t%u", gid, gid, gid, gid);
	if (!status_has(text, "Gid", ids))
		return "Gid";
	for (unsigned i = 0; i < 4; i++)
		if (!status_has(text, capability_sets[i], CAPABILITIES_NONE))
			return capability_sets[i];
	if (!status_has(text, "NoNewPrivs", "1"))
		return "NoNewPrivs";
	return status_has(text, "Seccomp", "2") ? NULL : "Seccomp";
}

/* A thread that ended meanwhile (ESRCH) is no danger. */
static int
thread_check(const struct threads_view *view, unsigned index, uid_t uid, gid_t gid,
	struct failure *failure)
{
	char text[STATUS_SIZE];
	const char *complaint;
	ssize_t size;

	if (view->fds[index] < 0)
		return 0;
	size = pread(view->fds[index], text, sizeof(text) - 1, 0);
	if (size < 0 && errno == ESRCH)
		return 0;
	text[size < 0 ? 0 : size] = '\0';
	complaint = status_complain(text, uid, gid);
	if (complaint)
		return failure_set(failure, EPERM,
			"thread %d kept privileges: %s is not as it must be; not safe to run",
			view->list.tids[index], complaint);
	return 0;
}

int
threads_view_check(struct threads_view *view, uid_t uid, gid_t gid, struct failure *failure)
{
	struct thread_list now;
	int status = list_read(&now, view->directory);

	if (status < 0)
		return failure_set(failure, -status, "cannot look at the threads again");
	for (unsigned i = 0; i < now.count; i++)
		if (!list_has(&view->list, now.tids[i]))
			return failure_set(failure, EAGAIN,
				"thread %d began while privileges were dropped; start again",
				now.tids[i]);
	for (unsigned i = 0; i < view->list.count && status == 0; i++)
		status = thread_check(view, i, uid, gid, failure);
	return status;
}

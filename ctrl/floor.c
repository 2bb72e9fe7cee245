/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/floor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Twenty digits and a newline, the run's number and a newline: written over in place, it needs no
 * room on a full disk. Files of the time before runs had numbers end after the first line.
 */
#define STAMP_SIZE 21
#define RUN_DIGITS (FLOOR_RUN_SIZE - 1)
#define FILE_SIZE  (STAMP_SIZE + FLOOR_RUN_SIZE)

struct floor {
	int fd;
	uint64_t stamp_us; /* 0: there was none */
	char run[FLOOR_RUN_SIZE];
};

static bool
is_stamp(const char *text, size_t size)
{
	if (size != STAMP_SIZE && size != FILE_SIZE)
		return false;
	if (strspn(text, "0123456789") != STAMP_SIZE - 1 || text[STAMP_SIZE - 1] != '\n')
		return false;
	return size == STAMP_SIZE || (strspn(text + STAMP_SIZE, "0123456789abcdef") == RUN_DIGITS &&
					     text[FILE_SIZE - 1] == '\n');
}

static int
stamp_read(struct floor *floor, const char *path, struct reason *reason)
{
	char text[FILE_SIZE + 2] = "";
	ssize_t got = pread(floor->fd, text, FILE_SIZE + 1, 0);

	if (got < 0)
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	if (got == 0)
		return 0;
	if (!is_stamp(text, (size_t)got))
		return reason_set(reason, EBADMSG,
			"%s is damaged; if the clock of this machine is right, remove it", path);
	floor->stamp_us = strtoull(text, NULL, 10);
	if (got == FILE_SIZE)
		memcpy(floor->run, text + STAMP_SIZE, RUN_DIGITS);
	return 0;
}

static int
file_open(struct floor *floor, const char *path, struct reason *reason)
{
	struct stat st;

	floor->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (floor->fd < 0 || fstat(floor->fd, &st) != 0)
		return reason_set(
			reason, errno, "%s: %s; check owner and disk", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid())
		return reason_set(reason, EPERM, "%s must be a regular file of uid %u; chown it",
			path, geteuid());
	return stamp_read(floor, path, reason);
}

struct floor *
floor_open(const char *dir, struct reason *reason)
{
	struct floor *floor = calloc(1, sizeof(*floor));
	char path[PATH_MAX];

	if (floor == NULL) {
		reason_set(reason, ENOMEM, "no memory for the time stamp");
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/clock", dir);
	if (file_open(floor, path, reason) == 0)
		return floor;
	floor_close(floor);
	return NULL;
}

void
floor_close(struct floor *floor)
{
	if (floor == NULL)
		return;
	if (floor->fd >= 0)
		close(floor->fd);
	free(floor);
}

uint64_t
floor_us(const struct floor *floor, uint64_t now_us, uint64_t skew_us)
{
	uint64_t remembered_us = floor->stamp_us != 0 ? floor->stamp_us + FLOOR_MARGIN_US : 0;

	return (now_us > remembered_us ? now_us : remembered_us) + skew_us;
}

uint64_t
floor_ahead_us(const struct floor *floor, uint64_t now_us)
{
	return floor->stamp_us > now_us + FLOOR_AHEAD_US ? floor->stamp_us : 0;
}

const char *
floor_run(const struct floor *floor)
{
	return floor->run;
}

static int
file_write(struct floor *floor, uint64_t stamp_us, const char *run, struct reason *reason)
{
	char text[FILE_SIZE + 1];
	int size;

	size = snprintf(text, sizeof(text), "%020" PRIu64 "\n%s%s", stamp_us, run,
		run[0] != '\0' ? "\n" : "");
	errno = 0;
	if (pwrite(floor->fd, text, (size_t)size, 0) != size || fdatasync(floor->fd) != 0)
		return reason_set(reason, errno != 0 ? errno : EIO,
			"the time stamp cannot be written: %s; check the disk", strerror(errno));
	floor->stamp_us = stamp_us;
	return 0;
}

/* A clock that was set back must not take the memory of later times with it. */
static uint64_t
later(const struct floor *floor, uint64_t now_us)
{
	return now_us > floor->stamp_us ? now_us : floor->stamp_us;
}

int
floor_run_begin(struct floor *floor, uint64_t now_us, struct reason *reason)
{
	uint8_t bytes[RUN_DIGITS / 2];
	char run[FLOOR_RUN_SIZE];
	int error;

	randombytes_buf(bytes, sizeof(bytes));
	sodium_bin2hex(run, sizeof(run), bytes, sizeof(bytes));
	error = file_write(floor, later(floor, now_us), run, reason);
	if (error == 0)
		memcpy(floor->run, run, sizeof(run));
	return error;
}

int
floor_stamp(struct floor *floor, uint64_t now_us, struct reason *reason)
{
	return file_write(floor, later(floor, now_us), floor->run, reason);
}

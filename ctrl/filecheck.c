/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/filecheck.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/durable.h"

int
filecheck_stat(const struct stat *st, uid_t owner, size_t size_max, char text[FILECHECK_TEXT_SIZE])
{
	if (!S_ISREG(st->st_mode)) {
		snprintf(text, FILECHECK_TEXT_SIZE, "is not a regular file; name a file");
		return -EINVAL;
	}
	if (st->st_uid != 0 && st->st_uid != owner) {
		snprintf(text, FILECHECK_TEXT_SIZE, "belongs to uid %u; chown it to root or uid %u",
			st->st_uid, owner);
		return -EPERM;
	}
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		snprintf(text, FILECHECK_TEXT_SIZE, "others may write it (mode %04o); chmod go-w",
			st->st_mode & 07777);
		return -EPERM;
	}
	if (st->st_size > (off_t)size_max) {
		snprintf(text, FILECHECK_TEXT_SIZE,
			"is larger than %zu bytes; is it the right file?", size_max);
		return -EFBIG;
	}
	return 0;
}

/* All of a file that was `size` bytes when it was looked at. */
static int
bytes_read(const char *path, int fd, size_t size, char **bytes, size_t *got, struct reason *reason)
{
	ssize_t length;

	*bytes = malloc(size + 1);
	if (*bytes == NULL)
		return reason_set(reason, ENOMEM, "%s: no memory to read it", path);
	length = read(fd, *bytes, size);
	if (length < 0) {
		free(*bytes);
		*bytes = NULL;
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	}
	(*bytes)[length] = '\0';
	*got = (size_t)length;
	return 0;
}

int
filecheck_read(const char *path, uid_t owner, size_t size_max, char **bytes, size_t *size,
	struct reason *reason)
{
	char text[FILECHECK_TEXT_SIZE];
	struct stat st;
	int fd, error;

	*bytes = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return reason_set(
			reason, errno, "%s: %s; check name and permissions", path, strerror(errno));
	if (fstat(fd, &st) != 0) {
		error = reason_set(reason, errno, "%s: %s", path, strerror(errno));
	} else {
		error = filecheck_stat(&st, owner, size_max, text);
		if (error != 0)
			reason_set(reason, -error, "%s: %s", path, text);
		else
			error = bytes_read(path, fd, (size_t)st.st_size, bytes, size, reason);
	}
	close(fd);
	return error;
}

/* ---- writing ---- */

static int
bytes_write(int fd, const void *bytes, size_t size)
{
	ssize_t written;

	errno = ENOSPC;
	written = write(fd, bytes, size);
	return written == (ssize_t)size && fsync(fd) == 0 ? 0 : -errno;
}

int
filecheck_replace(const char *path, const void *bytes, size_t size, struct reason *reason)
{
	char temporary[PATH_MAX];
	int fd, error;

	snprintf(temporary, sizeof(temporary), "%.4000s.new", path);
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	error = fd >= 0 ? bytes_write(fd, bytes, size) : -errno;
	if (fd >= 0)
		close(fd);
	if (error == 0 && rename(temporary, path) != 0)
		error = -errno;
	if (error == 0)
		error = durable_name(path);
	if (error == 0)
		return 0;
	unlink(temporary);
	return reason_set(
		reason, -error, "%s cannot be written: %s; check the disk", path, strerror(-error));
}

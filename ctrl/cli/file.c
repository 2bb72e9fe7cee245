/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/durable.h"

#include "ctrl/cli/file.h"

int
file_read(const char *path, void *buffer, size_t room, size_t *size)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	int status = 0;
	ssize_t n;
	char more;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, used < room ? (char *)buffer + used : &more,
			used < room ? room - used : 1);
		if (n > 0 && used == room)
			status = -EFBIG;
		else if (n < 0 && errno != EINTR)
			status = -errno;
		else if (n > 0)
			used += (size_t)n;
	} while (status == 0 && n != 0);
	close(fd);
	*size = used;
	return status;
}

int
file_write(int fd, const void *bytes, size_t size)
{
	size_t done;
	ssize_t n;

	for (done = 0; done<size; done += n> 0 ? (size_t)n : 0) {
		n = write(fd, (const char *)bytes + done, size - done);
		if (n < 0 && errno != EINTR)
			return -errno;
	}
	return 0;
}

/* The directory a path is in: everything up to the last slash, or ".". */
static int
parent_of(const char *path, char parent[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t size = slash ? (size_t)(slash - path) : 0;

	if (size >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(parent, path, size);
	parent[size] = '\0';
	if (size == 0)
		memcpy(parent, slash ? "/" : ".", sizeof("/"));
	return 0;
}

int
file_sync_parent(const char *path)
{
	char parent[PATH_MAX];
	int status = parent_of(path, parent);

	return status ? status : durable_dir(parent);
}

static int
fill(int fd, const void *bytes, size_t size)
{
	int status;

	/* Whoever umask favours, and before there is anything to read. */
	if (fchmod(fd, 0600) != 0)
		return -errno;
	status = file_write(fd, bytes, size);
	if (status)
		return status;
	return fsync(fd) == 0 ? 0 : -errno;
}

int
file_create(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600), status;

	if (fd < 0)
		return -errno;
	status = fill(fd, bytes, size);
	close(fd);
	if (status == 0)
		status = file_sync_parent(path);
	if (status)
		unlink(path);
	return status;
}

int
file_make_parents(const char *path, uid_t uid, gid_t gid)
{
	char parent[PATH_MAX];
	int status = parent_of(path, parent);

	if (status || strcmp(parent, "/") == 0 || access(parent, F_OK) == 0)
		return status;
	status = file_make_parents(parent, uid, gid);
	if (status)
		return status;
	if (mkdir(parent, 0700) != 0)
		return errno == EEXIST ? 0 : -errno;
	if ((uid != (uid_t)-1 || gid != (gid_t)-1) && lchown(parent, uid, gid) != 0)
		return -errno;
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
durable_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd) != 0)
		error = -errno;
	close(fd);
	return error;
}

int
durable_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];

	if (slash == NULL)
		return durable_dir(".");
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path + 1), path);
	return durable_dir(dir);
}

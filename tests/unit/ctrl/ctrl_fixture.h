/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What tests of credgated share: cmocka, a directory of their own, files in it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the harness answers for "cannot be tried here". */
#define FIXTURE_SKIP 77

static char fixture_dir[64];

static inline int
fixture_setup(void **state)
{
	(void)state;
	snprintf(fixture_dir, sizeof(fixture_dir), "/tmp/credgate-test-XXXXXX");
	return mkdtemp(fixture_dir) != NULL ? 0 : -1;
}

static inline int
fixture_teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", fixture_dir);
	return system(command);
}

/* A path in the directory; good until the fourth call after. */
static inline const char *
fixture_path(const char *name)
{
	static char paths[4][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, PATH_MAX, "%s/%s", fixture_dir, name);
	return path;
}

static inline const char *
fixture_write(const char *name, const void *bytes, size_t size, mode_t mode)
{
	const char *path = fixture_path(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static inline const char *
fixture_write_text(const char *name, const char *text)
{
	return fixture_write(name, text, strlen(text), 0644);
}

/* The whole file as text. */
static inline char *
fixture_read(const char *name)
{
	FILE *file = fopen(fixture_path(name), "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(file);
	assert_non_null(text);
	text[fread(text, 1, (1 << 20) - 1, file)] = '\0';
	fclose(file);
	return text;
}

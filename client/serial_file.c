/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/serial_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/error_priv.h"

/* Somebody may remove the file between two looks of ours; not for ever. */
#define OPEN_ROUNDS_MAX 10u

struct boot_id {
	uint64_t words[2];
};

/* ---- boot id ---- */

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hex digits with dashes somewhere, up to the end of the line. */
static bool
boot_id_parse(struct boot_id *id, const char *text)
{
	unsigned digits = 0;

	*id = (struct boot_id){{0, 0}};
	for (; *text != '\0' && *text != '\n'; text++) {
		int digit = hex_digit(*text);

		if (*text == '-')
			continue;
		if (digit < 0 || digits == 32)
			return false;
		id->words[digits / 16] = id->words[digits / 16] << 4 | (unsigned)digit;
		digits++;
	}
	return digits == 32;
}

static int
boot_id_read(struct boot_id *id, const char *path)
{
	char text[64] = "";
	ssize_t size;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return client_fail(
			errno, "%s: %m; serials could repeat without it: mount /proc", path);
	size = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (size <= 0 || !boot_id_parse(id, text))
		return client_fail(EBADMSG, "%s: holds no boot id", path);
	return 0;
}

static bool
boot_id_is_in(const struct boot_id *id, const struct serial_state *state)
{
	return atomic_load(&state->boot_id[0]) == id->words[0] &&
	       atomic_load(&state->boot_id[1]) == id->words[1];
}

/* ---- making the file ---- */

/* Writes the whole first state to a file that nobody else knows yet, and syncs it. */
static int
file_fill(int fd, uid_t uid, gid_t gid, const struct boot_id *id)
{
	const uint64_t first = serial_clock_first();
	union {
		uint8_t bytes[SERIAL_FILE_SIZE];
		struct serial_state state;
	} page = {.bytes = {0}};

	page.state = (struct serial_state){
		.magic = SERIAL_MAGIC,
		.version = SERIAL_VERSION,
		.size = SERIAL_FILE_SIZE,
		.boot_id = {id->words[0], id->words[1]},
		.durable = serial_guard((uint32_t)(first >> 32)),
		.current = serial_guard((uint32_t)(first >> 32)),
		.next = first,
		.limit = first,
	};
	errno = ENOSPC;
	if (write(fd, &page, sizeof(page)) != (ssize_t)sizeof(page))
		return -errno;
	if (geteuid() != uid && fchown(fd, uid, gid) != 0)
		return -errno;
	return fsync(fd) != 0 ? -errno : 0;
}

/* The name of a file is durable when its directory is. */
static int
directory_sync(const char *path)
{
	char copy[PATH_MAX];
	int fd, rc;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = fsync(fd) != 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* Gives a complete file its name, unless another process was faster. */
static int
file_link(const char *made, const char *path)
{
	if (link(made, path) == 0)
		return directory_sync(path);
	return errno == EEXIST ? 0 : -errno;
}

static int
file_make(const char *path, uid_t uid, gid_t gid, const struct boot_id *id)
{
	char made[PATH_MAX];
	int fd, rc;

	if (snprintf(made, sizeof(made), "%s.XXXXXX", path) >= (int)sizeof(made))
		return -ENAMETOOLONG;
	fd = mkostemp(made, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = file_fill(fd, uid, gid, id);
	close(fd);
	if (rc == 0)
		rc = file_link(made, path);
	unlink(made);
	return rc;
}

/* A descriptor of the file, which is made if it is not there. */
static int
file_open(const char *path, uid_t uid, gid_t gid, const struct boot_id *id)
{
	unsigned round;
	int fd, rc;

	for (round = 0; round < OPEN_ROUNDS_MAX; round++) {
		fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno == ELOOP)
			return client_fail(ELOOP, "%s: is a symbolic link, which is refused", path);
		if (errno != ENOENT)
			return client_fail(errno,
				"%s: cannot be opened for writing: %m; serials would repeat "
				"without it: issue as the owner of the key file, where it is "
				"writable",
				path);
		rc = file_make(path, uid, gid, id);
		if (rc != 0)
			return client_fail(-rc,
				"%s: cannot be made: %s; serials would repeat without it: keep the "
				"key file in a directory that its owner may write",
				path, strerror(-rc));
	}
	return client_fail(EAGAIN, "%s: somebody keeps removing it", path);
}

/* ---- judging the file ---- */

static int
file_check(int fd, const char *path, uid_t uid)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return client_fail(errno, "%s: %m", path);
	if (!S_ISREG(st.st_mode))
		return client_fail(EINVAL, "%s: is not a regular file", path);
	if ((st.st_mode & 077) != 0)
		return client_fail(
			EPERM, "%s: mode %03o lets others in: chmod 600", path, st.st_mode & 0777);
	if (st.st_uid != uid)
		return client_fail(EPERM,
			"%s: belongs to uid %u, the key file to uid %u: chown one of them", path,
			st.st_uid, uid);
	if (st.st_size != SERIAL_FILE_SIZE)
		return client_fail(EBADMSG,
			"%s: is damaged: %lld bytes instead of %u; " SERIAL_CURE, path,
			(long long)st.st_size, SERIAL_FILE_SIZE);
	return 0;
}

static bool
guarded_is_good(uint64_t guarded)
{
	uint32_t incarnation = serial_incarnation(guarded);

	return serial_guard(incarnation) == guarded && incarnation != 0 &&
	       incarnation <= SERIAL_INCARNATION_MAX;
}

/*
 * Implementation notes. Others may draw while we look, so the words are loaded in the order in
 * which they may run ahead of each other: current <= next's half <= durable + 1, and limit's half
 * <= durable + 1. The low halves may be anything (serial_priv.h).
 */
static bool
state_is_good(const struct serial_state *state)
{
	uint64_t current = atomic_load(&state->current);
	uint64_t next = atomic_load(&state->next);
	uint64_t limit = atomic_load(&state->limit);
	uint64_t durable = atomic_load(&state->durable);
	uint64_t highest = (uint64_t)serial_incarnation(durable) + 1;

	return state->magic == SERIAL_MAGIC && state->version == SERIAL_VERSION &&
	       state->size == SERIAL_FILE_SIZE && guarded_is_good(current) &&
	       guarded_is_good(durable) && serial_incarnation(current) <= next >> 32 &&
	       next >> 32 <= highest && limit >> 32 <= highest;
}

static int
state_map(struct serial_file *file, const char *path)
{
	void *mapping =
		mmap(NULL, SERIAL_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, 0);

	if (mapping == MAP_FAILED)
		return client_fail(errno, "%s: cannot be mapped: %m", path);
	file->state = mapping;
	if (!state_is_good(file->state)) {
		munmap(mapping, SERIAL_FILE_SIZE);
		return client_fail(EBADMSG, "%s: is damaged; " SERIAL_CURE, path);
	}
	return 0;
}

/* A new boot: what was drawn last may not have reached the disk, so draw from above it all. */
static int
state_renew(struct serial_file *file, const struct boot_id *id)
{
	struct serial_state *state = file->state;
	int rc;

	if (boot_id_is_in(id, state))
		return 0;
	rc = serial_advance(
		file, serial_incarnation_after(serial_incarnation(atomic_load(&state->durable))));
	if (rc != 0)
		return rc;
	atomic_store(&state->boot_id[0], id->words[0]);
	atomic_store(&state->boot_id[1], id->words[1]);
	return 0;
}

/* Under the lock, so that of all who start after a boot only one takes a new incarnation. */
static int
state_open(struct serial_file *file, const char *path, const struct boot_id *id)
{
	int rc;

	while (flock(file->fd, LOCK_EX) != 0) {
		if (errno != EINTR)
			return client_fail(errno, "%s: cannot be locked: %m", path);
	}
	rc = state_map(file, path);
	if (rc == 0) {
		serial_resume(file->state);
		rc = state_renew(file, id);
		if (rc != 0)
			munmap(file->state, SERIAL_FILE_SIZE);
	}
	flock(file->fd, LOCK_UN);
	return rc;
}

int
serial_open(
	struct serial_file *file, const char *path, uid_t uid, gid_t gid, const char *boot_id_path)
{
	struct boot_id id;
	int rc = boot_id_read(&id, boot_id_path);

	if (rc != 0)
		return rc;
	file->fd = file_open(path, uid, gid, &id);
	if (file->fd < 0)
		return file->fd;
	rc = file_check(file->fd, path, uid);
	if (rc == 0)
		rc = state_open(file, path, &id);
	if (rc != 0)
		close(file->fd);
	return rc;
}

void
serial_close(struct serial_file *file)
{
	serial_rest(file->state);
	munmap(file->state, SERIAL_FILE_SIZE);
	close(file->fd);
}

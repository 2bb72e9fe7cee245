/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/highwater.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/durable.h"

#define LINE_SIZE   64
#define ENTRIES_MIN 1024u

/* One node, in an open-addressing table of a power of two entries, at most half full. */
struct entry {
	uint32_t realm; /* 0: free */
	uint32_t node;
	struct highwater_mark mark;
};

struct highwater {
	int fd; /* -1: there is no file */
	char *path;
	uint64_t size; /* of the whole lines */
	struct entry *entries;
	uint32_t capacity;
	uint32_t count;
	/* How it was before the last append. */
	struct entry *before;
	size_t before_count;
	uint64_t before_size;
};

static uint32_t
entry_start(uint32_t realm, uint32_t node, uint32_t capacity)
{
	uint64_t hash = ((uint64_t)realm << 32 | node) * 0x9e3779b97f4a7c15ull;

	return (uint32_t)(hash >> 32) & (capacity - 1);
}

/* The node's entry, or the free one where it would go. */
static struct entry *
entry_find(struct entry *entries, uint32_t capacity, uint32_t realm, uint32_t node)
{
	uint32_t i = entry_start(realm, node, capacity);

	while (entries[i].realm != 0 && (entries[i].realm != realm || entries[i].node != node))
		i = (i + 1) & (capacity - 1);
	return &entries[i];
}

static int
entries_grow(struct highwater *highwater)
{
	uint32_t capacity = highwater->capacity * 2;
	struct entry *entries = calloc(capacity, sizeof(*entries));

	if (entries == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < highwater->capacity; i++) {
		const struct entry *old = &highwater->entries[i];

		if (old->realm != 0)
			*entry_find(entries, capacity, old->realm, old->node) = *old;
	}
	free(highwater->entries);
	highwater->entries = entries;
	highwater->capacity = capacity;
	return 0;
}

/* The node's entry, made if it is not there; NULL without memory. */
static struct entry *
entry_take(struct highwater *highwater, uint32_t realm, uint32_t node)
{
	struct entry *entry;

	if (highwater->count * 2 >= highwater->capacity && entries_grow(highwater) != 0)
		return NULL;
	entry = entry_find(highwater->entries, highwater->capacity, realm, node);
	if (entry->realm == 0) {
		entry->realm = realm;
		entry->node = node;
		highwater->count++;
	}
	return entry;
}

static void
mark_raise(struct highwater_mark *mark, uint16_t epoch, bool is_closed)
{
	if (epoch > mark->highest)
		mark->highest = epoch;
	if (is_closed && epoch > mark->closed)
		mark->closed = epoch;
}

/* One whole line; false if it is not one of ours. */
static bool
line_parse(struct highwater *highwater, const char *line)
{
	uint32_t realm, node, epoch;
	struct entry *entry;
	int end = 0;

	if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32 "%n", &realm, &node, &epoch, &end) !=
			3 ||
		realm == 0 || node == 0 || epoch == 0 || epoch > UINT16_MAX)
		return false;
	if (strcmp(line + end, "\n") != 0 && strcmp(line + end, " closed\n") != 0)
		return false;
	entry = entry_take(highwater, realm, node);
	if (entry == NULL)
		return false;
	mark_raise(&entry->mark, (uint16_t)epoch, line[end] == ' ');
	return true;
}

static int
lines_read(struct highwater *highwater, const char *path, struct reason *reason)
{
	char line[LINE_SIZE];
	unsigned number = 0;
	FILE *file;
	int fd, error = 0;

	fd = dup(highwater->fd);
	file = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (file == NULL)
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	while (error == 0 && fgets(line, sizeof(line), file) != NULL) {
		number++;
		if (strchr(line, '\n') == NULL && feof(file))
			break; /* torn: its epoch was never used */
		if (line_parse(highwater, line))
			highwater->size += strlen(line);
		else
			error = reason_set(reason, EBADMSG,
				"%s:%u is damaged; restore the newest copy, or remove the line if "
				"you are "
				"sure what it said",
				path, number);
	}
	if (error == 0 && ferror(file))
		error = reason_set(reason, EIO, "%s cannot be read; check the disk", path);
	fclose(file);
	return error;
}

static int
file_check(int fd, const char *path, struct reason *reason)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		(st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return reason_set(reason, EPERM,
			"%s must be a regular file of uid %u that nobody else may write; chown and "
			"chmod 0600",
			path, geteuid());
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return reason_set(reason, EBUSY,
			"%s is locked: another credgated uses this state directory; stop it first",
			path);
	return 0;
}

static int
file_open(struct highwater *highwater, int more_flags, struct reason *reason)
{
	const int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY;

	highwater->fd = open(highwater->path, flags | more_flags, 0600);
	if (highwater->fd < 0)
		return reason_set(reason, errno, "%s: %s; check owner and disk", highwater->path,
			strerror(errno));
	return file_check(highwater->fd, highwater->path, reason);
}

static int
file_read(struct highwater *highwater, struct reason *reason)
{
	int error = file_open(highwater, 0, reason);

	if (error == 0)
		error = lines_read(highwater, highwater->path, reason);
	if (error == 0 && ftruncate(highwater->fd, (off_t)highwater->size) != 0)
		error = reason_set(reason, errno, "%s: a torn last line cannot be cut off: %s",
			highwater->path, strerror(errno));
	return error == -ENOENT ? 0 : error;
}

struct highwater *
highwater_open(const char *path, struct reason *reason)
{
	struct highwater *highwater = calloc(1, sizeof(*highwater));

	if (highwater == NULL) {
		reason_set(reason, ENOMEM, "no memory for %s", path);
		return NULL;
	}
	highwater->fd = -1;
	highwater->path = strdup(path);
	highwater->capacity = ENTRIES_MIN;
	highwater->entries = calloc(ENTRIES_MIN, sizeof(*highwater->entries));
	if (highwater->path == NULL || highwater->entries == NULL) {
		reason_set(reason, ENOMEM, "no memory for %s", path);
		goto err;
	}
	if (file_read(highwater, reason) != 0)
		goto err;
	return highwater;

err:
	highwater_close(highwater);
	return NULL;
}

int
highwater_create(struct highwater *highwater, struct reason *reason)
{
	int error = file_open(highwater, O_CREAT | O_EXCL, reason);

	if (error == 0) /* the name of a new file must be as durable as its lines */
		durable_name(highwater->path);
	return error;
}

void
highwater_close(struct highwater *highwater)
{
	if (highwater == NULL)
		return;
	if (highwater->fd >= 0)
		close(highwater->fd);
	free(highwater->before);
	free(highwater->entries);
	free(highwater->path);
	free(highwater);
}

bool
highwater_is_new(const struct highwater *highwater)
{
	return highwater->fd < 0;
}

bool
highwater_is_empty(const struct highwater *highwater)
{
	return highwater->count == 0;
}

struct highwater_mark
highwater_find(const struct highwater *highwater, uint32_t realm, uint32_t node)
{
	return entry_find(highwater->entries, highwater->capacity, realm, node)->mark;
}

bool
highwater_has_realm(const struct highwater *highwater, uint32_t realm)
{
	for (uint32_t i = 0; i < highwater->capacity; i++)
		if (highwater->entries[i].realm == realm)
			return true;
	return false;
}

/* ---- appending ---- */

static int
bytes_write(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -ENOSPC;
		bytes += written;
		size -= (size_t)written;
	}
	return 0;
}

/* Lines that did not get to the disk in full are taken back, so that the next ones start clean. */
static int
lines_write(struct highwater *highwater, const char *lines, size_t size, struct reason *reason)
{
	int error = bytes_write(highwater->fd, lines, size);

	if (error == 0 && fdatasync(highwater->fd) != 0)
		error = -errno;
	if (error == 0) {
		highwater->size += size;
		return 0;
	}
	if (ftruncate(highwater->fd, (off_t)highwater->size) != 0)
		error = -EIO;
	return reason_set(reason, -error,
		"the high-water file cannot be extended: %s; nothing was changed, make room on the "
		"disk and ask again",
		strerror(-error));
}

/* What the file lacks of `lines`, as text; its size. Entries are made, so that raising cannot fail. */
static int
lines_format(struct highwater *highwater, const struct highwater_line *lines, size_t count,
	char *text, size_t *size)
{
	*size = 0;
	for (size_t i = 0; i < count; i++) {
		const struct highwater_line *line = &lines[i];
		const struct entry *entry = entry_take(highwater, line->realm, line->node);

		if (entry == NULL)
			return -ENOMEM;
		if (line->is_closed ? entry->mark.closed >= line->epoch
				    : entry->mark.highest >= line->epoch)
			continue;
		*size += (size_t)snprintf(text + *size, LINE_SIZE, "%u %u %u%s\n", line->realm,
			line->node, line->epoch, line->is_closed ? " closed" : "");
	}
	return 0;
}

/* Keeps the marks of the nodes that `lines` are about; their entries are there. */
static int
before_keep(struct highwater *highwater, const struct highwater_line *lines, size_t count)
{
	struct entry *before = calloc(count + 1, sizeof(*before));

	if (before == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		before[i] = *entry_find(
			highwater->entries, highwater->capacity, lines[i].realm, lines[i].node);
	free(highwater->before);
	highwater->before = before;
	highwater->before_count = count;
	highwater->before_size = highwater->size;
	return 0;
}

int
highwater_take_back(struct highwater *highwater)
{
	if (ftruncate(highwater->fd, (off_t)highwater->before_size) != 0 ||
		fdatasync(highwater->fd) != 0)
		return -errno;
	highwater->size = highwater->before_size;
	for (size_t i = 0; i < highwater->before_count; i++) {
		const struct entry *before = &highwater->before[i];

		entry_find(highwater->entries, highwater->capacity, before->realm, before->node)
			->mark = before->mark;
	}
	highwater->before_count = 0;
	return 0;
}

int
highwater_append(struct highwater *highwater, const struct highwater_line *lines, size_t count,
	struct reason *reason)
{
	char *text = malloc(count * LINE_SIZE + 1);
	size_t size;
	int error;

	if (text == NULL || lines_format(highwater, lines, count, text, &size) != 0 ||
		before_keep(highwater, lines, count) != 0) {
		free(text);
		return reason_set(reason, ENOMEM, "no memory for the high-water file");
	}
	error = size > 0 ? lines_write(highwater, text, size, reason) : 0;
	for (size_t i = 0; error == 0 && i < count; i++) {
		struct entry *entry = entry_take(highwater, lines[i].realm, lines[i].node);

		if (entry != NULL)
			mark_raise(&entry->mark, lines[i].epoch, lines[i].is_closed);
	}
	free(text);
	return error;
}

int
highwater_use(struct highwater *highwater, uint32_t realm, uint32_t node, uint16_t epoch,
	struct reason *reason)
{
	const struct highwater_line line = {realm, node, epoch, false};

	return highwater_append(highwater, &line, 1, reason);
}

int
highwater_shut(struct highwater *highwater, uint32_t realm, uint32_t node, uint16_t epoch,
	struct reason *reason)
{
	const struct highwater_line line = {realm, node, epoch, true};

	return highwater_append(highwater, &line, 1, reason);
}

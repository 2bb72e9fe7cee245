/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/serials.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/cred.h"

#define ENTRIES_MIN 256u
#define LINE_SIZE   64

/* One node, in an open-addressing table of a power of two entries, at most half full. */
struct entry {
	uint32_t realm; /* 0: free */
	uint32_t node;
	uint64_t ceiling;
};

struct serials {
	int dir_fd;
	struct entry *entries;
	uint32_t capacity;
	uint32_t count;
	bool is_dirty;
};

static struct entry *
entry_find(struct entry *entries, uint32_t capacity, uint32_t realm, uint32_t node)
{
	uint64_t hash = ((uint64_t)realm << 32 | node) * 0x9e3779b97f4a7c15ull;
	uint32_t i = (uint32_t)(hash >> 32) & (capacity - 1);

	while (entries[i].realm != 0 && (entries[i].realm != realm || entries[i].node != node))
		i = (i + 1) & (capacity - 1);
	return &entries[i];
}

static int
entries_grow(struct serials *serials)
{
	uint32_t capacity = serials->capacity * 2;
	struct entry *entries = calloc(capacity, sizeof(*entries));

	if (entries == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < serials->capacity; i++)
		if (serials->entries[i].realm != 0)
			*entry_find(entries, capacity, serials->entries[i].realm,
				serials->entries[i].node) = serials->entries[i];
	free(serials->entries);
	serials->entries = entries;
	serials->capacity = capacity;
	return 0;
}

static int
ceiling_raise(struct serials *serials, uint32_t realm, uint32_t node, uint64_t ceiling)
{
	struct entry *entry;

	if (serials->count * 2 >= serials->capacity && entries_grow(serials) != 0)
		return -ENOMEM;
	entry = entry_find(serials->entries, serials->capacity, realm, node);
	serials->count += entry->realm == 0;
	entry->realm = realm;
	entry->node = node;
	if (ceiling > entry->ceiling)
		entry->ceiling = ceiling;
	return 0;
}

static int
lines_read(struct serials *serials, FILE *file, const char *path, struct reason *reason)
{
	char line[LINE_SIZE];
	unsigned number = 0;
	uint32_t realm, node;
	uint64_t ceiling;
	int end;

	while (fgets(line, sizeof(line), file) != NULL) {
		number++;
		end = 0;
		if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu64 "%n", &realm, &node, &ceiling,
			    &end) != 3 ||
			strcmp(line + end, "\n") != 0 || realm == 0 || node == 0)
			return reason_set(reason, EBADMSG,
				"%s:%u is damaged; restore the newest copy: without it replays of "
				"serial-mode nodes cannot be told",
				path, number);
		if (ceiling_raise(serials, realm, node, ceiling) != 0)
			return reason_set(reason, ENOMEM, "no memory for %s", path);
	}
	if (ferror(file))
		return reason_set(reason, EIO, "%s cannot be read; check the disk", path);
	return 0;
}

static int
file_read(struct serials *serials, const char *path, struct reason *reason)
{
	int fd = openat(serials->dir_fd, "serials", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	FILE *file;
	int error;

	if (fd < 0 && errno == ENOENT)
		return 0;
	file = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (file == NULL)
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
		error = reason_set(reason, EPERM, "%s must be a regular file of uid %u; chown it",
			path, geteuid());
	else
		error = lines_read(serials, file, path, reason);
	fclose(file);
	return error;
}

struct serials *
serials_open(const char *dir, struct reason *reason)
{
	struct serials *serials = calloc(1, sizeof(*serials));
	char path[PATH_MAX];

	if (serials == NULL) {
		reason_set(reason, ENOMEM, "no memory for serial ceilings");
		return NULL;
	}
	snprintf(path, sizeof(path), "%s/serials", dir);
	serials->capacity = ENTRIES_MIN;
	serials->entries = calloc(ENTRIES_MIN, sizeof(*serials->entries));
	serials->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (serials->dir_fd < 0 || serials->entries == NULL)
		reason_set(reason, errno, "%s: %s", path, strerror(errno));
	else if (file_read(serials, path, reason) == 0)
		return serials;
	serials_close(serials);
	return NULL;
}

void
serials_close(struct serials *serials)
{
	if (serials == NULL)
		return;
	if (serials->dir_fd >= 0)
		close(serials->dir_fd);
	free(serials->entries);
	free(serials);
}

/*
 * With top = ceiling + W - 1 and no bit set, the window begins at the ceiling: a serial below it is
 * stale, and the reply's hint names the ceiling as the least serial (docs/wire-format.md, Reply).
 */
void
serials_restore(const struct serials *serials, struct replay_store *store, uint32_t slot,
	uint32_t realm, uint32_t node)
{
	const struct entry *entry = entry_find(serials->entries, serials->capacity, realm, node);
	struct replay_node *line = &store->nodes[slot];

	if (entry->realm == 0 || line->bits_log2 == 0)
		return;
	line->top = entry->ceiling + ((uint64_t)1 << line->bits_log2) - 1;
}

int
serials_note(struct serials *serials, uint32_t realm, uint32_t node, uint64_t top)
{
	const struct entry *entry = entry_find(serials->entries, serials->capacity, realm, node);
	uint64_t ceiling =
		top < CRED_SERIAL_MAX - SERIALS_STEP ? top + SERIALS_STEP : CRED_SERIAL_MAX;

	if (top == 0 || (entry->realm != 0 && entry->ceiling > top &&
				(entry->ceiling - top > SERIALS_STEP / 2 ||
					entry->ceiling == CRED_SERIAL_MAX)))
		return 0;
	serials->is_dirty = true;
	return ceiling_raise(serials, realm, node, ceiling);
}

static int
lines_write(const struct serials *serials, int fd)
{
	FILE *file = fdopen(fd, "w");
	int error = 0;

	if (file == NULL) {
		close(fd);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < serials->capacity; i++)
		if (serials->entries[i].realm != 0)
			fprintf(file, "%u %u %" PRIu64 "\n", serials->entries[i].realm,
				serials->entries[i].node, serials->entries[i].ceiling);
	if (fflush(file) != 0 || fsync(fd) != 0)
		error = -errno;
	fclose(file);
	return error;
}

/* Written anew and renamed: ceilings are raised rarely, and a torn file must not exist. */
int
serials_sync(struct serials *serials, struct reason *reason)
{
	int fd, error;

	if (!serials->is_dirty)
		return 0;
	fd = openat(serials->dir_fd, "serials.new",
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	error = fd < 0 ? -errno : lines_write(serials, fd);
	if (error == 0 &&
		(renameat(serials->dir_fd, "serials.new", serials->dir_fd, "serials") != 0 ||
			fsync(serials->dir_fd) != 0))
		error = -errno;
	if (error != 0)
		return reason_set(reason, -error,
			"serial ceilings cannot be written: %s; check the disk", strerror(-error));
	serials->is_dirty = false;
	return 0;
}

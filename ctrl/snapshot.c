/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/log.h"

#define FILE_NAME      "windows"
#define TEMPORARY_NAME "windows.new"

static_assert(SNAPSHOT_DIGEST == crypto_generichash_BYTES, "libsodium");

static void
header_make(struct snapshot_header *header, const char *run, const struct config *config,
	const struct replay_store *store, const uint64_t floors_us[TABLE_REALMS_MAX])
{
	memset(header, 0, sizeof(*header));
	header->magic = SNAPSHOT_MAGIC;
	header->version = SNAPSHOT_VERSION;
	header->realm_count = config->realm_count;
	header->store_size = store->header->size;
	snprintf(header->run, sizeof(header->run), "%s", run);
	for (unsigned i = 0; i < config->realm_count; i++)
		header->realms[i] = (struct snapshot_realm){
			.id = config->realms[i].id,
			.nodes_max = config->realms[i].nodes_max,
			.window_bits = config->realms[i].window_bits,
			.floor_us = floors_us[i],
		};
}

/* The same windows at the same places: only the floors may differ. */
static bool
header_fits(const struct snapshot_header *header, const struct config *config,
	const struct replay_store *store)
{
	uint64_t floors_us[TABLE_REALMS_MAX] = {0};
	struct snapshot_header own;

	if (header->realm_count > TABLE_REALMS_MAX ||
		memchr(header->run, '\0', sizeof(header->run)) == NULL)
		return false;
	for (unsigned i = 0; i < header->realm_count; i++)
		floors_us[i] = header->realms[i].floor_us;
	header_make(&own, header->run, config, store, floors_us);
	return memcmp(&own, header, sizeof(own)) == 0;
}

/* First and last page (exclusive) of what is kept, counted from the start of the mapping. */
static uint64_t
page_first(const struct replay_store *store)
{
	return ((uintptr_t)store->nodes - (uintptr_t)store->header) / SNAPSHOT_PAGE;
}

static uint64_t
page_behind(const struct replay_store *store)
{
	return ((uintptr_t)store->cache - (uintptr_t)store->header) / SNAPSHOT_PAGE;
}

static uint8_t *
page_at(const struct replay_store *store, uint64_t page)
{
	return (uint8_t *)store->header + page * SNAPSHOT_PAGE;
}

/* ---- writing ---- */

struct writer {
	FILE *file;
	crypto_generichash_state digest;
	bool has_failed;
};

static void
put(struct writer *writer, const void *bytes, size_t size)
{
	crypto_generichash_update(&writer->digest, bytes, size);
	writer->has_failed |= fwrite(bytes, 1, size, writer->file) != size;
}

static void
pages_put(struct writer *writer, const struct replay_store *store)
{
	uint64_t end = SNAPSHOT_END;

	for (uint64_t page = page_first(store); page < page_behind(store); page++) {
		if (sodium_is_zero(page_at(store, page), SNAPSHOT_PAGE))
			continue;
		put(writer, &page, sizeof(page));
		put(writer, page_at(store, page), SNAPSHOT_PAGE);
	}
	put(writer, &end, sizeof(end));
}

static int
snapshot_write(int fd, const struct snapshot_header *header, const struct replay_store *store)
{
	struct writer writer = {.file = fdopen(fd, "w")};
	uint8_t digest[SNAPSHOT_DIGEST];
	int error = 0;

	if (writer.file == NULL) {
		close(fd);
		return -ENOMEM;
	}
	errno = 0;
	crypto_generichash_init(&writer.digest, NULL, 0, SNAPSHOT_DIGEST);
	put(&writer, header, sizeof(*header));
	pages_put(&writer, store);
	crypto_generichash_final(&writer.digest, digest, sizeof(digest));
	writer.has_failed |= fwrite(digest, 1, sizeof(digest), writer.file) != sizeof(digest);
	if (writer.has_failed || fflush(writer.file) != 0 || fsync(fd) != 0)
		error = errno != 0 ? -errno : -EIO;
	fclose(writer.file);
	return error;
}

static int
file_publish(int dir_fd, const struct snapshot_header *header, const struct replay_store *store)
{
	int fd, error;

	fd = openat(dir_fd, TEMPORARY_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		0600);
	if (fd < 0)
		return -errno;
	error = snapshot_write(fd, header, store);
	if (error == 0 &&
		(renameat(dir_fd, TEMPORARY_NAME, dir_fd, FILE_NAME) != 0 || fsync(dir_fd) != 0))
		error = -errno;
	if (error != 0)
		unlinkat(dir_fd, TEMPORARY_NAME, 0);
	return error;
}

int
snapshot_save(const char *dir, const char *run, const struct config *config,
	const struct replay_store *store, const uint64_t floors_us[TABLE_REALMS_MAX],
	struct reason *reason)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;
	struct snapshot_header header;

	if (dir_fd < 0)
		return reason_set(reason, errno, "%s: %s", dir, strerror(errno));
	header_make(&header, run, config, store, floors_us);
	error = file_publish(dir_fd, &header, store);
	close(dir_fd);
	if (error != 0)
		return reason_set(reason, -error,
			"replay windows cannot be kept: %s; the next start refuses what was issued "
			"before it",
			strerror(-error));
	return 0;
}

int
snapshot_remove(const char *dir, struct reason *reason)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;

	if (dir_fd < 0)
		return reason_set(reason, errno, "%s: %s", dir, strerror(errno));
	if (unlinkat(dir_fd, FILE_NAME, 0) == 0 ? fsync(dir_fd) != 0 : errno != ENOENT)
		error = reason_set(reason, errno,
			"%s/" FILE_NAME
			" cannot be removed: %s; remove it, it must not be used twice",
			dir, strerror(errno));
	close(dir_fd);
	return error;
}

/* ---- reading ---- */

struct reader {
	FILE *file;
	crypto_generichash_state digest;
};

static bool
get(struct reader *reader, void *bytes, size_t size)
{
	if (fread(bytes, 1, size, reader->file) != size)
		return false;
	crypto_generichash_update(&reader->digest, bytes, size);
	return true;
}

/* Reads all records; into the store only if `is_applied`. False: not whole. */
static bool
pages_get(struct reader *reader, const struct replay_store *store, bool is_applied)
{
	uint8_t digest[SNAPSHOT_DIGEST], own[SNAPSHOT_DIGEST], bytes[SNAPSHOT_PAGE];
	uint64_t page;

	for (;;) {
		if (!get(reader, &page, sizeof(page)))
			return false;
		if (page == SNAPSHOT_END)
			break;
		if (page < page_first(store) || page >= page_behind(store) ||
			!get(reader, bytes, sizeof(bytes)))
			return false;
		if (is_applied)
			memcpy(page_at(store, page), bytes, sizeof(bytes));
	}
	crypto_generichash_final(&reader->digest, own, sizeof(own));
	return fread(digest, 1, sizeof(digest), reader->file) == sizeof(digest) &&
	       sodium_memcmp(digest, own, sizeof(own)) == 0;
}

static bool
pass_begin(struct reader *reader, struct snapshot_header *header)
{
	rewind(reader->file);
	crypto_generichash_init(&reader->digest, NULL, 0, SNAPSHOT_DIGEST);
	return get(reader, header, sizeof(*header));
}

/* Looked at in full before anything is taken from it. NULL, or why it is not used. */
static const char *
snapshot_read(FILE *file, const char *run, const struct config *config,
	const struct replay_store *store, uint64_t floors_us[TABLE_REALMS_MAX])
{
	struct reader reader = {.file = file};
	struct snapshot_header header;

	if (!pass_begin(&reader, &header) || header.magic != SNAPSHOT_MAGIC ||
		header.version != SNAPSHOT_VERSION)
		return "is of another version";
	if (!header_fits(&header, config, store))
		return "has other realms or window sizes than the configuration";
	if (!pages_get(&reader, store, false))
		return "is damaged";
	if (run[0] == '\0' || strcmp(header.run, run) != 0)
		return "is of another run than the time stamp (clock)";
	if (!pass_begin(&reader, &header) || !pages_get(&reader, store, true))
		return "changed while it was read";
	for (unsigned i = 0; i < config->realm_count; i++)
		floors_us[i] = header.realms[i].floor_us;
	return NULL;
}

int
snapshot_load(const char *dir, const char *run, const struct config *config,
	struct replay_store *store, uint64_t floors_us[TABLE_REALMS_MAX], struct reason *reason)
{
	char path[PATH_MAX];
	const char *unused;
	struct stat st;
	FILE *file;
	int fd;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return 0;
	file = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (file == NULL)
		return reason_set(reason, errno, "%s: %s; remove it", path, strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		(st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		unused = "is not ours alone";
	else
		unused = snapshot_read(file, run, config, store, floors_us);
	fclose(file);
	if (unused != NULL)
		log_warning("replay", "%s %s: it is not used", path, unused);
	return unused == NULL;
}

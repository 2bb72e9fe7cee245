/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/meters.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/clock.h"
#include "ctrl/log.h"

#define FILE_NAME      "meters"
#define TEMPORARY_NAME "meters.new"
#define SECOND_US      1000000u
#define MINUTE_US      60000000u

static_assert(METERS_FILE_DIGEST == crypto_generichash_BYTES, "libsodium");

/* A file being written, a slice at a time. */
struct writing {
	FILE *file; /* NULL: none is */
	crypto_generichash_state digest;
	bool has_failed;
};

struct meters {
	struct meters_header *shared;
	const struct replay_store *store;
	uint32_t slot_count;
	uint32_t realm_count;
	uint32_t ids[TABLE_REALMS_MAX];
	uint32_t bases[TABLE_REALMS_MAX + 1];
	char dir[PATH_MAX];
	/*
	 * Counts at the last and at the last but one look, by slot and place of the epoch: their
	 * lower halves, which is enough for differences. Pages of slots without a node stay untouched.
	 */
	uint32_t *then[2];
	uint64_t then_us[2][METERS_SLICES]; /* monotonic clock, by slice */
	unsigned slice;                     /* the next one */
	bool is_dirty;                      /* something is not in the file */
	bool was_told;                      /* that it cannot be written */
	struct writing writing;
};

/* ---- one epoch ---- */

static struct meters_use
use_read(const struct meters *meters, uint32_t slot, uint16_t epoch)
{
	const struct meter_use *use =
		&meters_node(meters->shared, slot)->uses[epoch % TABLE_EPOCHS_MAX];
	const struct replay_node *line = &meters->store->nodes[slot];
	uint64_t word = atomic_load_explicit(&use->accepted, memory_order_relaxed);
	struct meters_use known = {0};

	if (METER_USE_EPOCH(word) == epoch) {
		known.accepted = METER_USE_COUNT(word);
		known.last_s = atomic_load_explicit(&use->last_s, memory_order_relaxed);
		known.refused = atomic_load_explicit(&use->refused, memory_order_relaxed);
	}
	if (__atomic_load_n(&line->epoch, __ATOMIC_RELAXED) == epoch) {
		uint32_t seen_s =
			(uint32_t)(__atomic_load_n(&line->last_seen_us, __ATOMIC_RELAXED) /
				   SECOND_US);

		known.accepted += __atomic_load_n(&line->uses, __ATOMIC_RELAXED);
		known.last_s = seen_s > known.last_s ? seen_s : known.last_s;
	}
	return known;
}

/* The epoch that has the place at present: that of the line, or the one that was booked; 0: none. */
static uint16_t
place_epoch(const struct meters *meters, uint32_t slot, unsigned place)
{
	const struct meter_use *use = &meters_node(meters->shared, slot)->uses[place];
	uint16_t epoch = __atomic_load_n(&meters->store->nodes[slot].epoch, __ATOMIC_RELAXED);

	if (epoch != 0 && epoch % TABLE_EPOCHS_MAX == place)
		return epoch;
	return METER_USE_EPOCH(atomic_load_explicit(&use->accepted, memory_order_relaxed));
}

static unsigned
slice_of(const struct meters *meters, uint32_t slot)
{
	return (unsigned)((uint64_t)slot * METERS_SLICES / meters->slot_count);
}

struct meters_use
meters_use(const struct meters *meters, uint32_t slot, uint16_t epoch)
{
	struct meters_use known = use_read(meters, slot, epoch);
	uint32_t then = meters->then[1][slot * TABLE_EPOCHS_MAX + epoch % TABLE_EPOCHS_MAX];
	uint64_t since_us = clock_mono_us() - meters->then_us[1][slice_of(meters, slot)];
	uint32_t more = (uint32_t)known.accepted - then;

	/* The place had another epoch then, whose count was larger. */
	if (known.accepted < then)
		more = (uint32_t)known.accepted;
	if (since_us >= SECOND_US)
		known.per_minute = (uint64_t)more * MINUTE_US / since_us;
	return known;
}

/* ---- writing ---- */

static void
put(struct writing *writing, const void *bytes, size_t size)
{
	crypto_generichash_update(&writing->digest, bytes, size);
	writing->has_failed |= fwrite(bytes, 1, size, writing->file) != size;
}

static void
path_make(const struct meters *meters, char path[PATH_MAX], const char *name)
{
	snprintf(path, PATH_MAX, "%.4000s/%s", meters->dir, name);
}

static int
writing_begin(struct meters *meters)
{
	const struct meters_file header = {METERS_FILE_MAGIC, METERS_FILE_VERSION, 0};
	struct writing *writing = &meters->writing;
	char path[PATH_MAX];
	int fd;

	path_make(meters, path, TEMPORARY_NAME);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	writing->file = fdopen(fd, "w");
	if (writing->file == NULL) {
		close(fd);
		return -ENOMEM;
	}
	writing->has_failed = false;
	crypto_generichash_init(&writing->digest, NULL, 0, METERS_FILE_DIGEST);
	put(writing, &header, sizeof(header));
	return 0;
}

/* The old file stays until the new one is whole on disk. */
static int
writing_publish(struct meters *meters)
{
	struct writing *writing = &meters->writing;
	const struct meters_record end = {0};
	uint8_t digest[METERS_FILE_DIGEST];
	char from[PATH_MAX], to[PATH_MAX];

	put(writing, &end, sizeof(end));
	crypto_generichash_final(&writing->digest, digest, sizeof(digest));
	errno = 0;
	writing->has_failed |= fwrite(digest, 1, sizeof(digest), writing->file) != sizeof(digest);
	if (writing->has_failed || fflush(writing->file) != 0 || fsync(fileno(writing->file)) != 0)
		return errno != 0 ? -errno : -ENOSPC;
	path_make(meters, from, TEMPORARY_NAME);
	path_make(meters, to, FILE_NAME);
	return rename(from, to) == 0 ? 0 : -errno;
}

static int
writing_end(struct meters *meters)
{
	char path[PATH_MAX];
	int error = writing_publish(meters);

	fclose(meters->writing.file);
	meters->writing.file = NULL;
	if (error != 0) {
		path_make(meters, path, TEMPORARY_NAME);
		unlink(path);
	}
	return error;
}

static void
record_put(struct meters *meters, unsigned realm, uint32_t slot, uint16_t epoch)
{
	struct meters_use use = use_read(meters, slot, epoch);
	struct meters_record record = {
		.realm = meters->ids[realm],
		.node = slot - meters->bases[realm],
		.accepted = use.accepted,
		.last_s = use.last_s,
		.refused = use.refused,
		.epoch = epoch,
	};

	put(&meters->writing, &record, sizeof(record));
}

/* ---- passes ---- */

/* Looks at a slot; writes its records if a file is being written. */
static void
slot_pass(struct meters *meters, unsigned realm, uint32_t slot)
{
	uint32_t *last = &meters->then[0][slot * TABLE_EPOCHS_MAX];
	uint32_t *before = &meters->then[1][slot * TABLE_EPOCHS_MAX];

	for (unsigned place = 0; place < TABLE_EPOCHS_MAX; place++) {
		uint16_t epoch = place_epoch(meters, slot, place);
		uint32_t count;

		if (epoch == 0)
			continue;
		count = (uint32_t)use_read(meters, slot, epoch).accepted;
		if (before[place] != last[place])
			before[place] = last[place];
		if (last[place] != count) {
			last[place] = count;
			meters->is_dirty = true;
		}
		if (meters->writing.file != NULL)
			record_put(meters, realm, slot, epoch);
	}
}

static void
slice_pass(struct meters *meters, unsigned slice)
{
	uint32_t slot = (uint32_t)(((uint64_t)slice * meters->slot_count + METERS_SLICES - 1) /
				   METERS_SLICES);
	uint32_t end = (uint32_t)(((uint64_t)(slice + 1) * meters->slot_count + METERS_SLICES - 1) /
				  METERS_SLICES);
	unsigned realm = 0;

	for (; slot < end; slot++) {
		while (slot >= meters->bases[realm + 1])
			realm++;
		slot_pass(meters, realm, slot);
	}
	meters->then_us[1][slice] = meters->then_us[0][slice];
	meters->then_us[0][slice] = clock_mono_us();
}

/* A disk that is full is told once, and again when there is room. */
static void
failure_tell(struct meters *meters, int error)
{
	if (error != 0 && !meters->was_told)
		log_error("meters",
			"%s/" FILE_NAME " cannot be written: %s; a restart would forget when keys "
			"were last used, make room on the disk",
			meters->dir, strerror(-error));
	else if (error == 0 && meters->was_told)
		log_info("meters", "%s/" FILE_NAME " is written again", meters->dir);
	meters->was_told = error != 0;
	meters->is_dirty |= error != 0;
}

void
meters_second(struct meters *meters)
{
	int error = 0;

	if (meters->slice == 0 && meters->is_dirty) {
		meters->is_dirty = false;
		error = writing_begin(meters);
	}
	slice_pass(meters, meters->slice);
	meters->slice = (meters->slice + 1) % METERS_SLICES;
	if (meters->slice == 0 && meters->writing.file != NULL)
		failure_tell(meters, writing_end(meters));
	if (error != 0)
		failure_tell(meters, error);
}

int
meters_save(struct meters *meters, struct reason *reason)
{
	int error;

	if (meters->writing.file != NULL)
		fclose(meters->writing.file);
	meters->writing.file = NULL;
	error = writing_begin(meters);
	for (unsigned slice = 0; error == 0 && slice < METERS_SLICES; slice++)
		slice_pass(meters, slice);
	if (error == 0)
		error = writing_end(meters);
	if (error == 0)
		return 0;
	return reason_set(reason, -error,
		"%s/" FILE_NAME " cannot be written: %s; what the last minutes used is forgotten",
		meters->dir, strerror(-error));
}

/* ---- reading ---- */

/* Its line may have come back with the windows, and counts by itself. */
static void
record_adopt(struct meters *meters, const struct meters_record *record)
{
	const struct replay_node *line;
	struct meter_use *use;
	uint64_t count = record->accepted;
	uint32_t slot;
	unsigned realm = 0;

	while (realm < meters->realm_count && meters->ids[realm] != record->realm)
		realm++;
	if (realm == meters->realm_count || record->node == 0 || record->epoch == 0 ||
		record->node >= meters->bases[realm + 1] - meters->bases[realm])
		return;
	slot = meters->bases[realm] + record->node;
	line = &meters->store->nodes[slot];
	if (line->epoch == record->epoch)
		count -= count < line->uses ? count : line->uses;
	use = &meters_node(meters->shared, slot)->uses[record->epoch % TABLE_EPOCHS_MAX];
	atomic_store_explicit(&use->accepted,
		(uint64_t)record->epoch << 48 | METER_USE_COUNT(count), memory_order_relaxed);
	atomic_store_explicit(&use->last_s, record->last_s, memory_order_relaxed);
	atomic_store_explicit(&use->refused, record->refused, memory_order_relaxed);
}

static bool
get(FILE *file, crypto_generichash_state *digest, void *bytes, size_t size)
{
	if (fread(bytes, 1, size, file) != size)
		return false;
	crypto_generichash_update(digest, bytes, size);
	return true;
}

/* From its beginning to its end; false: not whole, or not ours. */
static bool
file_pass(struct meters *meters, FILE *file, bool is_applied)
{
	uint8_t wanted[METERS_FILE_DIGEST], own[METERS_FILE_DIGEST];
	crypto_generichash_state digest;
	struct meters_record record;
	struct meters_file header;

	rewind(file);
	crypto_generichash_init(&digest, NULL, 0, METERS_FILE_DIGEST);
	if (!get(file, &digest, &header, sizeof(header)) || header.magic != METERS_FILE_MAGIC ||
		header.version != METERS_FILE_VERSION)
		return false;
	while (get(file, &digest, &record, sizeof(record))) {
		if (record.realm == 0) {
			crypto_generichash_final(&digest, own, sizeof(own));
			return fread(wanted, 1, sizeof(wanted), file) == sizeof(wanted) &&
			       sodium_memcmp(wanted, own, sizeof(own)) == 0;
		}
		if (is_applied)
			record_adopt(meters, &record);
	}
	return false;
}

static bool
is_ours(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Looked at in full before anything is taken from it. */
static void
file_adopt(struct meters *meters)
{
	char path[PATH_MAX];
	FILE *file;
	int fd;

	path_make(meters, path, FILE_NAME);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return;
	file = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (file == NULL || !is_ours(fd) || !file_pass(meters, file, false) ||
		!file_pass(meters, file, true))
		log_warning("meters",
			"%s is not whole or not ours alone: when keys were last used is not known "
			"from before this start; wait longer before you retire one",
			path);
	if (file != NULL)
		fclose(file);
	else if (fd >= 0)
		close(fd);
}

/* ---- life ---- */

static void
then_begin(struct meters *meters)
{
	for (unsigned pass = 0; pass < 2; pass++)
		for (unsigned slice = 0; slice < METERS_SLICES; slice++)
			slice_pass(meters, slice);
	meters->is_dirty = false;
}

struct meters *
meters_create(const char *dir, const struct config *config, const uint32_t bases[TABLE_REALMS_MAX],
	struct meters_header *shared, const struct replay_store *store)
{
	struct meters *meters = calloc(1, sizeof(*meters));

	if (meters == NULL)
		return NULL;
	meters->shared = shared;
	meters->store = store;
	meters->slot_count = shared->slot_count;
	meters->realm_count = config->realm_count;
	snprintf(meters->dir, sizeof(meters->dir), "%s", dir);
	for (unsigned i = 0; i < config->realm_count; i++) {
		meters->ids[i] = config->realms[i].id;
		meters->bases[i] = bases[i];
	}
	meters->bases[config->realm_count] = shared->slot_count;
	for (unsigned pass = 0; pass < 2; pass++)
		meters->then[pass] =
			calloc(shared->slot_count, TABLE_EPOCHS_MAX * sizeof(*meters->then[pass]));
	if (meters->then[0] == NULL || meters->then[1] == NULL) {
		meters_destroy(meters);
		return NULL;
	}
	file_adopt(meters);
	then_begin(meters);
	return meters;
}

void
meters_destroy(struct meters *meters)
{
	if (meters == NULL)
		return;
	if (meters->writing.file != NULL)
		fclose(meters->writing.file);
	free(meters->then[1]);
	free(meters->then[0]);
	free(meters);
}

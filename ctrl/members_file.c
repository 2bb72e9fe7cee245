/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file `members` of the state directory, host byte order: struct file_header; the first line
 * (64 bytes) of the entry of each node that was ever heard; a BLAKE2b digest of everything before
 * it. It is made under another name, a part at a time so that nobody waits, and then renamed. It is
 * not forced to the disk: after a power cut the digest tells, and nobody is known, as at first.
 */
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
#include "ctrl/members_priv.h"

#define FILE_NAME      "members"
#define TEMPORARY_NAME "members.new"
#define FILE_MAGIC     0x31465252424d4743ull /* "CGMBRRF1" as bytes */
#define FILE_VERSION   1u
#define RECORD_SIZE    offsetof(struct members_entry, name)
#define DIGEST_SIZE    32u
/* Written with one call each. */
#define BATCH 1024u

static_assert(RECORD_SIZE == 64, "a line");
static_assert(DIGEST_SIZE == crypto_generichash_BYTES, "libsodium");

struct file_header {
	uint64_t magic;
	uint32_t version;
	uint32_t record_size;
};

/* ---- writing ---- */

static void
path_make(char path[PATH_MAX], const char *dir, const char *name)
{
	snprintf(path, PATH_MAX, "%s/%s", dir, name);
}

static int
put(struct members_saving *saving, const void *bytes, size_t size)
{
	ssize_t put;

	crypto_generichash_update(saving->digest, bytes, size);
	put = write(saving->fd, bytes, size);
	if (put == (ssize_t)size)
		return 0;
	return put < 0 ? -errno : -ENOSPC;
}

static int
saving_begin(struct members_saving *saving, const char *dir)
{
	const struct file_header header = {
		.magic = FILE_MAGIC,
		.version = FILE_VERSION,
		.record_size = RECORD_SIZE,
	};
	char path[PATH_MAX];

	path_make(path, dir, TEMPORARY_NAME);
	saving->next = 0;
	saving->digest = malloc(sizeof(crypto_generichash_state));
	if (saving->digest == NULL)
		return -ENOMEM;
	crypto_generichash_init(saving->digest, NULL, 0, DIGEST_SIZE);
	saving->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return saving->fd < 0 ? -errno : put(saving, &header, sizeof(header));
}

static void
saving_end(struct members_saving *saving)
{
	if (saving->fd >= 0)
		close(saving->fd);
	free(saving->digest);
	*saving = (struct members_saving){.fd = -1};
}

/* A batch of slots: those that are worth it, in one write. */
static int
batch_put(struct members *members, uint32_t end)
{
	struct members_saving *saving = &members->saving;
	uint8_t bytes[BATCH * RECORD_SIZE];
	struct members_entry entry;
	size_t size = 0;

	for (; saving->next < end; saving->next++) {
		if (members->nodes[saving->next].standing == MEMBER_ABSENT)
			continue;
		members_entry(members, saving->next, &entry);
		if (entry.last_seen_us == 0)
			continue;
		entry.sequence = 0;
		memcpy(bytes + size, &entry, RECORD_SIZE);
		size += RECORD_SIZE;
	}
	return size != 0 ? put(saving, bytes, size) : 0;
}

static int
saving_step(struct members *members)
{
	struct members_saving *saving = &members->saving;
	const uint32_t all = members->view.entry_count;
	int error = 0;

	for (unsigned i = 0; error == 0 && i < MEMBERS_LOOK_MAX / BATCH && saving->next < all; i++)
		error = batch_put(members, all - saving->next > BATCH ? saving->next + BATCH : all);
	return error;
}

static int
saving_finish(struct members_saving *saving, const char *dir)
{
	uint8_t digest[DIGEST_SIZE];
	char from[PATH_MAX], to[PATH_MAX];

	crypto_generichash_final(saving->digest, digest, sizeof(digest));
	if (write(saving->fd, digest, sizeof(digest)) != (ssize_t)sizeof(digest))
		return -ENOSPC;
	path_make(from, dir, TEMPORARY_NAME);
	path_make(to, dir, FILE_NAME);
	return rename(from, to) == 0 ? 0 : -errno;
}

int
members_save(struct members *members, const char *dir, struct reason *reason)
{
	struct members_saving *saving = &members->saving;
	int error = saving->fd < 0 ? saving_begin(saving, dir) : 0;

	if (error == 0)
		error = saving_step(members);
	if (error == 0 && saving->next < members->view.entry_count)
		return 0;
	if (error == 0)
		error = saving_finish(saving, dir);
	saving_end(saving);
	if (error == 0)
		return 1;
	return reason_set(reason, -error,
		"%s/" FILE_NAME " cannot be written: %s; after a restart members would be unknown "
		"as they were before",
		dir, strerror(-error));
}

/* ---- reading ---- */

static bool
digest_is_good(const uint8_t *bytes, size_t size)
{
	uint8_t own[DIGEST_SIZE];

	crypto_generichash(own, sizeof(own), bytes, size, NULL, 0);
	return memcmp(own, bytes + size, sizeof(own)) == 0;
}

static bool
header_is_good(const uint8_t *bytes)
{
	struct file_header header;

	memcpy(&header, bytes, sizeof(header));
	return header.magic == FILE_MAGIC && header.version == FILE_VERSION &&
	       header.record_size == RECORD_SIZE;
}

static const struct members_realm *
realm_find(const struct members *members, uint32_t id)
{
	for (unsigned i = 0; i < members->header->realm_count; i++)
		if (members->realms[i].id == id)
			return &members->realms[i];
	return NULL;
}

/* What names no node of today, or no state of a member, is passed over. */
static bool
record_take(struct members *members, const uint8_t *bytes)
{
	struct members_entry entry = {0};
	const struct members_realm *realm;

	memcpy(&entry, bytes, RECORD_SIZE);
	realm = realm_find(members, entry.realm);
	if (realm == NULL || entry.node == 0 || entry.node > realm->nodes_max ||
		members->nodes[realm->base + entry.node].standing == MEMBER_ABSENT ||
		entry.state == MEMBERS_NONE || entry.state >= MEMBERS_STATES)
		return false;
	members_entry_restore(members, realm->base + entry.node, &entry);
	return true;
}

/* NULL, or why the file is not used. */
static const char *
file_take(struct members *members, const uint8_t *bytes, size_t size)
{
	size_t end = size - DIGEST_SIZE;
	unsigned count = 0;

	if (size < sizeof(struct file_header) + DIGEST_SIZE ||
		(end - sizeof(struct file_header)) % RECORD_SIZE != 0 ||
		!digest_is_good(bytes, end))
		return "is damaged";
	if (!header_is_good(bytes))
		return "is of another version";
	for (size_t at = sizeof(struct file_header); at < end; at += RECORD_SIZE)
		count += record_take(members, bytes + at);
	members_publish(members->header, members->position);
	log_info("members", "%u nodes were members before", count);
	return NULL;
}

/* No more than every node could have. */
static size_t
size_max(const struct members *members)
{
	return sizeof(struct file_header) + (size_t)members->view.entry_count * RECORD_SIZE +
	       DIGEST_SIZE;
}

static const char *
file_read(struct members *members, int fd)
{
	struct stat st;
	const char *fault = "cannot be read";
	uint8_t *bytes;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		(st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return "is not ours alone";
	if (st.st_size < 0 || (uint64_t)st.st_size > size_max(members))
		return "has more nodes than the configuration";
	bytes = malloc((size_t)st.st_size + 1);
	if (bytes != NULL && read(fd, bytes, (size_t)st.st_size) == st.st_size)
		fault = file_take(members, bytes, (size_t)st.st_size);
	free(bytes);
	return fault;
}

void
members_restore(struct members *members, const char *dir)
{
	char path[PATH_MAX];
	const char *fault;
	int fd;

	path_make(path, dir, FILE_NAME);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return;
	fault = fd >= 0 ? file_read(members, fd) : strerror(errno);
	if (fd >= 0)
		close(fd);
	if (fault != NULL)
		log_warning("members",
			"%s %s: it is not used, and members of before are silent until they are "
			"heard",
			path, fault);
}

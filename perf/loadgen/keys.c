/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <credgate/credgate.h>

#include "client/key_priv.h"
#include "client/serial_priv.h"
#include "crypto/kdf.h"
#include "perf/loadgen/fail.h"

#define KEY_FILES_MAX 1024u
/* Large enough that drawing is rare, small against the smallest useful window. */
#define SERIALS_BLOCK 4096u
#define KEY_SUFFIX    ".key"

/* Zeroed, not in a core file, in large pages where there are some: a million slots are 128 MB. */
static struct key_slot *
slots_map(uint64_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, size, MADV_DONTDUMP);
	madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

static int
keys_allocate(struct keys *keys, uint32_t count, bool has_replies, bool has_files)
{
	keys->count = count;
	keys->slots_size = count * sizeof(struct key_slot);
	keys->slots = slots_map(keys->slots_size);
	keys->replies = has_replies ? slots_map(keys->slots_size) : NULL;
	keys->serials = calloc(count, sizeof(keys->serials[0]));
	keys->ends = has_files ? calloc(count, sizeof(keys->ends[0])) : NULL;
	keys->files = has_files ? calloc(count, sizeof(keys->files[0])) : NULL;
	if (keys->slots == NULL || keys->serials == NULL || (has_replies && !keys->replies) ||
		(has_files && (keys->ends == NULL || keys->files == NULL)))
		return fail("no memory for the keys of %u nodes: lower --nodes", count);
	return 0;
}

/* ---- from the realm's master ---- */

static int
master_check(const struct stat *st, const char *path)
{
	if (!S_ISREG(st->st_mode) || st->st_size != KDF_KEY_SIZE)
		return fail("%s: no master secret, which is a file of %d bytes (NAME.master in "
			    "the gateway's state_dir)",
			path, KDF_KEY_SIZE);
	if ((st->st_mode & 077) != 0)
		return fail("%s: mode %03o lets others at the secret: chmod 600", path,
			st->st_mode & 0777);
	if (st->st_uid != geteuid() && geteuid() != 0)
		return fail("%s: belongs to uid %u, not to us (uid %u): run as that user or root",
			path, st->st_uid, geteuid());
	return 0;
}

/* Reads it into guarded memory; no symbolic link, and no FIFO that would hang us. */
static int
master_read(uint8_t *master, const char *path)
{
	struct stat st;
	int rc, fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return fail("%s: %s", path,
			errno == ELOOP ? "is a symbolic link, which is refused" : strerror(errno));
	rc = fstat(fd, &st) != 0 ? fail("%s: %s", path, strerror(errno)) : master_check(&st, path);
	if (rc == 0 && read(fd, master, KDF_KEY_SIZE) != KDF_KEY_SIZE)
		rc = fail("%s: cannot be read in full", path);
	close(fd);
	return rc;
}

static void
slot_claim(struct key_slot *slot, uint32_t realm, uint32_t node, uint16_t epoch)
{
	slot->realm = realm;
	slot->node = node;
	slot->epoch = epoch;
	slot->state = KEY_SLOT_LIVE;
}

static void
nodes_derive(struct keys *keys, const struct settings *s, const uint8_t *realm_key)
{
	const uint64_t first = serial_clock_first();
	uint8_t node_key[KDF_KEY_SIZE];
	uint32_t i;

	for (i = 0; i < keys->count; i++) {
		const uint8_t suite = s->suites[i % s->suite_count];

		kdf_node(node_key, realm_key, i + 1, s->epoch);
		slot_claim(&keys->slots[i], s->realm, i + 1, s->epoch);
		kdf_slot_request(&keys->slots[i], node_key, suite);
		if (keys->replies != NULL) {
			slot_claim(&keys->replies[i], s->realm, i + 1, s->epoch);
			kdf_slot_reply(&keys->replies[i], node_key, suite);
		}
		keys->serials[i] = first;
	}
	sodium_memzero(node_key, sizeof(node_key));
}

static int
master_load(struct keys *keys, const struct settings *s)
{
	uint8_t *secrets = sodium_malloc(2 * KDF_KEY_SIZE);
	int rc;

	if (secrets == NULL)
		return fail("no guarded memory for the master secret; raise RLIMIT_MEMLOCK");
	rc = master_read(secrets, s->master);
	if (rc == 0)
		rc = keys_allocate(keys, s->nodes, settings_wants_replies(s), false);
	if (rc == 0) {
		kdf_realm(secrets + KDF_KEY_SIZE, secrets, s->realm);
		nodes_derive(keys, s, secrets + KDF_KEY_SIZE);
	}
	sodium_free(secrets);
	return rc;
}

/* ---- from node key files ---- */

static bool
is_key_name(const char *name)
{
	const size_t length = strlen(name), suffix = strlen(KEY_SUFFIX);

	return length > suffix && strcmp(name + length - suffix, KEY_SUFFIX) == 0;
}

static int
is_key_entry(const struct dirent *entry)
{
	return is_key_name(entry->d_name);
}

static int
file_load(struct keys *keys, uint32_t index, const char *dir, const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return fail("%s: name is too long", dir);
	if (cg_key_open(&keys->files[index], path) != 0)
		return fail("%s", cg_error());
	keys->slots[index] = keys->files[index]->secrets->request;
	if (keys->replies != NULL)
		keys->replies[index] = keys->files[index]->secrets->reply;
	return 0;
}

static int
files_load(struct keys *keys, const struct settings *s, struct dirent **entries, uint32_t count)
{
	uint32_t i;

	if (count == 0 || count > KEY_FILES_MAX)
		return fail("%s: has %u files *%s instead of 1 to %u%s", s->keys_dir, count,
			KEY_SUFFIX, KEY_FILES_MAX, count == 0 ? "" : "; use --master");
	if (keys_allocate(keys, count, settings_wants_replies(s), true) != 0)
		return -1;
	for (i = 0; i < count; i++)
		if (file_load(keys, i, s->keys_dir, entries[i]->d_name) != 0)
			return -1;
	return 0;
}

static int
dir_load(struct keys *keys, const struct settings *s)
{
	struct dirent **entries;
	int i, rc, count = scandir(s->keys_dir, &entries, is_key_entry, alphasort);

	if (count < 0)
		return fail("%s: %s", s->keys_dir, strerror(errno));
	rc = files_load(keys, s, entries, (uint32_t)count);
	for (i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return rc;
}

void
keys_refill(struct keys *keys, uint32_t index)
{
	if (serial_take(&keys->files[index]->serial, SERIALS_BLOCK, &keys->serials[index]) != 0) {
		fail("%s", cg_error());
		exit(1);
	}
	keys->ends[index] = keys->serials[index] + SERIALS_BLOCK;
}

/* ---- both ---- */

int
keys_init(struct keys *keys, const struct settings *settings)
{
	memset(keys, 0, sizeof(*keys));
	if (sodium_init() < 0)
		return fail("libsodium cannot be used: no source of random bytes");
	return settings->master != NULL ? master_load(keys, settings) : dir_load(keys, settings);
}

static void
slots_unmap(struct key_slot *slots, uint64_t size)
{
	if (slots == NULL)
		return;
	sodium_memzero(slots, size);
	munmap(slots, size);
}

void
keys_fini(struct keys *keys)
{
	uint32_t i;

	for (i = 0; keys->files != NULL && i < keys->count; i++)
		cg_key_close(keys->files[i]);
	slots_unmap(keys->slots, keys->slots_size);
	slots_unmap(keys->replies, keys->slots_size);
	free(keys->files);
	free(keys->ends);
	free(keys->serials);
}

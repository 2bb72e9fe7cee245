/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/key_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/error_priv.h"
#include "crypto/kdf.h"

/* Who could exchange the file could also remove the serial state beside it. */
static int
directory_check(const char *path)
{
	char copy[PATH_MAX];
	struct stat st;
	const char *directory;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return client_fail(ENAMETOOLONG, "%.64s...: name is too long", path);
	directory = dirname(copy);
	if (stat(directory, &st) != 0)
		return client_fail(errno, "%s: %m", directory);
	if ((st.st_mode & 022) != 0 && (st.st_mode & S_ISVTX) == 0)
		return client_fail(EPERM,
			"%s: mode %04o lets others exchange the key file in it: chmod go-w",
			directory, st.st_mode & 07777);
	return 0;
}

static int
file_check(const struct stat *st, const char *path)
{
	if (!S_ISREG(st->st_mode))
		return client_fail(EINVAL, "%s: is not a regular file", path);
	if ((st->st_mode & 077) != 0)
		return client_fail(EPERM,
			"%s: mode %03o lets others at the key: chmod 600, and get a new key if "
			"somebody may have read it",
			path, st->st_mode & 0777);
	if (st->st_uid != geteuid() && st->st_uid != 0 && geteuid() != 0)
		return client_fail(EPERM, "%s: belongs to uid %u, not to us (uid %u) or root", path,
			st->st_uid, geteuid());
	return 0;
}

/* O_NONBLOCK, or a FIFO would hang us before it is refused. */
static int
file_open(const char *path, struct stat *st)
{
	int rc, fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 && errno == ELOOP)
		return client_fail(ELOOP, "%s: is a symbolic link, which is refused", path);
	if (fd < 0)
		return client_fail(errno, "%s: %m", path);
	rc = fstat(fd, st) != 0 ? client_fail(errno, "%s: %m", path) : file_check(st, path);
	if (rc != 0) {
		close(fd);
		return rc;
	}
	return fd;
}

/* Reads into guarded memory, through no buffer of stdio. */
static int
file_read(int fd, const char *path, char *text, size_t room, size_t *length)
{
	ssize_t got;

	for (*length = 0; *length < room; *length += (size_t)got) {
		got = read(fd, text + *length, room - *length);
		if (got < 0)
			return client_fail(errno, "%s: cannot be read: %m", path);
		if (got == 0)
			break;
	}
	return 0;
}

static void
secrets_fill(struct key_secrets *secrets)
{
	const struct node_key *node = &secrets->loading.node;

	secrets->request.realm = secrets->reply.realm = node->realm;
	secrets->request.node = secrets->reply.node = node->node;
	secrets->request.epoch = secrets->reply.epoch = node->epoch;
	secrets->request.state = secrets->reply.state = KEY_SLOT_LIVE;
	secrets->request.not_after_s = secrets->reply.not_after_s = UINT32_MAX;
	kdf_slot_request(&secrets->request, node->key, node->suite);
	kdf_slot_reply(&secrets->reply, node->key, node->suite);
}

static int
secrets_load(struct cg_key *key, int fd, const char *path)
{
	struct key_secrets *secrets = key->secrets;
	const struct node_key *node = &secrets->loading.node;
	size_t length;
	int rc = file_read(fd, path, secrets->loading.text, sizeof(secrets->loading.text), &length);

	if (rc == 0 && node_key_decode(&secrets->loading.node, secrets->loading.text, length) != 0)
		rc = client_fail(EBADMSG,
			"%s: is not a node key file (one line CGK1:...:): export it again", path);
	if (rc == 0) {
		key->realm = node->realm;
		key->node = node->node;
		key->epoch = node->epoch;
		key->suite = node->suite;
		secrets_fill(secrets);
	}
	sodium_memzero(&secrets->loading, sizeof(secrets->loading));
	return rc;
}

static struct cg_key *
key_allocate(void)
{
	struct cg_key *key = calloc(1, sizeof(*key));

	if (key == NULL)
		return NULL;
	key->secrets = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*key->secrets));
	if (key->secrets == NULL) {
		free(key);
		return NULL;
	}
	sodium_memzero(key->secrets, sizeof(*key->secrets));
	return key;
}

static void
key_free(struct cg_key *key)
{
	sodium_free(key->secrets);
	free(key);
}

static int
key_load(struct cg_key *key, const char *path, const char *boot_id_path)
{
	char serial_path[PATH_MAX + sizeof(SERIAL_SUFFIX)];
	struct stat st;
	int fd, rc = directory_check(path);

	if (rc != 0)
		return rc;
	fd = file_open(path, &st);
	if (fd < 0)
		return fd;
	rc = secrets_load(key, fd, path);
	close(fd);
	if (rc != 0)
		return rc;
	sodium_mprotect_readonly(key->secrets);
	snprintf(serial_path, sizeof(serial_path), "%s%s", path, SERIAL_SUFFIX);
	return serial_open(&key->serial, serial_path, st.st_uid, st.st_gid, boot_id_path);
}

int
key_open(struct cg_key **key, const char *path, const char *boot_id_path)
{
	struct cg_key *fresh;
	int rc;

	if (key == NULL || path == NULL)
		return client_fail(EINVAL, "key and path must not be NULL");
	*key = NULL;
	fresh = key_allocate();
	if (fresh == NULL)
		return client_fail(ENOMEM, "%s: no guarded memory for the key", path);
	rc = key_load(fresh, path, boot_id_path);
	if (rc != 0) {
		key_free(fresh);
		return rc;
	}
	*key = fresh;
	return 0;
}

int
cg_key_open(struct cg_key **key, const char *path)
{
	return key_open(key, path, SERIAL_BOOT_ID_PATH);
}

void
cg_key_close(struct cg_key *key)
{
	if (key == NULL)
		return;
	serial_close(&key->serial);
	key_free(key);
}

uint32_t
cg_key_realm(const struct cg_key *key)
{
	return key->realm;
}

uint32_t
cg_key_node(const struct cg_key *key)
{
	return key->node;
}

uint16_t
cg_key_epoch(const struct cg_key *key)
{
	return key->epoch;
}

unsigned
cg_key_suite(const struct cg_key *key)
{
	return key->suite;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/durable.h"

/* Names a master without telling it: a key derived for this purpose only. */
#define FINGERPRINT_CONTEXT "CGC1fpr_"
#define FINGERPRINT_BYTES   16u /* crypto_kdf_BYTES_MIN; half of them are shown */

static_assert(SECRETS_MASTER_SIZE == crypto_kdf_KEYBYTES, "docs/wire-format.md, keys");
static_assert(FINGERPRINT_BYTES >= crypto_kdf_BYTES_MIN, "libsodium");

/* One directory; the sticky bit keeps others from renaming what is not theirs. */
static int
dir_check_one(const char *dir, struct reason *reason)
{
	struct stat st;

	if (lstat(dir, &st) != 0)
		return reason_set(reason, errno, "%s: %s", dir, strerror(errno));
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return reason_set(reason, EPERM,
			"%s belongs to uid %u, who could swap files below it; chown it to root or "
			"uid "
			"%u",
			dir, st.st_uid, geteuid());
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (st.st_mode & S_ISVTX) == 0)
		return reason_set(reason, EPERM,
			"others may write %s (mode %04o) and could swap files below it; chmod go-w",
			dir, st.st_mode & 07777);
	return 0;
}

int
secrets_dir_check(const char *dir, struct reason *reason)
{
	char real[PATH_MAX];
	char *slash;
	int error;

	if (realpath(dir, real) == NULL)
		return reason_set(reason, errno, "%s: %s", dir, strerror(errno));
	while ((error = dir_check_one(real, reason)) == 0 && strcmp(real, "/") != 0) {
		slash = strrchr(real, '/');
		slash[slash == real] = '\0';
	}
	return error;
}

static int
parent_check(const char *path, struct reason *reason)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || (size_t)(slash - path) >= sizeof(dir))
		return reason_set(reason, EINVAL, "%s: no absolute path; give one", path);
	snprintf(dir, sizeof(dir), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	return secrets_dir_check(dir, reason);
}

static int
file_check(const struct stat *st, const char *path, struct reason *reason)
{
	if (!S_ISREG(st->st_mode))
		return reason_set(reason, EINVAL,
			"%s is not a regular file; put the master secret there itself", path);
	if (st->st_uid != geteuid())
		return reason_set(reason, EPERM,
			"%s belongs to uid %u and not to uid %u, who runs credgated; chown it",
			path, st->st_uid, geteuid());
	if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return reason_set(reason, EPERM,
			"%s is open to others (mode %04o); chmod 0600, and think of the secret as "
			"known "
			"if they read it",
			path, st->st_mode & 07777);
	if (st->st_size != SECRETS_MASTER_SIZE)
		return reason_set(reason, EINVAL,
			"%s has %lld bytes instead of %u; restore it from its backup", path,
			(long long)st->st_size, SECRETS_MASTER_SIZE);
	return 0;
}

int
secrets_file_read(uint8_t *master, const char *path, struct reason *reason)
{
	struct stat st;
	int fd, error;

	error = parent_check(path, reason);
	if (error != 0)
		return error;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && errno == ELOOP)
		return reason_set(reason, ELOOP,
			"%s is a symbolic link; put the master secret there itself", path);
	if (fd < 0)
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st) != 0)
		error = reason_set(reason, errno, "%s: %s", path, strerror(errno));
	else
		error = file_check(&st, path, reason);
	if (error == 0 && read(fd, master, SECRETS_MASTER_SIZE) != (ssize_t)SECRETS_MASTER_SIZE)
		error = reason_set(reason, EIO, "%s cannot be read in full; check the disk", path);
	close(fd);
	return error;
}

static void
fingerprint_make(char text[SECRETS_FINGERPRINT_SIZE], const uint8_t *master)
{
	uint8_t bytes[FINGERPRINT_BYTES];

	crypto_kdf_derive_from_key(bytes, sizeof(bytes), 0, FINGERPRINT_CONTEXT, master);
	sodium_bin2hex(text, SECRETS_FINGERPRINT_SIZE, bytes, (SECRETS_FINGERPRINT_SIZE - 1) / 2);
	sodium_memzero(bytes, sizeof(bytes));
}

static void
master_wipe(struct secrets_master *master)
{
	sodium_free(master->key);
	*master = (struct secrets_master){0};
}

/* Reads one master and keeps what is derived from it. */
static int
master_take(struct secrets_master *taken, const char *path, uint32_t realm, struct reason *reason)
{
	uint8_t *master = sodium_malloc(SECRETS_MASTER_SIZE);
	int error;

	taken->key = sodium_malloc(KDF_KEY_SIZE);
	if (master == NULL || taken->key == NULL) {
		error = reason_set(
			reason, ENOMEM, "no locked memory for %s; raise RLIMIT_MEMLOCK", path);
		goto out;
	}
	error = secrets_file_read(master, path, reason);
	if (error != 0)
		goto out;
	kdf_realm(taken->key, master, realm);
	sodium_mprotect_readonly(taken->key);
	fingerprint_make(taken->fingerprint, master);
out:
	sodium_free(master);
	if (error != 0)
		master_wipe(taken);
	return error;
}

int
secrets_realm_load(
	struct secrets_realm *secrets, const char *path, uint32_t realm, struct reason *reason)
{
	int error;

	memset(secrets, 0, sizeof(*secrets));
	error = master_take(&secrets->masters[0], path, realm, reason);
	if (error == 0)
		secrets_master_use(secrets, 0);
	return error;
}

int
secrets_master_load(struct secrets_realm *secrets, const char *path, uint32_t realm,
	const char *fingerprint, struct reason *reason)
{
	struct secrets_master taken = {0};
	int known, error = master_take(&taken, path, realm, reason);

	if (error != 0)
		return error;
	known = secrets_master_find(secrets, taken.fingerprint);
	if (fingerprint != NULL && strcmp(fingerprint, taken.fingerprint) != 0) {
		error = reason_set(reason, EINVAL,
			"%s holds master secret %s instead of %s; restore the right one", path,
			taken.fingerprint, fingerprint);
		goto err;
	}
	if (known >= 0) {
		error = known;
		goto err;
	}
	for (unsigned i = 0; i < SECRETS_MASTERS_MAX; i++)
		if (secrets->masters[i].key == NULL) {
			secrets->masters[i] = taken;
			return (int)i;
		}
	error = reason_set(reason, ENOSPC,
		"%u master secrets of the realm are in service, which is all there may be; make "
		"the last rotation final (credgate realm retire --final) first",
		SECRETS_MASTERS_MAX);
err:
	master_wipe(&taken);
	return error;
}

int
secrets_master_find(const struct secrets_realm *secrets, const char *fingerprint)
{
	for (unsigned i = 0; i < SECRETS_MASTERS_MAX; i++)
		if (secrets->masters[i].key != NULL &&
			strcmp(secrets->masters[i].fingerprint, fingerprint) == 0)
			return (int)i;
	return -1;
}

void
secrets_master_use(struct secrets_realm *secrets, unsigned place)
{
	secrets->key = secrets->masters[place].key;
	memcpy(secrets->fingerprint, secrets->masters[place].fingerprint,
		sizeof(secrets->fingerprint));
}

void
secrets_master_drop(struct secrets_realm *secrets, unsigned place)
{
	master_wipe(&secrets->masters[place]);
}

void
secrets_realm_wipe(struct secrets_realm *secrets)
{
	for (unsigned i = 0; i < SECRETS_MASTERS_MAX; i++)
		master_wipe(&secrets->masters[i]);
	secrets->key = NULL;
}

/* The name appears only when the bytes are durable: a crash leaves a whole master or none. */
static int
master_publish(const char *path, const char *temporary, int fd, const uint8_t *master)
{
	errno = 0;
	if (write(fd, master, SECRETS_MASTER_SIZE) != (ssize_t)SECRETS_MASTER_SIZE ||
		fsync(fd) != 0)
		return errno != 0 ? -errno : -ENOSPC;
	if (link(temporary, path) != 0)
		return -errno;
	return durable_name(path);
}

static int
master_write(const char *path, const uint8_t *master)
{
	char temporary[PATH_MAX];
	int fd, error;

	snprintf(temporary, sizeof(temporary), "%.4000s.new", path);
	unlink(temporary);
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	error = master_publish(path, temporary, fd, master);
	close(fd);
	unlink(temporary);
	return error;
}

/* `fingerprint` NULL: at `path` itself; else behind it, after a dot. */
static int
master_make(const char *path, char *fingerprint, struct reason *reason)
{
	uint8_t *master = sodium_malloc(SECRETS_MASTER_SIZE);
	char file[PATH_MAX];
	int error;

	if (master == NULL)
		return reason_set(reason, ENOMEM, "no locked memory; raise RLIMIT_MEMLOCK");
	randombytes_buf(master, SECRETS_MASTER_SIZE);
	snprintf(file, sizeof(file), "%s", path);
	if (fingerprint != NULL) {
		fingerprint_make(fingerprint, master);
		snprintf(file, sizeof(file), "%.4000s.%s", path, fingerprint);
	}
	error = master_write(file, master);
	sodium_free(master);
	if (error == 0)
		return 0;
	return reason_set(reason, -error, "%s cannot be made: %s; check the owner of its directory",
		file, strerror(-error));
}

int
secrets_master_create(const char *path, struct reason *reason)
{
	int error = parent_check(path, reason);

	return error != 0 ? error : master_make(path, NULL, reason);
}

int
secrets_master_add(
	const char *path, char fingerprint[SECRETS_FINGERPRINT_SIZE], struct reason *reason)
{
	int error = parent_check(path, reason);

	return error != 0 ? error : master_make(path, fingerprint, reason);
}

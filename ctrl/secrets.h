/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Realm master secrets: 32 random bytes in a file each. A file that somebody else could read or
 * swap is refused, not warned about. Only the realm key derived from a master stays in memory, in
 * libsodium's guarded pages.
 */

#include <stdint.h>

#include "crypto/kdf.h"
#include "ctrl/reason.h"

#define SECRETS_MASTER_SIZE      32u
#define SECRETS_FINGERPRINT_SIZE 17u /* 16 hexadecimal digits */
#define SECRETS_MASTERS_MAX      4u  /* of a realm in service at the same time */

struct secrets_master {
	uint8_t *key; /* K_realm, KDF_KEY_SIZE bytes of guarded memory; NULL: no master here */
	char fingerprint[SECRETS_FINGERPRINT_SIZE];
};

/* A realm has one master, or, while it changes to another, several in service. */
struct secrets_realm {
	uint8_t *key; /* of the current master, from which new epochs are derived */
	char fingerprint[SECRETS_FINGERPRINT_SIZE]; /* likewise */
	struct secrets_master masters[SECRETS_MASTERS_MAX];
};

/*
 * Reads the master at `path` (absolute) and keeps what is derived from it for `realm`. Refused: a
 * symbolic link, anything but a regular file of 32 bytes owned by the calling user and closed to
 * group and others, and a directory above it that others may write (unless sticky) or that belongs
 * to neither root nor the calling user. 0, or -errno with the cure; -ENOENT if there is no file.
 * sodium_init() MUST have been called.
 */
int secrets_realm_load(
	struct secrets_realm *secrets, const char *path, uint32_t realm, struct reason *reason);

/*
 * Reads a further master, as secrets_realm_load does, into a free place; the current one stays.
 * Returns its place, or that where it is already; -EINVAL if `fingerprint` (unless NULL) is not its
 * own, -ENOSPC if SECRETS_MASTERS_MAX are in service, or as secrets_realm_load.
 */
int secrets_master_load(struct secrets_realm *secrets, const char *path, uint32_t realm,
	const char *fingerprint, struct reason *reason);

/* The place of a master, or -1. */
int secrets_master_find(const struct secrets_realm *secrets, const char *fingerprint);

/* Makes the master in `place` the current one. */
void secrets_master_use(struct secrets_realm *secrets, unsigned place);

/* Wipes and frees the master in `place`. The current one MUST NOT be dropped. */
void secrets_master_drop(struct secrets_realm *secrets, unsigned place);

/*
 * Makes a further master at `path`.FINGERPRINT, as secrets_master_create; `fingerprint` gets its
 * own. 0 or -errno with the cure.
 */
int secrets_master_add(
	const char *path, char fingerprint[SECRETS_FINGERPRINT_SIZE], struct reason *reason);

/*
 * Makes a master of 32 random bytes at `path` (absolute), durably, for the calling user and with
 * mode 0600. A file that is there is never replaced: -EEXIST. 0 or -errno with the cure.
 */
int secrets_master_create(const char *path, struct reason *reason);

/*
 * Reads any secret of SECRETS_MASTER_SIZE bytes that is kept like a master (secrets_master_create
 * makes it), refusing the same. 0, or -errno with the cure; -ENOENT if there is no file.
 */
int secrets_file_read(uint8_t *secret, const char *path, struct reason *reason);

/* Wipes and frees. */
void secrets_realm_wipe(struct secrets_realm *secrets);

/* Nobody else may write a directory from here up to the root: 0, or -EPERM with the cure. */
int secrets_dir_check(const char *dir, struct reason *reason);

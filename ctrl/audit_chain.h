/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The form of the audit log (docs/audit.md): lines chained by a keyed hash, the key that moves on
 * from file to file, and the anchor that remembers where the log ended.
 *
 * A line is BODY `,"hash":"` 64 hexadecimal digits `"}` newline, where BODY begins with `{"seq":N,`
 * and hash = BLAKE2b-256(key of the file, hash of the line before || BODY).
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctrl/reason.h"

#define AUDIT_DIR         "audit"
#define AUDIT_KEY_NAME    "audit.key"
#define AUDIT_ANCHOR_NAME "audit.anchor"

#define AUDIT_KEY_SIZE  32u
#define AUDIT_HASH_SIZE 32u
#define AUDIT_HEX_SIZE  (2 * AUDIT_HASH_SIZE + 1)
#define AUDIT_TAIL_SIZE (9 + 2 * AUDIT_HASH_SIZE + 3) /* from the comma to the newline */
#define AUDIT_LINE_MAX  65536u
#define AUDIT_FILE_MAX  999999u

/* The key of file number `file`; that of the next file follows from it, never of the one before. */
struct audit_key {
	uint32_t file;
	uint8_t bytes[AUDIT_KEY_SIZE];
};

/* A line of the log. */
struct audit_place {
	uint32_t file;
	uint64_t seq; /* from 1; 0: none */
	uint8_t hash[AUDIT_HASH_SIZE];
};

/*
 * Reads a key file ("CGA1:" number ":" hexadecimal digits), which MUST be a regular file of `owner`
 * or root, closed to everybody else. 0, -ENOENT, or -errno with the cure.
 */
int audit_key_read(struct audit_key *key, const char *path, uid_t owner, struct reason *reason);

/* Makes or replaces the file, durably and atomically. 0 or -errno with the cure. */
int audit_key_write(const struct audit_key *key, const char *path, struct reason *reason);

/* The key of the file after. */
void audit_key_next(struct audit_key *key);

/* The key of `file`, not before key->file: 0, or -ENOKEY. */
int audit_key_of(struct audit_key *out, const struct audit_key *key, uint32_t file);

void audit_hash(uint8_t hash[AUDIT_HASH_SIZE], const struct audit_key *key,
	const uint8_t previous[AUDIT_HASH_SIZE], const char *body, size_t size);

/* Writes the tail behind the body of `size` bytes: AUDIT_TAIL_SIZE bytes, no NUL. */
void audit_line_close(char *line, size_t size, const uint8_t hash[AUDIT_HASH_SIZE]);

/* Takes a line (with its newline) apart. 0, or -EBADMSG if it has not the form. */
int audit_line_open(
	const char *line, size_t size, size_t *body_size, uint8_t hash[AUDIT_HASH_SIZE]);

/* Paths below a state directory; `path` has PATH_MAX bytes. */
void audit_path(char *path, const char *state_dir, const char *name);
void audit_file_path(char *path, const char *state_dir, uint32_t file);

/*
 * The anchor: the last line written, under the key of its file, in a small file apart. Written over
 * in place, in two halves by turns: it needs no room on a full disk and a torn write spoils one.
 * Read: 0, -ENOENT, or -EBADMSG if nothing in it is genuine.
 */
int audit_anchor_read(struct audit_place *anchor, const char *path, const struct audit_key *key);
int audit_anchor_write(int fd, const struct audit_place *anchor, const struct audit_key *key);

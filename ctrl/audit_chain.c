/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/audit_chain.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/filecheck.h"

#define HASH_OPEN      ",\"hash\":\""
#define HASH_CLOSE     "\"}\n"
#define HASH_OPEN_SIZE (sizeof(HASH_OPEN) - 1)
#define KEY_PREFIX     "CGA1:"
#define KEY_TEXT_SIZE  (5 + 6 + 1 + 2 * AUDIT_KEY_SIZE + 1)

/* What a file's key is used for beside its lines; docs/audit.md. */
#define KDF_CONTEXT "CGAudit_"
enum kdf_use {
	KDF_NEXT_FILE = 1,
	KDF_ANCHOR = 2,
};

/* "file seq hash mac\n" */
#define ANCHOR_BODY_SIZE (6 + 1 + 20 + 1 + 2 * AUDIT_HASH_SIZE)
#define ANCHOR_SIZE      (ANCHOR_BODY_SIZE + 1 + 2 * AUDIT_HASH_SIZE + 1)

static_assert(AUDIT_KEY_SIZE == crypto_kdf_KEYBYTES, "keys are derived from keys");
static_assert(AUDIT_TAIL_SIZE == HASH_OPEN_SIZE + 2 * AUDIT_HASH_SIZE + sizeof(HASH_CLOSE) - 1,
	"docs/audit.md");

/* ---- the key ---- */

static int
key_parse(struct audit_key *key, const char *text, size_t size)
{
	char number[7] = "";
	size_t length = 0;

	if (size != KEY_TEXT_SIZE || memcmp(text, KEY_PREFIX, 5) != 0 || text[11] != ':' ||
		text[KEY_TEXT_SIZE - 1] != '\n' || strspn(text + 5, "0123456789") != 6)
		return -EBADMSG;
	memcpy(number, text + 5, 6);
	key->file = (uint32_t)strtoul(number, NULL, 10);
	if (key->file == 0 || sodium_hex2bin(key->bytes, AUDIT_KEY_SIZE, text + 12,
				      2 * AUDIT_KEY_SIZE, NULL, &length, NULL) != 0)
		return -EBADMSG;
	return length == AUDIT_KEY_SIZE ? 0 : -EBADMSG;
}

static int
key_file_check(int fd, const char *path, uid_t owner, struct reason *reason)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return reason_set(reason, EINVAL,
			"%s is not a regular file; put the key of the audit log there itself",
			path);
	if (st.st_uid != owner && st.st_uid != 0)
		return reason_set(reason, EPERM, "%s belongs to uid %u; chown it to uid %u", path,
			st.st_uid, owner);
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return reason_set(reason, EPERM,
			"%s is open to others (mode %04o), who could forge the audit log; chmod "
			"0600",
			path, st.st_mode & 07777);
	return 0;
}

int
audit_key_read(struct audit_key *key, const char *path, uid_t owner, struct reason *reason)
{
	char text[KEY_TEXT_SIZE + 1];
	ssize_t size;
	int fd, error;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	error = key_file_check(fd, path, owner, reason);
	if (error == 0) {
		size = read(fd, text, sizeof(text));
		if (size < 0 || key_parse(key, text, (size_t)size) != 0)
			error = reason_set(reason, EBADMSG,
				"%s is no key of an audit log; restore it from its backup", path);
		sodium_memzero(text, sizeof(text));
	}
	close(fd);
	return error;
}

int
audit_key_write(const struct audit_key *key, const char *path, struct reason *reason)
{
	char text[KEY_TEXT_SIZE + 1], hex[2 * AUDIT_KEY_SIZE + 1];
	int error;

	sodium_bin2hex(hex, sizeof(hex), key->bytes, AUDIT_KEY_SIZE);
	snprintf(text, sizeof(text), KEY_PREFIX "%06u:%s\n", key->file % (AUDIT_FILE_MAX + 1), hex);
	error = filecheck_replace(path, text, KEY_TEXT_SIZE, reason);
	sodium_memzero(text, sizeof(text));
	sodium_memzero(hex, sizeof(hex));
	return error;
}

void
audit_key_next(struct audit_key *key)
{
	uint8_t next[AUDIT_KEY_SIZE];

	crypto_kdf_derive_from_key(next, sizeof(next), KDF_NEXT_FILE, KDF_CONTEXT, key->bytes);
	memcpy(key->bytes, next, sizeof(next));
	sodium_memzero(next, sizeof(next));
	key->file++;
}

int
audit_key_of(struct audit_key *out, const struct audit_key *key, uint32_t file)
{
	if (file < key->file || file > AUDIT_FILE_MAX)
		return -ENOKEY;
	*out = *key;
	while (out->file < file)
		audit_key_next(out);
	return 0;
}

/* ---- lines ---- */

void
audit_hash(uint8_t hash[AUDIT_HASH_SIZE], const struct audit_key *key,
	const uint8_t previous[AUDIT_HASH_SIZE], const char *body, size_t size)
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, key->bytes, AUDIT_KEY_SIZE, AUDIT_HASH_SIZE);
	crypto_generichash_update(&state, previous, AUDIT_HASH_SIZE);
	crypto_generichash_update(&state, (const unsigned char *)body, size);
	crypto_generichash_final(&state, hash, AUDIT_HASH_SIZE);
	sodium_memzero(&state, sizeof(state));
}

void
audit_line_close(char *line, size_t size, const uint8_t hash[AUDIT_HASH_SIZE])
{
	char tail[AUDIT_TAIL_SIZE + 1], hex[AUDIT_HEX_SIZE];

	sodium_bin2hex(hex, sizeof(hex), hash, AUDIT_HASH_SIZE);
	snprintf(tail, sizeof(tail), HASH_OPEN "%s" HASH_CLOSE, hex);
	memcpy(line + size, tail, AUDIT_TAIL_SIZE);
}

int
audit_line_open(const char *line, size_t size, size_t *body_size, uint8_t hash[AUDIT_HASH_SIZE])
{
	const char *tail;
	size_t length;

	if (size <= AUDIT_TAIL_SIZE)
		return -EBADMSG;
	*body_size = size - AUDIT_TAIL_SIZE;
	tail = line + *body_size;
	if (memcmp(tail, HASH_OPEN, HASH_OPEN_SIZE) != 0 ||
		memcmp(line + size - 3, HASH_CLOSE, 3) != 0)
		return -EBADMSG;
	tail += HASH_OPEN_SIZE;
	/* One spelling only: upper-case digits would be a change that nobody finds. */
	for (size_t i = 0; i < 2 * AUDIT_HASH_SIZE; i++)
		if (strchr("0123456789abcdef", tail[i]) == NULL || tail[i] == '\0')
			return -EBADMSG;
	sodium_hex2bin(hash, AUDIT_HASH_SIZE, tail, 2 * AUDIT_HASH_SIZE, NULL, &length, NULL);
	return length == AUDIT_HASH_SIZE ? 0 : -EBADMSG;
}

/* ---- paths ---- */

void
audit_path(char *path, const char *state_dir, const char *name)
{
	snprintf(path, PATH_MAX, "%.4000s/%.64s", state_dir, name);
}

void
audit_file_path(char *path, const char *state_dir, uint32_t file)
{
	snprintf(path, PATH_MAX, "%.4000s/" AUDIT_DIR "/audit.%06u.jsonl", state_dir, file);
}

/* ---- the anchor ---- */

static void
anchor_mac(char hex[AUDIT_HEX_SIZE], const char *body, const struct audit_key *key)
{
	uint8_t anchor_key[AUDIT_KEY_SIZE], mac[AUDIT_HASH_SIZE];

	crypto_kdf_derive_from_key(
		anchor_key, sizeof(anchor_key), KDF_ANCHOR, KDF_CONTEXT, key->bytes);
	crypto_generichash(mac, sizeof(mac), (const unsigned char *)body, ANCHOR_BODY_SIZE,
		anchor_key, sizeof(anchor_key));
	sodium_bin2hex(hex, AUDIT_HEX_SIZE, mac, sizeof(mac));
	sodium_memzero(anchor_key, sizeof(anchor_key));
}

static int
anchor_parse(struct audit_place *anchor, const char *text, const struct audit_key *key)
{
	char hash[AUDIT_HEX_SIZE], mac[AUDIT_HEX_SIZE], wanted[AUDIT_HEX_SIZE];
	struct audit_key own;
	size_t length = 0;

	if (sscanf(text, "%6" SCNu32 " %20" SCNu64 " %64[0-9a-f] %64[0-9a-f]\n", &anchor->file,
		    &anchor->seq, hash, mac) != 4)
		return -EBADMSG;
	if (audit_key_of(&own, key, anchor->file) != 0)
		return -ENOKEY;
	anchor_mac(wanted, text, &own);
	sodium_memzero(&own, sizeof(own));
	if (sodium_memcmp(mac, wanted, AUDIT_HEX_SIZE) != 0 ||
		sodium_hex2bin(anchor->hash, AUDIT_HASH_SIZE, hash, 2 * AUDIT_HASH_SIZE, NULL,
			&length, NULL) != 0 ||
		length != AUDIT_HASH_SIZE)
		return -EBADMSG;
	return 0;
}

int
audit_anchor_read(struct audit_place *anchor, const char *path, const struct audit_key *key)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	int error = -EBADMSG;

	memset(anchor, 0, sizeof(*anchor));
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -EBADMSG;
	for (unsigned half = 0; half < 2; half++) {
		char text[ANCHOR_SIZE + 1] = "";
		struct audit_place place;

		if (pread(fd, text, ANCHOR_SIZE, half * ANCHOR_SIZE) == (ssize_t)ANCHOR_SIZE &&
			anchor_parse(&place, text, key) == 0 && place.seq > anchor->seq) {
			*anchor = place;
			error = 0;
		}
	}
	close(fd);
	return error;
}

int
audit_anchor_write(int fd, const struct audit_place *anchor, const struct audit_key *key)
{
	char text[ANCHOR_SIZE + 1], hash[AUDIT_HEX_SIZE], mac[AUDIT_HEX_SIZE];

	sodium_bin2hex(hash, sizeof(hash), anchor->hash, AUDIT_HASH_SIZE);
	snprintf(text, sizeof(text), "%06" PRIu32 " %020" PRIu64 " %s",
		anchor->file % (AUDIT_FILE_MAX + 1), anchor->seq, hash);
	anchor_mac(mac, text, key);
	snprintf(text + ANCHOR_BODY_SIZE, sizeof(text) - ANCHOR_BODY_SIZE, " %s\n", mac);
	if (pwrite(fd, text, ANCHOR_SIZE, (off_t)(anchor->seq & 1) * (off_t)ANCHOR_SIZE) !=
		(ssize_t)ANCHOR_SIZE)
		return -EIO;
	return 0;
}

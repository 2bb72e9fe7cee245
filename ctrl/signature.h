/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Detached signatures of configuration and policies (docs/audit.md): Ed25519, one line of text
 * "CGS1:" base64url ":" in FILE.sig. A signature is made for a purpose ("config", "policy/REALM")
 * and has a serial, so that a good old file is none for another place or a later time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ctrl/reason.h"

#define SIGNATURE_PUBLIC_SIZE  32u
#define SIGNATURE_SEED_SIZE    32u
#define SIGNATURE_KEY_ID_SIZE  8u
#define SIGNATURE_BYTES_SIZE   64u
#define SIGNATURE_PURPOSE_SIZE 48u /* with the NUL */
#define SIGNATURE_DIGEST_SIZE  32u

/* "CGP1:" 43 characters ":"; likewise "CGX1:" for the seed of a secret key. */
#define SIGNATURE_KEY_TEXT_SIZE (5 + 43 + 1)
/* "CGS1:" base64url(key id 8, serial 8, signature 64) ":" */
#define SIGNATURE_TEXT_SIZE (5 + 107 + 1)

#define SIGNATURE_FOR_CONFIG      "config"
#define SIGNATURE_FOR_POLICY      "policy/" /* and the realm's name */
#define SIGNATURE_FOR_REQUIREMENT "requirement"

/* ---- signature.c: keys, signing, checking; any thread ---- */

/* The text of a public key, or of a seed (a secret); NUL-terminated. */
void signature_public_text(
	char text[SIGNATURE_KEY_TEXT_SIZE + 1], const uint8_t key[SIGNATURE_PUBLIC_SIZE]);
void signature_seed_text(
	char text[SIGNATURE_KEY_TEXT_SIZE + 1], const uint8_t seed[SIGNATURE_SEED_SIZE]);

/* The key in a text, behind which one newline may stand. 0 or -EBADMSG. */
int signature_public_parse(uint8_t key[SIGNATURE_PUBLIC_SIZE], const char *text);
int signature_seed_parse(uint8_t seed[SIGNATURE_SEED_SIZE], const char *text);

/* The public key of a seed. */
void signature_public_of(
	uint8_t key[SIGNATURE_PUBLIC_SIZE], const uint8_t seed[SIGNATURE_SEED_SIZE]);

/* BLAKE2b-256 of what is signed. */
void signature_digest(uint8_t digest[SIGNATURE_DIGEST_SIZE], const void *bytes, size_t size);

/* The line, NUL-terminated, without a newline. `purpose` MUST be shorter than its size. */
void signature_make(char text[SIGNATURE_TEXT_SIZE + 1], const uint8_t seed[SIGNATURE_SEED_SIZE],
	const char *purpose, uint64_t serial, const uint8_t digest[SIGNATURE_DIGEST_SIZE]);

/*
 * Is the line (one newline may follow) this key's signature of the digest, for this purpose? 0 with
 * its serial; -EBADMSG: no such line; -ENOKEY: another key's; -EKEYREJECTED: the text or the purpose
 * is another one. Errors come with the cure.
 */
int signature_check(const char *text, const uint8_t key[SIGNATURE_PUBLIC_SIZE], const char *purpose,
	const uint8_t digest[SIGNATURE_DIGEST_SIZE], uint64_t *serial, struct reason *reason)
	__attribute__((warn_unused_result));

/* ---- signature_rule.c: what a gateway requires ---- */

#define SIGNATURE_SERIALS_MAX    80u
#define SIGNATURE_GATEWAY_SIZE   17u /* 16 hexadecimal digits */
#define SIGNATURE_RULE_NAME      "signature"
#define SIGNATURE_STATEMENT_SIZE 160u

struct signature_serial {
	char purpose[SIGNATURE_PURPOSE_SIZE];
	uint64_t serial; /* the highest that was in force */
};

struct signature_rule {
	char state_dir[256];
	char gateway[SIGNATURE_GATEWAY_SIZE]; /* which gateway a statement is about; "": none yet */
	bool has_key;                         /* signatures are required */
	uint8_t key[SIGNATURE_PUBLIC_SIZE];
	struct signature_serial serials[SIGNATURE_SERIALS_MAX];
	unsigned serial_count;
};

/*
 * Reads what the gateway of this state directory requires, from a file of `owner`'s or root's that
 * is closed to others. 0 (also if nothing was ever required), or -errno with the cure.
 */
int signature_rule_load(
	struct signature_rule *rule, const char *state_dir, uid_t owner, struct reason *reason);

/* The highest serial that was in force for a purpose; 0: none. */
uint64_t signature_rule_serial(const struct signature_rule *rule, const char *purpose);

/*
 * If signatures are required: is `text` (NULL: there is none) a good one, with a serial that is not
 * behind the last? 0 with *serial, else -errno with the cure. *serial is 0 if nothing is required.
 */
int signature_rule_check(const struct signature_rule *rule, const char *purpose,
	const uint8_t digest[SIGNATURE_DIGEST_SIZE], const char *text, uint64_t *serial,
	struct reason *reason) __attribute__((warn_unused_result));

/* Remembers, durably, that this serial is in force. 0 or -errno with the cure. */
int signature_rule_accept(
	struct signature_rule *rule, const char *purpose, uint64_t serial, struct reason *reason);

/* What must be signed, for SIGNATURE_FOR_REQUIREMENT, to change the requirement to `key_text`. */
void signature_statement(
	char statement[SIGNATURE_STATEMENT_SIZE], const char *gateway, const char *key_text);

/*
 * Sets the key, or clears the requirement (`key` NULL). Once there is one, `signature` MUST be that
 * key's of the statement, with a serial above every earlier one. 0 or -errno with the cure.
 */
int signature_rule_set(struct signature_rule *rule, const uint8_t *key, const char *signature,
	struct reason *reason);

/* ---- for those who put texts in force ---- */

struct config;
struct ctrl;

/* Checks FILE.sig of a configuration, if signatures are required. 0 with *serial, or -errno. */
int signature_config_check(const struct signature_rule *rule, const struct config *config,
	uid_t owner, uint64_t *serial, struct reason *reason);

/* Is a signature required of whatever is put in force? */
bool signature_is_required(const struct ctrl *ctrl);

/*
 * May this text be put in force for `purpose`? `signature` is the line that came with it, or NULL.
 * 0 with *serial, for signature_rule_accept once it is in force; or -errno with the cure.
 */
int signature_text_check(const struct ctrl *ctrl, const char *purpose, const char *text,
	const char *signature, uint64_t *serial, struct reason *reason)
	__attribute__((warn_unused_result));

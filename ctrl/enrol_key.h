/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The gateway's own secret of enrolment: 32 random bytes in STATE_DIR/enrol.key, made once. Its
 * X25519 key and the secrets of all join codes are derived from it, so that a code's secret is
 * stored nowhere. Kept in libsodium's guarded memory. Control's one thread.
 */

#include "ctrl/reason.h"
#include "wire/join.h"

struct enrol_key {
	uint8_t *secrets; /* guarded: the X25519 secret, then the key that makes codes' secrets */
	uint8_t public[JOIN_PUBLIC_SIZE];
	bool is_new; /* made by this start: codes of before cannot be proved any more */
};

/*
 * Reads the file, or makes it. Refuses what secrets_realm_load refuses. 0, or -errno with the cure.
 * sodium_init() MUST have been called.
 */
int enrol_key_open(struct enrol_key *key, const char *state_dir, struct reason *reason);

/* Wipes and frees; also one that was not opened. */
void enrol_key_close(struct enrol_key *key);

/* The X25519 secret, for crypto/join.h. */
const uint8_t *enrol_key_secret(const struct enrol_key *key);

/* The whole code with this id. Wipe it after use. */
void enrol_key_code(
	const struct enrol_key *key, struct join_code *code, uint64_t id, uint32_t realm);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Join codes in the registry (docs/enrolment.md): what each is for and what became of it, never the
 * secret itself. One per name and realm; revoking, renaming or deleting the node drops its code in
 * the same transaction. Control's one thread; 0 or -errno with the cure, if nothing else is said.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ctrl/registry.h"
#include "wire/join.h"

#define REGISTRY_CODES_MAX      65536u
#define REGISTRY_CODE_WRONG_MAX 5u /* wrong proofs that burn a code */
#define REGISTRY_CODE_TEXT_SIZE 1024u

enum registry_code_state {
	REGISTRY_CODE_OPEN = 1,
	REGISTRY_CODE_CLAIMED = 2, /* by the node that has the ephemeral key `public` */
	REGISTRY_CODE_BURNT = 3,   /* after too many wrong proofs */
};

struct registry_code {
	uint64_t id;
	uint32_t realm;
	char name[REGISTRY_NAME_SIZE];
	enum registry_code_state state;
	uint8_t suite;      /* 0: the default, or that of the node's newest key */
	bool binds_address; /* the address it joins from becomes its only prefix */
	bool closes_old;    /* older keys of the node end when it has joined */
	int64_t made_s;
	int64_t expires_s;
	struct registry_prefix prefixes[TABLE_NODE_PREFIXES_MAX];
	unsigned prefix_count; /* 0: from anywhere, and a node that is there keeps its own */
	char roles[REGISTRY_ROLES_MAX][REGISTRY_ROLE_SIZE];
	unsigned role_count;
	char who[REGISTRY_WHO_SIZE]; /* invited it */
	unsigned wrong;              /* wrong proofs so far */
	uint8_t public[JOIN_PUBLIC_SIZE];
	uint8_t source[16]; /* whence it was claimed */
	int64_t claimed_s;
	uint32_t node; /* what it got; 0: nothing yet */
	uint16_t epoch;
};

/* Notes a new code in place of any of the same name. -ENOSPC above REGISTRY_CODES_MAX. */
int registry_code_add(
	struct registry *registry, const struct registry_code *code, struct reason *reason);

/* 1 if there is a code with this id (expired or not), 0 if not, -errno. */
int registry_code_find(
	struct registry *registry, uint64_t id, struct registry_code *code, struct reason *reason);

/* Calls `each` for the realm's codes with names above `after`, ascending, until it returns false. */
int registry_code_walk(struct registry *registry, uint32_t realm, const char *after,
	bool (*each)(const struct registry_code *code, void *context), void *context,
	struct reason *reason);

/* Counts a wrong proof; the REGISTRY_CODE_WRONG_MAX-th burns the code. */
int registry_code_wrong(struct registry *registry, uint64_t id, struct reason *reason);

/* An open code becomes claimed: durable when it returns 0. -EALREADY if it was not open. */
int registry_code_claim(struct registry *registry, uint64_t id,
	const uint8_t public[JOIN_PUBLIC_SIZE], const uint8_t source[16], struct reason *reason);

/* Notes which key the claimed code was answered with. */
int registry_code_done(struct registry *registry, uint64_t id, uint32_t node, uint16_t epoch,
	struct reason *reason);

/* Drops the code of a name; *count gets 1, or 0 if there was none. */
int registry_code_drop(struct registry *registry, uint32_t realm, const char *name, unsigned *count,
	struct reason *reason);

/* Drops those that ended, or all. */
int registry_codes_expire(struct registry *registry, int64_t now_s, struct reason *reason);
int registry_codes_clear(struct registry *registry, struct reason *reason);

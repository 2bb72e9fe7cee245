/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CREDGATE_MINT_H
#define CREDGATE_MINT_H

/*
 * Issuing credentials from a node key file. All threads, processes and containers that use one key
 * draw serials from one state file beside it (KEYFILE.serial), so that none is ever used twice:
 * not across threads, forks, crashes or reboots.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CG_CREDENTIAL_MAX 1232 /* bytes of the largest credential: one UDP payload */
#define CG_PAYLOAD_MAX    1136
#define CG_TEXT_MAX       1650 /* characters of the largest text form, with the NUL */
#define CG_ANYONE         UINT32_MAX

#define CG_KIND_ASSERT 1
#define CG_KIND_BEACON 2

/* A node's key, loaded. May be used by many threads at once, and after fork. */
struct cg_key;

/*
 * Loads the key file and opens its serial state (made if it is missing). Refuses a file that others
 * may read or write, or that is not a key; without a writable state file it fails, since serials
 * would repeat. Negative errno on failure.
 */
int cg_key_open(struct cg_key **key, const char *path);
void cg_key_close(struct cg_key *key);

uint32_t cg_key_realm(const struct cg_key *key);
uint32_t cg_key_node(const struct cg_key *key);
uint16_t cg_key_epoch(const struct cg_key *key);
unsigned cg_key_suite(const struct cg_key *key);

/* What to say. CG_CLAIM_INIT gives an assert by the calling process, for anyone, any audience. */
struct cg_claim {
	size_t size; /* sizeof(struct cg_claim): the ABI grows at the end */
	unsigned kind;
	int wants_reply;
	uint32_t ttl_s; /* 0: the realm's default */
	uint32_t audience;
	uint32_t uid;
	uint32_t gid;
	uint32_t auth_uid; /* who may read it; CG_ANYONE */
	uint32_t auth_gid;
	uint8_t origin[16]; /* the sending address, IPv4 as ::ffff:a.b.c.d; zero: not stated */
	uint64_t issued_us; /* 0: now */
	const void *payload;
	size_t payload_size;
};

/* Fills a claim with the defaults: assert, no reply, uid and gid of the process. */
void cg_claim_init(struct cg_claim *claim);

/* Issues one credential into `buffer` (CG_CREDENTIAL_MAX always fits). Returns its size. */
int cg_mint(struct cg_key *key, const struct cg_claim *claim, void *buffer, size_t room);

/*
 * Issues `count` credentials at once: one step of the serial state, tags made in batches. They are
 * meant to be sent at once. buffers[i] has `room` bytes; sizes[i] gets the size. Returns count.
 */
int cg_mint_batch(struct cg_key *key, const struct cg_claim *claims, size_t count,
	void *const *buffers, size_t room, size_t *sizes);

/* Text form (NUL-terminated) of a credential and back. Return the length, or negative errno. */
int cg_text_encode(char *text, size_t room, const void *credential, size_t size);
int cg_text_decode(void *credential, size_t room, const char *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif

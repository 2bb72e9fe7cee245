/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Enrolment on the wire (docs/enrolment.md): the join code that an operator passes on, the request
 * that a node sends and the answer it gets. Bytes only; crypto/join.h proves and opens them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/text.h"

#define JOIN_PUBLIC_SIZE 32u
#define JOIN_SECRET_SIZE 16u
#define JOIN_MAC_SIZE    32u
#define JOIN_NAME_SIZE   64u  /* with at least one NUL */
#define JOIN_TEXT_SIZE   144u /* likewise */

/* ---- the code ---- */

/* Wipe it after use (sodium_memzero): whoever has it may join. */
struct join_code {
	uint64_t id;
	uint32_t realm;
	uint8_t secret[JOIN_SECRET_SIZE];
	uint8_t gateway[JOIN_PUBLIC_SIZE]; /* the gateway's public key */
};

#define JOIN_CODE_BYTES     64
#define JOIN_CODE_TEXT_SIZE (5 + TEXT_BASE64_SIZE(JOIN_CODE_BYTES) + 1)

/* "CGJ1:" base64url ":", NUL-terminated. Constant-time in the secret. */
void join_code_encode(char text[JOIN_CODE_TEXT_SIZE + 1], const struct join_code *code);

/*
 * 0; -EINVAL if the text has not the form of a join code, -EBADMSG if it has but was mistyped (its
 * checksum is wrong). `code` is then free of secrets. Any thread.
 */
int join_code_decode(struct join_code *code, const char *text, size_t length);

/* ---- the request ---- */

#define JOIN_REQUEST_SIZE    152u
#define JOIN_REQUEST_PUBLIC  24u  /* offset of the node's ephemeral key */
#define JOIN_REQUEST_MAC     120u /* offset of the MAC, which covers all before it */
#define JOIN_REQUEST_HEAD    8u   /* magic, version and length: enough to refuse a stranger */
#define JOIN_REQUEST_VERSION 1u

struct join_request {
	uint64_t id; /* of the code */
	uint32_t realm;
	uint8_t public[JOIN_PUBLIC_SIZE]; /* the node's ephemeral key */
	char name[JOIN_NAME_SIZE]; /* who the node thinks it is; empty: whoever the code says */
};

/* Writes all but the MAC. `name` MUST be shorter than JOIN_NAME_SIZE. */
void join_request_build(uint8_t msg[JOIN_REQUEST_SIZE], const struct join_request *request);

/* Is this the beginning of a request of this version? `size` may be less than the head. */
bool join_request_begins(const uint8_t *msg, size_t size);

/* 0 or -EBADMSG. What is parsed is a claim until the MAC is proved (join_request_prove). */
int join_request_parse(struct join_request *request, const uint8_t *msg, size_t size);

/* ---- the answer ---- */

enum join_kind {
	JOIN_SEALED = 1,  /* from whoever knows the code and the gateway's key */
	JOIN_REFUSED = 2, /* from anybody: the code is unknown, used up, expired, or mistyped */
	JOIN_BUSY = 3,    /* from anybody: ask again after retry_ms */
};

#define JOIN_ANSWER_PUBLIC 8u  /* offset of the gateway's ephemeral key */
#define JOIN_ANSWER_HEAD   40u /* of a sealed one: header and the gateway's ephemeral key */
#define JOIN_SEAL_SIZE     16u
#define JOIN_BODY_SIZE     256u
#define JOIN_SEALED_SIZE   (JOIN_ANSWER_HEAD + JOIN_BODY_SIZE + JOIN_SEAL_SIZE)
#define JOIN_PLAIN_SIZE    12u
#define JOIN_RETRY_MS_MAX  60000u

/* Writes the head of a sealed answer. */
void join_answer_build(uint8_t msg[JOIN_ANSWER_HEAD], const uint8_t public[JOIN_PUBLIC_SIZE]);

/* Writes a whole plain answer: JOIN_REFUSED (retry_ms 0) or JOIN_BUSY. */
void join_plain_build(uint8_t msg[JOIN_PLAIN_SIZE], enum join_kind kind, uint32_t retry_ms);

/*
 * The kind of an answer, JOIN_SEALED_SIZE or JOIN_PLAIN_SIZE bytes by it; *retry_ms gets that of a
 * plain one, at most JOIN_RETRY_MS_MAX. -EBADMSG if it is none.
 */
int join_answer_parse(const uint8_t *msg, size_t size, uint32_t *retry_ms);

/* How many bytes the answer that begins like this has; 0: more are needed to tell, -EBADMSG. */
int join_answer_size(const uint8_t *msg, size_t size);

/* What a sealed answer says. Numbers are fixed for ever. */
enum join_status {
	JOIN_WELCOME = 1,     /* with the node's key */
	JOIN_SPENT = 2,       /* the code was used with another ephemeral key */
	JOIN_WRONG_NAME = 3,  /* the code is for another name, which `name` tells */
	JOIN_WRONG_PLACE = 4, /* the code is for other addresses than the one that asks */
	JOIN_FAILED = 5, /* the gateway could not do it, `text` says why; the code is still good */
};

/* Wipe it after use: it may hold a key. */
struct join_body {
	enum join_status status;
	struct node_key key;       /* JOIN_WELCOME only; else zero */
	char name[JOIN_NAME_SIZE]; /* of the node that the code is for */
	char text[JOIN_TEXT_SIZE]; /* for people; printable ASCII */
};

/* Writes a body, JOIN_BODY_SIZE bytes whatever it says. Longer texts are cut. */
void join_body_build(uint8_t msg[JOIN_BODY_SIZE], const struct join_body *body);

/* 0, or -EBADMSG: then `body` is zero. Its bytes MUST have been proved. */
int join_body_parse(struct join_body *body, const uint8_t msg[JOIN_BODY_SIZE]);

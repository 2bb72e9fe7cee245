/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The keys of enrolment (docs/enrolment.md): a node that has a join code and a gateway that made it
 * prove that to each other, and the node's key crosses under a key that both ephemeral keys, the
 * gateway's own and the code's secret go into. Ordinary threads; sodium_init() MUST have been called.
 */

#include <stdint.h>

#include "wire/join.h"

/* The public half of an X25519 secret of 32 random bytes. */
void join_public(uint8_t public[JOIN_PUBLIC_SIZE], const uint8_t secret[JOIN_PUBLIC_SIZE]);

/*
 * Node: writes a whole request with its MAC. `secret` is the node's ephemeral one: fresh for each
 * code, and the same when it asks again. 0, or -EBADMSG if the code's public key is none.
 */
int join_request_make(uint8_t msg[JOIN_REQUEST_SIZE], const struct join_code *code,
	const uint8_t secret[JOIN_PUBLIC_SIZE], const char *name);

/*
 * Gateway: all ones if whoever wrote the request knows the code, else 0. `gateway` is the secret
 * half of code->gateway. The request MUST have been parsed.
 */
__attribute__((warn_unused_result)) uint64_t join_request_prove(
	const uint8_t msg[JOIN_REQUEST_SIZE], const struct join_code *code,
	const uint8_t gateway[JOIN_PUBLIC_SIZE]);

/*
 * Gateway: seals a body for whoever made the request. `secret` is the gateway's ephemeral one: it
 * MUST be fresh for each answer. 0, or -EBADMSG if the request's public key is none.
 */
int join_answer_seal(uint8_t msg[JOIN_SEALED_SIZE], const struct join_body *body,
	const uint8_t request[JOIN_REQUEST_SIZE], const struct join_code *code,
	const uint8_t gateway[JOIN_PUBLIC_SIZE], const uint8_t secret[JOIN_PUBLIC_SIZE]);

/*
 * Node: opens the answer to its own request. 0, or -EBADMSG: not from the gateway of the code, or
 * not for this request; then `body` is zero.
 */
int join_answer_open(struct join_body *body, const uint8_t msg[JOIN_SEALED_SIZE],
	const uint8_t request[JOIN_REQUEST_SIZE], const struct join_code *code,
	const uint8_t secret[JOIN_PUBLIC_SIZE]);

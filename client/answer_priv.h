/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Proving a reply; the datagrams themselves are exchange.c. */

#include <stddef.h>
#include <stdint.h>

#include <credgate/exchange.h>

/* The struct of the first release: callers built with it are served for ever. */
#define ANSWER_BASE 56u

/* A floor further ahead than this is no floor but a mistake, or an attack on the issuer. */
#define ANSWER_FLOOR_SERIALS_MAX ((uint64_t)1 << 40)
#define ANSWER_FLOOR_US_MAX      ((uint64_t)3600 * 1000000)

/* Is this a credential that `key` issued? 0, or -EINVAL with cg_error set. */
int answer_request_check(const struct cg_key *key, const void *request, size_t request_size);

/*
 * cg_answer_verify for a checked request, into a struct of our own; `serial` gets the reply's own
 * serial, by which two replies differ. 0 or -EBADMSG, and another errno if it cannot be tried.
 */
int answer_prove(struct cg_key *key, const uint8_t *request, size_t request_size,
	const uint8_t *reply, size_t reply_size, struct cg_answer *answer, uint64_t *serial);

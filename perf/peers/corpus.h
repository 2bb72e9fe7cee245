/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Credentials minted beforehand: 96 bytes each, one behind the other, each from a node drawn at
 * random, fresh ones with the node's next serial. Forged ones have one wrong bit in the tag;
 * replayed ones are the bytes of the last genuine one before them.
 */

#include <stddef.h>
#include <stdint.h>

#include "perf/peers/realm.h"
#include "wire/cred.h"

#define CORPUS_CRED_SIZE CRED_SIZE_MIN

enum corpus_scheme {
	CORPUS_CMAC128, /* the credential of docs/wire-format.md, suite cmac128 */
	CORPUS_HMAC,    /* the same bytes with the first 16 of crypto_auth over them as the tag */
	CORPUS_SCHEME_COUNT,
};

struct corpus_params {
	enum corpus_scheme scheme;
	size_t count;
	unsigned forged_percent;
	unsigned replayed_percent;
	uint8_t origin[16];
};

struct corpus {
	uint8_t *msgs;
	size_t count;
	size_t genuine;
	size_t forged;
	size_t replayed;
};

/* The scheme of a name ("cmac128", "hmac"), or -1. */
int corpus_scheme_find(const char *name);

/*
 * Mints anew, with the present time and with serials above all of earlier runs. Returns 0, -ENOMEM,
 * or -ENOTSUP if no tag kernel runs here. sodium_init() MUST have been called.
 */
int corpus_mint(
	struct corpus *corpus, const struct realm *realm, const struct corpus_params *params);
void corpus_free(struct corpus *corpus);

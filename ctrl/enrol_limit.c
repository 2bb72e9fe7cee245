/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/enrol_limit.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define TOKEN_US (1000000u / ENROL_LIMIT_PER_S)
#define DEPTH_US ((uint64_t)ENROL_LIMIT_BURST * TOKEN_US)

static_assert(sizeof(((struct enrol_limit *)0)->key) == crypto_shorthash_KEYBYTES, "libsodium");

void
enrol_limit_init(struct enrol_limit *limit)
{
	memset(limit, 0, sizeof(*limit));
	randombytes_buf(limit->key, sizeof(limit->key));
}

/* An IPv4 address (::ffff:a.b.c.d) whole, of an IPv6 address the network of 64 bits. */
static void
place_of(uint8_t place[ENROL_LIMIT_PLACE], const uint8_t source[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

	memset(place, 0, ENROL_LIMIT_PLACE);
	place[0] = memcmp(source, mapped, sizeof(mapped)) == 0 ? 4 : 6;
	if (place[0] == 4)
		memcpy(place + 1, source + 12, 4);
	else
		memcpy(place + 1, source, 8);
}

/* The bucket of a place, or the one of its set that has been full for longest. */
static struct enrol_limit_bucket *
bucket_of(struct enrol_limit *limit, const uint8_t source[16])
{
	struct enrol_limit_bucket *set, *stalest;
	uint8_t place[ENROL_LIMIT_PLACE], hash[crypto_shorthash_BYTES];

	place_of(place, source);
	crypto_shorthash(hash, place, sizeof(place), limit->key);
	set = limit->buckets[hash[0] % ENROL_LIMIT_SETS];
	stalest = &set[0];
	for (unsigned i = 0; i < ENROL_LIMIT_WAYS; i++) {
		if (set[i].is_used && memcmp(set[i].place, place, sizeof(place)) == 0)
			return &set[i];
		if (set[i].full_us < stalest->full_us)
			stalest = &set[i];
	}
	memset(stalest, 0, sizeof(*stalest));
	memcpy(stalest->place, place, sizeof(place));
	stalest->is_used = true;
	return stalest;
}

bool
enrol_limit_take(struct enrol_limit *limit, const uint8_t source[16], uint64_t now_us)
{
	struct enrol_limit_bucket *bucket = bucket_of(limit, source);
	uint64_t full_us = bucket->full_us > now_us ? bucket->full_us : now_us;

	if (full_us + TOKEN_US > now_us + DEPTH_US)
		return false;
	bucket->full_us = full_us + TOKEN_US;
	return true;
}

void
enrol_limit_give(struct enrol_limit *limit, const uint8_t source[16], uint64_t now_us)
{
	struct enrol_limit_bucket *bucket = bucket_of(limit, source);

	if (bucket->full_us > now_us + TOKEN_US)
		bucket->full_us -= TOKEN_US;
	else
		bucket->full_us = now_us;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/budget.h"

#include <assert.h>
#include <string.h>

#include "dataplane/rate.h"

#define NS_A_SECOND 1000000000u

static_assert(sizeof(((struct budget *)0)->key) == 32, "budget_init");

void
budget_init(struct budget *budget, const uint8_t key[32], uint32_t a_second)
{
	memset(budget, 0, sizeof(*budget));
	memcpy(budget->key, key, sizeof(budget->key));
	budget->interval_ns = a_second != 0 ? NS_A_SECOND / a_second : 0;
}

/* Who can have one IPv6 address has its /64; a mapped IPv4 address counts whole. */
static void
source_words(const uint8_t source[16], uint64_t words[2])
{
	memcpy(words, source, 16);
	if (words[0] != 0)
		words[1] = 0;
}

/* Half of a product of 128 bits of two secret sums, folded: universal enough for a sketch. */
static unsigned
place_of(const struct budget *budget, unsigned row, const uint64_t words[2])
{
	const unsigned __int128 product = (unsigned __int128)(words[0] ^ budget->key[2 * row]) *
					  (words[1] ^ budget->key[2 * row + 1]);
	const uint64_t mixed = (uint64_t)product ^ (uint64_t)(product >> 64);

	return (unsigned)(mixed * 0x9e3779b97f4a7c15ull >> (64 - BUDGET_PLACES_LOG2));
}

/* A place shared with a noisy source is not enough to be noisy: both would have to be. */
bool
budget_take(struct budget *budget, const uint8_t source[16], uint64_t mono_us)
{
	uint64_t words[2];
	bool has_token = false;

	if (budget->interval_ns == 0)
		return true;
	source_words(source, words);
	for (unsigned row = 0; row < BUDGET_ROWS; row++)
		has_token |= rate_take(&budget->words[row][place_of(budget, row, words)],
			mono_us * 1000, budget->interval_ns, NS_A_SECOND);
	return has_token;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/limit.h"

#define NS_A_MS      1000000u
#define RETRY_MS_MIN 20u
#define RETRY_MS_MAX 60000u
/* More than a burst and what is handed over in it can take. */
#define TOKENS_MAX (4u * BURST_FRAMES_MAX)

/* This worker's share of a limit, as control has set it last. */
static const struct meter_share *
share_of(const struct worker *worker, unsigned limit)
{
	return &worker->config.meters->shares[limit % TABLE_LIMITS_MAX][worker->index];
}

/* How many tokens there are now, as far as a burst can want them. */
static uint32_t
tokens_count(uint64_t word, uint64_t now_ns, uint64_t interval_ns, uint64_t depth_ns)
{
	const uint64_t owed_ns = rate_full_ns(word, now_ns, depth_ns) - now_ns;
	uint64_t tokens;

	if (interval_ns == 0)
		return TOKENS_MAX;
	if (interval_ns == RATE_NONE)
		return 0;
	tokens = (depth_ns - owed_ns) / interval_ns;
	return tokens < TOKENS_MAX ? (uint32_t)tokens : TOKENS_MAX;
}

void
limit_open(struct worker *worker, unsigned limit)
{
	const struct meter_share *share = share_of(worker, limit);
	struct limit_bucket *bucket = &worker->limits.buckets[limit];
	const uint64_t now_ns = worker->burst.mono_ns;
	const uint64_t depth_ns = atomic_load_explicit(&share->depth_ns, memory_order_relaxed);

	bucket->interval_ns = atomic_load_explicit(&share->interval_ns, memory_order_relaxed);
	bucket->word = rate_full_ns(bucket->word, now_ns, depth_ns);
	bucket->left = tokens_count(bucket->word, now_ns, bucket->interval_ns, depth_ns);
	bucket->given = bucket->left;
	worker->limits.open[limit / 64] |= (uint64_t)1 << limit % 64;
	worker->limits.any_open = 1;
}

static void
bucket_close(struct worker *worker, unsigned limit)
{
	struct limit_bucket *bucket = &worker->limits.buckets[limit];
	const uint64_t given = bucket->given - bucket->left;

	bucket->word += given * (bucket->interval_ns != RATE_NONE ? bucket->interval_ns : 0);
	stat_add(&worker->stats->limit_taken[limit], given);
}

void
limit_close(struct worker *worker)
{
	struct limit_buckets *limits = &worker->limits;

	for (unsigned i = 0; i < TABLE_LIMITS_MAX / 64; i++)
		for (; limits->open[i] != 0; limits->open[i] &= limits->open[i] - 1)
			bucket_close(worker, i * 64 + (unsigned)__builtin_ctzll(limits->open[i]));
	limits->any_open = 0;
}

void
limit_note(struct worker *worker, const struct key_slot *slot, const struct replay_node *node)
{
	const struct table_class *class = limit_class(worker->burst.view.rules, slot);

	if (class->limit != 0 && limit_node_has_token(class, node, worker->burst.mono_ns))
		stat_add(&worker->stats->limit_refused[class->limit % TABLE_LIMITS_MAX], 1);
}

uint32_t
limit_retry_ms(const struct worker *worker, const struct key_slot *slot)
{
	const struct table_class *class = limit_class(worker->burst.view.rules, slot);
	const uint64_t shared_ns = atomic_load_explicit(
		&share_of(worker, class->limit)->interval_ns, memory_order_relaxed);
	uint64_t wait_ns = class->node_interval_ns;

	if (class->limit != 0 && shared_ns > wait_ns)
		wait_ns = shared_ns;
	if (wait_ns < (uint64_t)RETRY_MS_MIN * NS_A_MS)
		return RETRY_MS_MIN;
	return wait_ns < (uint64_t)RETRY_MS_MAX * NS_A_MS ? (uint32_t)(wait_ns / NS_A_MS) + 1
							  : RETRY_MS_MAX;
}

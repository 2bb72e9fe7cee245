/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/limit.h"

#define NS_A_MS      1000000u
#define RETRY_MS_MIN 20u
#define RETRY_MS_MAX 60000u

/* This worker's share of a limit, as control has set it last. */
struct share {
	uint64_t interval_ns;
	uint64_t depth_ns;
	unsigned limit;
};

static struct share
share_of(const struct worker *worker, unsigned limit)
{
	const struct meter_share *share;

	limit %= TABLE_LIMITS_MAX;
	share = &worker->config.meters->shares[limit][worker->index];
	return (struct share){
		.interval_ns = atomic_load_explicit(&share->interval_ns, memory_order_relaxed),
		.depth_ns = atomic_load_explicit(&share->depth_ns, memory_order_relaxed),
		.limit = limit,
	};
}

static bool
share_has_token(const struct worker *worker, const struct share *share, uint64_t now_ns)
{
	return share->interval_ns == 0 ||
	       (share->depth_ns >= share->interval_ns &&
		       rate_has_token(worker->limit_buckets[share->limit], now_ns,
			       share->interval_ns, share->depth_ns));
}

static bool
node_has_token(const struct table_class *class, const struct replay_node *node, uint64_t now_ns)
{
	return class->node_interval_ns == 0 ||
	       rate_has_token(node->bucket, now_ns, class->node_interval_ns, class->node_depth_ns);
}

bool
limit_take_any(struct worker *worker, const struct table_class *class, struct replay_node *node)
{
	const uint64_t now_ns = worker->burst.mono_us * 1000;
	const struct share share = share_of(worker, class->limit);
	uint64_t *bucket = &worker->limit_buckets[share.limit];

	if (!node_has_token(class, node, now_ns) || !share_has_token(worker, &share, now_ns))
		return false;
	if (class->node_interval_ns != 0)
		node->bucket = rate_spend(
			node->bucket, now_ns, class->node_interval_ns, class->node_depth_ns);
	if (share.interval_ns != 0)
		*bucket = rate_spend(*bucket, now_ns, share.interval_ns, share.depth_ns);
	stat_add(&worker->stats->limit_taken[share.limit], 1);
	return true;
}

void
limit_note(struct worker *worker, const struct key_slot *slot, const struct replay_node *node)
{
	const struct table_class *class = limit_class(worker->burst.view.rules, slot);

	if (class->limit != 0 && node_has_token(class, node, worker->burst.mono_us * 1000))
		stat_add(&worker->stats->limit_refused[class->limit % TABLE_LIMITS_MAX], 1);
}

uint32_t
limit_retry_ms(const struct worker *worker, const struct key_slot *slot)
{
	const struct table_class *class = limit_class(worker->burst.view.rules, slot);
	const struct share share = share_of(worker, class->limit);
	uint64_t wait_ns = class->node_interval_ns;

	if (class->limit != 0 && share.interval_ns > wait_ns)
		wait_ns = share.interval_ns;
	if (wait_ns < (uint64_t)RETRY_MS_MIN * NS_A_MS)
		return RETRY_MS_MIN;
	return wait_ns < (uint64_t)RETRY_MS_MAX * NS_A_MS ? (uint32_t)(wait_ns / NS_A_MS) + 1
							  : RETRY_MS_MAX;
}

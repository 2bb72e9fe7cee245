/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Rate limits of principals (dataplane/table_rules.h): each node's own bucket, a word of its line in
 * the replay store, and buckets that nodes share, of which each worker has its share
 * (dataplane/meters.h). Only what is otherwise accepted takes tokens: so no forger, no replay and no
 * source address can use up what a node is due. Owner of the node only.
 */

#include "dataplane/burst.h"
#include "dataplane/rate.h"

static inline const struct table_class *
limit_class(const struct table_rules *rules, const struct key_slot *slot)
{
	return &rules->classes[slot->policy % TABLE_CLASSES_MAX];
}

/* Counts out the tokens of this burst. */
void limit_open(struct worker *worker, unsigned limit);

/* Settles what the burst has given; at its end, if limits.any_open. */
void limit_close(struct worker *worker);

/* A credential is refused for its rate: counts it if a shared bucket was the empty one. */
void limit_note(struct worker *worker, const struct key_slot *slot, const struct replay_node *node);

/* How long a sender had better wait, in milliseconds: until the next token at the latest. */
uint32_t limit_retry_ms(const struct worker *worker, const struct key_slot *slot);

static inline bool
limit_node_has_token(
	const struct table_class *class, const struct replay_node *node, uint64_t now_ns)
{
	return class->node_interval_ns == 0 ||
	       rate_has_token(node->bucket, now_ns, class->node_interval_ns, class->node_depth_ns);
}

/* The bucket of a shared limit, counted out. */
static inline struct limit_bucket *
limit_bucket_of(struct worker *worker, unsigned limit)
{
	limit %= TABLE_LIMITS_MAX;
	if (!(worker->limits.open[limit / 64] >> limit % 64 & 1))
		limit_open(worker, limit);
	return &worker->limits.buckets[limit];
}

/*
 * Takes a token from every bucket that concerns the class, or from none. False: over its rate.
 */
static inline bool
limit_take(struct worker *worker, const struct table_class *class, struct replay_node *node)
{
	const uint64_t interval_ns = class->node_interval_ns;
	const uint64_t now_ns = worker->burst.mono_ns;
	const uint64_t full_ns = rate_full_ns(node->bucket, now_ns, class->node_depth_ns);
	const unsigned limit = class->limit;

	if (interval_ns != 0 &&
		(full_ns - now_ns > class->node_depth_ns - interval_ns || interval_ns == RATE_NONE))
		return false;
	if (limit != 0) {
		struct limit_bucket *bucket = limit_bucket_of(worker, limit);

		if (bucket->left == 0)
			return false;
		bucket->left--;
	}
	if (interval_ns != 0)
		node->bucket = full_ns + interval_ns;
	return true;
}

/* The rules, if any of them limits a rate. */
static inline const struct table_rules *
limit_of(const struct view *view)
{
	return view->rules != NULL && view->rules->has_limits ? view->rules : NULL;
}

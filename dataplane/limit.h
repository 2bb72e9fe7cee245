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

/* Takes a token from every bucket that concerns the class, or from none. (limit.c) */
bool limit_take_any(
	struct worker *worker, const struct table_class *class, struct replay_node *node);

/* A credential is refused for its rate: counts it if a shared bucket was the empty one. */
void limit_note(struct worker *worker, const struct key_slot *slot, const struct replay_node *node);

/* How long a sender had better wait, in milliseconds: until the next token at the latest. */
uint32_t limit_retry_ms(const struct worker *worker, const struct key_slot *slot);

/* `rules` NULL: there are no limits. False: over its rate, nothing taken. */
static inline bool
limit_take(struct worker *worker, const struct table_rules *rules, const struct key_slot *slot,
	struct replay_node *node)
{
	const struct table_class *class;

	if (rules == NULL)
		return true;
	class = limit_class(rules, slot);
	if (class->limit == 0 && class->node_interval_ns == 0)
		return true;
	if (class->limit == 0)
		return rate_take(&node->bucket, worker->burst.mono_us * 1000,
			class->node_interval_ns, class->node_depth_ns);
	return limit_take_any(worker, class, node);
}

/* What limit_take wants: the rules, if any of them limits a rate. */
static inline const struct table_rules *
limit_of(const struct view *view)
{
	return view->rules != NULL && view->rules->has_limits ? view->rules : NULL;
}

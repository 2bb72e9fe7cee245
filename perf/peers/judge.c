/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/peers/judge.h"

#include <stdlib.h>
#include <string.h>

#include "perf/peers/mac.h"
#include "perf/peers/window.h"
#include "wire/cred.h"

struct judge_node {
	struct mac_key *key;
	struct window window;
};

struct judge {
	uint32_t realm;
	uint32_t node_count; /* nodes 1 to this are at their index; 0 stays empty */
	struct judge_node *nodes;
	uint64_t counts[VERDICT_COUNT];
};

static bool
nodes_fill(struct judge *judge, const struct realm *realm)
{
	uint8_t key[KDF_KEY_SIZE];
	uint32_t i;

	for (i = 1; i <= realm->nodes; i++) {
		realm_node_key(realm, i, key);
		judge->nodes[i].key = mac_key_create(key);
		if (judge->nodes[i].key == NULL)
			return false;
		memset(&judge->nodes[i].window, 0, sizeof(judge->nodes[i].window));
	}
	return true;
}

struct judge *
judge_create(const struct realm *realm)
{
	struct judge *judge = calloc(1, sizeof(*judge));

	if (judge == NULL)
		return NULL;
	judge->realm = realm->id;
	judge->node_count = realm->nodes;
	judge->nodes = calloc(realm->nodes + (size_t)1, sizeof(judge->nodes[0]));
	if (judge->nodes == NULL || !nodes_fill(judge, realm)) {
		judge_destroy(judge);
		return NULL;
	}
	return judge;
}

void
judge_destroy(struct judge *judge)
{
	uint32_t i;

	for (i = 1; judge->nodes != NULL && i <= judge->node_count; i++)
		mac_key_destroy(judge->nodes[i].key);
	free(judge->nodes);
	free(judge);
}

static enum verdict
time_judge(const struct wire_cred *cred, uint64_t now_us)
{
	uint32_t ttl_s = cred->ttl_s != 0 ? cred->ttl_s : JUDGE_TTL_S_DEFAULT;

	if (ttl_s > JUDGE_TTL_S_MAX)
		ttl_s = JUDGE_TTL_S_MAX;
	if (cred->issued_us > now_us + JUDGE_SKEW_US)
		return VERDICT_NOT_YET_VALID;
	if (now_us > cred->issued_us + (uint64_t)ttl_s * 1000000 + JUDGE_SKEW_US)
		return VERDICT_EXPIRED;
	return VERDICT_ACCEPTED;
}

static enum verdict
node_judge(struct judge_node *node, const struct wire_cred *cred)
{
	enum window_answer answer = window_peek(&node->window, cred->serial);

	if (answer != WINDOW_NEW)
		return answer == WINDOW_SEEN ? VERDICT_REPLAYED : VERDICT_STALE;
	if (!mac_is_right(node->key, cred->msg, cred->span_size, cred->msg + cred->span_size))
		return VERDICT_BAD_TAG;
	window_commit(&node->window, cred->serial);
	return VERDICT_ACCEPTED;
}

static enum verdict
message_judge(struct judge *judge, const uint8_t *msg, size_t size, uint64_t now_us)
{
	enum wire_result result;
	enum verdict verdict;
	struct wire_cred cred;

	result = cred_parse(msg, size, &cred);
	if (result != WIRE_OK)
		return result == WIRE_MALFORMED ? VERDICT_MALFORMED : VERDICT_UNSUPPORTED;
	if (cred.suite != CRED_SUITE_CMAC128)
		return VERDICT_UNSUPPORTED;
	if (cred.realm != judge->realm)
		return VERDICT_UNKNOWN_REALM;
	if (cred.node > judge->node_count)
		return VERDICT_UNKNOWN_NODE;
	if (cred.epoch != REALM_EPOCH)
		return VERDICT_UNKNOWN_EPOCH;
	verdict = time_judge(&cred, now_us);
	return verdict == VERDICT_ACCEPTED ? node_judge(&judge->nodes[cred.node], &cred) : verdict;
}

enum verdict
judge_message(struct judge *judge, const uint8_t *msg, size_t size, uint64_t now_us)
{
	const enum verdict verdict = message_judge(judge, msg, size, now_us);

	judge->counts[verdict]++;
	return verdict;
}

const uint64_t *
judge_counts(const struct judge *judge)
{
	return judge->counts;
}

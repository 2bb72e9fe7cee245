/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Replies (docs/wire-format.md, "Reply" and "Who gets an answer"): built into the worker's own
 * memory as frames, sealed in batches at the end of the burst.
 */

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/crypto.h"
#include "dataplane/table.h"
#include "dataplane/view.h"
#include "dataplane/worker.h"
#include "verdict/ring.h"
#include "wire/wire.h"

#define ANSWERS_MAX (2 * BURST_FRAMES_MAX)
/* A reply without payload: verdicts have none. */
#define ANSWER_CRED_SIZE  CRED_SIZE_MIN
#define ANSWER_FRAME_SIZE 192u
static_assert(14 + 4 + 40 + 8 + ANSWER_CRED_SIZE <= ANSWER_FRAME_SIZE, "dataplane/answer.c");

/* Of a busy owner's credentials, told by the worker where they arrived: a bound of its own, since a
 * node's bucket belongs to the owner. */
#define ANSWER_BUSY_PER_S 10000u
#define ANSWER_RETRY_MS   20u

/*
 * The same refused bytes are told again after this time at the earliest, and spend nothing before:
 * one captured credential, sent over and over, must not use up the answers its node is due. The
 * table forgets by overwriting; only proved credentials get into it.
 */
#define ANSWER_REPEAT_MS   50u
#define ANSWER_REPEAT_LOG2 8u

#define ANSWER_HAS_VLAN  0x01u
#define ANSWER_IS_SILENT 0x02u /* no reply is wanted: it is here for the origin */

/* What a reply needs beside the record; crosses to the owner in one slot. */
struct answer_context {
	uint8_t tag[16];
	uint8_t origin[16];
	uint8_t local[16]; /* our address, as the request had it; IPv4 mapped */
	uint8_t mac[6];    /* where the request's frame came from */
	uint16_t vlan;     /* tag control information */
	uint16_t size;     /* of the request's credential: a reply is never longer */
	uint8_t port;      /* index into worker_config.ports */
	uint8_t flags;     /* ANSWER_* */
	uint8_t reserved[4];
};
static_assert(sizeof(struct answer_context) == 64, "one hand-off slot");

struct answer {
	_Alignas(64) uint8_t frame[ANSWER_FRAME_SIZE];
};

/* A refusal told: the first half of the credential's tag, and when. */
struct answer_told {
	uint64_t tag;
	uint64_t mono_ms;
};

struct answers {
	unsigned count;
	uint64_t serial_count; /* the lower 56 bits of the next reply's serial */
	uint64_t busy_bucket;
	struct answer_told told[1u << ANSWER_REPEAT_LOG2]; /* by the top bits of the tag */
	const struct key_slot *slots[ANSWERS_MAX];
	uint8_t *creds[ANSWERS_MAX];
	uint16_t sizes[ANSWERS_MAX]; /* under the tag */
	uint16_t frame_sizes[ANSWERS_MAX];
	uint8_t ports[ANSWERS_MAX];
	struct answer frames[ANSWERS_MAX];
};

struct burst_item;
struct own_cred;
struct worker;

/* Starts the loads of what the reply to an accepted credential will need. */
void answer_prefetch(const struct worker *worker, const struct burst_item *item);

/* What the reply to this item will need. */
void answer_context_fill(
	const struct worker *worker, const struct burst_item *item, struct answer_context *context);

/* The answer to an accepted credential or an honest retransmission of one. */
void answer_accepted(struct worker *worker, const struct own_cred *cred, enum verdict verdict,
	enum verdict first);

/* The answer to a proved refusal, if it gets one at all; the owner spends the node's bucket. */
void answer_refused(struct worker *worker, const struct own_cred *cred, enum verdict verdict);

/* The same by a worker that is not the owner, out of a bucket of its own. */
void answer_refused_here(struct worker *worker, const struct own_cred *cred, enum verdict verdict);

/* Seals what the burst has gathered and hands it out. */
void answer_flush(struct worker *worker, struct burst_result *result);

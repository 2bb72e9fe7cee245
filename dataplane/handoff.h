/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Hand-off: a ring of 64-byte slots from one worker to another, one writer and one reader. A
 * message is one record, then, if a reply is wanted, what that needs, then the payload as it came.
 * Bytes and ids only: the owner looks keys up in the table it uses itself, so that a revoked node's
 * queued credentials are refused.
 *
 * The record is the verdict record, not yet decided, in its form for the way:
 *	stamp    the credential's salt, as on the wire
 *	time_us  auth_gid in the upper, auth_uid in the lower half
 *	kind     bit 7 set if an answer context follows: a reply is wanted, or it is a beacon
 *	verdict  a refusal found on the way, HANDOFF_SPARED, or VERDICT_NONE
 *
 * The writer publishes head once a burst, the reader tail once a burst; each keeps a copy of the
 * other's line and looks again only when it must. What one side alone uses lies apart from what the
 * other reads. So a message of one slot costs two transfers of one line, there and back; both are
 * started ahead, the one back in a state to be written (a load and then a store would be two), and
 * the reader leaves the line as it is unless the message is an unusual one. A message never runs
 * over the end of the ring: a record of realm 0 sends the reader to the start. A full ring is BUSY
 * at once, never a wait (two workers waiting for each other would wait for ever).
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/answer.h"
#include "verdict/ring.h"

#define HANDOFF_SLOTS_MIN   64u
#define HANDOFF_KIND_ANSWER 0x80u
/* Instead of a verdict: rules allow it because of the realm's mode only. */
#define HANDOFF_SPARED 0x40u
/* Record, answer context, largest payload. */
#define HANDOFF_MESSAGE_SLOTS (2 + VERDICT_PAYLOAD_SLOTS(CRED_PAYLOAD_SIZE_MAX))

struct handoff_slot {
	_Alignas(64) uint8_t bytes[64];
};

/* Lines in pairs: the prefetcher of many CPUs fetches 128 bytes. */
struct handoff_ring {
	_Alignas(128) uint64_t mask;            /* after formatting: ro */
	_Alignas(128) _Atomic uint64_t head;    /* writer: wo, reader: ro */
	_Alignas(128) _Atomic uint64_t tail;    /* reader: wo, writer: ro */
	_Alignas(128) uint64_t writer_position; /* writer only */
	uint64_t writer_tail;                   /* writer only: tail as last seen */
	_Alignas(128) uint64_t reader_position; /* reader only */
	uint64_t reader_head;                   /* reader only: head as last seen */
	_Alignas(128) struct handoff_slot slots[];
};

/* A message in the ring, as the reader sees it; its bytes stay until handoff_ring_release. */
struct handoff_message {
	struct verdict_record *record;       /* the reader may change it */
	const struct answer_context *answer; /* NULL: no reply is wanted */
	const uint8_t *payload;
};

/* Copies a message in, not yet visible. False: full. Writer only. */
bool handoff_ring_put(struct handoff_ring *ring, const struct verdict_record *record,
	const struct answer_context *answer, const uint8_t *payload);

/* Makes everything put visible. Writer only. */
void handoff_ring_publish(struct handoff_ring *ring);

/* Starts the load of what handoff_ring_look reads. Reader only. */
static inline void
handoff_ring_prefetch(const struct handoff_ring *ring)
{
	__builtin_prefetch(&ring->head);
}

/*
 * Looks for what was published, starts the loads of the first messages, and returns how many slots
 * wait to be taken. Once a burst, well before the first is taken. Reader only.
 */
uint64_t handoff_ring_look(struct handoff_ring *ring);

/*
 * Takes up to `max` messages of those looked for and returns how many. Their lengths are checked
 * against what the writer has published: a ring whose bytes make no sense is emptied. Reader only.
 */
unsigned handoff_ring_take(
	struct handoff_ring *ring, struct handoff_message *messages, unsigned max);

/* Gives back everything taken. Reader only. */
void handoff_ring_release(struct handoff_ring *ring);

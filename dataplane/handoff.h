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
 *	kind     bit 7 set if a reply is wanted: an answer context follows
 *	verdict  a refusal found on the way, or VERDICT_NONE
 *
 * The writer publishes head once a burst, the reader tail once a burst; each keeps a copy of the
 * other's line and looks again only when it must. A message never runs over the end of the ring: a
 * record of realm 0 sends the reader to the start. A full ring is BUSY at once, never a wait (two
 * workers waiting for each other would wait for ever).
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/answer.h"
#include "verdict/ring.h"

#define HANDOFF_SLOTS_MIN   64u
#define HANDOFF_KIND_ANSWER 0x80u
/* Record, answer context, largest payload. */
#define HANDOFF_MESSAGE_SLOTS (2 + VERDICT_PAYLOAD_SLOTS(CRED_PAYLOAD_SIZE_MAX))

struct handoff_slot {
	_Alignas(64) uint8_t bytes[64];
};

/* Lines in pairs: the prefetcher of many CPUs fetches 128 bytes. */
struct handoff_ring {
	_Alignas(128) uint64_t mask;         /* after formatting: ro */
	_Alignas(128) _Atomic uint64_t head; /* writer: wo */
	uint64_t writer_position;            /* writer only */
	uint64_t writer_tail;                /* writer only: tail as last seen */
	_Alignas(128) _Atomic uint64_t tail; /* reader: wo */
	uint64_t reader_position;            /* reader only */
	uint64_t reader_head;                /* reader only: head as last seen */
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

/*
 * The next message, or false. Its lengths are checked against what the writer has published: a
 * ring whose bytes make no sense is emptied. Reader only.
 */
bool handoff_ring_take(struct handoff_ring *ring, struct handoff_message *message);

/* Gives back everything taken. Reader only. */
void handoff_ring_release(struct handoff_ring *ring);

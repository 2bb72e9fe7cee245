/* SPDX-License-Identifier: BSD-3-Clause */

#include <credgate/consume.h>
#include <credgate/mint.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/attach_priv.h"
#include "client/error_priv.h"
#include "client/waiter_priv.h"
#include "verdict/ring.h"

/* The struct of the first release: callers built with it are served for ever. */
#define RECORD_BASE 104u
static_assert(sizeof(struct cg_record) >= RECORD_BASE, "the ABI only grows");
static_assert(offsetof(struct cg_record, payload_size) == RECORD_BASE - 8, "the ABI only grows");
static_assert(CG_PAYLOAD_MAX == VERDICT_PAYLOAD_SIZE_MAX, "docs/client.md");

/* Nobody wakes us when the gateway dies, so a sleep is cut into slices of this. */
#define WAIT_SLICE_MS 100
/* A busy poller looks at the socket this often, not at each empty look at the rings. */
#define GONE_CHECK_NS 10000000

struct cg_reader {
	struct attached attached;
	struct verdict_reader rings[ATTACH_RINGS_MAX];
	unsigned next; /* ring to look at first: one after the last record's */
	bool is_gone;
	int64_t checked_ns; /* when we last looked at the socket */
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
};

int
cg_reader_open(struct cg_reader **reader, const char *socket_path, const char *group)
{
	struct cg_reader *fresh;
	unsigned i;
	int rc;

	if (reader == NULL)
		return client_fail(EINVAL, "reader must not be NULL");
	*reader = NULL;
	fresh = calloc(1, sizeof(*fresh));
	if (fresh == NULL)
		return client_fail(ENOMEM, "no memory for a reader");
	rc = attach_open(
		&fresh->attached, socket_path != NULL ? socket_path : CG_SOCKET_DEFAULT, group);
	if (rc != 0) {
		free(fresh);
		return rc;
	}
	for (i = 0; i < fresh->attached.count; i++)
		verdict_reader_init(&fresh->rings[i], fresh->attached.rings[i],
			fresh->attached.sizes[i], false);
	*reader = fresh;
	return 0;
}

void
cg_reader_close(struct cg_reader *reader)
{
	if (reader == NULL)
		return;
	attach_close(&reader->attached);
	free(reader);
}

static void
record_fill(struct cg_record *out, const struct verdict_record *in, unsigned worker,
	const uint8_t *payload)
{
	*out = (struct cg_record){
		.size = sizeof(*out),
		.verdict = in->verdict & ~(VERDICT_RECORD_UNPROVED | VERDICT_RECORD_ADVISED),
		.is_proved = (in->verdict & VERDICT_RECORD_UNPROVED) == 0,
		.kind = in->kind,
		.time_us = in->time_us,
		.serial = in->serial,
		.realm = in->realm,
		.node = in->node,
		.epoch = in->epoch,
		.audience = in->audience,
		.uid = in->uid,
		.gid = in->gid,
		.port = in->port,
		.worker = worker,
		.payload = payload,
		.payload_size = in->payload_size,
		.advice = (in->verdict & VERDICT_RECORD_ADVISED) != 0 ? CG_ADVICE_PASS
								      : CG_ADVICE_OBEY,
	};
	memcpy(out->source, in->source, sizeof(out->source));
}

/* One look at every ring, beginning after the one that had the last record. */
static bool
take(struct cg_reader *reader, struct cg_record *record)
{
	unsigned count = reader->attached.count, i;

	for (i = 0; i < count; i++) {
		unsigned worker = (reader->next + i) % count;
		struct verdict_record in;
		struct cg_record out;

		if (verdict_reader_next(&reader->rings[worker], &in, reader->payload) == 0)
			continue;
		record_fill(&out, &in, worker, reader->payload);
		client_struct_give(record, &out, sizeof(out));
		reader->next = (worker + 1) % count;
		return true;
	}
	return false;
}

static int64_t
coarse_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void
gone_check(struct cg_reader *reader)
{
	int64_t now_ns = coarse_ns();

	if (reader->is_gone || now_ns - reader->checked_ns < GONE_CHECK_NS)
		return;
	reader->checked_ns = now_ns;
	reader->is_gone = attach_is_closed(&reader->attached);
}

static int
gone_fail(void)
{
	return client_fail(EPIPE, "the gateway is gone: open again when it is back");
}

int
cg_reader_next(struct cg_reader *reader, struct cg_record *record)
{
	int rc = client_struct_check(record, RECORD_BASE, "record");

	if (rc != 0)
		return rc;
	if (take(reader, record))
		return 1;
	gone_check(reader);
	if (!reader->is_gone)
		return 0;
	/* It may have published between our look and its end. */
	return take(reader, record) ? 1 : gone_fail();
}

static bool
is_readable(const struct cg_reader *reader)
{
	unsigned i;

	for (i = 0; i < reader->attached.count; i++) {
		const struct verdict_reader *ring = &reader->rings[i];

		if (atomic_load_explicit(&ring->ring->head, memory_order_acquire) != ring->position)
			return true;
	}
	return false;
}

/* One slice; the heads are given as read, so that what comes in between ends it at once. */
static int
slice(const struct cg_reader *reader, int timeout_ms)
{
	struct waiter waiter = {.count = reader->attached.count};
	unsigned i;

	for (i = 0; i < waiter.count; i++) {
		waiter.words[i] = &reader->rings[i].ring->head;
		waiter.seen[i] = reader->rings[i].position;
	}
	return waiter_sleep(&waiter, timeout_ms);
}

int
cg_reader_wait(struct cg_reader *reader, int timeout_ms)
{
	int64_t start_ns = waiter_now_ns();

	for (;;) {
		int64_t left_ms = WAIT_SLICE_MS;

		if (is_readable(reader))
			return 1;
		if (reader->is_gone || attach_is_closed(&reader->attached)) {
			reader->is_gone = true;
			return is_readable(reader) ? 1 : gone_fail();
		}
		if (timeout_ms >= 0)
			left_ms = timeout_ms - (waiter_now_ns() - start_ns) / 1000000;
		if (left_ms <= 0)
			return 0;
		if (slice(reader, left_ms < WAIT_SLICE_MS ? (int)left_ms : WAIT_SLICE_MS) == -EINTR)
			return client_fail(EINTR, "waiting for verdicts: interrupted by a signal");
	}
}

uint64_t
cg_reader_lost(const struct cg_reader *reader)
{
	uint64_t lost = 0;
	unsigned i;

	for (i = 0; i < reader->attached.count; i++)
		lost += reader->rings[i].lost_slots;
	return lost;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/verdicts.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <credgate/credgate.h>

#include "perf/loadgen/clock.h"
#include "perf/loadgen/fail.h"

/* The gateway asks the socket who connects: the effective user at that moment. */
static int
attach(struct verdicts *verdicts, const struct settings *s)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	int rc;

	if (s->has_verdicts_as && (setegid(s->verdicts_gid) != 0 || seteuid(s->verdicts_uid) != 0))
		return fail("--verdicts-as: cannot become uid %u, gid %u: %s; run as root",
			s->verdicts_uid, s->verdicts_gid, strerror(errno));
	rc = cg_reader_open(&verdicts->reader, s->verdicts, s->group);
	if (seteuid(uid) != 0 || setegid(gid) != 0)
		return fail("cannot become uid %u again: %s", uid, strerror(errno));
	return rc == 0 ? 0
		       : fail("--verdicts: %s%s", cg_error(),
				 rc == -EACCES ? " (--verdicts-as UID:GID attaches as another)"
					       : "");
}

int
verdicts_init(struct verdicts *verdicts, const struct settings *settings, const struct mint *mint)
{
	*verdicts = (struct verdicts){.mint = mint, .sample_mask = settings->sample - 1};
	if (settings->verdicts == NULL)
		return 0;
	if (flight_init(&verdicts->flight) != 0)
		return -1;
	return attach(verdicts, settings);
}

void
verdicts_fini(struct verdicts *verdicts)
{
	cg_reader_close(verdicts->reader);
	flight_fini(&verdicts->flight);
}

/* Of all nodes' serials alike, and at every moment of some nodes'. */
static bool
is_sampled(const struct verdicts *verdicts, uint32_t node, uint64_t serial)
{
	return (((uint32_t)serial + node) & verdicts->sample_mask) == 0;
}

void
verdicts_expect(struct verdicts *verdicts, const uint64_t *dues)
{
	const struct mint *mint = verdicts->mint;
	const struct mint_burst *burst = &mint->burst;
	unsigned i;

	for (i = 0; i < burst->count; i++) {
		const struct mint_item *item = &burst->items[i];
		const uint32_t node = mint->keys->slots[item->node].node;
		const uint64_t serial = burst->serials[i];

		if (item->class != MINT_GENUINE || !is_sampled(verdicts, node, serial) ||
			mint->shapes[item->shape].payload_size >= MINT_STAMP_SIZE)
			continue;
		flight_add(&verdicts->flight, &(struct flight_entry){
						      .due = dues[i],
						      .high = serial,
						      .low = flight_mix(node, serial),
						      .node = node,
					      });
	}
}

/* When was it due? False if it is not ours, or not one of those that are timed. */
static bool
due_find(struct verdicts *verdicts, const struct cg_record *record, uint64_t *due)
{
	struct flight_entry entry;

	if (!is_sampled(verdicts, record->node, record->serial))
		return false;
	if (mint_stamp_read(verdicts->mint, record->payload, record->payload_size, due))
		return true;
	if (!flight_take(&verdicts->flight, record->serial,
		    flight_mix(record->node, record->serial), &entry))
		return false;
	*due = entry.due;
	return entry.node == record->node;
}

void
verdicts_read(struct verdicts *verdicts, unsigned count_max, struct results *results)
{
	struct cg_record record = {.size = sizeof(record)};
	uint64_t due, seen = 0;
	int rc = 0;

	while (seen < count_max && (rc = cg_reader_next(verdicts->reader, &record)) == 1) {
		seen++;
		if (!due_find(verdicts, &record, &due))
			continue;
		results->accepted_timed++;
		histogram_record(&results->send_to_verdict,
			(uint64_t)((double)(clock_tsc() - due) * 1e9 / (double)results->tsc_hz));
	}
	if (seen != 0)
		results_store(&results->accepted_seen, results->accepted_seen + seen);
	if (rc < 0)
		results->is_gateway_gone = true;
	results->verdicts_lost = cg_reader_lost(verdicts->reader);
}

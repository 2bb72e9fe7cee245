/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Bursts of frames through the whole packet path. An input is a list of steps, each one byte of
 * what, two bytes of size (little-endian) and as many bytes:
 *	STEP_FRAME    the bytes are a frame
 *	STEP_DATAGRAM the bytes are a datagram to us; headers are put around it
 *	STEP_RETAG    the same, but what may have got wrong outside the claims is put right, and it
 *	              is sealed and tagged with the key it names: this is how fuzzing gets behind
 *	              the tags
 * with STEP_* bits for the kind of header, and STEP_BURST to let the worker run. After each burst
 * everything must add up, and nothing may be accepted that no key made, or twice. Another gateway
 * that forgets all shapes before each frame must have decided the same.
 */

#include <string.h>

#include "dataplane/burst.h"
#include "path_fixture.h"
#include "tests/fuzz/wire/fuzz.h"

#define STEP_WHAT     0x03u
#define STEP_FRAME    0u
#define STEP_DATAGRAM 1u
#define STEP_RETAG    2u
#define STEP_IPV6     0x04u
#define STEP_VLAN     0x08u
#define STEP_TRUSTED  0x10u /* the NIC vouches for the checksums */
#define STEP_LATER    0x20u /* half a second passes before it */
#define STEP_BURST    0x80u /* the burst ends behind it */

#define NODES 4u

static struct fixture fixture;
static struct fixture general; /* by all the rules: it has no shapes, and two groups for one */
static uint8_t *replay_fresh;  /* windows as they were before the first burst */
static struct verdict_reader reader;
static struct verdict_reader general_reader;

static struct fixture_frame frames[BURST_FRAMES_MAX];
static unsigned frame_count;
static unsigned retagged; /* in this input */

/* What was accepted in this input. */
static struct verdict_record accepted[4096];
static unsigned accepted_count;

struct sums {
	uint64_t proved;
	uint64_t unproved;
	uint64_t accepted;
	uint64_t delivered;
	uint64_t other;
	uint64_t neighbours;
};

static void
gateway_make(struct fixture *f, unsigned group_count, struct verdict_reader *from)
{
	struct fixture_params params = fixture_params_default();
	uint32_t node;

	params.window_bits = 256;
	params.ring_slots = 1u << 14;
	params.group_count = group_count;
	fixture_init(f, &params);
	f->policy->groups[1] = f->policy->groups[0];
	f->policy->groups[1].is_used = group_count == 2;
	for (node = 1; node <= NODES; node++)
		fixture_node_add(f, FIXTURE_REALM, node, 1, (uint8_t)node);
	fixture_node_add(f, FIXTURE_REALM, 1, 2, CRED_SUITE_DEFAULT);
	fixture_prefix_add(f, fixture_slot(f, FIXTURE_REALM, 2, 1), fixture_ipv4, 104);
	fixture_realm(f, FIXTURE_REALM)->audience_any = 1;
	FUZZ_MUST(verdict_reader_init(from, f->delivery[0][0], f->ring_size, false) == 0);
}

static void
gateways_make(void)
{
	gateway_make(&fixture, 1, &reader);
	gateway_make(&general, 2, &general_reader);
	replay_fresh = malloc(fixture.replay_size);
	FUZZ_MUST(replay_fresh != NULL);
	memcpy(replay_fresh, fixture.replay_mapping, fixture.replay_size);
}

static struct sums
sums_read(void)
{
	const struct worker_stats *stats = stats_worker(fixture.stats, 0);
	struct sums sums = {
		.accepted = stats->proved[VERDICT_ACCEPTED],
		.delivered = stats->delivered,
		.neighbours = stats->rx_neighbour,
		.other = stats->rx_not_ours + stats->rx_bad_packet + stats->rx_neighbour,
	};
	unsigned v;

	for (v = 0; v < VERDICT_COUNTERS; v++) {
		sums.proved += stats->proved[v];
		sums.unproved += stats->unproved[v];
	}
	return sums;
}

static void
frame_raw(struct fixture_frame *frame, const uint8_t *data, size_t size)
{
	frame->size = (uint16_t)(size < sizeof(frame->data) ? size : sizeof(frame->data));
	memcpy(frame->data, data, frame->size);
}

/* Seals and tags what is a credential but for its outside. */
static void
cred_retag(uint8_t *msg, size_t size)
{
	const struct key_slot *slot;
	uint16_t span_size;

	if (size < CRED_SIZE_MIN || size > CRED_SIZE_MAX)
		return;
	store_be32(msg + CRED_AT_MAGIC, CRED_MAGIC_BE32);
	store_be16(msg + CRED_AT_LENGTH, (uint16_t)size);
	store_be32(msg + CRED_AT_REALM, FIXTURE_REALM);
	store_be32(msg + CRED_AT_NODE, 1 + load_be32(msg + CRED_AT_NODE) % NODES);
	slot = fixture_slot(&fixture, FIXTURE_REALM, load_be32(msg + CRED_AT_NODE),
		load_be16(msg + CRED_AT_EPOCH));
	if (slot == NULL)
		return;
	msg[CRED_AT_SUITE] = slot->suite;
	span_size = (uint16_t)(size - CRED_TAG_SIZE);
	tag_batch_seal(fixture.issuer, &slot, &msg, &span_size, 1);
	retagged++;
}

static void
frame_datagram(struct fixture_frame *frame, uint8_t what, const uint8_t *data, size_t size)
{
	uint8_t msg[1400];

	if (size > sizeof(msg))
		size = sizeof(msg);
	memcpy(msg, data, size);
	if (what & STEP_IPV6)
		memcpy(frame->source, fixture_ipv6, 16);
	frame->vlan = what & STEP_VLAN ? 0x2042 : 0;
	if ((what & STEP_WHAT) == STEP_RETAG)
		cred_retag(msg, size);
	fixture_frame_wrap(frame, msg, size);
}

/* The same from the other gateway. */
static void
record_must_be_general(const struct verdict_record *record, const uint8_t *payload)
{
	uint8_t other_payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record other;

	FUZZ_MUST(verdict_reader_next(&general_reader, &other, other_payload) == 1);
	FUZZ_MUST(memcmp(&other, record, sizeof(other)) == 0);
	FUZZ_MUST(memcmp(other_payload, payload, other.payload_size) == 0);
}

/* Exactly `count` new records are in the ring, and none was there before. */
static void
records_must_be_new(uint64_t count)
{
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record record;
	unsigned i;

	for (; verdict_reader_next(&reader, &record, payload) == 1; count--) {
		FUZZ_MUST(count != 0);
		FUZZ_MUST(record.verdict == VERDICT_ACCEPTED);
		record_must_be_general(&record, payload);
		for (i = 0; i < accepted_count; i++)
			FUZZ_MUST(accepted[i].node != record.node ||
				  accepted[i].serial != record.serial);
		FUZZ_MUST(accepted_count < sizeof(accepted) / sizeof(accepted[0]));
		accepted[accepted_count++] = record;
	}
	FUZZ_MUST(count == 0 && reader.lost_slots == 0);
}

static void
replies_must_be_short(void)
{
	uint16_t largest = 0;
	unsigned i;

	for (i = 0; i < frame_count; i++)
		largest = frames[i].size > largest ? frames[i].size : largest;
	FUZZ_MUST(fixture.result.reply_count <= frame_count);
	for (i = 0; i < fixture.result.reply_count; i++)
		FUZZ_MUST(fixture.result.replies[i].size <= largest);
}

/* The frames one by one, by all the rules. */
static void
general_run(struct fixture_frame *const *pointers)
{
	struct worker *worker = general.workers[0];
	unsigned i;

	general.now_us = fixture.now_us;
	general.mono_us = fixture.mono_us;
	for (i = 0; i < frame_count; i++) {
		memset(worker->claims, 0, sizeof(worker->claims));
		memset(worker->packets, 0, sizeof(worker->packets));
		fixture_burst(&general, 0, &pointers[i], 1);
	}
}

static void
ways_must_agree(void)
{
	const struct worker_stats *a = stats_worker(fixture.stats, 0);
	const struct worker_stats *b = stats_worker(general.stats, 0);
	unsigned v;

	for (v = 0; v < VERDICT_COUNTERS; v++)
		FUZZ_MUST(a->proved[v] == b->proved[v] && a->unproved[v] == b->unproved[v]);
	FUZZ_MUST(a->rx_not_ours == b->rx_not_ours && a->rx_bad_packet == b->rx_bad_packet);
	FUZZ_MUST(a->rx_neighbour == b->rx_neighbour && a->replies_sent == b->replies_sent);
	FUZZ_MUST(2 * a->delivered == b->delivered);
	FUZZ_MUST(memcmp(fixture.replay_mapping, general.replay_mapping, fixture.replay_size) == 0);
}

static void
burst_run(void)
{
	struct fixture_frame *pointers[BURST_FRAMES_MAX];
	const struct worker_stats *stats = stats_worker(fixture.stats, 0);
	const struct sums before = sums_read();
	struct sums after;
	unsigned i;

	for (i = 0; i < frame_count; i++)
		pointers[i] = &frames[i];
	fixture_burst(&fixture, 0, pointers, frame_count);
	general_run(pointers);
	ways_must_agree();
	after = sums_read();
	FUZZ_MUST(after.proved + after.unproved + after.other - before.proved - before.unproved -
			  before.other ==
		  frame_count);
	FUZZ_MUST((uint64_t)__builtin_popcountll(fixture.result.neighbours) ==
		  after.neighbours - before.neighbours);
	FUZZ_MUST(frame_count == 64 || fixture.result.neighbours >> frame_count == 0);
	FUZZ_MUST(stats->proved[VERDICT_NONE] + stats->unproved[VERDICT_NONE] == 0);
	FUZZ_MUST(stats->proved[VERDICT_BAD_TAG] + stats->proved[VERDICT_MALFORMED] == 0);
	FUZZ_MUST(stats->unproved[VERDICT_ACCEPTED] + stats->unproved[VERDICT_DUPLICATE] == 0);
	records_must_be_new(after.delivered - before.delivered);
	/* A beacon counts without a reader. */
	FUZZ_MUST(after.delivered - before.delivered <= after.accepted - before.accepted);
	FUZZ_MUST(accepted_count <= retagged);
	replies_must_be_short();
	frame_count = 0;
}

static void
step_run(uint8_t what, const uint8_t *data, size_t size)
{
	struct fixture_frame *frame = &frames[frame_count++];

	fixture_frame_init(frame);
	if (what & STEP_LATER) {
		fixture.now_us += 500000;
		fixture.mono_us += 500000;
	}
	frame->checksum = what & STEP_TRUSTED ? BURST_CHECKSUM_GOOD : BURST_CHECKSUM_UNKNOWN;
	if ((what & STEP_WHAT) == STEP_FRAME)
		frame_raw(frame, data, size);
	else
		frame_datagram(frame, what, data, size);
	if (what & STEP_BURST || frame_count == BURST_FRAMES_MAX)
		burst_run();
}

static void
input_begin(void)
{
	if (replay_fresh == NULL)
		gateways_make();
	memcpy(fixture.replay_mapping, replay_fresh, fixture.replay_size);
	memcpy(general.replay_mapping, replay_fresh, fixture.replay_size);
	fixture.now_us = FIXTURE_NOW_US;
	fixture.mono_us = FIXTURE_MONO_US;
	accepted_count = 0;
	frame_count = 0;
	retagged = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input_begin();
	while (size >= 3) {
		const uint8_t what = data[0];
		size_t step_size = data[1] | (size_t)data[2] << 8;

		data += 3;
		size -= 3;
		if (step_size > size)
			step_size = size;
		step_run(what, data, step_size);
		data += step_size;
		size -= step_size;
	}
	if (frame_count != 0)
		burst_run();
	return 0;
}

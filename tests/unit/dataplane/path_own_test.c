/* SPDX-License-Identifier: BSD-3-Clause */

/* What the owner decides: once and only once, for whom, and never before the tag is proved. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "path_fixture.h"

static struct fixture fixture;

static int
setup(void **state)
{
	struct fixture_params params = fixture_params_default();

	(void)state;
	params.group_count = 3;
	fixture_init(&fixture, &params);
	fixture_node_add(&fixture, FIXTURE_REALM, 1, 1, CRED_SUITE_DEFAULT);
	fixture_node_add(&fixture, FIXTURE_REALM, 2, 1, CRED_SUITE_CMAC256);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

static struct table_realm *
realm(void)
{
	return fixture_realm(&fixture, FIXTURE_REALM);
}

static struct verdict_reader
reader_open(const struct verdict_ring *ring)
{
	struct verdict_reader reader;

	assert_int_equal(verdict_reader_init(&reader, ring, fixture.ring_size, false), 0);
	return reader;
}

/* How many records there are to read. */
static unsigned
reader_count(struct verdict_reader *reader)
{
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record record;
	unsigned count = 0;

	while (verdict_reader_next(reader, &record, payload) == 1)
		count++;
	return count;
}

/* ---- what is delivered ---- */

/* Every payload size, sealed and not: clear text in every group's ring, whole record. */
static void
payloads_arrive_in_clear(void **state)
{
	uint8_t payload[CRED_PAYLOAD_SIZE_MAX], got[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_reader readers[3];
	struct verdict_record record;
	unsigned group;
	size_t size, i;

	(void)state;
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + 1);
	for (group = 0; group < 3; group++)
		readers[group] = reader_open(fixture.delivery[group][0]);
	for (size = 0; size <= sizeof(payload); size += size < 140 ? 1 : 83) {
		struct cred_fields fields = fixture_fields(&fixture, size + 1);

		fields.node = 1 + size % 2;
		fields.suite = fixture_slot(&fixture, FIXTURE_REALM, fields.node, 1)->suite;
		fields.payload = payload;
		fields.payload_size = size;
		fields.flags = size % 3 == 0 ? CRED_FLAG_REPLY : 0;
		assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
		for (group = 0; group < 3; group++) {
			assert_int_equal(verdict_reader_next(&readers[group], &record, got), 1);
			assert_int_equal(record.verdict, VERDICT_ACCEPTED);
			assert_int_equal(record.payload_size, size);
			assert_memory_equal(got, payload, size);
			assert_int_equal(record.serial, fields.serial);
			assert_int_equal(record.realm, FIXTURE_REALM);
			assert_int_equal(record.node, fields.node);
			assert_int_equal(record.epoch, 1);
			assert_int_equal(record.kind, CRED_KIND_ASSERT);
			assert_int_equal(record.audience, FIXTURE_AUDIENCE);
			assert_int_equal(record.uid, 1000);
			assert_int_equal(record.gid, 100);
			assert_int_equal(record.port, 40000);
			assert_int_equal(record.time_us, fixture.now_us);
			assert_memory_equal(record.source, fixture_ipv4, 16);
		}
	}
	assert_int_equal(stats_worker(fixture.stats, 0)->delivered,
		3 * fixture_proved(&fixture, VERDICT_ACCEPTED));
}

/* ---- once ---- */

/* A burst of `count` copies of one credential; returns how many were accepted. */
static uint64_t
burst_of_copies(const struct cred_fields *fields, unsigned count)
{
	struct fixture_frame frame;
	struct fixture_frame *frames[BURST_FRAMES_MAX];
	const uint64_t before = fixture_proved(&fixture, VERDICT_ACCEPTED);
	unsigned i;

	fixture_frame_init(&frame);
	fixture_frame_mint(&fixture, &frame, fields);
	for (i = 0; i < count; i++)
		frames[i] = &frame;
	fixture_burst(&fixture, 0, frames, count);
	return fixture_proved(&fixture, VERDICT_ACCEPTED) - before;
}

static void
copies_in_one_burst_are_accepted_once(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, 1);
	struct verdict_reader reader = reader_open(fixture.delivery[0][0]);

	(void)state;
	assert_int_equal(burst_of_copies(&fields, 64), 1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_REPLAYED), 63);
	assert_int_equal(fixture.result.reply_count, 0);
	fields.serial = 2;
	fields.flags = CRED_FLAG_REPLY;
	assert_int_equal(burst_of_copies(&fields, 64), 1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_DUPLICATE), 63);
	assert_int_equal(fixture.result.reply_count, 64);
	assert_int_equal(reader_count(&reader), 2);
	fields.serial = 3;
	fields.payload = (const uint8_t *)"only once";
	fields.payload_size = 9;
	assert_int_equal(burst_of_copies(&fields, 64), 1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_DUPLICATE), 2 * 63);
	assert_int_equal(reader_count(&reader), 1);
}

/* What one fixture gets in whole bursts another gets one by one: the same comes out of both. */
struct mixed {
	struct cred_fields fields;
	uint8_t payload[300];
};

/* Few nodes and serials, so that twins, late ones and collisions meet in every burst. */
static void
mixed_make(struct mixed *m)
{
	m->fields = fixture_fields(&fixture, 1 + (uint64_t)(rand() % 40));
	m->fields.node = 1 + (uint32_t)(rand() % 2);
	m->fields.suite = fixture_slot(&fixture, FIXTURE_REALM, m->fields.node, 1)->suite;
	m->fields.flags = rand() % 2 ? CRED_FLAG_REPLY : 0;
	m->fields.serial += rand() % 10 == 0 ? 1500 : 0;
	m->fields.uid = (uint32_t)(rand() % 3);
	m->fields.auth_uid = rand() % 5 == 0 ? 64030 : CRED_ID_ANYONE;
	memset(m->payload, rand(), sizeof(m->payload));
	m->fields.payload = m->payload;
	m->fields.payload_size = rand() % 3 ? (size_t)(rand() % 300) : 0;
}

static void
assert_same_rings(const struct fixture *a, const struct fixture *b)
{
	uint8_t payloads[2][VERDICT_PAYLOAD_SIZE_MAX] = {{0}};
	struct verdict_record records[2];
	struct verdict_reader readers[2];
	unsigned group, more;

	for (group = 0; group < 3; group++) {
		verdict_reader_init(&readers[0], a->delivery[group][0], a->ring_size, true);
		verdict_reader_init(&readers[1], b->delivery[group][0], b->ring_size, true);
		do {
			more = (unsigned)verdict_reader_next(&readers[0], &records[0], payloads[0]);
			assert_int_equal(
				verdict_reader_next(&readers[1], &records[1], payloads[1]), more);
			if (more == 0)
				break;
			assert_memory_equal(&records[0], &records[1], sizeof(records[0]));
			assert_memory_equal(payloads[0], payloads[1], records[0].payload_size);
		} while (more);
	}
}

static void
a_burst_is_as_many_bursts_of_one(void **state)
{
	static struct fixture_frame copies[BURST_FRAMES_MAX];
	struct fixture_frame *frames[BURST_FRAMES_MAX];
	struct fixture single;
	struct mixed mixed;
	unsigned round, i, v;

	(void)state;
	srand(11);
	fixture_init(&single, &fixture.params);
	fixture_node_add(&single, FIXTURE_REALM, 1, 1, CRED_SUITE_DEFAULT);
	fixture_node_add(&single, FIXTURE_REALM, 2, 1, CRED_SUITE_CMAC256);
	for (round = 0; round < 12; round++) {
		for (i = 0; i < BURST_FRAMES_MAX; i++) {
			mixed_make(&mixed);
			frames[i] = &copies[i];
			fixture_frame_init(frames[i]);
			fixture_frame_mint(&fixture, frames[i], &mixed.fields);
			fixture_burst(&single, 0, &frames[i], 1);
		}
		fixture_burst(&fixture, 0, frames, BURST_FRAMES_MAX);
	}
	/* Alone, a marked serial may be refused before its tag is looked at. */
	for (v = 0; v < VERDICT_COUNT; v++)
		assert_int_equal(fixture_proved(&fixture, v) + fixture_unproved(&fixture, v),
			fixture_proved(&single, v) + fixture_unproved(&single, v));
	assert_true(fixture_proved(&fixture, VERDICT_ACCEPTED) > 50);
	assert_true(fixture_proved(&fixture, VERDICT_DUPLICATE) > 0);
	assert_same_rings(&fixture, &single);
	for (i = 1; i <= 2; i++)
		assert_memory_equal(fixture_line(&fixture, FIXTURE_REALM, i)->words,
			fixture_line(&single, FIXTURE_REALM, i)->words,
			sizeof(fixture_line(&single, FIXTURE_REALM, i)->words));
	fixture_fini(&single);
}

/* The same bytes from 64 ports and addresses. */
static void
copies_from_everywhere_are_accepted_once(void **state)
{
	static struct fixture_frame copies[BURST_FRAMES_MAX];
	struct fixture_frame *frames[BURST_FRAMES_MAX];
	struct cred_fields fields = fixture_fields(&fixture, 1);
	uint8_t msg[CRED_SIZE_MAX];
	size_t size;
	unsigned i;

	(void)state;
	realm()->origin_mode = TABLE_ORIGIN_OFF;
	fields.flags = CRED_FLAG_REPLY;
	size = fixture_mint(&fixture, &fields, msg);
	for (i = 0; i < BURST_FRAMES_MAX; i++) {
		frames[i] = &copies[i];
		fixture_frame_init(frames[i]);
		copies[i].source_port += i / 2;
		copies[i].source[15] += i % 2;
		fixture_frame_wrap(frames[i], msg, size);
	}
	fixture_burst(&fixture, 0, frames, BURST_FRAMES_MAX);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_REPLAYED), 63);
	assert_int_equal(fixture.result.reply_count, 1);
}

/* Two credentials with one serial in one burst: two issuers share a key, and that is an alarm. */
static void
collision_raises_the_alarm(void **state)
{
	struct fixture_frame frames[2];
	struct fixture_frame *both[2] = {&frames[0], &frames[1]};
	struct cred_fields fields = fixture_fields(&fixture, 9);

	(void)state;
	fields.flags = CRED_FLAG_REPLY;
	fixture_frame_init(&frames[0]);
	fixture_frame_mint(&fixture, &frames[0], &fields);
	fields.uid++;
	fixture_frame_init(&frames[1]);
	fixture_frame_mint(&fixture, &frames[1], &fields);
	fixture_burst(&fixture, 0, both, 2);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_REPLAYED), 1);
	assert_int_equal(stats_worker(fixture.stats, 0)->serial_collisions, 1);
	frames[1].data[frames[1].size - 1] ^= 1; /* forged: no alarm */
	fixture_frame_checksum(&frames[1]);
	assert_int_equal(fixture_verdict(&fixture, &frames[1]), VERDICT_BAD_TAG);
	assert_int_equal(stats_worker(fixture.stats, 0)->serial_collisions, 1);
}

/* All epochs of a node share its window. */
static void
epochs_share_the_window(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, 1);

	(void)state;
	fixture_node_add(&fixture, FIXTURE_REALM, 1, 2, CRED_SUITE_DEFAULT);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	fields.epoch = 2;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_REPLAYED);
	fields.serial = 2;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(fixture_line(&fixture, FIXTURE_REALM, 1)->epoch, 2);
	assert_int_equal(fixture_line(&fixture, FIXTURE_REALM, 1)->uses, 1);
}

/* Random serials against a set: the path is as exact as the window. */
static void
random_serials_against_a_model(void **state)
{
	static bool seen[4096];
	uint64_t top = 0;
	unsigned i;

	(void)state;
	memset(seen, 0, sizeof(seen));
	srand(7);
	for (i = 0; i < 4000; i++) {
		const uint64_t serial = 1 + (uint64_t)rand() % (i < 2000 ? 1500 : 4000);
		struct cred_fields fields = fixture_fields(&fixture, serial);
		enum verdict wanted = VERDICT_ACCEPTED;

		if (top >= serial + fixture.params.window_bits)
			wanted = VERDICT_STALE;
		else if (seen[serial])
			wanted = VERDICT_REPLAYED;
		fields.flags = i % 2 ? CRED_FLAG_REPLY : 0;
		fixture.mono_us += 3000000; /* no duplicates */
		assert_int_equal(fixture_judge(&fixture, &fields), wanted);
		seen[serial] = true;
		top = serial > top ? serial : top;
	}
	assert_true(fixture_proved(&fixture, VERDICT_STALE) > 0);
	assert_true(fixture_proved(&fixture, VERDICT_REPLAYED) > 0);
}

/* ---- duplicates ---- */

/* Judges a good credential with a reply flag, then changes one thing and sends the bytes again. */
static enum verdict
again(uint64_t serial, void (*change)(struct fixture_frame *frame))
{
	struct cred_fields fields = fixture_fields(&fixture, serial);
	struct fixture_frame frame;
	uint8_t msg[CRED_SIZE_MAX];
	size_t size;

	realm()->origin_mode = TABLE_ORIGIN_OFF; /* so that addresses may change */
	fields.flags = CRED_FLAG_REPLY;
	size = fixture_mint(&fixture, &fields, msg);
	fixture_frame_init(&frame);
	fixture_frame_wrap(&frame, msg, size);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_ACCEPTED);
	if (change != NULL)
		change(&frame);
	fixture_frame_wrap(&frame, msg, size);
	return fixture_verdict(&fixture, &frame);
}

static void
change_port(struct fixture_frame *frame)
{
	frame->source_port++;
}

static void
change_address(struct fixture_frame *frame)
{
	frame->source[15]++;
}

static void
change_to_just_in_time(struct fixture_frame *frame)
{
	(void)frame;
	fixture.mono_us += realm()->dup_us;
	fixture.now_us += 3600; /* the real-time clock does not count */
}

static void
change_to_too_late(struct fixture_frame *frame)
{
	(void)frame;
	fixture.mono_us += realm()->dup_us + 1;
}

static void
retransmission_is_a_duplicate(void **state)
{
	(void)state;
	assert_int_equal(again(1, NULL), VERDICT_DUPLICATE);
	assert_true(fixture.is_proved);
	assert_int_equal(again(2, change_port), VERDICT_REPLAYED);
	assert_int_equal(again(3, change_address), VERDICT_REPLAYED);
	assert_int_equal(again(4, change_to_just_in_time), VERDICT_DUPLICATE);
	assert_int_equal(again(5, change_to_too_late), VERDICT_REPLAYED);
	assert_int_equal(stats_worker(fixture.stats, 0)->serial_collisions, 0);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 5);
}

/* Only what wants a reply is kept: the rest has nothing to be told again. */
static void
without_reply_flag_no_duplicates(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, 1);

	(void)state;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_REPLAYED);
}

/* ---- groups ---- */

struct group_case {
	uint32_t audience_groups;
	uint32_t auth_uid;
	uint32_t auth_gid;
	uint32_t readers; /* bitmap of the rings that get it; 0: UNAUTHORIZED */
};

#define ANYONE CRED_ID_ANYONE

/* Group g reads as 64030 + g, 64130 + g. */
static const struct group_case group_cases[] = {
	{7, ANYONE, ANYONE, 7}, {5, ANYONE, ANYONE, 5}, {7, 64031, ANYONE, 2},
	{7, ANYONE, 64132, 4}, {7, 64030, 64130, 1}, {7, 64030, 64131, 0}, {7, 0, ANYONE, 0},
	{6, 64030, ANYONE, 0}, {0, ANYONE, ANYONE, 0},
	{1u << 20 | 2, ANYONE, ANYONE, 2}, /* no such group */
};

static void
groups_get_what_is_theirs(void **state)
{
	struct verdict_reader readers[3];
	unsigned group;
	size_t i;

	(void)state;
	for (group = 0; group < 3; group++)
		readers[group] = reader_open(fixture.delivery[group][0]);
	for (i = 0; i < sizeof(group_cases) / sizeof(group_cases[0]); i++) {
		const struct group_case *c = &group_cases[i];
		struct cred_fields fields = fixture_fields(&fixture, i + 1);

		realm()->audiences[0].groups = c->audience_groups;
		fields.auth_uid = c->auth_uid;
		fields.auth_gid = c->auth_gid;
		assert_int_equal(fixture_judge(&fixture, &fields),
			c->readers ? VERDICT_ACCEPTED : VERDICT_UNAUTHORIZED);
		assert_true(fixture.is_proved);
		for (group = 0; group < 3; group++)
			assert_int_equal(reader_count(&readers[group]), c->readers >> group & 1);
	}
}

/* An UNAUTHORIZED credential has not used its serial up. */
static void
unauthorized_marks_nothing(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, 1);

	(void)state;
	realm()->audiences[0].groups = 0;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_UNAUTHORIZED);
	realm()->audiences[0].groups = 1;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
}

static void
unused_groups_get_nothing(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, 1);

	(void)state;
	realm()->audiences[0].groups = 2;
	fixture.policy->groups[1].is_used = 0;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_UNAUTHORIZED);
}

static void
any_audience_has_its_own_groups(void **state)
{
	struct verdict_reader readers[2] = {
		reader_open(fixture.delivery[0][0]), reader_open(fixture.delivery[2][0])};
	struct cred_fields fields = fixture_fields(&fixture, 1);

	(void)state;
	realm()->audience_any = 1;
	realm()->any_groups = 4;
	fields.audience = 0;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(reader_count(&readers[0]), 0);
	assert_int_equal(reader_count(&readers[1]), 1);
}

/* Beacons go to the realm's beacon groups, and count even when nobody reads them. */
static void
beacons_need_no_reader(void **state)
{
	struct verdict_reader readers[2] = {
		reader_open(fixture.delivery[0][0]), reader_open(fixture.delivery[1][0])};
	struct cred_fields fields = fixture_fields(&fixture, 1);

	(void)state;
	fields.kind = CRED_KIND_BEACON;
	realm()->beacon_groups = 2;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(reader_count(&readers[0]), 0);
	assert_int_equal(reader_count(&readers[1]), 1);
	realm()->beacon_groups = 0;
	fields.serial = 2;
	fixture.now_us += 5;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(fixture_line(&fixture, FIXTURE_REALM, 1)->last_seen_us, fixture.now_us);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_REPLAYED);
}

/* ---- room ---- */

static void
full_subscriber_is_busy_and_marks_nothing(void **state)
{
	struct verdict_ring *ring = fixture.delivery[1][0];
	struct verdict_reader reader = reader_open(ring);
	struct cred_fields fields = fixture_fields(&fixture, 1);
	uint64_t serial;

	(void)state;
	atomic_store(&ring->floor, 0); /* a subscriber that has read nothing */
	for (serial = 1; serial <= VERDICT_RING_SLOTS_MIN; serial++) {
		fields.serial = serial;
		assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	}
	fields.serial = serial;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_BUSY);
	assert_true(fixture.is_proved);
	assert_int_equal(fixture_line(&fixture, FIXTURE_REALM, 1)->top, serial - 1);
	assert_int_equal(fixture.delivery[0][0]->head, serial - 1); /* nor in other rings */
	assert_int_equal(reader_count(&reader), VERDICT_RING_SLOTS_MIN);
	assert_int_equal(reader.lost_slots, 0);
	atomic_store(&ring->floor, 1); /* has read one */
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	assert_int_equal(reader_count(&reader), 1);
	fields.serial++;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_BUSY);
	realm()->audiences[0].groups = 5; /* not to the slow one */
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
}

/* Within one burst too: what fits is accepted, the rest is BUSY, and the subscriber loses none. */
static void
room_is_counted_within_a_burst(void **state)
{
	static struct fixture_frame copies[BURST_FRAMES_MAX];
	static const uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX] = {42};
	struct fixture_frame *frames[BURST_FRAMES_MAX];
	struct verdict_ring *ring = fixture.delivery[0][0];
	struct verdict_reader reader = reader_open(ring);
	uint64_t serial = 1;
	unsigned round, i;

	(void)state;
	atomic_store(&ring->floor, 0);
	for (round = 0; round < 5; round++) {
		for (i = 0; i < BURST_FRAMES_MAX; i++) {
			struct cred_fields fields = fixture_fields(&fixture, serial++);

			fields.payload = payload;
			fields.payload_size = sizeof(payload);
			frames[i] = &copies[i];
			fixture_frame_init(frames[i]);
			fixture_frame_mint(&fixture, frames[i], &fields);
		}
		fixture_burst(&fixture, 0, frames, BURST_FRAMES_MAX);
	}
	/* 4096 slots, 19 each */
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 4096 / 19);
	assert_int_equal(fixture_proved(&fixture, VERDICT_BUSY), 5 * 64 - 4096 / 19);
	assert_int_equal(reader_count(&reader), 4096 / 19);
	assert_int_equal(reader.lost_slots, 0);
}

/* A window that is not known to be this node's cannot record: nothing is accepted. */
static void
unclean_window_is_busy(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, 1000);
	struct replay_window_header *header = &fixture.replay.headers[1];

	(void)state;
	header->checksum ^= 1;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_BUSY);
	assert_int_equal(fixture_line(&fixture, FIXTURE_REALM, 1)->top, 0);
	assert_int_equal(replay_window_assign(&fixture.replay, 1, FIXTURE_REALM, 1), 1);
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
}

/* ---- order among what the owner decides ---- */

static void
window_before_groups_before_room(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, 5000);

	(void)state;
	fields.flags = CRED_FLAG_REPLY;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	realm()->audiences[0].groups = 0;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_DUPLICATE);
	fields.serial = 1;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_STALE);
	fields.serial = 5001;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_UNAUTHORIZED);
	fixture.replay.headers[1].checksum ^= 1;
	fields.serial = 6000; /* touches the ring of an unclean window */
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_UNAUTHORIZED);
	realm()->audiences[0].groups = 1;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_BUSY);
}

/* ---- nothing before the tag ---- */

struct snapshot {
	uint8_t *replay;
	uint8_t *rings[3];
};

static void
snapshot_take(struct snapshot *s)
{
	unsigned group;

	s->replay = malloc(fixture.replay_size);
	assert_non_null(s->replay);
	memcpy(s->replay, fixture.replay_mapping, fixture.replay_size);
	for (group = 0; group < 3; group++) {
		s->rings[group] = malloc(fixture.ring_size);
		assert_non_null(s->rings[group]);
		memcpy(s->rings[group], fixture.delivery[group][0], fixture.ring_size);
	}
}

static void
snapshot_assert_same(struct snapshot *s)
{
	unsigned group;

	assert_int_equal(memcmp(s->replay, fixture.replay_mapping, fixture.replay_size), 0);
	free(s->replay);
	for (group = 0; group < 3; group++) {
		assert_int_equal(
			memcmp(s->rings[group], fixture.delivery[group][0], fixture.ring_size), 0);
		free(s->rings[group]);
	}
}

/* A credential that is right in everything but its tag, with serials near, far, old and new. */
static void
frame_forge(struct fixture_frame *frame, unsigned i)
{
	static const uint64_t serials[] = {1, 2000, 2063, 2064, 2100, 1u << 20, CRED_SERIAL_MAX};
	struct cred_fields fields = fixture_fields(&fixture, serials[i % 7]);
	uint8_t payload[64] = {0};

	fields.node = 1 + i % 2;
	fields.suite = fixture_slot(&fixture, FIXTURE_REALM, fields.node, 1)->suite;
	fields.flags = i % 3 ? CRED_FLAG_REPLY : 0;
	fields.kind = i % 5 ? CRED_KIND_ASSERT : CRED_KIND_BEACON;
	fields.payload = payload;
	fields.payload_size = i % 64;
	fixture_frame_init(frame);
	fixture_frame_mint(&fixture, frame, &fields);
	frame->data[frame->size - 1 - i % 16] ^= (uint8_t)(1u << i % 8);
	fixture_frame_checksum(frame);
}

static void
forged_flood_writes_nothing(void **state)
{
	static struct fixture_frame forged[BURST_FRAMES_MAX];
	struct fixture_frame *frames[BURST_FRAMES_MAX];
	struct cred_fields fields = fixture_fields(&fixture, 2063);
	struct snapshot before;
	unsigned i, round;

	(void)state;
	realm()->freshness = TABLE_FRESHNESS_SERIAL; /* every serial comes as far as its tag */
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	for (i = 0; i < BURST_FRAMES_MAX; i++) {
		frames[i] = &forged[i];
		frame_forge(frames[i], i);
	}
	snapshot_take(&before);
	for (round = 0; round < 100; round++) {
		fixture_burst(&fixture, 0, frames, BURST_FRAMES_MAX);
		assert_int_equal(fixture.result.reply_count, 0);
	}
	snapshot_assert_same(&before);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 1);
	assert_true(fixture_unproved(&fixture, VERDICT_BAD_TAG) > 5000);
}

/* In a flood genuine ones are all accepted, whatever lies between them. */
static void
genuine_ones_pass_a_flood(void **state)
{
	static struct fixture_frame mixed[BURST_FRAMES_MAX];
	struct fixture_frame *frames[BURST_FRAMES_MAX];
	uint64_t serial = 1;
	unsigned i, round;

	(void)state;
	for (round = 0; round < 20; round++) {
		for (i = 0; i < BURST_FRAMES_MAX; i++) {
			const uint8_t payload[1000] = {0};
			struct cred_fields fields = fixture_fields(&fixture, serial);

			/* More room than the forged ones before it would need. */
			fields.payload = payload;
			fields.payload_size = sizeof(payload);
			frames[i] = &mixed[i];
			if (i % 10 != round % 10) {
				frame_forge(frames[i], i + round);
				continue;
			}
			fixture_frame_init(frames[i]);
			fixture_frame_mint(&fixture, frames[i], &fields);
			serial++;
		}
		fixture_burst(&fixture, 0, frames, BURST_FRAMES_MAX);
	}
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), serial - 1);
}

/* ---- the refusal ring ---- */

static void
refusals_are_bounded_and_counted(void **state)
{
	struct verdict_reader reader = reader_open(fixture.refusal[0]);
	struct fixture_frame frame;
	unsigned i;

	(void)state;
	fixture_workers_stop(&fixture);
	fixture.params.refusals_per_s = 10;
	fixture_workers_start(&fixture);
	frame_forge(&frame, 1);
	for (i = 0; i < 100; i++)
		assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_BAD_TAG);
	assert_int_equal(reader_count(&reader), 10);
	assert_int_equal(fixture.refusal[0]->dropped, 90);
	fixture.mono_us += 300000;
	for (i = 0; i < 100; i++)
		fixture_verdict(&fixture, &frame);
	assert_int_equal(reader_count(&reader), 3);
	assert_int_equal(fixture_unproved(&fixture, VERDICT_BAD_TAG), 200);
}

/* A proved refusal says who it was about; bit 7 is clear. */
static void
proved_refusal_names_uid(void **state)
{
	struct verdict_reader reader = reader_open(fixture.refusal[0]);
	struct cred_fields fields = fixture_fields(&fixture, 1);
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record record;

	(void)state;
	fields.payload = payload;
	fields.payload_size = 10;
	realm()->audiences[0].groups = 0;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_UNAUTHORIZED);
	assert_int_equal(verdict_reader_next(&reader, &record, payload), 1);
	assert_int_equal(record.verdict, VERDICT_UNAUTHORIZED);
	assert_int_equal(record.uid, 1000);
	assert_int_equal(record.gid, 100);
	assert_int_equal(record.payload_size, 0);
}

/* An item is used again and again: nothing of whom was proved there before may show. */
static void
unproved_refusal_names_nobody(void **state)
{
	struct verdict_reader reader = reader_open(fixture.refusal[0]);
	struct cred_fields fields = fixture_fields(&fixture, 1);
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record record;
	struct fixture_frame frame;

	(void)state;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
	frame_forge(&frame, 3);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_BAD_TAG);
	assert_int_equal(verdict_reader_next(&reader, &record, payload), 1);
	assert_int_equal(record.verdict, VERDICT_BAD_TAG | VERDICT_RECORD_UNPROVED);
	assert_int_equal(record.uid | record.gid, 0);
	assert_int_equal(record.kind, CRED_KIND_ASSERT);
	assert_int_equal(record.time_us, fixture.now_us);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(payloads_arrive_in_clear, setup, teardown),
		cmocka_unit_test_setup_teardown(
			copies_in_one_burst_are_accepted_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_burst_is_as_many_bursts_of_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
			copies_from_everywhere_are_accepted_once, setup, teardown),
		cmocka_unit_test_setup_teardown(collision_raises_the_alarm, setup, teardown),
		cmocka_unit_test_setup_teardown(epochs_share_the_window, setup, teardown),
		cmocka_unit_test_setup_teardown(random_serials_against_a_model, setup, teardown),
		cmocka_unit_test_setup_teardown(retransmission_is_a_duplicate, setup, teardown),
		cmocka_unit_test_setup_teardown(without_reply_flag_no_duplicates, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_get_what_is_theirs, setup, teardown),
		cmocka_unit_test_setup_teardown(unauthorized_marks_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(unused_groups_get_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(any_audience_has_its_own_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(beacons_need_no_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(
			full_subscriber_is_busy_and_marks_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(room_is_counted_within_a_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(unclean_window_is_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(window_before_groups_before_room, setup, teardown),
		cmocka_unit_test_setup_teardown(forged_flood_writes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(genuine_ones_pass_a_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals_are_bounded_and_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(proved_refusal_names_uid, setup, teardown),
		cmocka_unit_test_setup_teardown(unproved_refusal_names_nobody, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* Two workers and more: who decides, that it is decided once, and what a full ring does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "path_fixture.h"

#define NODES 16u

static struct fixture fixture;

static int
setup_workers(unsigned count, uint32_t handoff_slots)
{
	struct fixture_params params = fixture_params_default();
	uint32_t node;

	params.worker_count = count;
	params.handoff_slots = handoff_slots;
	fixture_init(&fixture, &params);
	for (node = 1; node <= NODES; node++)
		fixture_node_add(&fixture, FIXTURE_REALM, node, 1, (uint8_t)(1 + node % 4));
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	return setup_workers(2, 4096);
}

static int
setup_small(void **state)
{
	(void)state;
	return setup_workers(2, HANDOFF_SLOTS_MIN);
}

static int
setup_three(void **state)
{
	(void)state;
	return setup_workers(3, 1024);
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

static unsigned
owner_of(uint32_t node)
{
	return table_shard_owner(
		fixture_slot(&fixture, FIXTURE_REALM, node, 1)->shard, fixture.params.worker_count);
}

static uint32_t
node_owned_by(unsigned worker)
{
	uint32_t node = 1;

	while (owner_of(node) != worker)
		assert_true(++node <= NODES);
	return node;
}

static struct cred_fields
fields_of(uint32_t node, uint64_t serial)
{
	struct cred_fields fields = fixture_fields(&fixture, serial);

	fields.node = node;
	fields.suite = fixture_slot(&fixture, FIXTURE_REALM, node, 1)->suite;
	return fields;
}

static void
burst_of_one(unsigned worker, const struct cred_fields *fields)
{
	struct fixture_frame frame;
	struct fixture_frame *frames[] = {&frame};

	fixture_frame_init(&frame);
	fixture_frame_mint(&fixture, &frame, fields);
	fixture_burst(&fixture, worker, frames, 1);
}

/* Lets a worker look at what was handed to it. */
static void
drain(unsigned worker)
{
	fixture_burst(&fixture, worker, NULL, 0);
}

/* ---- the ring ---- */

static struct handoff_ring *
ring_new(uint32_t slots)
{
	struct handoff_ring *ring = aligned_alloc(128, handoff_ring_size(slots));

	assert_non_null(ring);
	handoff_ring_format(ring, slots);
	return ring;
}

/* The next message of those published, if there is one. */
static bool
ring_take_one(struct handoff_ring *ring, struct handoff_message *message)
{
	handoff_ring_look(ring);
	return handoff_ring_take(ring, message, 1) == 1;
}

/* Messages of every size, many times round a small ring, come out whole and in order. */
static void
ring_keeps_order_and_bytes(void **state)
{
	struct handoff_ring *ring = ring_new(HANDOFF_SLOTS_MIN);
	uint8_t payload[CRED_PAYLOAD_SIZE_MAX];
	uint64_t sent = 0, taken = 0;
	unsigned i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		struct answer_context answer = {.port = (uint8_t)sent};
		struct verdict_record record = {
			.realm = 7,
			.serial = sent,
			.kind = sent % 3 == 0 ? HANDOFF_KIND_ANSWER | 1 : 1,
			.payload_size = (uint16_t)(sent * 37 % (CRED_PAYLOAD_SIZE_MAX + 1)),
		};
		struct handoff_message message;

		memset(payload, (int)sent, sizeof(payload));
		if (handoff_ring_put(ring, &record, sent % 3 == 0 ? &answer : NULL, payload)) {
			sent++;
			handoff_ring_publish(ring);
			if (i % 5 != 0)
				continue;
		}
		while (ring_take_one(ring, &message)) {
			assert_int_equal(message.record->serial, taken);
			assert_int_equal(message.answer != NULL, taken % 3 == 0);
			if (message.answer != NULL)
				assert_int_equal(message.answer->port, (uint8_t)taken);
			memset(payload, (int)taken, sizeof(payload));
			assert_int_equal(message.record->payload_size,
				taken * 37 % (CRED_PAYLOAD_SIZE_MAX + 1));
			assert_memory_equal(message.payload, payload, message.record->payload_size);
			taken++;
		}
		handoff_ring_release(ring);
	}
	assert_true(taken > 2000);
	free(ring);
}

static void
ring_shows_only_what_is_published(void **state)
{
	const struct verdict_record record = {.realm = 7};
	struct handoff_ring *ring = ring_new(64);
	struct handoff_message message;
	unsigned i;

	(void)state;
	assert_true(handoff_ring_put(ring, &record, NULL, NULL));
	assert_false(ring_take_one(ring, &message));
	handoff_ring_publish(ring);
	assert_true(ring_take_one(ring, &message));
	for (i = 1; i < 64; i++)
		assert_true(handoff_ring_put(ring, &record, NULL, NULL));
	assert_false(handoff_ring_put(ring, &record, NULL, NULL)); /* taken, not given back */
	handoff_ring_release(ring);
	assert_true(handoff_ring_put(ring, &record, NULL, NULL));
	free(ring);
}

/* Damaged bytes: no message, nothing read outside, and the ring works on. */
static void
ring_does_not_believe_lengths(void **state)
{
	static const uint16_t sizes[] = {
		1, CRED_PAYLOAD_SIZE_MAX, CRED_PAYLOAD_SIZE_MAX + 1, 65535};
	struct handoff_message message;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct handoff_ring *ring = ring_new(64);
		struct verdict_record record = {.realm = 7};

		assert_true(handoff_ring_put(ring, &record, NULL, NULL));
		handoff_ring_publish(ring);
		((struct verdict_record *)ring->slots)->payload_size = sizes[i];
		assert_false(ring_take_one(ring, &message));
		handoff_ring_release(ring);
		assert_true(handoff_ring_put(ring, &record, NULL, NULL));
		handoff_ring_publish(ring);
		assert_true(ring_take_one(ring, &message));
		assert_int_equal(message.record->payload_size, 0);
		free(ring);
	}
}

/* ---- two workers ---- */

static void
owner_decides(void **state)
{
	const uint32_t node = node_owned_by(1);
	static const uint8_t payload[] = "from far away";
	struct cred_fields fields = fields_of(node, 1);
	uint8_t got[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_reader reader;
	struct verdict_record record;

	(void)state;
	fields.payload = payload;
	fields.payload_size = sizeof(payload);
	fields.auth_uid = 64030;
	fields.auth_gid = 64130;
	verdict_reader_init(&reader, fixture.delivery[0][1], fixture.ring_size, false);
	burst_of_one(0, &fields);
	assert_int_equal(stats_worker(fixture.stats, 0)->handed_off, 1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 0);
	assert_int_equal(fixture_line(&fixture, FIXTURE_REALM, node)->top, 0);
	drain(1);
	assert_int_equal(fixture.result.work, 1);
	assert_int_equal(stats_worker(fixture.stats, 1)->handed_in, 1);
	assert_int_equal(stats_worker(fixture.stats, 1)->proved[VERDICT_ACCEPTED], 1);
	assert_int_equal(verdict_reader_next(&reader, &record, got), 1);
	assert_int_equal(record.payload_size, sizeof(payload));
	assert_memory_equal(got, payload, sizeof(payload));
	assert_int_equal(record.kind, CRED_KIND_ASSERT);
	assert_int_equal(record.node, node);
	assert_int_equal(record.uid, 1000);
	assert_int_equal(record.gid, 100);
	assert_int_equal(record.time_us, fixture.now_us);
	assert_int_equal(record.port, 40000);
	assert_memory_equal(record.source, fixture_ipv4, 16);
	assert_int_equal(fixture.delivery[0][0]->head, 0);
	drain(1);
	assert_int_equal(fixture.result.work, 0);
}

static void
restriction_crosses(void **state)
{
	struct cred_fields fields = fields_of(node_owned_by(1), 1);

	(void)state;
	fields.auth_gid = 5;
	burst_of_one(0, &fields);
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_UNAUTHORIZED), 1);
}

/* Every node, all sizes, replies wanted or not: accepted once, wherever it arrives first. */
static void
copies_at_both_workers_are_accepted_once(void **state)
{
	uint64_t serial;

	(void)state;
	for (serial = 1; serial <= 200; serial++) {
		struct cred_fields fields = fields_of((uint32_t)(1 + serial % NODES), serial);
		uint8_t payload[CRED_PAYLOAD_SIZE_MAX] = {0};

		fields.flags = serial % 2 ? CRED_FLAG_REPLY : 0;
		fields.payload = payload;
		fields.payload_size = serial * 11 % (CRED_PAYLOAD_SIZE_MAX + 1);
		burst_of_one(serial % 2, &fields);
		burst_of_one(!(serial % 2), &fields);
		drain(0);
		drain(1);
		assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), serial);
	}
	assert_int_equal(fixture_proved(&fixture, VERDICT_BUSY), 0);
	assert_true(fixture_proved(&fixture, VERDICT_DUPLICATE) > 0);
}

/* The reply leaves from the owner, to the port of the arrival, with the owner's serials. */
static void
owner_answers(void **state)
{
	struct cred_fields fields = fields_of(node_owned_by(1), 1);
	const uint8_t *ip, *msg;

	(void)state;
	fields.flags = CRED_FLAG_REPLY;
	burst_of_one(0, &fields);
	assert_int_equal(fixture.result.reply_count, 0);
	drain(1);
	assert_int_equal(fixture.result.reply_count, 1);
	ip = fixture.result.replies[0].data + 14;
	msg = ip + 28;
	assert_memory_equal(fixture.result.replies[0].data, fixture_peer_mac, 6);
	assert_memory_equal(ip + 12, fixture_local_ipv4 + 12, 4);
	assert_memory_equal(ip + 16, fixture_ipv4 + 12, 4);
	assert_int_equal(load_be64(msg + CRED_AT_SERIAL) >> 56, 1);
	assert_int_equal(msg[CRED_AT_KIND], CRED_KIND_REPLY + CRED_KIND_ASSERT);
	burst_of_one(0, &fields);
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_DUPLICATE), 1);
	assert_int_equal(fixture.result.reply_count, 1);
}

/* A refusal found on arrival is proved, and told by the owner, whose node's bucket it spends. */
static void
provisional_refusals_cross(void **state)
{
	const uint32_t node = node_owned_by(1);
	struct cred_fields fields = fields_of(node, 1);

	(void)state;
	fields.flags = CRED_FLAG_REPLY;
	fields.issued_us -= 1000000000;
	burst_of_one(0, &fields);
	assert_int_equal(fixture.result.reply_count, 0);
	drain(1);
	assert_int_equal(stats_worker(fixture.stats, 1)->proved[VERDICT_EXPIRED], 1);
	assert_int_equal(fixture.result.reply_count, 1);
	assert_int_not_equal(fixture_meter(&fixture, FIXTURE_REALM, node)->reply_bucket, 0);
	assert_int_equal(fixture_line(&fixture, FIXTURE_REALM, node)->top, 0);
}

/* What the owner's table says counts, not what the arrival's did. */
static void
revoked_on_the_way_is_refused(void **state)
{
	const uint32_t node = node_owned_by(1);
	struct cred_fields fields = fields_of(node, 1);
	struct key_slot *slot = fixture_slot(&fixture, FIXTURE_REALM, node, 1);

	(void)state;
	fields.flags = CRED_FLAG_REPLY;
	burst_of_one(0, &fields);
	slot->state = KEY_SLOT_REVOKED;
	drain(1);
	assert_int_equal(stats_worker(fixture.stats, 1)->proved[VERDICT_REVOKED], 1);
	assert_int_equal(fixture.result.reply_count, 0);
	slot->state = KEY_SLOT_LIVE;
	burst_of_one(0, &fields);
	slot->not_after_s = 1;
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_UNKNOWN_EPOCH), 1);
	slot->not_after_s = UINT32_MAX;
	burst_of_one(0, &fields);
	realm()->audiences[0].audience++;
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_WRONG_AUDIENCE), 1);
	realm()->audiences[0].audience--;
	burst_of_one(0, &fields);
	atomic_store(&fixture.table->generation, 2);
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_UNKNOWN_REALM), 1);
	atomic_store(&fixture.table->generation, 3);
	burst_of_one(0, &fields);
	slot->shard ^= 512; /* another worker's now: it must not be written here */
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_BUSY), 1);
	assert_int_equal(fixture.result.reply_count, 0);
	assert_int_equal(fixture_line(&fixture, FIXTURE_REALM, node)->top, 0);
	slot->shard ^= 512;
	burst_of_one(0, &fields);
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 1);
}

/* Without a reply flag the arrival does not look at a window that is not its own. */
static void
only_the_owner_looks_at_the_window(void **state)
{
	struct cred_fields fields = fields_of(node_owned_by(1), 1);

	(void)state;
	burst_of_one(0, &fields);
	drain(1);
	burst_of_one(0, &fields);
	assert_int_equal(fixture_unproved(&fixture, VERDICT_REPLAYED), 0);
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_REPLAYED), 1);
	burst_of_one(1, &fields);
	assert_int_equal(fixture_proved(&fixture, VERDICT_REPLAYED), 2);
}

/* Never a wait: what does not fit is BUSY at once, told by the arrival, and may come again. */
static void
full_ring_is_busy_at_once(void **state)
{
	const uint32_t node = node_owned_by(1);
	uint64_t serial;
	struct cred_fields fields;

	(void)state;
	for (serial = 1; serial <= HANDOFF_SLOTS_MIN; serial++) {
		fields = fields_of(node, serial);
		burst_of_one(0, &fields);
	}
	assert_int_equal(stats_worker(fixture.stats, 0)->handed_off, HANDOFF_SLOTS_MIN);
	fields = fields_of(node, serial);
	fields.flags = CRED_FLAG_REPLY;
	burst_of_one(0, &fields);
	assert_int_equal(stats_worker(fixture.stats, 0)->proved[VERDICT_BUSY], 1);
	assert_int_equal(fixture.result.reply_count, 1);
	assert_int_equal(load_be64(fixture.result.replies[0].data + 42 + CRED_AT_SERIAL) >> 56, 0);
	fields.issued_us -= 1000000000; /* a refusal that stands keeps its name */
	burst_of_one(0, &fields);
	assert_int_equal(stats_worker(fixture.stats, 0)->proved[VERDICT_EXPIRED], 1);
	assert_int_equal(fixture.result.reply_count, 1);
	fields.issued_us += 1000000000;
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), HANDOFF_SLOTS_MIN);
	burst_of_one(0, &fields);
	drain(1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), HANDOFF_SLOTS_MIN + 1);
}

/* A stranger's copy of a BUSY credential makes the gateway talk to nobody. */
static void
busy_is_not_told_to_strangers(void **state)
{
	const uint32_t node = node_owned_by(1);
	struct fixture_frame frame;
	struct fixture_frame *frames[] = {&frame};
	struct cred_fields fields;
	uint64_t serial;

	(void)state;
	realm()->origin_mode = TABLE_ORIGIN_OFF;
	for (serial = 1; serial <= HANDOFF_SLOTS_MIN; serial++) {
		fields = fields_of(node, serial);
		burst_of_one(0, &fields);
	}
	fields = fields_of(node, serial);
	fields.flags = CRED_FLAG_REPLY;
	fixture_frame_init(&frame);
	fixture_frame_mint(&fixture, &frame, &fields);
	fixture_burst(&fixture, 0, frames, 1);
	assert_int_equal(fixture_proved(&fixture, VERDICT_BUSY), 1);
	assert_int_equal(fixture.result.reply_count, 0);
}

/* More than one burst's worth waits: it is taken burst by burst, nothing is lost. */
static void
backlog_is_taken_burst_by_burst(void **state)
{
	const uint32_t node = node_owned_by(1);
	uint64_t serial;

	(void)state;
	for (serial = 1; serial <= 150; serial++) {
		const struct cred_fields fields = fields_of(node, serial);

		burst_of_one(0, &fields);
	}
	drain(1);
	assert_int_equal(fixture.result.work, 64);
	drain(1);
	assert_int_equal(fixture.result.work, 64);
	drain(1);
	assert_int_equal(fixture.result.work, 22);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED), 150);
}

/* One peer's backlog does not keep another's waiting. */
static void
peers_take_turns(void **state)
{
	const uint32_t node = node_owned_by(2);
	struct cred_fields fields;
	uint64_t serial;

	(void)state;
	for (serial = 1; serial <= 200; serial++) {
		fields = fields_of(node, serial);
		burst_of_one(serial <= 190 ? 0 : 1, &fields);
	}
	drain(2);
	drain(2);
	assert_int_equal(replay_window_peek(&fixture.replay, node, 191), REPLAY_SEEN);
	assert_int_equal(replay_window_peek(&fixture.replay, node, 200), REPLAY_SEEN);
	assert_int_equal(replay_window_peek(&fixture.replay, node, 190), REPLAY_NEW);
}

/* ---- threads ---- */

#define THREAD_CREDS  6000u
#define THREAD_STRIDE 512u

static uint8_t *thread_frames;
static uint16_t thread_sizes[THREAD_CREDS];
static pthread_barrier_t thread_start;
static atomic_uint thread_done;

static void
thread_frames_make(void)
{
	struct fixture_frame frame;
	unsigned i;

	thread_frames = malloc((size_t)THREAD_CREDS * THREAD_STRIDE);
	assert_non_null(thread_frames);
	for (i = 0; i < THREAD_CREDS; i++) {
		const uint8_t payload[200] = {0};
		struct cred_fields fields = fields_of(1 + i % NODES, 1 + i / NODES);

		fields.flags = i % 5 == 0 ? CRED_FLAG_REPLY : 0;
		fields.payload = payload;
		fields.payload_size = i % 200;
		fixture_frame_init(&frame);
		fixture_frame_mint(&fixture, &frame, &fields);
		memcpy(thread_frames + (size_t)i * THREAD_STRIDE, frame.data, frame.size);
		thread_sizes[i] = frame.size;
	}
}

/* Feeds every credential to its worker, the odd one backwards within the burst, then drains. */
static void *
thread_run(void *arg)
{
	struct worker *worker = arg;
	struct burst_result result;
	struct burst_frame burst[32];
	unsigned i, n;

	pthread_barrier_wait(&thread_start);
	for (i = 0; i < THREAD_CREDS; i += n) {
		for (n = 0; n < 32 && i + n < THREAD_CREDS; n++) {
			const unsigned at = worker == fixture.workers[0] ? i + n : i + (n ^ 1);

			burst[n] = (struct burst_frame){
				.data = thread_frames + (size_t)at * THREAD_STRIDE,
				.size = thread_sizes[at],
			};
		}
		worker_burst_at(worker, burst, n, fixture.now_us, fixture.mono_us, &result);
	}
	atomic_fetch_add(&thread_done, 1);
	do {
		worker_burst_at(worker, NULL, 0, fixture.now_us, fixture.mono_us, &result);
	} while (result.work != 0 || atomic_load(&thread_done) != 2);
	return NULL;
}

static uint64_t
counted_in_all(void)
{
	uint64_t sum = 0;
	unsigned v;

	for (v = 0; v < VERDICT_COUNTERS; v++)
		sum += fixture_proved(&fixture, v) + fixture_unproved(&fixture, v);
	return sum;
}

/* The same bytes at both workers at the same time: each is accepted exactly once. */
static void
threads_accept_once(void **state)
{
	pthread_t threads[2];
	uint64_t delivered;
	unsigned i;

	(void)state;
	thread_frames_make();
	atomic_store(&thread_done, 0);
	assert_int_equal(pthread_barrier_init(&thread_start, NULL, 2), 0);
	for (i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, thread_run, fixture.workers[i]), 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	do { /* what was handed over after the other one's last look */
		drain(0);
		i = fixture.result.work;
		drain(1);
	} while (i + fixture.result.work != 0);
	assert_int_equal(counted_in_all(), 2 * THREAD_CREDS);
	delivered = stats_worker(fixture.stats, 0)->delivered +
		    stats_worker(fixture.stats, 1)->delivered;
	assert_int_equal(delivered, fixture_proved(&fixture, VERDICT_ACCEPTED));
	assert_true(stats_worker(fixture.stats, 0)->handed_off > 0);
	assert_true(stats_worker(fixture.stats, 1)->handed_off > 0);
	/* A copy may be BUSY where a ring was full; then the other copy decided, or was BUSY too. */
	assert_true(fixture_proved(&fixture, VERDICT_ACCEPTED) <= THREAD_CREDS);
	assert_true(fixture_proved(&fixture, VERDICT_ACCEPTED) +
			    fixture_proved(&fixture, VERDICT_BUSY) >=
		    THREAD_CREDS);
	assert_int_equal(fixture_proved(&fixture, VERDICT_ACCEPTED) +
				 fixture_proved(&fixture, VERDICT_BUSY) +
				 fixture_proved(&fixture, VERDICT_REPLAYED) +
				 fixture_unproved(&fixture, VERDICT_REPLAYED) +
				 fixture_proved(&fixture, VERDICT_DUPLICATE),
		2 * THREAD_CREDS);
	pthread_barrier_destroy(&thread_start);
	free(thread_frames);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_keeps_order_and_bytes),
		cmocka_unit_test(ring_shows_only_what_is_published),
		cmocka_unit_test(ring_does_not_believe_lengths),
		cmocka_unit_test_setup_teardown(owner_decides, setup, teardown),
		cmocka_unit_test_setup_teardown(restriction_crosses, setup, teardown),
		cmocka_unit_test_setup_teardown(
			copies_at_both_workers_are_accepted_once, setup, teardown),
		cmocka_unit_test_setup_teardown(owner_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(provisional_refusals_cross, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked_on_the_way_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			only_the_owner_looks_at_the_window, setup, teardown),
		cmocka_unit_test_setup_teardown(full_ring_is_busy_at_once, setup_small, teardown),
		cmocka_unit_test_setup_teardown(
			busy_is_not_told_to_strangers, setup_small, teardown),
		cmocka_unit_test_setup_teardown(backlog_is_taken_burst_by_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(peers_take_turns, setup_three, teardown),
		cmocka_unit_test_setup_teardown(threads_accept_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

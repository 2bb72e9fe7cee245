/* SPDX-License-Identifier: BSD-3-Clause */

/* A dataplane that dies: no promised verdict is lost, and nothing is accepted twice. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "path_fixture.h"

#define NODES 8u

#define KILLS       60u
#define KILLS_MAX   600u /* until CUT_SHORT of them hit a writer at work */
#define CUT_SHORT   10u
#define KILL_CREDS  8192u            /* a round; at most 2 slots each */
#define KILL_SLOTS  (2 * KILL_CREDS) /* a power of two */
#define KILL_STRIDE 256u

static struct fixture fixture;

static int
setup(void **state)
{
	struct fixture_params params = fixture_params_default();
	uint32_t node;

	(void)state;
	params.group_count = 2;
	params.ring_slots = KILL_SLOTS;
	params.window_bits = KILL_SLOTS; /* a whole round can be looked up */
	fixture_init(&fixture, &params);
	for (node = 1; node <= NODES; node++)
		fixture_node_add(&fixture, FIXTURE_REALM, node, 1, CRED_SUITE_DEFAULT);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

static unsigned
recover(void)
{
	struct verdict_ring *rings[] = {
		fixture.delivery[0][0], fixture.delivery[1][0], NULL, fixture.refusal[0]};

	return worker_recover(&fixture.replay, fixture.table, rings, 4);
}

/* ---- one store after the other, put back by hand ---- */

#define STEPS 12u

struct stage {
	uint8_t *replay; /* windows after so many acceptances */
	uint64_t head;
};

static void
accept_serial(uint64_t serial)
{
	struct cred_fields fields = fixture_fields(&fixture, serial);
	uint8_t payload[100] = {0};

	fields.node = (uint32_t)(1 + serial % NODES);
	fields.payload = payload;
	fields.payload_size = serial * 13 % 100;
	assert_int_equal(fixture_judge(&fixture, &fields), VERDICT_ACCEPTED);
}

/*
 * The records of all STEPS are in the rings and reserved; the windows know the first `marked` of
 * them; head is still where it was before. Recovery publishes exactly those, in both rings.
 */
static void
marked_records_are_published(void **state)
{
	struct stage stages[STEPS + 1];
	unsigned marked;
	uint64_t i;

	(void)state;
	for (i = 0; i <= STEPS; i++) {
		if (i != 0)
			accept_serial(i);
		stages[i].replay = malloc(fixture.replay_size);
		assert_non_null(stages[i].replay);
		memcpy(stages[i].replay, fixture.replay_mapping, fixture.replay_size);
		stages[i].head = fixture.delivery[0][0]->head;
	}
	fixture_workers_stop(&fixture);
	for (marked = 0; marked <= STEPS; marked++) {
		memcpy(fixture.replay_mapping, stages[marked].replay, fixture.replay_size);
		fixture.delivery[0][0]->head = 0;
		fixture.delivery[1][0]->head = 0;
		fixture.delivery[0][0]->voided = 0;
		fixture.delivery[1][0]->voided = 0;
		assert_int_equal(recover(), 2 * marked);
		assert_int_equal(fixture.delivery[0][0]->head, stages[marked].head);
		assert_int_equal(fixture.delivery[1][0]->head, stages[marked].head);
		assert_int_equal(recover(), 0);
	}
	for (i = 0; i <= STEPS; i++)
		free(stages[i].replay);
}

/* Who cannot bear witness: no such realm, another's window, no table, a refusal ring. */
static void
witnesses_must_be_sound(void **state)
{
	struct replay_window_header *header = &fixture.replay.headers[1];

	(void)state;
	accept_serial(NODES); /* node 1 */
	fixture_workers_stop(&fixture);
	fixture.delivery[0][0]->head = 0;
	fixture.delivery[0][0]->voided = 0;
	header->checksum ^= 1;
	assert_int_equal(recover(), 0);
	header->checksum ^= 1;
	atomic_store(&fixture.table->generation, 2);
	assert_int_equal(recover(), 0);
	atomic_store(&fixture.table->generation, 0);
	assert_int_equal(recover(), 0);
	atomic_store(&fixture.table->generation, 3);
	fixture.delivery[0][0]->kind = VERDICT_RING_REFUSAL;
	assert_int_equal(recover(), 0);
	fixture.delivery[0][0]->kind = VERDICT_RING_DELIVERY;
	assert_int_equal(recover(), 1);
}

/* The node was revoked meanwhile: its verdict was given before that, and stands. */
static void
revoked_since_is_still_published(void **state)
{
	(void)state;
	accept_serial(NODES);
	fixture_workers_stop(&fixture);
	fixture.delivery[0][0]->head = 0;
	fixture.delivery[0][0]->voided = 0;
	fixture_slot(&fixture, FIXTURE_REALM, 1, 1)->state = KEY_SLOT_REVOKED;
	assert_int_equal(recover(), 1);
}

/* ---- killed for real ---- */

static uint8_t *kill_frames;
static uint16_t kill_sizes[KILL_CREDS];

static void
kill_frames_make(uint64_t first)
{
	struct fixture_frame frame;
	unsigned i;

	for (i = 0; i < KILL_CREDS; i++) {
		struct cred_fields fields = fixture_fields(&fixture, first + i);
		const uint8_t payload[60] = {(uint8_t)i};

		fields.node = 1 + i % NODES;
		fields.payload = payload;
		fields.payload_size = i % 3 == 0 ? 60 : 0;
		fixture_frame_init(&frame);
		fixture_frame_mint(&fixture, &frame, &fields);
		memcpy(kill_frames + (size_t)i * KILL_STRIDE, frame.data, frame.size);
		kill_sizes[i] = frame.size;
	}
}

static void
kill_frames_send(void)
{
	struct burst_frame burst[BURST_FRAMES_MAX];
	unsigned i, n;

	for (i = 0; i < KILL_CREDS; i += n) {
		for (n = 0; n < BURST_FRAMES_MAX; n++)
			burst[n] = (struct burst_frame){
				.data = kill_frames + (size_t)(i + n) * KILL_STRIDE,
				.size = kill_sizes[i + n],
			};
		worker_burst_at(fixture.workers[0], burst, n, fixture.now_us, fixture.mono_us,
			&fixture.result);
	}
}

/*
 * A child sends all frames and is killed by its own alarm somewhere on the way: later from round to
 * round, and on a busy machine too, since the alarm waits for the child to run.
 */
static void
send_and_kill(unsigned alarm_us)
{
	const struct itimerval alarm = {.it_value.tv_usec = alarm_us};
	const pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		setitimer(ITIMER_REAL, &alarm, NULL);
		kill_frames_send();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
}

/* Reads what is published and counts how often each serial of the round came. */
static unsigned
published_count(struct verdict_reader *reader, uint64_t first, uint8_t *times)
{
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record record;
	unsigned count = 0;

	while (verdict_reader_next(reader, &record, payload) == 1) {
		assert_in_range(record.serial, first, first + KILL_CREDS - 1);
		times[record.serial - first]++;
		if (record.payload_size != 0)
			assert_int_equal(payload[0], (uint8_t)(record.serial - first));
		count++;
	}
	return count;
}

static unsigned
marked_count(uint64_t first)
{
	unsigned count = 0;
	unsigned i;

	for (i = 0; i < KILL_CREDS; i++)
		count += replay_window_peek(&fixture.replay, 1 + i % NODES, first + i) ==
			 REPLAY_SEEN;
	return count;
}

/*
 * Serials that were never published, i.e. marked by nobody's acceptance: a window that was killed
 * while it moved on may still have an old word where a new one begins. That refuses at most the
 * other serials of that word, of one node.
 */
static unsigned
assert_torn_word_at_most(const uint8_t *times, uint64_t first)
{
	unsigned count = 0;
	unsigned i, torn = 0;

	for (i = 0; i < KILL_CREDS; i++) {
		if (times[i] != 0)
			continue;
		if (count++ == 0)
			torn = i;
		assert_int_equal(i % NODES, torn % NODES);
		assert_int_equal((first + i) / 64, (first + torn) / 64);
	}
	return count;
}

/* What is told to both groups in one round: first by the killed writer, then when all comes again. */
struct told {
	unsigned marked;
	unsigned published[2];
	uint8_t times[2][KILL_CREDS];
};

static void
round_run(unsigned alarm_us, uint64_t first, struct verdict_reader *readers, struct told *told)
{
	unsigned group;

	memset(told, 0, sizeof(*told));
	kill_frames_make(first);
	send_and_kill(alarm_us);
	fixture_workers_stop(&fixture);
	recover();
	told->marked = marked_count(first);
	for (group = 0; group < 2; group++)
		told->published[group] =
			published_count(&readers[group], first, told->times[group]);
	fixture_workers_start(&fixture);
	kill_frames_send();
	for (group = 0; group < 2; group++)
		published_count(&readers[group], first, told->times[group]);
}

/* How long a writer lives depends on machine and build: nearer to the middle of its work. */
static unsigned
alarm_next(unsigned alarm_us, unsigned marked)
{
	if (marked == 0)
		return alarm_us + alarm_us / 4 + 5;
	if (marked == KILL_CREDS)
		return alarm_us / 2 + 1;
	return alarm_us + 5;
}

/*
 * After each kill every serial that was accepted is published; then the same bytes come again, as
 * their senders would send them, and in the end no serial was published twice, and none was left
 * out but for a torn word.
 */
static void
killed_anywhere_once_and_only_once(void **state)
{
	static struct told told;
	struct verdict_reader readers[2];
	unsigned round, group, i, cut_short = 0, alarm_us = 1;

	(void)state;
	kill_frames = malloc((size_t)KILL_CREDS * KILL_STRIDE);
	assert_non_null(kill_frames);
	for (group = 0; group < 2; group++)
		assert_int_equal(verdict_reader_init(&readers[group], fixture.delivery[group][0],
					 fixture.ring_size, false),
			0);
	for (round = 0; round < KILLS || (cut_short < CUT_SHORT && round < KILLS_MAX); round++) {
		const uint64_t first = 1 + (uint64_t)round * KILL_CREDS;

		round_run(alarm_us, first, readers, &told);
		alarm_us = alarm_next(alarm_us, told.marked);
		cut_short += told.marked > 0 && told.marked < KILL_CREDS;
		for (group = 0; group < 2; group++) {
			for (i = 0; i < KILL_CREDS; i++)
				assert_true(told.times[group][i] <= 1);
			assert_int_equal(told.published[group] +
						 assert_torn_word_at_most(told.times[group], first),
				told.marked);
			assert_int_equal(readers[group].lost_slots, 0);
		}
	}
	assert_true(cut_short >= CUT_SHORT);
	free(kill_frames);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(marked_records_are_published, setup, teardown),
		cmocka_unit_test_setup_teardown(witnesses_must_be_sound, setup, teardown),
		cmocka_unit_test_setup_teardown(revoked_since_is_still_published, setup, teardown),
		cmocka_unit_test_setup_teardown(
			killed_anywhere_once_and_only_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

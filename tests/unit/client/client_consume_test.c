/* SPDX-License-Identifier: BSD-3-Clause */

/* A reader against a real attach server and rings that the real writer fills (gateway.h). */

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

#include <credgate/credgate.h>

#include "client/waiter_priv.h"
#include "fixture.h"
#include "gateway.h"
#include "verdict/verdict.h"

static struct fixture fixture;
static char socket_path[96];

static int
setup(void **state)
{
	(void)state;
	fixture_init(&fixture);
	snprintf(socket_path, sizeof(socket_path), "%s/consumer.sock", fixture.directory);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

static struct verdict_record
make_record(uint64_t serial, uint16_t payload_size)
{
	return (struct verdict_record){
		.audience = 9,
		.time_us = 1767225600000000 + serial,
		.serial = serial,
		.source = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 17},
		.realm = 7,
		.node = 0x01020304,
		.uid = 1000,
		.gid = 100,
		.port = 4711,
		.payload_size = payload_size,
		.epoch = 5,
		.kind = CG_KIND_ASSERT,
		.verdict = VERDICT_ACCEPTED,
	};
}

static void
publish(struct gateway *gateway, unsigned worker, uint64_t serial)
{
	struct verdict_record record = make_record(serial, 0);

	gateway_publish(gateway, worker, &record, NULL, 0);
}

static struct cg_reader *
must_open(const char *group)
{
	struct cg_reader *reader;

	if (cg_reader_open(&reader, socket_path, group) != 0)
		fail_msg("%s", cg_error());
	return reader;
}

/* Until there is a record or the gateway is gone; a lapped reader says 0 once. */
static int
next(struct cg_reader *reader, struct cg_record *record)
{
	record->size = sizeof(*record);
	return cg_reader_next(reader, record);
}

static int64_t
elapsed_ms(int64_t since_ns)
{
	return (waiter_now_ns() - since_ns) / 1000000;
}

static unsigned
open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

/* ---- reading ---- */

static void
test_record_and_payload_come_through(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 2, GATEWAY_GOOD);
	struct verdict_record in = make_record(42, VERDICT_PAYLOAD_SIZE_MAX);
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct cg_reader *reader;
	struct cg_record record;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 13);
	publish(gateway, 1, 41); /* before we came: not ours */
	reader = must_open("jobs");
	assert_int_equal(next(reader, &record), 0);
	gateway_publish(gateway, 1, &in, payload, 0);
	assert_int_equal(next(reader, &record), 1);
	assert_int_equal(record.verdict, CG_ACCEPTED);
	assert_int_equal(record.is_proved, 1);
	assert_int_equal(record.kind, CG_KIND_ASSERT);
	assert_int_equal(record.time_us, in.time_us);
	assert_int_equal(record.serial, 42);
	assert_int_equal(record.realm, 7);
	assert_int_equal(record.node, 0x01020304);
	assert_int_equal(record.epoch, 5);
	assert_int_equal(record.audience, 9);
	assert_int_equal(record.uid, 1000);
	assert_int_equal(record.gid, 100);
	assert_memory_equal(record.source, in.source, 16);
	assert_int_equal(record.port, 4711);
	assert_int_equal(record.worker, 1);
	assert_int_equal(record.payload_size, sizeof(payload));
	assert_memory_equal(record.payload, payload, sizeof(payload));
	assert_int_equal(next(reader, &record), 0);
	cg_reader_close(reader);
	gateway_stop(gateway);
}

static void
test_four_rings_are_served_in_turn(void **state)
{
	enum {
		RINGS = 4,
		EACH = 100
	};
	struct gateway *gateway = gateway_start(socket_path, RINGS, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");
	struct cg_record record;
	uint64_t last[RINGS] = {0};
	unsigned worker, i;

	(void)state;
	for (worker = 0; worker < RINGS; worker++) {
		for (i = 1; i <= EACH; i++)
			publish(gateway, worker, i);
	}
	for (i = 0; i < RINGS * EACH; i++) {
		assert_int_equal(next(reader, &record), 1);
		assert_int_equal(record.worker, i % RINGS);
		assert_int_equal(record.serial, ++last[record.worker]);
	}
	assert_int_equal(next(reader, &record), 0);
	/* One that has nothing is passed over. */
	publish(gateway, 2, 1000);
	publish(gateway, 2, 1001);
	assert_int_equal(next(reader, &record), 1);
	assert_int_equal(next(reader, &record), 1);
	assert_int_equal(record.serial, 1001);
	assert_int_equal(cg_reader_lost(reader), 0);
	cg_reader_close(reader);
	gateway_stop(gateway);
}

static void
test_lost_slots_are_counted(void **state)
{
	const unsigned written[2] = {VERDICT_RING_SLOTS_MIN + 904, VERDICT_RING_SLOTS_MIN + 1};
	struct gateway *gateway = gateway_start(socket_path, 2, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");
	struct cg_record record;
	unsigned worker, i, read = 0;

	(void)state;
	for (worker = 0; worker < 2; worker++) {
		for (i = 0; i < written[worker]; i++)
			publish(gateway, worker, i + 1);
	}
	while (next(reader, &record) == 1)
		read++;
	assert_int_equal(read + cg_reader_lost(reader), written[0] + written[1]);
	assert_true(cg_reader_lost(reader) >= 905);
	publish(gateway, 0, 77);
	assert_int_equal(next(reader, &record), 1);
	assert_int_equal(record.serial, 77);
	cg_reader_close(reader);
	gateway_stop(gateway);
}

static void
test_refusals_tell_what_is_proved(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 1, GATEWAY_GOOD);
	struct cg_reader *observer = must_open(NULL), *reader = must_open("jobs");
	struct verdict_record record_in = make_record(1, 0);
	struct cg_record record;

	(void)state;
	record_in.verdict = VERDICT_BAD_TAG | VERDICT_RECORD_UNPROVED;
	gateway_publish(gateway, 0, &record_in, NULL, 0);
	record_in.verdict = VERDICT_REPLAYED;
	gateway_publish(gateway, 0, &record_in, NULL, 0);
	record_in.verdict = VERDICT_FORBIDDEN | VERDICT_RECORD_ADVISED;
	gateway_publish(gateway, 0, &record_in, NULL, 0);
	record_in.verdict = VERDICT_BAD_TAG | VERDICT_RECORD_ADVISED | VERDICT_RECORD_UNPROVED;
	gateway_publish(gateway, 0, &record_in, NULL, 0);
	assert_int_equal(next(observer, &record), 1);
	assert_int_equal(record.verdict, CG_BAD_TAG);
	assert_int_equal(record.is_proved, 0);
	assert_int_equal(record.advice, CG_ADVICE_OBEY);
	assert_int_equal(next(observer, &record), 1);
	assert_int_equal(record.verdict, CG_REPLAYED);
	assert_int_equal(record.is_proved, 1);
	assert_int_equal(record.advice, CG_ADVICE_OBEY);
	assert_int_equal(next(observer, &record), 1);
	assert_int_equal(record.verdict, CG_FORBIDDEN);
	assert_int_equal(record.is_proved, 1);
	assert_int_equal(record.advice, CG_ADVICE_PASS);
	assert_int_equal(next(observer, &record), 1);
	assert_int_equal(record.verdict, CG_BAD_TAG);
	assert_int_equal(record.is_proved, 0);
	assert_int_equal(record.advice, CG_ADVICE_PASS);
	assert_int_equal(next(reader, &record), 0);
	cg_reader_close(observer);
	cg_reader_close(reader);
	gateway_stop(gateway);
}

static void
test_callers_of_other_releases_are_served(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 1, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");
	struct {
		struct cg_record record;
		uint64_t more[4];
	} newer;

	(void)state;
	memset(&newer, 0xaa, sizeof(newer));
	newer.record.size = sizeof(newer);
	publish(gateway, 0, 5);
	assert_int_equal(cg_reader_next(reader, &newer.record), 1);
	assert_int_equal(newer.record.serial, 5);
	assert_int_equal(newer.record.size, sizeof(newer));
	assert_int_equal(newer.more[0] | newer.more[3], 0);
	/* The first release's struct ends where `advice` begins. */
	memset(&newer, 0xaa, sizeof(newer));
	newer.record.size = offsetof(struct cg_record, advice);
	publish(gateway, 0, 6);
	assert_int_equal(cg_reader_next(reader, &newer.record), 1);
	assert_int_equal(newer.record.serial, 6);
	assert_int_equal(newer.record.size, 104);
	assert_int_equal(newer.record.advice, 0xaaaaaaaa);
	newer.record.size = 103;
	assert_int_equal(cg_reader_next(reader, &newer.record), -EINVAL);
	assert_int_equal(cg_reader_next(reader, NULL), -EINVAL);
	cg_reader_close(reader);
	gateway_stop(gateway);
}

/* ---- waiting ---- */

struct later {
	struct gateway *gateway;
	unsigned worker;
	int is_wake;
};

static void *
publish_later(void *context)
{
	const struct later *later = context;
	struct verdict_record record = make_record(1, 0);

	usleep(20000);
	gateway_publish(later->gateway, later->worker, &record, NULL, later->is_wake);
	return NULL;
}

/* Milliseconds that a wait took in which a record came after 20 ms. */
static int64_t
wait_for_record(struct gateway *gateway, struct cg_reader *reader, unsigned worker, int is_wake)
{
	struct later later = {.gateway = gateway, .worker = worker, .is_wake = is_wake};
	int64_t start_ns = waiter_now_ns(), took_ms;
	struct cg_record record;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, publish_later, &later), 0);
	assert_int_equal(cg_reader_wait(reader, 10000), 1);
	took_ms = elapsed_ms(start_ns);
	pthread_join(thread, NULL);
	assert_int_equal(next(reader, &record), 1);
	assert_int_equal(record.worker, worker);
	return took_ms;
}

/* A slice of sleep is 100 ms: who is back earlier was woken. Some tries, as the machine is busy. */
static void
test_wait_is_woken_by_any_ring(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 4, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");
	unsigned worker, try;

	(void)state;
	for (worker = 0; worker < 4; worker++) {
		for (try = 0; try < 10; try++) {
			if (wait_for_record(gateway, reader, worker, 1) < 90)
				break;
		}
		assert_true(try < 10);
	}
	cg_reader_close(reader);
	gateway_stop(gateway);
}

static void
test_wait_notices_without_being_woken(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 4, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");

	(void)state;
	assert_true(wait_for_record(gateway, reader, 3, 0) < 5000);
	cg_reader_close(reader);
	gateway_stop(gateway);
}

static void
test_wait_ends_in_time(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 1, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");
	int64_t start_ns = waiter_now_ns();

	(void)state;
	assert_int_equal(cg_reader_wait(reader, 0), 0);
	assert_int_equal(cg_reader_wait(reader, 250), 0);
	assert_in_range(elapsed_ms(start_ns), 250, 5000);
	publish(gateway, 0, 1);
	assert_int_equal(cg_reader_wait(reader, 0), 1);
	cg_reader_close(reader);
	gateway_stop(gateway);
}

static void
on_alarm(int number)
{
	(void)number;
}

static void
test_wait_is_interrupted(void **state)
{
	const struct sigaction action = {.sa_handler = on_alarm};
	const struct itimerval soon = {.it_value = {.tv_usec = 30000}};
	struct gateway *gateway;
	struct cg_reader *reader;
	sigset_t mask;

	(void)state;
	sigemptyset(&mask);
	sigaddset(&mask, SIGALRM);
	/* The gateway's thread inherits the mask, so that the signal comes to us. */
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &mask, NULL), 0);
	gateway = gateway_start(socket_path, 1, GATEWAY_GOOD);
	assert_int_equal(pthread_sigmask(SIG_UNBLOCK, &mask, NULL), 0);
	reader = must_open("jobs");
	assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(cg_reader_wait(reader, 10000), -EINTR);
	cg_reader_close(reader);
	gateway_stop(gateway);
}

/* The fallback for kernels without futex_waitv. */
static void
test_doze_sees_changes_and_ends(void **state)
{
	_Atomic uint64_t words[2] = {5, 6};
	struct waiter waiter = {.count = 2, .words = {&words[0], &words[1]}, .seen = {5, 6}};
	int64_t start_ns = waiter_now_ns();

	(void)state;
	assert_int_equal(waiter_doze(&waiter, 50), 0);
	assert_in_range(elapsed_ms(start_ns), 50, 5000);
	words[1] = 7;
	start_ns = waiter_now_ns();
	assert_int_equal(waiter_doze(&waiter, 20000), 0);
	assert_true(elapsed_ms(start_ns) < 10000);
}

/* ---- the end ---- */

static void
test_gone_after_everything_was_read(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 2, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");
	struct cg_record record;
	int rc = 0;

	(void)state;
	publish(gateway, 0, 1);
	publish(gateway, 1, 2);
	gateway_stop(gateway);
	assert_int_equal(cg_reader_wait(reader, -1), 1);
	assert_int_equal(next(reader, &record), 1);
	assert_int_equal(next(reader, &record), 1);
	while (rc == 0)
		rc = next(reader, &record);
	assert_int_equal(rc, -EPIPE);
	assert_non_null(strstr(cg_error(), "gone"));
	assert_int_equal(cg_reader_wait(reader, -1), -EPIPE);
	cg_reader_close(reader);
}

static struct gateway *ending; /* ends while the reader looks at its socket */

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

int
__wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	if (ending != NULL) {
		publish(ending, 1, 9);
		gateway_stop(ending);
		ending = NULL;
	}
	return __real_poll(fds, count, timeout_ms);
}

/* What is published between the look at the rings and the look at the socket is not lost. */
static void
test_last_words_are_read(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 2, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");
	struct cg_record record;

	(void)state;
	ending = gateway;
	assert_int_equal(next(reader, &record), 1);
	assert_int_equal(record.serial, 9);
	assert_int_equal(next(reader, &record), -EPIPE);
	cg_reader_close(reader);

	gateway = gateway_start(socket_path, 2, GATEWAY_GOOD);
	reader = must_open("jobs");
	ending = gateway;
	assert_int_equal(cg_reader_wait(reader, -1), 1);
	assert_int_equal(next(reader, &record), 1);
	assert_int_equal(cg_reader_wait(reader, -1), -EPIPE);
	cg_reader_close(reader);
}

static void *
stop_later(void *context)
{
	usleep(30000);
	gateway_stop(context);
	return NULL;
}

static void
test_gone_while_we_sleep(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 2, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");
	int64_t start_ns = waiter_now_ns();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, stop_later, gateway), 0);
	assert_int_equal(cg_reader_wait(reader, -1), -EPIPE);
	assert_true(elapsed_ms(start_ns) < 5000);
	pthread_join(thread, NULL);
	cg_reader_close(reader);
}

/* ---- attaching ---- */

static void
must_refuse(const char *group, int error, const char *says)
{
	struct cg_reader *reader = (struct cg_reader *)&fixture;

	assert_int_equal(cg_reader_open(&reader, socket_path, group), -error);
	assert_null(reader);
	if (strstr(cg_error(), says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", cg_error(), says);
}

static void
test_refusal_is_passed_on(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 1, GATEWAY_GOOD);

	(void)state;
	must_refuse("others", EACCES, "group others is not for you");
	must_refuse("none", ENOENT, "group none is not for you");
	must_refuse("", EINVAL, "1 to 31");
	must_refuse("a-name-of-more-than-31-characters", EINVAL, "1 to 31");
	gateway_stop(gateway);
	must_refuse("jobs", ENOENT, "running");
}

static void
test_bad_gateways_are_refused(void **state)
{
	static const struct {
		enum gateway_fault fault;
		const char *says;
	} faults[] = {
		{GATEWAY_UNSEALED, "not sealed"},
		{GATEWAY_WRONG_SIZE, "size"},
		{GATEWAY_WRONG_KIND, "none of this version"},
		{GATEWAY_WRONG_MAGIC, "none of this version"},
		{GATEWAY_FEWER_RINGS, "promises 3 rings and gives 2"},
		{GATEWAY_OTHER_VERSION, "another version"},
		{GATEWAY_SHORT_REPLY, "another version"},
		{GATEWAY_NO_RINGS, "promises 0 rings"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		unsigned before = open_descriptors();
		struct gateway *gateway = gateway_start(socket_path, 3, faults[i].fault);

		must_refuse("jobs", EPROTO, faults[i].says);
		gateway_stop(gateway);
		assert_int_equal(open_descriptors(), before);
	}
}

static void
test_hanging_up_is_said(void **state)
{
	struct gateway *gateway = gateway_start(socket_path, 1, GATEWAY_HANGS_UP);

	(void)state;
	must_refuse("jobs", ECONNRESET, "too many consumers");
	gateway_stop(gateway);
}

static void
test_nothing_is_left_open(void **state)
{
	unsigned before = open_descriptors();
	struct gateway *gateway = gateway_start(socket_path, 4, GATEWAY_GOOD);
	struct cg_reader *reader = must_open("jobs");

	(void)state;
	cg_reader_close(reader);
	gateway_stop(gateway);
	assert_int_equal(open_descriptors(), before);
	cg_reader_close(NULL);
	assert_int_equal(cg_reader_open(NULL, socket_path, "jobs"), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record_and_payload_come_through),
		cmocka_unit_test(test_four_rings_are_served_in_turn),
		cmocka_unit_test(test_lost_slots_are_counted),
		cmocka_unit_test(test_refusals_tell_what_is_proved),
		cmocka_unit_test(test_callers_of_other_releases_are_served),
		cmocka_unit_test(test_wait_is_woken_by_any_ring),
		cmocka_unit_test(test_wait_notices_without_being_woken),
		cmocka_unit_test(test_wait_ends_in_time),
		cmocka_unit_test(test_wait_is_interrupted),
		cmocka_unit_test(test_doze_sees_changes_and_ends),
		cmocka_unit_test(test_gone_after_everything_was_read),
		cmocka_unit_test(test_last_words_are_read),
		cmocka_unit_test(test_gone_while_we_sleep),
		cmocka_unit_test(test_refusal_is_passed_on),
		cmocka_unit_test(test_bad_gateways_are_refused),
		cmocka_unit_test(test_hanging_up_is_said),
		cmocka_unit_test(test_nothing_is_left_open),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/setup_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "setup_fixture.h"

static int ends[2]; /* control's, the dataplane's */
static struct setup setup;
static struct failure failure;

static int
sockets_open(void **state)
{
	(void)state;
	memset(&failure, 0, sizeof(failure));
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int
sockets_close(void **state)
{
	(void)state;
	close(ends[0]);
	setup_release(&setup);
	return 0;
}

static void
config_send(const struct setup_config *config)
{
	assert_int_equal(send(ends[0], config, sizeof(*config), 0), sizeof(*config));
}

/* What to send of one object; `spoil` may damage message and memory. */
typedef void spoil_t(struct setup_object *object, void *memory);

static void
object_send(struct setup_object object, int seals, spoil_t *spoil)
{
	void *memory;
	int fd = fixture_memory(object.size, 0, &memory);
	uint64_t size = object.size;

	switch (object.what) {
	case SETUP_OBJECT_TABLE:
		fixture_table_fill(memory);
		break;
	case SETUP_OBJECT_STATS:
		fixture_stats_fill(memory, 2);
		break;
	case SETUP_OBJECT_REPLAY:
		fixture_replay_fill(memory);
		break;
	case SETUP_OBJECT_METERS:
		fixture_meters_fill(memory);
		break;
	case SETUP_OBJECT_DELIVERY:
	case SETUP_OBJECT_REFUSAL:
		verdict_ring_format(memory, FIXTURE_RING_SLOTS,
			object.what == SETUP_OBJECT_DELIVERY ? VERDICT_RING_DELIVERY
							     : VERDICT_RING_REFUSAL,
			object.group, object.worker);
		break;
	}
	if (spoil)
		spoil(&object, memory);
	munmap(memory, size);
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	fixture_send(ends[0], &object, fd);
	close(fd);
}

/* The objects of two workers and one group, in the order of sending. */
#define OBJECT_COUNT 8u

static struct setup_object
object_of(unsigned index)
{
	uint64_t ring_size = verdict_ring_size(FIXTURE_RING_SLOTS);
	struct setup_object objects[OBJECT_COUNT] = {
		fixture_object(SETUP_OBJECT_TABLE, 0, 0, fixture_table_size()),
		fixture_object(SETUP_OBJECT_STATS, 0, 0, stats_size(2)),
		fixture_object(SETUP_OBJECT_REPLAY, 0, 0, fixture_replay_size()),
		fixture_object(SETUP_OBJECT_METERS, 0, 0, meters_size(FIXTURE_SLOTS)),
		fixture_object(SETUP_OBJECT_DELIVERY, 3, 0, ring_size),
		fixture_object(SETUP_OBJECT_DELIVERY, 3, 1, ring_size),
		fixture_object(SETUP_OBJECT_REFUSAL, 0, 0, ring_size),
		fixture_object(SETUP_OBJECT_REFUSAL, 0, 1, ring_size),
	};

	objects[OBJECT_COUNT - 1].is_last = 1;
	return objects[index];
}

/* Sends everything, with one object (`at`) spoilt or, without `spoil`, left out. */
static int
receive_with(unsigned at, spoil_t *spoil)
{
	struct setup_config config = fixture_config(2);

	config_send(&config);
	for (unsigned i = 0; i < OBJECT_COUNT; i++)
		if (i != at || spoil)
			object_send(object_of(i), FIXTURE_SEALS, i == at ? spoil : NULL);
	/* An object too many ends what else would wait for the last one. */
	shutdown(ends[0], SHUT_WR);
	return setup_receive(&setup, ends[1], &failure);
}

static void
assert_failure(int status, int error, const char *text)
{
	assert_int_equal(status, -error);
	assert_int_equal(failure.error, error);
	if (!strstr(failure.text, text))
		fail_msg("'%s' does not say '%s'", failure.text, text);
}

static void
test_everything_is_mapped(void **state)
{
	(void)state;
	assert_int_equal(receive_with(OBJECT_COUNT, NULL), 0);
	assert_non_null(setup.table);
	assert_non_null(setup.stats);
	assert_int_equal(setup.replay.slot_count, FIXTURE_SLOTS);
	assert_non_null(setup.delivery[3][0]);
	assert_int_equal(setup.delivery[3][1]->worker, 1);
	assert_null(setup.delivery[0][0]);
	assert_int_equal(setup.refusal[1]->kind, VERDICT_RING_REFUSAL);
	assert_int_equal(setup.mapping_count, OBJECT_COUNT);
	setup.stats->state = STATS_RUNNING;
}

static void
test_the_table_cannot_be_written(void **state)
{
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(receive_with(OBJECT_COUNT, NULL), 0);
	child = fork();
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile uint8_t *)(uintptr_t)setup.table = 0;
		_exit(0);
	}
	waitpid(child, &status, 0);
	/* The address sanitizer turns the fault into an exit of its own. */
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
}

static void
test_another_descriptor_is_refused(void **state)
{
	int pipe_ends[2], streams[2], status;

	(void)state;
	assert_int_equal(pipe(pipe_ends), 0);
	status = setup_receive(&setup, pipe_ends[0], &failure);
	assert_failure(status, ENOTSOCK, "started by credgated");
	setup_release(&setup);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, streams), 0);
	status = setup_receive(&setup, streams[0], &failure);
	assert_failure(status, ENOTSOCK, "started by credgated");
	setup_release(&setup);
	close(pipe_ends[1]);
	close(streams[1]);
	setup.fd = ends[1];
}

static void
test_control_that_goes_away_is_told(void **state)
{
	(void)state;
	shutdown(ends[0], SHUT_WR);
	assert_failure(setup_receive(&setup, ends[1], &failure), EPIPE, "control went away");
}

static void
test_a_message_of_another_size_is_another_build(void **state)
{
	struct setup_config config = fixture_config(2);

	(void)state;
	assert_true(send(ends[0], &config, sizeof(config) - 1, 0) > 0);
	assert_failure(setup_receive(&setup, ends[1], &failure), EPROTO, "not of the same build");
}

static void
test_a_longer_message_is_another_build(void **state)
{
	struct setup_config configs[2] = {fixture_config(2), fixture_config(2)};

	(void)state;
	assert_true(send(ends[0], configs, sizeof(configs[0]) + 8, 0) > 0);
	assert_failure(setup_receive(&setup, ends[1], &failure), EPROTO, "not of the same build");
}

static void
test_another_version_is_another_build(void **state)
{
	struct setup_config config = fixture_config(2);

	(void)state;
	config.version++;
	config_send(&config);
	assert_failure(setup_receive(&setup, ends[1], &failure), EPROTO, "not of the same build");
}

static void
assert_config_refused(const struct setup_config *config, const char *text)
{
	int status;

	config_send(config);
	status = setup_receive(&setup, ends[1], &failure);
	assert_failure(status, EINVAL, text);
}

static void
test_numbers_out_of_range_are_named(void **state)
{
	const struct setup_config good = fixture_config(2);
	struct setup_config config;

	(void)state;
	config = good, config.worker_count = 0, assert_config_refused(&config, "worker_count");
	config = good, config.worker_count = 17, assert_config_refused(&config, "worker_count");
	config = good, config.port_count = 0, assert_config_refused(&config, "port_count");
	config = good, config.port_count = 9, assert_config_refused(&config, "port_count");
	config = good, config.kernel = 99, assert_config_refused(&config, "kernel");
	config = good, config.hugepages = SETUP_HUGEPAGES_AUTO,
	assert_config_refused(&config, "hugepages");
	config = good, config.memory_mb = 0, assert_config_refused(&config, "memory_mb");
	config = good, config.handoff_slots = 1000, assert_config_refused(&config, "handoff_slots");
	config = good, config.handoff_slots = 32, assert_config_refused(&config, "handoff_slots");
}

static void
test_texts_without_end_are_refused(void **state)
{
	const struct setup_config good = fixture_config(2);
	struct setup_config config;

	(void)state;
	config = good, memset(config.file_prefix, 'x', sizeof(config.file_prefix));
	assert_config_refused(&config, "file_prefix");
	config = good, memcpy(config.file_prefix, "a/b", 4);
	assert_config_refused(&config, "file_prefix");
	config = good, memset(config.ports[0].devargs, 'x', sizeof(config.ports[0].devargs));
	assert_config_refused(&config, "port 0");
	config = good, memset(config.ports[0].name, 'x', sizeof(config.ports[0].name));
	assert_config_refused(&config, "port 0");
	config = good, config.ports[0].address_count = 9;
	assert_config_refused(&config, "port 0");
	config = good, config.ports[0].udp_port = 0;
	assert_config_refused(&config, "port 0");
}

static void
test_memory_that_could_shrink_is_refused(void **state)
{
	struct setup_config config = fixture_config(2);

	(void)state;
	config_send(&config);
	object_send(object_of(0), F_SEAL_GROW, NULL);
	assert_failure(setup_receive(&setup, ends[1], &failure), EPERM, "sealed against resizing");
	assert_non_null(strstr(failure.text, "key table"));
}

static void
test_a_plain_file_is_refused(void **state)
{
	struct setup_config config = fixture_config(2);
	struct setup_object object = object_of(1);
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), (off_t)object.size), 0);
	config_send(&config);
	fixture_send(ends[0], &object, fileno(file));
	assert_failure(setup_receive(&setup, ends[1], &failure), EPERM, "sealed against resizing");
	fclose(file);
}

static void
test_an_object_without_memory_is_refused(void **state)
{
	struct setup_config config = fixture_config(2);
	struct setup_object object = object_of(0);

	(void)state;
	config_send(&config);
	fixture_send(ends[0], &object, -1);
	assert_failure(setup_receive(&setup, ends[1], &failure), EPROTO, "is no object");
}

static void
spoil_size(struct setup_object *object, void *memory)
{
	(void)memory;
	object->size += FIXTURE_PAGE;
}

static void
spoil_magic(struct setup_object *object, void *memory)
{
	(void)object;
	*(uint64_t *)memory ^= 1;
}

static void
spoil_message(struct setup_object *object, void *memory)
{
	(void)memory;
	object->magic ^= 1;
}

static void
spoil_what(struct setup_object *object, void *memory)
{
	(void)memory;
	object->what = 77;
}

static void
test_another_size_than_announced_is_refused(void **state)
{
	(void)state;
	assert_failure(receive_with(2, spoil_size), EPROTO, "another size than announced");
}

static void
test_another_magic_is_refused(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OBJECT_COUNT; i++) {
		if (i > 0) {
			sockets_close(state);
			assert_int_equal(sockets_open(state), 0);
		}
		assert_failure(receive_with(i, spoil_magic), EPROTO, "is not of this version");
	}
}

static void
test_another_message_is_refused(void **state)
{
	(void)state;
	assert_failure(receive_with(4, spoil_message), EPROTO, "is no object");
}

static void
test_an_unknown_object_is_refused(void **state)
{
	(void)state;
	assert_failure(receive_with(4, spoil_what), EPROTO, "unknown object");
}

static void
spoil_slots_outside(struct setup_object *object, void *memory)
{
	struct table_header *table = memory;

	(void)object;
	table->halves[1].slots = table->size - 64;
}

static void
spoil_slot_count(struct setup_object *object, void *memory)
{
	(void)object;
	((struct table_header *)memory)->slot_count = 0x02000001;
}

static void
spoil_buckets(struct setup_object *object, void *memory)
{
	(void)object;
	((struct table_header *)memory)->bucket_count = 3;
}

static void
spoil_rules(struct setup_object *object, void *memory)
{
	struct table_header *table = memory;

	(void)object;
	table->halves[1].rules = table->size - sizeof(struct table_rules) + 64;
}

static void
test_a_table_with_parts_outside_is_refused(void **state)
{
	spoil_t *const spoils[] = {
		spoil_slots_outside, spoil_slot_count, spoil_buckets, spoil_rules};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		if (i > 0) {
			sockets_close(state);
			assert_int_equal(sockets_open(state), 0);
		}
		assert_failure(receive_with(0, spoils[i]), EPROTO, "key table");
	}
}

static void
spoil_more_slots(struct setup_object *object, void *memory)
{
	(void)object;
	((struct table_header *)memory)->slot_count = FIXTURE_SLOTS + 1;
}

static void
test_a_table_larger_than_the_windows_is_refused(void **state)
{
	(void)state;
	assert_failure(receive_with(0, spoil_more_slots), EPROTO, "has 16 slots, the key table 17");
}

static void
spoil_worker(struct setup_object *object, void *memory)
{
	(void)memory;
	object->worker = 2;
}

static void
spoil_twice(struct setup_object *object, void *memory)
{
	object->worker = 0;
	((struct verdict_ring *)memory)->worker = 0;
}

static void
test_a_ring_of_nobody_is_refused(void **state)
{
	(void)state;
	assert_failure(receive_with(5, spoil_worker), EPROTO, "delivery ring (group 3, worker 2)");
}

static void
test_an_object_that_comes_twice_is_refused(void **state)
{
	(void)state;
	assert_failure(receive_with(5, spoil_twice), EPROTO, "came twice");
}

static void
test_what_is_missing_is_missed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		if (i > 0) {
			sockets_close(state);
			assert_int_equal(sockets_open(state), 0);
		}
		assert_failure(receive_with(i, NULL), EPROTO, "control did not send");
	}
}

static void
test_a_group_without_a_ring_for_some_worker_is_refused(void **state)
{
	(void)state;
	assert_failure(receive_with(4, NULL), EPROTO, "group 3 has no delivery ring");
}

static void
test_refusal_rings_may_be_missing(void **state)
{
	(void)state;
	assert_int_equal(receive_with(6, NULL), 0);
	assert_null(setup.refusal[0]);
}

static void
test_answers_arrive(void **state)
{
	struct setup_answer answer;

	(void)state;
	setup.fd = ends[1];
	setup_answer_ready(&setup, 2, "all well");
	assert_int_equal(recv(ends[0], &answer, sizeof(answer), 0), sizeof(answer));
	assert_int_equal(answer.magic, SETUP_MAGIC);
	assert_int_equal(answer.type, SETUP_ANSWER);
	assert_int_equal(answer.status, 0);
	assert_int_equal(answer.kernel, 2);
	assert_string_equal(answer.text, "all well");
	failure_set(&failure, ENODEV, "port %s", "lan");
	setup_answer_failed(&setup, &failure);
	assert_int_equal(recv(ends[0], &answer, sizeof(answer), 0), sizeof(answer));
	assert_int_equal(answer.status, ENODEV);
	assert_string_equal(answer.text, "port lan");
}

static void
test_an_answer_to_a_dead_control_is_no_error(void **state)
{
	(void)state;
	setup.fd = ends[1];
	shutdown(ends[0], SHUT_RDWR);
	setup_answer_ready(&setup, 1, "nobody listens");
	assert_true(setup_is_over(&setup));
}

static void
test_only_stop_and_end_of_file_are_the_end(void **state)
{
	struct setup_object message = fixture_object(0, 0, 0, 0);

	(void)state;
	setup.fd = ends[1];
	assert_false(setup_is_over(&setup));
	fixture_send(ends[0], &message, -1);
	assert_false(setup_is_over(&setup));
	message.type = SETUP_STOP;
	assert_true(send(ends[0], &message, offsetof(struct setup_object, what), 0) > 0);
	assert_true(setup_is_over(&setup));
	assert_false(setup_is_over(&setup));
	shutdown(ends[0], SHUT_WR);
	assert_true(setup_is_over(&setup));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sockets_open, sockets_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_everything_is_mapped),
		TEST(test_the_table_cannot_be_written),
		TEST(test_another_descriptor_is_refused),
		TEST(test_control_that_goes_away_is_told),
		TEST(test_a_message_of_another_size_is_another_build),
		TEST(test_a_longer_message_is_another_build),
		TEST(test_another_version_is_another_build),
		TEST(test_numbers_out_of_range_are_named),
		TEST(test_texts_without_end_are_refused),
		TEST(test_memory_that_could_shrink_is_refused),
		TEST(test_a_plain_file_is_refused),
		TEST(test_an_object_without_memory_is_refused),
		TEST(test_another_size_than_announced_is_refused),
		TEST(test_another_magic_is_refused),
		TEST(test_another_message_is_refused),
		TEST(test_an_unknown_object_is_refused),
		TEST(test_a_table_with_parts_outside_is_refused),
		TEST(test_a_table_larger_than_the_windows_is_refused),
		TEST(test_a_ring_of_nobody_is_refused),
		TEST(test_an_object_that_comes_twice_is_refused),
		TEST(test_what_is_missing_is_missed),
		TEST(test_a_group_without_a_ring_for_some_worker_is_refused),
		TEST(test_refusal_rings_may_be_missing),
		TEST(test_answers_arrive),
		TEST(test_an_answer_to_a_dead_control_is_no_error),
		TEST(test_only_stop_and_end_of_file_are_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening sockets: connections are taken, and a lack of descriptors neither spins nor ends it. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "ctrl/socket.h"

#define CLIENTS 4u

static unsigned taken;

static void
connection_take(int fd, void *context)
{
	(void)context;
	taken++;
	close(fd);
}

static int
connect_once(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/a.sock", fixture_dir);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* CPU time of this process while the loop runs. */
static uint64_t
loop_cpu_us(struct event_base *base, unsigned ms)
{
	const struct timeval limit = {ms / 1000, ms % 1000 * 1000};
	struct timespec before, after;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	event_base_loopexit(base, &limit);
	event_base_dispatch(base);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	return (uint64_t)(after.tv_sec - before.tv_sec) * 1000000 +
	       (uint64_t)(after.tv_nsec / 1000) - (uint64_t)(before.tv_nsec / 1000);
}

static void
limit_set(rlim_t limit)
{
	struct rlimit now;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
	now.rlim_cur = limit < now.rlim_max ? limit : now.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

/* Who came first keeps the name; what a killed one left behind is taken over. */
static void
test_name_in_use(void **state)
{
	struct event_base *base = event_base_new();
	struct socket_listener *first, *second;
	struct sockaddr_un left = {.sun_family = AF_UNIX};
	struct reason reason;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	snprintf(left.sun_path, sizeof(left.sun_path), "%s/a.sock", fixture_dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&left, sizeof(left)), 0);
	close(fd); /* nobody listens: the file alone stays */
	first = socket_listen(
		base, fixture_dir, "a.sock", SOCK_STREAM, 0600, connection_take, NULL, &reason);
	assert_non_null(first);
	second = socket_listen(
		base, fixture_dir, "a.sock", SOCK_STREAM, 0600, connection_take, NULL, &reason);
	assert_null(second);
	assert_non_null(strstr(reason.text, "another credgated"));
	close(connect_once()); /* the first one's file is still there */
	socket_listener_destroy(first);
	event_base_free(base);
}

static void
test_no_descriptors(void **state)
{
	struct event_base *base = event_base_new();
	struct socket_listener *listener;
	struct reason reason;
	struct rlimit old;
	int clients[CLIENTS];

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	listener = socket_listen(
		base, fixture_dir, "a.sock", SOCK_STREAM, 0600, connection_take, NULL, &reason);
	assert_non_null(listener);
	for (unsigned i = 0; i < CLIENTS; i++)
		clients[i] = connect_once();
	limit_set((rlim_t)clients[CLIENTS - 1] + 1);
	assert_true(loop_cpu_us(base, 500) < 100000);
	assert_int_equal(taken, 0);
	/* They were not lost. */
	limit_set(old.rlim_cur);
	loop_cpu_us(base, 500);
	assert_int_equal(taken, CLIENTS);
	for (unsigned i = 0; i < CLIENTS; i++)
		close(clients[i]);
	socket_listener_destroy(listener);
	assert_int_not_equal(access(fixture_path("a.sock"), F_OK), 0);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name_in_use),
		cmocka_unit_test(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

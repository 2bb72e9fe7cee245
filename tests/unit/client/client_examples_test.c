/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Runs the example programs, wherever they were built (arguments: issue, consume): their exit codes
 * and what they print, against peers that speak as a gateway does.
 */

#include <errno.h>
#include <time.h>

#include "client/key_priv.h"
#include "fixture.h"
#include "gateway.h"
#include "responder.h"
#include "verdict/verdict.h"

static const char *issue, *consume;
static struct fixture fixture;
static struct responder responder;

static int
setup(void **state)
{
	(void)state;
	fixture_init(&fixture);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

struct program {
	pid_t pid;
	int out;
};

/* Starts a program; what it prints, on either stream, can be read from `out`. */
static struct program
start(const char *const *argv)
{
	struct program program;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	program.pid = fork();
	assert_true(program.pid >= 0);
	if (program.pid == 0) {
		dup2(fds[1], 1);
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fds[1]);
	program.out = fds[0];
	return program;
}

/* Waits for the end; returns the exit code, all output in `text`. */
static int
finish(struct program program, char *text, size_t room)
{
	size_t length = 0;
	ssize_t got;
	int status;

	while ((got = read(program.out, text + length, room - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	close(program.out);
	assert_int_equal(waitpid(program.pid, &status, 0), program.pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
must_end(struct program program, int code, const char *says)
{
	char text[4096];
	int got = finish(program, text, sizeof(text));

	if (got != code || strstr(text, says) == NULL)
		fail_msg("exit code %d, not %d, or it does not say \"%s\": %s", got, code, says,
			text);
}

static uint8_t answer; /* what the peer says */

static void
answer_it(struct responder *r, unsigned number, const uint8_t *request, size_t size)
{
	const struct reply_fields fields = {.verdict = answer};

	(void)number;
	responder_reply(r, request, size, &fields);
}

static struct program
start_issue(const char *port)
{
	const char *argv[] = {issue, fixture.key, "127.0.0.1", port, "hello", NULL};

	return start(argv);
}

static void
test_issue_says_the_verdict(void **state)
{
	struct key_slot slot;

	(void)state;
	fixture_reply_slot(&fixture, &slot);
	responder_start(&responder, &slot, answer_it);
	answer = VERDICT_ACCEPTED;
	must_end(start_issue(responder.port), 0, "accepted after ");
	answer = VERDICT_DUPLICATE;
	must_end(start_issue(responder.port), 0, "duplicate");
	answer = VERDICT_FORBIDDEN;
	must_end(start_issue(responder.port), 3, "forbidden");
	assert_int_equal(responder.sizes[0], CRED_SIZE_MIN + strlen("hello"));
	/* The origin is the socket's own address. */
	assert_memory_equal(responder.requests[0] + CRED_AT_ORIGIN,
		"\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
	responder_stop(&responder);
}

static void
test_issue_fails_plainly(void **state)
{
	const char *usage[] = {issue, NULL};
	struct key_slot slot;

	(void)state;
	must_end(start(usage), 2, "usage");
	fixture_reply_slot(&fixture, &slot);
	responder_start(&responder, &slot, answer_it);
	responder_stop(&responder);
	must_end(start_issue(responder.port), 1, "outcome unknown");
	must_end(start_issue("no-such-service"), 1, "no-such-service");
	assert_int_equal(chmod(fixture.key, 0644), 0);
	must_end(start_issue("1"), 1, "chmod 600");
}

static void
test_consume_prints_what_it_gets(void **state)
{
	const struct verdict_record record = {
		.realm = 7,
		.node = 3,
		.uid = 1000,
		.gid = 100,
		.payload_size = 5,
		.verdict = VERDICT_ACCEPTED,
	};
	char socket_path[96], text[4096];
	const char *argv[] = {consume, socket_path, "jobs", "3", NULL};
	struct gateway *gateway;
	struct program program;
	unsigned i;

	(void)state;
	snprintf(socket_path, sizeof(socket_path), "%s/consumer.sock", fixture.directory);
	gateway = gateway_start(socket_path, 2, GATEWAY_GOOD);
	program = start(argv);
	gateway_wait(gateway, 1);
	for (i = 0; i < 3; i++)
		gateway_publish(gateway, i % 2, &record, "hello", 1);
	assert_int_equal(finish(program, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "accepted realm 7 node 3 uid 1000 gid 100: hello\n"));
	assert_non_null(strstr(text, "lost 0 slots"));
	gateway_stop(gateway);
}

static void
test_consume_fails_plainly(void **state)
{
	char socket_path[96];
	const char *usage[] = {consume, NULL};
	const char *argv[] = {consume, socket_path, "jobs", "1", NULL};
	const char *others[] = {consume, socket_path, "others", "1", NULL};
	struct gateway *gateway;
	struct program program;

	(void)state;
	snprintf(socket_path, sizeof(socket_path), "%s/consumer.sock", fixture.directory);
	must_end(start(usage), 2, "usage");
	must_end(start(argv), 1, "is the gateway running?");
	gateway = gateway_start(socket_path, 1, GATEWAY_GOOD);
	must_end(start(others), 1, "group others is not for you");
	program = start(argv);
	gateway_wait(gateway, 2);
	gateway_stop(gateway);
	must_end(program, 1, "the gateway is gone");
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_issue_says_the_verdict, setup, teardown),
		cmocka_unit_test_setup_teardown(test_issue_fails_plainly, setup, teardown),
		cmocka_unit_test_setup_teardown(test_consume_prints_what_it_gets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_consume_fails_plainly, setup, teardown),
	};

	if (argc != 3)
		return 2;
	issue = argv[1];
	consume = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

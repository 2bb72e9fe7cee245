/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * `credgate beacon` as it was built, against a peer that answers as a gateway would: what it sends,
 * what it says, a key that is replaced, and how it ends.
 */

#include <errno.h>
#include <signal.h>
#include <time.h>

#include <credgate/credgate.h>

#include "ctrl/cli/cli.h"
#include "tests/unit/client/fixture.h"
#include "tests/unit/client/responder.h"
#include "verdict/verdict.h"
#include "wire/beacon.h"

#define PATIENCE_MS 20000

static struct fixture fixture;
static struct responder responder;
static _Atomic uint8_t verdict; /* VERDICT_NONE: no answer */
static char endpoint[32];
static const char *credgate; /* the program */

static void
answer_it(struct responder *r, unsigned number, const uint8_t *request, size_t size)
{
	const struct reply_fields fields = {.verdict = verdict, .first = verdict};

	(void)number;
	if (verdict != VERDICT_NONE)
		responder_reply(r, request, size, &fields);
}

static int
setup(void **state)
{
	struct key_slot slot;

	(void)state;
	fixture_init(&fixture);
	fixture_key(&fixture, CRED_SUITE_CMAC128); /* so that payloads are in clear */
	fixture_reply_slot(&fixture, &slot);
	verdict = VERDICT_ACCEPTED;
	responder_start(&responder, &slot, answer_it);
	snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%s", responder.port);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	responder_stop(&responder);
	fixture_fini(&fixture);
	return 0;
}

/* ---- the program as a child ---- */

struct sender {
	pid_t pid;
	FILE *said; /* its standard error */
};

static struct sender
start(const char *const *more)
{
	const char *argv[16] = {credgate, "beacon", endpoint, "--key", fixture.key};
	struct sender sender;
	int argc = 5, fds[2];

	while (*more != NULL)
		argv[argc++] = *more++;
	assert_int_equal(pipe(fds), 0);
	sender.pid = fork();
	assert_true(sender.pid >= 0);
	if (sender.pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		execv(credgate, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fds[1]);
	sender.said = fdopen(fds[0], "r");
	assert_non_null(sender.said);
	return sender;
}

static int
finish(struct sender *sender, int number)
{
	int status;

	if (number != 0)
		kill(sender->pid, number);
	assert_int_equal(waitpid(sender->pid, &status, 0), sender->pid);
	fclose(sender->said);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The next line it says. */
static void
says(struct sender *sender, const char *part)
{
	char line[512] = "";

	if (fgets(line, sizeof(line), sender->said) == NULL || strstr(line, part) == NULL)
		fail_msg("it says \"%s\", not \"%s\"", line, part);
}

static void
wait_count(unsigned count)
{
	for (unsigned i = 0; responder.count < count && i < PATIENCE_MS; i++)
		usleep(1000);
	assert_true(responder.count >= count);
}

static struct wire_beacon
beacon_of(unsigned index)
{
	struct wire_beacon beacon;
	struct wire_cred cred;

	assert_int_equal(
		cred_parse(responder.requests[index], responder.sizes[index], &cred), WIRE_OK);
	assert_int_equal(cred.kind, CRED_KIND_BEACON);
	assert_int_equal(cred.span_size, CRED_AT_PAYLOAD + WIRE_BEACON_SIZE);
	wire_beacon_parse(&beacon, cred.msg + CRED_AT_PAYLOAD, WIRE_BEACON_SIZE);
	return beacon;
}

/* ---- tests ---- */

static void
test_up_then_leaving(void **state)
{
	const uint8_t origin[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
	struct sender sender = start((const char *[]){"--interval", "1m", NULL});
	struct wire_beacon beacon;

	(void)state;
	says(&sender, "over IPv4: beacons of 127.0.0.1 are accepted");
	assert_int_equal(responder.count, 1);
	beacon = beacon_of(0);
	assert_int_equal(beacon.state, WIRE_BEACON_UP);
	assert_int_equal(beacon.interval_s, 60);
	assert_memory_equal(responder.requests[0] + CRED_AT_ORIGIN, origin, 16);
	assert_int_equal(finish(&sender, SIGTERM), CLI_DONE);
	assert_int_equal(responder.count, 2);
	assert_int_equal(beacon_of(1).state, WIRE_BEACON_LEAVING);
}

static void
test_source_is_the_origin(void **state)
{
	const uint8_t origin[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 5};
	struct sender sender =
		start((const char *[]){"--source4", "127.0.0.5", "--audience", "9", NULL});

	(void)state;
	says(&sender, "beacons of 127.0.0.5 are accepted");
	assert_memory_equal(responder.requests[0] + CRED_AT_ORIGIN, origin, 16);
	assert_int_equal(load_be32(responder.requests[0] + CRED_AT_AUDIENCE), 9);
	assert_int_equal(finish(&sender, SIGINT), CLI_DONE);
}

static void
test_again_each_interval(void **state)
{
	struct sender sender = start((const char *[]){"--interval", "1s", "--no-reply", NULL});

	(void)state;
	says(&sender, "are sent");
	wait_count(3);
	assert_memory_not_equal(
		responder.requests[0] + CRED_AT_SERIAL, responder.requests[1] + CRED_AT_SERIAL, 8);
	assert_int_equal(load_be16(responder.requests[0] + CRED_AT_FLAGS), 0);
	assert_int_equal(finish(&sender, SIGTERM), CLI_DONE);
	wait_count(4);
	assert_int_equal(beacon_of(responder.count - 1).state, WIRE_BEACON_LEAVING);
}

/* Told once while it lasts, and when it is over. */
static void
test_refusal_is_told_and_its_end(void **state)
{
	struct sender sender;

	(void)state;
	verdict = VERDICT_FORBIDDEN;
	sender = start((const char *[]){"--interval", "1s", NULL});
	says(&sender, "refused as forbidden; what to do: ");
	wait_count(3);
	verdict = VERDICT_ACCEPTED;
	says(&sender, "are accepted");
	assert_int_equal(finish(&sender, SIGTERM), CLI_DONE);
}

static void
test_silence_is_told(void **state)
{
	struct sender sender;

	(void)state;
	verdict = VERDICT_NONE;
	sender = start((const char *[]){"--interval", "1s", NULL});
	says(&sender, "no answer");
	assert_int_equal(finish(&sender, SIGTERM), CLI_DONE);
}

/* A floor is taken and the beacon issued anew at once. */
static void
test_floor_is_taken(void **state)
{
	struct sender sender;

	(void)state;
	verdict = VERDICT_FLOOR;
	sender = start((const char *[]){"--interval", "1m", NULL});
	says(&sender, "refused as floor");
	assert_true(responder.count >= 2);
	assert_int_equal(finish(&sender, SIGTERM), CLI_DONE);
}

static void
key_replace(uint8_t suite)
{
	char name[sizeof(fixture.key)];

	snprintf(name, sizeof(name), "%s", fixture.key);
	snprintf(fixture.key, sizeof(fixture.key), "%.80s.new", name);
	fixture_key(&fixture, suite);
	assert_int_equal(rename(fixture.key, name), 0);
	snprintf(fixture.key, sizeof(fixture.key), "%s", name);
}

/* By SIGHUP, so that the test need not wait; the suite of the new key shows in what is sent. */
static void
test_replaced_key_is_taken_up(void **state)
{
	struct sender sender = start((const char *[]){"--interval", "1m", "--no-reply", NULL});

	(void)state;
	says(&sender, "are sent");
	wait_count(1);
	assert_int_equal(responder.requests[0][CRED_AT_SUITE], CRED_SUITE_CMAC128);
	key_replace(CRED_SUITE_CMAC256);
	kill(sender.pid, SIGHUP);
	says(&sender, "took up the key of epoch 5");
	wait_count(2);
	assert_int_equal(responder.requests[1][CRED_AT_SUITE], CRED_SUITE_CMAC256);
	assert_int_equal(finish(&sender, SIGTERM), CLI_DONE);
}

static void
test_bad_key_is_told_and_the_old_one_used(void **state)
{
	struct sender sender = start((const char *[]){"--interval", "1m", "--no-reply", NULL});

	(void)state;
	says(&sender, "are sent");
	fixture_write(fixture.key, "CGK1:nonsense:\n", 15, 0600);
	kill(sender.pid, SIGHUP);
	says(&sender, "the key that was loaded stays in use");
	wait_count(2);
	assert_int_equal(unlink(fixture.key), 0);
	kill(sender.pid, SIGHUP);
	says(&sender, "stays in use");
	wait_count(3);
	assert_int_equal(finish(&sender, SIGTERM), CLI_DONE);
}

static void
usage(const char *part, const char *const *more)
{
	struct sender sender = start(more);

	says(&sender, part);
	assert_int_equal(finish(&sender, 0), CLI_USAGE);
}

#define USAGE(part, ...) usage(part, (const char *const[]){__VA_ARGS__, NULL})

static void
test_usage(void **state)
{
	(void)state;
	USAGE("1s to 65535s", "--interval", "0");
	USAGE("1s to 65535s", "--interval", "65536s");
	USAGE("an IPv4 address", "--source4", "::1");
	USAGE("an IPv6 address", "--source6", "127.0.0.1");
	USAGE("different versions of IP", "--source6", "::1");
	USAGE("it takes HOST", "host:99999");
	USAGE("at most 8 hosts", "a", "b", "c", "d", "e", "f", "g", "h");
}

static void
test_no_key(void **state)
{
	struct sender sender;

	(void)state;
	assert_int_equal(unlink(fixture.key), 0);
	sender = start((const char *[]){NULL});
	says(&sender, fixture.key);
	assert_int_equal(finish(&sender, 0), CLI_FAILED);
}

#define WITH_PEER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_PEER(test_up_then_leaving),
		WITH_PEER(test_source_is_the_origin),
		WITH_PEER(test_again_each_interval),
		WITH_PEER(test_refusal_is_told_and_its_end),
		WITH_PEER(test_silence_is_told),
		WITH_PEER(test_floor_is_taken),
		WITH_PEER(test_replaced_key_is_taken_up),
		WITH_PEER(test_bad_key_is_told_and_the_old_one_used),
		WITH_PEER(test_usage),
		WITH_PEER(test_no_key),
	};

	if (argc != 2)
		return 1;
	credgate = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}

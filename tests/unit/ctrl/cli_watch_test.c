/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli_call.h"
#include "tests/unit/client/gateway.h"
#include "verdict/verdict.h"

static struct {
	char run_dir[64];
	char path[96];
	struct gateway *gateway;
	struct call call;
} watch;

static int
setup(void **state)
{
	(void)state;
	strcpy(watch.run_dir, "/tmp/cli-watch-XXXXXX");
	if (!mkdtemp(watch.run_dir))
		return -1;
	snprintf(watch.path, sizeof(watch.path), "%s/consumer.sock", watch.run_dir);
	watch.gateway = gateway_start(watch.path, 2, GATEWAY_GOOD);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (watch.gateway)
		gateway_stop(watch.gateway);
	unlink(watch.path);
	return rmdir(watch.run_dir);
}

static void
publish(unsigned worker, uint64_t serial, const char *payload)
{
	struct verdict_record record = {
		.time_us = 1700000000000000ull,
		.serial = serial,
		.realm = 7,
		.node = 17,
		.uid = 1000,
		.gid = 100,
		.source = {[10] = 0xff, 0xff, 10, [15] = 1},
		.port = 4711,
		.payload_size = (uint16_t)strlen(payload),
		.epoch = 1,
		.kind = 1,
		.verdict = VERDICT_ACCEPTED,
	};

	gateway_publish(watch.gateway, worker, &record, payload, 1);
}

static void
test_lines(void **state)
{
	const struct call *call;

	(void)state;
	call_begin(&watch.call, "watch", "--group", "jobs", "--count", "2", "--run-dir",
		watch.run_dir, NULL);
	assert_true(call_wait_for(&watch.call, "TIME\tVERDICT"));
	publish(0, 41, "first");
	/* Line by line: the first is there while the second is not. */
	assert_true(call_wait_for(&watch.call, "\t41\t5\tfirst\n"));
	publish(1, 42, "\x1b[31msecond");
	call = call_end(&watch.call);
	assert_int_equal(call->code, 0);
	call_has(call->out, "\taccepted\tjobs\t7\t17\t1000:100\t0\t10.0.0.1:4711\t41\t5\tfirst\n");
	call_has(call->out, "\t42\t11\t\\x1b[31msecond\n");
	assert_string_equal(call->err, "2 verdicts, 2 accepted\n");
}

static void
test_one(void **state)
{
	const struct call *call;

	(void)state;
	call_begin(&watch.call, "watch", "--group", "jobs", "--count", "1", "--run-dir",
		watch.run_dir, NULL);
	assert_true(call_wait_for(&watch.call, "TIME\tVERDICT"));
	publish(0, 41, "only");
	call = call_end(&watch.call);
	assert_int_equal(call->code, 0);
	assert_string_equal(call->err, "1 verdict, 1 accepted\n");
}

static void
test_json(void **state)
{
	const struct call *call;
	json_t *object;
	int tries;

	(void)state;
	watch.call.out[0] = '\0';
	call_begin(&watch.call, "watch", "--group", "jobs", "--timeout", "9", "--json", "--run-dir",
		watch.run_dir, NULL);
	/* There is no title that would say that it is attached. */
	for (tries = 0; tries < 200 && !strchr(watch.call.out, '\n'); tries++) {
		publish(1, 18446744069414584319ull, "x");
		usleep(20000);
		call_read(watch.call.out_fd, watch.call.out);
	}
	kill(watch.call.child, SIGINT);
	call = call_end(&watch.call);
	assert_int_equal(call->code, 0);
	object = json_loadb(call->out, strcspn(call->out, "\n"), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(object, "verdict")), "accepted");
	assert_string_equal(
		json_string_value(json_object_get(object, "serial")), "18446744069414584319");
	assert_int_equal(json_integer_value(json_object_get(object, "worker")), 1);
	json_decref(object);
}

static void
test_timeout(void **state)
{
	const struct call *call = call_cli(
		"watch", "--group", "jobs", "--timeout", "200ms", "--run-dir", watch.run_dir, NULL);

	(void)state;
	assert_int_equal(call->code, 0);
	assert_string_equal(call->err, "0 verdicts\n");
}

static void
test_attach_again(void **state)
{
	const struct call *call;

	(void)state;
	call_begin(&watch.call, "watch", "--group", "jobs", "--count", "2", "--run-dir",
		watch.run_dir, NULL);
	assert_true(call_wait_for(&watch.call, "TIME\t"));
	publish(0, 1, "");
	assert_true(call_wait_for(&watch.call, "\t1\t0\t\n"));
	gateway_stop(watch.gateway);
	assert_true(call_wait_for(&watch.call, "the gateway is gone, waiting"));
	unlink(watch.path);
	watch.gateway = gateway_start(watch.path, 1, GATEWAY_GOOD);
	assert_true(call_wait_for(&watch.call, "attached again"));
	publish(0, 2, "");
	call = call_end(&watch.call);
	assert_int_equal(call->code, 0);
	call_has(call->out, "\t2\t0\t\n");
	call_has(call->err, "2 verdicts, 2 accepted\n");
}

/* Stopped while the ring is written over: what is lost is counted, and the rest is right. */
static void
test_lost(void **state)
{
	const struct call *call;
	unsigned i;

	(void)state;
	call_begin(&watch.call, "watch", "--group", "jobs", "--run-dir", watch.run_dir, NULL);
	assert_true(call_wait_for(&watch.call, "TIME\t"));
	kill(watch.call.child, SIGSTOP);
	for (i = 0; i < 3 * VERDICT_RING_SLOTS_MIN; i++)
		publish(0, 100 + i, "");
	kill(watch.call.child, SIGCONT);
	assert_true(call_wait_for(&watch.call, "too slow, lost "));
	publish(0, 7, "after");
	assert_true(call_wait_for(&watch.call, "\t7\t5\tafter\n"));
	kill(watch.call.child, SIGTERM);
	call = call_end(&watch.call);
	assert_int_equal(call->code, 0);
	call_has(call->err, " slots lost\n");
}

static void
test_refused(void **state)
{
	const struct call *call =
		call_cli("watch", "--group", "others", "--run-dir", watch.run_dir, NULL);

	(void)state;
	assert_int_equal(call->code, CLI_FAILED);
	assert_string_equal(call->out, "");
	assert_true(strlen(call->err) > 0);
	/* Without a name the admin socket is asked for them, and there is none. */
	call = call_cli("watch", "--run-dir", watch.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "--group NAME");
}

int
main(void)
{
#define WITH_GATEWAY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_GATEWAY(test_lines),
		WITH_GATEWAY(test_one),
		WITH_GATEWAY(test_json),
		WITH_GATEWAY(test_timeout),
		WITH_GATEWAY(test_attach_again),
		WITH_GATEWAY(test_lost),
		WITH_GATEWAY(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

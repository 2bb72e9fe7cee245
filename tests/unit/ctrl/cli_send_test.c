/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/client/fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include <credgate/credgate.h>
#include <jansson.h>

#include "cli_call.h"
#include "crypto/tag.h"
#include "verdict/verdict.h"
#include "wire/reply.h"

/*
 * A gateway of one thread on the loopback interface: proves what comes, keeps it, and answers with
 * the verdict the test wants (VERDICT_NONE: not at all).
 */
static struct {
	struct fixture fixture;
	int fd;
	char endpoint[32];
	pthread_t thread;
	struct tag_engine *engine;
	_Atomic bool is_stopped;
	_Atomic unsigned verdict;
	_Atomic unsigned drop; /* this many datagrams get no answer */
	_Atomic unsigned count;
	_Atomic unsigned unproved_count;
	uint8_t bytes[CRED_SIZE_MAX + 16];
	size_t size;
	struct tag_identity identity;
	struct sockaddr_in from;
} gateway;

static void
answer(struct tag_engine *engine, unsigned verdict)
{
	struct reply_fields fields = {
		.verdict = (uint8_t)verdict,
		.first = VERDICT_ACCEPTED,
		.serial = 1,
		.issued_us = 1700000000000000ull,
		.hint = verdict == VERDICT_FLOOR ? REPLY_HINT_ISSUED : REPLY_HINT_NONE,
		.floor = verdict == VERDICT_FLOOR ? 1700000001000000ull : 0,
	};
	uint8_t reply[CRED_SIZE_MAX + 16];
	struct key_slot slot;
	uint16_t size, span;

	fixture_reply_slot(&gateway.fixture, &slot);
	size = (uint16_t)reply_build(reply, gateway.size, gateway.bytes,
		gateway.bytes + gateway.size - CRED_TAG_SIZE, &fields);
	span = (uint16_t)(size - CRED_TAG_SIZE);
	tag_batch_seal(engine, &(const struct key_slot *){&slot}, &(uint8_t *){reply}, &span, 1);
	sendto(gateway.fd, reply, size, 0, (struct sockaddr *)&gateway.from, sizeof(gateway.from));
}

static void
judge(struct tag_engine *engine)
{
	const uint8_t *msg = gateway.bytes;
	uint16_t span = (uint16_t)(gateway.size - CRED_TAG_SIZE);
	struct key_slot slot;
	struct wire_cred cred;

	if (cred_parse(msg, gateway.size, &cred) != WIRE_OK)
		return;
	fixture_slot(&gateway.fixture, &slot);
	gateway.unproved_count += tag_batch_verify(engine, &(const struct key_slot *){&slot}, &msg,
					  &span, &gateway.identity, 1) != 1;
	if (gateway.drop)
		gateway.drop--;
	else if (gateway.verdict && (cred.flags & CRED_FLAG_REPLY))
		answer(engine, gateway.verdict);
}

static void
serve(void)
{
	struct pollfd poll_fd = {.fd = gateway.fd, .events = POLLIN};
	socklen_t from_size;
	ssize_t size;

	while (!gateway.is_stopped) {
		if (poll(&poll_fd, 1, 20) <= 0)
			continue;
		from_size = sizeof(gateway.from);
		size = recvfrom(gateway.fd, gateway.bytes, CRED_SIZE_MAX, 0,
			(struct sockaddr *)&gateway.from, &from_size);
		gateway.size = size > 0 ? (size_t)size : 0;
		pthread_mutex_lock(&call_lock);
		judge(gateway.engine);
		pthread_mutex_unlock(&call_lock);
		gateway.count++;
	}
}

static int
setup(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	char why[200];

	(void)state;
	memset(&gateway, 0, sizeof(gateway));
	fixture_init(&gateway.fixture);
	gateway.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(gateway.fd, (struct sockaddr *)&address, size) != 0 ||
		getsockname(gateway.fd, (struct sockaddr *)&address, &size) != 0)
		return -1;
	snprintf(gateway.endpoint, sizeof(gateway.endpoint), "127.0.0.1:%u",
		ntohs(address.sin_port));
	gateway.engine = tag_engine_create(
		(enum tag_kernel_id)tag_kernel_choose(TAG_KERNEL_AUTO, why, sizeof(why)));
	return gateway.engine != NULL ? call_thread_start(&gateway.thread, serve) : -1;
}

static int
teardown(void **state)
{
	(void)state;
	gateway.is_stopped = true;
	pthread_join(gateway.thread, NULL);
	tag_engine_destroy(gateway.engine);
	close(gateway.fd);
	fixture_fini(&gateway.fixture);
	return 0;
}

/* What was sent may still be on its way, and an answer overtakes the count. */
static void
wait_for_more_than(unsigned count)
{
	int tries;

	for (tries = 0; tries < 500 && gateway.count <= count; tries++)
		usleep(10000);
	assert_true(gateway.count > count);
}

/* On a busy machine one credential may have been sent more than once: the same bytes each time. */
static void
check_all_proved(void)
{
	wait_for_more_than(0);
	assert_int_equal(gateway.unproved_count, 0);
}

static void
test_accepted(void **state)
{
	static const uint8_t loopback[16] = {[10] = 0xff, 0xff, 127, [15] = 1};
	const struct call *call;

	(void)state;
	gateway.verdict = VERDICT_ACCEPTED;
	call = call_cli("send", "--key", gateway.fixture.key, "--uid", "1000", "--gid", "100",
		"--audience", "9", "--ttl", "5m", gateway.endpoint, NULL);
	assert_string_equal(call->err, "");
	assert_int_equal(call->code, 0);
	call_has(call->out, "accepted: genuine, fresh and seen for the first time; round trip ");
	assert_null(strstr(call->out, "what to do"));
	check_all_proved();
	assert_memory_equal(gateway.bytes + CRED_AT_ORIGIN, loopback, 16);
	assert_int_equal(load_be32(gateway.bytes + CRED_AT_AUDIENCE), 9);
	assert_int_equal(load_be32(gateway.bytes + CRED_AT_TTL), 300);
	assert_int_equal(load_be32(gateway.identity.bytes), 1000);
	assert_int_equal(load_be32(gateway.identity.bytes + 4), 100);
}

static void
test_retransmits(void **state)
{
	const struct call *call;

	(void)state;
	gateway.verdict = VERDICT_DUPLICATE;
	gateway.drop = 1;
	call = call_cli("send", "--key", gateway.fixture.key, gateway.endpoint, NULL);
	assert_int_equal(call->code, 0);
	call_has(call->out, "duplicate: ");
	call_has(call->out, ", sent ");
	call_has(call->out, " times");
	check_all_proved();
}

/* The exit code and the cure of every refusal that can be answered. */
static void
test_refused(void **state)
{
	static const unsigned verdicts[] = {VERDICT_STALE, VERDICT_EXPIRED, VERDICT_NOT_YET_VALID,
		VERDICT_WRONG_ORIGIN, VERDICT_WRONG_AUDIENCE, VERDICT_FORBIDDEN, VERDICT_FLOOR,
		VERDICT_UNAUTHORIZED, VERDICT_STORE_FULL};
	const struct call *call;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
		gateway.verdict = verdicts[i];
		call = call_cli("send", "--key", gateway.fixture.key, gateway.endpoint, NULL);
		assert_int_equal(call->code, 32 + verdicts[i]);
		call_has(call->out, verdict_text(verdicts[i]));
		call_has(call->out, "; what to do: ");
		call_has(call->out, verdict_cure(verdicts[i]));
	}
	gateway.verdict = VERDICT_FLOOR;
	setenv("TZ", "UTC", 1);
	call = call_cli("send", "--key", gateway.fixture.key, gateway.endpoint, NULL);
	call_has(call->out, ", floor 2023-11-14 22:13:21.000000;");
}

static void
test_json(void **state)
{
	const struct call *call;
	json_t *object;

	(void)state;
	gateway.verdict = VERDICT_EXPIRED;
	call = call_cli("send", "--json", "--key", gateway.fixture.key, gateway.endpoint, NULL);
	assert_int_equal(call->code, 37);
	object = json_loads(call->out, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(object, "verdict")), "expired");
	assert_int_equal(json_integer_value(json_object_get(object, "number")), 5);
	assert_int_equal(json_integer_value(json_object_get(object, "exit_code")), 37);
	assert_true(json_integer_value(json_object_get(object, "sends")) >= 1);
	assert_true(json_is_integer(json_object_get(object, "round_trip_us")));
	assert_true(json_is_string(json_object_get(object, "floor_serial")));
	assert_int_equal(json_integer_value(json_object_get(object, "gateway_time_us")),
		1700000000000000ull);
	json_decref(object);
}

static void
test_silence(void **state)
{
	const struct call *call;
	json_t *object;

	(void)state;
	gateway.verdict = VERDICT_NONE;
	call = call_cli("send", "--json", "--timeout", "60", "--key", gateway.fixture.key,
		gateway.endpoint, NULL);
	assert_int_equal(call->code, 1);
	call_has(call->err, "no answer from 127.0.0.1 port ");
	call_has(call->err, " within 60 ms (");
	call_has(call->err, "): the outcome is unknown");
	call_has(call->err, "run on the gateway: credgate watch --refused\n");
	assert_null(strstr(call->err, "ICMP"));
	assert_null(strstr(call->err, "did you mean"));
	call_has(call->err, "bad-tag");
	call_has(call->err, "replayed");
	object = json_loads(call->out, 0, NULL);
	assert_true(json_is_null(json_object_get(object, "verdict")));
	assert_string_equal(json_string_value(json_object_get(object, "outcome")), "unknown");
	json_decref(object);
}

/* What an ICMP error tells, of a port that was open a moment ago. */
static void
test_nobody_listens(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	const struct call *call;
	char endpoint[32];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", ntohs(address.sin_port));
	call = call_cli("send", "--timeout", "60", "--key", gateway.fixture.key, endpoint, NULL);
	assert_int_equal(call->code, 1);
	call_has(call->err, "nobody listens on that port");
}

static void
test_bad_port(void **state)
{
	static const char *const bad[] = {"0", "65536", "99999", "http", "0x50", "-1", "7475 "};
	char endpoint[32], wanted[64];
	const struct call *call;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%s", bad[i]);
		snprintf(wanted, sizeof(wanted), "'%s' is no port from 1 to 65535\n", bad[i]);
		call = call_cli("send", "--key", gateway.fixture.key, endpoint, NULL);
		assert_int_equal(call->code, CLI_USAGE);
		call_has(call->err, wanted);
	}
}

static void
test_no_reply(void **state)
{
	const struct call *call;

	(void)state;
	gateway.verdict = VERDICT_ACCEPTED;
	call = call_cli("send", "--no-reply", "--beacon", "--key", gateway.fixture.key,
		"--source-port", "34567", "--payload", "hello", gateway.endpoint, NULL);
	assert_string_equal(call->err, "");
	assert_int_equal(call->code, 0);
	call_has(call->out, "sent 101 bytes");
	check_all_proved();
	assert_int_equal(ntohs(gateway.from.sin_port), 34567);
	assert_int_equal(gateway.bytes[CRED_AT_KIND], CRED_KIND_BEACON);
	assert_int_equal(load_be16(gateway.bytes + CRED_AT_FLAGS), 0);
}

/* Text and bytes of one credential arrive as the same datagram. */
static void
test_credential(void **state)
{
	uint8_t bytes[CRED_SIZE_MAX], first[CRED_SIZE_MAX];
	char path[100], text[CG_TEXT_MAX];
	const struct call *call;
	unsigned count;
	size_t size;

	(void)state;
	snprintf(path, sizeof(path), "%s/cred", gateway.fixture.directory);
	gateway.verdict = VERDICT_ACCEPTED;
	call = call_cli("mint", "--key", gateway.fixture.key, "--reply", "--payload", "x", "-o",
		path, NULL);
	assert_int_equal(call->code, 0);
	call = call_cli(
		"send", "--key", gateway.fixture.key, "--credential", path, gateway.endpoint, NULL);
	assert_int_equal(call->code, 0);
	call_has(call->out, "accepted: ");
	size = gateway.size;
	assert_int_equal(size, 97);
	memcpy(first, gateway.bytes, size);
	assert_true(cg_text_encode(text, sizeof(text), first, size) > 0);
	fixture_write(path, first, size, 0600);
	call = call_cli(
		"send", "--key", gateway.fixture.key, "--credential", path, gateway.endpoint, NULL);
	assert_int_equal(call->code, 0);
	assert_int_equal(gateway.size, size);
	assert_memory_equal(gateway.bytes, first, size);
	/* Its reply cannot be proved without the key. */
	call = call_cli("send", "--credential", path, gateway.endpoint, NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "--key");
	/* Nonsense goes as it is and nobody waits for an answer. */
	usleep(100000);
	count = gateway.count;
	memset(bytes, 0xa5, 40);
	fixture_write(path, bytes, 40, 0600);
	call = call_cli("send", "--credential", path, gateway.endpoint, NULL);
	assert_int_equal(call->code, 0);
	wait_for_more_than(count);
	assert_int_equal(gateway.size, 40);
	assert_memory_equal(gateway.bytes, bytes, 40);
	unlink(path);
}

static void
test_local_failures(void **state)
{
	const struct call *call;

	(void)state;
	call = call_cli("send", "--key", "/nonexistent.key", gateway.endpoint, NULL);
	assert_int_equal(call->code, 1);
	call_has(call->err, "/nonexistent.key");
	call = call_cli("send", "--key", gateway.fixture.key, "[::1", NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call = call_cli("send", "--key", gateway.fixture.key, "--credential", "/nonexistent",
		gateway.endpoint, NULL);
	assert_int_equal(call->code, 1);
	call_has(call->err, "/nonexistent: No such file");
}

/* ---- mint ---- */

static void
test_mint_text(void **state)
{
	const struct call *call;
	uint8_t bytes[CRED_SIZE_MAX];
	uint64_t last = 0, serial;
	struct wire_cred cred;
	const char *line;
	size_t size, count = 0;

	(void)state;
	call = call_cli("mint", "--key", gateway.fixture.key, "--count", "150", "--origin",
		"fd77::2", "--issued", "1234567890", NULL);
	assert_int_equal(call->code, 0);
	for (line = call->out; *line; line = strchr(line, '\n') + 1, count++) {
		size = text_decode(bytes, sizeof(bytes), line, strcspn(line, "\n"));
		assert_int_equal(cred_parse(bytes, size, &cred), WIRE_OK);
		serial = cred.serial;
		assert_true(serial > last);
		last = serial;
		assert_int_equal(cred.issued_us, 1234567890);
		assert_int_equal(bytes[CRED_AT_ORIGIN], 0xfd);
	}
	assert_int_equal(count, 150);
}

static void
test_mint_binary(void **state)
{
	uint8_t bytes[4 * CRED_SIZE_MAX];
	const struct call *call;
	struct stat status;
	char path[100];
	ssize_t size;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/out", gateway.fixture.directory);
	umask(0);
	call = call_cli("mint", "--key", gateway.fixture.key, "--binary", "-n", "3", "--payload",
		"1234", "-o", path, NULL);
	assert_int_equal(call->code, 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	fd = open(path, O_RDONLY);
	size = read(fd, bytes, sizeof(bytes));
	close(fd);
	unlink(path);
	assert_int_equal(size, 300);
	assert_int_equal(load_be16(bytes + 200 + CRED_AT_LENGTH), 100);
}

static void
test_mint_payload_file(void **state)
{
	static const uint8_t large[CG_PAYLOAD_MAX + 1];
	const struct call *call;
	char path[100];

	(void)state;
	snprintf(path, sizeof(path), "%s/payload", gateway.fixture.directory);
	fixture_write(path, large, CG_PAYLOAD_MAX, 0600);
	call = call_cli("mint", "--key", gateway.fixture.key, "--payload-file", path, NULL);
	assert_int_equal(call->code, 0);
	assert_int_equal(strlen(call->out), TEXT_SIZE_MAX + 1);
	fixture_write(path, large, CG_PAYLOAD_MAX + 1, 0600);
	call = call_cli("mint", "--key", gateway.fixture.key, "--payload-file", path, NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "at most 1136 bytes");
	unlink(path);
}

int
main(void)
{
#define WITH_GATEWAY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_GATEWAY(test_accepted),
		WITH_GATEWAY(test_retransmits),
		WITH_GATEWAY(test_refused),
		WITH_GATEWAY(test_json),
		WITH_GATEWAY(test_silence),
		WITH_GATEWAY(test_nobody_listens),
		WITH_GATEWAY(test_bad_port),
		WITH_GATEWAY(test_no_reply),
		WITH_GATEWAY(test_credential),
		WITH_GATEWAY(test_local_failures),
		WITH_GATEWAY(test_mint_text),
		WITH_GATEWAY(test_mint_binary),
		WITH_GATEWAY(test_mint_payload_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

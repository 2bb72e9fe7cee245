/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Sending and proving answers: against a peer that makes genuine replies and whatever else a test
 * wants (responder.h), and against the vectors of a second implementation. recv is wrapped
 * (-Wl,--wrap=recv) for a flood that no machine is too fast for.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <time.h>

#include <credgate/credgate.h>

#include "client/key_priv.h"
#include "fixture.h"
#include "responder.h"
#include "tests/vectors/vectors.h"
#include "verdict/verdict.h"

static struct fixture fixture;
static struct responder responder;
static struct cg_key *key;
static struct cg_answer answer;
static uint8_t request[CG_CREDENTIAL_MAX];
static int request_size;

/* ---- recv, flooded ---- */

static struct {
	bool is_on;
	uint8_t bytes[CRED_SIZE_MAX];
	size_t size;
} flood;

ssize_t __real_recv(int fd, void *buffer, size_t room, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t room, int flags);

/* What has truly arrived comes first, so that only time is lost; then one forged reply more. */
ssize_t
__wrap_recv(int fd, void *buffer, size_t room, int flags)
{
	ssize_t size = __real_recv(fd, buffer, room, flags);

	if (size >= 0 || !flood.is_on)
		return size;
	memcpy(buffer, flood.bytes, flood.size);
	return (ssize_t)flood.size;
}

/* ---- helpers ---- */

static int64_t
mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static uint64_t
now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
mint(void)
{
	struct cg_claim claim;

	cg_claim_init(&claim);
	claim.wants_reply = 1;
	claim.payload = "payload";
	claim.payload_size = 7;
	request_size = cg_mint(key, &claim, request, sizeof(request));
	if (request_size < 0)
		fail_msg("%s", cg_error());
}

static int
setup(void **state)
{
	(void)state;
	flood.is_on = false;
	fixture_init(&fixture);
	assert_int_equal(key_open(&key, fixture.key, fixture.boot_id), 0);
	answer = (struct cg_answer){.size = sizeof(answer)};
	mint();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cg_key_close(key);
	fixture_fini(&fixture);
	return 0;
}

/* One exchange of `request` with a peer that does what `handler` says; the result, and its time. */
static int
exchange_with(responder_handler_t handler, unsigned timeout_ms, int64_t *took_ms)
{
	struct key_slot slot;
	uint8_t origin[16];
	int64_t start_ms;
	int fd, rc;

	fixture_reply_slot(&fixture, &slot);
	responder_start(&responder, &slot, handler);
	fd = cg_connect("127.0.0.1", responder.port, origin);
	assert_true(fd >= 0);
	start_ms = mono_ms();
	rc = cg_exchange(key, fd, request, (size_t)request_size, timeout_ms, &answer);
	*took_ms = mono_ms() - start_ms;
	close(fd);
	responder_stop(&responder);
	return rc;
}

/* ---- the good case ---- */

static void
accept_it(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	const struct reply_fields fields = {.verdict = VERDICT_ACCEPTED};

	(void)number;
	responder_reply(r, bytes, size, &fields);
}

static void
test_accepted_in_every_suite(void **state)
{
	uint8_t suite;
	int64_t took_ms;

	(void)state;
	for (suite = 1; suite <= 4; suite++) {
		cg_key_close(key);
		fixture_key(&fixture, suite);
		assert_int_equal(key_open(&key, fixture.key, fixture.boot_id), 0);
		mint();
		assert_int_equal(exchange_with(accept_it, 0, &took_ms), 0);
		assert_int_equal(answer.verdict, CG_ACCEPTED);
		assert_int_equal(answer.first_verdict, CG_ACCEPTED);
		assert_int_equal(answer.floor_serial, 0);
		assert_int_equal(answer.floor_issued_us, 0);
		assert_in_range(answer.gateway_time_us, now_us() - 60000000, now_us());
		assert_true(answer.sends >= 1);
		assert_int_equal(responder.sizes[0], request_size);
		assert_memory_equal(responder.requests[0], request, request_size);
	}
}

static void
say_duplicate(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	const struct reply_fields fields = {
		.verdict = VERDICT_DUPLICATE, .first = VERDICT_ACCEPTED};

	if (number == 2)
		responder_reply(r, bytes, size, &fields);
}

static void
test_lost_reply_is_asked_for_again(void **state)
{
	int64_t took_ms;

	(void)state;
	assert_int_equal(exchange_with(say_duplicate, 0, &took_ms), 0);
	assert_int_equal(answer.verdict, CG_DUPLICATE);
	assert_int_equal(answer.first_verdict, CG_ACCEPTED);
	assert_true(answer.sends >= 2);
	assert_true(took_ms >= 50);
	assert_true(answer.round_trip_us < (uint64_t)took_ms * 1000);
}

/* ---- what is not a reply ---- */

/* Everything that an attacker may send, each wrong in one thing; then the genuine one. */
static void
forge_then_accept(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	const struct reply_fields good = {.verdict = VERDICT_ACCEPTED};
	const struct reply_fields refused = {.verdict = VERDICT_REVOKED};
	const struct reply_fields none = {.verdict = VERDICT_NONE};
	struct reply_fields longer = {.verdict = VERDICT_REVOKED};
	const struct key_slot true_slot = r->slot;
	uint8_t reply[CRED_SIZE_MAX], other[CRED_SIZE_MAX];
	size_t reply_size = responder_build(r, reply, bytes, size, &refused), i;

	if (number != 1)
		return;
	for (i = 0; i < reply_size; i++) { /* any byte changed */
		memcpy(other, reply, reply_size);
		other[i] ^= 0x10;
		responder_send(r, other, reply_size);
	}
	responder_send(r, reply, reply_size - 1);
	responder_send(r, "", 0);
	responder_send(r, bytes, size); /* the request, reflected */
	r->slot.tag_key[0] ^= 1;        /* another key */
	kdf_slot_reply(&r->slot, r->slot.tag_key, true_slot.suite);
	responder_reply(r, bytes, size, &refused);
	r->slot = true_slot;
	memcpy(other, bytes, size); /* genuine, for another request */
	other[size - 1] ^= 1;
	responder_reply(r, other, size, &refused);
	other[size - 1] ^= 1;
	other[CRED_AT_NODE + 3] ^= 1; /* tagged with our key, about another node */
	responder_reply(r, other, size, &refused);
	memcpy(other, bytes, size);
	other[CRED_AT_KIND] = CRED_KIND_BEACON; /* of another kind */
	responder_reply(r, other, size, &refused);
	longer.payload = bytes; /* longer than the request */
	longer.payload_size = size - CRED_SIZE_MIN + 1;
	responder_reply(r, bytes, size, &longer);
	responder_reply(r, bytes, size, &none); /* no verdict at all */
	responder_reply(r, bytes, size, &good);
}

static void
test_forged_and_foreign_replies_are_ignored(void **state)
{
	int64_t took_ms;

	(void)state;
	assert_int_equal(exchange_with(forge_then_accept, 0, &took_ms), 0);
	assert_int_equal(answer.verdict, CG_ACCEPTED);
}

static void
forge_only(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	const struct reply_fields refused = {.verdict = VERDICT_REVOKED};
	uint8_t reply[CRED_SIZE_MAX];
	size_t reply_size = responder_build(r, reply, bytes, size, &refused);

	(void)number;
	reply[reply_size - 1] ^= 1;
	responder_send(r, reply, reply_size);
}

static void
test_forged_alone_is_no_outcome(void **state)
{
	int64_t took_ms;

	(void)state;
	assert_int_equal(exchange_with(forge_only, 120, &took_ms), -ETIMEDOUT);
	assert_non_null(strstr(cg_error(), "outcome unknown"));
	assert_int_equal(answer.verdict, 0);
}

static void
be_silent(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	(void)r;
	(void)number;
	(void)bytes;
	(void)size;
}

/* The first copy is lost. */
static void
accept_second(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	if (number >= 2)
		accept_it(r, number, bytes, size);
}

/* Forged answers without end must not hold back the retransmission. */
static void
test_flood_of_forged_replies_delays_nothing(void **state)
{
	const struct reply_fields refused = {.verdict = VERDICT_REVOKED};
	struct responder maker = {.engine = tag_engine_create(TAG_KERNEL_AESNI)};
	int64_t took_ms;

	(void)state;
	fixture_reply_slot(&fixture, &maker.slot);
	flood.size = responder_build(&maker, flood.bytes, request, (size_t)request_size, &refused);
	flood.bytes[flood.size - 1] ^= 1;
	flood.is_on = true;
	assert_int_equal(exchange_with(accept_second, 0, &took_ms), 0);
	assert_int_equal(answer.verdict, CG_ACCEPTED);
	assert_true(answer.sends >= 2);
	assert_in_range(took_ms, 50, 990);
	assert_int_equal(exchange_with(be_silent, 100, &took_ms), -ETIMEDOUT);
	assert_in_range(took_ms, 100, 900);
	tag_engine_destroy(maker.engine);
}

/* Datagrams that are no reply at all: of every length up to the request's, and the largest. */
static void
babble_then_accept(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	const struct reply_fields refused = {.verdict = VERDICT_REVOKED};
	static uint8_t huge[65507]; /* the most that UDP over IPv4 carries */
	uint8_t reply[CRED_SIZE_MAX];
	size_t reply_size = responder_build(r, reply, bytes, size, &refused), i;
	struct timespec ts = {.tv_nsec = 1000000};

	if (number != 1)
		return;
	for (i = 0; i < reply_size; i++)
		responder_send(r, reply, i);
	randombytes_buf(huge, sizeof(huge));
	for (i = 1; i < sizeof(huge); i = i * 2 + 1)
		responder_send(r, huge, i);
	nanosleep(&ts, NULL); /* so that the socket has room for what is larger */
	responder_send(r, huge, sizeof(huge));
	memcpy(huge, reply, reply_size); /* the start of a genuine one, and far more behind it */
	responder_send(r, huge, CRED_SIZE_MAX + 1);
	responder_send(r, huge, sizeof(huge));
	nanosleep(&ts, NULL);
	accept_it(r, number, bytes, size);
}

static void
test_babble_is_ignored(void **state)
{
	int64_t took_ms;

	(void)state;
	assert_int_equal(exchange_with(babble_then_accept, 0, &took_ms), 0);
	assert_int_equal(answer.verdict, CG_ACCEPTED);
}

static void
test_verify_names_what_is_wrong(void **state)
{
	const struct reply_fields accepted = {.verdict = VERDICT_ACCEPTED};
	struct responder maker = {.engine = tag_engine_create(TAG_KERNEL_AESNI)};
	uint8_t reply[CRED_SIZE_MAX];
	size_t size;

	(void)state;
	fixture_reply_slot(&fixture, &maker.slot);
	size = responder_build(&maker, reply, request, (size_t)request_size, &accepted);
	assert_int_equal(
		cg_answer_verify(key, request, (size_t)request_size, reply, size, &answer), 0);
	assert_int_equal(answer.verdict, CG_ACCEPTED);
	reply[size - 1] ^= 0x80;
	assert_int_equal(cg_answer_verify(key, request, (size_t)request_size, reply, size, &answer),
		-EBADMSG);
	assert_non_null(strstr(cg_error(), "tag"));
	assert_int_equal(
		cg_answer_verify(key, request, (size_t)request_size, reply, 0, &answer), -EBADMSG);
	assert_int_equal(
		cg_answer_verify(key, request, (size_t)request_size, NULL, 0, &answer), -EINVAL);
	assert_int_equal(cg_answer_verify(key, reply, size, reply, size, &answer), -EINVAL);
	tag_engine_destroy(maker.engine);
}

/* ---- again later ---- */

static void
busy_then_accept(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	const struct reply_fields busy = {.verdict = VERDICT_BUSY, .retry_ms = 30};
	const struct reply_fields over = {.verdict = VERDICT_OVER_RATE, .retry_ms = 20};

	if (number == 1)
		responder_reply(r, bytes, size, &busy);
	else if (number == 2)
		responder_reply(r, bytes, size, &over);
	else
		accept_it(r, number, bytes, size);
}

static void
test_busy_and_over_rate_are_retried(void **state)
{
	int64_t took_ms;
	unsigned i;

	(void)state;
	assert_int_equal(exchange_with(busy_then_accept, 0, &took_ms), 0);
	assert_int_equal(answer.verdict, CG_ACCEPTED);
	assert_in_range(answer.sends, 3, 5); /* 3, unless this machine stands still meanwhile */
	assert_in_range(took_ms, 50, 1000);
	/* The same bytes from the same socket. */
	for (i = 0; i < atomic_load(&responder.count); i++) {
		assert_int_equal(responder.sizes[i], request_size);
		assert_memory_equal(responder.requests[i], request, request_size);
		assert_int_equal(responder.ports[i], responder.ports[0]);
	}
}

static void
busy_for_long(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	const struct reply_fields busy = {.verdict = VERDICT_BUSY, .retry_ms = 60000};

	(void)number;
	responder_reply(r, bytes, size, &busy);
}

/* Each copy was refused, so it is known that nothing was recorded: no use in waiting. */
static void
test_busy_for_long_is_the_answer(void **state)
{
	int64_t took_ms;

	(void)state;
	assert_int_equal(exchange_with(busy_for_long, 0, &took_ms), 0);
	assert_int_equal(answer.verdict, CG_BUSY);
	assert_int_equal(answer.retry_ms, 60000);
	assert_true(took_ms < 900);
}

/* A captured refusal sent again says nothing about the copy that went out after it. */
static void
busy_thrice_then_silent(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	const struct reply_fields busy = {.verdict = VERDICT_BUSY, .retry_ms = 10};
	static uint8_t reply[CRED_SIZE_MAX];
	static size_t reply_size;

	if (number == 1)
		reply_size = responder_build(r, reply, bytes, size, &busy);
	responder_send(r, reply, reply_size);
	responder_send(r, reply, reply_size);
}

static void
test_repeated_refusal_counts_once(void **state)
{
	int64_t took_ms;

	(void)state;
	assert_int_equal(exchange_with(busy_thrice_then_silent, 200, &took_ms), -ETIMEDOUT);
	assert_true(took_ms >= 200);
}

static void
busy_at_once(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	const struct reply_fields busy = {.verdict = VERDICT_BUSY, .retry_ms = 0};

	(void)number;
	responder_reply(r, bytes, size, &busy);
}

static void
test_impatient_gateway_is_not_flooded(void **state)
{
	int64_t took_ms;

	(void)state;
	assert_int_equal(exchange_with(busy_at_once, 0, &took_ms), 0);
	assert_int_equal(answer.verdict, CG_BUSY);
	assert_in_range(answer.sends, 2, 32);
	assert_true(took_ms >= answer.sends - 1);
}

/* ---- no answer ---- */

static void
test_silence_is_outcome_unknown(void **state)
{
	uint64_t next = key->serial.state->next;
	unsigned i, count;
	int64_t took_ms;

	(void)state;
	assert_int_equal(exchange_with(be_silent, 0, &took_ms), -ETIMEDOUT);
	assert_non_null(strstr(cg_error(), "outcome unknown"));
	assert_in_range(took_ms, 1000, 3000);
	/* At 0, 50, 150, 350 and 750 ms; a machine that stands still meanwhile sends fewer. */
	count = atomic_load(&responder.count);
	assert_in_range(count, 2, 5);
	for (i = 0; i < count; i++) {
		assert_memory_equal(responder.requests[i], request, request_size);
		assert_int_equal(responder.ports[i], responder.ports[0]);
	}
	assert_int_equal(key->serial.state->next, next); /* never mints anew by itself */
	assert_int_equal(exchange_with(be_silent, 40, &took_ms), -ETIMEDOUT);
	assert_int_equal(atomic_load(&responder.count), 1);
	assert_in_range(took_ms, 40, 900);
}

static void
test_unreachable_is_outcome_unknown(void **state)
{
	struct key_slot slot;
	uint8_t origin[16];
	int fd;

	(void)state;
	fixture_reply_slot(&fixture, &slot);
	responder_start(&responder, &slot, be_silent);
	responder_stop(&responder); /* leaves a port where nobody listens */
	fd = cg_connect("127.0.0.1", responder.port, origin);
	assert_true(fd >= 0);
	assert_int_equal(
		cg_exchange(key, fd, request, (size_t)request_size, 100, &answer), -ETIMEDOUT);
	assert_non_null(strstr(cg_error(), "unreachable"));
	close(fd);
}

/* ---- floors ---- */

static struct reply_fields told; /* what say_told answers */

static void
say_told(struct responder *r, unsigned number, const uint8_t *bytes, size_t size)
{
	(void)number;
	responder_reply(r, bytes, size, &told);
}

static uint64_t
request_field(unsigned at)
{
	return load_be64(request + at);
}

static void
test_serial_floor_is_followed(void **state)
{
	uint64_t floor = request_field(CRED_AT_SERIAL) + ((uint64_t)1 << 40);
	int64_t took_ms;

	(void)state;
	told = (struct reply_fields){
		.verdict = VERDICT_FLOOR, .hint = REPLY_HINT_SERIAL, .floor = floor};
	assert_int_equal(exchange_with(say_told, 0, &took_ms), 0);
	assert_int_equal(answer.verdict, CG_FLOOR);
	assert_int_equal(answer.floor_serial, floor);
	mint();
	assert_int_equal(request_field(CRED_AT_SERIAL), floor);
}

static void
test_serial_floor_too_far_is_ignored(void **state)
{
	uint64_t serial = request_field(CRED_AT_SERIAL);
	int64_t took_ms;

	(void)state;
	told = (struct reply_fields){.verdict = VERDICT_FLOOR,
		.hint = REPLY_HINT_SERIAL,
		.floor = serial + ((uint64_t)1 << 40) + 1};
	assert_int_equal(exchange_with(say_told, 0, &took_ms), 0);
	assert_int_equal(answer.verdict, CG_FLOOR);
	assert_int_equal(answer.floor_serial, 0);
	assert_non_null(strstr(cg_error(), "2^40"));
	mint();
	assert_int_equal(request_field(CRED_AT_SERIAL), serial + 1);
}

static void
test_time_floor_is_followed(void **state)
{
	uint64_t floor_us = now_us() + 5000000;
	int64_t took_ms;

	(void)state;
	told = (struct reply_fields){
		.verdict = VERDICT_FLOOR, .hint = REPLY_HINT_ISSUED, .floor = floor_us};
	assert_int_equal(exchange_with(say_told, 0, &took_ms), 0);
	assert_int_equal(answer.floor_issued_us, floor_us);
	mint();
	assert_int_equal(request_field(CRED_AT_ISSUED), floor_us);
	/* A lower one later changes nothing. */
	answer.floor_issued_us = floor_us - 1000;
	assert_int_equal(cg_key_floor(key, &answer), 0);
	mint();
	assert_int_equal(request_field(CRED_AT_ISSUED), floor_us);
}

static void
test_time_floor_too_far_is_ignored(void **state)
{
	int64_t took_ms;

	(void)state;
	told = (struct reply_fields){.verdict = VERDICT_FLOOR,
		.hint = REPLY_HINT_ISSUED,
		.floor = now_us() + 3660ull * 1000000};
	assert_int_equal(exchange_with(say_told, 0, &took_ms), 0);
	assert_int_equal(answer.floor_issued_us, 0);
	assert_non_null(strstr(cg_error(), "hour"));
	mint();
	assert_in_range(request_field(CRED_AT_ISSUED), now_us() - 60000000, now_us());
	answer.floor_issued_us = now_us() + 3660ull * 1000000;
	assert_int_equal(cg_key_floor(key, &answer), -ERANGE);
}

/*
 * A gateway that holds the keys and has gone mad: whatever the numbers in a reply that proves, the
 * next serial is a new one, at most 2^40 ahead, and the next time at most an hour.
 */
static void
test_mad_numbers_do_no_harm(void **state)
{
	const uint64_t last = request_field(CRED_AT_SERIAL);
	const uint64_t floors[] = {0, 1, last - 1, last, last + ((uint64_t)1 << 40) + 4096,
		CRED_SERIAL_MAX, CRED_SERIAL_MAX + 1, INT64_MAX, (uint64_t)INT64_MAX + 1,
		UINT64_MAX - 1, UINT64_MAX};
	struct responder maker = {.engine = tag_engine_create(TAG_KERNEL_AESNI)};
	uint8_t reply[CRED_SIZE_MAX];
	unsigned hint;
	size_t i, size;

	(void)state;
	fixture_reply_slot(&fixture, &maker.slot);
	for (hint = 0; hint < 256; hint += hint < 4 ? 1 : 251) {
		for (i = 0; i < sizeof(floors) / sizeof(floors[0]); i++) {
			const struct reply_fields mad = {
				.verdict = hint == 0 ? 255 : VERDICT_FLOOR,
				.first = 255,
				.hint = (uint8_t)hint,
				.retry_ms = UINT32_MAX,
				.floor = floors[i],
			};
			uint64_t serial = request_field(CRED_AT_SERIAL);

			size = responder_build(&maker, reply, request, (size_t)request_size, &mad);
			assert_int_equal(cg_answer_verify(key, request, (size_t)request_size, reply,
						 size, &answer),
				0);
			assert_int_equal(answer.retry_ms, UINT32_MAX);
			cg_key_floor(key, &answer);
			mint();
			assert_int_equal(request_field(CRED_AT_SERIAL), serial + 1);
			assert_in_range(request_field(CRED_AT_ISSUED), now_us() - 60000000,
				now_us() + 1000000);
		}
	}
	tag_engine_destroy(maker.engine);
}

/* At the end of the numbers a floor may ask for what is not there: said, and nothing is damaged. */
static void
test_floor_past_the_last_serial_is_refused(void **state)
{
	(void)state;
	answer.floor_serial = CRED_SERIAL_MAX + 1;
	assert_int_equal(cg_key_floor(key, &answer), -EINVAL);
	answer.floor_serial = UINT64_MAX;
	assert_int_equal(cg_key_floor(key, &answer), -EINVAL);
	answer.floor_serial = CRED_SERIAL_MAX;
	assert_int_equal(cg_key_floor(key, &answer), 0);
	mint();
	assert_int_equal(request_field(CRED_AT_SERIAL), CRED_SERIAL_MAX);
}

/* ---- arguments and sockets ---- */

static void
test_wrong_requests_are_not_sent(void **state)
{
	struct cg_answer small = {.size = 8};
	struct cg_claim claim;
	uint8_t quiet[CG_CREDENTIAL_MAX];
	int size;

	(void)state;
	cg_claim_init(&claim);
	size = cg_mint(key, &claim, quiet, sizeof(quiet));
	assert_int_equal(cg_exchange(key, 0, quiet, (size_t)size, 0, &answer), -EINVAL);
	assert_non_null(strstr(cg_error(), "wants_reply"));
	assert_int_equal(
		cg_exchange(key, 0, request, (size_t)request_size, 1001, &answer), -EINVAL);
	assert_int_equal(cg_exchange(key, 0, request, 95, 0, &answer), -EINVAL);
	assert_int_equal(cg_exchange(key, 0, request, (size_t)request_size, 0, &small), -EINVAL);
	assert_int_equal(cg_exchange(key, 0, request, (size_t)request_size, 0, NULL), -EINVAL);
	assert_int_equal(cg_exchange(NULL, 0, request, (size_t)request_size, 0, &answer), -EINVAL);
	assert_int_equal(cg_exchange(key, -1, request, (size_t)request_size, 0, &answer), -EBADF);
	request[CRED_AT_NODE] ^= 1;
	assert_int_equal(cg_exchange(key, 0, request, (size_t)request_size, 0, &answer), -EINVAL);
	assert_non_null(strstr(cg_error(), "another key"));
}

static void
test_connect_tells_the_origin(void **state)
{
	static const uint8_t loopback4[16] = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1};
	static const uint8_t loopback6[16] = {[15] = 1};
	uint8_t origin[16];
	int fd = cg_connect("127.0.0.1", "4711", origin);

	(void)state;
	assert_true(fd >= 0);
	assert_memory_equal(origin, loopback4, 16);
	close(fd);
	fd = cg_connect("::1", "4711", origin);
	if (fd >= 0) { /* a machine may have no IPv6 */
		assert_memory_equal(origin, loopback6, 16);
		close(fd);
	} else {
		assert_true(fd == -EADDRNOTAVAIL || fd == -EAFNOSUPPORT);
	}
	assert_int_equal(cg_connect("127.0.0.1", "domain", origin), -EINVAL);
	assert_int_equal(cg_connect("127.0.0.1", "0", origin), -EINVAL);
	assert_int_equal(cg_connect("127.0.0.1", "65536", origin), -EINVAL);
	assert_int_equal(cg_connect("127.0.0.1", "99999", origin), -EINVAL);
	assert_string_equal(cg_error(), "'99999' is no port from 1 to 65535");
	assert_int_equal(cg_connect("127.0.0.1", "", origin), -EINVAL);
	assert_int_equal(cg_connect("999.1.1.1.", "1", NULL), -EINVAL);
}

/* ---- a second implementation ---- */

static struct vectors vectors;

static void
load_request(const char *name)
{
	struct vectors other;

	vectors_open(&other, "vectors/native-v1.txt");
	vectors_find(&other, "credential", name);
	request_size = (int)vectors_bytes(&other, "wire", request, sizeof(request));
	vectors_close(&other);
}

static void
load_key(const char *name)
{
	char text[NODE_KEY_TEXT_SIZE + 1];
	struct vectors other;

	vectors_open(&other, "vectors/native-v1.txt");
	vectors_find(&other, "node", name);
	vectors_string(&other, "file", text, sizeof(text));
	vectors_close(&other);
	cg_key_close(key);
	fixture_write(fixture.key, text, strlen(text), 0600);
	assert_int_equal(key_open(&key, fixture.key, fixture.boot_id), 0);
}

static void
test_replies_of_the_vectors_prove(void **state)
{
	uint8_t reply[CRED_SIZE_MAX];
	unsigned count = 0;
	char name[64];
	size_t size;

	(void)state;
	vectors_open(&vectors, "vectors/native-v1.txt");
	for (; vectors_next(&vectors, "reply"); count++) {
		vectors_string(&vectors, "key", name, sizeof(name));
		load_key(name);
		vectors_string(&vectors, "request", name, sizeof(name));
		load_request(name);
		size = vectors_bytes(&vectors, "wire", reply, sizeof(reply));
		if (cg_answer_verify(key, request, (size_t)request_size, reply, size, &answer) != 0)
			fail_msg("line %u: %s", vectors.number, cg_error());
		assert_int_equal(answer.verdict, vectors_number(&vectors, "verdict"));
		assert_int_equal(answer.first_verdict, vectors_number(&vectors, "first"));
		assert_int_equal(answer.retry_ms, vectors_number(&vectors, "retry_ms"));
		assert_int_equal(answer.gateway_time_us, vectors_number(&vectors, "issued_us"));
		if (vectors_number(&vectors, "hint") == REPLY_HINT_SERIAL)
			assert_int_equal(answer.floor_serial, vectors_number(&vectors, "floor"));
	}
	vectors_close(&vectors);
	assert_true(count >= 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_accepted_in_every_suite),
		TEST(test_lost_reply_is_asked_for_again),
		TEST(test_forged_and_foreign_replies_are_ignored),
		TEST(test_forged_alone_is_no_outcome),
		TEST(test_flood_of_forged_replies_delays_nothing),
		TEST(test_babble_is_ignored),
		TEST(test_verify_names_what_is_wrong),
		TEST(test_busy_and_over_rate_are_retried),
		TEST(test_busy_for_long_is_the_answer),
		TEST(test_repeated_refusal_counts_once),
		TEST(test_impatient_gateway_is_not_flooded),
		TEST(test_silence_is_outcome_unknown),
		TEST(test_unreachable_is_outcome_unknown),
		TEST(test_serial_floor_is_followed),
		TEST(test_serial_floor_too_far_is_ignored),
		TEST(test_time_floor_is_followed),
		TEST(test_time_floor_too_far_is_ignored),
		TEST(test_mad_numbers_do_no_harm),
		TEST(test_floor_past_the_last_serial_is_refused),
		TEST(test_wrong_requests_are_not_sent),
		TEST(test_connect_tells_the_origin),
		TEST(test_replies_of_the_vectors_prove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

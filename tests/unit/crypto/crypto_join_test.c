/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Enrolment's codes, requests and answers: the vectors of a second implementation, and that no byte
 * of any of them can be changed, nor anything be taken for another, without being refused.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <sodium.h>

#include "crypto/join.h"
#include "tests/vectors/vectors.h"
#include "wire/bytes.h"

#define JOIN_FILE "vectors/join-v1.txt"

static struct {
	struct join_code code;
	uint8_t gateway[32], node[32], answer_secret[32];
	uint8_t request[JOIN_REQUEST_SIZE];
	uint8_t answer[JOIN_SEALED_SIZE];
	uint8_t body[JOIN_BODY_SIZE];
	char text[128];
	struct join_body open;
} v;

static int
setup(void **state)
{
	struct vectors file;

	(void)state;
	if (sodium_init() < 0)
		return -1;
	vectors_open(&file, JOIN_FILE);
	assert_true(vectors_next(&file, "join"));
	vectors_exactly(&file, "gateway_secret", v.gateway, 32);
	vectors_exactly(&file, "gateway_public", v.code.gateway, 32);
	vectors_exactly(&file, "code_secret", v.code.secret, 16);
	vectors_exactly(&file, "node_secret", v.node, 32);
	vectors_exactly(&file, "answer_secret", v.answer_secret, 32);
	vectors_exactly(&file, "request", v.request, sizeof(v.request));
	vectors_exactly(&file, "answer", v.answer, sizeof(v.answer));
	vectors_exactly(&file, "body", v.body, sizeof(v.body));
	vectors_string(&file, "code", v.text, sizeof(v.text));
	v.code.id = 0x0102030405060708;
	v.code.realm = (uint32_t)vectors_number(&file, "code_realm");
	vectors_close(&file);
	return join_body_parse(&v.open, v.body);
}

static bool
is_proved(const uint8_t *request, const struct join_code *code)
{
	return join_request_prove(request, code, v.gateway) == UINT64_MAX;
}

static bool
is_opened(const uint8_t *answer)
{
	struct join_body body;
	int error = join_answer_open(&body, answer, v.request, &v.code, v.node);

	if (error != 0)
		assert_true(sodium_is_zero((const uint8_t *)&body, sizeof(body)));
	return error == 0;
}

/* ---- vectors ---- */

static void
code_is_the_vector(void **state)
{
	char text[JOIN_CODE_TEXT_SIZE + 1];
	struct join_code code;

	(void)state;
	join_code_encode(text, &v.code);
	assert_string_equal(text, v.text);
	assert_int_equal(strlen(text), JOIN_CODE_TEXT_SIZE);
	assert_int_equal(join_code_decode(&code, text, strlen(text)), 0);
	assert_memory_equal(&code, &v.code, sizeof(code));
}

static void
request_is_the_vector(void **state)
{
	uint8_t msg[JOIN_REQUEST_SIZE], public[32];
	struct join_request request;

	(void)state;
	join_public(public, v.gateway);
	assert_memory_equal(public, v.code.gateway, 32);
	assert_int_equal(join_request_make(msg, &v.code, v.node, "n001"), 0);
	assert_memory_equal(msg, v.request, sizeof(msg));
	assert_true(is_proved(msg, &v.code));
	assert_int_equal(join_request_parse(&request, msg, sizeof(msg)), 0);
	assert_int_equal(request.id, v.code.id);
	assert_int_equal(request.realm, 7);
	assert_string_equal(request.name, "n001");
}

static void
answer_is_the_vector(void **state)
{
	uint8_t msg[JOIN_SEALED_SIZE];
	struct join_body body;
	uint32_t retry_ms;

	(void)state;
	assert_int_equal(
		join_answer_seal(msg, &v.open, v.request, &v.code, v.gateway, v.answer_secret), 0);
	assert_memory_equal(msg, v.answer, sizeof(msg));
	assert_int_equal(join_answer_parse(msg, sizeof(msg), &retry_ms), JOIN_SEALED);
	assert_int_equal(join_answer_open(&body, msg, v.request, &v.code, v.node), 0);
	assert_int_equal(body.status, JOIN_WELCOME);
	assert_int_equal(body.key.node, 0x01020304);
	assert_int_equal(body.key.key[0], 0x55);
	assert_string_equal(body.name, "n001");
	assert_string_equal(body.text, "realm lab");
}

static void
plain_answers_are_the_vectors(void **state)
{
	uint8_t wanted[JOIN_PLAIN_SIZE], msg[JOIN_PLAIN_SIZE];
	struct vectors file;
	uint32_t retry_ms;

	(void)state;
	vectors_open(&file, JOIN_FILE);
	assert_true(vectors_next(&file, "join"));
	vectors_exactly(&file, "refused", wanted, sizeof(wanted));
	join_plain_build(msg, JOIN_REFUSED, 0);
	assert_memory_equal(msg, wanted, sizeof(msg));
	assert_int_equal(join_answer_parse(msg, sizeof(msg), &retry_ms), JOIN_REFUSED);
	vectors_exactly(&file, "busy", wanted, sizeof(wanted));
	join_plain_build(msg, JOIN_BUSY, 1000);
	assert_memory_equal(msg, wanted, sizeof(msg));
	assert_int_equal(join_answer_parse(msg, sizeof(msg), &retry_ms), JOIN_BUSY);
	assert_int_equal(retry_ms, 1000);
	vectors_close(&file);
}

/* ---- every change is refused ---- */

/* A character changed is a code mistyped, or none at all; never another code. */
static void
no_mistyped_code_decodes(void **state)
{
	struct join_code code;
	char text[128];

	(void)state;
	for (size_t i = 0; i < JOIN_CODE_TEXT_SIZE; i++)
		for (unsigned c = 0; c < 256; c++) {
			memcpy(text, v.text, sizeof(text));
			if (text[i] == (char)c)
				continue;
			text[i] = (char)c;
			assert_int_not_equal(join_code_decode(&code, text, JOIN_CODE_TEXT_SIZE), 0);
			assert_true(sodium_is_zero(code.secret, sizeof(code.secret)));
		}
	for (size_t length = 0; length < JOIN_CODE_TEXT_SIZE; length++)
		assert_int_equal(join_code_decode(&code, v.text, length), -EINVAL);
	memcpy(text, v.text, sizeof(text));
	memcpy(text + JOIN_CODE_TEXT_SIZE, ":", 2);
	assert_int_equal(join_code_decode(&code, text, strlen(text)), -EINVAL);
	/* Two neighbours swapped: the commonest slip of all. */
	for (size_t i = 5; i + 2 < JOIN_CODE_TEXT_SIZE; i++) {
		memcpy(text, v.text, sizeof(text));
		text[i] = v.text[i + 1];
		text[i + 1] = v.text[i];
		if (text[i] != text[i + 1])
			assert_int_equal(
				join_code_decode(&code, text, JOIN_CODE_TEXT_SIZE), -EBADMSG);
	}
}

static void
no_changed_request_is_proved(void **state)
{
	uint8_t msg[JOIN_REQUEST_SIZE];

	(void)state;
	for (size_t bit = 0; bit < 8 * sizeof(msg); bit++) {
		memcpy(msg, v.request, sizeof(msg));
		msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(is_proved(msg, &v.code));
	}
}

static void
no_other_code_proves(void **state)
{
	struct join_code other;
	uint8_t gateway[32];

	(void)state;
	for (size_t bit = 0; bit < 8 * JOIN_SECRET_SIZE; bit++) {
		other = v.code;
		other.secret[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(is_proved(v.request, &other));
	}
	for (size_t byte = 0; byte < JOIN_PUBLIC_SIZE; byte++) {
		other = v.code;
		other.gateway[byte] ^= 1;
		assert_false(is_proved(v.request, &other));
	}
	/* Whoever has the code but is not the gateway cannot even judge. */
	memcpy(gateway, v.gateway, 32);
	gateway[5] ^= 1;
	assert_int_equal(join_request_prove(v.request, &v.code, gateway), 0);
}

static void
no_changed_answer_opens(void **state)
{
	uint8_t msg[JOIN_SEALED_SIZE];

	(void)state;
	assert_true(is_opened(v.answer));
	for (size_t bit = 0; bit < 8 * sizeof(msg); bit++) {
		memcpy(msg, v.answer, sizeof(msg));
		msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* Bit 255 of a public key says nothing, but is under the seal all the same. */
		assert_false(is_opened(msg));
	}
}

static void
no_answer_for_another_request_opens(void **state)
{
	uint8_t request[JOIN_REQUEST_SIZE], answer[JOIN_SEALED_SIZE], node[32];
	struct join_body body;

	(void)state;
	memcpy(node, v.node, sizeof(node));
	node[7] ^= 1;
	assert_int_equal(join_request_make(request, &v.code, node, "n001"), 0);
	assert_true(is_proved(request, &v.code));
	assert_int_equal(
		join_answer_seal(answer, &v.open, request, &v.code, v.gateway, v.answer_secret), 0);
	assert_false(is_opened(answer));
	assert_int_equal(join_answer_open(&body, answer, v.request, &v.code, node), -EBADMSG);
	assert_int_equal(join_answer_open(&body, answer, request, &v.code, node), 0);
	/* The same key, but another name in the request. */
	assert_int_equal(join_request_make(request, &v.code, v.node, ""), 0);
	assert_int_equal(
		join_answer_seal(answer, &v.open, request, &v.code, v.gateway, v.answer_secret), 0);
	assert_false(is_opened(answer));
}

/* A man in the middle who knows even the code is not the gateway. */
static void
a_knower_of_the_code_is_no_gateway(void **state)
{
	uint8_t own[32], answer[JOIN_SEALED_SIZE];

	(void)state;
	randombytes_buf(own, sizeof(own));
	assert_int_equal(
		join_answer_seal(answer, &v.open, v.request, &v.code, own, v.answer_secret), 0);
	assert_false(is_opened(answer));
}

/* Points of low order make a shared secret that everybody knows. */
static void
low_order_keys_are_refused(void **state)
{
	static const uint8_t points[][32] = {
		{0},
		{1},
		{0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f,
			0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62,
			0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	};
	uint8_t request[JOIN_REQUEST_SIZE], answer[JOIN_SEALED_SIZE];
	struct join_code code = v.code;
	struct join_body body;

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		memcpy(request, v.request, sizeof(request));
		memcpy(request + JOIN_REQUEST_PUBLIC, points[i], 32);
		assert_false(is_proved(request, &v.code));
		assert_int_equal(join_answer_seal(answer, &v.open, request, &v.code, v.gateway,
					 v.answer_secret),
			-EBADMSG);
		memcpy(code.gateway, points[i], 32);
		assert_int_equal(join_request_make(request, &code, v.node, ""), -EBADMSG);
		memcpy(answer, v.answer, sizeof(answer));
		memcpy(answer + JOIN_ANSWER_PUBLIC, points[i], 32);
		assert_int_equal(
			join_answer_open(&body, answer, v.request, &v.code, v.node), -EBADMSG);
	}
}

/* ---- forms ---- */

static int
parse_with(size_t offset, uint8_t value)
{
	uint8_t msg[JOIN_REQUEST_SIZE];
	struct join_request request;

	memcpy(msg, v.request, sizeof(msg));
	msg[offset] = value;
	return join_request_parse(&request, msg, sizeof(msg));
}

static void
malformed_requests_are_refused(void **state)
{
	struct join_request request;
	uint8_t msg[JOIN_REQUEST_SIZE + 1];

	(void)state;
	for (size_t i = 0; i < JOIN_REQUEST_HEAD; i++)
		assert_int_equal(parse_with(i, v.request[i] ^ 1), -EBADMSG);
	assert_int_equal(parse_with(19, 0), -EBADMSG);    /* realm 0 */
	assert_int_equal(parse_with(23, 1), -EBADMSG);    /* reserved */
	assert_int_equal(parse_with(56, 0x07), -EBADMSG); /* a bell in the name */
	assert_int_equal(parse_with(56, 0xc3), -EBADMSG);
	assert_int_equal(parse_with(100, 'x'), -EBADMSG); /* behind the name's end */
	memcpy(msg, v.request, sizeof(v.request));
	memset(msg + 56, 'n', JOIN_NAME_SIZE); /* no end */
	assert_int_equal(join_request_parse(&request, msg, JOIN_REQUEST_SIZE), -EBADMSG);
	assert_int_equal(join_request_parse(&request, v.request, JOIN_REQUEST_SIZE - 1), -EBADMSG);
	assert_int_equal(join_request_parse(&request, msg, JOIN_REQUEST_SIZE + 1), -EBADMSG);
	assert_true(join_request_begins(v.request, 0));
	assert_true(join_request_begins(v.request, 5));
	assert_false(join_request_begins((const uint8_t *)"GET / HT", 3));
}

static void
malformed_answers_are_refused(void **state)
{
	uint8_t msg[JOIN_SEALED_SIZE];
	uint32_t retry_ms;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		for (unsigned value = 0; value < 256; value++) {
			memcpy(msg, v.answer, sizeof(msg));
			msg[i] = (uint8_t)value;
			if (value != v.answer[i])
				assert_int_equal(
					join_answer_parse(msg, sizeof(msg), &retry_ms), -EBADMSG);
		}
	assert_int_equal(join_answer_parse(v.answer, JOIN_SEALED_SIZE - 1, &retry_ms), -EBADMSG);
	assert_int_equal(join_answer_size(v.answer, 7), 0);
	assert_int_equal(join_answer_size(v.answer, 8), JOIN_SEALED_SIZE);
	join_plain_build(msg, JOIN_BUSY, UINT32_MAX);
	assert_int_equal(join_answer_size(msg, 12), JOIN_PLAIN_SIZE);
	assert_int_equal(join_answer_parse(msg, JOIN_PLAIN_SIZE, &retry_ms), JOIN_BUSY);
	assert_int_equal(retry_ms, JOIN_RETRY_MS_MAX);
}

static void
malformed_bodies_are_refused(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} cases[] = {{0, 0}, {0, 6}, {0, JOIN_SPENT /* with a key */}, {1, 1}, {2, 1}, {3, 1},
		{7, 0} /* realm 0 */, {14, 9} /* suite */, {15, 1}, {48, 0x1b}, {111, 'x'},
		{112, 0x80}, {255, 'x'}};
	uint8_t msg[JOIN_BODY_SIZE];
	struct join_body body;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memcpy(msg, v.body, sizeof(msg));
		msg[cases[i].offset] = cases[i].value;
		assert_int_equal(join_body_parse(&body, msg), -EBADMSG);
		assert_true(sodium_is_zero((const uint8_t *)&body, sizeof(body)));
	}
	body = (struct join_body){.status = JOIN_WRONG_NAME, .name = "n002"};
	memset(body.text, 'x', sizeof(body.text) - 1);
	join_body_build(msg, &body);
	assert_int_equal(join_body_parse(&body, msg), 0);
	assert_int_equal(strlen(body.text), JOIN_TEXT_SIZE - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_is_the_vector),
		cmocka_unit_test(request_is_the_vector),
		cmocka_unit_test(answer_is_the_vector),
		cmocka_unit_test(plain_answers_are_the_vectors),
		cmocka_unit_test(no_mistyped_code_decodes),
		cmocka_unit_test(no_changed_request_is_proved),
		cmocka_unit_test(no_other_code_proves),
		cmocka_unit_test(no_changed_answer_opens),
		cmocka_unit_test(no_answer_for_another_request_opens),
		cmocka_unit_test(a_knower_of_the_code_is_no_gateway),
		cmocka_unit_test(low_order_keys_are_refused),
		cmocka_unit_test(malformed_requests_are_refused),
		cmocka_unit_test(malformed_answers_are_refused),
		cmocka_unit_test(malformed_bodies_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

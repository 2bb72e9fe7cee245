/* SPDX-License-Identifier: BSD-3-Clause */

/* reply_build, reply_parse and reply_inside_parse. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/wire/guard.h"
#include "tests/vectors/vectors.h"
#include "wire/reply.h"

#define NATIVE "vectors/native-v1.txt"

static void
request_load(uint8_t *request, size_t room, size_t *size, const char *name)
{
	struct vectors v;

	vectors_open(&v, NATIVE);
	vectors_find(&v, "credential", name);
	*size = vectors_bytes(&v, "wire", request, room);
	vectors_close(&v);
}

static const struct reply_fields good_fields = {
	.verdict = 1,
	.first = 1,
	.serial = 0x0306474846204001,
	.issued_us = 1767225600000250,
	.salt = {1, 2, 3, 4},
};

/* A reply of the least size to example-sealed128. */
static void
good_build(uint8_t msg[CRED_SIZE_MIN])
{
	uint8_t request[CRED_SIZE_MAX];
	size_t size;

	request_load(request, sizeof(request), &size, "example-sealed128");
	assert_int_equal(
		reply_build(msg, CRED_SIZE_MIN, request, request + size - 16, &good_fields),
		CRED_SIZE_MIN);
}

#define CHANGED(name, result, change)                                        \
	static void name(void **state)                                       \
	{                                                                    \
		uint8_t m[CRED_SIZE_MIN];                                    \
		struct wire_cred cred;                                       \
                                                                             \
		(void)state;                                                 \
		good_build(m);                                               \
		assert_int_equal(reply_parse(m, sizeof(m), &cred), WIRE_OK); \
		change;                                                      \
		assert_int_equal(reply_parse(m, sizeof(m), &cred), result);  \
	}

CHANGED(magic_malformed, WIRE_MALFORMED, m[0] = 'c')
CHANGED(length_malformed, WIRE_MALFORMED, m[CRED_AT_LENGTH + 1]++)
CHANGED(realm_0_malformed, WIRE_MALFORMED, store_be32(m + CRED_AT_REALM, 0))
CHANGED(node_0_malformed, WIRE_MALFORMED, store_be32(m + CRED_AT_NODE, 0))
CHANGED(epoch_0_malformed, WIRE_MALFORMED, store_be16(m + CRED_AT_EPOCH, 0))
CHANGED(serial_0_malformed, WIRE_MALFORMED, store_be64(m + CRED_AT_SERIAL, 0))
CHANGED(serial_most_malformed, WIRE_MALFORMED, store_be64(m + CRED_AT_SERIAL, UINT64_MAX))
CHANGED(issued_most_malformed, WIRE_MALFORMED, store_be64(m + CRED_AT_ISSUED, UINT64_MAX))
CHANGED(suite_5_unsupported, WIRE_UNSUPPORTED, m[CRED_AT_SUITE] = 5)
CHANGED(text_form_unsupported, WIRE_UNSUPPORTED, m[CRED_AT_SUITE] = ':')
CHANGED(flag_reply_unsupported, WIRE_UNSUPPORTED, store_be16(m + CRED_AT_FLAGS, 1))
CHANGED(flag_other_unsupported, WIRE_UNSUPPORTED, store_be16(m + CRED_AT_FLAGS, 0x8000))
CHANGED(malformed_wins, WIRE_MALFORMED, (m[CRED_AT_SUITE] = 5, m[CRED_AT_LENGTH]++))
CHANGED(suite_other_ok, WIRE_OK, m[CRED_AT_SUITE] = CRED_SUITE_CMAC256)

static void
every_kind_byte(void **state)
{
	uint8_t m[CRED_SIZE_MIN];
	struct wire_cred cred;
	unsigned kind;

	(void)state;
	good_build(m);
	for (kind = 0; kind < 256; kind++) {
		m[CRED_AT_KIND] = (uint8_t)kind;
		assert_int_equal(reply_parse(m, sizeof(m), &cred),
			kind == 129 || kind == 130 ? WIRE_OK : WIRE_UNSUPPORTED);
	}
}

static void
every_size_between_guard_pages(void **state)
{
	uint8_t good[CRED_SIZE_MAX + 100] = {0};
	struct wire_cred cred;
	struct guard g;
	size_t size;
	unsigned side;
	uint8_t *m;

	(void)state;
	guard_init(&g);
	good_build(good);
	for (size = 0; size <= 1300; size++) {
		for (side = 0; side < 2; side++) {
			m = side == 0 ? guard_low(&g) : guard_high(&g, size);
			store_be16(good + CRED_AT_LENGTH, (uint16_t)size);
			memcpy(m, good, size);
			assert_int_equal(reply_parse(m, size, &cred),
				size >= 96 && size <= 1232 ? WIRE_OK : WIRE_MALFORMED);
		}
	}
	guard_fini(&g);
}

static void
fields_load(const struct vectors *v, struct reply_fields *f, uint8_t *room)
{
	*f = (struct reply_fields){
		.verdict = (uint8_t)vectors_number(v, "verdict"),
		.first = (uint8_t)vectors_number(v, "first"),
		.hint = (uint8_t)vectors_number(v, "hint"),
		.retry_ms = (uint32_t)vectors_number(v, "retry_ms"),
		.floor = vectors_number(v, "floor"),
		.serial = vectors_number(v, "serial"),
		.issued_us = vectors_number(v, "issued_us"),
		.payload = room,
		.payload_size = vectors_bytes(v, "payload", room, CRED_PAYLOAD_SIZE_MAX),
	};
	vectors_exactly(v, "salt", f->salt, sizeof(f->salt));
}

static void
assert_fields_equal(const struct reply_fields *a, const struct reply_fields *b)
{
	assert_int_equal(a->verdict, b->verdict);
	assert_int_equal(a->first, b->first);
	assert_int_equal(a->hint, b->hint);
	assert_int_equal(a->retry_ms, b->retry_ms);
	assert_int_equal(a->floor, b->floor);
	assert_int_equal(a->serial, b->serial);
	assert_int_equal(a->issued_us, b->issued_us);
	assert_memory_equal(a->salt, b->salt, sizeof(a->salt));
	assert_int_equal(a->payload_size, b->payload_size);
	assert_memory_equal(a->payload, b->payload, b->payload_size);
}

/* Our reply is, but for seal and tag, the other implementation's; and it is read back. */
static void
reply_vector_check(const struct vectors *v)
{
	uint8_t request[CRED_SIZE_MAX], m[CRED_SIZE_MAX], wanted[CRED_SIZE_MAX];
	uint8_t inside[CRED_PAYLOAD_SIZE_MAX];
	struct reply_fields f, back;
	struct wire_cred cred, asked;
	char name[128];
	size_t request_size, size, clear;

	vectors_string(v, "request", name, sizeof(name));
	request_load(request, sizeof(request), &request_size, name);
	assert_int_equal(cred_parse(request, request_size, &asked), WIRE_OK);
	fields_load(v, &f, inside);
	size = reply_build(m, request_size, request, request + asked.span_size, &f);
	clear = vectors_bytes(v, "clear", wanted, sizeof(wanted));
	assert_int_equal(size, clear + CRED_TAG_SIZE);
	assert_memory_equal(m, wanted, clear);
	reply_inside_parse(m, size, &back);
	assert_fields_equal(&back, &f);

	assert_int_equal(vectors_bytes(v, "wire", m, sizeof(m)), size);
	assert_int_equal(reply_parse(m, size, &cred), WIRE_OK);
	assert_int_equal(cred.kind, CRED_KIND_REPLY + asked.kind);
	assert_int_equal(cred.suite, asked.suite);
	assert_int_equal(cred.realm, asked.realm);
	assert_int_equal(cred.node, asked.node);
	assert_int_equal(cred.epoch, asked.epoch);
	assert_int_equal(cred.audience, asked.audience);
	assert_int_equal(cred.ttl_s, 0);
	assert_memory_equal(m + REPLY_AT_REQUEST_TAG, request + asked.span_size, CRED_TAG_SIZE);
}

static void
reply_vectors_build_and_parse(void **state)
{
	struct vectors v;
	unsigned count = 0;

	(void)state;
	vectors_open(&v, NATIVE);
	for (; vectors_next(&v, "reply"); count++)
		reply_vector_check(&v);
	vectors_close(&v);
	assert_true(count >= 43);
}

static void
refused_vectors(void **state)
{
	uint8_t m[2048];
	struct wire_cred cred;
	struct vectors v;
	unsigned count = 0;

	(void)state;
	vectors_open(&v, NATIVE);
	while (vectors_next(&v, "refused")) {
		size_t size = vectors_bytes(&v, "wire", m, sizeof(m));

		if (!vectors_value_is(&v, "parser", "reply"))
			continue;
		assert_int_equal(reply_parse(m, size, &cred),
			vectors_value_is(&v, "result", "malformed") ? WIRE_MALFORMED
								    : WIRE_UNSUPPORTED);
		count++;
	}
	vectors_close(&v);
	assert_true(count >= 11);
}

/* The header of the request, and not a byte more, is read; nothing is written past the reply. */
static void
build_between_guard_pages(void **state)
{
	uint8_t inside[CRED_PAYLOAD_SIZE_MAX], whole[CRED_SIZE_MAX];
	struct reply_fields f = good_fields;
	struct guard from, to;
	uint8_t *request, *m;
	size_t size;

	(void)state;
	guard_init(&from);
	guard_init(&to);
	request_load(whole, sizeof(whole), &size, "example-sealed128");
	request = guard_high(&from, CRED_HEADER_SIZE);
	memcpy(request, whole, CRED_HEADER_SIZE);
	memset(inside, 0x5a, sizeof(inside));
	f.payload = inside;
	for (f.payload_size = 0; f.payload_size <= CRED_PAYLOAD_SIZE_MAX; f.payload_size++) {
		size = CRED_SIZE_MIN + f.payload_size;
		m = guard_high(&to, size);
		assert_int_equal(reply_build(m, size, request, whole, &f), size);
		assert_int_equal(load_be16(m + CRED_AT_LENGTH), size);
		assert_int_equal(reply_build(m, size - 1, request, whole, &f), 0);
	}
	assert_int_equal(reply_build(guard_low(&to), GUARD_ROOM, request, whole, &f), 0);
	f.payload_size = SIZE_MAX - 90;
	assert_int_equal(reply_build(guard_low(&to), GUARD_ROOM, request, whole, &f), 0);
	guard_fini(&to);
	guard_fini(&from);
}

/* In the request's own buffer, payload and tag inside it: the same bytes come out. */
static void
build_in_place(void **state)
{
	uint8_t request[CRED_SIZE_MAX], apart[CRED_SIZE_MAX], inside[17];
	struct reply_fields f = good_fields;
	size_t size, request_size;

	(void)state;
	request_load(request, sizeof(request), &request_size, "sealed128-assert-1136");
	memcpy(inside, request + 70, sizeof(inside));
	f.payload = inside;
	f.payload_size = sizeof(inside);
	size = reply_build(apart, sizeof(apart), request, request + request_size - 16, &f);
	assert_int_equal(size, CRED_SIZE_MIN + sizeof(inside));
	f.payload = request + 70;
	assert_int_equal(
		reply_build(request, request_size, request, request + request_size - 16, &f), size);
	assert_memory_equal(request, apart, size);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(magic_malformed),
		cmocka_unit_test(length_malformed),
		cmocka_unit_test(realm_0_malformed),
		cmocka_unit_test(node_0_malformed),
		cmocka_unit_test(epoch_0_malformed),
		cmocka_unit_test(serial_0_malformed),
		cmocka_unit_test(serial_most_malformed),
		cmocka_unit_test(issued_most_malformed),
		cmocka_unit_test(suite_5_unsupported),
		cmocka_unit_test(text_form_unsupported),
		cmocka_unit_test(flag_reply_unsupported),
		cmocka_unit_test(flag_other_unsupported),
		cmocka_unit_test(malformed_wins),
		cmocka_unit_test(suite_other_ok),
		cmocka_unit_test(every_kind_byte),
		cmocka_unit_test(every_size_between_guard_pages),
		cmocka_unit_test(reply_vectors_build_and_parse),
		cmocka_unit_test(refused_vectors),
		cmocka_unit_test(build_between_guard_pages),
		cmocka_unit_test(build_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/* cred_parse and cred_build: each rule by name, the guard pages, a slow model, the vectors. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/wire/guard.h"
#include "tests/vectors/vectors.h"
#include "wire/cred.h"
#include "wire/cred_parse.h"

#define NATIVE "vectors/native-v1.txt"

static const uint8_t payload[16] = "sixteen bytes...";

static void
good_fields(struct cred_fields *f)
{
	*f = (struct cred_fields){
		.suite = CRED_SUITE_SEALED128,
		.kind = CRED_KIND_ASSERT,
		.epoch = 5,
		.realm = 7,
		.node = 0x01020304,
		.flags = CRED_FLAG_REPLY,
		.ttl_s = 60,
		.serial = 0x6955b90000000001,
		.issued_us = 1767225600000000,
		.origin = {[10] = 0xff, 0xff, 192, 0, 2, 17},
		.audience = 9,
		.salt = {0xde, 0xad, 0xbe, 0xef},
		.uid = 1000,
		.gid = 100,
		.auth_uid = CRED_ID_ANYONE,
		.auth_gid = CRED_ID_ANYONE,
		.payload = payload,
		.payload_size = sizeof(payload),
	};
}

#define GOOD_SIZE (CRED_SIZE_MIN + sizeof(payload))

static void
good_build(uint8_t msg[GOOD_SIZE])
{
	struct cred_fields f;

	good_fields(&f);
	assert_int_equal(cred_build(msg, GOOD_SIZE, &f), GOOD_SIZE);
}

/* Each test below changes one thing of a good credential and asks again. */
#define CHANGED(name, result, change)                                       \
	static void name(void **state)                                      \
	{                                                                   \
		uint8_t m[GOOD_SIZE];                                       \
		struct wire_cred cred;                                      \
                                                                            \
		(void)state;                                                \
		good_build(m);                                              \
		assert_int_equal(cred_parse(m, sizeof(m), &cred), WIRE_OK); \
		change;                                                     \
		assert_int_equal(cred_parse(m, sizeof(m), &cred), result);  \
	}

CHANGED(magic_first_byte_malformed, WIRE_MALFORMED, m[0] = 'c')
CHANGED(magic_last_byte_malformed, WIRE_MALFORMED, m[3] = '2')
CHANGED(length_one_less_malformed, WIRE_MALFORMED, store_be16(m + CRED_AT_LENGTH, GOOD_SIZE - 1))
CHANGED(length_one_more_malformed, WIRE_MALFORMED, store_be16(m + CRED_AT_LENGTH, GOOD_SIZE + 1))
CHANGED(length_zero_malformed, WIRE_MALFORMED, store_be16(m + CRED_AT_LENGTH, 0))
CHANGED(length_most_malformed, WIRE_MALFORMED, store_be16(m + CRED_AT_LENGTH, UINT16_MAX))
CHANGED(realm_0_malformed, WIRE_MALFORMED, store_be32(m + CRED_AT_REALM, 0))
CHANGED(node_0_malformed, WIRE_MALFORMED, store_be32(m + CRED_AT_NODE, 0))
CHANGED(epoch_0_malformed, WIRE_MALFORMED, store_be16(m + CRED_AT_EPOCH, 0))
CHANGED(serial_0_malformed, WIRE_MALFORMED, store_be64(m + CRED_AT_SERIAL, 0))
CHANGED(serial_over_malformed, WIRE_MALFORMED, store_be64(m + CRED_AT_SERIAL, CRED_SERIAL_MAX + 1))
CHANGED(serial_most_malformed, WIRE_MALFORMED, store_be64(m + CRED_AT_SERIAL, UINT64_MAX))
CHANGED(issued_over_malformed, WIRE_MALFORMED, store_be64(m + CRED_AT_ISSUED, 1ull << 63))
CHANGED(issued_most_malformed, WIRE_MALFORMED, store_be64(m + CRED_AT_ISSUED, UINT64_MAX))

CHANGED(realm_1_ok, WIRE_OK, store_be32(m + CRED_AT_REALM, 1))
CHANGED(realm_top_bit_ok, WIRE_OK, store_be32(m + CRED_AT_REALM, 1u << 31))
CHANGED(node_most_ok, WIRE_OK, store_be32(m + CRED_AT_NODE, UINT32_MAX))
CHANGED(epoch_most_ok, WIRE_OK, store_be16(m + CRED_AT_EPOCH, UINT16_MAX))
CHANGED(serial_1_ok, WIRE_OK, store_be64(m + CRED_AT_SERIAL, 1))
CHANGED(serial_max_ok, WIRE_OK, store_be64(m + CRED_AT_SERIAL, 0xfffffffeffffffff))
CHANGED(issued_0_ok, WIRE_OK, store_be64(m + CRED_AT_ISSUED, 0))
CHANGED(issued_max_ok, WIRE_OK, store_be64(m + CRED_AT_ISSUED, (1ull << 63) - 1))
CHANGED(ttl_most_ok, WIRE_OK, store_be32(m + CRED_AT_TTL, UINT32_MAX))
CHANGED(flags_0_ok, WIRE_OK, store_be16(m + CRED_AT_FLAGS, 0))
CHANGED(audience_0_ok, WIRE_OK, store_be32(m + CRED_AT_AUDIENCE, 0))
CHANGED(sealed_bytes_any_ok, WIRE_OK, memset(m + CRED_SEALED_FIRST, 0xff, GOOD_SIZE - 64))

CHANGED(text_form_unsupported, WIRE_UNSUPPORTED, m[CRED_AT_SUITE] = ':')
CHANGED(kind_ask_unsupported, WIRE_UNSUPPORTED, m[CRED_AT_KIND] = CRED_KIND_ASK)
CHANGED(kind_reply_unsupported, WIRE_UNSUPPORTED, m[CRED_AT_KIND] |= CRED_KIND_REPLY)
CHANGED(malformed_wins_over_suite, WIRE_MALFORMED, (m[4] = 9, store_be32(m + 8, 0)))
CHANGED(malformed_wins_over_kind, WIRE_MALFORMED, (m[5] = 9, store_be32(m + 12, 0)))
CHANGED(malformed_wins_over_flags, WIRE_MALFORMED, (m[18] = 9, store_be64(m + 24, 0)))
CHANGED(malformed_wins_over_all, WIRE_MALFORMED, (m[4] = 9, m[5] = 9, m[18] = 9, m[7] ^= 1))

static void
every_suite_byte(void **state)
{
	uint8_t m[GOOD_SIZE];
	struct wire_cred cred;
	unsigned suite;

	(void)state;
	good_build(m);
	for (suite = 0; suite < 256; suite++) {
		m[CRED_AT_SUITE] = (uint8_t)suite;
		assert_int_equal(cred_parse(m, sizeof(m), &cred),
			suite >= 1 && suite <= 4 ? WIRE_OK : WIRE_UNSUPPORTED);
		assert_int_equal(cred.suite, suite);
	}
}

static void
every_kind_byte(void **state)
{
	uint8_t m[GOOD_SIZE];
	struct wire_cred cred;
	unsigned kind;

	(void)state;
	good_build(m);
	for (kind = 0; kind < 256; kind++) {
		m[CRED_AT_KIND] = (uint8_t)kind;
		assert_int_equal(cred_parse(m, sizeof(m), &cred),
			kind == 1 || kind == 2 ? WIRE_OK : WIRE_UNSUPPORTED);
		assert_int_equal(cred.kind, kind);
	}
}

static void
every_flags_value(void **state)
{
	uint8_t m[GOOD_SIZE];
	struct wire_cred cred;
	unsigned flags;

	(void)state;
	good_build(m);
	for (flags = 0; flags <= UINT16_MAX; flags++) {
		store_be16(m + CRED_AT_FLAGS, (uint16_t)flags);
		assert_int_equal(
			cred_parse(m, sizeof(m), &cred), flags <= 1 ? WIRE_OK : WIRE_UNSUPPORTED);
		assert_int_equal(cred.flags, flags);
	}
}

/* What the page says, byte by byte and rule by rule, to compare with the fast one. */
static uint64_t
slow_number(const uint8_t *p, unsigned size)
{
	uint64_t v = 0;

	while (size-- != 0)
		v = v * 256 + *p++;
	return v;
}

static enum wire_result
slow_parse(const uint8_t *m, size_t size)
{
	if (size >= 5 && memcmp(m, "CGC1:", 5) == 0)
		return WIRE_UNSUPPORTED;
	if (size < 96 || size > 1232 || memcmp(m, "CGC1", 4) != 0)
		return WIRE_MALFORMED;
	if (slow_number(m + 6, 2) != size || slow_number(m + 8, 4) == 0)
		return WIRE_MALFORMED;
	if (slow_number(m + 12, 4) == 0 || slow_number(m + 16, 2) == 0)
		return WIRE_MALFORMED;
	if (slow_number(m + 24, 8) == 0 || slow_number(m + 24, 8) > 18446744069414584319u)
		return WIRE_MALFORMED;
	if (slow_number(m + 32, 8) > 9223372036854775807u)
		return WIRE_MALFORMED;
	if (m[4] < 1 || m[4] > 4 || m[5] < 1 || m[5] > 2 || slow_number(m + 18, 2) > 1)
		return WIRE_UNSUPPORTED;
	return WIRE_OK;
}

static void
assert_header(const struct wire_cred *cred, const uint8_t *m, size_t size)
{
	assert_ptr_equal(cred->msg, m);
	assert_int_equal(cred->size, size);
	assert_int_equal(cred->span_size, size - 16);
	assert_int_equal(cred->suite, m[4]);
	assert_int_equal(cred->kind, m[5]);
	assert_int_equal(cred->realm, slow_number(m + 8, 4));
	assert_int_equal(cred->node, slow_number(m + 12, 4));
	assert_int_equal(cred->epoch, slow_number(m + 16, 2));
	assert_int_equal(cred->flags, slow_number(m + 18, 2));
	assert_int_equal(cred->ttl_s, slow_number(m + 20, 4));
	assert_int_equal(cred->serial, slow_number(m + 24, 8));
	assert_int_equal(cred->issued_us, slow_number(m + 32, 8));
	assert_int_equal(cred->audience, slow_number(m + 56, 4));
	assert_int_equal(cred->format, 0);
}

/* Nothing of the bytes: there is no header. */
static void
assert_no_header(const struct wire_cred *cred, const uint8_t *m, size_t size)
{
	struct wire_cred none = {.msg = m, .size = (uint16_t)size};

	assert_memory_equal(cred, &none, sizeof(none));
}

static void
parse_as_model(const uint8_t *m, size_t size)
{
	struct wire_cred cred;

	memset(&cred, 0xa5, sizeof(cred));
	assert_int_equal(cred_parse(m, size, &cred), slow_parse(m, size));
	if (size < CRED_HEADER_SIZE)
		assert_no_header(&cred, m, size);
	else
		assert_header(&cred, m, size);
}

/* A message of `size` bytes whose length field says so; good where that is allowed. */
static void
sized_fill(uint8_t *m, size_t size)
{
	uint8_t good[CRED_SIZE_MAX + 100] = {0};

	good_build(good);
	store_be16(good + CRED_AT_LENGTH, (uint16_t)size);
	memcpy(m, good, size);
}

/* Never a byte before or after what it was given, be the bytes good, zero, ones or text. */
static void
every_size_between_guard_pages(void **state)
{
	struct guard g;
	size_t size;
	unsigned side;
	uint8_t *m;

	(void)state;
	guard_init(&g);
	for (size = 0; size <= 1300; size++) {
		for (side = 0; side < 2; side++) {
			m = side == 0 ? guard_low(&g) : guard_high(&g, size);
			sized_fill(m, size);
			parse_as_model(m, size);
			if (size > 4)
				m[4] = ':';
			parse_as_model(m, size);
			memset(m, 0, size);
			parse_as_model(m, size);
			memset(m, 0xff, size);
			parse_as_model(m, size);
		}
	}
	guard_fini(&g);
}

static void
sizes_96_to_1232_ok_others_malformed(void **state)
{
	uint8_t m[1300];
	struct wire_cred cred;
	size_t size;

	(void)state;
	for (size = 0; size <= sizeof(m); size++) {
		sized_fill(m, size);
		assert_int_equal(cred_parse(m, size, &cred),
			size >= 96 && size <= 1232 ? WIRE_OK : WIRE_MALFORMED);
	}
}

/* A size that 16 bits cannot hold must not come out as one that they can. */
static void
sizes_over_16_bits_malformed(void **state)
{
	static uint8_t m[3 * 65536];
	const size_t sizes[] = {65535, 65536, 65536 + GOOD_SIZE, 131072 + GOOD_SIZE};
	struct wire_cred cred;
	unsigned i;

	(void)state;
	good_build(m);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(cred_parse(m, sizes[i], &cred), WIRE_MALFORMED);
		assert_int_equal(cred.size, UINT16_MAX);
	}
}

static uint64_t
random_next(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* One to three bytes of the header of a good credential replaced by telling values. */
static void
random_changes_as_model(void **state)
{
	static const uint8_t values[] = {0, 1, 2, 3, 4, 5, 0x3a, 0x7f, 0x80, 0xfe, 0xff};
	uint64_t s = 88172645463325252u;
	uint8_t m[GOOD_SIZE];
	unsigned i, n;

	(void)state;
	for (i = 0; i < 200000; i++) {
		good_build(m);
		for (n = 1 + random_next(&s) % 3; n != 0; n--)
			m[random_next(&s) % 42] = values[random_next(&s) % sizeof(values)];
		parse_as_model(m, sizeof(m));
		if (i % 4 == 0) { /* zero or fill a whole field as well */
			memset(m + 8 * (random_next(&s) % 5), (int)(random_next(&s) & 1) * 0xff,
				1 + random_next(&s) % 8);
			parse_as_model(m, sizeof(m));
		}
	}
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

		if (!vectors_value_is(&v, "parser", "request"))
			continue;
		assert_int_equal(cred_parse(m, size, &cred),
			vectors_value_is(&v, "result", "malformed") ? WIRE_MALFORMED
								    : WIRE_UNSUPPORTED);
		count++;
	}
	vectors_close(&v);
	assert_true(count >= 36);
}

static void
fields_load(const struct vectors *v, struct cred_fields *f, uint8_t *room)
{
	*f = (struct cred_fields){
		.suite = (uint8_t)vectors_number(v, "suite"),
		.kind = (uint8_t)vectors_number(v, "kind"),
		.epoch = (uint16_t)vectors_number(v, "epoch"),
		.realm = (uint32_t)vectors_number(v, "realm"),
		.node = (uint32_t)vectors_number(v, "node"),
		.flags = (uint16_t)vectors_number(v, "flags"),
		.ttl_s = (uint32_t)vectors_number(v, "ttl_s"),
		.serial = vectors_number(v, "serial"),
		.issued_us = vectors_number(v, "issued_us"),
		.audience = (uint32_t)vectors_number(v, "audience"),
		.uid = (uint32_t)vectors_number(v, "uid"),
		.gid = (uint32_t)vectors_number(v, "gid"),
		.auth_uid = (uint32_t)vectors_number(v, "auth_uid"),
		.auth_gid = (uint32_t)vectors_number(v, "auth_gid"),
		.payload = room,
		.payload_size = vectors_bytes(v, "payload", room, CRED_PAYLOAD_SIZE_MAX),
	};
	vectors_exactly(v, "origin", f->origin, sizeof(f->origin));
	vectors_exactly(v, "salt", f->salt, sizeof(f->salt));
}

/* What we build is, but for seal and tag, what the other implementation built; and it parses. */
static void
credential_vectors_build_and_parse(void **state)
{
	uint8_t m[CRED_SIZE_MAX], wanted[CRED_SIZE_MAX + 16], inside[CRED_PAYLOAD_SIZE_MAX];
	static const uint8_t no_tag[CRED_TAG_SIZE];
	struct cred_fields f;
	struct wire_cred cred;
	struct vectors v;
	unsigned count = 0;
	size_t size, clear;

	(void)state;
	vectors_open(&v, NATIVE);
	while (vectors_next(&v, "credential")) {
		fields_load(&v, &f, inside);
		size = cred_build(m, sizeof(m), &f);
		clear = vectors_bytes(&v, "clear", wanted, sizeof(wanted));
		assert_int_equal(size, clear + CRED_TAG_SIZE);
		assert_memory_equal(m, wanted, clear);
		assert_memory_equal(m + clear, no_tag, sizeof(no_tag));
		assert_int_equal(vectors_bytes(&v, "wire", m, sizeof(m)), size);
		assert_int_equal(cred_parse(m, size, &cred), WIRE_OK);
		assert_header(&cred, m, size);
		assert_int_equal(cred.serial, f.serial);
		assert_int_equal(cred.issued_us, f.issued_us);
		assert_int_equal(cred.audience, f.audience);
		count++;
	}
	vectors_close(&v);
	assert_true(count >= 53);
}

static void
every_payload_size_builds_and_parses(void **state)
{
	uint8_t inside[CRED_PAYLOAD_SIZE_MAX + 1];
	struct cred_fields f;
	struct wire_cred cred;
	struct guard g;
	uint8_t *m;
	size_t size;

	(void)state;
	guard_init(&g);
	memset(inside, 0x5a, sizeof(inside));
	good_fields(&f);
	f.payload = inside;
	for (f.payload_size = 0; f.payload_size <= CRED_PAYLOAD_SIZE_MAX; f.payload_size++) {
		size = CRED_SIZE_MIN + f.payload_size;
		m = guard_high(&g, size);
		assert_int_equal(cred_build(m, size, &f), size);
		assert_int_equal(cred_parse(m, size, &cred), WIRE_OK);
		assert_header(&cred, m, size);
		assert_memory_equal(m + CRED_AT_PAYLOAD, inside, f.payload_size);
		assert_int_equal(cred_build(m, size - 1, &f), 0);
	}
	assert_int_equal(cred_build(guard_low(&g), GUARD_ROOM, &f), 0);
	f.payload_size = SIZE_MAX - 90; /* wraps if added to the header */
	assert_int_equal(cred_build(guard_low(&g), GUARD_ROOM, &f), 0);
	guard_fini(&g);
}

static void
payload_null_when_empty(void **state)
{
	uint8_t m[CRED_SIZE_MIN];
	struct cred_fields f;

	(void)state;
	good_fields(&f);
	f.payload = NULL;
	f.payload_size = 0;
	assert_int_equal(cred_build(m, sizeof(m), &f), CRED_SIZE_MIN);
}

/* What cred_parse would not take, cred_build does not make, and leaves the buffer alone. */
static void
refuses_to_build(void **state)
{
	struct cred_fields good, all[16];
	uint8_t m[GOOD_SIZE], before[GOOD_SIZE];
	unsigned i, n = 0;

	(void)state;
	good_fields(&good);
	for (i = 0; i < 16; i++)
		all[i] = good;
	all[n++].suite = 0;
	all[n++].suite = 5;
	all[n++].suite = ':';
	all[n++].kind = 0;
	all[n++].kind = CRED_KIND_ASK;
	all[n++].kind = CRED_KIND_REPLY + CRED_KIND_ASSERT;
	all[n++].flags = 2;
	all[n++].flags = 0x8001;
	all[n++].realm = 0;
	all[n++].node = 0;
	all[n++].epoch = 0;
	all[n++].serial = 0;
	all[n++].serial = CRED_SERIAL_MAX + 1;
	all[n++].issued_us = CRED_ISSUED_US_LIMIT;
	all[n++].payload_size = CRED_PAYLOAD_SIZE_MAX + 1;
	memset(m, 0xa5, sizeof(m));
	memcpy(before, m, sizeof(m));
	for (i = 0; i < n; i++)
		assert_int_equal(cred_build(m, sizeof(m), &all[i]), 0);
	assert_memory_equal(m, before, sizeof(m));
	assert_int_equal(cred_build(m, sizeof(m), &good), GOOD_SIZE);
}

/* The limits themselves, as numbers and not as the names the code uses. */
static void
limits_are_those_of_the_page(void **state)
{
	(void)state;
	assert_int_equal(CRED_SERIAL_MAX, 18446744069414584319u);
	assert_int_equal(CRED_ISSUED_US_LIMIT, 9223372036854775808u);
	assert_int_equal(CRED_SIZE_MIN, 96);
	assert_int_equal(CRED_SIZE_MAX, 1232);
	assert_int_equal(cred_suite_key_size(CRED_SUITE_CMAC128), 16);
	assert_int_equal(cred_suite_key_size(CRED_SUITE_CMAC256), 32);
	assert_int_equal(cred_suite_key_size(CRED_SUITE_SEALED128), 16);
	assert_int_equal(cred_suite_key_size(CRED_SUITE_SEALED256), 32);
	assert_false(cred_suite_is_sealed(CRED_SUITE_CMAC256));
	assert_true(cred_suite_is_sealed(CRED_SUITE_SEALED128));
}

/* The inline one is the same function: same result, same 64 bytes. */
static void
inline_is_the_same(void **state)
{
	uint8_t m[GOOD_SIZE];
	struct wire_cred a, b;
	unsigned at;

	(void)state;
	for (at = 0; at < CRED_HEADER_SIZE; at++) {
		good_build(m);
		m[at] ^= 0xff;
		assert_int_equal(cred_parse(m, sizeof(m), &a), cred_parse_inline(m, sizeof(m), &b));
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(magic_first_byte_malformed),
		cmocka_unit_test(magic_last_byte_malformed),
		cmocka_unit_test(length_one_less_malformed),
		cmocka_unit_test(length_one_more_malformed),
		cmocka_unit_test(length_zero_malformed),
		cmocka_unit_test(length_most_malformed),
		cmocka_unit_test(realm_0_malformed),
		cmocka_unit_test(node_0_malformed),
		cmocka_unit_test(epoch_0_malformed),
		cmocka_unit_test(serial_0_malformed),
		cmocka_unit_test(serial_over_malformed),
		cmocka_unit_test(serial_most_malformed),
		cmocka_unit_test(issued_over_malformed),
		cmocka_unit_test(issued_most_malformed),
		cmocka_unit_test(realm_1_ok),
		cmocka_unit_test(realm_top_bit_ok),
		cmocka_unit_test(node_most_ok),
		cmocka_unit_test(epoch_most_ok),
		cmocka_unit_test(serial_1_ok),
		cmocka_unit_test(serial_max_ok),
		cmocka_unit_test(issued_0_ok),
		cmocka_unit_test(issued_max_ok),
		cmocka_unit_test(ttl_most_ok),
		cmocka_unit_test(flags_0_ok),
		cmocka_unit_test(audience_0_ok),
		cmocka_unit_test(sealed_bytes_any_ok),
		cmocka_unit_test(text_form_unsupported),
		cmocka_unit_test(kind_ask_unsupported),
		cmocka_unit_test(kind_reply_unsupported),
		cmocka_unit_test(malformed_wins_over_suite),
		cmocka_unit_test(malformed_wins_over_kind),
		cmocka_unit_test(malformed_wins_over_flags),
		cmocka_unit_test(malformed_wins_over_all),
		cmocka_unit_test(every_suite_byte),
		cmocka_unit_test(every_kind_byte),
		cmocka_unit_test(every_flags_value),
		cmocka_unit_test(every_size_between_guard_pages),
		cmocka_unit_test(sizes_96_to_1232_ok_others_malformed),
		cmocka_unit_test(sizes_over_16_bits_malformed),
		cmocka_unit_test(random_changes_as_model),
		cmocka_unit_test(refused_vectors),
		cmocka_unit_test(credential_vectors_build_and_parse),
		cmocka_unit_test(every_payload_size_builds_and_parses),
		cmocka_unit_test(payload_null_when_empty),
		cmocka_unit_test(refuses_to_build),
		cmocka_unit_test(limits_are_those_of_the_page),
		cmocka_unit_test(inline_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

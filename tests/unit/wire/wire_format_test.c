/* SPDX-License-Identifier: BSD-3-Clause */

/* The table of formats: who claims a datagram, and what the native row says of one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/wire/guard.h"
#include "tests/vectors/vectors.h"
#include "wire/format.h"

#define NATIVE "vectors/native-v1.txt"

static const struct wire_format *
find(const char *text, size_t size)
{
	return wire_format_find((const uint8_t *)text, size);
}

static bool
is_text(const char *text, size_t size)
{
	return wire_is_text((const uint8_t *)text, size);
}

static void
row_knows_its_place(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < WIRE_FORMAT_COUNT; i++) {
		assert_int_equal(wire_formats[i].id, i);
		assert_non_null(wire_formats[i].name);
		assert_non_null(wire_formats[i].parse);
	}
}

static void
native_by_its_magic(void **state)
{
	(void)state;
	assert_ptr_equal(find("CGC1", 4), &wire_formats[WIRE_FORMAT_NATIVE]);
	assert_ptr_equal(find("CGC1\3\1", 6), &wire_formats[WIRE_FORMAT_NATIVE]);
}

static void
others_are_no_format(void **state)
{
	(void)state;
	assert_null(find("", 0));
	assert_null(find("CGC", 3));
	assert_null(find("CGC2\3\1", 6));
	assert_null(find("cgc1\3\1", 6));
	assert_null(find("MUNGE:AwQDAAA=:", 15));
}

static void
text_form_is_no_format_but_text(void **state)
{
	(void)state;
	assert_null(find("CGC1:", 5));
	assert_true(is_text("CGC1:", 5));
	assert_true(is_text("CGC1:Q0dDMQ:", 12));
	assert_false(is_text("CGC1", 4));
	assert_false(is_text("CGC1\3:", 6));
	assert_false(is_text("CGK1:", 5));
	assert_false(is_text("", 0));
}

static void
every_size_between_guard_pages(void **state)
{
	struct guard g;
	size_t size;
	uint8_t *m;

	(void)state;
	guard_init(&g);
	for (size = 0; size <= 1300; size++) {
		m = guard_high(&g, size);
		memset(m, 'C', size);
		memcpy(m, "CGC1:", size < 5 ? size : 5);
		assert_int_equal(wire_is_text(m, size), size >= 5);
		assert_int_equal(wire_format_find(m, size) != NULL, size == 4);
		memmove(guard_low(&g), m, size);
		assert_int_equal(wire_is_text(guard_low(&g), size), size >= 5);
	}
	guard_fini(&g);
}

static void
row_check(const struct vectors *v)
{
	uint8_t m[CRED_SIZE_MAX], clear[CRED_SIZE_MAX];
	size_t size = vectors_bytes(v, "wire", m, sizeof(m));
	const struct wire_format *format = wire_format_find(m, size);
	struct wire_key_id id = {0};
	struct wire_replay_id replay;
	struct wire_span span;
	struct wire_cred cred;

	assert_non_null(format);
	assert_int_equal(format->parse(m, size, &cred), WIRE_OK);
	assert_int_equal(cred.format, format->id);
	assert_int_equal(format->key_candidates(&cred, &id, 0), 0);
	assert_int_equal(format->key_candidates(&cred, &id, 1), 1);
	assert_int_equal(id.realm, vectors_number(v, "realm"));
	assert_int_equal(id.node, vectors_number(v, "node"));
	assert_int_equal(id.epoch, vectors_number(v, "epoch"));
	format->replay_identity(&cred, &replay);
	assert_int_equal(replay.serial, vectors_number(v, "serial"));
	assert_ptr_equal(replay.tag, m + size - 16);

	format->span(&cred, &span);
	assert_int_equal(span.first, 0);
	assert_int_equal(span.size, size - 16);
	assert_int_equal(span.tag, size - 16);
	assert_int_equal(span.sealed_first, vectors_number(v, "suite") >= 3 ? 64 : 0);
	assert_int_equal(span.sealed_size, vectors_number(v, "suite") >= 3 ? size - 16 - 64 : 0);
	/* Outside what is said to be sealed, the wire carries the clear bytes. */
	vectors_exactly(v, "clear", clear, size - 16);
	assert_memory_equal(m, clear, span.sealed_size != 0 ? span.sealed_first : span.size);
}

static void
credential_vectors_by_row(void **state)
{
	struct vectors v;
	unsigned count = 0;

	(void)state;
	vectors_open(&v, NATIVE);
	for (; vectors_next(&v, "credential"); count++)
		row_check(&v);
	vectors_close(&v);
	assert_true(count >= 53);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(row_knows_its_place),
		cmocka_unit_test(native_by_its_magic),
		cmocka_unit_test(others_are_no_format),
		cmocka_unit_test(text_form_is_no_format_but_text),
		cmocka_unit_test(every_size_between_guard_pages),
		cmocka_unit_test(credential_vectors_by_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

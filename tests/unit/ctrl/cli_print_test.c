/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <credgate/credgate.h>

#include "ctrl/cli/print.h"
#include "ctrl/cli/watch.h"

static void
test_escape_known(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *text;
	} cases[] = {
		{"job 4711", 8, "job 4711"},
		{"", 0, ""},
		{"a\nb\r\tc", 6, "a\\nb\\r\\tc"},
		{"\x1b[2J\x1b]0;pwned\x07", 14, "\\x1b[2J\\x1b]0;pwned\\x07"},
		{"\x9b\x31m\x7f", 4, "\\x9b1m\\x7f"},
		{"a\0b", 3, "a\\x00b"},
		{"\\n", 2, "\\\\n"},
		{"\xe2\x80\xae", 3, "\\xe2\\x80\\xae"},
	};
	char text[80];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(print_escape(text, sizeof(text), cases[i].bytes, cases[i].size),
			strlen(cases[i].text));
		assert_string_equal(text, cases[i].text);
	}
}

static void
test_escape_cuts(void **state)
{
	char text[17];

	(void)state;
	assert_int_equal(print_escape(text, 9, "12345678", 8), 8);
	assert_string_equal(text, "12345678");
	print_escape(text, 9, "123456789", 9);
	assert_string_equal(text, "12345...");
	/* Never in the middle of an escape. */
	print_escape(text, 9, "123\x01\x01", 5);
	assert_string_equal(text, "123...");
	print_escape(text, 8, "\x01\x01\x01", 3);
	assert_string_equal(text, "\\x01...");
}

/* Whatever the bytes and the room: printable, terminated, within the room. */
static void
test_escape_random(void **state)
{
	uint8_t bytes[300];
	char text[320];
	size_t room, size, length, i;
	unsigned round;

	(void)state;
	srandom(7);
	for (round = 0; round < 20000; round++) {
		size = (size_t)random() % sizeof(bytes);
		room = 8 + (size_t)random() % (sizeof(text) - 8);
		for (i = 0; i < size; i++)
			bytes[i] = (uint8_t)random();
		memset(text, 0x55, sizeof(text));
		length = print_escape(text, room, bytes, size);
		assert_true(length < room);
		assert_int_equal(strlen(text), length);
		for (i = 0; i < length; i++)
			assert_in_range(text[i], 0x20, 0x7e);
		for (i = room; i < sizeof(text); i++)
			assert_int_equal(text[i], 0x55);
	}
}

static void
test_addresses(void **state)
{
	static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	static const uint8_t v6[16] = {0xfd, 0x77, [15] = 1};
	uint8_t longest[16];
	char text[PRINT_ENDPOINT_SIZE];

	(void)state;
	print_endpoint(text, v4, 7475);
	assert_string_equal(text, "10.0.0.1:7475");
	print_endpoint(text, v6, 1);
	assert_string_equal(text, "[fd77::1]:1");
	memset(longest, 0xab, sizeof(longest));
	print_endpoint(text, longest, 65535);
	assert_string_equal(text, "[abab:abab:abab:abab:abab:abab:abab:abab]:65535");
}

static void
test_times(void **state)
{
	char text[PRINT_TIME_SIZE], age[PRINT_AGE_SIZE];

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	print_time(text, 1700000000123456ull);
	assert_string_equal(text, "22:13:20.123456");
	print_date_time(text, 1700000000000007ull);
	assert_string_equal(text, "2023-11-14 22:13:20.000007");
	print_time(text, UINT64_MAX);
	assert_true(strlen(text) > 0);
	print_age(age, 119999999);
	assert_string_equal(age, "119 s");
	print_age(age, 120000000);
	assert_string_equal(age, "2 min");
	print_age(age, 7200000000);
	assert_string_equal(age, "2 h");
	print_age(age, UINT64_MAX);
	assert_true(strstr(age, " d") != NULL);
}

static struct cg_record
hostile_record(void)
{
	return (struct cg_record){
		.size = sizeof(struct cg_record),
		.verdict = CG_ACCEPTED,
		.is_proved = 1,
		.kind = CG_KIND_ASSERT,
		.time_us = 1700000000123456ull,
		.serial = UINT64_MAX - UINT32_MAX - 1,
		.realm = 7,
		.node = UINT32_MAX,
		.epoch = 65535,
		.audience = UINT32_MAX,
		.uid = UINT32_MAX,
		.gid = UINT32_MAX,
		.source = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1},
		.port = 65535,
		.worker = 3,
		.payload = "\x1b[2J\n\t\xff\"}",
		.payload_size = 9,
	};
}

static size_t
count_of(const char *text, char wanted)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == wanted;
	return count;
}

static void
test_watch_line(void **state)
{
	struct cg_record record = hostile_record();
	char line[WATCH_LINE_SIZE], titles[WATCH_LINE_SIZE];
	uint8_t payload[CG_PAYLOAD_MAX];

	(void)state;
	watch_line(line, &record, "jobs", "lab", false);
	watch_titles(titles, false);
	assert_int_equal(count_of(line, '\t'), count_of(titles, '\t'));
	assert_non_null(strstr(line, "\taccepted\tjobs\tlab\t4294967295\t4294967295:4294967295\t"));
	assert_non_null(strstr(line, "\t10.0.0.1:65535\t18446744069414584319\t9\t"));
	assert_non_null(strstr(line, "\\x1b[2J\\n\\t\\xff\"}"));
	/* The longest of everything still fits, and no byte gets through. */
	memset(payload, 0x1b, sizeof(payload));
	record.payload = payload;
	record.payload_size = sizeof(payload);
	memset(record.source, 0xab, sizeof(record.source));
	watch_line(line, &record, "a-group-with-the-longest-name-1",
		"realm-with-the-longest-name-0001", true);
	assert_true(strlen(line) < WATCH_LINE_SIZE - 1);
	assert_null(strchr(line, '\x1b'));
	assert_non_null(strstr(line, "..."));
}

static void
test_watch_line_unproved(void **state)
{
	struct cg_record record = hostile_record();
	char line[WATCH_LINE_SIZE];

	(void)state;
	record.is_proved = 0;
	record.verdict = CG_BAD_TAG;
	record.payload = NULL;
	record.payload_size = 0;
	watch_line(line, &record, "refused", NULL, false);
	assert_non_null(strstr(line, "\tbad-tag\trefused\t7?\t4294967295?\t-\t"));
}

static json_int_t
number(const json_t *object, const char *name)
{
	const json_t *member = json_object_get(object, name);

	assert_true(json_is_integer(member));
	return json_integer_value(member);
}

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	assert_non_null(text);
	return text;
}

/* Through the text, as a script gets it. */
static void
test_watch_json(void **state)
{
	struct cg_record record = hostile_record();
	json_t *object = watch_json(&record, "jobs", "lab"), *again;
	char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);

	(void)state;
	assert_non_null(text);
	assert_null(strchr(text, '\n'));
	again = json_loads(text, 0, NULL);
	assert_non_null(again);
	assert_string_equal(text_of(again, "verdict"), "accepted");
	assert_int_equal(number(again, "number"), 1);
	assert_true(json_is_true(json_object_get(again, "proved")));
	assert_string_equal(text_of(again, "ring"), "jobs");
	assert_string_equal(text_of(again, "realm_name"), "lab");
	assert_int_equal(number(again, "realm"), 7);
	assert_int_equal(number(again, "node"), UINT32_MAX);
	assert_int_equal(number(again, "epoch"), 65535);
	assert_int_equal(number(again, "uid"), UINT32_MAX);
	assert_int_equal(number(again, "port"), 65535);
	assert_int_equal(number(again, "worker"), 3);
	assert_string_equal(text_of(again, "source"), "10.0.0.1");
	assert_string_equal(text_of(again, "serial"), "18446744069414584319");
	assert_int_equal(number(again, "payload_size"), 9);
	assert_string_equal(text_of(again, "payload"), "\\x1b[2J\\n\\t\\xff\"}");
	assert_string_equal(text_of(again, "payload_base64"), "G1sySgoJ/yJ9");
	json_decref(again);
	json_decref(object);
	free(text);
}

static void
test_watch_json_bare(void **state)
{
	struct cg_record record = hostile_record();
	json_t *object;

	(void)state;
	record.is_proved = 0;
	record.uid = record.gid = 0;
	record.payload = NULL;
	record.payload_size = 0;
	object = watch_json(&record, "refused", NULL);
	assert_true(json_is_false(json_object_get(object, "proved")));
	assert_null(json_object_get(object, "realm_name"));
	assert_int_equal(number(object, "uid"), 0);
	assert_string_equal(text_of(object, "payload"), "");
	json_decref(object);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape_known),
		cmocka_unit_test(test_escape_cuts),
		cmocka_unit_test(test_escape_random),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_watch_line),
		cmocka_unit_test(test_watch_line_unproved),
		cmocka_unit_test(test_watch_json),
		cmocka_unit_test(test_watch_json_bare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

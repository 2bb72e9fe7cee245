/* SPDX-License-Identifier: BSD-3-Clause */
/* Comma-separated values: what is good is read as it was meant, what is not is named by its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/cli/csv.h"

static char buffer[4096];
static struct csv csv;

/* With a trap behind the text: reading on is found by the sanitizers, and by what it makes of it. */
static void
begin(const char *text)
{
	size_t size = strlen(text);

	memset(buffer, 'X', sizeof(buffer));
	memcpy(buffer, text, size);
	csv_begin(&csv, buffer, size);
}

/* The next record as "a|b|c"; "." at the end, "!" when it is wrong. */
static const char *
record(void)
{
	static char text[4096];
	int state = csv_read(&csv);

	if (state <= 0)
		return state == 0 ? "." : "!";
	text[0] = '\0';
	for (size_t i = 0; i < csv.field_count; i++) {
		strcat(text, i > 0 ? "|" : "");
		strcat(text, csv.fields[i]);
	}
	return text;
}

static void
test_plain(void **state)
{
	(void)state;
	begin("a,b,c\r\n\n\r\n1,,3\n,\nlast");
	assert_string_equal(record(), "a|b|c");
	assert_int_equal(csv.line, 1);
	assert_string_equal(record(), "1||3");
	assert_int_equal(csv.line, 4);
	assert_string_equal(record(), "|");
	assert_string_equal(record(), "last");
	assert_int_equal(csv.line, 6);
	assert_string_equal(record(), ".");
	assert_string_equal(record(), ".");
	begin("");
	assert_string_equal(record(), ".");
	begin("\xef\xbb\xbfname\n");
	assert_string_equal(record(), "name");
	/* Ends with a comma: an empty field is behind it. */
	begin("a,");
	assert_string_equal(record(), "a|");
}

static void
test_quoted(void **state)
{
	(void)state;
	begin("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\r\n\"\",x\n\"end\"");
	assert_string_equal(record(), "a,b|say \"hi\"|two\nlines");
	assert_int_equal(csv.line, 1);
	assert_string_equal(record(), "|x");
	assert_int_equal(csv.line, 3);
	assert_string_equal(record(), "end");
	assert_string_equal(record(), ".");
}

static void
test_wrong(void **state)
{
	(void)state;
	begin("good\n\"open,\nx\n");
	record();
	assert_string_equal(record(), "!");
	assert_int_equal(csv.line, 2);
	assert_non_null(strstr(csv.fault, "a quote is not closed"));
	begin("\"a\"b,c\n");
	assert_string_equal(record(), "!");
	assert_non_null(strstr(csv.fault, "behind a closing quote"));
	begin("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,"
	      "31,32,33\n");
	assert_string_equal(record(), "!");
	assert_non_null(strstr(csv.fault, "more than 32 fields"));
	begin("\"");
	assert_string_equal(record(), "!");
	begin("a\rb\n");
	assert_string_equal(record(), "!");
	memcpy(buffer, "a\0b\n", 4);
	csv_begin(&csv, buffer, 4);
	assert_string_equal(record(), "!");
	assert_non_null(strstr(csv.fault, "a byte of zero"));
	/* In quotes too: the rest of the field would be lost in silence. */
	memcpy(buffer, "\"a\0b\"\n", 6);
	csv_begin(&csv, buffer, 6);
	assert_string_equal(record(), "!");
}

/* What is written is read as it was. */
static void
test_round(void **state)
{
	static const char *const fields[] = {"", "a", "a,b", "\"", "a\nb", "\r\n", " a ", "a\"\"b"};
	size_t size = 0, count = sizeof(fields) / sizeof(fields[0]);
	char *text = NULL;
	FILE *file = open_memstream(&text, &size);

	(void)state;
	assert_non_null(file);
	for (size_t i = 0; i < count; i++) {
		csv_write(file, fields[i]);
		fputc(i + 1 < count ? ',' : '\n', file);
	}
	fclose(file);
	memcpy(buffer, text, size);
	csv_begin(&csv, buffer, size);
	assert_int_equal(csv_read(&csv), 1);
	assert_int_equal(csv.field_count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(csv.fields[i], fields[i]);
	free(text);
}

/* Any bytes at all: it ends, and never leaves the buffer. */
static void
test_random(void **state)
{
	static const char letters[] = "a,\"\r\n \xef";
	uint32_t random = 7;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t size = round % 40;
		unsigned records = 0;
		char *text = malloc(size + 1);

		assert_non_null(text);
		for (size_t i = 0; i < size; i++) {
			random = random * 1664525 + 1013904223;
			text[i] = letters[(random >> 16) % sizeof(letters)];
		}
		csv_begin(&csv, text, size);
		while (csv_read(&csv) == 1) {
			assert_true(++records <= size + 1);
			for (size_t i = 0; i < csv.field_count; i++)
				assert_true(csv.fields[i] >= text && csv.fields[i] <= text + size);
		}
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_quoted),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Log lines: their forms, hostile texts in them, the journal's priorities, and their bound. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <jansson.h>

#include "ctrl/log.h"

static int real_stderr;

/* What follows on standard error goes to a file. */
static void
capture_begin(void)
{
	int fd = open(fixture_path("log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

	assert_true(fd >= 0);
	fflush(stderr);
	real_stderr = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* All of it, for free(). */
static char *
capture_end(void)
{
	fflush(stderr);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	return fixture_read("log");
}

static unsigned
count_lines(const char *text)
{
	unsigned count = 0;

	for (; *text != '\0'; text++)
		count += *text == '\n';
	return count;
}

static void
test_text(void **state)
{
	char *text;

	(void)state;
	log_form_set(LOG_TEXT);
	capture_begin();
	log_error("part", "%s is %d", "it", 5);
	log_warning("part", "a\nb\tc\x7f");
	log_info("a\nb", "x");
	log_fields(LOG_INFO, "part", (const struct log_field[]){LOG_NUMBER("n", 1), LOG_END}, "y");
	text = capture_end();
	assert_string_equal(text, "error: part: it is 5\nwarning: part: a?b?c?\n"
				  "info: a?b: x\ninfo: part: y\n");
	free(text);
}

/* Whatever bytes a message has, it is one line of JSON. */
static void
test_json(void **state)
{
	static const char *const texts[] = {"plain", "a\"b\\c",
		"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xff\xfe", "\xc0\x80", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xe0\x80\x80", "\xc3", "a\r\nb", "\xc2\x85", "\xe2\x82",
		"\xf8\x88\x80\x80\x80"};
	static const char *const shown[] = {"plain", "a\"b\\c",
		"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "??", "??", "???", "????", "???", "?",
		"a??b", "??", "??", "?????"};
	char *text, *line;

	(void)state;
	log_form_set(LOG_JSON);
	capture_begin();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		log_fields(LOG_WARNING, texts[i],
			(const struct log_field[]){LOG_WORD("word", texts[i]),
				LOG_NUMBER("number", UINT32_MAX), LOG_END},
			"%s", texts[i]);
	text = capture_end();
	line = text;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *end = strchr(line, '\n');
		json_t *object;

		assert_non_null(end);
		object = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(object);
		assert_int_equal(json_object_size(object), 6);
		assert_string_equal(
			json_string_value(json_object_get(object, "message")), shown[i]);
		assert_string_equal(json_string_value(json_object_get(object, "object")), shown[i]);
		assert_string_equal(json_string_value(json_object_get(object, "word")), shown[i]);
		assert_string_equal(json_string_value(json_object_get(object, "level")), "warning");
		assert_int_equal(json_integer_value(json_object_get(object, "number")), UINT32_MAX);
		assert_int_equal(strlen(json_string_value(json_object_get(object, "time"))), 27);
		json_decref(object);
		line = end + 1;
	}
	assert_int_equal(*line, '\0');
	free(text);
}

/* A text as long as anybody could make it. */
static void
test_long(void **state)
{
	char *quotes = malloc(100001), *text;
	json_t *object;

	(void)state;
	memset(quotes, '"', 100000);
	quotes[100000] = '\0';
	log_form_set(LOG_JSON);
	capture_begin();
	log_fields(LOG_ERROR, quotes,
		(const struct log_field[]){LOG_WORD("a", quotes), LOG_WORD("b", quotes), LOG_END},
		"%s", quotes);
	text = capture_end();
	assert_int_equal(count_lines(text), 1);
	object = json_loads(text, 0, NULL);
	assert_non_null(object);
	json_decref(object);
	free(text);
	free(quotes);
}

/* Priorities only where standard error is the very stream that the journal gave. */
static void
test_journal(void **state)
{
	char stream[64], *text;
	struct stat st;

	(void)state;
	capture_begin();
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_form_set(LOG_TEXT);
	log_error("j", "x");
	log_warning("j", "x");
	log_info("j", "x");
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	log_form_set(LOG_TEXT);
	log_error("j", "x");
	unsetenv("JOURNAL_STREAM");
	text = capture_end();
	assert_string_equal(text, "<3>error: j: x\n<4>warning: j: x\n<6>info: j: x\nerror: j: x\n");
	free(text);
}

/* A flood leaves a bounded number of lines, and how many were left out is told. */
static void
test_bound(void **state)
{
	struct log_counts before = log_counts(), after;
	struct log_limit limit = {0};
	char *text;

	(void)state;
	log_form_set(LOG_TEXT);
	capture_begin();
	for (unsigned i = 0; i < 100000; i++) {
		log_error("flood", "line %u", i);
		log_limited(&limit, "client", "line %u", i);
	}
	log_info("another", "is not hurt");
	log_tell(true);
	log_tell(true);
	text = capture_end();
	/* One line more for each second that this took. */
	assert_in_range(count_lines(text), LOG_BURST + LOG_LIMIT_BURST + 3,
		2 * LOG_BURST + LOG_LIMIT_BURST + 100);
	assert_non_null(strstr(text, "info: another: is not hurt\n"));
	assert_non_null(strstr(text, "warning: flood: 99"));
	assert_non_null(strstr(text, "warning: client: 99"));
	assert_non_null(strstr(text, " more lines were left out\n"));
	after = log_counts();
	assert_int_equal(after.lines[LOG_ERROR] - before.lines[LOG_ERROR] +
				 after.lines[LOG_WARNING] - before.lines[LOG_WARNING] +
				 after.left_out - before.left_out,
		200000 + 2);
	free(text);
}

/* Objects beyond those there is room for share one place: no flood of names gets around. */
static void
test_many_objects(void **state)
{
	char object[32], *text;

	(void)state;
	capture_begin();
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(object, sizeof(object), "object%u", i);
		log_info(object, "x");
	}
	log_tell(true);
	text = capture_end();
	assert_in_range(count_lines(text), LOG_OBJECTS / 2, LOG_OBJECTS + LOG_BURST + 100);
	assert_non_null(strstr(text, "warning: others: "));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_many_objects),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctrl/cli/value.h"
#include "ctrl/names.h"

#define HOUR_US 3600000000ull

static void
test_number(void **state)
{
	static const char *const bad[] = {"", " 1", "1 ", "-1", "+1", "1x", "0x", "0xg", "1e3",
		"3.0", "18446744073709551616"};
	uint64_t n = 77;
	size_t i;

	(void)state;
	assert_int_equal(value_number("0", 0, 5, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(value_number("0x10", 0, 16, &n), 0);
	assert_int_equal(n, 16);
	assert_int_equal(value_number("010", 0, 16, &n), 0);
	assert_int_equal(n, 10);
	assert_int_equal(value_number("18446744073709551615", 0, UINT64_MAX, &n), 0);
	assert_true(n == UINT64_MAX);
	n = 77;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(value_number(bad[i], 0, UINT64_MAX, &n) < 0);
	assert_true(value_number("4", 5, 9, &n) < 0);
	assert_true(value_number("10", 5, 9, &n) < 0);
	assert_int_equal(n, 77);
}

static void
test_duration(void **state)
{
	static const struct {
		const char *text;
		uint64_t us;
	} good[] = {{"60", 60000000}, {"0", 0}, {"90s", 90000000}, {"5m", 300000000},
		{"500ms", 500000}, {"7us", 7}, {"1h", HOUR_US}, {"2d", 48 * HOUR_US}};
	static const char *const bad[] = {"", "s", "-1s", "1 s", "1sec", "1.5s", "1M", "5m5",
		"99999999999999999999", "9999999999999999d", "49h"};
	uint64_t us;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(value_duration(good[i].text, 1000000, 48 * HOUR_US, &us), 0);
		assert_true(us == good[i].us);
	}
	us = 77;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(value_duration(bad[i], 1000000, 48 * HOUR_US, &us) < 0);
	assert_int_equal(us, 77);
	assert_int_equal(value_duration("250", 1000, HOUR_US, &us), 0);
	assert_int_equal(us, 250000);
}

static void
test_instant(void **state)
{
	const uint64_t now = 1700000000ull * 1000000;
	uint64_t us;

	(void)state;
	assert_int_equal(value_instant("1700000000123456", now, &us), 0);
	assert_true(us == 1700000000123456ull);
	assert_int_equal(value_instant("-10m", now, &us), 0);
	assert_true(us == now - 600000000);
	assert_int_equal(value_instant("+5", now, &us), 0);
	assert_true(us == now + 5000000);
	assert_true(value_instant("0", now, &us) < 0);
	assert_true(value_instant("-", now, &us) < 0);
	assert_true(value_instant("--5", now, &us) < 0);
	/* Neither before 1970 nor out of the 63 bits a credential has. */
	assert_true(value_instant("-36500d", now, &us) < 0);
	assert_true(value_instant("9223372036854775808", now, &us) < 0);
	assert_true(value_instant("+106751991d", now, &us) < 0);
}

static void
test_address(void **state)
{
	static const char *const bad[] = {"", "10.0.0", "10.0.0.256", "10.0.0.1/32", "fd00::1%eth0",
		"[::1]", " ::1", "host", "1::2::3"};
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
	static const uint8_t v6[16] = {0xfd, 0x77, [15] = 1};
	uint8_t address[16];
	size_t i;

	(void)state;
	assert_int_equal(value_address("10.0.0.1", address), 0);
	assert_memory_equal(address, mapped, 16);
	assert_int_equal(value_address("::ffff:10.0.0.1", address), 0);
	assert_memory_equal(address, mapped, 16);
	assert_int_equal(value_address("fd77::1", address), 0);
	assert_memory_equal(address, v6, 16);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(value_address(bad[i], address) < 0);
	assert_memory_equal(address, v6, 16);
}

static void
test_suite(void **state)
{
	static const char *const names[] = {"cmac128", "cmac256", "sealed128", "sealed256"};
	static const char *const bad[] = {"", "0", "5", "cmac", "CMAC128", "3 ", "-1"};
	unsigned suite;
	char text[2];
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		assert_int_equal(value_suite(names[i], &suite), 0);
		assert_int_equal(suite, i + 1);
		assert_string_equal(value_suite_name(suite), names[i]);
		snprintf(text, sizeof(text), "%zu", i + 1);
		assert_int_equal(value_suite(text, &suite), 0);
		assert_int_equal(suite, i + 1);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(value_suite(bad[i], &suite) < 0);
	assert_string_equal(value_suite_name(0), "unknown");
	assert_string_equal(value_suite_name(99), "unknown");
}

static void
test_ids(void **state)
{
	uint32_t id;

	(void)state;
	assert_int_equal(value_uid("root", false, &id), 0);
	assert_int_equal(id, 0);
	assert_int_equal(value_gid("1000", false, &id), 0);
	assert_int_equal(id, 1000);
	assert_int_equal(value_uid("anyone", true, &id), 0);
	assert_true(id == UINT32_MAX);
	/* Nobody speaks as "anyone", nor as the number that stands for it. */
	assert_true(value_uid("anyone", false, &id) < 0);
	assert_true(value_uid("4294967295", false, &id) < 0);
	assert_true(value_uid("4294967296", true, &id) < 0);
	assert_true(value_uid("no-such-user-here", false, &id) < 0);
	assert_true(value_gid("-1", false, &id) < 0);
}

static void
test_endpoint(void **state)
{
	static const struct {
		const char *text, *host, *port;
	} good[] = {{"gw1", "gw1", "7475"}, {"gw1:80", "gw1", "80"},
		{"10.0.0.1", "10.0.0.1", "7475"}, {"[fd00::1]:9", "fd00::1", "9"},
		{"[fd00::1]", "fd00::1", "7475"}, {"fd00::1", "fd00::1", "7475"},
		{"::1", "::1", "7475"}};
	static const char *const bad[] = {"", ":80", "gw1:", "[::1", "[::1]x", "[]:80", "[::1]:"};
	char host[VALUE_HOST_SIZE], port[VALUE_PORT_SIZE], large[400];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(value_endpoint(good[i].text, "7475", host, port), 0);
		assert_string_equal(host, good[i].host);
		assert_string_equal(port, good[i].port);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_true(value_endpoint(bad[i], "7475", host, port) < 0);
	memset(large, 'a', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_true(value_endpoint(large, "7475", host, port) < 0);
}

static void
test_endpoint_meant(void **state)
{
	static const char *const no[] = {"fd77::7475", "fd77::1", "fd77::1:a475", "fd77::1:80",
		"1:2:3:4:5:6:7:7475", "gw1", "gw1:7475", "10.0.0.1:7475", "[fd77::1]:7475"};
	char meant[VALUE_MEANT_SIZE];
	size_t i;

	(void)state;
	assert_int_equal(value_endpoint_meant("fd77::1:7475", meant), 0);
	assert_string_equal(meant, "[fd77::1]:7475");
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		assert_true(value_endpoint_meant(no[i], meant) < 0);
}

/* Names one after the other, as "a b c". */
struct seen {
	char text[256];
	size_t count;
};

static int
see(void *context, const char *name)
{
	struct seen *seen = context;
	size_t size = strlen(seen->text);

	if (seen->count < 16)
		snprintf(seen->text + size, sizeof(seen->text) - size, "%s%s", size ? " " : "",
			name);
	seen->count++;
	return 0;
}

static int
stop_at_second(void *context, const char *name)
{
	size_t *count = context;

	(void)name;
	return ++*count == 2 ? 42 : 0;
}

static void
test_names(void **state)
{
	static const struct {
		const char *pattern, *names;
	} good[] = {{"n001", "n001"}, {"n[1-3]", "n1 n2 n3"}, {"n[08-11]", "n08 n09 n10 n11"},
		{"r[1-2]n[1,3]-ib", "r1n1-ib r1n3-ib r2n1-ib r2n3-ib"}, {"[5]", "5"},
		{"n[9-10]", "n9 n10"}, {"n[1-2,7,9-9]", "n1 n2 n7 n9"}};
	static const char *const bad[] = {"", "n[", "n]", "n[]", "n[1", "n[1-]", "n[-1]", "n[2-1]",
		"n[1,]", "n[,1]", "n[1--2]", "n[a-b]", "n[1]]", "n[1[2]]", "n[1234567890]",
		"n[0-1048576]", "1234567890123456789012345678901234567890123456789012345678901234"};
	struct seen seen;
	size_t i, count = 0;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		seen = (struct seen){0};
		assert_int_equal(names_expand(good[i].pattern, see, &seen, NULL), 0);
		assert_string_equal(seen.text, good[i].names);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		seen = (struct seen){0};
		assert_true(names_expand(bad[i], see, &seen, NULL) < 0);
	}
	assert_int_equal(names_expand("n[1-9]", stop_at_second, &count, NULL), 42);
	assert_int_equal(count, 2);
	seen = (struct seen){0};
	assert_int_equal(names_expand("n[0001-4096]", see, &seen, NULL), 0);
	assert_int_equal(seen.count, 4096);
	seen = (struct seen){0};
	assert_int_equal(
		names_expand("123456789012345678901234567890123456789012345678901234567890123", see,
			&seen, NULL),
		0);
	/* Brackets multiply: the bound is on their product. */
	seen = (struct seen){0};
	assert_true(names_expand("a[0-9999]b[0-9999]", see, &seen, NULL) < 0);
	assert_true(seen.count <= NAMES_MAX);
}

static void
test_names_fault(void **state)
{
	static const struct {
		const char *pattern, *fault;
	} cases[] = {{"n[3-1]", "range 3-1 runs backwards"}, {"n[1-3", "']' is missing"},
		{"n1-3]", "'[' is missing"}, {"", "a name is missing"},
		{"n[]", "an empty range: they are written [001-128,200]"},
		{"n[1,,2]", "an empty range: they are written [001-128,200]"},
		{"n[1,a-b]", "range a-b is not two numbers of at most 9 digits"},
		{"n[1-2-3]", "range 1-2-3 is not two numbers of at most 9 digits"},
		{"n[1234567890123456789012]",
			"range 1234567890123456789... is not two numbers of at most 9 digits"},
		{"n[0-1048576]", "range 0-1048576 has more than 1048576 names"},
		{"1234567890123456789012345678901234567890123456789012345678901234",
			"a name has at most 63 characters"},
		{"123456789012345678901234567890123456789012345678901234567890[1000-1001]",
			"a name has at most 63 characters"}};
	char fault[NAMES_FAULT_SIZE];
	struct seen seen;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		seen = (struct seen){0};
		assert_true(names_expand(cases[i].pattern, see, &seen, fault) < 0);
		assert_string_equal(fault, cases[i].fault);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_number),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_instant),
		cmocka_unit_test(test_address),
		cmocka_unit_test(test_suite),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_endpoint_meant),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

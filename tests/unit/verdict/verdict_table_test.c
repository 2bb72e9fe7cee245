/* SPDX-License-Identifier: BSD-3-Clause */

/* Verdict numbers and texts are fixed for ever; the order in which they apply is complete. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "verdict/verdict.h"

struct frozen {
	unsigned number;
	unsigned value;
	const char *text;
	int exit_code;
};

/* Written down once more on purpose: rows are added here, never changed. */
static const struct frozen frozen[] = {
	{0, VERDICT_NONE, "none", 32},
	{1, VERDICT_ACCEPTED, "accepted", 0},
	{2, VERDICT_DUPLICATE, "duplicate", 0},
	{3, VERDICT_REPLAYED, "replayed", 35},
	{4, VERDICT_STALE, "stale", 36},
	{5, VERDICT_EXPIRED, "expired", 37},
	{6, VERDICT_NOT_YET_VALID, "not-yet-valid", 38},
	{7, VERDICT_BAD_TAG, "bad-tag", 39},
	{8, VERDICT_UNKNOWN_REALM, "unknown-realm", 40},
	{9, VERDICT_UNKNOWN_NODE, "unknown-node", 41},
	{10, VERDICT_REVOKED, "revoked", 42},
	{11, VERDICT_UNKNOWN_EPOCH, "unknown-epoch", 43},
	{12, VERDICT_WRONG_ORIGIN, "wrong-origin", 44},
	{13, VERDICT_WRONG_AUDIENCE, "wrong-audience", 45},
	{14, VERDICT_FORBIDDEN, "forbidden", 46},
	{15, VERDICT_OVER_RATE, "over-rate", 47},
	{16, VERDICT_MALFORMED, "malformed", 48},
	{17, VERDICT_UNSUPPORTED, "unsupported", 49},
	{18, VERDICT_BUSY, "busy", 50},
	{19, VERDICT_FLOOR, "floor", 51},
	{20, VERDICT_UNAUTHORIZED, "unauthorized", 52},
	{21, VERDICT_STORE_FULL, "store-full", 53},
};
#define FROZEN_COUNT (sizeof(frozen) / sizeof(frozen[0]))

static const enum verdict order[] = {
	VERDICT_MALFORMED,
	VERDICT_UNSUPPORTED,
	VERDICT_UNKNOWN_REALM,
	VERDICT_UNKNOWN_NODE,
	VERDICT_REVOKED,
	VERDICT_UNKNOWN_EPOCH,
	VERDICT_BAD_TAG,
	VERDICT_WRONG_ORIGIN,
	VERDICT_WRONG_AUDIENCE,
	VERDICT_NOT_YET_VALID,
	VERDICT_EXPIRED,
	VERDICT_FLOOR,
	VERDICT_STALE,
	VERDICT_DUPLICATE,
	VERDICT_REPLAYED,
	VERDICT_FORBIDDEN,
	VERDICT_UNAUTHORIZED,
	VERDICT_STORE_FULL,
	VERDICT_BUSY,
	VERDICT_OVER_RATE,
	VERDICT_ACCEPTED,
};
#define ORDER_COUNT (sizeof(order) / sizeof(order[0]))

static void
numbers_and_texts_are_frozen(void **state)
{
	size_t i;

	(void)state;
	assert_int_equal(VERDICT_COUNT, FROZEN_COUNT);
	for (i = 0; i < FROZEN_COUNT; i++) {
		if (frozen[i].value != frozen[i].number || frozen[i].number != i)
			fail_msg("%s: number %u became %u", frozen[i].text, frozen[i].number,
				frozen[i].value);
		if (strcmp(verdict_text(frozen[i].number), frozen[i].text) != 0)
			fail_msg("number %u: text %s became %s", frozen[i].number, frozen[i].text,
				verdict_text(frozen[i].number));
		if (verdict_exit_code(frozen[i].number) != frozen[i].exit_code)
			fail_msg("%s: exit code %d became %d", frozen[i].text, frozen[i].exit_code,
				verdict_exit_code(frozen[i].number));
	}
}

static void
every_text_finds_its_number(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < FROZEN_COUNT; i++)
		if (verdict_find(frozen[i].text) != (int)frozen[i].number)
			fail_msg("%s found as %d", frozen[i].text, verdict_find(frozen[i].text));
	assert_int_equal(verdict_find(""), -1);
	assert_int_equal(verdict_find("accept"), -1);
	assert_int_equal(verdict_find("accepted "), -1);
	assert_int_equal(verdict_find("ACCEPTED"), -1);
	assert_int_equal(verdict_find("unknown"), -1);
}

static void
every_verdict_explains_itself(void **state)
{
	unsigned i;

	(void)state;
	for (i = 0; i < VERDICT_COUNT; i++)
		if (strlen(verdict_meaning(i)) < 8 || strlen(verdict_cure(i)) < 8)
			fail_msg("%s has no meaning or no cure", verdict_text(i));
}

static void
other_numbers_are_unknown(void **state)
{
	static const unsigned numbers[] = {VERDICT_COUNT, 31, 32, 127, 128, 255, 1u << 31, -1u};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_string_equal(verdict_text(numbers[i]), "unknown");
		assert_non_null(verdict_meaning(numbers[i]));
		assert_non_null(verdict_cure(numbers[i]));
	}
}

static void
each_verdict_but_none_has_one_place(void **state)
{
	unsigned seen[VERDICT_COUNT] = {0};
	size_t i;

	(void)state;
#define COUNT_PLACE(NAME) seen[VERDICT_##NAME]++;
	VERDICT_PRECEDENCE(COUNT_PLACE)
#undef COUNT_PLACE
	assert_int_equal(seen[VERDICT_NONE], 0);
	for (i = 1; i < VERDICT_COUNT; i++)
		if (seen[i] != 1)
			fail_msg("%s has %u places", verdict_text((unsigned)i), seen[i]);
	assert_int_equal(ORDER_COUNT, VERDICT_COUNT - 1);
}

static void
of_each_pair_the_earlier_applies(void **state)
{
	size_t i;
	size_t k;

	(void)state;
	for (i = 0; i < ORDER_COUNT; i++)
		for (k = i; k < ORDER_COUNT; k++) {
			const uint32_t set = 1u << order[i] | 1u << order[k];

			if (verdict_first(set) != order[i])
				fail_msg("of %s and %s it is %s", verdict_text(order[i]),
					verdict_text(order[k]), verdict_text(verdict_first(set)));
		}
}

static void
of_all_that_are_left_the_earliest_applies(void **state)
{
	uint32_t set = 0;
	size_t i;

	(void)state;
	for (i = ORDER_COUNT; i-- > 0;) {
		set |= 1u << order[i];
		assert_int_equal(verdict_first(set), order[i]);
	}
}

static void
nothing_known_is_none(void **state)
{
	(void)state;
	assert_int_equal(verdict_first(0), VERDICT_NONE);
	assert_int_equal(verdict_first(1u << VERDICT_NONE), VERDICT_NONE);
	assert_int_equal(verdict_first(UINT32_MAX << VERDICT_COUNT), VERDICT_NONE);
	assert_int_equal(verdict_first(1u << VERDICT_NONE | 1u << VERDICT_BUSY), VERDICT_BUSY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_and_texts_are_frozen),
		cmocka_unit_test(every_text_finds_its_number),
		cmocka_unit_test(every_verdict_explains_itself),
		cmocka_unit_test(other_numbers_are_unknown),
		cmocka_unit_test(each_verdict_but_none_has_one_place),
		cmocka_unit_test(of_each_pair_the_earlier_applies),
		cmocka_unit_test(of_all_that_are_left_the_earliest_applies),
		cmocka_unit_test(nothing_known_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

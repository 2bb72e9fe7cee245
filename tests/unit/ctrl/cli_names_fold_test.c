/* SPDX-License-Identifier: BSD-3-Clause */
/* Names folded into patterns, and that patterns unfold to the same names. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include "ctrl/names.h"
#include "ctrl/names_fold.h"

#define NAMES_ROOM 64

static void
folds(const char *wanted, const char *const *names)
{
	size_t count = 0;
	char *text;

	while (names[count] != NULL)
		count++;
	text = names_fold(names, count);
	assert_string_equal(text, wanted);
	free(text);
}

#define FOLDS(wanted, ...) folds(wanted, (const char *const[]){__VA_ARGS__, NULL})

static void
test_folds(void **state)
{
	(void)state;
	folds("", (const char *const[]){NULL});
	FOLDS("n1", "n1");
	FOLDS("login", "login");
	FOLDS("n[1-2]", "n1", "n2");
	FOLDS("n[1,3]", "n3", "n1");
	FOLDS("n[1-3,5,7-8]", "n8", "n7", "n5", "n3", "n2", "n1");
	FOLDS("n[001-003]", "n001", "n002", "n003");
	FOLDS("n[001-003]-ib", "n003-ib", "n002-ib", "n001-ib");
}

static void
test_what_does_not_go_together(void **state)
{
	(void)state;
	FOLDS("n[8-9] n[10-11]", "n8", "n9", "n10", "n11");
	FOLDS("n1 n1-ib", "n1", "n1-ib");
	FOLDS("a1 b2", "b2", "a1");
	FOLDS("r1n[1-2] r2n[1-2]", "r1n1", "r2n1", "r1n2", "r2n2");
	FOLDS("a n[1-2] z", "n1", "z", "a", "n2");
}

static void
test_twice_is_once(void **state)
{
	(void)state;
	FOLDS("n1", "n1", "n1");
	FOLDS("n[1-2]", "n2", "n1", "n2", "n1");
}

/* More digits than a number of ours has: left alone. */
static void
test_long_numbers(void **state)
{
	(void)state;
	FOLDS("n1234567890 n1234567891", "n1234567890", "n1234567891");
	FOLDS("n[123456788-123456789]", "n123456788", "n123456789");
	FOLDS("7", "7");
	FOLDS("[7-8]", "7", "8");
}

struct unfolded {
	char names[NAMES_ROOM][NAMES_NAME_SIZE];
	unsigned count;
};

static int
unfold_one(void *context, const char *name)
{
	struct unfolded *unfolded = context;

	assert_true(unfolded->count < NAMES_ROOM);
	snprintf(unfolded->names[unfolded->count++], NAMES_NAME_SIZE, "%s", name);
	return 0;
}

static void
test_unfolds_to_the_same(void **state)
{
	static const char *const names[] = {
		"a1b01", "a1b02", "a1b03", "login", "n008", "n009", "n010", "n200-ib", "n201-ib"};
	const size_t count = sizeof(names) / sizeof(names[0]);
	struct unfolded unfolded = {.count = 0};
	char *text = names_fold(names, count), *rest = text, *word;

	(void)state;
	while ((word = strsep(&rest, " ")) != NULL)
		assert_int_equal(names_expand(word, unfold_one, &unfolded, NULL), 0);
	free(text);
	assert_int_equal(unfolded.count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(unfolded.names[i], names[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_folds),
		cmocka_unit_test(test_what_does_not_go_together),
		cmocka_unit_test(test_twice_is_once),
		cmocka_unit_test(test_long_numbers),
		cmocka_unit_test(test_unfolds_to_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

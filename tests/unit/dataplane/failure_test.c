/* SPDX-License-Identifier: BSD-3-Clause */
/* Lines for the operator: whole, cut at their end, and bounded whoever causes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/failure.h"

#define THREADS 4
#define LINES   10000u

int __wrap_clock_gettime(clockid_t clock, struct timespec *time);

static _Atomic time_t now_s = 1000;
static int real_stderr, captured;

int
__wrap_clock_gettime(clockid_t clock, struct timespec *time)
{
	(void)clock;
	*time = (struct timespec){.tv_sec = atomic_load(&now_s)};
	return 0;
}

static void
capture_begin(void)
{
	char path[] = "/tmp/credgate-test-XXXXXX";

	captured = mkstemp(path);
	assert_true(captured >= 0);
	unlink(path);
	real_stderr = dup(STDERR_FILENO);
	dup2(captured, STDERR_FILENO);
}

/* What was written since, for free(). */
static char *
capture_end(void)
{
	char *text = calloc(1, 1 << 20);

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	assert_true(pread(captured, text, (1 << 20) - 1, 0) >= 0);
	close(captured);
	return text;
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
test_line(void **state)
{
	char filler[2000], *text;

	(void)state;
	memset(filler, 'x', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	capture_begin();
	note("port %s: %d", "lan", 5);
	note("%s", filler);
	text = capture_end();
	assert_memory_equal(text, "credgate-dataplane: port lan: 5\ncredgate-dataplane: xxx", 55);
	assert_int_equal(count_lines(text), 2);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
}

static void *
flood(void *context)
{
	(void)context;
	for (unsigned i = 0; i < LINES; i++)
		note("line %u", i);
	return NULL;
}

/* However many threads write: a burst, then one each second, and the rest is told. */
static void
test_bound(void **state)
{
	pthread_t threads[THREADS];
	char *text;

	(void)state;
	atomic_fetch_add(&now_s, 1000);
	capture_begin();
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, flood, NULL), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	text = capture_end();
	assert_int_equal(count_lines(text), NOTES_BURST);
	free(text);

	capture_begin();
	atomic_fetch_add(&now_s, 2);
	for (unsigned i = 0; i < 10; i++)
		note("later");
	text = capture_end();
	assert_string_equal(text, "credgate-dataplane: 39936 more lines were left out\n"
				  "credgate-dataplane: later\ncredgate-dataplane: later\n");
	free(text);
	assert_int_equal(THREADS * LINES - NOTES_BURST, 39936);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

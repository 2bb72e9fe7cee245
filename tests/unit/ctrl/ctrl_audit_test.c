/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The audit log: what is written can be read back over all its files, every kind of tampering is
 * found and named, a crash and a full disk cost at most the line that was being written.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>

#include "ctrl/audit.h"
#include "ctrl/audit_scan.h"

#define SMALL_FILE 4096u

static const struct audit_limits plenty = {.file_bytes = 1 << 20, .keep = 100};
static const struct audit_limits tight = {.file_bytes = SMALL_FILE, .keep = 3};

/* ---- a log in the test's directory ---- */

static int
setup(void **state)
{
	if (sodium_init() < 0 || fixture_setup(state) != 0)
		return -1;
	return chmod(fixture_dir, 0700);
}

static struct audit *
log_open(const struct audit_limits *limits)
{
	struct reason reason;
	struct audit *audit = audit_open(fixture_dir, limits, &reason);

	if (audit == NULL)
		fail_msg("%s", reason.text);
	return audit;
}

static const char *
alarm_of(const struct audit *audit)
{
	static char text[REASON_SIZE];
	json_t *status = audit_json(audit);
	const char *alarm = json_string_value(json_object_get(status, "alarm"));

	snprintf(text, sizeof(text), "%s", alarm != NULL ? alarm : "");
	json_decref(status);
	return text;
}

static int
change(struct audit *audit, const char *verb, const char *name, bool is_urgent)
{
	const struct peer peer = {.pid = getpid(), .uid = getuid()};
	json_t *args = json_pack("{s:s, s:s}", "realm", "lab", "name", name);
	json_t *result = json_pack("{s:i, s:s}", "node", 7, "key", "never told");
	const struct audit_event event = {
		.verb = verb, .peer = &peer, .why = "a test", .args = args, .is_urgent = is_urgent};
	struct reason reason = {0};
	uint64_t asked;
	int error = audit_asked(audit, &event, &asked, &reason);

	if (error == 0)
		audit_outcome(audit, &event, asked, 0, &reason, result);
	else
		assert_non_null(strstr(reason.text, "audit log"));
	json_decref(result);
	json_decref(args);
	return error;
}

static void
changes(struct audit *audit, unsigned count)
{
	char name[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "n%03u", i);
		assert_int_equal(change(audit, "node.add", name, false), 0);
	}
}

/* ---- reading it back ---- */

struct found {
	char text[4096];
	uint64_t line; /* of the first problem */
	char path[PATH_MAX];
};

static void
found_add(void *context, const char *path, uint64_t line, const char *text)
{
	struct found *found = context;
	size_t used = strlen(found->text);

	if (used == 0) {
		found->line = line;
		snprintf(found->path, sizeof(found->path), "%s", path);
	}
	snprintf(found->text + used, sizeof(found->text) - used, "%s; ", text);
}

static uint64_t
verify_with(struct found *found, struct audit_scan *scan, const struct audit_key *key)
{
	struct reason reason = {0};

	memset(found, 0, sizeof(*found));
	*scan = (struct audit_scan){.key = *key, .on_problem = found_add, .context = found};
	if (audit_scan_all(scan, fixture_dir, &reason) != 0)
		fail_msg("%s", reason.text);
	return scan->problems;
}

static void
key_get(struct audit_key *key)
{
	struct reason reason;

	if (audit_key_read(key, fixture_path(AUDIT_KEY_NAME), getuid(), &reason) != 0)
		fail_msg("%s", reason.text);
}

static uint64_t
verify(struct found *found, struct audit_scan *scan)
{
	struct audit_key key;

	key_get(&key);
	return verify_with(found, scan, &key);
}

static void
assert_good(void)
{
	struct found found;
	struct audit_scan scan;

	if (verify(&found, &scan) != 0)
		fail_msg("%s:%" PRIu64 ": %s", found.path, found.line, found.text);
}

static void
assert_found(const char *text, uint64_t line)
{
	struct found found;
	struct audit_scan scan;

	if (verify(&found, &scan) == 0)
		fail_msg("not found: %s", text);
	if (strstr(found.text, text) == NULL || found.line != line)
		fail_msg("expected %s at %" PRIu64 ", got at %" PRIu64 " %s", text, line,
			found.line, found.text);
}

static const char *
file_name(uint32_t file)
{
	static char name[64];

	snprintf(name, sizeof(name), AUDIT_DIR "/audit.%06u.jsonl", file);
	return name;
}

static void
file_put(uint32_t file, const char *text, size_t size)
{
	fixture_write(file_name(file), text, size, 0600);
}

/* The beginning of line `line` (from 1), or the end. */
static char *
line_at(char *text, unsigned line)
{
	while (--line > 0 && text != NULL)
		text = strchr(text, '\n') + 1;
	return text;
}

/* ---- tests ---- */

static void
test_lines_say_who_what_why(void **state)
{
	struct audit *audit = log_open(&plenty);
	json_t *line;
	char *text;

	(void)state;
	changes(audit, 1);
	audit_note(audit, "node.suspend", "seen twice", json_pack("{s:i}", "node", 9));
	audit_close(audit);
	text = fixture_read(file_name(1));
	assert_null(strstr(text, "never told"));
	line = json_loads(line_at(text, 2), JSON_DISABLE_EOF_CHECK, NULL);
	assert_int_equal(json_integer_value(json_object_get(line, "seq")), 2);
	assert_string_equal(json_string_value(json_object_get(line, "verb")), "node.add");
	assert_string_equal(json_string_value(json_object_get(line, "why")), "a test");
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(line, "who"), "uid")), getuid());
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(line, "args"), "name")), "n000");
	json_decref(line);
	line = json_loads(line_at(text, 3), JSON_DISABLE_EOF_CHECK, NULL);
	assert_string_equal(json_string_value(json_object_get(line, "event")), "done");
	assert_int_equal(json_integer_value(json_object_get(line, "asked")), 2);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(line, "result"), "node")), 7);
	json_decref(line);
	line = json_loads(line_at(text, 4), JSON_DISABLE_EOF_CHECK, NULL);
	assert_string_equal(json_string_value(json_object_get(line, "who")), "credgated");
	json_decref(line);
	free(text);
	assert_good();
}

/* Secrets in arguments, whatever form they have; batches by digest. */
static void
test_arguments_are_shortened(void **state)
{
	struct audit_event event = {.verb = "v"};
	char *text;

	(void)state;
	event.args = json_pack("{s:s, s:{s:[s]}, s:s, s:o}", "code", "S3CRET-A", "deep", "key",
		"S3CRET-B", "note", "CGK1:S3CRET-C:", "names", json_array());
	for (unsigned i = 0; i < 1000; i++)
		json_array_append_new(
			json_object_get(event.args, "names"), json_sprintf("node%u", i));
	text = audit_asked_text(&event);
	assert_null(strstr(text, "S3CRET"));
	assert_null(strstr(text, "node500"));
	assert_non_null(strstr(text, "\"count\":1000"));
	assert_true(strlen(text) < 1024);
	free(text);
	json_decref(event.args);
}

static void
test_chain_goes_on_over_files_and_starts(void **state)
{
	struct audit_scan scan;
	struct audit *audit;
	struct found found;

	(void)state;
	for (unsigned start = 0; start < 5; start++) {
		audit = log_open(&(struct audit_limits){.file_bytes = SMALL_FILE, .keep = 1000});
		assert_string_equal(alarm_of(audit), "");
		changes(audit, 20);
		audit_close(audit);
	}
	assert_int_equal(verify(&found, &scan), 0);
	assert_true(scan.last.file > 5);
	assert_int_equal(scan.lines, scan.last.seq);
	assert_int_equal(scan.lines, 200 + scan.last.file);
	assert_int_equal(scan.unknown, 0);
	assert_true(scan.has_anchor && scan.anchor.seq == scan.last.seq);
}

static void
test_oldest_files_go_by_plan_only(void **state)
{
	struct audit *audit = log_open(&tight);
	uint32_t oldest, newest;

	(void)state;
	changes(audit, 100);
	audit_close(audit);
	assert_int_equal(audit_files(fixture_dir, &oldest, &newest, NULL), 0);
	assert_int_equal(newest - oldest + 1, 3);
	assert_good();
	unlink(fixture_path(file_name(oldest)));
	assert_found("no line says that they were", 0);
}

/* A file can be verified with a key that was kept offline, and the kept one tells no older files. */
static void
test_forgotten_keys(void **state)
{
	struct audit *audit =
		log_open(&(struct audit_limits){SMALL_FILE, .keep = 100, .forgets_keys = true});
	struct audit_key first, now;
	struct audit_scan scan;
	struct found found;

	(void)state;
	key_get(&first);
	changes(audit, 40);
	audit_close(audit);
	key_get(&now);
	assert_int_equal(first.file, 1);
	assert_true(now.file > 3);
	assert_int_equal(verify_with(&found, &scan, &first), 0);
	assert_int_equal(scan.unchecked_file, 0);
	assert_int_equal(verify_with(&found, &scan, &now), 0);
	assert_int_equal(scan.unchecked_file, now.file - 1);
	assert_int_equal(audit_key_of(&first, &now, now.file - 1), -ENOKEY);
	audit = log_open(&(struct audit_limits){SMALL_FILE, .keep = 100, .forgets_keys = true});
	assert_string_equal(alarm_of(audit), "");
	audit_close(audit);
}

/* Any byte of any line, made any other byte. */
static void
test_any_changed_byte_is_found(void **state)
{
	struct audit *audit = log_open(&plenty);
	struct audit_scan scan;
	struct audit_key key;
	struct found found;
	size_t size, place;
	char *text, old;
	unsigned line;

	(void)state;
	changes(audit, 10);
	audit_close(audit);
	key_get(&key);
	text = fixture_read(file_name(1));
	size = strlen(text);
	for (unsigned round = 0; round < 4000; round++) {
		/* Each byte of the first line, then anywhere. */
		place = round < 400 ? round % size : randombytes_uniform((uint32_t)size);
		if (round == 400)
			place = size - 1;
		old = text[place];
		text[place] = (char)(old ^ (1 + randombytes_uniform(255)));
		file_put(1, text, size);
		if (verify_with(&found, &scan, &key) == 0)
			fail_msg("byte %zu: %02x for %02x was not found", place, text[place], old);
		text[place] = old;
		line = 1;
		for (size_t i = 0; i < place; i++)
			line += text[i] == '\n';
		/* Without its newline the last line is a torn one, which the anchor misses. */
		if (found.line != line && place != size - 1)
			fail_msg("byte %zu is in line %u, not %" PRIu64 ": %s", place, line,
				found.line, found.text);
	}
	file_put(1, text, size);
	assert_good();
	free(text);
}

/* Pieces cut out, put in and turned over, rubbish with NULs and without newlines. */
static void
test_any_edit_is_found(void **state)
{
	struct audit *audit = log_open(&plenty);
	size_t size, from, count, rest;
	struct audit_scan scan;
	struct audit_key key;
	struct found found;
	char *text, *edited;

	(void)state;
	changes(audit, 10);
	audit_close(audit);
	key_get(&key);
	text = fixture_read(file_name(1));
	size = strlen(text);
	edited = malloc(3 * size);
	for (unsigned round = 0; round < 2000; round++) {
		from = randombytes_uniform((uint32_t)size);
		count = 1 + randombytes_uniform((uint32_t)(size - from));
		rest = size - from - count;
		memcpy(edited, text, from);
		if (round % 2 == 0) {
			/* Out. */
			memcpy(edited + from, text + from + count, rest);
			rest += from;
		} else {
			/* In: rubbish, or what was there once more. */
			if (round % 4 == 1)
				randombytes_buf(edited + from, count);
			else
				memcpy(edited + from, text + from, count);
			memcpy(edited + from + count, text + from, size - from);
			rest = size + count;
		}
		file_put(1, edited, rest);
		/* Behind the last newline it is a torn line, which is told and cut off. */
		if (verify_with(&found, &scan, &key) == 0 && scan.torn == 0)
			fail_msg("round %u, %zu bytes at %zu: not found", round, count, from);
	}
	free(edited);
	free(text);
}

static void
test_lines_taken_moved_repeated(void **state)
{
	struct audit *audit = log_open(&plenty);
	char *text, *a, *b, *c, *edited;

	(void)state;
	changes(audit, 10);
	audit_close(audit);
	text = fixture_read(file_name(1));
	edited = calloc(1, 2 * strlen(text));
	a = line_at(text, 5);
	b = line_at(text, 6);
	c = line_at(text, 7);

	/* Line 5 is missing. */
	snprintf(edited, strlen(text), "%.*s%s", (int)(a - text), text, b);
	file_put(1, edited, strlen(edited));
	assert_found("lines 5 to 5 are missing", 5);
	/* Lines 5 and 6 have changed places. */
	snprintf(edited, 2 * strlen(text), "%.*s%.*s%.*s%s", (int)(a - text), text, (int)(c - b), b,
		(int)(b - a), a, c);
	file_put(1, edited, strlen(edited));
	assert_found("out of its place", 5);
	/* Line 5 stands there twice. */
	snprintf(edited, 2 * strlen(text), "%.*s%s", (int)(b - text), text, a);
	file_put(1, edited, strlen(edited));
	assert_found("line 5 is here again", 6);
	/* The last lines are gone, whole ones. */
	file_put(1, text, (size_t)(line_at(text, 18) - text));
	assert_found("the last lines are missing, 18 to 21", 0);
	/* So is the file. */
	file_put(1, "", 0);
	assert_found("the last lines are missing", 0);
	/* A line of a stranger's behind it. */
	snprintf(edited, 2 * strlen(text), "%s{\"seq\":22,\"time_us\":1,\"event\":\"note\"}\n",
		text);
	file_put(1, edited, strlen(edited));
	assert_found("does not end as all lines do", 22);
	/* The anchor is gone. */
	file_put(1, text, strlen(text));
	unlink(fixture_path(AUDIT_ANCHOR_NAME));
	assert_found("the anchor is missing", 0);
	free(edited);
	free(text);
}

static void
test_files_taken_and_renamed(void **state)
{
	struct audit *audit = log_open(&(struct audit_limits){SMALL_FILE, .keep = 100});
	char second[PATH_MAX], third[PATH_MAX], aside[PATH_MAX];

	(void)state;
	changes(audit, 40);
	audit_close(audit);
	assert_good();
	snprintf(second, sizeof(second), "%s", fixture_path(file_name(2)));
	snprintf(third, sizeof(third), "%s", fixture_path(file_name(3)));
	snprintf(aside, sizeof(aside), "%s", fixture_path("aside"));

	assert_int_equal(rename(second, aside), 0);
	assert_found("the file is missing", 0);
	assert_int_equal(rename(third, second), 0);
	assert_int_equal(rename(aside, third), 0);
	assert_found("was changed", 1); /* the key of a file is its own */
	assert_int_equal(rename(third, aside), 0);
	assert_int_equal(rename(second, third), 0);
	assert_int_equal(rename(aside, second), 0);
	assert_good();
}

/* A crash in the middle of a line costs that line, and nothing else. */
static void
test_torn_line(void **state)
{
	struct audit *audit = log_open(&plenty);
	struct audit_scan scan;
	struct found found;
	char *text;
	FILE *file;

	(void)state;
	changes(audit, 3);
	audit_close(audit);
	file = fopen(fixture_path(file_name(1)), "a");
	fputs("{\"seq\":8,\"time_us\":17", file);
	fclose(file);
	assert_int_equal(verify(&found, &scan), 0);
	assert_int_equal(scan.torn, 21);
	audit = log_open(&plenty);
	assert_string_equal(alarm_of(audit), "");
	changes(audit, 1);
	audit_close(audit);
	assert_int_equal(verify(&found, &scan), 0);
	assert_int_equal(scan.torn, 0);
	text = fixture_read(file_name(1));
	assert_non_null(strstr(text, "audit.torn"));
	free(text);
}

/* Asked for, and then credgated ended: nobody knows. */
static void
test_unknown_outcome(void **state)
{
	const struct audit_event event = {.verb = "node.add"};
	struct audit *audit = log_open(&plenty);
	struct audit_scan scan;
	struct found found;
	uint64_t asked;

	(void)state;
	assert_int_equal(audit_asked(audit, &event, &asked, NULL), 0);
	assert_int_equal(asked, 2);
	audit_close(audit);
	audit = log_open(&plenty);
	changes(audit, 1);
	audit_close(audit);
	assert_int_equal(verify(&found, &scan), 0);
	assert_int_equal(scan.unknown, 1);
}

/* credgated goes on, loudly, and what was damaged stays to be seen. */
static void
test_damaged_log_raises_an_alarm_at_start(void **state)
{
	struct audit *audit = log_open(&plenty);
	char *text;

	(void)state;
	changes(audit, 5);
	audit_close(audit);
	text = fixture_read(file_name(1));
	file_put(1, text, (size_t)(line_at(text, 8) - text));
	free(text);
	audit = log_open(&plenty);
	assert_non_null(strstr(alarm_of(audit), "not as it was left"));
	changes(audit, 5);
	audit_close(audit);
	assert_found("lines 8 to 11 are missing", 1);
}

/* Who takes lines and anchor gets no log that is whole at the next start. */
static void
test_damage_is_told_for_ever(void **state)
{
	struct audit *audit = log_open(&plenty);
	char *text;

	(void)state;
	changes(audit, 5);
	audit_close(audit);
	text = fixture_read(file_name(1));
	file_put(1, text, (size_t)(line_at(text, 8) - text));
	free(text);
	unlink(fixture_path(AUDIT_ANCHOR_NAME));
	for (int i = 0; i < 2; i++) {
		audit = log_open(&plenty);
		changes(audit, 2);
		audit_close(audit);
		assert_found("because the log before it was not as it was left", 1);
	}
	/* All files, too. */
	unlink(fixture_path(file_name(1)));
	unlink(fixture_path(file_name(2)));
	unlink(fixture_path(AUDIT_ANCHOR_NAME));
	audit = log_open(&plenty);
	assert_non_null(strstr(alarm_of(audit), "not as it was left"));
	audit_close(audit);
	assert_found("because the log before it was not as it was left", 1);
}

static void
test_anchor_is_a_file(void **state)
{
	struct reason reason;

	(void)state;
	audit_close(log_open(&plenty));
	unlink(fixture_path(AUDIT_ANCHOR_NAME));
	assert_int_equal(mkfifo(fixture_path(AUDIT_ANCHOR_NAME), 0600), 0);
	assert_null(audit_open(fixture_dir, &plenty, &reason));
	assert_non_null(strstr(reason.text, AUDIT_ANCHOR_NAME));
}

static void
test_damage_while_it_runs_raises_an_alarm(void **state)
{
	struct audit *audit = log_open(&plenty);
	struct audit_scan scan;
	struct found found;

	(void)state;
	changes(audit, 5);
	assert_int_equal(truncate(fixture_path(file_name(1)), 1000), 0);
	changes(audit, 1);
	assert_non_null(strstr(alarm_of(audit), "changed by somebody else"));
	audit_close(audit);
	assert_true(verify(&found, &scan) > 0);
	/* Taken away altogether: it goes on in the next file. */
	audit = log_open(&plenty);
	unlink(fixture_path(file_name(2)));
	changes(audit, 1);
	assert_non_null(strstr(alarm_of(audit), "removed"));
	assert_int_equal(access(fixture_path(file_name(3)), F_OK), 0);
	audit_close(audit);
}

/* Files that cannot grow, as on a full disk. */
static void
disk_fill(bool is_full)
{
	struct rlimit limit = {
		.rlim_cur = is_full ? 2000 : RLIM_INFINITY, .rlim_max = RLIM_INFINITY};

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void
test_full_disk_refuses_all_but_revocations(void **state)
{
	struct audit *audit = log_open(&plenty);
	struct audit_scan scan;
	struct found found;
	char *text;

	(void)state;
	changes(audit, 2);
	disk_fill(true);
	for (unsigned i = 0; i < 20; i++)
		if (change(audit, "node.add", "before", false) != 0)
			break;
	assert_true(change(audit, "node.add", "refused", false) < 0);
	assert_int_equal(change(audit, "node.revoke", "urgent", true), 0);
	assert_int_equal(change(audit, "node.revoke", "second", true), 0);
	assert_int_equal(audit_waiting(audit) >= 2, 1);
	assert_non_null(strstr(alarm_of(audit), "cannot write"));
	assert_true(change(audit, "node.add", "refused", false) < 0);
	audit_tick(audit);
	assert_true(audit_waiting(audit) >= 2);
	assert_int_equal(verify(&found, &scan), 0); /* never half a line */
	disk_fill(false);
	audit_tick(audit);
	assert_int_equal(audit_waiting(audit), 0);
	assert_string_equal(alarm_of(audit), "");
	assert_int_equal(change(audit, "node.add", "after", false), 0);
	audit_close(audit);
	assert_good();
	text = fixture_read(file_name(1));
	assert_non_null(strstr(text, "\"urgent\""));
	assert_non_null(strstr(text, "\"second\""));
	assert_null(strstr(text, "\"refused\""));
	free(text);
}

static void
test_key_and_directory_are_checked(void **state)
{
	struct audit *audit = log_open(&plenty);
	struct reason reason;

	(void)state;
	audit_close(audit);
	chmod(fixture_path(AUDIT_KEY_NAME), 0640);
	assert_null(audit_open(fixture_dir, &plenty, &reason));
	assert_non_null(strstr(reason.text, "chmod 0600"));
	chmod(fixture_path(AUDIT_KEY_NAME), 0600);
	chmod(fixture_path(AUDIT_DIR), 0755);
	assert_null(audit_open(fixture_dir, &plenty, &reason));
	assert_non_null(strstr(reason.text, "chmod 0700"));
	chmod(fixture_path(AUDIT_DIR), 0700);
	unlink(fixture_path(AUDIT_KEY_NAME));
	assert_null(audit_open(fixture_dir, &plenty, &reason));
	assert_non_null(strstr(reason.text, "restore the key"));
}

/* What a start finds after a crash between any two steps of going on in a new file. */
static void
test_crash_at_rotation(void **state)
{
	struct audit *audit = log_open(&plenty);

	(void)state;
	changes(audit, 3);
	audit_close(audit);
	file_put(2, "", 0);
	audit = log_open(&plenty);
	assert_string_equal(alarm_of(audit), "");
	audit_close(audit);
	file_put(2, "{\"seq\":8,\"ti", 12);
	audit = log_open(&plenty);
	assert_string_equal(alarm_of(audit), "");
	changes(audit, 1);
	audit_close(audit);
	assert_int_equal(access(fixture_path(file_name(2)), F_OK), -1);
	assert_good();
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_lines_say_who_what_why),
		TEST(test_arguments_are_shortened),
		TEST(test_chain_goes_on_over_files_and_starts),
		TEST(test_oldest_files_go_by_plan_only),
		TEST(test_forgotten_keys),
		TEST(test_any_changed_byte_is_found),
		TEST(test_any_edit_is_found),
		TEST(test_lines_taken_moved_repeated),
		TEST(test_files_taken_and_renamed),
		TEST(test_torn_line),
		TEST(test_unknown_outcome),
		TEST(test_damaged_log_raises_an_alarm_at_start),
		TEST(test_damage_is_told_for_ever),
		TEST(test_anchor_is_a_file),
		TEST(test_damage_while_it_runs_raises_an_alarm),
		TEST(test_full_disk_refuses_all_but_revocations),
		TEST(test_key_and_directory_are_checked),
		TEST(test_crash_at_rotation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whitelists: empty is nobody, absent is everybody, and whatever happens to the file the last good
 * list stays, over a restart too.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <time.h>

#include "ctrl/whitelist.h"
#include "ctrl/whitelist_parse.h"

static struct registry *registry;
static struct whitelists *lists;
static struct config config;
static struct reason reason;

static void
begin(void)
{
	registry = registry_open(fixture_dir, &reason);
	assert_non_null(registry);
	assert_int_equal(registry_realm_enter(registry, 7, "lab", &reason), 0);
	lists = whitelists_create(registry, geteuid());
	assert_non_null(lists);
}

static void
end(void)
{
	whitelists_destroy(lists);
	registry_close(registry);
}

static int
setup(void **state)
{
	if (fixture_setup(state) != 0)
		return -1;
	memset(&config, 0, sizeof(config));
	config.realm_count = 1;
	config.realms[0].id = 7;
	snprintf(config.realms[0].name, sizeof(config.realms[0].name), "lab");
	snprintf(config.realms[0].whitelist, sizeof(config.realms[0].whitelist), "%s",
		fixture_path("nodes"));
	begin();
	return 0;
}

static int
teardown(void **state)
{
	end();
	return fixture_teardown(state);
}

static int
load(void)
{
	return whitelists_load(lists, &config, &reason);
}

static bool
has(const char *name)
{
	return whitelist_has(lists, 0, name);
}

/* The look at which a change is seen, and the one at which it has settled. */
static bool
look(void)
{
	bool has_changed = whitelists_look(lists);

	has_changed |= whitelists_look(lists);
	whitelists_done(lists);
	return has_changed;
}

static void
test_names(void **state)
{
	(void)state;
	fixture_write_text("nodes", "# who may\n\n n[001-003]  # three\r\nlogin1\nlogin1");
	assert_int_equal(load(), 0);
	assert_true(has("n001") && has("n003") && has("login1"));
	assert_false(has("n1") || has("n004") || has("login") || has("") || has("# who may"));
	assert_int_equal(whitelist_view(lists, 0).count, 4);
	assert_null(whitelist_view(lists, 0).fault);
	assert_string_equal(whitelist_view(lists, 0).path, config.realms[0].whitelist);
}

static void
test_absent_is_everybody(void **state)
{
	(void)state;
	config.realms[0].whitelist[0] = '\0';
	assert_int_equal(load(), 0);
	assert_true(has("anybody"));
	assert_null(whitelist_view(lists, 0).path);
	assert_false(look());
}

static void
test_empty_is_nobody(void **state)
{
	(void)state;
	fixture_write_text("nodes", "\n# nobody yet\n");
	assert_int_equal(load(), 0);
	assert_false(has("n1"));
	fixture_write_text("nodes", "n1\n");
	assert_true(look());
	assert_true(has("n1"));
	fixture_write_text("nodes", "");
	assert_true(look());
	assert_false(has("n1"));
	/* And it is remembered as a list, not as none. */
	unlink(fixture_path("nodes"));
	end();
	begin();
	assert_int_equal(load(), 0);
	assert_false(has("n1"));
}

/* A file in the middle of being written is not taken. */
static void
test_settles(void **state)
{
	(void)state;
	fixture_write_text("nodes", "n1\n");
	assert_int_equal(load(), 0);
	fixture_write_text("nodes", "");
	assert_false(whitelists_look(lists));
	assert_true(has("n1"));
	fixture_write_text("nodes", "n1\nn2\n");
	assert_false(whitelists_look(lists));
	assert_true(whitelists_look(lists));
	assert_true(has("n1") && has("n2"));
	/* Until the nodes know. */
	assert_true(whitelists_look(lists));
	whitelists_done(lists);
	assert_false(whitelists_look(lists));
}

static void
spoil_mode(void)
{
	assert_int_equal(chmod(fixture_path("nodes"), 0666), 0);
}

static void
spoil_owner(void)
{
	assert_int_equal(chown(fixture_path("nodes"), 12345, 12345), 0);
}

static void
spoil_by_removal(void)
{
	unlink(fixture_path("nodes"));
}

static void
spoil_by_directory(void)
{
	unlink(fixture_path("nodes"));
	assert_int_equal(mkdir(fixture_path("nodes"), 0755), 0);
}

static void
spoil_by_fifo(void)
{
	unlink(fixture_path("nodes"));
	assert_int_equal(mkfifo(fixture_path("nodes"), 0644), 0);
}

static void
spoil_by_text(void)
{
	fixture_write_text("nodes", "n2\nn[1-\n");
}

static void
spoil_by_size(void)
{
	assert_int_equal(truncate(fixture_path("nodes"), WHITELIST_SIZE_MAX + 1), 0);
}

static const struct {
	void (*spoil)(void);
	const char *says;
	bool needs_root;
} spoils[] = {
	{spoil_mode, "others may write it", false},
	{spoil_owner, "belongs to uid 12345", true},
	{spoil_by_removal, "No such file", false},
	{spoil_by_directory, "not a regular file", false},
	{spoil_by_fifo, "not a regular file", false},
	{spoil_by_text, "nodes:2: ", false},
	{spoil_by_size, "is larger than", false},
};

static void
test_last_good_stays(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
		if (spoils[i].needs_root && geteuid() != 0)
			continue;
		rmdir(fixture_path("nodes"));
		fixture_write_text("nodes", "n1\n");
		look();
		assert_int_equal(load(), 0);
		assert_null(whitelist_view(lists, 0).fault);
		spoils[i].spoil();
		assert_false(look());
		assert_true(has("n1"));
		assert_false(has("n2"));
		assert_non_null(strstr(whitelist_view(lists, 0).fault, spoils[i].says));
		assert_true(whitelist_view(lists, 0).failed_us != 0);
		/* A reload is no reason to fail, nor to forget. */
		assert_int_equal(load(), 0);
		assert_true(has("n1"));
		/* Nor is a restart. */
		end();
		begin();
		assert_int_equal(load(), 0);
		assert_true(has("n1"));
		assert_false(has("n2"));
		assert_non_null(strstr(whitelist_view(lists, 0).fault, spoils[i].says));
	}
	rmdir(fixture_path("nodes"));
	fixture_write_text("nodes", "n3\n");
	assert_true(look());
	assert_true(has("n3"));
	assert_false(has("n1"));
	assert_null(whitelist_view(lists, 0).fault);
}

/* Neither everybody nor nobody can be guessed. */
static void
test_no_good_list_ever(void **state)
{
	(void)state;
	assert_int_equal(load(), -ENOENT);
	assert_non_null(strstr(reason.text, "realm lab: whitelist"));
	assert_non_null(strstr(reason.text, "no earlier list"));
	assert_true(has("n1")); /* nothing changed: there is no list in force */
	fixture_write_text("nodes", "n1\n");
	assert_int_equal(load(), 0);
	assert_false(has("n2"));
}

/* Who takes the key out and puts it in again later does not get the list of long ago. */
static void
test_key_removed(void **state)
{
	char path[CONFIG_PATH_SIZE];

	(void)state;
	fixture_write_text("nodes", "n1\n");
	assert_int_equal(load(), 0);
	memcpy(path, config.realms[0].whitelist, sizeof(path));
	config.realms[0].whitelist[0] = '\0';
	assert_int_equal(load(), 0);
	assert_true(has("n2"));
	unlink(fixture_path("nodes"));
	/* Who could not go on with the new configuration has the old list back. */
	memcpy(config.realms[0].whitelist, path, sizeof(path));
	assert_int_equal(load(), 0);
	assert_true(has("n1"));
	assert_false(has("n2"));
	config.realms[0].whitelist[0] = '\0';
	assert_int_equal(load(), 0);
	whitelists_forget(lists, &config);
	memcpy(config.realms[0].whitelist, path, sizeof(path));
	assert_int_equal(load(), -ENOENT);
	assert_true(has("n2"));
}

/* Another file name: until it is good, the old list holds. */
static void
test_other_file(void **state)
{
	(void)state;
	fixture_write_text("nodes", "n1\n");
	assert_int_equal(load(), 0);
	snprintf(config.realms[0].whitelist, sizeof(config.realms[0].whitelist), "%s",
		fixture_path("others"));
	assert_int_equal(load(), 0);
	assert_true(has("n1"));
	assert_non_null(whitelist_view(lists, 0).fault);
	fixture_write_text("others", "n2\n");
	assert_true(look());
	assert_true(has("n2"));
	assert_false(has("n1"));
}

static void
test_parse_refuses(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{"n1 n2\n", ":1: is no name"},
		{"ok\n-n\n", ":2: is no name"},
		{".n\n", ":1: is no name"},
		{"n\303\244\n", ":1: is no name"},
		{"n[1-3\n", ":1: ']' is missing"},
		{"n1]\n", ":1: '[' is missing"},
		{"n[3-1]\n", "runs backwards"},
		{"n[0-999]m[0-999]\nlast\n", ":2: more than 1048576 names"},
	};
	struct name_set set = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *text = cases[i].text;
		int error = whitelist_parse(&set, "f", text, strlen(text), &reason);

		if (i + 1 == sizeof(cases) / sizeof(cases[0])) {
			assert_int_equal(error, 0); /* a million and one still fit */
			assert_int_equal(set.count, 1000001);
			name_set_clear(&set);
			text = "n[0-999]m[0-999]\no[0-99999]\n";
			error = whitelist_parse(&set, "f", text, strlen(text), &reason);
		}
		assert_int_equal(error, -EINVAL);
		if (strstr(reason.text, cases[i].says) == NULL)
			fail_msg("'%s' is not in: %s", cases[i].says, reason.text);
		assert_int_equal(set.count, 0);
		assert_null(set.pool);
	}
	assert_int_equal(whitelist_parse(&set, "f", "n1\n\0n2\n", 7, &reason), -EINVAL);
	assert_non_null(strstr(reason.text, "zero byte"));
	assert_int_equal(whitelist_parse(&set, "f", "n1\0", 3, &reason), -EINVAL);
}

/* Whatever the bytes are: a list, or one line that says what is wrong, and the set is empty. */
static void
test_parse_any_bytes(void **state)
{
	static const char bytes[] = "n[0-9],]#\n\r\t .-_a1\0\x80\xff";
	struct name_set set = {0};
	char text[64];

	(void)state;
	srand(11);
	for (unsigned round = 0; round < 50000; round++) {
		size_t size = (size_t)rand() % sizeof(text);
		int error;

		for (size_t i = 0; i < size; i++)
			text[i] = bytes[(size_t)rand() % (sizeof(bytes) - 1)];
		reason.text[0] = '\0';
		error = whitelist_parse(&set, "f", text, size, &reason);
		assert_true(error == 0 || error == -EINVAL);
		assert_int_equal(error == 0, reason.text[0] == '\0');
		assert_null(strchr(reason.text, '\n'));
		assert_true(error == 0 || set.count == 0);
		name_set_clear(&set);
	}
}

static void
test_many(void **state)
{
	struct name_set set = {0};
	char name[16];

	(void)state;
	assert_int_equal(whitelist_parse(&set, "f", "n[00001-99999]", 14, &reason), 0);
	assert_int_equal(set.count, 99999);
	for (unsigned i = 0; i <= 100000; i++) {
		snprintf(name, sizeof(name), "n%05u", i);
		assert_int_equal(name_set_has(&set, name), i >= 1 && i <= 99999);
	}
	name_set_clear(&set);
	assert_false(name_set_has(&set, "n00001"));
}

#define WITH_FILES(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILES(test_names),
		WITH_FILES(test_absent_is_everybody),
		WITH_FILES(test_empty_is_nobody),
		WITH_FILES(test_settles),
		WITH_FILES(test_last_good_stays),
		WITH_FILES(test_no_good_list_ever),
		WITH_FILES(test_key_removed),
		WITH_FILES(test_other_file),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_parse_any_bytes),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The registry's documents and their history, and databases of older versions. */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <sqlite3.h>

#include "ctrl/registry.h"

#define REALM 7u

static struct reason reason;

static struct registry *
open_registry(void)
{
	struct registry *registry = registry_open(fixture_dir, &reason);

	if (registry == NULL)
		fail_msg("%s", reason.text);
	assert_int_equal(registry_realm_enter(registry, REALM, "lab", &reason), 0);
	return registry;
}

static uint32_t
put(struct registry *registry, uint32_t realm, const char *kind, const char *text)
{
	uint32_t version = 0;
	int error = registry_document_put(registry, realm, kind, text, "uid 0", &version, &reason);

	if (error != 0)
		fail_msg("%s", reason.text);
	return version;
}

static void
expect(struct registry *registry, uint32_t realm, const char *kind, uint32_t version,
	const char *text)
{
	struct registry_document document;

	assert_int_equal(
		registry_document_get(registry, realm, kind, version, &document, &reason), 0);
	assert_string_equal(document.text, text);
	assert_int_equal(document.size, strlen(text));
	assert_string_equal(document.who, "uid 0");
	assert_false(document.is_removed);
	free(document.text);
}

static void
test_history(void **state)
{
	struct registry *registry = open_registry();
	struct registry_document document;

	(void)state;
	assert_int_equal(
		registry_document_get(registry, REALM, "policy", 0, &document, &reason), -ENOENT);
	assert_int_equal(document.version, 0);
	assert_int_equal(put(registry, REALM, "policy", "rules: []\n"), 1);
	assert_int_equal(put(registry, REALM, "policy", "rules: [\xc3\xa9]\n"), 2);
	assert_int_equal(put(registry, REALM, "mode", "observe"), 1);
	assert_int_equal(put(registry, 0, "policy", ""), 1);
	registry_close(registry);

	registry = open_registry();
	expect(registry, REALM, "policy", 0, "rules: [\xc3\xa9]\n");
	expect(registry, REALM, "policy", 1, "rules: []\n");
	expect(registry, REALM, "mode", 0, "observe");
	expect(registry, 0, "policy", 0, "");
	assert_int_equal(
		registry_document_get(registry, REALM, "policy", 3, &document, &reason), -ENOENT);
	assert_non_null(strstr(reason.text, "no version 3 of the policy"));
	registry_close(registry);
}

/* What was removed is not there, but its history is, and the numbers go on. */
static void
test_removal(void **state)
{
	struct registry *registry = open_registry();
	struct registry_document document;

	(void)state;
	put(registry, REALM, "policy", "old");
	assert_int_equal(put(registry, REALM, "policy", NULL), 2);
	assert_int_equal(
		registry_document_get(registry, REALM, "policy", 0, &document, &reason), -ENOENT);
	assert_true(document.is_removed);
	assert_int_equal(document.version, 2);
	assert_null(document.text);
	assert_non_null(strstr(reason.text, "removed with version 2"));
	expect(registry, REALM, "policy", 1, "old");
	assert_int_equal(put(registry, REALM, "policy", "new"), 3);
	expect(registry, REALM, "policy", 0, "new");
	registry_close(registry);
}

struct seen {
	uint32_t versions[4];
	size_t sizes[4];
	unsigned count;
	unsigned limit;
};

static bool
see(const struct registry_document *document, void *context)
{
	struct seen *seen = context;

	assert_null(document->text);
	assert_true(document->added_s > 0);
	seen->versions[seen->count] = document->version;
	seen->sizes[seen->count] = document->size;
	return ++seen->count < seen->limit;
}

static void
test_walk(void **state)
{
	struct registry *registry = open_registry();
	struct seen all = {.limit = 4}, one = {.limit = 1};

	(void)state;
	put(registry, REALM, "policy", "1");
	put(registry, REALM, "policy", "22");
	put(registry, REALM, "policy", NULL);
	put(registry, REALM, "mode", "x");
	assert_int_equal(registry_document_walk(registry, REALM, "policy", see, &all, &reason), 0);
	assert_int_equal(all.count, 3);
	assert_int_equal(all.versions[0], 3);
	assert_int_equal(all.sizes[0], 0);
	assert_int_equal(all.versions[1], 2);
	assert_int_equal(all.sizes[1], 2);
	assert_int_equal(registry_document_walk(registry, REALM, "policy", see, &one, &reason), 0);
	assert_int_equal(one.count, 1);
	registry_close(registry);
}

/* The history has a bound, and a text too. */
static void
test_bounds(void **state)
{
	struct registry *registry = open_registry();
	struct registry_document document;
	char *large = malloc(REGISTRY_DOCUMENT_SIZE_MAX + 2);

	(void)state;
	assert_non_null(large);
	for (unsigned i = 1; i <= REGISTRY_DOCUMENTS_KEPT + 2; i++)
		assert_int_equal(put(registry, REALM, "policy", "x"), i);
	assert_int_equal(
		registry_document_get(registry, REALM, "policy", 2, &document, &reason), -ENOENT);
	expect(registry, REALM, "policy", 3, "x");
	memset(large, 'y', REGISTRY_DOCUMENT_SIZE_MAX + 1);
	large[REGISTRY_DOCUMENT_SIZE_MAX + 1] = '\0';
	assert_int_equal(
		registry_document_put(registry, REALM, "policy", large, "uid 0", NULL, &reason),
		-EFBIG);
	expect(registry, REALM, "policy", 0, "x");
	large[REGISTRY_DOCUMENT_SIZE_MAX] = '\0';
	put(registry, REALM, "policy", large);
	expect(registry, REALM, "policy", 0, large);
	registry_close(registry);
	free(large);
}

/* ---- what version 1 wrote ---- */

static const char version_1[] =
	"CREATE TABLE realms(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE nodes(realm INTEGER NOT NULL REFERENCES realms(id), node INTEGER NOT NULL,"
	"  name TEXT NOT NULL, state INTEGER NOT NULL, highest INTEGER NOT NULL,"
	"  added_s INTEGER NOT NULL, changed_s INTEGER NOT NULL,"
	"  PRIMARY KEY(realm, node), UNIQUE(realm, name)) WITHOUT ROWID;"
	"CREATE TABLE epochs(realm INTEGER NOT NULL, node INTEGER NOT NULL, epoch INTEGER NOT NULL,"
	"  suite INTEGER NOT NULL, state INTEGER NOT NULL, not_before_s INTEGER NOT NULL,"
	"  not_after_s INTEGER NOT NULL, master TEXT NOT NULL, PRIMARY KEY(realm, node, epoch),"
	"  FOREIGN KEY(realm, node) REFERENCES nodes(realm, node)) WITHOUT ROWID;"
	"CREATE TABLE prefixes(realm INTEGER NOT NULL, node INTEGER NOT NULL,"
	"  place INTEGER NOT NULL, address BLOB NOT NULL, bits INTEGER NOT NULL,"
	"  PRIMARY KEY(realm, node, place),"
	"  FOREIGN KEY(realm, node) REFERENCES nodes(realm, node)) WITHOUT ROWID;"
	"CREATE TABLE tombstones(realm INTEGER NOT NULL, node INTEGER NOT NULL,"
	"  highest INTEGER NOT NULL, name TEXT NOT NULL, deleted_s INTEGER NOT NULL,"
	"  PRIMARY KEY(realm, node)) WITHOUT ROWID;"
	"INSERT INTO realms VALUES(7, 'lab');"
	"INSERT INTO nodes VALUES(7, 1, 'a', 1, 2, 10, 20), (7, 2, 'b', 2, 1, 10, 20);"
	"INSERT INTO epochs VALUES(7, 1, 1, 3, 2, 0, 4294967295, '0123456789abcdef'),"
	"  (7, 1, 2, 4, 1, 5, 4294967295, '0123456789abcdef');"
	"INSERT INTO prefixes VALUES(7, 1, 0, x'fd770000000000000000000000000000', 64);"
	"INSERT INTO tombstones VALUES(7, 3, 9, 'gone', 30);"
	"PRAGMA user_version = 1";

static void
version_1_write(void)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path("registry.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, version_1, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	fixture_write("highwater", "7 1 1\n7 1 2\n7 2 1\n7 2 1 closed\n7 3 9 closed\n", 44, 0600);
}

static void
test_from_version_1(void **state)
{
	struct registry *registry;
	struct registry_node node;

	(void)state;
	version_1_write();
	registry = open_registry();
	assert_int_equal(registry_node_find(registry, REALM, "lab", "a", 0, &node, &reason), 0);
	assert_true(node.is_live);
	assert_false(node.is_suspended);
	assert_int_equal(node.role_count, 0);
	assert_string_equal(node.note, "");
	assert_int_equal(node.epoch_count, 1);
	assert_int_equal(node.epochs[0].epoch, 2);
	assert_int_equal(node.epochs[0].suite, 4);
	assert_int_equal(node.prefix_count, 1);
	assert_int_equal(node.prefixes[0].bits, 64);
	assert_int_equal(registry_node_find(registry, REALM, "lab", "b", 0, &node, &reason), 0);
	assert_false(node.is_live);
	put(registry, REALM, "policy", "x");
	registry_close(registry);
	expect(registry = open_registry(), REALM, "policy", 0, "x");
	registry_close(registry);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_history),
		TEST(test_removal),
		TEST(test_walk),
		TEST(test_bounds),
		TEST(test_from_version_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

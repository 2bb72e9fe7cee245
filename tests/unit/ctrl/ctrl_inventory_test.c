/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes as an inventory: roles, names, prefixes, suspension, and revoking many at once, over the
 * verbs of a gateway that is real but for its dataplane.
 */
#include "tests/unit/ctrl/ctrl_rig.h"

#include <signal.h>
#include <sys/resource.h>

#include "ctrl/inventory.h"

#define NODES_MAX 400u

static int
setup(void **state)
{
	if (rig_dirs(state) != 0)
		return -1;
	rig_master("lab");
	rig_config(RIG_LAB, NODES_MAX);
	rig_start();
	return 0;
}

/* A verb with arguments as JSON text, in force; the result, or NULL with `reason`. */
static json_t *
ask(const char *verb, const char *args)
{
	json_t *result = rig_call(verb, rig_args(args));

	if (result != NULL) {
		keytable_publish(ctrl.keys);
		keytable_settle(ctrl.keys);
	}
	return result;
}

static void
must(const char *verb, const char *args)
{
	json_t *result = ask(verb, args);

	if (result == NULL)
		fail_msg("%s %s: %s", verb, args, reason.text);
	json_decref(result);
}

static void
must_not(const char *verb, const char *args, const char *why)
{
	json_t *result = ask(verb, args);

	if (result != NULL)
		fail_msg("%s %s was done", verb, args);
	if (strstr(reason.text, why) == NULL)
		fail_msg("no '%s' in: %s", why, reason.text);
}

/* The member of an answer as compact text. */
static void
expect(json_t *result, const char *member, const char *wanted)
{
	char *text;

	if (result == NULL)
		fail_msg("%s", reason.text);
	text = json_dumps(json_object_get(result, member), JSON_ENCODE_ANY | JSON_COMPACT);
	assert_non_null(text);
	assert_string_equal(text, wanted);
	free(text);
}

static struct registry_node
find(const char *name)
{
	struct registry_node node;

	if (registry_node_find(ctrl.registry, 7, "lab", name, 0, &node, &reason) != 0)
		fail_msg("%s", reason.text);
	return node;
}

/* Names of a filtered list, with commas. */
static const char *
listed(const char *args)
{
	static char names[1024];
	json_t *result = ask("node.list", args), *node;
	size_t i;

	names[0] = '\0';
	assert_non_null(result);
	json_array_foreach(json_object_get(result, "nodes"), i, node)
	{
		strcat(names, i > 0 ? "," : "");
		strcat(names, json_string_value(json_object_get(node, "name")));
	}
	json_decref(result);
	return names;
}

/* The node's slot in the half that is in force. */
static const struct key_slot *
slot_of(const char *name)
{
	const struct table_header *header = ctrl.shared.table.mapping;
	const struct table_half *half = &header->halves[header->generation & 1];
	const struct key_slot *slots =
		(const struct key_slot *)((const uint8_t *)header + half->slots);
	struct registry_node node = find(name);

	return &slots[ctrl.bases[0] + node.node];
}

/* Is its key in force? */
static bool
is_in_force(const char *name)
{
	return slot_of(name)->state == KEY_SLOT_LIVE;
}

static void
test_roles(void **state)
{
	(void)state;
	must("node.add",
		"{\"realm\":\"lab\",\"name\":\"a\",\"roles\":[\"web\",\"batch\",\"web\"]}");
	assert_int_equal(find("a").role_count, 2);
	assert_string_equal(find("a").roles[0], "batch");
	assert_string_equal(find("a").roles[1], "web");
	must("node.set", "{\"realm\":\"lab\",\"name\":\"a\",\"add_roles\":[\"gpu\"],"
			 "\"drop_roles\":[\"web\",\"none\"]}");
	assert_int_equal(find("a").role_count, 2);
	assert_string_equal(find("a").roles[1], "gpu");
	must("node.set", "{\"realm\":\"lab\",\"name\":\"a\",\"roles\":[]}");
	assert_int_equal(find("a").role_count, 0);
	must_not("node.set", "{\"realm\":\"lab\",\"name\":\"a\",\"roles\":[\"a b\"]}",
		"\"a b\" is no role");
	must_not("node.set",
		"{\"realm\":\"lab\",\"name\":\"a\",\"roles\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\","
		"\"7\",\"8\",\"9\"]}",
		"at most 8 roles");
	must_not("node.set", "{\"realm\":\"lab\",\"name\":\"a\"}", "nothing to change");
	assert_int_equal(find("a").role_count, 0);
	/* Its key was never touched. */
	assert_int_equal(find("a").highest, 1);
	assert_true(is_in_force("a"));
}

static void
test_rename_and_move(void **state)
{
	(void)state;
	must("node.add", "{\"realm\":\"lab\",\"name\":\"a\",\"prefixes\":[\"10.0.0.1\"]}");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"b\"}");
	must_not("node.set", "{\"realm\":\"lab\",\"name\":\"a\",\"rename\":\"b\"}",
		"node b is there already in realm lab (id 2)");
	must("node.set", "{\"realm\":\"lab\",\"name\":\"a\",\"rename\":\"c\",\"prefixes\":["
			 "\"fd77::/64\",\"10.9.0.0/16\"]}");
	assert_int_equal(find("c").node, 1);
	assert_int_equal(find("c").prefix_count, 2);
	assert_int_equal(find("c").highest, 1);
	must_not("node.set", "{\"realm\":\"lab\",\"name\":\"a\",\"rename\":\"d\"}", "no node a");
	/* To its own name is no trouble. */
	must("node.set", "{\"realm\":\"lab\",\"name\":\"c\",\"rename\":\"c\"}");
}

static void
test_suspend(void **state)
{
	(void)state;
	must("node.add", "{\"realm\":\"lab\",\"name\":\"a\"}");
	must("node.suspend", "{\"realm\":\"lab\",\"name\":\"a\",\"why\":\"disk on fire\"}");
	assert_true(find("a").is_suspended);
	assert_true(find("a").is_live);
	assert_string_equal(find("a").note, "disk on fire");
	assert_string_equal(listed("{\"realm\":\"lab\",\"state\":\"suspended\"}"), "a");
	/* A further key does not let it in again, nor does a restart. */
	must("node.rotate", "{\"realm\":\"lab\",\"name\":\"a\"}");
	assert_true(find("a").is_suspended);
	rig_restart();
	assert_true(find("a").is_suspended);
	must("node.resume", "{\"realm\":\"lab\",\"name\":\"a\"}");
	assert_false(find("a").is_suspended);
	assert_string_equal(find("a").note, "");
	assert_int_equal(find("a").epoch_count, 2);
	assert_true(is_in_force("a"));
	must("node.suspend", "{\"realm\":\"lab\",\"name\":\"a\"}");
	must("node.revoke", "{\"realm\":\"lab\",\"name\":\"a\",\"why\":\"sold\"}");
	assert_false(find("a").is_live);
	assert_false(find("a").is_suspended);
	assert_string_equal(find("a").note, "sold");
	must_not("node.resume", "{\"realm\":\"lab\",\"name\":\"a\"}", "is revoked");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"a\"}");
	assert_true(is_in_force("a"));
	assert_string_equal(find("a").note, "");
}

/* A note has room for so much, and is never cut within a letter. */
static void
test_note_cut(void **state)
{
	char args[512] = "{\"realm\":\"lab\",\"name\":\"a\",\"why\":\"";
	struct registry_node node;

	(void)state;
	must("node.add", "{\"realm\":\"lab\",\"name\":\"a\"}");
	for (unsigned i = 0; i < 126; i++)
		strcat(args, "x");
	strcat(args, "\xc3\xa9yyy\"}");
	must("node.suspend", args);
	node = find("a");
	assert_int_equal(strlen(node.note), 126);
	assert_int_equal(node.note[125], 'x');
}

static void
test_filters(void **state)
{
	(void)state;
	must("node.add", "{\"realm\":\"lab\",\"name\":\"a\",\"roles\":[\"x\"],\"prefixes\":["
			 "\"10.1.0.0/16\"]}");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"b\",\"roles\":[\"y\"],\"prefixes\":["
			 "\"10.1.2.0/24\",\"fd77::/64\"]}");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"c\",\"roles\":[\"x\",\"y\"]}");
	must("node.revoke", "{\"realm\":\"lab\",\"name\":\"c\"}");
	assert_string_equal(listed("{\"realm\":\"lab\",\"role\":\"x\"}"), "a,c");
	assert_string_equal(listed("{\"realm\":\"lab\",\"role\":\"x\",\"state\":\"live\"}"), "a");
	assert_string_equal(listed("{\"realm\":\"lab\",\"prefix\":\"10.1.0.0/16\"}"), "a,b");
	assert_string_equal(listed("{\"realm\":\"lab\",\"prefix\":\"10.1.2.0/23\"}"), "b");
	assert_string_equal(listed("{\"realm\":\"lab\",\"prefix\":\"fd77::/63\"}"), "b");
	must_not("node.list", "{\"realm\":\"lab\",\"state\":\"dead\"}", "state must be live");
}

/* ---- many at once ---- */

static void
add_many(void)
{
	must("node.add", "{\"realm\":\"lab\",\"name\":\"in\",\"roles\":[\"x\"],\"prefixes\":["
			 "\"10.1.2.0/24\",\"10.1.3.3\"]}");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"both\",\"roles\":[\"x\"],\"prefixes\":["
			 "\"10.1.2.7\",\"10.2.0.0/16\"]}");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"around\",\"prefixes\":[\"10.0.0.0/8\"]}");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"out\",\"prefixes\":[\"10.2.0.0/16\"]}");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"anywhere\"}");
}

static void
test_revoke_role(void **state)
{
	json_t *result;

	(void)state;
	add_many();
	result = ask("node.revoke", "{\"realm\":\"lab\",\"role\":\"x\",\"dry_run\":true}");
	expect(result, "count", "2");
	expect(result, "nodes", "[\"in\",\"both\"]");
	json_decref(result);
	assert_true(is_in_force("in"));
	result = ask("node.revoke", "{\"realm\":\"lab\",\"role\":\"x\",\"why\":\"sold\"}");
	expect(result, "count", "2");
	assert_true(json_integer_value(json_object_get(result, "in_force_us")) > 0);
	json_decref(result);
	assert_false(is_in_force("in"));
	assert_false(is_in_force("both"));
	assert_true(is_in_force("around"));
	assert_string_equal(find("both").note, "sold");
	result = ask("node.revoke", "{\"realm\":\"lab\",\"role\":\"x\"}");
	expect(result, "count", "0");
	expect(result, "already", "2");
	json_decref(result);
	rig_restart();
	assert_false(is_in_force("in"));
	assert_true(is_in_force("out"));
}

/* Only nodes that are inside as a whole; those that are inside in part are told, and stay. */
static void
test_revoke_prefix(void **state)
{
	json_t *result;

	(void)state;
	add_many();
	result = ask("node.revoke", "{\"realm\":\"lab\",\"prefix\":\"10.1.0.0/16\"}");
	expect(result, "count", "1");
	expect(result, "nodes", "[\"in\"]");
	expect(result, "partial_count", "2");
	expect(result, "partial", "[\"both\",\"around\"]");
	json_decref(result);
	assert_false(is_in_force("in"));
	assert_true(is_in_force("both"));
	assert_true(is_in_force("around"));
	assert_true(is_in_force("anywhere"));
	must_not("node.revoke", "{\"realm\":\"lab\",\"prefix\":\"10.1.0.1/16\"}", "has bits set");
	must_not("node.revoke", "{\"realm\":\"lab\",\"prefix\":\"10.1.0.0/16\",\"role\":\"x\"}",
		"in one way");
	must_not("node.revoke", "{\"realm\":\"lab\",\"dry_run\":true,\"name\":\"out\"}",
		"in one way");
}

static void
test_revoke_names(void **state)
{
	json_t *result;

	(void)state;
	add_many();
	result = ask("node.revoke", "{\"realm\":\"lab\",\"names\":[\"in\",\"nobody\",\"out\"]}");
	expect(result, "count", "2");
	expect(result, "unknown", "[\"nobody\"]");
	json_decref(result);
	assert_false(is_in_force("in"));
	assert_false(is_in_force("out"));
	must_not("node.revoke", "{\"realm\":\"lab\",\"names\":\"in\"}", "must be a list");
	must_not("node.revoke", "{\"realm\":\"lab\",\"names\":[1]}", "a list of texts");
}

/* A full disk: all of them are out at once, and written as soon as there is room. */
static void
test_revoke_unwritten(void **state)
{
	struct rlimit limit = {0, RLIM_INFINITY};
	json_t *result;

	(void)state;
	add_many();
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	result = ask("node.revoke", "{\"realm\":\"lab\",\"role\":\"x\"}");
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect(result, "count", "2");
	assert_non_null(json_object_get(result, "warning"));
	json_decref(result);
	assert_int_equal(registry_unwritten(ctrl.registry), 2);
	assert_false(is_in_force("in"));
	assert_false(find("both").is_live);
	must_not("node.resume", "{\"realm\":\"lab\",\"name\":\"both\"}", "is revoked");
	assert_int_equal(registry_sync(ctrl.registry, &reason), 0);
	assert_int_equal(registry_unwritten(ctrl.registry), 0);
	rig_restart();
	assert_false(find("in").is_live);
	assert_false(find("both").is_live);
}

/* ---- imports ---- */

static unsigned
import_begin(void)
{
	json_t *result = ask("import.begin", "{\"realm\":\"lab\"}");
	unsigned number;

	if (result == NULL)
		fail_msg("%s", reason.text);
	number = (unsigned)json_integer_value(json_object_get(result, "import"));
	json_decref(result);
	return number;
}

/* Rows as JSON text; NULL with `reason` if they are not taken. */
static json_t *
import_rows(unsigned number, const char *rows)
{
	char args[4096];

	snprintf(args, sizeof(args), "{\"import\":%u,\"rows\":[%s]}", number, rows);
	return ask("import.rows", args);
}

static json_t *
import_end(unsigned number, const char *how)
{
	char args[128];

	snprintf(args, sizeof(args),
		strcmp(how, "import.commit") == 0 ? "{\"import\":%u,\"realm\":\"lab\"}"
						  : "{\"import\":%u}",
		number);
	return ask(how, args);
}

/* Turns the event loop until all nodes of imports are in the key table. */
static void
load_all(void)
{
	while (inventory_left(ctrl.inventory) > 0)
		event_base_loop(ctrl.base, EVLOOP_ONCE);
	keytable_publish(ctrl.keys);
	keytable_settle(ctrl.keys);
}

static void
test_import(void **state)
{
	unsigned number;
	json_t *result;

	(void)state;
	must("node.add", "{\"realm\":\"lab\",\"name\":\"old\",\"roles\":[\"x\"]}");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"same\",\"roles\":[\"x\"]}");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"gone\"}");
	must("node.revoke", "{\"realm\":\"lab\",\"name\":\"gone\"}");
	number = import_begin();
	json_decref(import_rows(number,
		"{\"name\":\"new\",\"id\":77,\"prefixes\":[\"10.0.0.1\"],\"suite\":2},"
		"{\"name\":\"asleep\",\"state\":\"suspended\"},"
		"{\"name\":\"old\",\"roles\":[\"y\",\"z\"],\"state\":\"suspended\"},"
		"{\"name\":\"same\",\"roles\":[\"x\"]},{\"name\":\"gone\",\"state\":\"live\"},"
		"{\"name\":\"never\",\"state\":\"revoked\"}"));
	/* Nobody sees anything of it yet, and nothing else can change. */
	assert_string_equal(listed("{\"realm\":\"lab\"}"), "old,same,gone");
	must_not("node.add", "{\"realm\":\"lab\",\"name\":\"b\"}",
		"an import of nodes is under way");
	assert_int_equal(reason.error, EAGAIN);
	must_not("import.begin", "{\"realm\":\"lab\"}", "under way");
	result = import_end(number, "import.commit");
	expect(result, "added", "2");
	expect(result, "changed", "1");
	expect(result, "unchanged", "1");
	expect(result, "skipped", "2");
	json_decref(result);
	load_all();
	assert_string_equal(listed("{\"realm\":\"lab\"}"), "old,same,gone,new,asleep");
	assert_int_equal(find("new").node, 77);
	assert_int_equal(find("new").epochs[0].suite, 2);
	assert_true(is_in_force("new"));
	/* With a key, and in the class that is refused. */
	assert_true(is_in_force("asleep"));
	assert_int_not_equal(slot_of("asleep")->policy, slot_of("new")->policy);
	assert_int_equal(slot_of("asleep")->policy, slot_of("old")->policy);
	assert_true(find("asleep").is_suspended);
	assert_true(find("old").is_suspended);
	assert_int_equal(find("old").role_count, 2);
	assert_int_equal(find("old").highest, 1);
	assert_false(find("gone").is_live);
	must_not("import.commit", "{\"realm\":\"lab\",\"import\":1}", "is over");
	rig_restart();
	assert_true(is_in_force("new"));
	assert_int_equal(find("new").highest, 1);
}

/* Whatever is wrong with one row: nothing of the others is there, and the next import may begin. */
static void
test_import_all_or_nothing(void **state)
{
	static const struct {
		const char *row;
		const char *why;
	} wrong[] = {
		{"{\"name\":\"a b\"}", "is no name for a node"},
		{"{\"id\":3}", "name is missing"},
		{"{\"name\":\"w\",\"id\":401}", "above nodes_max (400)"},
		{"{\"name\":\"w\",\"id\":1}", "id 1 of realm lab is node old"},
		{"{\"name\":\"old\",\"id\":9}", "has id 1, not 9"},
		{"{\"name\":\"old\",\"state\":\"revoked\"}", "an import revokes nothing"},
		{"{\"name\":\"w\",\"state\":\"dead\"}", "\"dead\" is none"},
		{"{\"name\":\"first\"}", "comes twice"},
		{"{\"name\":\"w\",\"prefixes\":[\"10.0.0.1/8\"]}", "has bits set"},
		{"{\"name\":\"w\",\"roles\":[\"-r\"]}", "\"-r\" is no role"},
		{"{\"name\":\"w\",\"suite\":9}", "suite must be"},
		{"{\"name\":\"w\",\"master\":\"x\"}", "a node has no \"master\""},
		{"17", "a node is an object"},
	};
	char rows[512];
	unsigned number;
	json_t *result;

	(void)state;
	must("node.add", "{\"realm\":\"lab\",\"name\":\"old\"}");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		number = import_begin();
		snprintf(rows, sizeof(rows), "{\"name\":\"first\"},{\"name\":\"other\"},%s",
			wrong[i].row);
		result = import_rows(number, rows);
		if (result != NULL)
			fail_msg("%s was taken", rows);
		if (strstr(reason.text, wrong[i].why) == NULL)
			fail_msg("no '%s' in: %s", wrong[i].why, reason.text);
		assert_non_null(strstr(reason.text, "row "));
		assert_string_equal(listed("{\"realm\":\"lab\"}"), "old");
		assert_int_equal(find("old").role_count, 0);
		assert_null(import_end(number, "import.commit"));
	}
	must("node.add", "{\"realm\":\"lab\",\"name\":\"first\"}");
	assert_int_equal(find("first").highest, 1);
}

/* A row says where it comes from; a dry run is an import that is not kept. */
static void
test_import_place_and_abort(void **state)
{
	unsigned number = import_begin();
	json_t *result;

	(void)state;
	assert_null(import_rows(number, "{\"at\":\"line 17\",\"name\":\"a b\"}"));
	assert_int_equal(strncmp(reason.text, "line 17: ", 9), 0);
	number = import_begin();
	json_decref(import_rows(number, "{\"name\":\"a\"}"));
	result = import_end(number, "import.abort");
	expect(result, "added", "1");
	json_decref(result);
	assert_string_equal(listed("{\"realm\":\"lab\"}"), "");
	must_not("import.rows", "{\"import\":1,\"rows\":{}}", "is over");
	number = import_begin();
	assert_null(ask("import.rows", number == 3 ? "{\"import\":3,\"rows\":{}}" : "{}"));
	assert_non_null(strstr(reason.text, "rows must be a list"));
	must("node.add", "{\"realm\":\"lab\",\"name\":\"a\"}");
}

/* What is revoked while an import runs is out at once, and written when the import is over. */
static void
test_revoked_during_import(void **state)
{
	unsigned number;
	json_t *result;

	(void)state;
	add_many();
	number = import_begin();
	json_decref(import_rows(number, "{\"name\":\"in\",\"roles\":[\"y\"]}"));
	result = ask("node.revoke", "{\"realm\":\"lab\",\"role\":\"x\"}");
	expect(result, "count", "2");
	assert_non_null(json_object_get(result, "warning"));
	json_decref(result);
	assert_false(is_in_force("in"));
	json_decref(import_end(number, "import.commit"));
	load_all();
	assert_int_equal(registry_unwritten(ctrl.registry), 0);
	assert_false(is_in_force("in"));
	assert_false(find("in").is_live);
	assert_int_equal(find("in").role_count, 1);
	assert_string_equal(find("in").roles[0], "y");
	rig_restart();
	assert_false(is_in_force("both"));
	assert_false(is_in_force("in"));
}

/* So does a suspension; taking one back waits for the import. */
static void
test_suspended_during_import(void **state)
{
	unsigned number;
	json_t *result;

	(void)state;
	add_many();
	number = import_begin();
	result = ask("node.suspend", "{\"realm\":\"lab\",\"name\":\"in\"}");
	assert_non_null(result);
	assert_non_null(strstr(json_string_value(json_object_get(result, "warning")),
		"when the import that is under way is over"));
	json_decref(result);
	assert_true(find("in").is_suspended);
	assert_int_equal(registry_unwritten(ctrl.registry), 1);
	assert_int_not_equal(slot_of("in")->policy, slot_of("out")->policy);
	must_not("node.resume", "{\"realm\":\"lab\",\"name\":\"in\"}", "under way");
	json_decref(import_end(number, "import.abort"));
	assert_int_equal(registry_unwritten(ctrl.registry), 0);
	rig_restart();
	assert_true(find("in").is_suspended);
	must("node.resume", "{\"realm\":\"lab\",\"name\":\"in\"}");
	assert_false(find("in").is_suspended);
	assert_int_equal(slot_of("in")->policy, slot_of("out")->policy);
}

/* A full disk at the commit: nothing is there, and the numbers that were noted are not used again. */
static void
test_import_unwritten(void **state)
{
	struct rlimit limit = {0, RLIM_INFINITY};
	struct inventory_counts counts;
	unsigned number;
	int error;

	(void)state;
	number = import_begin();
	json_decref(import_rows(number, "{\"name\":\"a\"},{\"name\":\"b\"}"));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	error = inventory_commit(ctrl.inventory, number, &counts, &reason);
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_true(error < 0);
	assert_non_null(strstr(reason.text, "make room on the disk"));
	assert_string_equal(listed("{\"realm\":\"lab\"}"), "");
	must("node.add", "{\"realm\":\"lab\",\"name\":\"a\"}");
	assert_true(is_in_force("a"));
}

/* More than one slice, in a realm that is then full. */
static void
test_import_many(void **state)
{
	char rows[256];
	unsigned number;

	(void)state;
	number = import_begin();
	for (unsigned i = 1; i <= NODES_MAX; i++) {
		snprintf(rows, sizeof(rows), "{\"name\":\"n%u\",\"prefixes\":[\"10.0.%u.%u\"]}", i,
			i / 256, i % 256);
		json_decref(import_rows(number, rows));
	}
	assert_null(import_rows(number, "{\"name\":\"more\"}"));
	assert_non_null(strstr(reason.text, "realm lab is full (400 nodes)"));
	assert_string_equal(listed("{\"realm\":\"lab\"}"), "");
	number = import_begin();
	for (unsigned i = 1; i <= NODES_MAX; i++) {
		snprintf(rows, sizeof(rows), "{\"name\":\"n%u\"}", i);
		json_decref(import_rows(number, rows));
	}
	json_decref(import_end(number, "import.commit"));
	load_all();
	assert_true(is_in_force("n1"));
	assert_true(is_in_force("n400"));
	assert_int_equal(keytable_counts(ctrl.keys, 0).live, NODES_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_roles),
		TEST(test_rename_and_move),
		TEST(test_suspend),
		TEST(test_note_cut),
		TEST(test_filters),
		TEST(test_revoke_role),
		TEST(test_revoke_prefix),
		TEST(test_revoke_names),
		TEST(test_revoke_unwritten),
		TEST(test_import),
		TEST(test_import_all_or_nothing),
		TEST(test_import_place_and_abort),
		TEST(test_revoked_during_import),
		TEST(test_suspended_during_import),
		TEST(test_import_unwritten),
		TEST(test_import_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

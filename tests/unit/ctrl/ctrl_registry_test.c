/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The registry and its high-water file: (realm, node, epoch) is used once for ever, whatever is
 * deleted, killed, restored or full.
 */
#include "tests/unit/ctrl/ctrl_fixture.h"

#include <dirent.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "ctrl/registry.h"
#include "ctrl/registry_epochs.h"

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

static struct registry_request
request_for(const char *name)
{
	return (struct registry_request){
		.realm = REALM,
		.realm_name = "lab",
		.nodes_max = 4,
		.name = name,
		.master = "0123456789abcdef",
	};
}

static int
add(struct registry *registry, const char *name, struct registry_node *node)
{
	struct registry_request request = request_for(name);

	return registry_node_add(registry, &request, node, &reason);
}

static int
find(struct registry *registry, const char *name, struct registry_node *node)
{
	return registry_node_find(registry, REALM, "lab", name, 0, node, &reason);
}

static int
fresh_setup(void **state)
{
	return fixture_setup(state);
}

static void
copy(const char *from, const char *to)
{
	char command[2 * PATH_MAX + 16];

	snprintf(command, sizeof(command), "cp -p '%s' '%s'", fixture_path(from), fixture_path(to));
	assert_int_equal(system(command), 0);
}

static void
test_add_and_find(void **state)
{
	const struct registry_prefix prefixes[2] = {{{0xfd, 0x77}, 64}, {{0xfd, 0x78}, 128}};
	struct registry *registry = open_registry();
	struct registry_request request = request_for("n1");
	struct registry_node node;

	(void)state;
	request.suite = 2;
	request.not_before_s = 100;
	request.not_after_s = 200;
	request.prefixes = prefixes;
	request.prefix_count = 2;
	request.has_prefixes = true;
	assert_int_equal(registry_node_add(registry, &request, &node, &reason), 0);
	registry_close(registry);
	registry = open_registry();
	assert_int_equal(find(registry, "n1", &node), 0);
	assert_int_equal(node.node, 1);
	assert_true(node.is_live);
	assert_int_equal(node.epoch_count, 1);
	assert_int_equal(node.epochs[0].epoch, 1);
	assert_int_equal(node.epochs[0].suite, 2);
	assert_int_equal(node.epochs[0].not_before_s, 100);
	assert_int_equal(node.epochs[0].not_after_s, 200);
	assert_string_equal(node.epochs[0].master, "0123456789abcdef");
	assert_int_equal(node.prefix_count, 2);
	assert_memory_equal(node.prefixes[1].address, prefixes[1].address, 16);
	assert_int_equal(node.prefixes[0].bits, 64);
	assert_int_equal(add(registry, "n1", &node), -EEXIST);
	assert_non_null(strstr(reason.text, "node n1 is there already in realm lab (id 1)"));
	assert_int_equal(find(registry, "n9", &node), -ENOENT);
	registry_close(registry);
}

/* Dense from 1; full is said; an id asked for must be free and within the realm. */
static void
test_ids(void **state)
{
	struct registry *registry = open_registry();
	struct registry_request request = request_for("high");
	struct registry_node node;

	(void)state;
	assert_int_equal(add(registry, "a", &node), 0);
	assert_int_equal(node.node, 1);
	request.node = 3;
	assert_int_equal(registry_node_add(registry, &request, &node, &reason), 0);
	assert_int_equal(node.node, 3);
	assert_int_equal(add(registry, "b", &node), 0);
	assert_int_equal(node.node, 4);
	assert_int_equal(add(registry, "c", &node), -ENOSPC);
	assert_non_null(strstr(reason.text, "realm lab is full (4 nodes)"));
	request = request_for("d");
	request.node = 3;
	assert_int_equal(registry_node_add(registry, &request, &node, &reason), -EEXIST);
	request.node = 5;
	assert_int_equal(registry_node_add(registry, &request, &node, &reason), -ERANGE);
	request.node = 2;
	assert_int_equal(registry_node_add(registry, &request, &node, &reason), 0);
	registry_close(registry);
}

static void
test_revoked_comes_back_above(void **state)
{
	struct registry *registry = open_registry();
	struct registry_node node;

	(void)state;
	assert_int_equal(add(registry, "a", &node), 0);
	assert_int_equal(registry_node_revoke(registry, REALM, 1, &reason), 0);
	assert_int_equal(find(registry, "a", &node), 0);
	assert_false(node.is_live);
	assert_int_equal(node.epoch_count, 0);
	assert_int_equal(add(registry, "a", &node), 0);
	assert_int_equal(node.node, 1);
	assert_int_equal(node.epoch_count, 1);
	assert_int_equal(node.epochs[0].epoch, 2);
	registry_close(registry);
}

/* The id of a deleted node is given out again only when no other is left, and above its epochs. */
static void
test_tombstone(void **state)
{
	struct registry *registry = open_registry();
	struct registry_node node;

	(void)state;
	assert_int_equal(add(registry, "a", &node), 0);
	assert_int_equal(add(registry, "b", &node), 0);
	assert_int_equal(registry_node_revoke(registry, REALM, 1, &reason), 0);
	assert_int_equal(add(registry, "a", &node), 0);
	assert_int_equal(registry_node_delete(registry, REALM, 1, &reason), 0);
	assert_int_equal(find(registry, "a", &node), -ENOENT);
	assert_int_equal(add(registry, "c", &node), 0);
	assert_int_equal(node.node, 3);
	assert_int_equal(add(registry, "d", &node), 0);
	assert_int_equal(add(registry, "a", &node), 0); /* the same name is another node */
	assert_int_equal(node.node, 1);
	assert_int_equal(node.epochs[0].epoch, 3);
	registry_close(registry);
}

static void
test_rotate(void **state)
{
	struct registry *registry = open_registry();
	struct registry_request request = request_for("a");
	struct registry_node node;

	(void)state;
	assert_int_equal(add(registry, "a", &node), 0);
	for (unsigned epoch = 2; epoch <= 12; epoch++) {
		assert_int_equal(
			registry_node_rotate(registry, &request, 5000 - epoch, &node, &reason), 0);
		assert_int_equal(node.epochs[0].epoch, epoch);
		assert_int_equal(node.epochs[0].not_after_s, UINT32_MAX);
		assert_int_equal(node.epoch_count, epoch < 8 ? epoch : 8);
		/* An end once set is never put off. */
		assert_int_equal(node.epochs[1].not_after_s, 5000 - epoch);
		assert_true(node.epochs[0].epoch - node.epochs[node.epoch_count - 1].epoch < 8);
	}
	assert_int_equal(registry_node_revoke(registry, REALM, 1, &reason), 0);
	assert_int_equal(registry_node_rotate(registry, &request, 1, &node, &reason), -EINVAL);
	registry_close(registry);
}

static void
test_realm_keeps_its_id(void **state)
{
	struct registry *registry = open_registry();

	(void)state;
	assert_int_equal(registry_realm_enter(registry, 8, "lab", &reason), -EEXIST);
	assert_non_null(strstr(reason.text, "realm lab has id 7 in the registry and 8"));
	assert_int_equal(registry_realm_enter(registry, 7, "renamed", &reason), 0);
	registry_close(registry);
}

/* The whole point of the high-water file. */
static void
test_old_database_restored(void **state)
{
	struct registry *registry = open_registry();
	struct registry_node node;

	(void)state;
	assert_int_equal(add(registry, "leaked", &node), 0);
	assert_int_equal(add(registry, "good", &node), 0);
	assert_int_equal(add(registry, "reborn", &node), 0);
	registry_close(registry);
	copy("registry.db", "old.db");
	registry = open_registry();
	assert_int_equal(registry_node_revoke(registry, REALM, 1, &reason), 0);
	assert_int_equal(registry_node_revoke(registry, REALM, 3, &reason), 0);
	assert_int_equal(add(registry, "reborn", &node), 0);
	assert_int_equal(add(registry, "new", &node), 0);
	registry_close(registry);

	copy("old.db", "registry.db");
	registry = open_registry();
	assert_int_equal(find(registry, "leaked", &node), 0);
	assert_false(node.is_live); /* revoked since: its key stays dead */
	assert_int_equal(node.epoch_count, 0);
	assert_int_equal(find(registry, "good", &node), 0);
	assert_true(node.is_live); /* nothing happened to it */
	assert_int_equal(find(registry, "reborn", &node), 0);
	assert_false(node.is_live); /* epoch 2 was used, and the database knows only 1 */
	assert_int_equal(add(registry, "reborn", &node), 0);
	assert_int_equal(node.epochs[0].epoch, 3);
	assert_int_equal(add(registry, "leaked", &node), 0);
	assert_int_equal(node.epochs[0].epoch, 2);
	/* Id 4 was given out since: the database has forgotten, the file has not. */
	assert_int_equal(add(registry, "another", &node), 0);
	assert_int_equal(node.node, 4);
	assert_int_equal(node.epochs[0].epoch, 2);
	registry_close(registry);
}

static void
test_database_lost(void **state)
{
	struct registry *registry = open_registry();
	struct registry_node node;

	(void)state;
	assert_int_equal(add(registry, "a", &node), 0);
	registry_close(registry);
	assert_int_equal(unlink(fixture_path("registry.db")), 0);
	/* Neither lost nor cut to nothing is it begun anew by itself. */
	for (int i = 0; i < 2; i++) {
		assert_null(registry_open(fixture_dir, &reason));
		assert_non_null(strstr(reason.text, "registry.db is gone or empty"));
		assert_int_equal(truncate(fixture_path("registry.db"), 0), 0);
	}
	fixture_write("registry.anew", "", 0, 0600);
	registry = open_registry();
	assert_int_equal(access(fixture_path("registry.anew"), F_OK), -1);
	assert_true(registry_realm_is_used(registry, REALM));
	assert_false(registry_realm_is_used(registry, REALM + 1));
	assert_int_equal(add(registry, "b", &node), 0);
	assert_int_equal(node.node, 1);
	assert_int_equal(node.epochs[0].epoch, 2);
	registry_close(registry);
}

/* A high-water file that is behind the database is brought up to it, revocations too. */
static void
test_highwater_behind(void **state)
{
	struct registry *registry = open_registry();
	struct registry_node node;
	char *text;

	(void)state;
	assert_int_equal(add(registry, "a", &node), 0);
	assert_int_equal(add(registry, "b", &node), 0);
	assert_int_equal(registry_node_revoke(registry, REALM, 2, &reason), 0);
	registry_close(registry);
	fixture_write("highwater", "7 1 1\n", 6, 0600);
	registry_close(open_registry());
	text = fixture_read("highwater");
	assert_string_equal(text, "7 1 1\n7 2 1\n7 2 1 closed\n");
	free(text);
}

/* Refused, each time it is tried: refusing must not make the file that it misses. */
static void
assert_refused_without_highwater(void)
{
	for (int i = 0; i < 2; i++) {
		assert_null(registry_open(fixture_dir, &reason));
		assert_int_equal(reason.error, ENOENT);
		assert_non_null(strstr(reason.text, "highwater is gone"));
		assert_non_null(strstr(reason.text, "restore its newest copy"));
		assert_non_null(strstr(reason.text, "credgate realm init"));
		assert_int_equal(access(fixture_path("highwater"), F_OK), -1);
	}
}

/* Keys that the database alone remembers could be older than what was revoked since. */
static void
test_highwater_lost(void **state)
{
	struct registry *registry = open_registry();
	struct registry_node node;

	(void)state;
	assert_int_equal(add(registry, "a", &node), 0);
	registry_close(registry);
	copy("highwater", "saved");
	assert_int_equal(unlink(fixture_path("highwater")), 0);
	assert_refused_without_highwater();
	copy("saved", "highwater"); /* the cure */
	registry = open_registry();
	assert_int_equal(registry_node_delete(registry, REALM, 1, &reason), 0);
	registry_close(registry);
	assert_int_equal(unlink(fixture_path("highwater")), 0);
	assert_refused_without_highwater(); /* a tombstone is a trace too */
}

/* With the database gone as well, what a running gateway writes tells that this is no first start. */
static void
test_highwater_and_database_lost(void **state)
{
	static const char *const traces[] = {"clock", "serials", "windows"};
	struct registry *registry;
	struct registry_node node;

	(void)state;
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
		registry = open_registry(); /* a first start each time */
		assert_int_equal(add(registry, "a", &node), 0);
		assert_int_equal(node.epochs[0].epoch, 1);
		registry_close(registry);
		assert_int_equal(unlink(fixture_path("registry.db")), 0);
		assert_int_equal(unlink(fixture_path("highwater")), 0);
		fixture_write(traces[i], "", 0, 0600);
		assert_refused_without_highwater();
		assert_int_equal(unlink(fixture_path(traces[i])), 0);
		assert_int_equal(unlink(fixture_path("registry.db")), 0);
	}
}

/* ---- a damaged database ---- */

struct walk {
	uint32_t last;
	unsigned count;
	unsigned limit;
};

static bool
walk_one(const struct registry_node *node, void *context)
{
	struct walk *walk = context;

	assert_true(node->node > walk->last);
	walk->last = node->node;
	return ++walk->count < walk->limit;
}

static void
page_fill(unsigned page, int byte)
{
	uint8_t bytes[4096];
	int fd = open(fixture_path("registry.db"), O_WRONLY);

	assert_true(fd >= 0);
	memset(bytes, byte, sizeof(bytes));
	assert_int_equal(pwrite(fd, bytes, sizeof(bytes), (off_t)page * 4096), sizeof(bytes));
	close(fd);
}

static bool
page_has(unsigned page, const char *text)
{
	uint8_t bytes[4096];
	int fd = open(fixture_path("registry.db"), O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, sizeof(bytes), (off_t)page * 4096), sizeof(bytes));
	close(fd);
	return memmem(bytes, sizeof(bytes), text, strlen(text)) != NULL;
}

/* Whichever page is bad, the start is refused: a node that cannot be read is not "not there". */
static void
test_database_damaged(void **state)
{
	struct registry *registry = open_registry();
	struct registry_request request = request_for(NULL);
	struct registry_node node;
	struct stat st;
	char name[16];

	(void)state;
	request.nodes_max = 300;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		request.name = name;
		assert_int_equal(registry_node_add(registry, &request, &node, &reason), 0);
	}
	registry_close(registry);
	copy("registry.db", "good.db");
	assert_int_equal(stat(fixture_path("registry.db"), &st), 0);
	assert_true(st.st_size / 4096 > 12);
	for (unsigned page = 0; page < st.st_size / 4096; page++) {
		copy("good.db", "registry.db");
		page_fill(page, 0xa5);
		assert_null(registry_open(fixture_dir, &reason));
		assert_int_equal(reason.error, EBADMSG);
		assert_non_null(strstr(reason.text, "registry.db is damaged"));
		assert_non_null(strstr(reason.text, "backup of registry.db"));
	}
	copy("good.db", "registry.db");
	registry_close(open_registry());
}

/* A change from elsewhere: what the registry has in its cache is read again. */
static void
cache_spoil(void)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(fixture_path("registry.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "INSERT INTO realms VALUES(99, 'x')", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
}

/* Damage while it runs: the walk ends with an error, not as if there were no more nodes. */
static void
test_damage_in_walk(void **state)
{
	struct registry *registry = open_registry();
	struct registry_request request = request_for(NULL);
	struct walk walk = {.limit = UINT_MAX};
	struct registry_node node;
	struct stat st;
	char name[64];

	(void)state;
	request.nodes_max = 300;
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "a-rather-long-name-for-a-node-so-that-pages-fill-%u",
			i);
		request.name = name;
		assert_int_equal(registry_node_add(registry, &request, &node, &reason), 0);
	}
	registry_close(registry);
	registry = open_registry();
	assert_int_equal(stat(fixture_path("registry.db"), &st), 0);
	cache_spoil();
	for (unsigned page = 0; page < st.st_size / 4096; page++)
		if (page_has(page, "pages-fill-250"))
			page_fill(page, 0xa5);
	assert_int_equal(registry_walk(registry, REALM, 0, walk_one, &walk, &reason), -EBADMSG);
	assert_true(walk.count > 0 && walk.count < 300);
	registry_close(registry);
}

static void
test_highwater_damage(void **state)
{
	struct registry *registry = open_registry();
	struct registry_node node;
	char *text;

	(void)state;
	assert_int_equal(add(registry, "a", &node), 0);
	registry_close(registry);
	/* Torn by a crash: it never took effect, and goes. */
	fixture_write_text("highwater", "7 1 1\n7 1 1");
	assert_int_equal(chmod(fixture_path("highwater"), 0600), 0);
	registry_close(open_registry());
	text = fixture_read("highwater");
	assert_string_equal(text, "7 1 1\n");
	free(text);
	/* Damaged in the middle: nothing is guessed. */
	fixture_write_text("highwater", "7 1 1\n7 x 1\n7 1 2\n");
	assert_null(registry_open(fixture_dir, &reason));
	assert_non_null(strstr(reason.text, "highwater:2 is damaged"));
	fixture_write_text("highwater", "7 1 70000\n");
	assert_null(registry_open(fixture_dir, &reason));
	assert_non_null(strstr(reason.text, "highwater:1 is damaged"));
	fixture_write("highwater", "7 1 1\n", 6, 0622);
	assert_null(registry_open(fixture_dir, &reason));
	assert_non_null(strstr(reason.text, "nobody else may write"));
}

static void
test_second_credgated(void **state)
{
	struct registry *registry = open_registry();

	(void)state;
	assert_null(registry_open(fixture_dir, &reason));
	assert_int_equal(reason.error, EBUSY);
	assert_non_null(strstr(reason.text, "another credgated uses this state directory"));
	registry_close(registry);
}

static void
test_newer_database(void **state)
{
	char command[PATH_MAX];

	(void)state;
	registry_close(open_registry());
	snprintf(command, sizeof(command),
		"python3 -c \"import sqlite3; d = sqlite3.connect('%s'); "
		"d.execute('PRAGMA user_version = 99'); d.commit()\"",
		fixture_path("registry.db"));
	if (system(command) != 0)
		skip();
	assert_null(registry_open(fixture_dir, &reason));
	assert_non_null(strstr(reason.text, "made by a newer credgate (version 99"));
}

/* ---- kill -9 at any moment ---- */

/* Tells each epoch it got, after it was told, until it is killed. */
__attribute__((noreturn)) static void
busy_child(int told)
{
	struct registry *registry = open_registry();
	struct registry_node node;
	uint32_t line[2];

	for (unsigned round = 0;; round++) {
		const char *name = round % 2 == 0 ? "a" : "b";

		/* The one before may have been killed between add and revoke. */
		if (find(registry, name, &node) == 0 &&
			registry_node_revoke(registry, REALM, node.node, &reason) != 0)
			_exit(3);
		if (add(registry, name, &node) != 0)
			_exit(1);
		line[0] = node.node;
		line[1] = node.epochs[0].epoch;
		if (write(told, line, sizeof(line)) != sizeof(line))
			_exit(2);
	}
}

/* Used once for ever: each told epoch is above every one before it. False: that was all. */
static bool
read_told(int told, uint16_t highest[3])
{
	uint32_t line[2];

	if (read(told, line, sizeof(line)) != sizeof(line))
		return false;
	assert_true(line[0] == 1 || line[0] == 2);
	assert_true(line[1] > highest[line[0]]);
	highest[line[0]] = (uint16_t)line[1];
	return true;
}

/* At work: only once it has told one epoch, however slow the disk is. */
static void
kill_once(unsigned wait_us, bool is_at_work, uint16_t highest[3])
{
	int told[2], status;
	pid_t child;

	assert_int_equal(pipe(told), 0);
	child = fork();
	if (child == 0) {
		close(told[0]);
		busy_child(told[1]);
	}
	close(told[1]);
	assert_true(!is_at_work || read_told(told[0], highest));
	usleep(wait_us);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	while (read_told(told[0], highest))
		;
	close(told[0]);
}

static void
test_killed(void **state)
{
	uint16_t highest[3] = {0};
	struct registry *registry;
	struct registry_node node;

	(void)state;
	for (unsigned round = 0; round < 25; round++)
		kill_once(3000 + round * 1717, round % 2 == 0, highest);
	assert_true(highest[1] > 0);
	registry = open_registry();
	/* Whatever was left half done: what is live was told, or is new. */
	if (find(registry, "a", &node) == 0 && node.is_live)
		assert_true(node.epochs[0].epoch >= highest[1]);
	registry_node_revoke(registry, REALM, 1, &reason);
	assert_int_equal(add(registry, "a", &node), 0);
	assert_true(node.epochs[0].epoch > highest[1]);
	registry_close(registry);
}

/* ---- a full disk: a limit on file sizes is as good ---- */

static int
full_child(void)
{
	struct registry *registry = open_registry();
	struct rlimit limit = {0, RLIM_INFINITY};
	struct registry_node node;
	struct stat st;
	const struct registry_request rotation = request_for("a");
	int error;

	if (add(registry, "a", &node) != 0 || stat(fixture_path("highwater"), &st) != 0)
		return 1;
	signal(SIGXFSZ, SIG_IGN);
	limit.rlim_cur = (rlim_t)st.st_size + 2; /* less than one line more */
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 2;
	error = add(registry, "b", &node);
	if (error == 0 || strstr(reason.text, "nothing was changed") == NULL)
		return 3;
	if (find(registry, "b", &node) == 0)
		return 6; /* not even as a node without a key */
	if (registry_node_rotate(registry, &rotation, 1, &node, &reason) == 0)
		return 7;
	limit.rlim_cur = RLIM_INFINITY;
	setrlimit(RLIMIT_FSIZE, &limit);
	if (find(registry, "a", &node) != 0 || !node.is_live)
		return 4;
	if (node.epoch_count != 1 || node.epochs[0].not_after_s != UINT32_MAX)
		return 8; /* the old key ends with the new one's beginning only */
	/* Room again: it works, and the number that was lost is not used. */
	return add(registry, "b", &node) == 0 && node.is_live ? 0 : 5;
}

static void
test_disk_full(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(full_child());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	registry_close(open_registry());
}

/* What could not be made final can be brought back, and stays so over a restart. */
static void
test_final_fails(void **state)
{
	struct registry *registry = open_registry();
	const struct registry_request rotation = request_for("a");
	struct registry_node node;
	uint32_t count;
	sqlite3 *other;

	(void)state;
	assert_int_equal(add(registry, "a", &node), 0);
	assert_int_equal(registry_node_rotate(registry, &rotation, UINT32_MAX, &node, &reason), 0);
	assert_int_equal(registry_epochs_hold(registry, REALM, 0, 0, &count, &reason), 0);
	assert_int_equal(count, 1);
	assert_int_equal(sqlite3_open(fixture_path("registry.db"), &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_not_equal(
		registry_epochs_close(registry, REALM, 0, UINT32_MAX, &count, &reason), 0);
	assert_int_equal(count, 0);
	sqlite3_close(other);
	assert_int_equal(registry_epochs_restore(registry, REALM, 0, &count, &reason), 0);
	assert_int_equal(count, 1);
	registry_close(registry);
	registry = open_registry();
	assert_int_equal(find(registry, "a", &node), 0);
	assert_int_equal(node.epoch_count, 2);
	registry_close(registry);
}

/* ---- many ---- */

static void
test_walk(void **state)
{
	struct registry *registry = open_registry();
	struct registry_request request = request_for(NULL);
	struct walk walk = {.limit = 7};
	struct registry_node node;
	char name[16];

	(void)state;
	request.nodes_max = 100;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		request.name = name;
		assert_int_equal(registry_node_add(registry, &request, &node, &reason), 0);
	}
	assert_int_equal(registry_walk(registry, REALM, 0, walk_one, &walk, &reason), 0);
	assert_int_equal(walk.count, 7);
	walk.limit = 100;
	assert_int_equal(registry_walk(registry, REALM, walk.last, walk_one, &walk, &reason), 0);
	assert_int_equal(walk.count, 20);
	assert_int_equal(walk.last, 20);
	registry_close(registry);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh_setup, fixture_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_add_and_find),
		TEST(test_ids),
		TEST(test_revoked_comes_back_above),
		TEST(test_tombstone),
		TEST(test_rotate),
		TEST(test_realm_keeps_its_id),
		TEST(test_old_database_restored),
		TEST(test_database_lost),
		TEST(test_highwater_behind),
		TEST(test_highwater_lost),
		TEST(test_highwater_and_database_lost),
		TEST(test_database_damaged),
		TEST(test_damage_in_walk),
		TEST(test_highwater_damage),
		TEST(test_second_credgated),
		TEST(test_newer_database),
		TEST(test_killed),
		TEST(test_final_fails),
		TEST(test_disk_full),
		TEST(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cli_call.h"

/*
 * A daemon that answers what the test lays out and keeps what it was asked: one connection after
 * the other, answers in order, until it is told to stop.
 */
#define FAKE_ANSWERS_MAX 8

static struct {
	char run_dir[64];
	int listener;
	pthread_t thread;
	const char *answers[FAKE_ANSWERS_MAX];
	unsigned answer_count;
	unsigned next; /* answers given so far */
	json_t *requests;
} fake;

/* False when the client hung up. */
static bool
serve_one(int fd)
{
	static char line[65536];
	const char *answer;
	size_t used = 0;
	ssize_t n;

	do {
		n = recv(fd, line + used, sizeof(line) - used, 0);
		used += n > 0 ? (size_t)n : 0;
	} while (n > 0 && line[used - 1] != '\n');
	if (n <= 0)
		return false;
	pthread_mutex_lock(&call_lock);
	json_array_append_new(fake.requests, json_loadb(line, used, 0, NULL));
	pthread_mutex_unlock(&call_lock);
	answer = fake.next < fake.answer_count ? fake.answers[fake.next++] : NULL;
	if (!answer)
		return false;
	/* In two pieces: a stream keeps no borders. */
	n = send(fd, answer, strlen(answer) / 2, MSG_NOSIGNAL);
	return n >= 0 && send(fd, answer + n, strlen(answer) - (size_t)n, MSG_NOSIGNAL) > 0;
}

static void
serve(void)
{
	int fd;

	while ((fd = accept(fake.listener, NULL, NULL)) >= 0) {
		while (serve_one(fd))
			;
		close(fd);
	}
}

static int
fake_start(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	memset(&fake, 0, sizeof(fake));
	strcpy(fake.run_dir, "/tmp/cli-request-XXXXXX");
	if (!mkdtemp(fake.run_dir))
		return -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/admin.sock", fake.run_dir);
	fake.requests = json_array();
	fake.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fake.listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(fake.listener, 4) != 0)
		return -1;
	return call_thread_start(&fake.thread, serve);
}

static int
fake_stop(void **state)
{
	char path[128];

	(void)state;
	shutdown(fake.listener, SHUT_RDWR);
	pthread_join(fake.thread, NULL);
	close(fake.listener);
	json_decref(fake.requests);
	snprintf(path, sizeof(path), "rm -r %s", fake.run_dir);
	return system(path);
}

static void
answer(const char *text)
{
	fake.answers[fake.answer_count++] = text;
}

/* The request number `index`, compact and with its members sorted. */
static void
was_asked(size_t index, const char *wanted)
{
	char *got = json_dumps(json_array_get(fake.requests, index), JSON_COMPACT | JSON_SORT_KEYS);

	assert_non_null(got);
	assert_string_equal(got, wanted);
	free(got);
}

static void
test_node_add(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"realm\": \"lab\", \"node\": 17, \"name\": \"n001\", "
	       "\"epoch\": 2, \"suite\": 3}}\n");
	call = call_cli("node", "add", "lab", "n001", "--prefix", "10.0.0.1/32", "--prefix",
		"fd00::/8", "--suite", "sealed256", "--id", "17", "--not-after", "1900000000",
		"--run-dir", fake.run_dir, NULL);
	assert_string_equal(call->err, "");
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, "added n001: node 17 of realm lab, epoch 2, sealed128");
	was_asked(0, "{\"args\":{\"name\":\"n001\",\"node\":17,\"not_after_s\":1900000000,"
		     "\"prefixes\":[\"10.0.0.1/32\",\"fd00::/8\"],\"realm\":\"lab\",\"suite\":4},"
		     "\"verb\":\"node.add\"}");
}

/* A refusal of one name does not keep the others back, but shows in the exit code. */
static void
test_node_add_range(void **state)
{
	const struct call *call;
	json_t *first;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"node\": 1, \"name\": \"n1\", \"suite\": 1}}\n");
	answer("{\"ok\": false, \"errno\": 17, \"error\": \"node n2 is there already\"}\n");
	answer("{\"ok\": true, \"result\": {\"node\": 3, \"name\": \"n3\", \"suite\": 1}}\n");
	call = call_cli("node", "add", "lab", "n[1-3]", "--json", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "node n2 is there already");
	call_has(call->err, "1 of 3 names failed\n");
	assert_int_equal(json_array_size(fake.requests), 3);
	/* One object per line. */
	first = json_loadb(call->out, strcspn(call->out, "\n"), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(first, "name")), "n1");
	json_decref(first);
	call_has(strchr(call->out, '\n') + 1, "n3");
}

static void
test_hang_up(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"node\": 1, \"name\": \"n1\", \"suite\": 1}}\n");
	call = call_cli("node", "add", "lab", "n[1-9]", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "no answer from credgated");
	call_has(call->err, "the rest was not tried");
	assert_int_equal(json_array_size(fake.requests), 2);
}

static void
test_nonsense(void **state)
{
	const struct call *call;

	(void)state;
	answer("[1, 2\n");
	call = call_cli("realm", "list", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "makes no sense");
	answer("{\"ok\": false}\n");
	call = call_cli("realm", "list", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "without a reason");
	/* Members of wrong types, and none at all. */
	answer("{\"ok\": true, \"result\": {\"realms\": [{\"name\": 7, \"id\": \"x\"}, 3, "
	       "null]}}\n");
	call = call_cli("realm", "list", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, "\n-\t0\t0\t0\t0\t0\t-\t-\t-\n");
}

/* A large realm comes in pieces. */
static void
test_node_list(void **state)
{
	const struct call *call;
	json_t *all;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"nodes\": [{\"node\": 1, \"name\": \"a\", \"state\": "
	       "\"live\", \"epochs\": [{\"epoch\": 1, \"suite\": 3}, {\"epoch\": 2, \"suite\": "
	       "4}], "
	       "\"roles\": [\"gpu\", \"web\"], "
	       "\"prefixes\": [\"10.0.0.0/8\", \"fd00::/8\"]}], \"next\": 1}}\n");
	answer("{\"ok\": true, \"result\": {\"nodes\": [{\"node\": 9, \"name\": \"b\\u001b\\t\", "
	       "\"state\": \"revoked\", \"epochs\": [], \"prefixes\": []}]}}\n");
	call = call_cli("node", "list", "lab", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(call->out,
		"NODE\tNAME\tSTATE\tEPOCHS\tSUITE\tLAST SEEN\tROLES\tPREFIXES\n"
		"1\ta\tlive\t1,2\tsealed256\tnever\tgpu,web\t10.0.0.0/8,fd00::/8\n"
		"9\tb\\x1b\\t\trevoked\t-\t-\tnever\t-\tany\n");
	was_asked(0, "{\"args\":{\"realm\":\"lab\"},\"verb\":\"node.list\"}");
	was_asked(1, "{\"args\":{\"after\":1,\"realm\":\"lab\"},\"verb\":\"node.list\"}");
	fake.next = 0;
	call = call_cli("node", "list", "lab", "--json", "--run-dir", fake.run_dir, NULL);
	all = json_loads(call->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(all, "nodes")), 2);
	json_decref(all);
}

static void
test_node_revoke(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"node\": 5, \"generation\": 4, \"workers\": 2}}\n");
	call = call_cli("node", "revoke", "lab", "n5", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(call->out, "revoked n5: node 5 of realm lab; in force on 2 workers\n");
	was_asked(0, "{\"args\":{\"name\":\"n5\",\"realm\":\"lab\"},\"verb\":\"node.revoke\"}");
}

static void
test_node_revoke_role(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"count\": 3, \"nodes\": [\"a\", \"b\"], \"already\": "
	       "1, \"partial_count\": 0, \"partial\": [], \"unknown\": [], \"in_force_us\": 2345, "
	       "\"generation\": 4, \"workers\": 2}}\n");
	call = call_cli("node", "revoke", "lab", "--role", "x", "--why", "sold", "--run-dir",
		fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(call->out, "revoked 3 nodes of realm lab: a, b and 1 more; 1 was out "
				       "before; in force on 2 workers after 2.3 ms\n");
	was_asked(0, "{\"args\":{\"realm\":\"lab\",\"role\":\"x\",\"why\":\"sold\"},\"verb\":"
		     "\"node.revoke\"}");
	answer("{\"ok\": true, \"result\": {\"count\": 1, \"nodes\": [\"a\"], \"partial_count\": "
	       "1, \"partial\": [\"b\"], \"unknown\": []}}\n");
	call = call_cli("node", "revoke", "lab", "--prefix", "10.0.0.0/8", "--dry-run", "--run-dir",
		fake.run_dir, NULL);
	assert_int_equal(call->code, 3);
	assert_string_equal(call->out, "would revoke 1 node of realm lab: a\n");
	call_has(call->err, "1 node is only partly inside and left alone; revoke by name:\nb\n");
	answer("{\"ok\": true, \"result\": {\"count\": 0, \"nodes\": [], \"already\": 0, "
	       "\"partial_count\": 0, \"partial\": [], \"unknown\": []}}\n");
	call = call_cli("node", "revoke", "lab", "--role", "rak7", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "no node of realm lab has role rak7; see credgate node list lab");
	call = call_cli("node", "revoke", "lab", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call = call_cli(
		"node", "revoke", "lab", "a", "--role", "x", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_USAGE);
}

/* More names than are asked for one by one go in one request. */
static void
test_node_revoke_names(void **state)
{
	const struct call *call;
	json_t *names;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"count\": 69, \"nodes\": [\"n1\"], \"partial_count\": "
	       "0, \"partial\": [], \"unknown\": [\"n7\"], \"workers\": 1}}\n");
	call = call_cli("node", "revoke", "lab", "n[1-70]", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "there is no node n7 in realm lab");
	call_has(
		call->out, "revoked 69 nodes of realm lab: n1 and 68 more; in force on 1 worker\n");
	assert_int_equal(json_array_size(fake.requests), 1);
	names = json_object_get(json_object_get(json_array_get(fake.requests, 0), "args"), "names");
	assert_int_equal(json_array_size(names), 70);
}

static void
test_node_set(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"node\": 5, \"name\": \"m\", \"workers\": 1}}\n");
	call = call_cli("node", "set", "lab", "n", "--role", "+a", "--role", "-b", "--role", "=c,d",
		"--prefix", "none", "--rename", "m", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(call->out, "renamed n to m: node 5 of realm lab\n");
	was_asked(0, "{\"args\":{\"add_roles\":[\"a\"],\"drop_roles\":[\"b\"],\"name\":\"n\","
		     "\"prefixes\":[],\"realm\":\"lab\",\"rename\":\"m\",\"roles\":[\"c\",\"d\"]},"
		     "\"verb\":\"node.set\"}");
	call = call_cli("node", "set", "lab", "n", "--role", "a", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call = call_cli("node", "set", "lab", "n", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "nothing to change");
}

/* Writes a file of the test's directory; its path. */
static const char *
file_of(const char *name, const char *text)
{
	static char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", fake.run_dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return path;
}

#define IMPORT_BEGUN "{\"ok\": true, \"result\": {\"import\": 5}}\n"
#define NOTHING      "{\"ok\": true, \"result\": {}}\n"

static void
test_node_import(void **state)
{
	const struct call *call;

	(void)state;
	answer(IMPORT_BEGUN);
	answer(NOTHING);
	answer("{\"ok\": true, \"result\": {\"added\": 1, \"changed\": 1, \"unchanged\": 0, "
	       "\"skipped\": 0}}\n");
	answer("{\"ok\": true, \"result\": {\"left\": 1}}\n");
	answer("{\"ok\": true, \"result\": {\"left\": 0}}\n");
	call = call_cli("node", "import", "lab",
		file_of("i.csv", "roles,name,id,suite,prefixes\n"
				 "\"a b\",n1,7,sealed256,10.0.0.1;fd77::/64\n,n2,,,\n"),
		"--why", "w", "--run-dir", fake.run_dir, NULL);
	assert_string_equal(call->err, "");
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, "added 1 nodes to realm lab; 1 changed, 0 as they were, 0 revoked and "
			    "left so; in force after ");
	was_asked(0, "{\"args\":{\"realm\":\"lab\"},\"verb\":\"import.begin\"}");
	was_asked(1, "{\"args\":{\"import\":5,\"rows\":[{\"at\":\"line 2\",\"id\":7,\"name\":"
		     "\"n1\",\"prefixes\":[\"10.0.0.1\",\"fd77::/64\"],\"roles\":[\"a\",\"b\"],"
		     "\"suite\":4},{\"at\":\"line 3\",\"name\":\"n2\",\"prefixes\":[],\"roles\":"
		     "[]}]},\"verb\":\"import.rows\"}");
	was_asked(2, "{\"args\":{\"import\":5,\"realm\":\"lab\",\"why\":\"w\"},\"verb\":"
		     "\"import.commit\"}");
}

/* A file that is wrong in itself: its line is named, and the import taken back. */
static void
test_node_import_wrong(void **state)
{
	static const struct {
		const char *text;
		const char *why;
	} wrong[] = {
		{"", "line 1: the file is empty"},
		{"name,colour\n", "line 1: column 'colour' is unknown"},
		{"name,id,name\n", "line 1: column 'name' is there twice"},
		{"id,roles\n", "line 1: column 'name' is missing"},
		{"name,id\na,1\nb,x\n", "line 3: id 'x' is no number from 1"},
		{"name,suite\na,des\n", "line 2: suite 'des' is no suite"},
		{"name,id\na\n", "line 2: more or fewer fields than the first line"},
		{"name\n\"a\n", "line 2: a quote is not closed"},
	};
	const struct call *call;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		fake.next = fake.answer_count = 0;
		answer(IMPORT_BEGUN);
		answer(NOTHING);
		call = call_cli("node", "import", "lab", file_of("w.csv", wrong[i].text),
			"--run-dir", fake.run_dir, NULL);
		assert_int_equal(call->code, CLI_FAILED);
		call_has(call->err, "/w.csv: ");
		call_has(call->err, wrong[i].why);
		was_asked(
			2 * (unsigned)i + 1, "{\"args\":{\"import\":5},\"verb\":\"import.abort\"}");
	}
}

static void
test_node_import_json(void **state)
{
	const struct call *call;

	(void)state;
	answer(IMPORT_BEGUN);
	answer("{\"ok\": false, \"errno\": 22, \"error\": \"node 2: name is missing\"}\n");
	answer(NOTHING);
	call = call_cli("node", "import", "lab",
		file_of("i.json", "{\"realm\": \"x\", \"nodes\": [{\"name\": \"a\", \"suite\": "
				  "\"cmac128\"}, {}]}"),
		"--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "/i.json: node 2: name is missing\n");
	was_asked(1, "{\"args\":{\"import\":5,\"rows\":[{\"at\":\"node 1\",\"name\":\"a\","
		     "\"suite\":1},{\"at\":\"node 2\"}]},\"verb\":\"import.rows\"}");
	fake.next = 0;
	call = call_cli("node", "import", "lab", file_of("i.json", "{\"nodes\": 3}"), "--run-dir",
		fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "neither a list of nodes nor");
}

/* Kept apart by a kind that the server has for it; then it goes on as if nothing had been. */
static void
test_asked_again(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": false, \"errno\": 11, \"error\": \"an import is under way\"}\n");
	answer("{\"ok\": true, \"result\": {\"node\": 5, \"workers\": 1}}\n");
	call = call_cli("node", "delete", "lab", "n5", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(call->err, "");
	assert_int_equal(json_array_size(fake.requests), 2);
}

static void
test_node_export(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"nodes\": [{\"node\": 1, \"name\": \"a\", \"state\": "
	       "\"live\", \"epochs\": [{\"epoch\": 2, \"suite\": 4}, {\"epoch\": 1, \"suite\": "
	       "3}], "
	       "\"roles\": [\"x\", \"y\"], \"prefixes\": [\"10.0.0.0/8\"]}], \"next\": 1}}\n");
	answer("{\"ok\": true, \"result\": {\"nodes\": [{\"node\": 9, \"name\": \"b\", \"state\": "
	       "\"revoked\", \"epochs\": [], \"roles\": [], \"prefixes\": []}]}}\n");
	call = call_cli("node", "export", "lab", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(call->out, "name,id,prefixes,roles,suite,state\n"
				       "a,1,10.0.0.0/8,x y,sealed256,live\nb,9,,,,revoked\n");
	fake.next = 0;
	call = call_cli(
		"node", "export", "lab", "--format", "json", "--run-dir", fake.run_dir, NULL);
	call_has(call->out,
		"{\"name\":\"a\",\"id\":1,\"prefixes\":[\"10.0.0.0/8\"],\"roles\":[\"x\","
		"\"y\"],\"state\":\"live\",\"suite\":\"sealed256\"},\n");
	json_decref(json_loads(call->out, 0, NULL));
}

static void
test_node_delete(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"node\": 5, \"generation\": 4, \"workers\": 1}}\n");
	call = call_cli("node", "delete", "lab", "n5", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(call->out, "deleted n5: node 5 of realm lab; in force on 1 worker\n");
	was_asked(0, "{\"args\":{\"name\":\"n5\",\"realm\":\"lab\"},\"verb\":\"node.delete\"}");
}

static void
test_node_rotate(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": true, \"result\": {\"realm\": \"lab\", \"node\": 17, \"name\": \"n001\", "
	       "\"epoch\": 3, \"suite\": 4}}\n");
	call = call_cli("node", "rotate", "lab", "n001", "--suite", "sealed256", "--not-before",
		"1890000000", "--not-after", "1900000000", "--old-until", "1895000000", "--run-dir",
		fake.run_dir, NULL);
	assert_string_equal(call->err, "");
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(
		call->out, "rotated n001: node 17 of realm lab, new epoch 3, sealed256\n");
	was_asked(0, "{\"args\":{\"name\":\"n001\",\"not_after_s\":1900000000,\"not_before_s\":"
		     "1890000000,\"realm\":\"lab\",\"suite\":4,\"until_s\":1895000000},"
		     "\"verb\":\"node.rotate\"}");
}

/* Nothing is asked for that could never hold. */
static void
test_not_after_past(void **state)
{
	static const char *const past[] = {"1", "1700000000", "+0s"};
	const struct call *call;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(past) / sizeof(past[0]); i++) {
		call = call_cli("node", "add", "lab", "n1", "--not-after", past[i], "--run-dir",
			fake.run_dir, NULL);
		assert_int_equal(call->code, CLI_USAGE);
		call_has(call->err, "--not-after is in the past: the key would never hold\n");
	}
	assert_int_equal(json_array_size(fake.requests), 0);
}

#define KEY_ANSWER "{\"ok\": true, \"result\": {\"key\": \"CGK1:abc:\\n\"}}\n"

static void
test_node_key(void **state)
{
	const struct call *call;
	char path[128], link[128], text[32] = "";
	struct stat stat_;
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/n.key", fake.run_dir);
	answer(KEY_ANSWER);
	answer(KEY_ANSWER);
	umask(0);
	call = call_cli("node", "key", "lab", "n", "-o", path, "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(call->out, "");
	assert_int_equal(stat(path, &stat_), 0);
	assert_int_equal(stat_.st_mode & 07777, 0600);
	file = fopen(path, "r");
	assert_non_null(fgets(text, sizeof(text), file));
	fclose(file);
	assert_string_equal(text, "CGK1:abc:\n");
	call = call_cli("node", "key", "lab", "n", "-o", path, "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "was not touched: move it away first\n");
	answer(KEY_ANSWER);
	snprintf(link, sizeof(link), "%s/link", fake.run_dir);
	assert_int_equal(symlink("/nonexistent/key", link), 0);
	call = call_cli("node", "key", "lab", "n", "-o", link, "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "is a symbolic link and was not followed: give the file itself\n");
}

/* A file for each name, for its owner only; one that is there stays. */
static void
test_node_keys(void **state)
{
	const struct call *call;
	char dir[128], path[160];
	struct stat stat_;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/keys", fake.run_dir);
	answer(KEY_ANSWER);
	answer(KEY_ANSWER);
	call = call_cli(
		"node", "keys", "lab", "n[1-2]", "--dir", dir, "--run-dir", fake.run_dir, NULL);
	assert_string_equal(call->err, "");
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, "2 keys in ");
	snprintf(path, sizeof(path), "%s/n2.key", dir);
	assert_int_equal(stat(path, &stat_), 0);
	assert_int_equal(stat_.st_mode & 07777, 0600);
	assert_int_equal(stat(dir, &stat_), 0);
	assert_int_equal(stat_.st_mode & 07777, 0700);
	answer(KEY_ANSWER);
	call = call_cli("node", "keys", "lab", "n2", "--dir", dir, "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "was not touched: move it away first\n");
	call = call_cli("node", "keys", "lab", "n2", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "--dir is missing");
}

/* Standard output of call_cli is a file that others may read. */
static void
test_node_key_open_to_others(void **state)
{
	const struct call *call;

	(void)state;
	call = call_cli("node", "key", "lab", "n", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_USAGE);
	call_has(call->err, "others may read");
	assert_int_equal(json_array_size(fake.requests), 0);
	answer(KEY_ANSWER);
	call = call_cli("node", "key", "lab", "n", "-o", "-", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	assert_string_equal(call->out, "CGK1:abc:\n");
}

static const char status_answer[] =
	"{\"ok\": true, \"result\": {\"gateway\": {\"version\": \"9.9\", \"pid\": 4, \"uptime_s\": "
	"300, \"config\": \"/c\"}, \"dataplane\": {\"state\": \"running\", \"pid\": 5, "
	"\"restarts\": 1, \"uptime_s\": 2, \"kernel\": \"vaes512\", \"hugepages\": false, "
	"\"clock_steps\": 0, \"cycles_hz\": 2000000000, \"last_exit\": \"signal 9\"}, \"ports\": "
	"[{\"name\": \"lan\", "
	"\"driver\": \"tap\", \"addresses\": [\"10.0.0.1/8\", \"fd00::1/64\"], \"udp_port\": 7475, "
	"\"checksum\": \"partial\"}], \"workers\": [{\"worker\": 0, \"cpu\": null, \"state\": "
	"\"polling\", \"proved\": {\"accepted\": 40, \"expired\": 2}, \"unproved\": {\"bad-tag\": "
	"7}, \"rx_frames\": 60, \"busy_cycles\": 14400}, {\"worker\": 1, \"cpu\": 3, \"state\": "
	"\"asleep\", \"proved\": "
	"{\"accepted\": 2}, \"unproved\": {}}], \"realms\": [{\"name\": \"lab\", \"id\": 7, "
	"\"nodes\": 3, \"revoked\": 1, \"nodes_max\": 64, \"mode\": \"enforce\", \"freshness\": "
	"\"clock\", \"origin\": \"strict\", \"window_bits\": 65536, \"master\": \"00ff\"}], "
	"\"groups\": [{\"name\": \"jobs\", \"realms\": [\"lab\"], \"audiences\": [\"any\"], "
	"\"reader\": {\"uid\": 8, \"gid\": 9}, \"consumers\": 2}], \"table\": {\"generation\": 6}, "
	"\"memory\": {\"windows_bytes\": 1048576}}}\n";

static void
test_status(void **state)
{
	const struct call *call;
	json_t *object;

	(void)state;
	answer(status_answer);
	answer(status_answer);
	answer("{\"ok\": true, \"result\": {}}\n");
	call = call_cli("status", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_DONE);
	call_has(call->out, "credgated 9.9, pid 4, up 5 min, /c\n");
	call_has(call->out, "running, pid 5, up 2 s, tags by vaes512, no hugepages, 1 restarts\n");
	call_has(call->out, "last exit: signal 9\n");
	call_has(call->out, "windows 1.0 MiB");
	call_has(call->out, "\nlan\ttap\t7475\tpartial\t10.0.0.1/8,fd00::1/64\n");
	call_has(call->out, "\n0\tany\tpolling\t60\t120\t0\t40\t2\t7\t0\t0\n");
	call_has(call->out, "\n1\t3\tasleep\t0\t-\t0\t2\t0\t0\t0\t0\n");
	call_has(call->out, "\naccepted\t42\t0\tgenuine");
	call_has(call->out, "\nbad-tag\t0\t7\t");
	call_has(call->out, "\nlab\t7\t3\t64\t1\tenforce\tclock\tstrict\t65536\t00ff\n");
	call_has(call->out, "\njobs\t2\t8:9\tlab\tany\n");
	call = call_cli("status", "--json", "--run-dir", fake.run_dir, NULL);
	object = json_loads(call->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(object, "workers")), 2);
	json_decref(object);
	/* A daemon that says little is no reason to fall over. */
	assert_int_equal(call_cli("status", "--run-dir", fake.run_dir, NULL)->code, CLI_DONE);
}

static void
test_reload(void **state)
{
	const struct call *call;

	(void)state;
	answer("{\"ok\": false, \"errno\": 22, \"error\": \"c.yaml:3: realms: no such key\"}\n");
	call = call_cli("reload", "--run-dir", fake.run_dir, NULL);
	assert_int_equal(call->code, CLI_FAILED);
	call_has(call->err, "credgate reload: c.yaml:3: realms: no such key\n");
	was_asked(0, "{\"args\":{},\"verb\":\"reload\"}");
}

int
main(void)
{
#define WITH_FAKE(test) cmocka_unit_test_setup_teardown(test, fake_start, fake_stop)
	const struct CMUnitTest tests[] = {
		WITH_FAKE(test_node_add),
		WITH_FAKE(test_node_add_range),
		WITH_FAKE(test_hang_up),
		WITH_FAKE(test_nonsense),
		WITH_FAKE(test_node_list),
		WITH_FAKE(test_node_revoke),
		WITH_FAKE(test_node_revoke_role),
		WITH_FAKE(test_node_revoke_names),
		WITH_FAKE(test_node_set),
		WITH_FAKE(test_node_import),
		WITH_FAKE(test_node_import_wrong),
		WITH_FAKE(test_node_import_json),
		WITH_FAKE(test_asked_again),
		WITH_FAKE(test_node_export),
		WITH_FAKE(test_node_delete),
		WITH_FAKE(test_node_rotate),
		WITH_FAKE(test_not_after_past),
		WITH_FAKE(test_node_key),
		WITH_FAKE(test_node_keys),
		WITH_FAKE(test_node_key_open_to_others),
		WITH_FAKE(test_status),
		WITH_FAKE(test_reload),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The admin socket and its verbs, against a whole credgated in a child process (all but a running
 * dataplane): good requests, bad ones, hostile ones, and reloads.
 */
#include "tests/unit/ctrl/ctrl_rig.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ctrl/admin.h"
#include "wire/text.h"

#define CONFIG_HEAD "admins: {uids: [61008]}\n"
#define CONFIG_REALMS                                                                     \
	"realms: [{name: lab, id: 7, nodes_max: 600, window_bits: 64, mode: %s},"         \
	" {name: far, id: 8, nodes_max: 4, window_bits: 64, origin: claimed, freshness: " \
	"serial}]\n"
#define CONFIG_GROUPS \
	"groups: [{name: g, realms: [lab, far], audiences: [any], reader: {uid: %u}}]\n"

static uint8_t realm_key[KDF_KEY_SIZE];

/* ---- the server ---- */

static void
config_write(const char *head_more, const char *mode, unsigned reader)
{
	rig_config(CONFIG_HEAD "%s" CONFIG_REALMS CONFIG_GROUPS, head_more, mode, reader);
}

static int
connect_admin(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/run/admin.sock", fixture_dir);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
server_setup(void **state)
{
	const uint8_t master[32] = {9};

	if (rig_dirs(state) != 0)
		return -1;
	rig_master("lab");
	rig_master("far");
	kdf_realm(realm_key, master, 7);
	config_write("", "enforce", 61003);
	return rig_server_start(connect_admin);
}

/* Stops as told, and leaves no socket behind. */
static int
server_teardown(void **state)
{
	if (rig_server_stop() != 0)
		return -1;
	if (access(fixture_path("run/admin.sock"), F_OK) == 0 ||
		access(fixture_path("run/consumer.sock"), F_OK) == 0)
		return -1;
	return fixture_teardown(state);
}

/* ---- the client ---- */

static json_t *
read_answer(int fd)
{
	static char line[ADMIN_LINE_MAX + 1];
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	size_t length = 0;

	while (length < ADMIN_LINE_MAX) {
		if (poll(&wait, 1, 5000) != 1 || read(fd, &line[length], 1) != 1)
			return NULL;
		if (line[length] == '\n')
			return json_loadb(line, length, 0, NULL);
		length++;
	}
	return NULL;
}

/* One request on a connection of its own. */
static json_t *
ask(const char *request)
{
	int fd = connect_admin();
	json_t *answer;

	assert_true(fd >= 0);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	assert_int_equal(send(fd, "\n", 1, MSG_NOSIGNAL), 1);
	answer = read_answer(fd);
	close(fd);
	assert_non_null(answer);
	return answer;
}

/* The result, which the caller releases. */
static json_t *
ask_good(const char *request)
{
	json_t *answer = ask(request), *result;

	if (!json_is_true(json_object_get(answer, "ok")))
		fail_msg("%s: %s", request, json_string_value(json_object_get(answer, "error")));
	result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	return result;
}

static void
ask_bad(const char *request, int error, const char *text)
{
	json_t *answer = ask(request);
	const char *said = json_string_value(json_object_get(answer, "error"));

	assert_true(json_is_false(json_object_get(answer, "ok")));
	if (said == NULL || strstr(said, text) == NULL)
		fail_msg("%s: expected ...%s..., got %s", request, text, said);
	assert_int_equal(json_integer_value(json_object_get(answer, "errno")), error);
	json_decref(answer);
}

static json_int_t
number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static void
test_node_life(void **state)
{
	json_t *result, *node;
	struct node_key key;
	uint8_t expected[KDF_KEY_SIZE];
	const char *text;

	(void)state;
	result = ask_good("{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"n1\","
			  "\"prefixes\":[\"10.0.0.1\",\"fd77::/64\"],\"suite\":4}}");
	assert_int_equal(number(result, "node"), 1);
	assert_int_equal(number(result, "epoch"), 1);
	assert_int_equal(number(result, "suite"), 4);
	assert_string_equal(json_string_value(json_object_get(result, "realm")), "lab");
	assert_int_equal(number(result, "workers"), 0); /* no dataplane runs */
	json_decref(result);

	result = ask_good("{\"verb\":\"node.key\",\"args\":{\"realm\":\"lab\",\"name\":\"n1\"}}");
	text = json_string_value(json_object_get(result, "key"));
	assert_int_equal(node_key_decode(&key, text, strlen(text)), 0);
	assert_int_equal(key.realm, 7);
	assert_int_equal(key.node, 1);
	assert_int_equal(key.epoch, 1);
	assert_int_equal(key.suite, 4);
	kdf_node(expected, realm_key, 1, 1);
	assert_memory_equal(key.key, expected, sizeof(expected));
	json_decref(result);

	result = ask_good("{\"verb\":\"node.rotate\",\"args\":{\"realm\":\"lab\",\"node\":1,"
			  "\"until_s\":2000000000}}");
	assert_int_equal(number(result, "epoch"), 2);
	json_decref(result);
	result = ask_good("{\"verb\":\"node.list\",\"args\":{\"realm\":\"lab\"}}");
	node = json_array_get(json_object_get(result, "nodes"), 0);
	assert_string_equal(json_string_value(json_object_get(node, "state")), "live");
	assert_int_equal(json_array_size(json_object_get(node, "epochs")), 2);
	assert_int_equal(json_array_size(json_object_get(node, "prefixes")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(node, "prefixes"), 1)),
		"fd77::/64");
	json_decref(result);

	json_decref(ask_good(
		"{\"verb\":\"node.revoke\",\"args\":{\"realm\":\"lab\",\"name\":\"n1\"}}"));
	ask_bad("{\"verb\":\"node.key\",\"args\":{\"realm\":\"lab\",\"name\":\"n1\"}}", ENOKEY,
		"node n1 is revoked");
	result = ask_good("{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"n1\"}}");
	assert_int_equal(number(result, "epoch"), 3);
	json_decref(result);
	json_decref(ask_good(
		"{\"verb\":\"node.delete\",\"args\":{\"realm\":\"lab\",\"name\":\"n1\"}}"));
	ask_bad("{\"verb\":\"node.revoke\",\"args\":{\"realm\":\"lab\",\"name\":\"n1\"}}", ENOENT,
		"there is no node n1 in realm lab");
}

static void
test_bad_requests(void **state)
{
	static const struct {
		const char *request;
		int error;
		const char *text;
	} bad[] = {
		{"", EBADMSG, "is no JSON"},
		{"{", EBADMSG, "is no JSON"},
		{"hello", EBADMSG, "is no JSON"},
		{"[]", EINVAL, "a request is"},
		{"{}", EINVAL, "a request is"},
		{"{\"verb\":5}", EINVAL, "a request is"},
		{"{\"verb\":\"status\",\"argz\":{}}", EINVAL, "a request is"},
		{"{\"verb\":\"status\",\"verb\":\"reload\"}", EBADMSG, "duplicate"},
		{"{\"verb\":\"status\",\"args\":[]}", EINVAL, "args must be an object"},
		{"{\"verb\":\"status\",\"args\":{\"x\":1}}", EINVAL, "status takes no argument x"},
		{"{\"verb\":\"no.such\"}", ENOSYS, "there is no verb no.such"},
		{"{\"verb\":\"node.add\"}", EINVAL, "realm is missing"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"x\"}}", ENOENT,
			"there is no realm x"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\"}}", EINVAL, "name is missing"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"a b\"}}", EINVAL,
			"is no name for a node"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":5}}", EINVAL,
			"name must be a text"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"a\",\"suite\":5}}",
			EINVAL, "suite must be a whole number from 1 to 4"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"a\",\"node\":601}}",
			ERANGE, "is above nodes_max (600)"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"a\","
		 "\"prefixes\":[\"10.0.0.1/24\"]}}",
			EINVAL, "has bits set behind its length"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"a\","
		 "\"prefixes\":[\"nowhere\"]}}",
			EINVAL, "is no IPv4 or IPv6 address"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"a\","
		 "\"prefixes\":\"10.0.0.1\"}}",
			EINVAL, "prefixes must be a list"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"a\","
		 "\"not_before_s\":9,\"not_after_s\":5}}",
			EINVAL, "the key would never hold"},
		{"{\"verb\":\"node.add\",\"args\":{\"realm\":\"far\",\"name\":\"a\"}}", EINVAL,
			"origin mode claimed"},
		{"{\"verb\":\"node.revoke\",\"args\":{\"realm\":\"lab\"}}", EINVAL,
			"give the node"},
		{"{\"verb\":\"node.revoke\",\"args\":{\"realm\":\"lab\",\"node\":599}}", ENOENT,
			"there is no node 599"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ask_bad(bad[i].request, bad[i].error, bad[i].text);
	ask_bad("{\"verb\":\"no.such.\xff\xfe\"}", EBADMSG, "is no JSON");
}

/* Lines in pieces, several in one, and answers in their order. */
static void
test_pipeline(void **state)
{
	static const char requests[] =
		"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"p1\"}}\n"
		"nonsense\n"
		"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"p2\"}}\n"
		"{\"verb\":\"realm.list\"}\n";
	static const bool good[] = {true, false, true, true};
	int fd = connect_admin();

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < sizeof(requests) - 1; i += 7) {
		size_t length = sizeof(requests) - 1 - i < 7 ? sizeof(requests) - 1 - i : 7;

		assert_int_equal(send(fd, requests + i, length, MSG_NOSIGNAL), length);
	}
	shutdown(fd, SHUT_WR);
	for (size_t i = 0; i < sizeof(good); i++) {
		json_t *answer = read_answer(fd);

		assert_non_null(answer);
		assert_int_equal(json_is_true(json_object_get(answer, "ok")), good[i]);
		json_decref(answer);
	}
	assert_null(read_answer(fd)); /* end of file */
	close(fd);
}

static void
test_status(void **state)
{
	static const char *const parts[] = {
		"gateway", "dataplane", "ports", "workers", "realms", "groups", "table", "memory"};
	json_t *status = ask_good("{\"verb\":\"status\",\"args\":{}}"), *worker, *realm;

	(void)state;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		assert_non_null(json_object_get(status, parts[i]));
	assert_int_equal(number(json_object_get(status, "gateway"), "pid"), rig_server);
	worker = json_array_get(json_object_get(status, "workers"), 0);
	assert_int_equal(number(json_object_get(worker, "proved"), "accepted"), 0);
	assert_int_equal(json_object_size(json_object_get(worker, "unproved")), VERDICT_COUNT - 1);
	assert_int_equal(number(worker, "busy_cycles"), 0);
	realm = json_array_get(json_object_get(status, "realms"), 1);
	assert_string_equal(json_string_value(json_object_get(realm, "freshness")), "serial");
	assert_true(number(json_object_get(status, "memory"), "table_bytes") > 100000);
	json_decref(status);
}

/* A large realm comes in pieces of less than a line. */
static void
test_list_in_pieces(void **state)
{
	char request[256];
	json_int_t after = 0, last = 0;
	unsigned count = 0, pieces = 0;

	(void)state;
	for (unsigned i = 0; i < 560; i++) {
		snprintf(request, sizeof(request),
			"{\"verb\":\"node.add\",\"args\":{\"realm\":\"lab\",\"name\":\"many%u\"}}",
			i);
		json_decref(ask_good(request));
	}
	do {
		json_t *result, *node;
		size_t i;

		snprintf(request, sizeof(request),
			"{\"verb\":\"node.list\",\"args\":{\"realm\":\"lab\",\"after\":%d}}",
			(int)after);
		result = ask_good(request);
		json_array_foreach(json_object_get(result, "nodes"), i, node)
		{
			assert_true(number(node, "node") > last);
			last = number(node, "node");
			count++;
		}
		after = json_integer_value(json_object_get(result, "next"));
		json_decref(result);
		pieces++;
	} while (after != 0);
	assert_true(count >= 560);
	assert_true(pieces >= 2);
}

/* ---- hostile clients ---- */

static void
test_long_line(void **state)
{
	static char filler[65536];
	int fd = connect_admin();
	json_t *answer;

	(void)state;
	memset(filler, 'x', sizeof(filler));
	for (size_t sent = 0; sent < ADMIN_LINE_MAX + 2 * sizeof(filler); sent += sizeof(filler))
		if (send(fd, filler, sizeof(filler), MSG_NOSIGNAL) < 0)
			break;
	answer = read_answer(fd);
	assert_int_equal(number(answer, "errno"), EMSGSIZE);
	json_decref(answer);
	assert_null(read_answer(fd));
	close(fd);
	json_decref(ask_good("{\"verb\":\"realm.list\"}"));
}

/* Asks and never reads: dropped, while others are served. */
static void
test_slow_reader(void **state)
{
	static const char request[] = "{\"verb\":\"status\"}\n";
	struct pollfd wait;
	int fd = connect_admin();
	unsigned sent = 0;

	(void)state;
	assert_true(fd >= 0);
	wait = (struct pollfd){.fd = fd, .events = POLLOUT};
	while (sent < 100000 && poll(&wait, 1, 2000) == 1 && (wait.revents & POLLOUT) != 0 &&
		send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		sent++;
	/* Either it was hung up on, or its requests stay in its own socket. */
	assert_true(sent < 100000);
	json_decref(ask_good("{\"verb\":\"realm.list\"}"));
	close(fd);
}

static bool
become(uint32_t uid)
{
	return setgroups(0, NULL) == 0 && setresgid(uid, uid, uid) == 0 &&
	       setresuid(uid, uid, uid) == 0;
}

/* Takes more places than there are; says how many are served, and holds those until told. */
__attribute__((noreturn)) static void
crowd_run(int out, int in)
{
	int fds[ADMIN_CLIENTS_MAX + 8];
	struct pollfd wait;
	uint32_t served = 0;
	char byte;

	if (!become(61008))
		_exit(9);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		fds[i] = connect_admin();
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (send(fds[i], "{\"verb\":\"realm.list\"}\n{", 23, MSG_NOSIGNAL) == 23)
			served += read_answer(fds[i]) != NULL;
	if (write(out, &served, sizeof(served)) != sizeof(served) || read(in, &byte, 1) != 1)
		_exit(8);
	/* The oldest has made room. */
	wait = (struct pollfd){.fd = fds[0], .events = POLLIN};
	_exit(poll(&wait, 1, 1000) == 1 && read(fds[0], &byte, 1) <= 0 ? 0 : 7);
}

/* An admin may take all places of other admins, but not root's. */
static void
test_many_clients(void **state)
{
	int from[2], to[2], status;
	uint32_t served;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(from), 0);
	assert_int_equal(pipe(to), 0);
	child = fork();
	if (child == 0)
		crowd_run(from[1], to[0]);
	assert_int_equal(read(from[0], &served, sizeof(served)), sizeof(served));
	assert_int_equal(served, ADMIN_CLIENTS_MAX);
	json_decref(ask_good("{\"verb\":\"realm.list\"}"));
	assert_int_equal(write(to[1], "", 1), 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (size_t i = 0; i < 2; i++) {
		close(from[i]);
		close(to[i]);
	}
	usleep(50000);
	json_decref(ask_good("{\"verb\":\"realm.list\"}"));
}

/* A child of another uid; 0: served, 1: hung up on. */
static int
served_as(uint32_t uid)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		int fd;

		if (!become(uid))
			_exit(9);
		fd = connect_admin();
		if (fd < 0)
			_exit(2);
		if (send(fd, "{\"verb\":\"realm.list\"}\n", 22, MSG_NOSIGNAL) != 22)
			_exit(1);
		_exit(read_answer(fd) == NULL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WEXITSTATUS(status);
}

static void
test_strangers(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(served_as(61008), 0); /* one of admins */
	assert_int_equal(served_as(61001), 0); /* the control user */
	assert_int_equal(served_as(61009), 1);
}

/* ---- reload ---- */

static bool
mode_is(const char *mode)
{
	json_t *status = ask_good("{\"verb\":\"status\"}");
	const json_t *realm = json_array_get(json_object_get(status, "realms"), 0);
	const bool is_it = strcmp(json_string_value(json_object_get(realm, "mode")), mode) == 0;

	json_decref(status);
	return is_it;
}

static void
expect_mode(const char *mode)
{
	assert_true(mode_is(mode));
}

/* A signal is answered when the server gets to it. */
static void
await_mode(const char *mode)
{
	unsigned round;

	for (round = 0; round < 500 && !mode_is(mode); round++)
		usleep(10000);
	expect_mode(mode);
}

static void
test_reload(void **state)
{
	(void)state;
	config_write("", "observe", 61003);
	json_decref(ask_good("{\"verb\":\"reload\"}"));
	expect_mode("observe");
	/* A bad file, or one that needs a restart: what is in force stays. */
	config_write("nonsense: 1\n", "enforce", 61003);
	ask_bad("{\"verb\":\"reload\"}", EINVAL, "c.yaml:7: nonsense: no such key");
	expect_mode("observe");
	/* The old reader has the ring mapped, and would get what is meant for the new one. */
	config_write("", "enforce", 61013);
	ask_bad("{\"verb\":\"reload\"}", EBUSY, "the reader of a group changed");
	expect_mode("observe");
	config_write("groupz: []\n", "enforce", 61003);
	kill(rig_server, SIGHUP);
	usleep(200000);
	expect_mode("observe");
	config_write("", "enforce", 61003);
	kill(rig_server, SIGHUP);
	await_mode("enforce");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_life),
		cmocka_unit_test(test_bad_requests),
		cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_list_in_pieces),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_many_clients),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_reload),
	};

	if (geteuid() != 0) {
		fprintf(stderr, "needs root: its users are others than the caller\n");
		return FIXTURE_SKIP;
	}
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, server_setup, server_teardown);
}

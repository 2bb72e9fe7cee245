/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/cli/file.h"
#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"

#define SECOND_US 1000000ull

#define NODE_COMMON (CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR)

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * SECOND_US + (uint64_t)now.tv_nsec / 1000;
}

/* ---- names: several operands, each of which may be a range ---- */

/* One request per name over one connection; a refusal does not keep the others back. */
struct batch {
	struct cli *cli;
	struct request request;
	json_t *arguments; /* what all names have in common */
	const char *verb;
	void (*print)(const struct batch *batch, const char *name, const json_t *result);
	size_t count;
	size_t refused_count;
};

static int
batch_count(void *context, const char *name)
{
	size_t *count = context;

	(void)name;
	++*count;
	return 0;
}

static int
batch_one(void *context, const char *name)
{
	struct batch *batch = context;
	json_t *arguments = json_copy(batch->arguments), *result;
	int refused;

	json_object_set_new(arguments, "name", json_string(name));
	result = request_ask(&batch->request, batch->verb, arguments, &refused);
	if (!result) {
		batch->refused_count++;
		return refused ? 0 : -ECONNRESET;
	}
	if (batch->cli->has_json)
		request_print_json_line(result);
	else
		batch->print(batch, name, result);
	/* Done all the same: it does not count as refused. */
	if (json_object_get(result, "warning"))
		cli_fail(batch->cli, "warning: %s: %s", name, request_text(result, "warning"));
	json_decref(result);
	return 0;
}

/* More of a wrong name than this is not worth repeating. */
#define SHOWN_MAX 40

/* All patterns are looked at before the first request. */
static int
batch_check(struct batch *batch)
{
	char fault[VALUE_FAULT_SIZE];
	const char *pattern;
	int i;

	for (i = 1; i < batch->cli->argc; i++) {
		pattern = batch->cli->argv[i];
		if (value_names(pattern, batch_count, &batch->count, fault))
			return cli_usage(batch->cli, "'%.*s%s': %s", SHOWN_MAX, pattern,
				strlen(pattern) > SHOWN_MAX ? "..." : "", fault);
	}
	return CLI_DONE;
}

/* Operands: REALM, then names. */
static int
batch_run(struct batch *batch)
{
	int i, status = 0, code = CLI_DONE;

	json_object_set_new(batch->arguments, "realm", json_string(batch->cli->argv[0]));
	if (request_open(&batch->request, batch->cli) != 0)
		code = CLI_FAILED;
	for (i = 1; code == CLI_DONE && status == 0 && i < batch->cli->argc; i++)
		status = value_names(batch->cli->argv[i], batch_one, batch, NULL);
	request_close(&batch->request);
	if (batch->refused_count && batch->count > 1)
		cli_fail(batch->cli, "%zu of %zu names failed%s", batch->refused_count,
			batch->count, status ? ", the rest was not tried" : "");
	return batch->refused_count ? CLI_FAILED : code;
}

/* ---- node add, node rotate ---- */

enum {
	ADD_PREFIX = CLI_ID_FIRST,
	ADD_SUITE,
	ADD_ID,
	ADD_NOT_BEFORE,
	ADD_NOT_AFTER,
	ADD_OLD_UNTIL,
};

static const struct cli_option add_options[] = {
	{"prefix", ADD_PREFIX, "ADDR/N", "where the node sends from; may be given 16 times"},
	{"suite", ADD_SUITE, "SUITE", "cmac128, cmac256, sealed128 (default) or sealed256"},
	{"id", ADD_ID, "N", "the node's number (default: the next that is free)"},
	{"not-before", ADD_NOT_BEFORE, "S", "the key holds from: Unix seconds or +TIME from now"},
	{"not-after", ADD_NOT_AFTER, "S", "the key holds until: Unix seconds or +TIME from now"},
	{NULL, 0, NULL, NULL},
};

static const char *
add_time_member(int id)
{
	switch (id) {
	case ADD_NOT_BEFORE:
		return "not_before_s";
	case ADD_NOT_AFTER:
		return "not_after_s";
	default:
		return "until_s";
	}
}

static int
add_time(struct cli *cli, json_t *arguments, int id, const char *value)
{
	uint64_t us = 0, s = 0, now = now_us();

	if (value[0] == '+' ? value_instant(value, now, &us)
			    : value_number(value, 1, INT64_MAX / SECOND_US, &s))
		return cli_bad_value(cli, id, value, "Unix seconds, or a time from now as +90d");
	if (us)
		s = us / SECOND_US;
	if (id == ADD_NOT_AFTER && s <= now / SECOND_US)
		return cli_usage(cli, "--not-after is in the past: the key would never hold");
	json_object_set_new(arguments, add_time_member(id), json_integer((json_int_t)s));
	return CLI_DONE;
}

static int
add_prefix(json_t *arguments, const char *value)
{
	json_t *prefixes = json_object_get(arguments, "prefixes");

	if (!prefixes) {
		prefixes = json_array();
		json_object_set_new(arguments, "prefixes", prefixes);
	}
	json_array_append_new(prefixes, json_string(value));
	return CLI_DONE;
}

static int
add_take(struct cli *cli, void *context, int id, const char *value)
{
	json_t *arguments = context;
	uint64_t number;
	unsigned suite;

	switch (id) {
	case ADD_PREFIX:
		return add_prefix(arguments, value);
	case ADD_SUITE:
		if (value_suite(value, &suite))
			return cli_bad_value(
				cli, id, value, "cmac128, cmac256, sealed128, sealed256 or 1 to 4");
		json_object_set_new(arguments, "suite", json_integer(suite));
		return CLI_DONE;
	case ADD_ID:
		if (value_number(value, 1, UINT32_MAX, &number))
			return cli_bad_value(cli, id, value, "a number from 1");
		json_object_set_new(arguments, "node", json_integer((json_int_t)number));
		return CLI_DONE;
	default:
		return add_time(cli, arguments, id, value);
	}
}

static void
add_print(const struct batch *batch, const char *name, const json_t *result)
{
	(void)batch;
	(void)name;
	printf("added %s: node %" PRIu64 " of realm %s, epoch %" PRIu64 ", %s\n",
		request_text(result, "name"), request_number(result, "node"),
		request_text(result, "realm"), request_number(result, "epoch"),
		value_suite_name((unsigned)request_number(result, "suite")));
}

/* Parses the options and asks for every name; `batch` comes with its verb. */
static int
add_or_rotate(struct cli *cli, struct batch batch)
{
	int code;

	batch.cli = cli;
	batch.arguments = json_object();
	code = cli_parse(cli, add_take, batch.arguments);
	if (code == CLI_GO)
		code = batch_check(&batch);
	if (code == CLI_DONE && batch.count > 1 && json_object_get(batch.arguments, "node"))
		code = cli_usage(cli, "--id goes with one name, not with %zu", batch.count);
	if (code == CLI_DONE && batch.count > 0)
		code = cli_finish(cli, batch_run(&batch));
	json_decref(batch.arguments);
	return code;
}

static int
add_run(struct cli *cli)
{
	return add_or_rotate(cli, (struct batch){.verb = "node.add", .print = add_print});
}

const struct cli_verb verb_node_add = {
	.name = "node add",
	.operands = "REALM NAME...",
	.summary = "Register nodes, or give revoked ones a new key",
	.detail =
		"A name may have ranges: n[001-128,200] stands for 129 nodes. What is refused for\n"
		"one name does not keep the others back. With --json: one object per line.\n",
	.examples = "credgate node add lab login1 --prefix 10.77.0.2/32\n"
		    "credgate node add lab 'n[001-512]' --prefix 10.77.0.0/16 --suite cmac128\n",
	.options = {add_options},
	.common = NODE_COMMON,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = add_run,
};

static const struct cli_option rotate_options[] = {
	{"suite", ADD_SUITE, "SUITE", "cmac128, cmac256, sealed128 or sealed256 (default: as now)"},
	{"not-before", ADD_NOT_BEFORE, "S", "the new key holds from: Unix seconds or +TIME"},
	{"not-after", ADD_NOT_AFTER, "S", "the new key holds until: Unix seconds or +TIME"},
	{"old-until", ADD_OLD_UNTIL, "S",
		"the old keys hold no longer than this (default: as now)"},
	{NULL, 0, NULL, NULL},
};

static void
rotate_print(const struct batch *batch, const char *name, const json_t *result)
{
	(void)batch;
	(void)name;
	printf("rotated %s: node %" PRIu64 " of realm %s, new epoch %" PRIu64 ", %s\n",
		request_text(result, "name"), request_number(result, "node"),
		request_text(result, "realm"), request_number(result, "epoch"),
		value_suite_name((unsigned)request_number(result, "suite")));
}

static int
rotate_run(struct cli *cli)
{
	return add_or_rotate(cli, (struct batch){.verb = "node.rotate", .print = rotate_print});
}

const struct cli_verb verb_node_rotate = {
	.name = "node rotate",
	.operands = "REALM NAME...",
	.summary = "Give nodes a new key (epoch) beside the old one",
	.detail =
		"Nothing is interrupted: the old key goes on holding until --old-until, or until\n"
		"the node is revoked. Afterwards 'credgate node key' writes the new key. A node\n"
		"has at most 8 keys at a time, none more than 7 epochs behind its newest.\n",
	.examples = "credgate node rotate lab n001 --old-until +1d\n"
		    "credgate node key lab n001 -o n001-new.key\n",
	.options = {rotate_options},
	.common = NODE_COMMON,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = rotate_run,
};

/* ---- node list ---- */

/* "1, 2": the live epochs; the suite is that of the newest. */
static const char *
list_epochs(const json_t *epochs, char *text, size_t room)
{
	const json_t *epoch;
	const char *suite = "-";
	size_t used = 0, i;

	text[0] = '\0';
	json_array_foreach(epochs, i, epoch)
	{
		used += (size_t)snprintf(text + used, room - used, "%s%" PRIu64, i ? "," : "",
			request_number(epoch, "epoch"));
		if (used >= room)
			used = room - 1;
		suite = value_suite_name((unsigned)request_number(epoch, "suite"));
	}
	return suite;
}

static void
list_prefixes(const json_t *prefixes, char *text, size_t room)
{
	const json_t *prefix;
	size_t used = 0, i;

	snprintf(text, room, "any");
	json_array_foreach(prefixes, i, prefix)
	{
		used += (size_t)snprintf(text + used, room - used, "%s%s", i ? "," : "",
			json_is_string(prefix) ? json_string_value(prefix) : "?");
		if (used >= room)
			used = room - 1;
	}
}

static void
list_row(struct table *table, const json_t *node, uint64_t now)
{
	char epochs[64], prefixes[256], age[PRINT_AGE_SIZE] = "never";
	const char *suite = list_epochs(json_object_get(node, "epochs"), epochs, sizeof(epochs));
	uint64_t seen_us = request_number(node, "last_seen_us");

	list_prefixes(json_object_get(node, "prefixes"), prefixes, sizeof(prefixes));
	if (seen_us)
		print_age(age, now > seen_us ? now - seen_us : 0);
	table_cell(table, "%" PRIu64, request_number(node, "node"));
	table_cell(table, "%s", request_text(node, "name"));
	table_cell(table, "%s", request_text(node, "state"));
	table_cell(table, "%s", epochs[0] ? epochs : "-");
	table_cell(table, "%s", suite);
	table_cell(table, "%s%s", age, seen_us ? " ago" : "");
	table_cell(table, "%s", prefixes);
}

/* A large realm comes in pieces: appends one to `nodes`. Returns what to ask for next, 0: nothing,
 * or -1 after a failure that was told. */
static int64_t
list_piece(struct request *request, const char *realm, int64_t after, json_t *nodes)
{
	json_t *arguments = json_pack("{s:s}", "realm", realm), *result;
	int64_t next;

	if (after)
		json_object_set_new(arguments, "after", json_integer(after));
	result = request_ask(request, "node.list", arguments, NULL);
	if (!result)
		return -1;
	json_array_extend(nodes, json_object_get(result, "nodes"));
	next = json_integer_value(json_object_get(result, "next"));
	json_decref(result);
	/* An answer that leads nowhere would have us ask for ever. */
	return next > after ? next : 0;
}

static int
list_nodes(struct cli *cli, const char *realm, json_t *nodes)
{
	struct request request;
	int64_t after = 0;

	if (request_open(&request, cli) != 0)
		return CLI_FAILED;
	do {
		after = list_piece(&request, realm, after, nodes);
	} while (after > 0);
	request_close(&request);
	return after < 0 ? CLI_FAILED : CLI_DONE;
}

static void
print_nodes(const struct cli *cli, const json_t *nodes)
{
	static const struct table_column columns[] = {{"NODE", true}, {"NAME", false},
		{"STATE", false}, {"EPOCHS", false}, {"SUITE", false}, {"LAST SEEN", false},
		{"PREFIXES", false}};
	struct table table;
	const json_t *node;
	size_t i;

	table_begin(&table, cli, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(nodes, i, node)
	{
		list_row(&table, node, now_us());
	}
	table_end(&table);
}

static int
list_run(struct cli *cli)
{
	json_t *result, *nodes;
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	nodes = json_array();
	result = json_pack("{s:s, s:o}", "realm", cli->argv[0], "nodes", nodes);
	code = list_nodes(cli, cli->argv[0], nodes);
	if (code == CLI_DONE && cli->has_json)
		request_print_json(result);
	else if (code == CLI_DONE)
		print_nodes(cli, nodes);
	json_decref(result);
	return cli_finish(cli, code);
}

const struct cli_verb verb_node_list = {
	.name = "node list",
	.operands = "REALM",
	.summary = "List a realm's nodes, their keys and when they were last heard",
	.examples = "credgate node list lab\n"
		    "credgate node list lab --json | jq -r '.nodes[] | select(.state == "
		    "\"live\").name'\n",
	.common = NODE_COMMON | CLI_TAKES_TSV,
	.operands_min = 1,
	.operands_max = 1,
	.run = list_run,
};

/* ---- node revoke, node delete ---- */

static void
print_gone(const struct batch *batch, const char *done, const char *name, const json_t *result)
{
	uint64_t workers = request_number(result, "workers");

	printf("%s %s: node %" PRIu64 " of realm %s; ", done, name, request_number(result, "node"),
		batch->cli->argv[0]);
	printf("in force on %" PRIu64 " worker%s\n", workers, workers == 1 ? "" : "s");
}

static void
revoke_print(const struct batch *batch, const char *name, const json_t *result)
{
	print_gone(batch, "revoked", name, result);
}

static void
delete_print(const struct batch *batch, const char *name, const json_t *result)
{
	print_gone(batch, "deleted", name, result);
}

/* `batch` comes with its verb. */
static int
revoke_or_delete(struct cli *cli, struct batch batch)
{
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	batch.cli = cli;
	batch.arguments = json_object();
	code = batch_check(&batch);
	if (code == CLI_DONE)
		code = cli_finish(cli, batch_run(&batch));
	json_decref(batch.arguments);
	return code;
}

static int
revoke_run(struct cli *cli)
{
	return revoke_or_delete(cli, (struct batch){.verb = "node.revoke", .print = revoke_print});
}

static int
delete_run(struct cli *cli)
{
	return revoke_or_delete(cli, (struct batch){.verb = "node.delete", .print = delete_print});
}

const struct cli_verb verb_node_revoke = {
	.name = "node revoke",
	.operands = "REALM NAME...",
	.summary = "Throw nodes out: none of their keys is taken any more",
	.detail =
		"Answers when every running worker refuses them (or after a second, saying how\n"
		"many do). 'credgate node add' gives a node a new key if it is trusted again.\n"
		"With a full disk the node is refused all the same: a warning says that it is not\n"
		"written yet, and the gateway goes on trying.\n",
	.examples = "credgate node revoke lab n017\ncredgate node revoke lab 'n[100-131]'\n",
	.common = NODE_COMMON,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = revoke_run,
};

const struct cli_verb verb_node_delete = {
	.name = "node delete",
	.operands = "REALM NAME...",
	.summary = "Revoke nodes and free their places: name and number may be given again",
	.detail =
		"For nodes that do not come back; 'credgate node revoke' keeps the name. The\n"
		"gateway remembers of a deleted node its number and highest epoch (a tombstone):\n"
		"whoever gets the number next begins above it, so no old key holds ever again.\n",
	.examples = "credgate node delete lab n017\ncredgate node delete lab 'n[100-131]'\n",
	.common = NODE_COMMON,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = delete_run,
};

/* ---- node key ---- */

static const struct cli_option key_options[] = {
	{"output", 'o', "FILE", "make this file, for its owner only; - for standard output"},
	{NULL, 0, NULL, NULL},
};

static int
key_take(struct cli *cli, void *context, int id, const char *value)
{
	const char **output = context;

	(void)cli;
	(void)id;
	*output = value;
	return CLI_DONE;
}

/* Without -o the key goes down a pipe, but neither on a screen nor into a file that others read. */
static int
key_check_stdout(struct cli *cli)
{
	struct stat stat;

	if (isatty(STDOUT_FILENO))
		return cli_usage(
			cli, "not showing a key on a terminal (-o FILE, or -o - to insist)");
	if (fstat(STDOUT_FILENO, &stat) == 0 && S_ISREG(stat.st_mode) && (stat.st_mode & 077))
		return cli_usage(
			cli, "others may read the file that standard output goes to (use -o)");
	return CLI_DONE;
}

/* Something stands where the key was to go. */
static int
key_exists(struct cli *cli, const char *output)
{
	struct stat stat;

	if (lstat(output, &stat) == 0 && S_ISLNK(stat.st_mode))
		return cli_fail(cli,
			"%s is a symbolic link and was not followed: give the file itself", output);
	return cli_fail(cli, "%s is there already and was not touched: move it away first", output);
}

static int
key_write(struct cli *cli, const char *output, const char *key)
{
	int status;

	if (!output || strcmp(output, "-") == 0) {
		status = file_write(STDOUT_FILENO, key, strlen(key));
		return status ? cli_fail(cli, "cannot write: %s", strerror(-status)) : CLI_DONE;
	}
	status = file_create(output, key, strlen(key));
	if (status == -EEXIST)
		return key_exists(cli, output);
	return status ? cli_fail(cli, "%s: %s", output, strerror(-status)) : CLI_DONE;
}

static int
key_run(struct cli *cli)
{
	const char *output = NULL, *key;
	json_t *result;
	int code = cli_parse(cli, key_take, &output);

	if (code == CLI_GO)
		code = output ? CLI_DONE : key_check_stdout(cli);
	else
		return code;
	if (code != CLI_DONE)
		return code;
	result = request_once(cli, "node.key",
		json_pack("{s:s, s:s}", "realm", cli->argv[0], "name", cli->argv[1]));
	if (!result)
		return CLI_FAILED;
	key = json_string_value(json_object_get(result, "key"));
	code = key ? key_write(cli, output, key) : cli_fail(cli, "credgated sent no key");
	json_decref(result);
	return code;
}

const struct cli_verb verb_node_key = {
	.name = "node key",
	.operands = "REALM NAME",
	.summary = "Write a node's key file, for 'credgate mint' and libcredgate",
	.detail =
		"The file lets its reader speak for the node: move it to the node over a channel\n"
		"that nobody reads, and keep it readable by one user there. An existing file is\n"
		"never overwritten.\n",
	.examples =
		"credgate node key lab n001 -o n001.key\n"
		"credgate node key lab n001 | ssh n001 'umask 077; cat > /etc/credgate/node.key'\n",
	.options = {key_options},
	.common = CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.operands_min = 2,
	.operands_max = 2,
	.run = key_run,
};

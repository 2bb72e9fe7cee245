/* SPDX-License-Identifier: BSD-3-Clause */
/* Rotating the keys of a realm or a node, step by step: docs/rotation.md. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ctrl/cli/node_batch.h"
#include "ctrl/cli/print.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/clock.h"

#define SECOND_US    1000000ull
#define QUIET_MAX_US (366 * 86400 * SECOND_US)

/* Not yet: old keys are in use. Scripts wait for 0. */
#define ROTATION_NOT_YET 3

enum {
	ID_SUITE = CLI_ID_FIRST,
	ID_NOT_BEFORE,
	ID_NOT_AFTER,
	ID_OVERLAP,
	ID_UNTIL,
	ID_MASTER,
	ID_ROLE,
	ID_QUIET,
	ID_FORCE,
	ID_FINAL,
	ID_EPOCH,
	ID_NODES,
	ID_ALL,
	ID_LIMIT,
};

/* "1 node", "2 nodes" */
static const char *
plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

/* ---- options ---- */

static int
take_time(struct cli *cli, json_t *arguments, int id, const char *value, const char *member)
{
	uint64_t us = 0, s = 0;

	if (value[0] == '+' ? value_instant(value, clock_real_us(), &us)
			    : value_number(value, 1, UINT32_MAX - 1, &s))
		return cli_bad_value(cli, id, value, "Unix seconds, or a time from now as +90d");
	s = us ? us / SECOND_US : s;
	json_object_set_new(arguments, member, json_integer((json_int_t)s));
	return CLI_DONE;
}

/* --overlap is --old-until, counted from now. */
static int
take_overlap(struct cli *cli, json_t *arguments, int id, const char *value)
{
	uint64_t us = 0;

	if (value_duration(value, SECOND_US, QUIET_MAX_US, &us) || us < SECOND_US)
		return cli_bad_value(cli, id, value, "a time as 30m, 12h or 7d");
	json_object_set_new(arguments, "until_s",
		json_integer((json_int_t)((clock_real_us() + us) / SECOND_US)));
	return CLI_DONE;
}

static int
take_quiet(struct cli *cli, json_t *arguments, int id, const char *value)
{
	uint64_t us = 0;

	if (value_duration(value, SECOND_US, QUIET_MAX_US, &us))
		return cli_bad_value(cli, id, value, "a time as 90s, 10m or 1d");
	json_object_set_new(
		arguments, "quiet_s", json_integer((json_int_t)((us + SECOND_US - 1) / SECOND_US)));
	return CLI_DONE;
}

static int
take_number(struct cli *cli, json_t *arguments, int id, const char *value, uint64_t max,
	const char *member)
{
	uint64_t number = 0;

	if (value_number(value, 1, max, &number))
		return cli_bad_value(cli, id, value, "a number from 1");
	json_object_set_new(arguments, member, json_integer((json_int_t)number));
	return CLI_DONE;
}

static int
take_suite(struct cli *cli, json_t *arguments, int id, const char *value)
{
	unsigned suite;

	if (value_suite(value, &suite))
		return cli_bad_value(
			cli, id, value, "cmac128, cmac256, sealed128, sealed256 or 1 to 4");
	json_object_set_new(arguments, "suite", json_integer(suite));
	return CLI_DONE;
}

static const char *
truth_member(int id)
{
	switch (id) {
	case ID_MASTER:
		return "master";
	case ID_FORCE:
		return "force";
	case ID_FINAL:
		return "final";
	case ID_ALL:
		return "all";
	default:
		return "nodes";
	}
}

/* For all verbs here: the context is the arguments of the request. */
static int
take(struct cli *cli, void *context, int id, const char *value)
{
	json_t *arguments = context;

	switch (id) {
	case ID_SUITE:
		return take_suite(cli, arguments, id, value);
	case ID_NOT_BEFORE:
		return take_time(cli, arguments, id, value, "not_before_s");
	case ID_NOT_AFTER:
		return take_time(cli, arguments, id, value, "not_after_s");
	case ID_UNTIL:
		return take_time(cli, arguments, id, value, "until_s");
	case ID_OVERLAP:
		return take_overlap(cli, arguments, id, value);
	case ID_ROLE:
		json_object_set_new(arguments, "role", json_string(value));
		return CLI_DONE;
	case ID_QUIET:
		return take_quiet(cli, arguments, id, value);
	case ID_EPOCH:
		return take_number(cli, arguments, id, value, UINT16_MAX, "epoch");
	case ID_LIMIT:
		return take_number(cli, arguments, id, value, UINT32_MAX, "limit");
	default:
		json_object_set_new(arguments, truth_member(id), json_true());
		return CLI_DONE;
	}
}

/*
 * One request about the realm that is the first operand; prints with `print` unless --json. What is
 * refused because keys are in use is ROTATION_NOT_YET.
 */
static int
realm_ask(struct cli *cli, const char *verb, json_t *arguments,
	void (*print)(const struct cli *cli, const json_t *result))
{
	struct request request;
	json_t *result = NULL;
	int refused = 0;

	json_object_set_new(arguments, "realm", json_string(cli->argv[0]));
	request_why(cli, arguments);
	if (request_open(&request, cli) == 0)
		result = request_ask(&request, verb, arguments, &refused);
	else
		json_decref(arguments);
	request_close(&request);
	if (!result)
		return refused == EBUSY ? ROTATION_NOT_YET : CLI_FAILED;
	if (cli->has_json)
		request_print_json(result);
	else
		print(cli, result);
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

static int
realm_run(struct cli *cli, const char *verb,
	void (*print)(const struct cli *cli, const json_t *result))
{
	json_t *arguments = json_object();
	int code = cli_parse(cli, take, arguments);

	if (code == CLI_GO)
		return realm_ask(cli, verb, arguments, print);
	json_decref(arguments);
	return code;
}

/* ---- realm rotate ---- */

static const struct cli_option rotate_options[] = {
	{"suite", ID_SUITE, "SUITE", "of the new keys (default: each node's own)"},
	{"overlap", ID_OVERLAP, "TIME", "the old keys hold no longer than this from now, as 7d"},
	{"old-until", ID_UNTIL, "S", "the same as an instant: Unix seconds, or +TIME from now"},
	{"not-before", ID_NOT_BEFORE, "S", "the new keys hold from: Unix seconds or +TIME"},
	{"not-after", ID_NOT_AFTER, "S", "the new keys hold until: Unix seconds or +TIME"},
	{"role", ID_ROLE, "ROLE", "only nodes that have this role"},
	{"master", ID_MASTER, NULL,
		"make a new master secret too, and derive the new keys from it"},
	{NULL, 0, NULL, NULL},
};

static void
rotate_print(const struct cli *cli, const json_t *result)
{
	uint64_t nodes = request_number(result, "nodes");
	uint64_t workers = request_number(result, "workers");

	printf("rotation %" PRIu64 " of realm %s: %" PRIu64
	       " node%s a new key beside the old; in force on %" PRIu64 " worker%s\n",
		request_number(result, "rotation"), request_text(result, "realm"), nodes,
		nodes == 1 ? " has" : "s have", workers, plural(workers));
	if (json_is_true(json_object_get(result, "is_new_master")))
		printf("new master secret %s: %s; back it up now, offline\n",
			request_text(result, "master"), request_text(result, "master_file"));
	printf("Next: give the nodes their keys (credgate node key), then credgate realm drain "
	       "%s\n",
		cli->argv[0]);
}

static int
rotate_run(struct cli *cli)
{
	return realm_run(cli, "realm.rotate", rotate_print);
}

const struct cli_verb verb_realm_rotate = {
	.name = "realm rotate",
	.operands = "REALM",
	.summary = "Give every live node of a realm a new key beside the old one",
	.detail =
		"Nothing is interrupted: both keys hold until 'realm retire', or until --overlap\n"
		"is over. All nodes get theirs or none. 'node key' writes the new key from then\n"
		"on, 'realm drain' shows who still uses the old one, 'realm rollback' closes the\n"
		"new ones again. With --master they come from a new master secret, whose file is\n"
		"made beside the old one; the old one serves until no key needs it.\n",
	.examples = "credgate realm rotate lab\n"
		    "credgate realm rotate lab --master --overlap 30d --why 'yearly change'\n",
	.options = {rotate_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR | CLI_TAKES_WHY,
	.operands_min = 1,
	.operands_max = 1,
	.run = rotate_run,
};

/* ---- realm drain ---- */

static const struct cli_option drain_options[] = {
	{"quiet", ID_QUIET, "TIME", "not used for so long is not in use (default: 10m)"},
	{"nodes", ID_NODES, NULL, "list the nodes that have not moved yet, one by one"},
	{"all", ID_ALL, NULL, "list those that have moved, too"},
	{"limit", ID_LIMIT, "N", "list at most so many nodes"},
	{NULL, 0, NULL, NULL},
};

static void
age_of(char age[PRINT_AGE_SIZE + 8], uint64_t last_s)
{
	uint64_t now_s = clock_real_us() / SECOND_US;
	char text[PRINT_AGE_SIZE];

	print_age(text, now_s > last_s ? (now_s - last_s) * SECOND_US : 0);
	snprintf(age, PRINT_AGE_SIZE + 8, "%s%s", last_s ? text : "never", last_s ? " ago" : "");
}

static void
drain_rows(const struct cli *cli, const json_t *rows)
{
	static const struct table_column columns[] = {{"EPOCH", true}, {"KEY", false},
		{"NODES", true}, {"IN USE", true}, {"ACCEPTED", true}, {"PER MINUTE", true},
		{"LAST USED", false}};
	char age[PRINT_AGE_SIZE + 8];
	struct table table;
	const json_t *row;
	size_t i;

	table_begin(&table, cli, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(rows, i, row)
	{
		age_of(age, request_number(row, "last_used_s"));
		table_cell(&table, "%" PRIu64, request_number(row, "epoch"));
		table_cell(&table, "%s", request_text(row, "key"));
		table_cell(&table, "%" PRIu64, request_number(row, "nodes"));
		table_cell(&table, "%" PRIu64, request_number(row, "in_use"));
		table_cell(&table, "%" PRIu64, request_number(row, "accepted"));
		table_cell(&table, "%" PRIu64, request_number(row, "per_minute"));
		table_cell(&table, "%s", age);
	}
	table_end(&table);
}

static void
drain_nodes(const struct cli *cli, const json_t *nodes)
{
	static const struct table_column columns[] = {{"NODE", true}, {"NAME", false},
		{"STATE", false}, {"OLD EPOCH", true}, {"LAST USED", false}, {"NEW EPOCH", true},
		{"LAST USED", false}};
	char old[PRINT_AGE_SIZE + 8], new[PRINT_AGE_SIZE + 8];
	struct table table;
	const json_t *node;
	size_t i;

	table_begin(&table, cli, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(nodes, i, node)
	{
		age_of(old, request_number(node, "old_last_s"));
		age_of(new, request_number(node, "new_last_s"));
		table_cell(&table, "%" PRIu64, request_number(node, "node"));
		table_cell(&table, "%s", request_text(node, "name"));
		table_cell(&table, "%s", request_text(node, "state"));
		table_cell(&table, "%" PRIu64, request_number(node, "old_epoch"));
		table_cell(&table, "%s", old);
		table_cell(&table, "%" PRIu64, request_number(node, "new_epoch"));
		table_cell(&table, "%s", new);
	}
	table_end(&table);
}

static void
drain_names(const char *what, uint64_t count, const json_t *result, const char *member)
{
	if (count > 0)
		printf("%s (%" PRIu64 "): %s\n", what, count, request_text(result, member));
}

/* What is to be done now, in one line. */
static void
drain_verdict(const json_t *result)
{
	const char *realm = request_text(result, "realm");
	uint64_t held = request_number(result, "held");

	if (request_number(result, "rotating") == 0 && held > 0)
		printf("no old key holds; %" PRIu64 " retired ones can come back until 'credgate "
		       "realm retire %s --final'\n",
			held, realm);
	else if (request_number(result, "rotating") == 0)
		printf("no node has an old key\n");
	else if (json_is_true(json_object_get(result, "is_drained")))
		printf("drained: credgate realm retire %s\n", realm);
	else if (request_number(result, "in_use") == 0)
		printf("quiet so far, watched for %" PRIu64 " s of %" PRIu64 " s\n",
			request_number(result, "watched_s"), request_number(result, "quiet_s"));
	else
		printf("old keys are in use\n");
}

static void
drain_print(const struct cli *cli, const json_t *result)
{
	const json_t *nodes = json_object_get(result, "list");

	if (nodes) {
		drain_nodes(cli, nodes);
		return;
	}
	drain_rows(cli, json_object_get(result, "epochs"));
	if (cli->has_tsv)
		return;
	drain_names(
		"still on an old key", request_number(result, "in_use"), result, "in_use_names");
	drain_names("not heard since the new key was opened", request_number(result, "silent"),
		result, "silent_names");
	drain_verdict(result);
}

/* The list comes in pieces; the first answer is completed with what the others have. */
static json_t *
drain_fetch(struct request *request, json_t *arguments, uint64_t limit)
{
	json_t *result = NULL, *piece, *list;
	int64_t next = 0, after;

	do {
		json_t *asked = json_copy(arguments);

		if (next > 0)
			json_object_set_new(asked, "after", json_integer(next));
		piece = request_ask(request, "realm.drain", asked, NULL);
		after = next;
		next = piece ? json_integer_value(json_object_get(piece, "next")) : 0;
		list = json_object_get(result ? result : piece, "list");
		if (result && piece) {
			json_array_extend(list, json_object_get(piece, "list"));
			json_decref(piece);
		}
		result = result ? result : piece;
		/* An answer that leads nowhere would have us ask for ever. */
	} while (piece && next > after && json_array_size(list) < limit);
	json_object_del(result, "next");
	while (json_array_size(list) > limit)
		json_array_remove(list, json_array_size(list) - 1);
	if (!piece) {
		json_decref(result);
		return NULL;
	}
	return result;
}

static int
drain_run(struct cli *cli)
{
	json_t *arguments = json_object(), *result = NULL;
	int code = cli_parse(cli, take, arguments);
	struct request request;
	uint64_t limit;

	if (code != CLI_GO) {
		json_decref(arguments);
		return code;
	}
	limit = request_number(arguments, "limit");
	json_object_del(arguments, "limit");
	json_object_set_new(arguments, "realm", json_string(cli->argv[0]));
	if (request_open(&request, cli) == 0)
		result = drain_fetch(&request, arguments, limit ? limit : UINT64_MAX);
	request_close(&request);
	json_decref(arguments);
	if (!result)
		return CLI_FAILED;
	cli->has_json ? request_print_json(result) : drain_print(cli, result);
	code = json_is_true(json_object_get(result, "is_drained")) ? CLI_DONE : ROTATION_NOT_YET;
	json_decref(result);
	return cli_finish(cli, code);
}

const struct cli_verb verb_realm_drain = {
	.name = "realm drain",
	.operands = "REALM",
	.summary = "Show how many nodes still use an old key, and who",
	.detail =
		"A node is on an old key if one was accepted within --quiet, or since the new one\n"
		"was opened and the new one not after that. Only accepted credentials count:\n"
		"replaying old ones keeps no key alive. Who was not heard at all is named apart.\n"
		"Nodes are named as ranges; --nodes lists them with the times.\n",
	.examples = "credgate realm drain lab\n"
		    "until credgate realm drain lab >/dev/null; do sleep 60; done; "
		    "credgate realm retire lab\n",
	.exits = "0\tno old key is in use: 'realm retire' would go through\n"
		 "1\tit could not be found out\n"
		 "2\twrong usage\n"
		 "3\told keys are in use, or were not watched for long enough\n",
	.options = {drain_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_TSV | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.operands_min = 1,
	.operands_max = 1,
	.run = drain_run,
};

/* ---- retire and rollback ---- */

static const struct cli_option retire_options[] = {
	{"quiet", ID_QUIET, "TIME", "not used for so long is not in use (default: 10m)"},
	{"final", ID_FINAL, NULL, "close what is retired for good: it never comes back"},
	{"force", ID_FORCE, NULL, "even if old keys are in use: their nodes are refused"},
	{NULL, 0, NULL, NULL},
};

/* What a step did, behind what it was done to. */
static void
step_say(const json_t *result, const char *who)
{
	uint64_t held = request_number(result, "held"), closed = request_number(result, "closed");
	uint64_t restored = request_number(result, "restored");
	uint64_t undone = request_number(result, "undone");

	if (closed > 0)
		printf("%s: %" PRIu64 " old key%s closed for good\n", who, closed,
			closed == 1 ? " is" : "s are");
	else if (held > 0)
		printf("%s: %" PRIu64 " old key%s refused from now on; 'rollback' brings %s back "
		       "within 7 days, 'retire --final' ends that\n",
			who, held, held == 1 ? " is" : "s are", held == 1 ? "it" : "them");
	if (restored > 0)
		printf("%s: %" PRIu64 " retired key%s again\n", who, restored,
			restored == 1 ? " holds" : "s hold");
	if (undone > 0)
		printf("%s: %" PRIu64 " new key%s closed, the old one%s the newest again\n", who,
			undone, undone == 1 ? " is" : "s are", undone == 1 ? " is" : "s are");
	if (request_number(result, "silent") > 0)
		printf("not heard under the new key, so perhaps without it: %s\n",
			request_text(result, "silent_names"));
}

static void
step_print(const struct cli *cli, const json_t *result)
{
	char who[320];

	snprintf(who, sizeof(who), "realm %.256s", cli->argv[0]);
	step_say(result, who);
}

static int
realm_retire_run(struct cli *cli)
{
	return realm_run(cli, "realm.retire", step_print);
}

static int
realm_rollback_run(struct cli *cli)
{
	return realm_run(cli, "realm.rollback", step_print);
}

#define RETIRE_EXITS                                         \
	"0\tdone\n1\tit could not be done\n2\twrong usage\n" \
	"3\tnothing was done: keys are in use, see the message\n"

const struct cli_verb verb_realm_retire = {
	.name = "realm retire",
	.operands = "REALM",
	.summary = "Refuse the old keys of a realm, if nobody uses them any more",
	.detail = "Every key but each node's newest is refused from now on. It is kept back for 7\n"
		  "days, in which 'realm rollback' makes it hold again; --final closes it at once\n"
		  "and for good, and a master secret from which no key comes any more goes out of\n"
		  "service. Refused while an old key is in use, with the names of the nodes, or\n"
		  "while that was not watched for --quiet; --force does it all the same.\n",
	.examples = "credgate realm retire lab\ncredgate realm retire lab --final\n",
	.exits = RETIRE_EXITS,
	.options = {retire_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR | CLI_TAKES_WHY,
	.operands_min = 1,
	.operands_max = 1,
	.run = realm_retire_run,
};

static const struct cli_option rollback_options[] = {
	{"quiet", ID_QUIET, "TIME", "a new key not used for so long is not in use (default: 10m)"},
	{"force", ID_FORCE, NULL, "even if new keys are in use: their nodes are refused"},
	{NULL, 0, NULL, NULL},
};

const struct cli_verb verb_realm_rollback = {
	.name = "realm rollback",
	.operands = "REALM",
	.summary = "Take back the last step of a rotation: a retirement, else the rotation",
	.detail =
		"If old keys are retired and not final, they hold again. Else the new keys of the\n"
		"last rotation are closed, for good, and the old ones are the newest again; "
		"refused\n"
		"while a new key is in use. What is final does not come back: rotate again.\n",
	.examples = "credgate realm rollback lab --why 'n017 has a second service'\n",
	.exits = RETIRE_EXITS,
	.options = {rollback_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR | CLI_TAKES_WHY,
	.operands_min = 1,
	.operands_max = 1,
	.run = realm_rollback_run,
};

/* ---- the same of nodes ---- */

static const struct cli_option node_retire_options[] = {
	{"epoch", ID_EPOCH, "N", "only this one of the old keys"},
	{NULL, 0, NULL, NULL},
};

static int
node_step_print(struct node_batch *batch, const char *name, const json_t *result)
{
	(void)batch;
	step_say(result, name);
	return 0;
}

static int
node_run(struct cli *cli, const char *verb)
{
	struct node_batch batch = {.cli = cli, .verb = verb, .take = node_step_print};
	int code;

	batch.arguments = json_object();
	code = cli_parse(cli, take, batch.arguments);
	if (code == CLI_GO)
		code = node_batch_check(&batch);
	else
		batch.count = 0;
	if (code == CLI_DONE && batch.count > 0)
		code = cli_finish(cli, node_batch_run(&batch));
	json_decref(batch.arguments);
	return code;
}

static int
node_retire_run(struct cli *cli)
{
	return node_run(cli, "node.retire");
}

static int
node_rollback_run(struct cli *cli)
{
	return node_run(cli, "node.rollback");
}

const struct cli_verb verb_node_retire = {
	.name = "node retire",
	.operands = "REALM NAME...",
	.summary = "Refuse the old keys of nodes, if they do not use them any more",
	.detail = "As 'realm retire', for the nodes that are named. The newest key stays: to take\n"
		  "that too, 'node revoke'.\n",
	.examples =
		"credgate node retire lab 'n[001-016]'\ncredgate node retire lab n001 --epoch 2\n",
	.options = {node_retire_options, retire_options},
	.common = NODE_CHANGES,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = node_retire_run,
};

const struct cli_verb verb_node_rollback = {
	.name = "node rollback",
	.operands = "REALM NAME...",
	.summary = "Take back a retirement of nodes' old keys, else their newest key",
	.detail = "As 'realm rollback', for the nodes that are named.\n",
	.examples = "credgate node rollback lab n001\n",
	.options = {rollback_options},
	.common = NODE_CHANGES,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = node_rollback_run,
};

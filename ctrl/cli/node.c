/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes and their further keys. */
#include <inttypes.h>
#include <string.h>

#include "ctrl/cli/node_batch.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/clock.h"

#define SECOND_US 1000000ull

enum {
	ADD_PREFIX = CLI_ID_FIRST,
	ADD_SUITE,
	ADD_ID,
	ADD_NOT_BEFORE,
	ADD_NOT_AFTER,
	ADD_OLD_UNTIL,
	ADD_ROLE,
};

static const struct cli_option add_options[] = {
	{"prefix", ADD_PREFIX, "ADDR/N", "where the node sends from; may be given 16 times"},
	{"role", ADD_ROLE, "ROLE", "what the node is, for rules and limits; up to 8 times"},
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
	uint64_t us = 0, s = 0, now = clock_real_us();

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

/* Options that may be given several times make a list. */
static int
add_item(json_t *arguments, const char *member, const char *value)
{
	json_t *list = json_object_get(arguments, member);

	if (!list) {
		list = json_array();
		json_object_set_new(arguments, member, list);
	}
	json_array_append_new(list, json_string(value));
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
		return add_item(arguments, "prefixes", value);
	case ADD_ROLE:
		return add_item(arguments, "roles", value);
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

static int
add_print(struct node_batch *batch, const char *name, const json_t *result)
{
	(void)batch;
	(void)name;
	printf("added %s: node %" PRIu64 " of realm %s, epoch %" PRIu64 ", %s\n",
		request_text(result, "name"), request_number(result, "node"),
		request_text(result, "realm"), request_number(result, "epoch"),
		value_suite_name((unsigned)request_number(result, "suite")));
	return 0;
}

/* Parses the options and asks for every name; `batch` comes with its verb. */
static int
add_or_rotate(struct cli *cli, struct node_batch batch)
{
	int code;

	batch.cli = cli;
	batch.arguments = json_object();
	code = cli_parse(cli, add_take, batch.arguments);
	if (code == CLI_GO)
		code = node_batch_check(&batch);
	if (code == CLI_DONE && batch.count > 1 && json_object_get(batch.arguments, "node"))
		code = cli_usage(cli, "--id goes with one name, not with %zu", batch.count);
	if (code == CLI_DONE && batch.count > 0)
		code = cli_finish(cli, node_batch_run(&batch));
	json_decref(batch.arguments);
	return code;
}

static int
add_run(struct cli *cli)
{
	return add_or_rotate(cli, (struct node_batch){.verb = "node.add", .take = add_print});
}

const struct cli_verb verb_node_add = {
	.name = "node add",
	.operands = "REALM NAME...",
	.summary = "Register nodes, or give revoked ones a new key",
	.detail =
		"A name may have ranges: n[001-128,200] stands for 129 nodes. What is refused for\n"
		"one name does not keep the others back. With --json: one object per line.\n",
	.examples = "credgate node add lab login1 --prefix 10.77.0.2/32 --role login\n"
		    "credgate node add lab 'n[001-512]' --prefix 10.77.0.0/16 --suite cmac128\n",
	.options = {add_options},
	.common = NODE_CHANGES,
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

static int
rotate_print(struct node_batch *batch, const char *name, const json_t *result)
{
	(void)batch;
	(void)name;
	printf("rotated %s: node %" PRIu64 " of realm %s, new epoch %" PRIu64 ", %s\n",
		request_text(result, "name"), request_number(result, "node"),
		request_text(result, "realm"), request_number(result, "epoch"),
		value_suite_name((unsigned)request_number(result, "suite")));
	return 0;
}

static int
rotate_run(struct cli *cli)
{
	return add_or_rotate(cli, (struct node_batch){.verb = "node.rotate", .take = rotate_print});
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
	.common = NODE_CHANGES,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = rotate_run,
};

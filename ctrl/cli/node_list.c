/* SPDX-License-Identifier: BSD-3-Clause */
/* A realm's nodes. */
#include <inttypes.h>

#include "ctrl/cli/node_list.h"
#include "ctrl/cli/print.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/clock.h"

unsigned
node_list_suite(const json_t *epochs)
{
	uint64_t newest = 0, suite = 0;
	const json_t *epoch;
	size_t i;

	json_array_foreach(epochs, i, epoch)
	{
		if (request_number(epoch, "epoch") < newest)
			continue;
		newest = request_number(epoch, "epoch");
		suite = request_number(epoch, "suite");
	}
	return (unsigned)suite;
}

/* "2,1": the live epochs. */
static void
list_epochs(const json_t *epochs, char *text, size_t room)
{
	const json_t *epoch;
	size_t used = 0, i;

	text[0] = '\0';
	json_array_foreach(epochs, i, epoch)
	{
		used += (size_t)snprintf(text + used, room - used, "%s%" PRIu64, i ? "," : "",
			request_number(epoch, "epoch"));
		if (used >= room)
			used = room - 1;
	}
}

/* "a,b", or what stands for an empty list. */
static void
list_join(const json_t *items, const char *none, char *text, size_t room)
{
	const json_t *item;
	size_t used = 0, i;

	snprintf(text, room, "%s", none);
	json_array_foreach(items, i, item)
	{
		used += (size_t)snprintf(text + used, room - used, "%s%s", i ? "," : "",
			json_is_string(item) ? json_string_value(item) : "?");
		if (used >= room)
			used = room - 1;
	}
}

static void
list_row(struct table *table, const json_t *node, uint64_t now)
{
	char epochs[64], prefixes[256], roles[256], age[PRINT_AGE_SIZE] = "never";
	unsigned suite = node_list_suite(json_object_get(node, "epochs"));
	uint64_t seen_us = request_number(node, "last_seen_us");

	list_epochs(json_object_get(node, "epochs"), epochs, sizeof(epochs));
	list_join(json_object_get(node, "prefixes"), "any", prefixes, sizeof(prefixes));
	list_join(json_object_get(node, "roles"), "-", roles, sizeof(roles));
	if (seen_us)
		print_age(age, now > seen_us ? now - seen_us : 0);
	table_cell(table, "%" PRIu64, request_number(node, "node"));
	table_cell(table, "%s", request_text(node, "name"));
	table_cell(table, "%s", request_text(node, "state"));
	table_cell(table, "%s", epochs[0] ? epochs : "-");
	table_cell(table, "%s", suite ? value_suite_name(suite) : "-");
	table_cell(table, "%s%s", age, seen_us ? " ago" : "");
	table_cell(table, "%s", roles);
	table_cell(table, "%s", prefixes);
}

/* Gives one piece. Returns what to ask for next, 0: nothing, or -1 after a failure that was told. */
static int64_t
list_piece(struct request *request, const json_t *filters, int64_t after,
	void (*page)(void *context, json_t *nodes), void *context)
{
	json_t *arguments = json_copy((json_t *)(uintptr_t)filters), *result;
	int64_t next;

	if (after)
		json_object_set_new(arguments, "after", json_integer(after));
	result = request_ask(request, "node.list", arguments, NULL);
	if (!result)
		return -1;
	page(context, json_object_get(result, "nodes"));
	next = json_integer_value(json_object_get(result, "next"));
	json_decref(result);
	/* An answer that leads nowhere would have us ask for ever. */
	return next > after ? next : 0;
}

int
node_list(struct cli *cli, const json_t *filters, void (*page)(void *context, json_t *nodes),
	void *context)
{
	struct request request;
	int64_t after = 0;

	if (request_open(&request, cli) != 0)
		return CLI_FAILED;
	do {
		after = list_piece(&request, filters, after, page, context);
	} while (after > 0);
	request_close(&request);
	return after < 0 ? CLI_FAILED : CLI_DONE;
}

static void
list_page(void *context, json_t *nodes)
{
	json_array_extend(context, nodes);
}

static void
print_nodes(const struct cli *cli, const json_t *nodes)
{
	static const struct table_column columns[] = {{"NODE", true}, {"NAME", false},
		{"STATE", false}, {"EPOCHS", false}, {"SUITE", false}, {"LAST SEEN", false},
		{"ROLES", false}, {"PREFIXES", false}};
	struct table table;
	const json_t *node;
	size_t i;

	table_begin(&table, cli, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(nodes, i, node)
	{
		list_row(&table, node, clock_real_us());
	}
	table_end(&table);
}

enum {
	LIST_ROLE = CLI_ID_FIRST,
	LIST_STATE,
	LIST_PREFIX,
};

static const struct cli_option list_options[] = {
	{"role", LIST_ROLE, "ROLE", "only nodes with this role"},
	{"state", LIST_STATE, "STATE", "only live, suspended or revoked nodes"},
	{"prefix", LIST_PREFIX, "ADDR/N", "only nodes with a prefix inside this one"},
	{NULL, 0, NULL, NULL},
};

static int
list_take(struct cli *cli, void *context, int id, const char *value)
{
	static const char *const members[] = {"role", "state", "prefix"};

	(void)cli;
	json_object_set_new(context, members[id - LIST_ROLE], json_string(value));
	return CLI_DONE;
}

static int
list_run(struct cli *cli)
{
	json_t *filters = json_object(), *nodes = json_array(), *result;
	int code = cli_parse(cli, list_take, filters);

	if (code == CLI_GO) {
		json_object_set_new(filters, "realm", json_string(cli->argv[0]));
		result = json_pack("{s:s, s:O}", "realm", cli->argv[0], "nodes", nodes);
		code = node_list(cli, filters, list_page, nodes);
		if (code == CLI_DONE && cli->has_json)
			request_print_json(result);
		else if (code == CLI_DONE)
			print_nodes(cli, nodes);
		json_decref(result);
		code = cli_finish(cli, code);
	}
	json_decref(nodes);
	json_decref(filters);
	return code;
}

const struct cli_verb verb_node_list = {
	.name = "node list",
	.operands = "REALM",
	.summary = "List a realm's nodes, their keys and when they were last heard",
	.examples = "credgate node list lab --role batch --state live\n"
		    "credgate node list lab --json | jq -r '.nodes[] | select(.state == "
		    "\"live\").name'\n",
	.options = {list_options},
	.common = NODE_COMMON | CLI_TAKES_TSV,
	.operands_min = 1,
	.operands_max = 1,
	.run = list_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* credgate node clones: nodes of which two are alive. */
#include <inttypes.h>
#include <time.h>

#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/verbs.h"

#define SECOND_US 1000000ull

/* A large realm comes in pieces: appends one. What to ask for next, 0: nothing, -1: a failure. */
static int64_t
list_piece(struct request *request, const char *realm, int64_t after, json_t *clones)
{
	json_t *arguments = json_pack("{s:s, s:I}", "realm", realm, "after", (json_int_t)after);
	json_t *result = request_ask(request, "node.clones", arguments, NULL);
	int64_t next;

	if (!result)
		return -1;
	json_array_extend(clones, json_object_get(result, "clones"));
	next = json_integer_value(json_object_get(result, "next"));
	json_decref(result);
	/* An answer that leads nowhere would have us ask for ever. */
	return next > after ? next : 0;
}

static int
list_clones(struct cli *cli, json_t *clones)
{
	struct request request;
	int64_t after = 0;

	if (request_open(&request, cli) != 0)
		return CLI_FAILED;
	do {
		after = list_piece(&request, cli->argv[0], after, clones);
	} while (after > 0);
	request_close(&request);
	return after < 0 ? CLI_FAILED : CLI_DONE;
}

static void
cell_age(struct table *table, uint64_t time_us, uint64_t now_us)
{
	char age[PRINT_AGE_SIZE];

	if (time_us == 0) {
		table_cell(table, "-");
		return;
	}
	print_age(age, now_us > time_us ? now_us - time_us : 0);
	table_cell(table, "%s ago", age);
}

static void
clone_row(struct table *table, const json_t *item, uint64_t now_us)
{
	table_cell(table, "%" PRIu64, request_number(item, "node"));
	table_cell(table, "%s", request_text(item, "name"));
	table_cell(table, "%s", request_text(item, "state"));
	table_cell(table, "%" PRIu64, request_number(item, "incarnation"));
	cell_age(table, request_number(item, "since_us"), now_us);
	if (json_object_get(item, "other_incarnation"))
		table_cell(table, "%" PRIu64, request_number(item, "other_incarnation"));
	else
		table_cell(table, "-");
	table_cell(table, "%s", request_text(item, "source"));
	table_cell(table, "%" PRIu64, request_number(item, "count"));
	table_cell(table, "%" PRIu64, request_number(item, "collisions"));
	cell_age(table, request_number(item, "last_us"), now_us);
}

static void
clones_print(const struct cli *cli, const json_t *clones)
{
	static const struct table_column columns[] = {{"NODE", true}, {"NAME", false},
		{"STATE", false}, {"INCARNATION", true}, {"SINCE", false}, {"OTHER", true},
		{"OTHER FROM", false}, {"PROOFS", true}, {"COLLISIONS", true}, {"LAST", false}};
	uint64_t now_us = (uint64_t)time(NULL) * SECOND_US;
	struct table table;
	const json_t *item;
	size_t i;

	table_begin(&table, cli, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(clones, i, item)
	{
		clone_row(&table, item, now_us);
	}
	table_end(&table);
}

static int
run(struct cli *cli)
{
	json_t *result, *clones;
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	clones = json_array();
	result = json_pack("{s:s, s:o}", "realm", cli->argv[0], "clones", clones);
	code = list_clones(cli, clones);
	if (code == CLI_DONE && cli->has_json)
		request_print_json(result);
	else if (code == CLI_DONE)
		clones_print(cli, clones);
	json_decref(result);
	return cli_finish(cli, code);
}

const struct cli_verb verb_node_clones = {
	.name = "node clones",
	.operands = "REALM",
	.summary = "List nodes of which two are alive: cloned images, copied keys",
	.detail =
		"What was seen since credgated started. PROOFS: credentials of an older "
		"incarnation\n"
		"of the node's serials, issued after the newest began. COLLISIONS: one serial "
		"under\n"
		"two tags, so two issuers with one state. Neither can be made without the key.\n"
		"The cure is a key for each machine: 'credgate node invite' (docs/enrolment.md).\n"
		"With 'clones: suspend' in the configuration such a node is suspended.\n",
	.examples = "credgate node clones lab\n"
		    "credgate node clones lab --json | jq -r '.clones[].name'\n",
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR | CLI_TAKES_TSV,
	.operands_min = 1,
	.operands_max = 1,
	.run = run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/stop.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/clock.h"

#define SECOND_US 1000000ull
#define NODES_MAX 100
#define NODES_ALL 10

#define COLUMNS(columns) columns, sizeof(columns) / sizeof((columns)[0])

enum {
	LIMITS_WATCH = CLI_ID_FIRST,
	LIMITS_NODES,
};

static const struct cli_option limits_options[] = {
	{"watch", LIMITS_WATCH, NULL, "again each second until it is stopped"},
	{"nodes", LIMITS_NODES, "N", "how many nodes to name (default 10)"},
	{NULL, 0, NULL, NULL},
};

struct show {
	bool is_watch;
	uint64_t nodes;
};

static int
limits_take(struct cli *cli, void *context, int id, const char *value)
{
	struct show *show = context;

	if (id == LIMITS_WATCH)
		show->is_watch = true;
	else if (value_number(value, 0, NODES_MAX, &show->nodes))
		return cli_bad_value(cli, id, value, "a number from 0 to 100");
	return CLI_DONE;
}

static double
real(const json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

/* "600+200": credentials per second of each worker. */
static void
cell_shares(struct table *table, const json_t *shares)
{
	char text[320] = "-";
	const json_t *share;
	size_t used = 0, i;

	json_array_foreach(shares, i, share)
	{
		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.4g",
				i ? "+" : "", json_number_value(share));
	}
	table_cell(table, "%s", text);
}

/* A limit of each node: without counters of its own. */
static void
row_each(struct table *table, const json_t *limit)
{
	table_cell(table, "%s", request_text(limit, "realm"));
	table_cell(table, "%s", request_text(limit, "name"));
	if (json_is_number(json_object_get(limit, "rate"))) {
		table_cell(table, "%g", real(limit, "rate"));
		table_cell(table, "%g", real(limit, "burst"));
	} else {
		table_cell(table, "unlimited");
		table_cell(table, "-");
	}
	for (unsigned i = 0; i < 4; i++)
		table_cell(table, "-");
	table_cell(table, "each node its own");
}

static void
print_limits(const struct cli *cli, const json_t *limits, const json_t *each)
{
	static const struct table_column columns[] = {{"REALM", false}, {"LIMIT", false},
		{"RATE/S", true}, {"BURST", true}, {"TAKEN/S", true}, {"REFUSED/S", true},
		{"TAKEN", true}, {"REFUSED", true}, {"SHARES OF WORKERS", false}};
	struct table table;
	const json_t *limit;
	size_t i;

	table_begin(&table, cli, COLUMNS(columns));
	json_array_foreach(limits, i, limit)
	{
		table_cell(&table, "%s", request_text(limit, "realm"));
		table_cell(&table, "%s", request_text(limit, "name"));
		table_cell(&table, "%g", real(limit, "rate"));
		table_cell(&table, "%g", real(limit, "burst"));
		table_cell(&table, "%.1f", real(limit, "taken_per_s"));
		table_cell(&table, "%.1f", real(limit, "refused_per_s"));
		table_cell(&table, "%" PRIu64, request_number(limit, "taken"));
		table_cell(&table, "%" PRIu64, request_number(limit, "refused"));
		cell_shares(&table, json_object_get(limit, "shares"));
	}
	json_array_foreach(each, i, limit)
	{
		row_each(&table, limit);
	}
	table_end(&table);
}

static void
print_nodes(const struct cli *cli, const json_t *nodes)
{
	static const struct table_column columns[] = {{"REALM", false}, {"OVER ITS RATE", false},
		{"ID", true}, {"REFUSED", true}, {"LAST", true}};
	uint64_t now_us = clock_real_us();
	char age[PRINT_AGE_SIZE];
	struct table table;
	const json_t *node;
	size_t i;

	table_begin(&table, cli, COLUMNS(columns));
	json_array_foreach(nodes, i, node)
	{
		uint64_t last_us = request_number(node, "last_s") * SECOND_US;

		print_age(age, now_us > last_us ? now_us - last_us : 0);
		table_cell(&table, "%s", request_text(node, "realm"));
		table_cell(&table, "%s", request_text(node, "name"));
		table_cell(&table, "%" PRIu64, request_number(node, "node"));
		table_cell(&table, "%" PRIu64, request_number(node, "refused"));
		table_cell(&table, "%s ago", age);
	}
	table_end(&table);
}

static void
print_all(const struct cli *cli, const json_t *result)
{
	const json_t *sources = json_object_get(result, "sources");
	const json_t *nodes = json_object_get(result, "nodes");

	print_limits(cli, json_object_get(result, "limits"), json_object_get(result, "each"));
	if (json_array_size(nodes) != 0) {
		putchar('\n');
		print_nodes(cli, nodes);
	}
	printf("\nsources that failed too often: %" PRIu64 " refusals not shown\n",
		request_number(sources, "refusals_budgeted"));
}

static int
show_once(struct cli *cli, const struct show *show)
{
	json_t *result = request_once(cli, "limits.list",
		json_pack("{s:s*, s:I}", "realm", cli->argc > 0 ? cli->argv[0] : NULL, "nodes",
			(json_int_t)show->nodes));

	if (!result)
		return CLI_FAILED;
	if (cli->has_json && show->is_watch)
		request_print_json_line(result);
	else if (cli->has_json)
		request_print_json(result);
	else
		print_all(cli, result);
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

/* Until a signal, or until the gateway is gone or nobody reads any more. */
static int
show_again(struct cli *cli, const struct show *show)
{
	const struct timespec second = {1, 0};
	bool is_screen = isatty(STDOUT_FILENO) && !cli->has_json && !cli->has_tsv;
	int code = CLI_DONE;

	stop_catch(SA_RESTART);
	while (!stop_is_asked() && code == CLI_DONE) {
		if (is_screen)
			fputs("\033[H\033[J", stdout);
		code = show_once(cli, show);
		if (code == CLI_DONE)
			nanosleep(&second, NULL);
	}
	return code;
}

static int
limits_run(struct cli *cli)
{
	struct show show = {.nodes = NODES_ALL};
	int code = cli_parse(cli, limits_take, &show);

	if (code != CLI_GO)
		return code;
	return show.is_watch ? show_again(cli, &show) : show_once(cli, &show);
}

const struct cli_verb verb_limits = {
	.name = "limits",
	.operands = "[REALM]",
	.summary = "Show what is asked of rate limits, and who asks for more than there is",
	.detail = "Limits that many nodes share (a role, the aggregate default) with what they\n"
		  "gave and refused in about the last second and since they came into force, and\n"
		  "how the rate is divided among the workers at the moment; then the limits that\n"
		  "each node has for itself, which are not counted one by one. Below it the nodes\n"
		  "whose last refusal was over-rate, by all of their proved refusals. Which limit\n"
		  "holds for a node: credgate policy explain.\n",
	.examples = "credgate limits\ncredgate limits lab --watch\n"
		    "credgate limits --json | jq '.limits[] | select(.refused_per_s > 0)'\n",
	.options = {limits_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_TSV | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.operands_max = 1,
	.run = limits_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <string.h>

#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "verdict/verdict.h"

#define SECOND_US 1000000ull
#define NODES_MAX 1000

#define COLUMNS(columns) columns, sizeof(columns) / sizeof((columns)[0])

/* "enforce, set live by uid 0 at ...: why (the configuration says observe)" */
static void
print_mode(const json_t *result)
{
	const char *why = request_text(result, "why");
	char time[PRINT_TIME_SIZE], line[512];

	printf("%s: %s", request_text(result, "realm"), request_text(result, "mode"));
	if (!json_is_true(json_object_get(result, "live"))) {
		printf(", as the configuration says\n");
		return;
	}
	print_date_time(time, request_number(result, "since_s") * SECOND_US);
	print_escape(line, sizeof(line), why, strlen(why));
	printf(", set live by %s at %.19s%s%s (the configuration says %s)\n",
		request_text(result, "who"), time, *why && strcmp(why, "-") != 0 ? ": " : "",
		strcmp(why, "-") != 0 ? line : "", request_text(result, "configured"));
}

/* ---- realm mode ---- */

enum {
	MODE_WHY = CLI_ID_FIRST,
};

static const struct cli_option mode_options[] = {
	{"why", MODE_WHY, "TEXT", "what the change is for: kept with it, and in the audit log"},
	{NULL, 0, NULL, NULL},
};

static int
take_why(struct cli *cli, void *context, int id, const char *value)
{
	(void)cli;
	(void)id;
	*(const char **)context = value;
	return CLI_DONE;
}

static int
mode_run(struct cli *cli)
{
	const char *why = NULL;
	int code = cli_parse(cli, take_why, &why);
	json_t *result;

	if (code != CLI_GO)
		return code;
	if (cli->argc < 2)
		result = request_once(cli, "realm.would",
			json_pack("{s:s, s:i}", "realm", cli->argv[0], "nodes", 0));
	else
		result = request_once(cli, "realm.mode",
			json_pack("{s:s, s:s, s:s*}", "realm", cli->argv[0], "mode", cli->argv[1],
				"why", why));
	if (!result)
		return CLI_FAILED;
	if (cli->has_json)
		request_print_json(result);
	else
		print_mode(result);
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_realm_mode = {
	.name = "realm mode",
	.operands = "REALM [MODE]",
	.summary = "Show or switch how far a realm's roll-out is, on the running gateway",
	.detail = "MODE is observe (nobody relies on verdicts yet), permissive (what is genuine\n"
		  "and new passes all the same), enforce, or configured, which gives the decision\n"
		  "back to the configuration. A mode set here is kept over reloads and restarts\n"
		  "until it is set to configured. It changes no verdict but that of a policy's\n"
		  "rules where none matches: allow in observe and permissive, deny in enforce. A\n"
		  "switch begins the counts of 'realm would' anew.\n",
	.examples = "credgate realm mode lab\n"
		    "credgate realm mode lab permissive --why 'a week without a refusal'\n",
	.options = {mode_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.operands_min = 1,
	.operands_max = 2,
	.run = mode_run,
};

/* ---- realm would ---- */

enum {
	WOULD_NODES = CLI_ID_FIRST,
	WOULD_IGNORE,
	WOULD_RESET,
	WOULD_WHY,
};

static const struct cli_option would_options[] = {
	{"nodes", WOULD_NODES, "N", "how many nodes to name (default 10)"},
	{"ignore", WOULD_IGNORE, "VERDICT", "leave this one out, as replayed; may be repeated"},
	{"reset", WOULD_RESET, NULL, "count from now on, instead of showing"},
	{"why", WOULD_WHY, "TEXT", "with --reset: what it is for, for the audit log"},
	{NULL, 0, NULL, NULL},
};

/* Something would have been refused. */
#define WOULD_REFUSE 3

struct would {
	uint64_t nodes;
	uint32_t ignored; /* bitmap of verdicts */
	bool is_reset;
	const char *why;
};

static int
take_ignored(struct cli *cli, struct would *would, const char *value)
{
	int verdict = verdict_find(value);

	if (verdict < 1)
		return cli_bad_value(
			cli, WOULD_IGNORE, value, "the text of a verdict (see credgate verdicts)");
	would->ignored |= 1u << verdict;
	return CLI_DONE;
}

static int
would_take(struct cli *cli, void *context, int id, const char *value)
{
	struct would *would = context;

	switch (id) {
	case WOULD_NODES:
		if (value_number(value, 0, NODES_MAX, &would->nodes))
			return cli_bad_value(cli, id, value, "a number from 0 to 1000");
		return CLI_DONE;
	case WOULD_IGNORE:
		return take_ignored(cli, would, value);
	case WOULD_RESET:
		would->is_reset = true;
		return CLI_DONE;
	default:
		would->why = value;
		return CLI_DONE;
	}
}

/* What counts for the exit code: all that is not ignored. */
static uint64_t
would_count(const struct would *would, const json_t *result)
{
	const json_t *counts = json_object_get(result, "would");
	uint64_t count = 0;

	for (unsigned v = 1; v < VERDICT_COUNT; v++)
		if ((would->ignored >> v & 1) == 0)
			count += request_number(counts, verdict_text(v));
	return count;
}

static void
print_reasons(const struct cli *cli, const struct would *would, const json_t *result)
{
	static const struct table_column columns[] = {
		{"VERDICT", false}, {"WOULD REFUSE", true}, {"CURE", false}};
	const json_t *counts = json_object_get(result, "would");
	struct table table;

	table_begin(&table, cli, COLUMNS(columns));
	for (unsigned v = 1; v < VERDICT_COUNT; v++) {
		uint64_t count = request_number(counts, verdict_text(v));

		if (count == 0)
			continue;
		table_cell(&table, "%s%s", verdict_text(v),
			would->ignored >> v & 1 ? " (ignored)" : "");
		table_cell(&table, "%" PRIu64, count);
		table_cell(&table, "%s", verdict_cure(v));
	}
	table_end(&table);
}

static void
print_nodes(const struct cli *cli, const json_t *nodes)
{
	static const struct table_column columns[] = {
		{"NODE", false}, {"ID", true}, {"WOULD REFUSE", true}, {"LAST", false}};
	const json_t *node;
	struct table table;
	size_t i;

	table_begin(&table, cli, COLUMNS(columns));
	json_array_foreach(nodes, i, node)
	{
		table_cell(&table, "%s", request_text(node, "name"));
		table_cell(&table, "%" PRIu64, request_number(node, "node"));
		table_cell(&table, "%" PRIu64, request_number(node, "count"));
		table_cell(&table, "%s", request_text(node, "verdict"));
	}
	table_end(&table);
}

static void
print_would(const struct cli *cli, const struct would *would, const json_t *result)
{
	const json_t *nodes = json_object_get(result, "nodes");
	uint64_t count = would_count(would, result), named = json_array_size(nodes);
	char time[PRINT_TIME_SIZE];

	print_mode(result);
	print_date_time(time, request_number(result, "mark_us"));
	printf("since %.19s: %" PRIu64 " accepted, %" PRIu64
	       " would have been refused by mode enforce\n",
		time, request_number(result, "accepted"), count);
	if (request_number(result, "would_refuse") == 0)
		return;
	putchar('\n');
	print_reasons(cli, would, result);
	if (named == 0)
		return;
	putchar('\n');
	print_nodes(cli, nodes);
	if (named < request_number(result, "node_count"))
		printf("and %" PRIu64 " more nodes\n",
			request_number(result, "node_count") - named);
}

static int
would_reset(struct cli *cli, const struct would *would)
{
	json_t *result = request_once(cli, "realm.mark",
		json_pack("{s:s, s:s*}", "realm", cli->argv[0], "why", would->why));

	if (!result)
		return CLI_FAILED;
	if (cli->has_json)
		request_print_json(result);
	else
		printf("%s: counted from now on\n", request_text(result, "realm"));
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

static int
would_run(struct cli *cli)
{
	struct would would = {.nodes = 10};
	int code = cli_parse(cli, would_take, &would);
	json_t *result;

	if (code != CLI_GO)
		return code;
	if (would.is_reset)
		return would_reset(cli, &would);
	result = request_once(cli, "realm.would",
		json_pack("{s:s, s:I}", "realm", cli->argv[0], "nodes", (json_int_t)would.nodes));
	if (!result)
		return CLI_FAILED;
	code = would_count(&would, result) != 0 ? WOULD_REFUSE : CLI_DONE;
	if (cli->has_json)
		request_print_json(result);
	else
		print_would(cli, &would, result);
	json_decref(result);
	return cli_finish(cli, code);
}

const struct cli_verb verb_realm_would = {
	.name = "realm would",
	.operands = "REALM",
	.summary = "Is it safe to enforce? Show what mode enforce would have refused",
	.detail = "Counts genuine credentials only, since the last switch of the mode or the last\n"
		  "--reset, by verdict and by node, over restarts of the gateway. In mode enforce\n"
		  "there is nothing to count: refusals are refused. Somebody who sends captured\n"
		  "packets again can make 'replayed' grow; --ignore replayed takes them out.\n",
	.examples =
		"credgate realm would lab\n"
		"credgate realm would lab --ignore replayed && credgate realm mode lab enforce\n",
	.exits = "0\tnothing would have been refused\n"
		 "1\tit could not be found out\n"
		 "2\twrong usage\n"
		 "3\tsomething would have been refused\n",
	.options = {would_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_TSV | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.operands_min = 1,
	.operands_max = 1,
	.run = would_run,
};

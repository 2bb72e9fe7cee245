/* SPDX-License-Identifier: BSD-3-Clause */
#include <jansson.h>

#include "ctrl/cli/request.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/verbs.h"
#include "verdict/verdict.h"

static void
print_json(void)
{
	json_t *array = json_array();
	unsigned verdict;

	for (verdict = VERDICT_ACCEPTED; verdict < VERDICT_COUNT; verdict++)
		json_array_append_new(
			array, json_pack("{s:i, s:s, s:i, s:s, s:s}", "number", (int)verdict,
				       "verdict", verdict_text(verdict), "exit_code",
				       verdict_exit_code(verdict), "meaning",
				       verdict_meaning(verdict), "cure", verdict_cure(verdict)));
	request_print_json(array);
	json_decref(array);
}

static void
print_table(const struct cli *cli)
{
	static const struct table_column columns[] = {{"NUMBER", true}, {"VERDICT", false},
		{"EXIT", true}, {"MEANING", false}, {"WHAT TO DO", false}};
	struct table table;
	unsigned verdict;

	table_begin(&table, cli, columns, sizeof(columns) / sizeof(columns[0]));
	for (verdict = VERDICT_ACCEPTED; verdict < VERDICT_COUNT; verdict++) {
		table_cell(&table, "%u", verdict);
		table_cell(&table, "%s", verdict_text(verdict));
		table_cell(&table, "%d", verdict_exit_code(verdict));
		table_cell(&table, "%s", verdict_meaning(verdict));
		table_cell(&table, "%s", verdict_cure(verdict));
	}
	table_end(&table);
}

static int
verdicts_run(struct cli *cli)
{
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	if (cli->has_json)
		print_json();
	else
		print_table(cli);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_verdicts = {
	.name = "verdicts",
	.operands = "",
	.summary = "List all verdicts: numbers, exit codes, meaning, what to do",
	.examples = "credgate verdicts\n"
		    "credgate verdicts --json | jq '.[] | select(.exit_code == 39)'\n",
	.common = CLI_TAKES_JSON | CLI_TAKES_TSV,
	.run = verdicts_run,
};

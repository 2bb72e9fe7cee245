/* SPDX-License-Identifier: BSD-3-Clause */
/* Policies of the running gateway: put in force, shown, taken back. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/policy_text.h"
#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/filecheck.h"

#define SIGNATURE_FILE_MAX 4096u
#define SECOND_US          1000000ull

#define POLICY_COMMON (CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR)

/* ---- what changes a policy answers alike ---- */

/* Takes `arguments` over; `name` is what warnings are of. */
static int
change(struct cli *cli, const char *verb, json_t *arguments, const char *name)
{
	json_t *result = request_once(cli, verb, request_why(cli, arguments));

	if (!result)
		return CLI_FAILED;
	policy_text_warn(name, result);
	if (cli->has_json)
		request_print_json(result);
	else
		printf("%s: version %" PRIu64 " is in force on %" PRIu64
		       " worker%s; rules: %" PRIu64 ", limits: %" PRIu64 ", mode %s\n",
			request_text(result, "realm"), request_number(result, "version"),
			request_number(result, "workers"),
			request_number(result, "workers") == 1 ? "" : "s",
			request_number(result, "rules"), request_number(result, "limits"),
			request_text(result, "mode"));
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

/* ---- policy apply ---- */

enum {
	APPLY_STRICT = CLI_ID_FIRST,
};

static const struct cli_option apply_options[] = {
	{"strict", APPLY_STRICT, NULL, "change nothing if 'policy check' would warn of the file"},
	{NULL, 0, NULL, NULL},
};

static int
take_strict(struct cli *cli, void *context, int id, const char *value)
{
	(void)cli;
	(void)id;
	(void)value;
	*(bool *)context = true;
	return CLI_DONE;
}

/* Looked at here, so that the gateway need not: a large policy takes a while. */
static int
apply_check(struct cli *cli, const char *path, const char *text, size_t size, bool is_strict)
{
	struct policy_findings found;
	struct reason reason;
	struct policy *policy = policy_text_check(path, text, size, NULL, &found, &reason);
	int code = CLI_GO;

	if (!policy)
		return cli_fail(cli, "%s", reason.text);
	policy_text_print(stderr, path, &found);
	if (is_strict && found.count > 0) {
		cli_fail(cli, "nothing was changed, for the file gives rise to warnings");
		code = POLICY_WARNED;
	}
	policy_findings_fini(&found);
	policy_destroy(policy);
	return code;
}

/* FILE.sig goes with FILE; whether it must be there is the gateway's to say. */
static int
signature_add(struct cli *cli, const char *path, json_t *arguments)
{
	char name[PATH_MAX], *line;
	struct reason reason;
	size_t size;
	int error;

	if (strcmp(path, "-") == 0)
		return CLI_DONE;
	snprintf(name, sizeof(name), "%s.sig", path);
	error = filecheck_read(name, geteuid(), SIGNATURE_FILE_MAX, &line, &size, &reason);
	if (error == -ENOENT)
		return CLI_DONE;
	if (error != 0)
		return cli_fail(cli, "%s", reason.text);
	json_object_set_new(arguments, "signature", json_string(line));
	free(line);
	return CLI_DONE;
}

static int
apply_ask(struct cli *cli, const char *path, const char *text)
{
	json_t *arguments =
		json_pack("{s:s, s:s, s:s}", "realm", cli->argv[0], "file", path, "text", text);
	int code = signature_add(cli, path, arguments);

	if (code != CLI_DONE) {
		json_decref(arguments);
		return code;
	}
	return change(cli, "policy.apply", arguments, path);
}

static int
apply_run(struct cli *cli)
{
	bool is_strict = false;
	int code = cli_parse(cli, take_strict, &is_strict);
	const char *path;
	size_t size = 0;
	char *text;

	if (code != CLI_GO)
		return code;
	path = cli->argv[1];
	text = policy_text_trust(cli, path, &size);
	if (!text)
		return CLI_FAILED;
	code = apply_check(cli, path, text, size, is_strict);
	if (code == CLI_GO)
		code = apply_ask(cli, path, text);
	free(text);
	return code;
}

const struct cli_verb verb_policy_apply = {
	.name = "policy apply",
	.operands = "REALM FILE",
	.summary = "Put a file of rules and limits in force, at once and as a whole",
	.detail =
		"The file is checked here and by the gateway; with a mistake nothing changes and\n"
		"the old policy holds. What it replaces is kept: see 'policy history' and 'policy\n"
		"rollback'. FILE must be yours or root's, and nobody else may write it; it may\n"
		"also be '-'. If FILE.sig is there it goes along (credgate sign\n"
		"FILE --for policy/REALM). The format is in docs/policy.md.\n",
	.examples = "credgate policy apply lab lab.policy --why 'batch nodes may ask'\n"
		    "credgate policy apply lab lab.policy --strict\n",
	.exits = "0\tin force\n1\tnot: the file has a mistake, or the gateway refused it\n"
		 "2\tthe command line is wrong\n3\twith --strict: there were warnings\n",
	.options = {apply_options},
	.common = POLICY_COMMON | CLI_TAKES_WHY,
	.operands_min = 2,
	.operands_max = 2,
	.run = apply_run,
};

/* ---- policy show ---- */

static int
arg_version(struct cli *cli, int at, uint64_t *version)
{
	*version = 0;
	if (cli->argc <= at || value_number(cli->argv[at], 1, UINT32_MAX, version) == 0)
		return CLI_GO;
	return cli_usage(cli, "'%s' is no version: it takes a number", cli->argv[at]);
}

static int
show_run(struct cli *cli)
{
	int code = cli_parse(cli, NULL, NULL);
	uint64_t version = 0;
	json_t *result;

	if (code == CLI_GO)
		code = arg_version(cli, 1, &version);
	if (code != CLI_GO)
		return code;
	result = request_once(cli, "policy.show",
		version != 0 ? json_pack("{s:s, s:I}", "realm", cli->argv[0], "version",
				       (json_int_t)version)
			     : json_pack("{s:s}", "realm", cli->argv[0]));
	if (!result)
		return CLI_FAILED;
	policy_text_warn(cli->argv[0], result);
	if (json_is_true(json_object_get(result, "fallback")))
		fprintf(stderr,
			"%s: newer versions are there and do not compile; see the log of "
			"credgated\n",
			cli->argv[0]);
	if (cli->has_json)
		request_print_json(result);
	else
		fputs(request_text(result, "text"), stdout);
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_policy_show = {
	.name = "policy show",
	.operands = "REALM [VERSION]",
	.summary = "Print the policy in force, or a version of it, as it was applied",
	.detail =
		"With --json also who applied it and when, and how much of the gateway's bounds\n"
		"all realms' policies take. Rules and limits of the one in force that concern no\n"
		"node of the registry are named on standard error.\n",
	.examples = "credgate policy show lab > lab.policy\ncredgate policy show lab 3\n",
	.common = POLICY_COMMON,
	.operands_min = 1,
	.operands_max = 2,
	.run = show_run,
};

/* ---- policy history ---- */

static void
print_versions(const struct cli *cli, const json_t *result)
{
	static const struct table_column columns[] = {{"VERSION", true}, {"STATE", false},
		{"SINCE", false}, {"WHO", false}, {"BYTES", true}};
	const json_t *version;
	struct table table;
	size_t i;

	table_begin(&table, cli, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(json_object_get(result, "versions"), i, version)
	{
		uint64_t number = request_number(version, "version");
		char time[PRINT_TIME_SIZE];
		const char *state = "old";

		if (json_is_true(json_object_get(version, "removed")))
			state = "removed";
		else if (number == request_number(result, "in_force"))
			state = "in force";
		print_date_time(time, request_number(version, "added_s") * SECOND_US);
		table_cell(&table, "%" PRIu64, number);
		table_cell(&table, "%s", state);
		table_cell(&table, "%.19s", time);
		table_cell(&table, "%s", request_text(version, "who"));
		table_cell(&table, "%" PRIu64, request_number(version, "size"));
	}
	table_end(&table);
}

static int
history_run(struct cli *cli)
{
	int code = cli_parse(cli, NULL, NULL);
	json_t *result;

	if (code != CLI_GO)
		return code;
	result = request_once(cli, "policy.history", json_pack("{s:s}", "realm", cli->argv[0]));
	if (!result)
		return CLI_FAILED;
	if (cli->has_json)
		request_print_json(result);
	else
		print_versions(cli, result);
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_policy_history = {
	.name = "policy history",
	.operands = "REALM",
	.summary = "List the versions of a realm's policy, newest first",
	.examples = "credgate policy history lab\n",
	.common = POLICY_COMMON | CLI_TAKES_TSV,
	.operands_min = 1,
	.operands_max = 1,
	.run = history_run,
};

/* ---- policy rollback, policy remove ---- */

static int
rollback_run(struct cli *cli)
{
	int code = cli_parse(cli, NULL, NULL);
	uint64_t version = 0;

	if (code == CLI_GO)
		code = arg_version(cli, 1, &version);
	if (code != CLI_GO)
		return code;
	return change(cli, "policy.rollback",
		json_pack("{s:s, s:I}", "realm", cli->argv[0], "version", (json_int_t)version),
		cli->argv[0]);
}

const struct cli_verb verb_policy_rollback = {
	.name = "policy rollback",
	.operands = "REALM VERSION",
	.summary = "Put an earlier version of a policy in force again, as a new version",
	.examples = "credgate policy rollback lab 3 --why 'logins were refused'\n",
	.common = POLICY_COMMON | CLI_TAKES_WHY,
	.operands_min = 2,
	.operands_max = 2,
	.run = rollback_run,
};

static int
remove_run(struct cli *cli)
{
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	return change(
		cli, "policy.remove", json_pack("{s:s}", "realm", cli->argv[0]), cli->argv[0]);
}

const struct cli_verb verb_policy_remove = {
	.name = "policy remove",
	.operands = "REALM",
	.summary = "Take a realm's rules and limits away: all may, in every mode",
	.detail = "Its history stays, so that 'policy rollback' brings it back.\n",
	.examples = "credgate policy remove lab --why 'starting anew'\n",
	.common = POLICY_COMMON | CLI_TAKES_WHY,
	.operands_min = 1,
	.operands_max = 1,
	.run = remove_run,
};

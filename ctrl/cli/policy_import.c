/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/cli/file.h"
#include "ctrl/cli/policy_text.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/policy_mesos.h"

enum {
	IMPORT_LIMITS = CLI_ID_FIRST,
	IMPORT_PASSWD,
};

static const struct cli_option import_options[] = {
	{"limits", IMPORT_LIMITS, "FILE", "a Mesos rate limits file (--rate_limits)"},
	{"passwd", IMPORT_PASSWD, "FILE", "look users up in this file (default: this machine's)"},
	{"output", 'o', "FILE", "write the policy there (default: standard output)"},
	{NULL, 0, NULL, NULL},
};

struct import {
	const char *limits;
	const char *passwd;
	const char *output;
};

static int
take_import(struct cli *cli, void *context, int id, const char *value)
{
	struct import *import = context;

	(void)cli;
	if (id == IMPORT_LIMITS)
		import->limits = value;
	else if (id == IMPORT_PASSWD)
		import->passwd = value;
	else
		import->output = value;
	return CLI_DONE;
}

/* In `context`, a file like /etc/passwd, or on this machine. */
static bool
uid_of(void *context, const char *user, uint32_t *uid)
{
	const struct passwd *entry = NULL;
	FILE *file;

	if (!context) {
		entry = getpwnam(user);
		*uid = entry ? entry->pw_uid : 0;
		return entry;
	}
	file = fopen(context, "re");
	while (file && (entry = fgetpwent(file)) && strcmp(entry->pw_name, user) != 0)
		;
	*uid = entry ? entry->pw_uid : 0;
	if (file)
		fclose(file);
	return entry;
}

/* *json stays NULL if there is no file to read. */
static int
json_read(struct cli *cli, const char *path, json_t **json)
{
	json_error_t error;
	size_t size = 0;
	char *text;

	if (!path)
		return CLI_GO;
	text = policy_text_read(cli, path, &size);
	if (!text)
		return CLI_FAILED;
	*json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	free(text);
	if (*json)
		return CLI_GO;
	return cli_fail(cli, "%s:%d: %s; is it JSON?", path, error.line, error.text);
}

static int
import_write(struct cli *cli, const char *output, const struct policy_mesos *made)
{
	int error = 0;
	unsigned i;

	for (i = 0; i < made->note_count; i++)
		fprintf(stderr, "%s\n", made->notes[i]);
	if (output)
		error = file_create(output, made->text, strlen(made->text));
	else
		fputs(made->text, stdout);
	if (error == -EEXIST)
		return cli_fail(
			cli, "%s is there already and was not touched: move it away first", output);
	if (error != 0)
		return cli_fail(cli, "%s: %s", output, strerror(-error));
	return cli_finish(cli, made->gap_count > 0 ? POLICY_WARNED : CLI_DONE);
}

static int
import_files(struct cli *cli, struct import *import, json_t *acls, json_t *limits)
{
	char *passwd = import->passwd ? strdup(import->passwd) : NULL;
	struct policy_mesos_input input = {
		.acls_name = cli->argc > 0 ? cli->argv[0] : NULL,
		.acls = acls,
		.limits_name = import->limits,
		.limits = limits,
		.uid_of = uid_of,
		.context = passwd,
	};
	struct policy_mesos made;
	struct reason reason;
	int code;

	if (policy_mesos_import(&input, &made, &reason) != 0)
		code = cli_fail(cli, "%s", reason.text);
	else
		code = import_write(cli, import->output, &made);
	policy_mesos_fini(&made);
	free(passwd);
	return code;
}

static int
import_run(struct cli *cli)
{
	json_t *acls = NULL, *limits = NULL;
	struct import import = {0};
	int code = cli_parse(cli, take_import, &import);

	if (code == CLI_GO && cli->argc == 0 && !import.limits)
		code = cli_usage(cli, "it takes an ACL file, or --limits FILE, or both");
	if (code == CLI_GO)
		code = json_read(cli, cli->argc > 0 ? cli->argv[0] : NULL, &acls);
	if (code == CLI_GO)
		code = json_read(cli, import.limits, &limits);
	if (code == CLI_GO)
		code = import_files(cli, &import, acls, limits);
	json_decref(acls);
	json_decref(limits);
	return code;
}

const struct cli_verb verb_policy_import_mesos = {
	.name = "policy import-mesos",
	.operands = "[ACLS]",
	.summary = "Make a policy of the ACL and rate limit files of Mesos",
	.detail =
		"Order, permissive, ANY and NONE keep their meaning: principals become roles of\n"
		"nodes, Mesos roles audiences, users uids. Whatever differs is told on standard\n"
		"error, one line each. A denial that cannot be said stays in the policy as a word\n"
		"(DECIDE ...) that keeps it from being applied until you have decided.\n",
	.examples = "credgate policy import-mesos acls.json --limits limits.json -o lab.policy\n",
	.exits = "0\teverything is in the policy\n1\ta file is none of these\n"
		 "2\tthe command line is wrong\n3\tsomething could not be said; see standard "
		 "error\n",
	.options = {import_options},
	.operands_min = 0,
	.operands_max = 1,
	.run = import_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/file.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/config.h"
#include "ctrl/secrets.h"

/* ---- realm init ---- */

/* The YAML that is missing, with an id that is free. */
static int
say_missing(struct cli *cli, const struct config *config, const char *name)
{
	uint32_t id = 0;
	unsigned i;

	for (i = 0; i < config->realm_count; i++)
		if (config->realms[i].id > id)
			id = config->realms[i].id;
	cli_fail(cli, "%s has no realm '%s'; add this to it and call again:", config->path, name);
	printf("%s  - name: %s\n    id: %" PRIu32 "\n    nodes_max: 1024\n",
		config->realm_count ? "# under realms:\n" : "realms:\n", name, id + 1);
	return cli_finish(cli, CLI_FAILED);
}

/* For good: nothing is left to do for root once the directories are there. */
static int
become_control_user(const struct config *config)
{
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) != 0 ||
		setresgid(config->control.gid, config->control.gid, config->control.gid) != 0)
		return -errno;
	if (setresuid(config->control.uid, config->control.uid, config->control.uid) != 0)
		return -errno;
	return 0;
}

/* Made by the very user who is going to read it, so that what works here works in credgated. */
static int
make_master(struct cli *cli, const struct config *config, const char *path)
{
	bool is_root = geteuid() == 0;
	struct reason reason = {0};
	int status;

	if (sodium_init() < 0)
		return cli_fail(cli, "libsodium has no source of random bytes");
	status = file_make_parents(path, is_root ? config->control.uid : (uid_t)-1,
		is_root ? config->control.gid : (gid_t)-1);
	if (status)
		return cli_fail(
			cli, "cannot make the directory of %s: %s", path, strerror(-status));
	status = become_control_user(config);
	if (status)
		return cli_fail(cli, "cannot become the control user: %s", strerror(-status));
	status = secrets_master_create(path, &reason);
	if (status == -EEXIST)
		return cli_fail(cli,
			"%s is there already and was not touched: all node keys of the realm come "
			"from it",
			path);
	return status ? cli_fail(cli, "%s", reason.text) : CLI_DONE;
}

static int
init_realm(struct cli *cli, const struct config *config, const char *name)
{
	int index = config_realm_find(config, name), code;

	if (index < 0)
		return say_missing(cli, config, name);
	code = make_master(cli, config, config->realms[index].master);
	if (code != CLI_DONE)
		return code;
	printf("made %s: the master secret of realm %s (id %" PRIu32 "), 32 random bytes\n\n"
	       "Back it up now, offline: without it no node key of the realm can be made again.\n"
	       "Whoever reads it can speak for every node of the realm.\n"
	       "With it belong, from %s: registry.db and highwater.\n\n"
	       "Next: credgate run --config %s, then credgate node add %s NAME\n",
		config->realms[index].master, name, config->realms[index].id, config->state_dir,
		config->path, name);
	return cli_finish(cli, CLI_DONE);
}

static int
init_run(struct cli *cli)
{
	struct config_caller caller = {.uid = geteuid(), .gid = getegid()};
	struct reason reason = {0};
	struct config *config;
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	config = config_load(cli_config_path(cli), &caller, &reason);
	if (!config)
		return cli_fail(cli, "%s", reason.text);
	code = init_realm(cli, config, cli->argv[0]);
	config_destroy(config);
	return code;
}

const struct cli_verb verb_realm_init = {
	.name = "realm init",
	.operands = "NAME",
	.summary = "Make the master secret of a realm that the configuration names",
	.detail = "Creates the file that 'master' of the realm names, for its owner only (the\n"
		  "control user when called by root), and missing directories above it. Never\n"
		  "overwrites: there is no option to do so. If the configuration lacks the realm,\n"
		  "prints what to add to it.\n",
	.examples = "credgate realm init lab --config /etc/credgate/credgate.yaml\n",
	.common = CLI_TAKES_CONFIG,
	.operands_min = 1,
	.operands_max = 1,
	.run = init_run,
};

/* ---- realm list ---- */

static void
print_realms(const struct cli *cli, const json_t *realms)
{
	static const struct table_column columns[] = {{"REALM", false}, {"ID", true},
		{"NODES", true}, {"NODES MAX", true}, {"OLD KEYS", true}, {"MASTERS", true},
		{"MODE", false}, {"FRESHNESS", false}, {"ORIGIN", false}};
	struct table table;
	const json_t *realm;
	size_t i;

	table_begin(&table, cli, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(realms, i, realm)
	{
		table_cell(&table, "%s", request_text(realm, "name"));
		table_cell(&table, "%" PRIu64, request_number(realm, "id"));
		table_cell(&table, "%" PRIu64, request_number(realm, "nodes"));
		table_cell(&table, "%" PRIu64, request_number(realm, "nodes_max"));
		table_cell(&table, "%" PRIu64, request_number(realm, "old_keys"));
		table_cell(&table, "%zu", json_array_size(json_object_get(realm, "masters")));
		table_cell(&table, "%s", request_text(realm, "mode"));
		table_cell(&table, "%s", request_text(realm, "freshness"));
		table_cell(&table, "%s", request_text(realm, "origin"));
	}
	table_end(&table);
}

static int
list_run(struct cli *cli)
{
	json_t *result;
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	result = request_once(cli, "realm.list", NULL);
	if (!result)
		return CLI_FAILED;
	if (cli->has_json)
		request_print_json(result);
	else
		print_realms(cli, json_object_get(result, "realms"));
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_realm_list = {
	.name = "realm list",
	.operands = "",
	.summary = "List the realms of the running gateway",
	.examples = "credgate realm list\ncredgate realm list --json | jq '.realms[].name'\n",
	.common = CLI_TAKES_JSON | CLI_TAKES_TSV | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.run = list_run,
};

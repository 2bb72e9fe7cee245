/* SPDX-License-Identifier: BSD-3-Clause */
/* Key files: one, or one for each of many nodes. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/cli/file.h"
#include "ctrl/cli/node_batch.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"

/* ---- node key ---- */

enum {
	KEY_EPOCH = CLI_ID_FIRST,
};

static const struct cli_option key_options[] = {
	{"output", 'o', "FILE", "make this file, for its owner only; - for standard output"},
	{"epoch", KEY_EPOCH, "N", "an older key, as long as it holds (default: the newest)"},
	{NULL, 0, NULL, NULL},
};

struct key_choice {
	const char *output;
	uint64_t epoch; /* 0: the newest */
};

static int
key_take(struct cli *cli, void *context, int id, const char *value)
{
	struct key_choice *choice = context;

	if (id == 'o')
		choice->output = value;
	else if (value_number(value, 1, UINT16_MAX, &choice->epoch))
		return cli_bad_value(cli, id, value, "a number from 1 to 65535");
	return CLI_DONE;
}

/* Without -o the key goes down a pipe, but neither on a screen nor into a file that others read. */
static int
key_check_stdout(struct cli *cli)
{
	struct stat stat;

	if (isatty(STDOUT_FILENO))
		return cli_usage(
			cli, "not showing a key on a terminal (-o FILE, or -o - to insist)");
	if (fstat(STDOUT_FILENO, &stat) == 0 && S_ISREG(stat.st_mode) && (stat.st_mode & 077))
		return cli_usage(
			cli, "others may read the file that standard output goes to (use -o)");
	return CLI_DONE;
}

/* Something stands where the key was to go. */
static int
key_exists(struct cli *cli, const char *output)
{
	struct stat stat;

	if (lstat(output, &stat) == 0 && S_ISLNK(stat.st_mode))
		return cli_fail(cli,
			"%s is a symbolic link and was not followed: give the file itself", output);
	return cli_fail(cli, "%s is there already and was not touched: move it away first", output);
}

static int
key_write(struct cli *cli, const char *output, const char *key)
{
	int status;

	if (!output || strcmp(output, "-") == 0) {
		status = file_write(STDOUT_FILENO, key, strlen(key));
		return status ? cli_fail(cli, "cannot write: %s", strerror(-status)) : CLI_DONE;
	}
	status = file_create(output, key, strlen(key));
	if (status == -EEXIST)
		return key_exists(cli, output);
	return status ? cli_fail(cli, "%s: %s", output, strerror(-status)) : CLI_DONE;
}

static int
key_run(struct cli *cli)
{
	struct key_choice choice = {NULL, 0};
	const char *key;
	json_t *result, *arguments;
	int code = cli_parse(cli, key_take, &choice);

	if (code == CLI_GO)
		code = choice.output ? CLI_DONE : key_check_stdout(cli);
	else
		return code;
	if (code != CLI_DONE)
		return code;
	arguments = json_pack("{s:s, s:s}", "realm", cli->argv[0], "name", cli->argv[1]);
	if (choice.epoch)
		json_object_set_new(arguments, "epoch", json_integer((json_int_t)choice.epoch));
	result = request_once(cli, "node.key", request_why(cli, arguments));
	if (!result)
		return CLI_FAILED;
	key = json_string_value(json_object_get(result, "key"));
	code = key ? key_write(cli, choice.output, key) : cli_fail(cli, "credgated sent no key");
	json_decref(result);
	return code;
}

const struct cli_verb verb_node_key = {
	.name = "node key",
	.operands = "REALM NAME",
	.summary = "Write a node's key file, for 'credgate mint' and libcredgate",
	.detail =
		"The file lets its reader speak for the node: move it to the node over a channel\n"
		"that nobody reads, and keep it readable by one user there. An existing file is\n"
		"never overwritten.\n",
	.examples =
		"credgate node key lab n001 -o n001.key\n"
		"credgate node key lab n001 | ssh n001 'umask 077; cat > /etc/credgate/node.key'\n",
	.options = {key_options},
	.common = CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR | CLI_TAKES_WHY,
	.operands_min = 2,
	.operands_max = 2,
	.run = key_run,
};

/* ---- node keys ---- */

static int
keys_option(struct cli *cli, void *context, int id, const char *value)
{
	const char **dir = context;

	(void)cli;
	(void)id;
	*dir = value;
	return CLI_DONE;
}

static const struct cli_option keys_options[] = {
	{"dir", 'd', "DIR", "where to: DIR/NAME.key for each node; made if it is not there"},
	{NULL, 0, NULL, NULL},
};

/* Names hold no slash and begin with no dot: credgated would not have taken them. */
static int
keys_take(struct node_batch *batch, const char *name, const json_t *result)
{
	const char *key = json_string_value(json_object_get(result, "key"));
	char path[PATH_MAX];
	int size = snprintf(path, sizeof(path), "%s/%s.key", (const char *)batch->context, name);

	if (!key || strchr(name, '/')) {
		cli_fail(batch->cli, "%s: credgated sent no key", name);
		return -EPROTO;
	}
	if (size < 0 || (size_t)size >= sizeof(path)) {
		cli_fail(batch->cli, "%s: the path is too long", name);
		return -ENAMETOOLONG;
	}
	/* What is there may be a key in use: it stays, and the others are written. */
	if (key_write(batch->cli, path, key) != CLI_DONE)
		batch->refused_count++;
	return 0;
}

static int
keys_run(struct cli *cli)
{
	struct node_batch batch = {.cli = cli, .verb = "node.key", .take = keys_take};
	const char *dir = NULL;
	int code = cli_parse(cli, keys_option, &dir);

	if (code != CLI_GO)
		return code;
	if (!dir)
		return cli_usage(cli, "--dir is missing: where to write the keys");
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return cli_fail(cli, "%s: %s", dir, strerror(errno));
	batch.context = (void *)(uintptr_t)dir;
	batch.arguments = json_object();
	code = node_batch_check(&batch);
	if (code == CLI_DONE)
		code = node_batch_run(&batch);
	if (code == CLI_DONE)
		printf("%zu keys in %s\n", batch.count, dir);
	json_decref(batch.arguments);
	return code == CLI_USAGE ? code : cli_finish(cli, code);
}

const struct cli_verb verb_node_keys = {
	.name = "node keys",
	.operands = "REALM NAME...",
	.summary = "Write the key files of many nodes into a directory",
	.detail = "One file for each node, NAME.key, that only its owner may read. Files that are\n"
		  "there already are not touched, which is told and makes the exit code 1.\n",
	.examples = "credgate node keys lab 'n[001-512]' --dir /root/keys\n",
	.options = {keys_options},
	.common = CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR | CLI_TAKES_WHY,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = keys_run,
};

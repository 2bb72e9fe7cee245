/* SPDX-License-Identifier: BSD-3-Clause */
/* Throwing nodes out: by name, by role, by address prefix. */
#include <inttypes.h>

#include "ctrl/cli/node_batch.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/names.h"

/* Up to so many names are asked for one by one, each with its own answer; more go together. */
#define SINGLE_MAX 64
/* Names in one request; below 1 MiB. */
#define CHUNK_NAMES 8192

#define EXIT_PARTIAL 3

enum {
	REVOKE_ROLE = CLI_ID_FIRST,
	REVOKE_PREFIX,
	REVOKE_DRY_RUN,
};

static const struct cli_option revoke_options[] = {
	{"role", REVOKE_ROLE, "ROLE", "all nodes with this role"},
	{"prefix", REVOKE_PREFIX, "ADDR/N", "all nodes whose prefixes all lie inside this one"},
	{"dry-run", REVOKE_DRY_RUN, NULL, "only say which nodes it would be"},
	{NULL, 0, NULL, NULL},
};

static int
revoke_take(struct cli *cli, void *context, int id, const char *value)
{
	(void)cli;
	if (id == REVOKE_DRY_RUN)
		json_object_set_new(context, "dry_run", json_true());
	else
		json_object_set_new(
			context, id == REVOKE_ROLE ? "role" : "prefix", json_string(value));
	return CLI_DONE;
}

static int
revoke_print(struct node_batch *batch, const char *name, const json_t *result)
{
	uint64_t workers = request_number(result, "workers");

	printf("revoked %s: node %" PRIu64 " of realm %s; ", name, request_number(result, "node"),
		batch->cli->argv[0]);
	printf("in force on %" PRIu64 " worker%s\n", workers, workers == 1 ? "" : "s");
	return 0;
}

/* ---- many in one request ---- */

/* "a, b, ..." */
static void
print_names(FILE *file, const json_t *names, uint64_t count)
{
	const json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
	{
		fprintf(file, "%s%s", i ? ", " : "", json_string_value(name));
	}
	if (count > json_array_size(names))
		fprintf(file, " and %" PRIu64 " more", count - json_array_size(names));
}

static void
many_print(const struct cli *cli, const json_t *result, bool is_dry_run)
{
	uint64_t count = request_number(result, "count"),
		 us = request_number(result, "in_force_us");
	uint64_t workers = request_number(result, "workers"),
		 already = request_number(result, "already");

	printf("%s %" PRIu64 " node%s of realm %s", is_dry_run ? "would revoke" : "revoked", count,
		count == 1 ? "" : "s", cli->argv[0]);
	if (count > 0) {
		printf(": ");
		print_names(stdout, json_object_get(result, "nodes"), count);
	}
	if (already > 0)
		printf("; %" PRIu64 " %s out before", already, already == 1 ? "was" : "were");
	if (!is_dry_run && count > 0)
		printf("; in force on %" PRIu64 " worker%s", workers, workers == 1 ? "" : "s");
	if (us > 0)
		printf(" after %" PRIu64 ".%" PRIu64 " ms", us / 1000, us / 100 % 10);
	putchar('\n');
}

/* What was left alone. */
static int
many_rest(const struct cli *cli, const json_t *result)
{
	uint64_t partial = request_number(result, "partial_count");
	const json_t *unknown = json_object_get(result, "unknown"), *name;
	size_t i;

	json_array_foreach(unknown, i, name)
	{
		cli_fail(cli, "there is no node %s in realm %s; see credgate node list %s",
			json_string_value(name), cli->argv[0], cli->argv[0]);
	}
	if (json_object_get(result, "warning"))
		cli_fail(cli, "warning: %s", request_text(result, "warning"));
	if (partial > 0) {
		cli_fail(cli,
			"%" PRIu64 " node%s only partly inside and left alone; revoke by name:",
			partial, partial == 1 ? " is" : "s are");
		print_names(stderr, json_object_get(result, "partial"), partial);
		fputc('\n', stderr);
	}
	if (json_array_size(unknown) > 0)
		return CLI_FAILED;
	return partial > 0 ? EXIT_PARTIAL : CLI_DONE;
}

/* A role or prefix that concerns nobody is more often a slip than what was meant. */
static int
selection_judge(const struct cli *cli, const json_t *arguments, const json_t *result, int code)
{
	const char *role = json_string_value(json_object_get(arguments, "role"));
	const char *prefix = json_string_value(json_object_get(arguments, "prefix"));

	if ((!role && !prefix) || code != CLI_DONE || request_number(result, "count") > 0 ||
		request_number(result, "already") > 0)
		return code;
	if (role)
		return cli_fail(cli, "no node of realm %s has role %s; see credgate node list %s",
			cli->argv[0], role, cli->argv[0]);
	return cli_fail(cli,
		"no node of realm %s has all its prefixes in %s; see credgate node list %s",
		cli->argv[0], prefix, cli->argv[0]);
}

/* Takes the arguments over. */
static int
many_ask(struct cli *cli, struct request *request, json_t *arguments)
{
	bool is_dry_run = json_object_get(arguments, "dry_run") != NULL;
	json_t *result;
	int code = CLI_FAILED;

	json_incref(arguments);
	result = request_ask(request, "node.revoke", request_why(cli, arguments), NULL);
	if (!result)
		goto out;
	if (cli->has_json)
		request_print_json_line(result);
	else
		many_print(cli, result, is_dry_run);
	code = selection_judge(cli, arguments, result, many_rest(cli, result));
	json_decref(result);
out:
	json_decref(arguments);
	return code;
}

struct chunks {
	struct cli *cli;
	struct request request;
	json_t *arguments; /* what all have in common */
	json_t *names;
	int code;
};

static int
chunk_ask(struct chunks *chunks)
{
	json_t *arguments = json_copy(chunks->arguments);
	int code;

	json_object_set(arguments, "names", chunks->names);
	json_decref(chunks->names);
	chunks->names = json_array();
	code = many_ask(chunks->cli, &chunks->request, arguments);
	if (code != CLI_DONE)
		chunks->code = code;
	return 0;
}

static int
chunk_add(void *context, const char *name)
{
	struct chunks *chunks = context;

	json_array_append_new(chunks->names, json_string(name));
	return json_array_size(chunks->names) == CHUNK_NAMES ? chunk_ask(chunks) : 0;
}

/* All names of the operands, as many as go into one request at a time. */
static int
names_revoke(struct cli *cli, json_t *arguments)
{
	struct chunks chunks = {.cli = cli, .arguments = arguments, .code = CLI_DONE};
	int i;

	if (request_open(&chunks.request, cli) != 0)
		return CLI_FAILED;
	chunks.names = json_array();
	for (i = 1; i < cli->argc; i++)
		names_expand(cli->argv[i], chunk_add, &chunks, NULL);
	if (json_array_size(chunks.names) > 0)
		chunk_ask(&chunks);
	json_decref(chunks.names);
	request_close(&chunks.request);
	return chunks.code;
}

static int
selection_revoke(struct cli *cli, json_t *arguments)
{
	struct request request;
	int code;

	if (request_open(&request, cli) != 0)
		return CLI_FAILED;
	code = many_ask(cli, &request, json_incref(arguments));
	request_close(&request);
	return code;
}

/* ---- the verb ---- */

static int
names_run(struct cli *cli, json_t *arguments)
{
	struct node_batch batch = {
		.cli = cli,
		.arguments = arguments,
		.verb = "node.revoke",
		.take = revoke_print,
	};
	int code = node_batch_check(&batch);

	if (code != CLI_DONE)
		return code;
	if (batch.count <= SINGLE_MAX && !json_object_get(arguments, "dry_run"))
		return cli_finish(cli, node_batch_run(&batch));
	json_object_set_new(arguments, "realm", json_string(cli->argv[0]));
	return cli_finish(cli, names_revoke(cli, arguments));
}

static int
revoke_run(struct cli *cli)
{
	json_t *arguments = json_object();
	bool has_role, has_prefix;
	int code = cli_parse(cli, revoke_take, arguments);

	has_role = json_object_get(arguments, "role") != NULL;
	has_prefix = json_object_get(arguments, "prefix") != NULL;
	if (code == CLI_GO && has_role + has_prefix + (cli->argc > 1) != 1) {
		code = cli_usage(cli, "give names, --role or --prefix: exactly one of them");
	} else if (code == CLI_GO && cli->argc > 1) {
		code = names_run(cli, arguments);
	} else if (code == CLI_GO) {
		json_object_set_new(arguments, "realm", json_string(cli->argv[0]));
		code = cli_finish(cli, selection_revoke(cli, arguments));
	}
	json_decref(arguments);
	return code;
}

const struct cli_verb verb_node_revoke = {
	.name = "node revoke",
	.operands = "REALM [NAME...]",
	.summary = "Throw nodes out: none of their keys is taken any more",
	.detail =
		"Answers when every running worker refuses them (or after a second, saying how\n"
		"many do). 'credgate node add' gives a node a new key if it is trusted again.\n"
		"With a full disk the node is refused all the same: a warning says that it is not\n"
		"written yet, and the gateway goes on trying.\n"
		"\n"
		"With --role, with --prefix, and with more than 64 names, all of them go out of\n"
		"force at once. A node only some of whose prefixes lie inside --prefix, or that "
		"is\n"
		"larger than it, is left alone and named, and the exit code is 3. A node without\n"
		"prefixes is nowhere.\n",
	.examples = "credgate node revoke lab n017 --why 'root kit'\n"
		    "credgate node revoke lab 'n[100-131]'\n"
		    "credgate node revoke lab --role rack7 --dry-run\n"
		    "credgate node revoke lab --prefix 10.77.7.0/24\n",
	.exits = "0\tall of them are out\n1\tit could not be done, or not for all names\n"
		 "2\twrong usage\n3\tdone, but nodes that are only partly inside were left alone\n",
	.options = {revoke_options},
	.common = NODE_CHANGES,
	.operands_min = 1,
	.operands_max = CLI_OPERANDS_ANY,
	.run = revoke_run,
};

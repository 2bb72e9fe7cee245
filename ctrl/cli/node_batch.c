/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "ctrl/cli/node_batch.h"
#include "ctrl/cli/value.h"
#include "ctrl/names.h"

static int
batch_count(void *context, const char *name)
{
	size_t *count = context;

	(void)name;
	++*count;
	return 0;
}

static int
batch_one(void *context, const char *name)
{
	struct node_batch *batch = context;
	json_t *arguments = json_copy(batch->arguments), *result;
	int refused, status = 0;

	json_object_set_new(arguments, "name", json_string(name));
	result = request_ask(&batch->request, batch->verb, arguments, &refused);
	if (!result) {
		batch->refused_count++;
		return refused ? 0 : -ECONNRESET;
	}
	if (batch->cli->has_json)
		request_print_json_line(result);
	else
		status = batch->take(batch, name, result);
	/* Done all the same: it does not count as refused. */
	if (json_object_get(result, "warning"))
		cli_fail(batch->cli, "warning: %s: %s", name, request_text(result, "warning"));
	json_decref(result);
	return status;
}

/* More of a wrong name than this is not worth repeating. */
#define SHOWN_MAX 40

/* All patterns are looked at before the first request. */
int
node_batch_check(struct node_batch *batch)
{
	char fault[NAMES_FAULT_SIZE];
	const char *pattern;
	int i;

	for (i = 1; i < batch->cli->argc; i++) {
		pattern = batch->cli->argv[i];
		if (names_expand(pattern, batch_count, &batch->count, fault))
			return cli_usage(batch->cli, "'%.*s%s': %s", SHOWN_MAX, pattern,
				strlen(pattern) > SHOWN_MAX ? "..." : "", fault);
	}
	return CLI_DONE;
}

/* Operands: REALM, then names. */
int
node_batch_run(struct node_batch *batch)
{
	int i, status = 0, code = CLI_DONE;

	json_object_set_new(batch->arguments, "realm", json_string(batch->cli->argv[0]));
	request_why(batch->cli, batch->arguments);
	if (request_open(&batch->request, batch->cli) != 0)
		code = CLI_FAILED;
	for (i = 1; code == CLI_DONE && status == 0 && i < batch->cli->argc; i++)
		status = names_expand(batch->cli->argv[i], batch_one, batch, NULL);
	request_close(&batch->request);
	if (batch->refused_count && batch->count > 1)
		cli_fail(batch->cli, "%zu of %zu names failed%s", batch->refused_count,
			batch->count, status ? ", the rest was not tried" : "");
	return batch->refused_count ? CLI_FAILED : code;
}

int
node_batch_main(struct cli *cli, struct node_batch batch)
{
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	batch.cli = cli;
	batch.arguments = json_object();
	code = node_batch_check(&batch);
	if (code == CLI_DONE)
		code = cli_finish(cli, node_batch_run(&batch));
	json_decref(batch.arguments);
	return code;
}

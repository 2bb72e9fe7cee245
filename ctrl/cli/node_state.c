/* SPDX-License-Identifier: BSD-3-Clause */
/* What nodes are, and whether they are let in: set, suspend, resume, delete. */
#include <inttypes.h>
#include <string.h>

#include "ctrl/cli/node_batch.h"
#include "ctrl/cli/verbs.h"

/* ---- node suspend, node resume, node delete ---- */

static int
print_done(const struct node_batch *batch, const char *done, const char *name, const json_t *result)
{
	uint64_t workers = request_number(result, "workers");

	printf("%s %s: node %" PRIu64 " of realm %s; ", done, name, request_number(result, "node"),
		batch->cli->argv[0]);
	printf("in force on %" PRIu64 " worker%s\n", workers, workers == 1 ? "" : "s");
	return 0;
}

static int
suspend_print(struct node_batch *batch, const char *name, const json_t *result)
{
	return print_done(batch, "suspended", name, result);
}

static int
resume_print(struct node_batch *batch, const char *name, const json_t *result)
{
	return print_done(batch, "resumed", name, result);
}

static int
delete_print(struct node_batch *batch, const char *name, const json_t *result)
{
	return print_done(batch, "deleted", name, result);
}

static int
suspend_run(struct cli *cli)
{
	return node_batch_main(
		cli, (struct node_batch){.verb = "node.suspend", .take = suspend_print});
}

static int
resume_run(struct cli *cli)
{
	return node_batch_main(
		cli, (struct node_batch){.verb = "node.resume", .take = resume_print});
}

static int
delete_run(struct cli *cli)
{
	return node_batch_main(
		cli, (struct node_batch){.verb = "node.delete", .take = delete_print});
}

const struct cli_verb verb_node_suspend = {
	.name = "node suspend",
	.operands = "REALM NAME...",
	.summary = "Refuse nodes for now; 'node resume' takes them again with the keys they have",
	.detail = "Answers when every running worker refuses them. --why is shown by 'node list\n"
		  "--json'. A key that may have been seen by others wants 'node revoke' instead.\n",
	.examples = "credgate node suspend lab n017 --why 'disk replaced'\n",
	.common = NODE_CHANGES,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = suspend_run,
};

const struct cli_verb verb_node_resume = {
	.name = "node resume",
	.operands = "REALM NAME...",
	.summary = "Take suspended nodes again",
	.examples = "credgate node resume lab n017\n",
	.common = NODE_CHANGES,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = resume_run,
};

const struct cli_verb verb_node_delete = {
	.name = "node delete",
	.operands = "REALM NAME...",
	.summary = "Revoke nodes and free their places: name and number may be given again",
	.detail =
		"For nodes that do not come back; 'credgate node revoke' keeps the name. The\n"
		"gateway remembers of a deleted node its number and highest epoch (a tombstone):\n"
		"whoever gets the number next begins above it, so no old key holds ever again.\n",
	.examples = "credgate node delete lab n017\ncredgate node delete lab 'n[100-131]'\n",
	.common = NODE_CHANGES,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = delete_run,
};

/* ---- node set ---- */

enum {
	SET_ROLE = CLI_ID_FIRST,
	SET_PREFIX,
	SET_RENAME,
};

static const struct cli_option set_options[] = {
	{"role", SET_ROLE, "[+-=]ROLE", "+a adds a role, -a takes it away, =a,b sets them all"},
	{"prefix", SET_PREFIX, "ADDR/N", "these in place of all prefixes; 'none' for no prefix"},
	{"rename", SET_RENAME, "NAME", "the node's new name; number and keys stay"},
	{NULL, 0, NULL, NULL},
};

static json_t *
set_list(json_t *arguments, const char *member)
{
	json_t *list = json_object_get(arguments, member);

	if (list)
		return list;
	json_object_set_new(arguments, member, json_array());
	return json_object_get(arguments, member);
}

/* "a,b" into a list; nothing between commas is no role, and credgated says so. */
static void
set_split(json_t *list, const char *text)
{
	size_t size;

	while (*text) {
		size = strcspn(text, ",");
		json_array_append_new(list, json_stringn(text, size));
		text += size + (text[size] == ',');
	}
}

static int
set_role(struct cli *cli, json_t *arguments, const char *value)
{
	const char *member = value[0] == '+'   ? "add_roles"
			     : value[0] == '-' ? "drop_roles"
			     : value[0] == '=' ? "roles"
					       : NULL;

	if (!member)
		return cli_bad_value(cli, SET_ROLE, value, "+ROLE, -ROLE or =ROLE,ROLE");
	set_split(set_list(arguments, member), value + 1);
	return CLI_DONE;
}

static int
set_take(struct cli *cli, void *context, int id, const char *value)
{
	json_t *list;

	switch (id) {
	case SET_ROLE:
		return set_role(cli, context, value);
	case SET_PREFIX:
		list = set_list(context, "prefixes");
		if (strcmp(value, "none") != 0)
			json_array_append_new(list, json_string(value));
		return CLI_DONE;
	default:
		json_object_set_new(context, "rename", json_string(value));
		return CLI_DONE;
	}
}

static int
set_print(struct node_batch *batch, const char *name, const json_t *result)
{
	const char *now = request_text(result, "name");

	if (strcmp(now, name) == 0)
		return print_done(batch, "changed", name, result);
	printf("renamed %s to %s: node %" PRIu64 " of realm %s\n", name, now,
		request_number(result, "node"), batch->cli->argv[0]);
	return 0;
}

static int
set_run(struct cli *cli)
{
	struct node_batch batch = {.cli = cli, .verb = "node.set", .take = set_print};
	int code;

	batch.arguments = json_object();
	code = cli_parse(cli, set_take, batch.arguments);
	if (code == CLI_GO && json_object_size(batch.arguments) == 0)
		code = cli_usage(cli, "nothing to change: give --role, --prefix or --rename");
	if (code == CLI_GO)
		code = node_batch_check(&batch);
	if (code == CLI_DONE && batch.count > 1 && json_object_get(batch.arguments, "rename"))
		code = cli_usage(cli, "--rename goes with one name, not with %zu", batch.count);
	if (code == CLI_DONE && batch.count > 0)
		code = cli_finish(cli, node_batch_run(&batch));
	json_decref(batch.arguments);
	return code;
}

const struct cli_verb verb_node_set = {
	.name = "node set",
	.operands = "REALM NAME...",
	.summary = "Change roles, prefixes or the name of nodes; their keys stay",
	.examples = "credgate node set lab 'n[001-064]' --role +gpu --role -batch\n"
		    "credgate node set lab login1 --prefix 10.77.0.9 --rename login2\n",
	.options = {set_options},
	.common = NODE_CHANGES,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = set_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
/* The registry's nodes as an inventory that 'node import' takes; no keys. */
#include <inttypes.h>
#include <string.h>

#include "ctrl/cli/csv.h"
#include "ctrl/cli/node_list.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"

struct export
{
	bool is_json;
	size_t count;
};

/* The suite of the newest epoch, or NULL. */
static const char *
suite_of(const json_t *node)
{
	unsigned suite = node_list_suite(json_object_get(node, "epochs"));

	return suite ? value_suite_name(suite) : NULL;
}

static void
write_list(const json_t *items)
{
	char text[2048] = "";
	size_t used = 0, i;
	const json_t *item;

	json_array_foreach(items, i, item)
	{
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "",
			json_string_value(item));
		if (used >= sizeof(text))
			used = sizeof(text) - 1;
	}
	csv_write(stdout, text);
}

static void
write_csv(const json_t *node)
{
	const char *suite = suite_of(node);

	csv_write(stdout, request_text(node, "name"));
	printf(",%" PRIu64 ",", request_number(node, "node"));
	write_list(json_object_get(node, "prefixes"));
	putchar(',');
	write_list(json_object_get(node, "roles"));
	printf(",%s,%s\n", suite ? suite : "", request_text(node, "state"));
}

static void
write_json(struct export *export, const json_t *node)
{
	const char *suite = suite_of(node);
	json_t *object = json_pack("{s:O, s:O, s:O, s:O, s:O}", "name",
		json_object_get(node, "name"), "id", json_object_get(node, "node"), "prefixes",
		json_object_get(node, "prefixes"), "roles", json_object_get(node, "roles"), "state",
		json_object_get(node, "state"));

	if (suite)
		json_object_set_new(object, "suite", json_string(suite));
	fputs(export->count > 0 ? ",\n" : "\n", stdout);
	json_dumpf(object, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
}

static void
export_page(void *context, json_t *nodes)
{
	struct export *export = context;
	const json_t *node;
	size_t i;

	json_array_foreach(nodes, i, node)
	{
		if (export->is_json)
			write_json(export, node);
		else
			write_csv(node);
		export->count++;
	}
}

enum {
	EXPORT_FORMAT = CLI_ID_FIRST,
};

static const struct cli_option export_options[] = {
	{"format", EXPORT_FORMAT, "FORMAT", "csv (default) or json"},
	{NULL, 0, NULL, NULL},
};

static int
export_take(struct cli *cli, void *context, int id, const char *value)
{
	struct export *export = context;

	if (strcmp(value, "csv") != 0 && strcmp(value, "json") != 0)
		return cli_bad_value(cli, id, value, "csv or json");
	export->is_json = strcmp(value, "json") == 0;
	return CLI_DONE;
}

static int
export_run(struct cli *cli)
{
	struct export export = {0};
	json_t *filters;
	int code = cli_parse(cli, export_take, &export);

	if (code != CLI_GO)
		return code;
	filters = json_pack("{s:s}", "realm", cli->argv[0]);
	if (export.is_json)
		printf("{\"realm\":\"%s\",\"nodes\":[", cli->argv[0]);
	else
		puts("name,id,prefixes,roles,suite,state");
	code = node_list(cli, filters, export_page, &export);
	if (export.is_json)
		puts("\n]}");
	json_decref(filters);
	return cli_finish(cli, code);
}

const struct cli_verb verb_node_export = {
	.name = "node export",
	.operands = "REALM",
	.summary = "Print all nodes of a realm for 'node import'; no keys",
	.detail = "Suite is that of the newest key. Key files are for 'node keys' to write.\n",
	.examples = "credgate node export lab > inventory.csv\n",
	.options = {export_options},
	.common = CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.operands_min = 1,
	.operands_max = 1,
	.run = export_run,
};

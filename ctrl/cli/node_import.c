/* SPDX-License-Identifier: BSD-3-Clause */
/* An inventory into the registry: a file of many nodes, all of them or none. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/cli/csv.h"
#include "ctrl/cli/node_batch.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"

#define FILE_SIZE_MAX (1u << 30)

/* Rows in one request: each holds up others for some 10 ms. */
#define ROWS_AT_ONCE 256

#define WAIT_US 20000

/* ---- the file ---- */

/* All of it, with a byte of room behind; NULL after saying why. */
static char *
text_read(struct cli *cli, const char *path, size_t *size)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t room = 65536, used = 0, n;
	char *text = malloc(room), *more;

	if (!file || !text) {
		cli_fail(cli, "%s: %s", path, strerror(errno));
		goto out;
	}
	while ((n = fread(text + used, 1, room - used - 1, file)) > 0) {
		used += n;
		if (used < room - 1)
			continue;
		more = room < FILE_SIZE_MAX ? realloc(text, 2 * room) : NULL;
		if (!more) {
			cli_fail(cli, "%s: too large; import it in parts", path);
			goto out;
		}
		text = more;
		room *= 2;
	}
	if (ferror(file)) {
		cli_fail(cli, "%s: %s", path, strerror(errno));
		goto out;
	}
	fclose(file);
	*size = used;
	return text;

out:
	if (file)
		fclose(file);
	free(text);
	return NULL;
}

/* ---- rows ---- */

struct import {
	struct cli *cli;
	const char *path;
	struct request request;
	uint64_t number; /* of the import, from credgated */
	json_t *rows;    /* not yet sent */
	size_t count;
};

/* 0, or -1 after a failure that was told: by credgated with the row's line, so the file comes first. */
static int
rows_send(struct import *import)
{
	json_t *arguments =
		json_pack("{s:I, s:o}", "import", (json_int_t)import->number, "rows", import->rows);
	json_t *result;
	char prefix[512];

	import->rows = json_array();
	snprintf(prefix, sizeof(prefix), "%s: ", import->path);
	import->request.prefix = prefix;
	result = request_ask(&import->request, "import.rows", arguments, NULL);
	import->request.prefix = NULL;
	json_decref(result);
	return result ? 0 : -1;
}

/* Takes the row over. */
static int
row_add(struct import *import, json_t *row, const char *unit, uint64_t place)
{
	json_object_set_new(row, "at", json_sprintf("%s %" PRIu64, unit, place));
	json_array_append_new(import->rows, row);
	import->count++;
	return json_array_size(import->rows) == ROWS_AT_ONCE ? rows_send(import) : 0;
}

/* ---- CSV ---- */

enum column {
	COLUMN_NAME,
	COLUMN_ID,
	COLUMN_PREFIXES,
	COLUMN_ROLES,
	COLUMN_SUITE,
	COLUMN_STATE,
	COLUMN_COUNT,
};

static const char *const column_names[COLUMN_COUNT] = {
	"name", "id", "prefixes", "roles", "suite", "state"};

static int
csv_fail(const struct import *import, const struct csv *csv, const char *what)
{
	cli_fail(import->cli, "%s: line %u: %s", import->path, csv->line, what);
	return -1;
}

/* The first line says which columns there are, in any order. */
static int
columns_read(struct import *import, struct csv *csv, enum column columns[CSV_FIELDS_MAX])
{
	unsigned seen = 0;
	char what[192];
	size_t i, c;

	for (i = 0; i < csv->field_count; i++) {
		for (c = 0; c < COLUMN_COUNT; c++)
			if (strcmp(csv->fields[i], column_names[c]) == 0)
				break;
		if (c == COLUMN_COUNT || (seen & 1u << c)) {
			snprintf(what, sizeof(what),
				"column '%.40s' is %s: the first line names some of name, id, "
				"prefixes, roles, suite, state",
				csv->fields[i], c == COLUMN_COUNT ? "unknown" : "there twice");
			return csv_fail(import, csv, what);
		}
		seen |= 1u << c;
		columns[i] = (enum column)c;
	}
	if (!(seen & 1u << COLUMN_NAME))
		return csv_fail(import, csv, "column 'name' is missing in the first line");
	return 0;
}

/* "a b;c" */
static json_t *
list_split(const char *text)
{
	static const char between[] = " ;\t";
	json_t *list = json_array();
	size_t size;

	for (text += strspn(text, between); *text; text += strspn(text, between)) {
		size = strcspn(text, between);
		json_array_append_new(list, json_stringn(text, size));
		text += size;
	}
	return list;
}

/* One cell into the row; an empty one says nothing, but for lists, which are empty then. */
static int
cell_take(struct import *import, const struct csv *csv, json_t *row, enum column column,
	const char *cell)
{
	json_t *value = NULL;
	uint64_t number;
	unsigned suite;
	char what[192];

	if (column == COLUMN_PREFIXES || column == COLUMN_ROLES)
		value = list_split(cell);
	else if (!*cell)
		return 0;
	else if (column == COLUMN_ID && !value_number(cell, 1, UINT32_MAX, &number))
		value = json_integer((json_int_t)number);
	else if (column == COLUMN_SUITE && !value_suite(cell, &suite))
		value = json_integer(suite);
	else if (column == COLUMN_NAME || column == COLUMN_STATE)
		value = json_string(cell);
	if (!value) {
		snprintf(what, sizeof(what), "%s '%.40s' is no %s", column_names[column], cell,
			column == COLUMN_ID      ? "number from 1"
			: column == COLUMN_SUITE ? "suite: cmac128, cmac256, sealed128, sealed256"
						 : "UTF-8 text");
		return csv_fail(import, csv, what);
	}
	json_object_set_new(row, column_names[column], value);
	return 0;
}

static int
record_take(struct import *import, const struct csv *csv, const enum column *columns,
	size_t column_count)
{
	json_t *row;
	size_t i;

	if (csv->field_count != column_count)
		return csv_fail(import, csv, "more or fewer fields than the first line");
	row = json_object();
	for (i = 0; i < column_count; i++)
		if (cell_take(import, csv, row, columns[i], csv->fields[i]) != 0) {
			json_decref(row);
			return -1;
		}
	return row_add(import, row, "line", csv->line);
}

static int
csv_take(struct import *import, char *text, size_t size)
{
	enum column columns[CSV_FIELDS_MAX];
	struct csv csv;
	size_t column_count;
	int status;

	csv_begin(&csv, text, size);
	status = csv_read(&csv);
	if (status == 0)
		return csv_fail(import, &csv, "the file is empty: the first line names columns");
	if (status < 0)
		return csv_fail(import, &csv, csv.fault);
	if (columns_read(import, &csv, columns) != 0)
		return -1;
	column_count = csv.field_count;
	while ((status = csv_read(&csv)) == 1)
		if (record_take(import, &csv, columns, column_count) != 0)
			return -1;
	return status < 0 ? csv_fail(import, &csv, csv.fault) : 0;
}

/* ---- JSON ---- */

/* A suite may be written by its name. */
static int
object_take(struct import *import, const json_t *object, size_t place)
{
	const char *name = json_string_value(json_object_get(object, "suite"));
	json_t *row = json_copy((json_t *)(uintptr_t)object);
	unsigned suite;

	if (!json_is_object(row)) {
		json_decref(row);
		cli_fail(import->cli, "%s: node %zu: it is no object", import->path, place);
		return -1;
	}
	if (name && !value_suite(name, &suite))
		json_object_set_new(row, "suite", json_integer(suite));
	return row_add(import, row, "node", place);
}

/* A list of nodes, or an object with the member `nodes`. */
static int
json_take(struct import *import, const char *text, size_t size)
{
	json_error_t where;
	json_t *whole = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where), *object;
	const json_t *nodes = json_is_object(whole) ? json_object_get(whole, "nodes") : whole;
	int status = -1;
	size_t i;

	if (!whole)
		cli_fail(import->cli, "%s: line %d: %s", import->path, where.line, where.text);
	else if (!json_is_array(nodes))
		cli_fail(import->cli, "%s: it is neither a list of nodes nor {\"nodes\": [...]}",
			import->path);
	else
		status = 0;
	json_array_foreach(nodes, i, object)
	{
		if (status != 0 || object_take(import, object, i + 1) != 0) {
			status = -1;
			break;
		}
	}
	json_decref(whole);
	return status;
}

/* ---- the verb ---- */

enum {
	IMPORT_FORMAT = CLI_ID_FIRST,
	IMPORT_DRY_RUN,
};

static const struct cli_option import_options[] = {
	{"format", IMPORT_FORMAT, "FORMAT", "csv or json (default: as the file is called)"},
	{"dry-run", IMPORT_DRY_RUN, NULL, "check everything, and change nothing"},
	{NULL, 0, NULL, NULL},
};

struct how {
	const char *format;
	bool is_dry_run;
};

static int
import_take(struct cli *cli, void *context, int id, const char *value)
{
	struct how *how = context;

	if (id == IMPORT_DRY_RUN) {
		how->is_dry_run = true;
		return CLI_DONE;
	}
	if (strcmp(value, "csv") != 0 && strcmp(value, "json") != 0)
		return cli_bad_value(cli, id, value, "csv or json");
	how->format = value;
	return CLI_DONE;
}

static bool
is_json(const struct how *how, const char *path)
{
	const char *dot = strrchr(path, '.');

	if (how->format)
		return strcmp(how->format, "json") == 0;
	return dot && strcmp(dot, ".json") == 0;
}

/* Until all nodes of it are in force. */
static int
import_wait(struct import *import)
{
	uint64_t left;
	json_t *result;

	do {
		result = request_ask(&import->request, "import.state", NULL, NULL);
		if (!result)
			return CLI_FAILED;
		left = request_number(result, "left");
		json_decref(result);
		if (left > 0)
			usleep(WAIT_US);
	} while (left > 0);
	return CLI_DONE;
}

static void
import_print(const struct import *import, const struct how *how, const json_t *result, double s)
{
	if (import->cli->has_json) {
		request_print_json(result);
		return;
	}
	printf("%s %" PRIu64 " nodes to realm %s; %" PRIu64 " changed, %" PRIu64
	       " as they were, %" PRIu64 " revoked and left so",
		how->is_dry_run ? "would add" : "added", request_number(result, "added"),
		import->cli->argv[0], request_number(result, "changed"),
		request_number(result, "unchanged"), request_number(result, "skipped"));
	if (how->is_dry_run)
		putchar('\n');
	else
		printf("; in force after %.1f s\n", s);
}

static double
now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Where our file was wrong nobody told credgated yet. */
static void
import_abort(struct import *import)
{
	import->request.is_quiet = true;
	json_decref(request_ask(&import->request, "import.abort",
		json_pack("{s:I}", "import", (json_int_t)import->number), NULL));
}

/* All rows were taken: keeps them, or not. */
static int
import_end(struct import *import, const struct how *how, double begun_s)
{
	json_t *arguments = json_pack("{s:I}", "import", (json_int_t)import->number), *result;
	int code = CLI_DONE;

	if (!how->is_dry_run) {
		json_object_set_new(arguments, "realm", json_string(import->cli->argv[0]));
		request_why(import->cli, arguments);
	}
	result = request_ask(&import->request, how->is_dry_run ? "import.abort" : "import.commit",
		arguments, NULL);
	if (!result) {
		import_abort(import);
		return CLI_FAILED;
	}
	if (!how->is_dry_run)
		code = import_wait(import);
	import_print(import, how, result, now_s() - begun_s);
	json_decref(result);
	return code;
}

static int
import_main(struct import *import, const struct how *how, char *text, size_t size)
{
	double begun_s = now_s();
	json_t *result = request_ask(&import->request, "import.begin",
		json_pack("{s:s}", "realm", import->cli->argv[0]), NULL);
	int status;

	if (!result)
		return CLI_FAILED;
	import->number = request_number(result, "import");
	json_decref(result);
	import->rows = json_array();
	status = is_json(how, import->path) ? json_take(import, text, size)
					    : csv_take(import, text, size);
	if (status == 0 && json_array_size(import->rows) > 0)
		status = rows_send(import);
	json_decref(import->rows);
	if (status == 0)
		return import_end(import, how, begun_s);
	import_abort(import);
	return CLI_FAILED;
}

static int
import_run(struct cli *cli)
{
	struct import import = {.cli = cli};
	struct how how = {0};
	size_t size = 0;
	char *text;
	int code = cli_parse(cli, import_take, &how);

	if (code != CLI_GO)
		return code;
	import.path = cli->argv[1];
	text = text_read(cli, import.path, &size);
	if (!text)
		return CLI_FAILED;
	code = CLI_FAILED;
	if (request_open(&import.request, cli) == 0)
		code = import_main(&import, &how, text, size);
	request_close(&import.request);
	free(text);
	return cli_finish(cli, code);
}

const struct cli_verb verb_node_import = {
	.name = "node import",
	.operands = "REALM FILE",
	.summary = "Add or change very many nodes from a file: all of them, or none",
	.detail =
		"CSV has a first line that names its columns: name, and any of id, prefixes, "
		"roles,\n"
		"suite, state; several prefixes or roles stand in one field with spaces between.\n"
		"JSON is a list of such objects, or what 'node export --format json' prints. New\n"
		"nodes get a key; nodes that are there get prefixes, roles and state as the file "
		"has\n"
		"them, and what it has no column for stays. Nothing is revoked or deleted, and "
		"what\n"
		"is revoked stays so. If one line is wrong, or it cannot be written, nothing is\n"
		"taken. FILE may be - for standard input.\n",
	.examples = "credgate node import lab inventory.csv --dry-run\n"
		    "credgate node import lab inventory.csv --why 'new racks'\n",
	.options = {import_options},
	.common = NODE_CHANGES,
	.operands_min = 2,
	.operands_max = 2,
	.run = import_run,
};

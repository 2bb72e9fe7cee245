/* SPDX-License-Identifier: BSD-3-Clause */
/* Join codes: node invite, node invites, node uninvite. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/names.h"

#define SECOND_US      1000000ull
#define INVITE_COMMON  (CLI_TAKES_JSON | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR)
#define INVITE_CHANGES (INVITE_COMMON | CLI_TAKES_WHY)
#define TTL_MAX_US     (7 * 86400 * SECOND_US)
/* More of a wrong name than this is not worth repeating. */
#define SHOWN_MAX 40

/* ---- one request per name ---- */

struct invitation {
	struct cli *cli;
	struct request request;
	json_t *arguments; /* what all names have in common */
	const char *verb;
	void (*print)(const struct invitation *invitation, const json_t *result);
	size_t count;
	size_t refused_count;
};

static int
name_count(void *context, const char *name)
{
	size_t *count = context;

	(void)name;
	++*count;
	return 0;
}

/* A refusal does not keep the other names back. */
static int
name_ask(void *context, const char *name)
{
	struct invitation *invitation = context;
	json_t *arguments = json_copy(invitation->arguments), *result;
	int refused;

	json_object_set_new(arguments, "name", json_string(name));
	result = request_ask(&invitation->request, invitation->verb,
		request_why(invitation->cli, arguments), &refused);
	if (!result) {
		invitation->refused_count++;
		return refused ? 0 : -ECONNRESET;
	}
	if (invitation->cli->has_json)
		request_print_json_line(result);
	else
		invitation->print(invitation, result);
	json_decref(result);
	return 0;
}

static int
names_check(struct invitation *invitation)
{
	char fault[NAMES_FAULT_SIZE];

	for (int i = 1; i < invitation->cli->argc; i++) {
		const char *pattern = invitation->cli->argv[i];

		if (names_expand(pattern, name_count, &invitation->count, fault))
			return cli_usage(invitation->cli, "'%.*s%s': %s", SHOWN_MAX, pattern,
				strlen(pattern) > SHOWN_MAX ? "..." : "", fault);
	}
	return CLI_DONE;
}

static int
names_ask(struct invitation *invitation)
{
	struct cli *cli = invitation->cli;
	int status = 0, code = CLI_DONE;

	json_object_set_new(invitation->arguments, "realm", json_string(cli->argv[0]));
	if (request_open(&invitation->request, cli) != 0)
		code = CLI_FAILED;
	for (int i = 1; code == CLI_DONE && status == 0 && i < cli->argc; i++)
		status = names_expand(cli->argv[i], name_ask, invitation, NULL);
	request_close(&invitation->request);
	if (invitation->refused_count && invitation->count > 1)
		cli_fail(cli, "%zu of %zu names failed%s", invitation->refused_count,
			invitation->count, status ? ", the rest was not tried" : "");
	return invitation->refused_count ? CLI_FAILED : code;
}

static int
names_run(struct cli *cli, int (*take)(struct cli *cli, void *context, int id, const char *value),
	struct invitation *invitation)
{
	int code = cli_parse(cli, take, invitation->arguments);

	if (code == CLI_GO)
		code = names_check(invitation);
	if (code == CLI_DONE && invitation->count > 0)
		code = cli_finish(cli, names_ask(invitation));
	json_decref(invitation->arguments);
	return code;
}

/* ---- node invite ---- */

enum {
	INVITE_PREFIX = CLI_ID_FIRST,
	INVITE_BIND,
	INVITE_TTL,
	INVITE_SUITE,
	INVITE_CLOSE,
	INVITE_ROLE,
};

static const struct cli_option invite_options[] = {
	{"ttl", INVITE_TTL, "TIME", "the code holds that long (default: 10m; at most 7d)"},
	{"prefix", INVITE_PREFIX, "ADDR/N",
		"it joins from there and sends from there only; may be given 16 times"},
	{"bind-address", INVITE_BIND, NULL,
		"the address it joins from becomes the only one it may send from"},
	{"role", INVITE_ROLE, "ROLE", "a role of the node; may be given 8 times"},
	{"suite", INVITE_SUITE, "SUITE",
		"cmac128, cmac256, sealed128 (default; again: as now) or sealed256"},
	{"close-old", INVITE_CLOSE, NULL, "older keys of the node end when it has joined"},
	{NULL, 0, NULL, NULL},
};

static int
invite_ttl(struct cli *cli, json_t *arguments, const char *value)
{
	uint64_t us;

	if (value_duration(value, SECOND_US, TTL_MAX_US, &us) || us < SECOND_US)
		return cli_bad_value(cli, INVITE_TTL, value, "a time as 90s, 10m or 1d, up to 7d");
	json_object_set_new(arguments, "ttl_s", json_integer((json_int_t)(us / SECOND_US)));
	return CLI_DONE;
}

/* One more for the list `name`. */
static int
invite_append(json_t *arguments, const char *name, const char *value)
{
	json_t *list = json_object_get(arguments, name);

	if (!list) {
		list = json_array();
		json_object_set_new(arguments, name, list);
	}
	json_array_append_new(list, json_string(value));
	return CLI_DONE;
}

static int
invite_take(struct cli *cli, void *context, int id, const char *value)
{
	json_t *arguments = context;
	unsigned suite;

	switch (id) {
	case INVITE_TTL:
		return invite_ttl(cli, arguments, value);
	case INVITE_PREFIX:
		return invite_append(arguments, "prefixes", value);
	case INVITE_ROLE:
		return invite_append(arguments, "roles", value);
	case INVITE_SUITE:
		if (value_suite(value, &suite))
			return cli_bad_value(
				cli, id, value, "cmac128, cmac256, sealed128, sealed256 or 1 to 4");
		json_object_set_new(arguments, "suite", json_integer(suite));
		return CLI_DONE;
	default:
		json_object_set_new(
			arguments, id == INVITE_BIND ? "bind_address" : "close_old", json_true());
		return CLI_DONE;
	}
}

/* Codes on standard output, one per line behind the name; what is worth knowing beside them. */
static void
invite_print(const struct invitation *invitation, const json_t *result)
{
	printf("%s %s\n", request_text(result, "name"), request_text(result, "code"));
	if (json_is_true(json_object_get(result, "again")))
		cli_fail(invitation->cli,
			"note: %s is in the registry: with this code it gets a further key",
			request_text(result, "name"));
}

static int
invite_run(struct cli *cli)
{
	struct invitation invitation = {
		.cli = cli,
		.arguments = json_object(),
		.verb = "node.invite",
		.print = invite_print,
	};

	return names_run(cli, invite_take, &invitation);
}

const struct cli_verb verb_node_invite = {
	.name = "node invite",
	.operands = "REALM NAME...",
	.summary = "Make join codes, with which nodes get their keys by themselves",
	.detail =
		"Prints NAME CODE for each name; a name may have ranges, n[001-128]. A code is\n"
		"good once, for that name and a short time: pass it to the node and run there\n"
		"'credgate join CODE HOST:PORT'. Whoever has it first gets the key, so treat it\n"
		"like a password. A new code for a name takes the place of the last. A node that\n"
		"is there gets a further key (it was imaged anew); a revoked one comes back.\n"
		"The configuration must have 'enrol' (docs/enrolment.md).\n",
	.examples = "credgate node invite lab n001\n"
		    "credgate node invite lab 'n[001-512]' --ttl 1h --prefix 10.77.0.0/16\n",
	.options = {invite_options},
	.common = INVITE_CHANGES,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = invite_run,
};

/* ---- node uninvite ---- */

static void
uninvite_print(const struct invitation *invitation, const json_t *result)
{
	(void)invitation;
	printf("took back the join code of %s\n", request_text(result, "name"));
}

static int
uninvite_run(struct cli *cli)
{
	struct invitation invitation = {
		.cli = cli,
		.arguments = json_object(),
		.verb = "node.uninvite",
		.print = uninvite_print,
	};

	return names_run(cli, NULL, &invitation);
}

const struct cli_verb verb_node_uninvite = {
	.name = "node uninvite",
	.operands = "REALM NAME...",
	.summary = "Take join codes back",
	.detail = "A node that has joined already keeps its key: 'credgate node revoke' ends it.\n",
	.examples = "credgate node uninvite lab n001\n",
	.common = INVITE_CHANGES,
	.operands_min = 2,
	.operands_max = CLI_OPERANDS_ANY,
	.run = uninvite_run,
};

/* ---- node invites ---- */

/* A large realm comes in pieces: appends one. What to ask for next, NULL: nothing or a failure. */
static char *
list_piece(struct request *request, const char *realm, const char *after, json_t *codes, int *code)
{
	json_t *arguments = json_pack("{s:s}", "realm", realm), *result;
	const char *text;
	char *next = NULL;

	if (after)
		json_object_set_new(arguments, "after", json_string(after));
	result = request_ask(request, "node.invites", arguments, NULL);
	*code = result ? CLI_DONE : CLI_FAILED;
	json_array_extend(codes, json_object_get(result, "invites"));
	text = json_string_value(json_object_get(result, "next"));
	/* An answer that leads nowhere would have us ask for ever. */
	if (text && (!after || strcmp(text, after) > 0))
		next = strdup(text);
	json_decref(result);
	return next;
}

static int
list_codes(struct cli *cli, json_t *codes)
{
	struct request request;
	char *after = NULL, *next;
	int code = CLI_DONE;

	if (request_open(&request, cli) != 0)
		return CLI_FAILED;
	do {
		next = list_piece(&request, cli->argv[0], after, codes, &code);
		free(after);
		after = next;
	} while (after && code == CLI_DONE);
	free(after);
	request_close(&request);
	return code;
}

static void
list_row(struct table *table, const json_t *item, uint64_t now_s)
{
	uint64_t expires_s = request_number(item, "expires_s");
	char left[PRINT_AGE_SIZE];

	print_age(left, expires_s > now_s ? (expires_s - now_s) * SECOND_US : 0);
	table_cell(table, "%s", request_text(item, "name"));
	table_cell(table, "%s", request_text(item, "state"));
	table_cell(table, "%s", left);
	table_cell(table, "%" PRIu64, request_number(item, "wrong"));
	table_cell(table, "%s", request_text(item, "who"));
	table_cell(table, "%s", request_text(item, "source"));
	table_cell(table, "%s", request_text(item, "id"));
}

static void
list_print(const struct cli *cli, const json_t *codes)
{
	static const struct table_column columns[] = {{"NAME", false}, {"STATE", false},
		{"HOLDS FOR", false}, {"WRONG", true}, {"INVITED BY", false}, {"USED FROM", false},
		{"ID", false}};
	uint64_t now_s = (uint64_t)time(NULL);
	struct table table;
	const json_t *item;
	size_t i;

	table_begin(&table, cli, columns, sizeof(columns) / sizeof(columns[0]));
	json_array_foreach(codes, i, item)
	{
		list_row(&table, item, now_s);
	}
	table_end(&table);
}

static int
invites_run(struct cli *cli)
{
	json_t *result, *codes;
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	codes = json_array();
	result = json_pack("{s:s, s:o}", "realm", cli->argv[0], "invites", codes);
	code = list_codes(cli, codes);
	if (code == CLI_DONE && cli->has_json)
		request_print_json(result);
	else if (code == CLI_DONE)
		list_print(cli, codes);
	json_decref(result);
	return cli_finish(cli, code);
}

const struct cli_verb verb_node_invites = {
	.name = "node invites",
	.operands = "REALM",
	.summary = "List join codes that hold, and what became of them",
	.detail = "State: open; used (the same node may ask again for a lost answer); burnt (after "
		  "5\n"
		  "requests that knew its id and not its secret). The codes themselves are kept\n"
		  "nowhere and cannot be shown again.\n",
	.examples = "credgate node invites lab\n",
	.common = INVITE_COMMON | CLI_TAKES_TSV,
	.operands_min = 1,
	.operands_max = 1,
	.run = invites_run,
};

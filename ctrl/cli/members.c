/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <credgate/credgate.h>

#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/stop.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/clock.h"
#include "ctrl/names_fold.h"
#include "verdict/members.h"

#define WAIT_MS   500
#define ATTACH_MS 250

enum {
	MEMBERS_OPTION_STATE = CLI_ID_FIRST,
	MEMBERS_OPTION_NAMES,
	MEMBERS_OPTION_COUNTS,
	MEMBERS_OPTION_WATCH,
	MEMBERS_OPTION_TIMEOUT,
};

static const struct cli_option members_options[] = {
	{"state", MEMBERS_OPTION_STATE, "LIST",
		"only these: up, late, left, unknown, silent, suspended, revoked"},
	{"names", MEMBERS_OPTION_NAMES, NULL, "only names, as one short line: n[001-512] login1"},
	{"counts", MEMBERS_OPTION_COUNTS, NULL, "only how many there are in each state"},
	{"watch", MEMBERS_OPTION_WATCH, NULL, "then print every change, until Ctrl-C"},
	{"timeout", MEMBERS_OPTION_TIMEOUT, "TIME", "stop watching after this time"},
	{NULL, 0, NULL, NULL},
};

struct members_call {
	struct cli *cli;
	struct cg_members *members;
	char socket_path[256];
	uint32_t realm;  /* 0: all */
	unsigned states; /* bit for each; 0: all */
	bool has_names;
	bool has_counts;
	bool has_watch;
	uint64_t duration_us;
	uint64_t until_us;
};

/* ---- options ---- */

static unsigned
state_of(const char *word, size_t length)
{
	for (unsigned state = MEMBERS_SILENT; state < MEMBERS_STATES; state++) {
		const char *text = members_state_text(state);

		if (strlen(text) == length && memcmp(text, word, length) == 0)
			return state;
	}
	return MEMBERS_NONE;
}

static int
take_states(struct members_call *call, int id, const char *value)
{
	for (const char *word = value; *word != '\0';) {
		size_t length = strcspn(word, ",");
		unsigned state = state_of(word, length);

		if (state == MEMBERS_NONE)
			return cli_bad_value(call->cli, id, value,
				"some of up,late,left,unknown,silent,suspended,revoked");
		call->states |= 1u << state;
		word += length + (word[length] == ',');
	}
	return CLI_DONE;
}

static int
members_take(struct cli *cli, void *context, int id, const char *value)
{
	struct members_call *call = context;

	switch (id) {
	case MEMBERS_OPTION_STATE:
		return take_states(call, id, value);
	case MEMBERS_OPTION_NAMES:
		call->has_names = true;
		return CLI_DONE;
	case MEMBERS_OPTION_COUNTS:
		call->has_counts = true;
		return CLI_DONE;
	case MEMBERS_OPTION_WATCH:
		call->has_watch = true;
		return CLI_DONE;
	default:
		if (value_duration(value, 1000000, INT64_MAX / 2, &call->duration_us) ||
			!call->duration_us)
			return cli_bad_value(cli, id, value, "a time as 30, 500ms or 5m");
		return CLI_DONE;
	}
}

static int
options_check(const struct members_call *call)
{
	if (call->has_names + call->has_counts + call->has_watch > 1)
		return cli_usage(
			call->cli, "--names, --counts and --watch exclude each other: take one");
	if (call->duration_us != 0 && !call->has_watch)
		return cli_usage(call->cli, "--timeout goes with --watch");
	return CLI_DONE;
}

/* ---- one member ---- */

static bool
is_asked_for(const struct members_call *call, uint32_t realm, unsigned state)
{
	return (call->realm == 0 || realm == call->realm) &&
	       (call->states == 0 || (call->states >> state & 1) != 0);
}

static bool
has_address(const uint8_t address[16])
{
	static const uint8_t none[16];

	return memcmp(address, none, sizeof(none)) != 0;
}

static void
addresses_format(const struct cg_member *member, char text[2 * PRINT_ADDRESS_SIZE])
{
	char one[PRINT_ADDRESS_SIZE];
	size_t used = 0;

	snprintf(text, 2 * PRINT_ADDRESS_SIZE, "-");
	if (has_address(member->address4)) {
		print_address(one, member->address4);
		used = (size_t)snprintf(text, PRINT_ADDRESS_SIZE, "%s", one);
	}
	if (has_address(member->address6)) {
		print_address(one, member->address6);
		snprintf(text + used, 2 * PRINT_ADDRESS_SIZE - used, "%s%s", used ? "," : "", one);
	}
}

static const char *
realm_text(const struct members_call *call, uint32_t realm)
{
	const char *name = cg_members_realm_name(call->members, realm);

	return name != NULL ? name : "-";
}

static json_t *
address_json(const uint8_t address[16])
{
	char text[PRINT_ADDRESS_SIZE];

	if (!has_address(address))
		return json_null();
	print_address(text, address);
	return json_string(text);
}

static json_t *
member_json(const struct members_call *call, const struct cg_member *member)
{
	return json_pack("{s:s, s:I, s:s, s:s, s:b, s:o, s:o, s:I, s:I, s:I, s:I}", "realm",
		realm_text(call, member->realm), "node", (json_int_t)member->node, "name",
		member->name, "state", cg_member_state_text(member->state), "has_said_leaving",
		member->has_said_leaving, "address4", address_json(member->address4), "address6",
		address_json(member->address6), "incarnation", (json_int_t)member->incarnation,
		"interval_s", (json_int_t)member->interval_s, "last_seen_us",
		(json_int_t)member->last_seen_us, "since_us", (json_int_t)member->since_us);
}

static void
age_format(char text[PRINT_AGE_SIZE + 8], uint64_t then_us)
{
	const uint64_t now_us = clock_real_us();
	char age[PRINT_AGE_SIZE];

	snprintf(text, PRINT_AGE_SIZE + 8, "never");
	if (then_us == 0)
		return;
	print_age(age, now_us > then_us ? now_us - then_us : 0);
	snprintf(text, PRINT_AGE_SIZE + 8, "%s ago", age);
}

/* ---- all of them ---- */

/* Calls `each` for those that are asked for. 0, or -EPIPE. */
static int
members_walk(struct members_call *call,
	void (*each)(struct members_call *call, const struct cg_member *member, void *context),
	void *context)
{
	struct cg_member member = {.size = sizeof(member)};
	int rc;

	cg_members_rewind(call->members);
	while ((rc = cg_members_next(call->members, &member)) == 1)
		if (is_asked_for(call, member.realm, member.state))
			each(call, &member, context);
	return rc;
}

static void
row_print(struct members_call *call, const struct cg_member *member, void *context)
{
	char addresses[2 * PRINT_ADDRESS_SIZE];
	char seen[PRINT_AGE_SIZE + 8], since[PRINT_AGE_SIZE + 8];
	struct table *table = context;

	addresses_format(member, addresses);
	age_format(seen, member->last_seen_us);
	age_format(since, member->since_us);
	table_cell(table, "%s", realm_text(call, member->realm));
	table_cell(table, "%" PRIu32, member->node);
	table_cell(table, "%s", member->name);
	table_cell(table, "%s", cg_member_state_text(member->state));
	table_cell(table, "%s", since);
	table_cell(table, "%s", seen);
	table_cell(table, "%s", addresses);
}

static int
list_table(struct members_call *call)
{
	static const struct table_column columns[] = {{"REALM", false}, {"NODE", true},
		{"NAME", false}, {"STATE", false}, {"SINCE", false}, {"LAST SEEN", false},
		{"ADDRESSES", false}};
	struct table table;
	int rc;

	table_begin(&table, call->cli, columns, sizeof(columns) / sizeof(columns[0]));
	rc = members_walk(call, row_print, &table);
	table_end(&table);
	return rc;
}

static void
json_append(struct members_call *call, const struct cg_member *member, void *context)
{
	json_array_append_new(context, member_json(call, member));
}

static int
list_json(struct members_call *call)
{
	json_t *members = json_array(), *result = json_pack("{s:o}", "members", members);
	int rc = members_walk(call, json_append, members);

	if (rc == 0)
		request_print_json(result);
	json_decref(result);
	return rc;
}

struct name_list {
	char **names;
	size_t count;
};

static void
name_append(struct members_call *call, const struct cg_member *member, void *context)
{
	struct name_list *list = context;

	(void)call;
	if ((list->count & (list->count - 1)) == 0)
		list->names = realloc(
			list->names, (list->count != 0 ? 2 * list->count : 1) * sizeof(char *));
	if (list->names == NULL)
		abort();
	list->names[list->count++] = strdup(member->name);
}

static int
list_names(struct members_call *call)
{
	struct name_list list = {NULL, 0};
	int rc = members_walk(call, name_append, &list);
	char *text = names_fold((const char *const *)list.names, list.count);

	if (rc == 0 && text != NULL && call->cli->has_json)
		printf("{\"names\": \"%s\", \"count\": %zu}\n", text, list.count);
	else if (rc == 0 && text != NULL && list.count > 0)
		puts(text);
	for (size_t i = 0; i < list.count; i++)
		free(list.names[i]);
	free(list.names);
	free(text);
	return rc;
}

static void
state_count(struct members_call *call, const struct cg_member *member, void *context)
{
	uint64_t *counts = context;

	(void)call;
	counts[member->state % MEMBERS_STATES]++;
}

static int
list_counts(struct members_call *call)
{
	uint64_t counts[MEMBERS_STATES] = {0};
	json_t *result = json_object();
	int rc = members_walk(call, state_count, counts);

	for (unsigned state = MEMBERS_SILENT; rc == 0 && state < MEMBERS_STATES; state++) {
		json_object_set_new(
			result, members_state_text(state), json_integer((json_int_t)counts[state]));
		if (!call->cli->has_json && (call->states == 0 || counts[state] != 0))
			printf("%-10s%8" PRIu64 "\n", members_state_text(state), counts[state]);
	}
	if (rc == 0 && call->cli->has_json)
		request_print_json(result);
	json_decref(result);
	return rc;
}

/* ---- watching ---- */

/* `what` is "member" for one as it is, "change" for one that changed. */
static void
line_print(const struct members_call *call, const char *what, const struct cg_member *member,
	const struct cg_member_event *event)
{
	char time[PRINT_TIME_SIZE], addresses[2 * PRINT_ADDRESS_SIZE];
	const unsigned old = event != NULL ? event->old_state : member->state;
	const uint64_t time_us = event != NULL ? event->time_us : member->since_us;
	json_t *object;

	if (call->cli->has_json) {
		object = member_json(call, member);
		json_object_set_new(object, "event", json_string(what));
		json_object_set_new(object, "time_us", json_integer((json_int_t)time_us));
		json_object_set_new(object, "old_state", json_string(cg_member_state_text(old)));
		request_print_json_line(object);
		json_decref(object);
		return;
	}
	print_date_time(time, time_us);
	addresses_format(member, addresses);
	printf("%s %s %s: ", time, realm_text(call, member->realm), member->name);
	if (old != member->state)
		printf("%s -> ", cg_member_state_text(old));
	printf("%s %s\n", cg_member_state_text(member->state), addresses);
}

static void
member_print(struct members_call *call, const struct cg_member *member, void *context)
{
	(void)context;
	line_print(call, "member", member, NULL);
}

/* What the node is now, in the state that the event tells; a node that is gone has only a number. */
static void
event_print(struct members_call *call, const struct cg_member_event *event)
{
	struct cg_member member = {.size = sizeof(member)};

	if (cg_member_find(call->members, event->realm, event->node, &member) != 1) {
		member = (struct cg_member){
			.size = sizeof(member), .realm = event->realm, .node = event->node};
		snprintf(member.name, sizeof(member.name), "%" PRIu32, event->node);
	}
	member.state = event->state;
	if (is_asked_for(call, event->realm, event->state) ||
		is_asked_for(call, event->realm, event->old_state))
		line_print(call, "change", &member, event);
}

static bool
is_over(const struct members_call *call)
{
	return stop_is_asked() || ferror(stdout) ||
	       (call->until_us != 0 && clock_mono_us() >= call->until_us);
}

static int
wait_ms(const struct members_call *call)
{
	uint64_t now_us = clock_mono_us();

	if (call->until_us == 0 || call->until_us > now_us + WAIT_MS * 1000)
		return WAIT_MS;
	return call->until_us > now_us ? (int)((call->until_us - now_us) / 1000) + 1 : 0;
}

/* Prints changes until the gateway is gone or we are to stop. */
static void
changes_follow(struct members_call *call)
{
	struct cg_member_event event = {.size = sizeof(event)};
	int rc = 0;

	while (!is_over(call) && rc != -EPIPE) {
		rc = cg_members_event(call->members, &event);
		if (rc == 1) {
			event_print(call, &event);
			continue;
		}
		if (rc == -EOVERFLOW) {
			cli_fail(call->cli, "too slow: some changes are lost, here is everybody");
			rc = members_walk(call, member_print, NULL);
			continue;
		}
		fflush(stdout);
		if (rc == 0)
			rc = cg_members_wait(call->members, wait_ms(call));
	}
}

static void
members_attach_again(struct members_call *call)
{
	cli_fail(call->cli, "the gateway is gone, waiting for it");
	cg_members_close(call->members);
	call->members = NULL;
	while (!is_over(call) && cg_members_open(&call->members, call->socket_path) != 0)
		usleep(ATTACH_MS * 1000);
	if (call->members != NULL)
		cli_fail(call->cli, "attached again");
}

static int
members_follow(struct members_call *call)
{
	stop_catch(0);
	call->until_us = call->duration_us != 0 ? clock_mono_us() + call->duration_us : 0;
	while (!is_over(call) && call->members != NULL) {
		if (members_walk(call, member_print, NULL) == 0)
			changes_follow(call);
		if (!is_over(call))
			members_attach_again(call);
	}
	fflush(stdout);
	return 0;
}

/* ---- the verb ---- */

static int
members_show(struct members_call *call)
{
	if (call->has_watch)
		return members_follow(call);
	if (call->has_names)
		return list_names(call);
	if (call->has_counts)
		return list_counts(call);
	return call->cli->has_json ? list_json(call) : list_table(call);
}

static int
realm_find(struct members_call *call, const char *name)
{
	if (cg_members_realm(call->members, name, &call->realm) == 1)
		return CLI_DONE;
	return cli_fail(call->cli, "there is no realm %s; see credgate realm list", name);
}

static int
members_run(struct cli *cli)
{
	struct members_call call = {.cli = cli};
	int code = cli_parse(cli, members_take, &call);

	if (code == CLI_GO)
		code = options_check(&call);
	else
		return code;
	if (code != CLI_DONE)
		return code;
	snprintf(call.socket_path, sizeof(call.socket_path), "%s/consumer.sock", cli_run_dir(cli));
	if (cg_members_open(&call.members, call.socket_path) != 0)
		return cli_fail(cli, "%s", cg_error());
	if (cli->argc > 0)
		code = realm_find(&call, cli->argv[0]);
	if (code == CLI_DONE && members_show(&call) != 0)
		code = cli_fail(cli, "%s", cg_error());
	cg_members_close(call.members);
	return cli_finish(cli, code);
}

const struct cli_verb verb_members = {
	.name = "members",
	.operands = "[REALM]",
	.summary = "Show which nodes are there, by their beacons",
	.detail =
		"up: beacons come. late: none for late_after intervals. left: said so, or none "
		"for\n"
		"left_after intervals. unknown: was there before the gateway restarted, not heard\n"
		"since. silent: registered, never heard. suspended, revoked: by the operator.\n"
		"Reads shared memory, as admins, observers and readers of groups may; asks nobody\n"
		"and slows nobody. With --watch: everybody first, then every change; with --json\n"
		"one object per line then. Nodes send beacons with 'credgate beacon'.\n",
	.examples = "credgate members\n"
		    "credgate members lab --state late,left --names\n"
		    "credgate members --watch --json | jq -r 'select(.event == \"change\")'\n",
	.options = {members_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_TSV | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.operands_max = 1,
	.run = members_run,
};

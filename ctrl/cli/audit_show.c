/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/audit_scan.h"
#include "ctrl/cli/audit_dir.h"
#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/clock.h"

#define FOLLOW_EACH_US 250000
#define TEXT_SIZE      600

enum {
	SHOW_DIR = CLI_ID_FIRST,
	SHOW_SINCE,
	SHOW_VERB,
	SHOW_WHO,
	SHOW_FOLLOW,
};

static const struct cli_option show_options[] = {
	{"dir", SHOW_DIR, "DIR", "the state directory, or a copy of it"},
	{"since", SHOW_SINCE, "TIME", "not before: -2h, -7d, or microseconds since 1970"},
	{"verb", SHOW_VERB, "VERB", "only this verb, or all of a noun: node.revoke, node"},
	{"who", SHOW_WHO, "USER", "only what this user (name or uid) or credgated did"},
	{"follow", SHOW_FOLLOW, NULL, "go on with what is written from now on"},
	{NULL, 0, NULL, NULL},
};

struct show {
	const char *dir;
	const char *verb;
	const char *who;
	uint64_t since_us;
	bool follows;
	bool has_json;
	json_t *asked; /* a line that was asked for, without its outcome so far */
};

static int
show_take(struct cli *cli, void *context, int id, const char *value)
{
	struct show *show = context;

	switch (id) {
	case SHOW_DIR:
		show->dir = value;
		return CLI_DONE;
	case SHOW_VERB:
		show->verb = value;
		return CLI_DONE;
	case SHOW_WHO:
		show->who = value;
		return CLI_DONE;
	case SHOW_FOLLOW:
		show->follows = true;
		return CLI_DONE;
	default:
		if (value_instant(value, clock_real_us(), &show->since_us) == 0)
			return CLI_DONE;
		return cli_bad_value(cli, id, value,
			"a time before now such as -2h, or microseconds since 1970");
	}
}

/* ---- which lines ---- */

static bool
is_verb(const struct show *show, const json_t *line)
{
	const char *verb = request_text(line, "verb");
	size_t size;

	if (show->verb == NULL)
		return true;
	size = strlen(show->verb);
	return strncmp(verb, show->verb, size) == 0 && (verb[size] == '\0' || verb[size] == '.');
}

static bool
is_who(const struct show *show, const json_t *line)
{
	const json_t *who = json_object_get(line, "who");
	uint64_t uid;

	if (show->who == NULL)
		return true;
	if (json_is_string(who))
		return strcmp(json_string_value(who), show->who) == 0;
	if (value_number(show->who, 0, UINT32_MAX, &uid) == 0)
		return request_number(who, "uid") == uid;
	return strcmp(request_text(who, "user"), show->who) == 0;
}

static bool
is_wanted(const struct show *show, const json_t *line)
{
	return request_number(line, "time_us") >= show->since_us && is_verb(show, line) &&
	       is_who(show, line);
}

/* ---- how they look ---- */

static void
who_text(char *text, size_t room, const json_t *line)
{
	const json_t *who = json_object_get(line, "who");
	const char *user = json_string_value(json_object_get(who, "user"));
	char name[64];

	if (json_is_string(who)) {
		print_escape(text, room, json_string_value(who), json_string_length(who));
		return;
	}
	print_escape(name, sizeof(name), user != NULL ? user : "uid", strlen(user ? user : "uid"));
	snprintf(text, room, "%s(%" PRIu64 ")", name, request_number(who, "uid"));
	if (json_object_get(who, "login_uid") != NULL)
		snprintf(text + strlen(text), room - strlen(text), "<%" PRIu64,
			request_number(who, "login_uid"));
}

/* "realm=lab name=n1": texts as they are, all else as JSON. */
static void
args_print(json_t *args)
{
	char text[TEXT_SIZE];
	const char *name;
	json_t *value;

	json_object_foreach(args, name, value)
	{
		char *dump = json_is_string(value)
				     ? strdup(json_string_value(value))
				     : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

		print_escape(text, 40, name, strlen(name));
		printf("  %s=", text);
		print_escape(text, sizeof(text), dump != NULL ? dump : "", dump ? strlen(dump) : 0);
		fputs(text, stdout);
		free(dump);
	}
}

static void
row_print(const json_t *line, const char *outcome, const json_t *answer)
{
	char time[PRINT_TIME_SIZE], who[160], text[TEXT_SIZE];
	const char *why = json_string_value(json_object_get(line, "why"));
	const char *error = json_string_value(json_object_get(answer, "error"));

	print_date_time(time, request_number(line, "time_us"));
	who_text(who, sizeof(who), line);
	print_escape(
		text, sizeof(text), request_text(line, "verb"), strlen(request_text(line, "verb")));
	printf("%s  %" PRIu64 "  %s  %s  %s", time, request_number(line, "seq"), who, text,
		outcome);
	args_print(json_object_get(line, "args"));
	if (why != NULL) {
		print_escape(text, sizeof(text), why, strlen(why));
		printf("  # %s", text);
	}
	if (error != NULL) {
		print_escape(text, sizeof(text), error, strlen(error));
		printf("  ! %s", text);
	}
	putchar('\n');
}

/* The line that still waits for its outcome gets none any more. */
static void
asked_give_up(struct show *show)
{
	if (show->asked != NULL && !show->has_json)
		row_print(show->asked, "outcome unknown", NULL);
	json_decref(show->asked);
	show->asked = NULL;
}

static void
outcome_show(struct show *show, const json_t *line, const char *event)
{
	uint64_t asked = request_number(line, "asked");

	if (asked == 0 && is_wanted(show, line)) {
		show->has_json ? request_print_json_line(line) : row_print(line, event, line);
	} else if (show->asked != NULL && asked == request_number(show->asked, "seq")) {
		show->has_json ? request_print_json_line(line)
			       : row_print(show->asked, event, line);
		json_decref(show->asked);
		show->asked = NULL;
	}
}

static void
line_show(struct show *show, const char *text, size_t size)
{
	json_t *line = json_loadb(text, size, 0, NULL);
	const char *event = request_text(line, "event");

	if (line == NULL) {
		printf("(a line that is no JSON; run credgate audit verify)\n");
	} else if (strcmp(event, "done") == 0 || strcmp(event, "failed") == 0) {
		outcome_show(show, line, event);
	} else if (strcmp(event, "asked") == 0) {
		asked_give_up(show);
		if (is_wanted(show, line)) {
			show->asked = json_incref(line);
			if (show->has_json)
				request_print_json_line(line);
		}
	} else if (strcmp(event, "note") == 0 && is_wanted(show, line)) {
		if (strcmp(request_text(line, "verb"), "gateway.start") == 0)
			asked_give_up(show);
		show->has_json ? request_print_json_line(line) : row_print(line, "note", NULL);
	}
	json_decref(line);
}

/* ---- files ---- */

/* Whole lines up to the end; half a line is read again later. */
static void
lines_show(struct show *show, FILE *file)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;
	long begin = ftell(file);

	while ((size = getline(&line, &room, file)) > 0 && line[size - 1] == '\n') {
		line_show(show, line, (size_t)size);
		begin = ftell(file);
	}
	free(line);
	clearerr(file);
	fseek(file, begin, SEEK_SET);
}

/* Goes on until its output is gone, or a signal. */
static int
file_follow(struct cli *cli, struct show *show, const char *dir, uint32_t number, FILE *file)
{
	char path[PATH_MAX];
	FILE *next;

	while (fflush(stdout) == 0) {
		audit_file_path(path, dir, number + 1);
		next = fopen(path, "re");
		lines_show(show, file); /* what came before the next one was begun */
		if (next != NULL) {
			fclose(file);
			file = next;
			number++;
			continue;
		}
		usleep(FOLLOW_EACH_US);
	}
	fclose(file);
	return cli_finish(cli, CLI_DONE);
}

static int
files_show(struct cli *cli, struct show *show, const char *dir)
{
	uint32_t oldest, newest;
	char path[PATH_MAX];
	struct reason reason;
	FILE *file;

	if (audit_files(dir, &oldest, &newest, &reason) != 0)
		return cli_fail(cli, "%s%s", reason.text,
			reason.error == EACCES ? ": only root and the control user may" : "");
	if (newest == 0)
		return cli_fail(
			cli, "%s has no audit log; name the state directory with --dir", dir);
	for (uint32_t number = oldest; number <= newest; number++) {
		audit_file_path(path, dir, number);
		file = fopen(path, "re");
		if (file == NULL && errno != ENOENT)
			return cli_fail(cli, "%s: %s", path, strerror(errno));
		if (file == NULL)
			continue;
		lines_show(show, file);
		if (show->follows && number == newest)
			return file_follow(cli, show, dir, number, file);
		fclose(file);
	}
	asked_give_up(show);
	return cli_finish(cli, CLI_DONE);
}

static int
show_run(struct cli *cli)
{
	struct show show = {0};
	char dir[CONFIG_PATH_SIZE];
	int code = cli_parse(cli, show_take, &show);

	if (code != CLI_GO)
		return code;
	code = audit_dir(cli, show.dir, dir);
	if (code != CLI_DONE)
		return code;
	show.has_json = cli->has_json;
	code = files_show(cli, &show, dir);
	json_decref(show.asked);
	return code;
}

const struct cli_verb verb_audit_show = {
	.name = "audit show",
	.operands = "",
	.summary = "Show who changed what, when and why",
	.detail = "A row is time, number of the line, who (and <uid of the login), verb, outcome,\n"
		  "arguments, # why, ! error. With --json the lines as they are in the log. Reads\n"
		  "files only, as root or the control user; proves nothing: see audit verify.\n",
	.examples = "credgate audit show --since -1d --verb node\n"
		    "credgate audit show --follow --json | logger -t credgate-audit\n",
	.options = {show_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_CONFIG,
	.run = show_run,
};

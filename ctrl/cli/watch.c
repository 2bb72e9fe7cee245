/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <credgate/credgate.h>

#include "ctrl/cli/request.h"
#include "ctrl/cli/stop.h"
#include "ctrl/cli/value.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/cli/watch.h"
#include "ctrl/clock.h"
#include "verdict/verdict.h"

#define WATCH_SOURCES_MAX 17  /* every group, and the refusals */
#define WATCH_BURST       256 /* records of one ring before the next has its turn */

/* A single source sleeps; several are looked at in turn, so none may sleep for long. */
#define WATCH_WAIT_ONE_MS  500
#define WATCH_WAIT_MANY_MS 20
#define WATCH_ATTACH_MS    250

enum {
	WATCH_GROUP = CLI_ID_FIRST,
	WATCH_REFUSED,
	WATCH_ALL,
	WATCH_TIMEOUT,
};

static const struct cli_option watch_options[] = {
	{"group", WATCH_GROUP, "NAME", "what this group is given; may be repeated"},
	{"refused", WATCH_REFUSED, NULL, "all refusals, for those who may observe"},
	{"all", WATCH_ALL, NULL, "all groups and the refusals (default; asks the admin socket)"},
	{"count", 'n', "N", "stop after N verdicts"},
	{"timeout", WATCH_TIMEOUT, "TIME", "stop after this time, as 30, 500ms or 5m"},
	{NULL, 0, NULL, NULL},
};

struct source {
	const char *group; /* NULL: the refusals */
	uid_t uid;         /* of the group's reader; 0: not known */
	gid_t gid;
	struct cg_reader *reader;
	uint64_t lost; /* of this reader, as far as it was told */
	bool is_away;  /* the gateway is gone, and that was told */
};

struct watch {
	struct cli *cli;
	struct source sources[WATCH_SOURCES_MAX];
	size_t source_count;
	bool has_all;
	bool is_aligned;
	uint64_t count_max;   /* 0: no limit */
	uint64_t duration_us; /* 0: no limit */
	uint64_t until_us;
	char socket_path[256];
	json_t *status; /* of the gateway, if we may know: owns the names of groups and realms */
	uint64_t counters[VERDICT_COUNTERS];
	uint64_t count;
	uint64_t lost;
};

static int
add_source(struct watch *watch, const char *group)
{
	if (watch->source_count == WATCH_SOURCES_MAX)
		return cli_usage(watch->cli, "at most %d groups", WATCH_SOURCES_MAX - 1);
	watch->sources[watch->source_count++] = (struct source){.group = group};
	return CLI_DONE;
}

static int
watch_take(struct cli *cli, void *context, int id, const char *value)
{
	struct watch *watch = context;

	switch (id) {
	case WATCH_GROUP:
		return add_source(watch, value);
	case WATCH_REFUSED:
		return add_source(watch, NULL);
	case WATCH_ALL:
		watch->has_all = true;
		return CLI_DONE;
	case 'n':
		if (value_number(value, 1, UINT64_MAX, &watch->count_max))
			return cli_bad_value(cli, id, value, "a number from 1");
		return CLI_DONE;
	default:
		if (value_duration(value, 1000000, INT64_MAX / 2, &watch->duration_us) ||
			!watch->duration_us)
			return cli_bad_value(cli, id, value, "a time as 30, 500ms or 5m");
		return CLI_DONE;
	}
}

/* ---- what the gateway has: only those who may use the admin socket are told ---- */

/* All its groups, and the refusals. */
static int
find_groups(struct watch *watch)
{
	const json_t *group;
	size_t i;
	int code = CLI_DONE;

	watch->source_count = 0;
	json_array_foreach(json_object_get(watch->status, "groups"), i, group)
	{
		if (code == CLI_DONE)
			code = add_source(watch, request_text(group, "name"));
	}
	return code == CLI_DONE ? add_source(watch, NULL) : code;
}

/* Who may read the group of a source; without that it stays as it is: ourselves. */
static void
find_reader(const struct watch *watch, struct source *source)
{
	const json_t *group, *reader;
	size_t i;

	json_array_foreach(json_object_get(watch->status, "groups"), i, group)
	{
		if (!source->group || strcmp(request_text(group, "name"), source->group) != 0)
			continue;
		reader = json_object_get(group, "reader");
		source->uid = (uid_t)request_number(reader, "uid");
		source->gid = (gid_t)request_number(reader, "gid");
	}
}

static int
find_sources(struct watch *watch)
{
	size_t i;
	int code = CLI_DONE;

	watch->status = watch->has_all ? request_once(watch->cli, "status", NULL)
				       : request_try(watch->cli, "status");
	if (watch->has_all && !watch->status) {
		fputs("Without the admin socket, name what to watch: --group NAME.\n", stderr);
		return CLI_FAILED;
	}
	if (watch->has_all)
		code = find_groups(watch);
	for (i = 0; i < watch->source_count; i++)
		find_reader(watch, &watch->sources[i]);
	return code;
}

static const char *
realm_name(const struct watch *watch, uint32_t id)
{
	const json_t *realm;
	size_t i;

	json_array_foreach(json_object_get(watch->status, "realms"), i, realm)
	{
		if (request_number(realm, "id") == id)
			return request_text(realm, "name");
	}
	return NULL;
}

/* ---- attaching ---- */

static const char *
source_name(const struct source *source)
{
	return source->group ? source->group : "refused";
}

/*
 * The gateway gives a group to its reader only, not even to root; but root may be that reader for
 * as long as it takes to ask.
 */
static int
attach(const struct watch *watch, struct source *source)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	bool has_gid = uid == 0 && source->uid != 0 && setegid(source->gid) == 0;
	bool has_uid = has_gid && seteuid(source->uid) == 0;
	int status = cg_reader_open(&source->reader, watch->socket_path, source->group);

	if ((has_uid && seteuid(uid) != 0) || (has_gid && setegid(gid) != 0))
		abort();
	if (status != 0)
		source->reader = NULL;
	return status;
}

/* With --all, what is not given to us is left out, as long as something remains. */
static int
attach_all(struct watch *watch)
{
	size_t i, kept = 0;
	int status = 0;

	for (i = 0; i < watch->source_count && (status == 0 || watch->has_all); i++) {
		watch->sources[kept] = watch->sources[i];
		status = attach(watch, &watch->sources[kept]);
		if (status == 0)
			kept++;
		else
			cli_fail(watch->cli, "%s", cg_error());
	}
	watch->source_count = kept;
	return kept > 0 && (status == 0 || watch->has_all) ? CLI_DONE : CLI_FAILED;
}

/* Told once when the gateway goes and once when it is back; positions begin anew. */
static void
attach_again(struct watch *watch, struct source *source)
{
	if (source->reader) {
		cg_reader_close(source->reader);
		source->reader = NULL;
		source->lost = 0;
	}
	if (!source->is_away)
		cli_fail(
			watch->cli, "%s: the gateway is gone, waiting for it", source_name(source));
	source->is_away = true;
	if (attach(watch, source) != 0) {
		usleep(WATCH_ATTACH_MS * 1000);
		return;
	}
	source->is_away = false;
	cli_fail(watch->cli, "%s: attached again", source_name(source));
}

/* ---- printing ---- */

static void
print_record(struct watch *watch, const struct source *source, const struct cg_record *record)
{
	const char *realm = realm_name(watch, record->realm);
	char line[WATCH_LINE_SIZE];
	json_t *object;

	if (watch->cli->has_json) {
		object = watch_json(record, source_name(source), realm);
		request_print_json_line(object);
		json_decref(object);
	} else {
		watch_line(line, record, source_name(source), realm, watch->is_aligned);
		puts(line);
	}
	watch->counters[record->verdict % VERDICT_COUNTERS]++;
	watch->count++;
}

static void
print_lost(struct watch *watch, struct source *source)
{
	uint64_t lost = cg_reader_lost(source->reader);

	if (lost == source->lost)
		return;
	if (watch->cli->has_json)
		printf("{\"ring\": \"%s\", \"lost_slots\": %" PRIu64 "}\n", source_name(source),
			lost - source->lost);
	else
		cli_fail(watch->cli,
			"%s: too slow, lost %" PRIu64 " slots (a verdict takes one and its payload "
			"one per 64 bytes)",
			source_name(source), lost - source->lost);
	watch->lost += lost - source->lost;
	source->lost = lost;
}

static void
print_summary(const struct watch *watch)
{
	unsigned verdict;

	if (watch->cli->has_json)
		return;
	fprintf(stderr, "%" PRIu64 " verdict%s", watch->count, watch->count == 1 ? "" : "s");
	for (verdict = 0; verdict < VERDICT_COUNTERS; verdict++)
		if (watch->counters[verdict])
			fprintf(stderr, ", %" PRIu64 " %s", watch->counters[verdict],
				verdict_text(verdict));
	if (watch->lost)
		fprintf(stderr, "; %" PRIu64 " slots lost", watch->lost);
	fputc('\n', stderr);
}

/* ---- the loop ---- */

static bool
is_over(const struct watch *watch)
{
	return stop_is_asked() || (watch->count_max && watch->count >= watch->count_max) ||
	       (watch->until_us && clock_mono_us() >= watch->until_us);
}

/* Prints what is there. Returns how many, or -EPIPE. */
static int
drain(struct watch *watch, struct source *source)
{
	struct cg_record record = {.size = sizeof(record)};
	int status = 0, count;

	for (count = 0; count < WATCH_BURST && !is_over(watch); count++) {
		status = cg_reader_next(source->reader, &record);
		if (status <= 0)
			break;
		print_record(watch, source, &record);
	}
	print_lost(watch, source);
	fflush(stdout);
	return status < 0 ? status : count;
}

static int
wait_ms(const struct watch *watch)
{
	uint64_t now = clock_mono_us(), left_ms;
	int most = watch->source_count > 1 ? WATCH_WAIT_MANY_MS : WATCH_WAIT_ONE_MS;

	if (!watch->until_us)
		return most;
	left_ms = watch->until_us > now ? (watch->until_us - now) / 1000 + 1 : 0;
	return left_ms < (uint64_t)most ? (int)left_ms : most;
}

/* One look at every source; sleeps if there was nothing anywhere. */
static void
look(struct watch *watch)
{
	struct source *source;
	int found = 0, status;
	size_t i;

	for (i = 0; i < watch->source_count; i++) {
		source = &watch->sources[i];
		status = source->reader ? drain(watch, source) : -EPIPE;
		if (status < 0)
			attach_again(watch, source);
		else
			found += status;
	}
	for (i = 0; i < watch->source_count && !found && !is_over(watch); i++)
		if (watch->sources[i].reader)
			cg_reader_wait(watch->sources[i].reader, wait_ms(watch));
}

static int
watch_all(struct watch *watch)
{
	char titles[WATCH_LINE_SIZE];
	int code = attach_all(watch);

	if (code != CLI_DONE)
		return code;
	stop_catch(0);
	if (!watch->cli->has_json) {
		watch_titles(titles, watch->is_aligned);
		puts(titles);
	}
	fflush(stdout);
	watch->until_us = watch->duration_us ? clock_mono_us() + watch->duration_us : 0;
	while (!is_over(watch) && !ferror(stdout))
		look(watch);
	print_summary(watch);
	return CLI_DONE;
}

static void
watch_fini(struct watch *watch)
{
	size_t i;

	for (i = 0; i < watch->source_count; i++)
		if (watch->sources[i].reader)
			cg_reader_close(watch->sources[i].reader);
	json_decref(watch->status);
}

static int
watch_run(struct cli *cli)
{
	struct watch watch = {.cli = cli};
	int code = cli_parse(cli, watch_take, &watch);

	if (code != CLI_GO)
		return code;
	watch.is_aligned = !cli->has_tsv && isatty(STDOUT_FILENO);
	snprintf(
		watch.socket_path, sizeof(watch.socket_path), "%s/consumer.sock", cli_run_dir(cli));
	watch.has_all = watch.has_all || watch.source_count == 0;
	code = find_sources(&watch);
	if (code == CLI_DONE)
		code = watch_all(&watch);
	watch_fini(&watch);
	return cli_finish(cli, code);
}

const struct cli_verb verb_watch = {
	.name = "watch",
	.operands = "",
	.summary = "Print verdicts as they are made, straight from shared memory",
	.detail =
		"Never slows the gateway; who reads too slowly loses verdicts and is told how\n"
		"many. When the gateway restarts, watch attaches again. Root reads each group as\n"
		"the group's reader, for whom alone the gateway has it. A '?' behind realm and\n"
		"node says that the tag was not proved: they are only claimed. '(pass)' behind a\n"
		"verdict: the realm's mode advises to let it pass all the same. Payloads are "
		"shown\n"
		"with escapes and cut; --json has all of it, also as base64. Ctrl-C ends with a\n"
		"summary.\n",
	.examples = "credgate watch\n"
		    "credgate watch --group scheduler --json | jq -r .payload_base64\n"
		    "credgate watch --refused --timeout 60 --tsv | cut -f2 | sort | uniq -c\n",
	.options = {watch_options},
	.common = CLI_TAKES_JSON | CLI_TAKES_TSV | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.run = watch_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <string.h>

#include "ctrl/cli/print.h"
#include "ctrl/cli/request.h"
#include "ctrl/cli/table.h"
#include "ctrl/cli/verbs.h"
#include "ctrl/clock.h"
#include "verdict/verdict.h"

#define SECOND_US 1000000ull
#define MIB       (1024.0 * 1024.0)

#define COLUMNS(columns) columns, sizeof(columns) / sizeof((columns)[0])

/* A member of a member. */
static const json_t *
part(const json_t *status, const char *name)
{
	return json_object_get(status, name);
}

static void
title(const char *text)
{
	printf("\n%s\n", text);
}

static void
print_gateway(const json_t *gateway)
{
	char age[PRINT_AGE_SIZE];

	print_age(age, request_number(gateway, "uptime_s") * SECOND_US);
	printf("gateway    credgated %s, pid %" PRIu64 ", up %s, %s\n",
		request_text(gateway, "version"), request_number(gateway, "pid"), age,
		request_text(gateway, "config"));
}

static void
print_dataplane(const json_t *dataplane)
{
	char age[PRINT_AGE_SIZE];

	print_age(age, request_number(dataplane, "uptime_s") * SECOND_US);
	printf("dataplane  %s", request_text(dataplane, "state"));
	if (request_number(dataplane, "pid"))
		printf(", pid %" PRIu64 ", up %s, tags by %s, %shugepages",
			request_number(dataplane, "pid"), age, request_text(dataplane, "kernel"),
			json_is_true(part(dataplane, "hugepages")) ? "" : "no ");
	printf(", %" PRIu64 " restarts\n", request_number(dataplane, "restarts"));
	if (json_is_string(part(dataplane, "last_exit")))
		printf("           last exit: %s\n", request_text(dataplane, "last_exit"));
	if (request_number(dataplane, "clock_steps"))
		printf("           the real-time clock was stepped %" PRIu64 " times\n",
			request_number(dataplane, "clock_steps"));
}

static void
print_memory(const json_t *memory, const json_t *table)
{
	printf("memory     windows %.1f MiB, tables %.1f MiB, rings %.1f MiB%s\n",
		(double)request_number(memory, "windows_bytes") / MIB,
		(double)request_number(memory, "table_bytes") / MIB,
		(double)request_number(memory, "rings_bytes") / MIB,
		json_is_true(part(memory, "hugepages")) ? ", hugepages" : "");
	printf("keys       generation %" PRIu64 " in force on %" PRIu64 " of %" PRIu64
	       " workers, %" PRIu64 " nodes, %" PRIu64 " further epochs\n",
		request_number(table, "generation"), request_number(table, "workers"),
		request_number(table, "workers_running"), request_number(table, "nodes"),
		request_number(table, "extra_epochs"));
}

/* "a,b": the texts of an array. */
static void
cell_list(struct table *table, const json_t *texts)
{
	char list[256] = "-";
	const json_t *text;
	size_t used = 0, i;

	json_array_foreach(texts, i, text)
	{
		if (used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
				i ? "," : "", json_is_string(text) ? json_string_value(text) : "?");
	}
	table_cell(table, "%s", list);
}

static void
print_ports(const struct cli *cli, const json_t *ports)
{
	static const struct table_column columns[] = {{"PORT", false}, {"DRIVER", false},
		{"UDP", true}, {"CHECKSUM", false}, {"ADDRESSES", false}};
	struct table table;
	const json_t *port;
	size_t i;

	title("Ports");
	table_begin(&table, cli, COLUMNS(columns));
	json_array_foreach(ports, i, port)
	{
		table_cell(&table, "%s", request_text(port, "name"));
		table_cell(&table, "%s", request_text(port, "driver"));
		table_cell(&table, "%" PRIu64, request_number(port, "udp_port"));
		table_cell(&table, "%s", request_text(port, "checksum"));
		cell_list(&table, part(port, "addresses"));
	}
	table_end(&table);
}

/* All verdicts of a set. */
static uint64_t
sum(const json_t *counters)
{
	uint64_t count = 0;
	unsigned verdict;

	for (verdict = 0; verdict < VERDICT_COUNT; verdict++)
		count += request_number(counters, verdict_text(verdict));
	return count;
}

/* What a frame took, of the time that polls took which found work. */
static void
cell_busy(struct table *table, const json_t *worker, uint64_t cycles_hz)
{
	const uint64_t frames = request_number(worker, "rx_frames");

	if (frames == 0 || cycles_hz == 0)
		table_cell(table, "-");
	else
		table_cell(table, "%.0f",
			(double)request_number(worker, "busy_cycles") / (double)cycles_hz * 1e9 /
				(double)frames);
}

static void
print_workers(const struct cli *cli, const json_t *workers, uint64_t cycles_hz)
{
	static const struct table_column columns[] = {{"WORKER", true}, {"CPU", true},
		{"STATE", false}, {"FRAMES", true}, {"NS/FRAME", true}, {"NOT OURS", true},
		{"ACCEPTED", true}, {"REFUSED", true}, {"UNPROVED", true}, {"REPLIES", true},
		{"HANDED OFF", true}};
	struct table table;
	const json_t *worker;
	uint64_t accepted;
	size_t i;

	title("Workers");
	table_begin(&table, cli, COLUMNS(columns));
	json_array_foreach(workers, i, worker)
	{
		accepted = request_number(part(worker, "proved"), "accepted");
		table_cell(&table, "%" PRIu64, request_number(worker, "worker"));
		if (json_is_integer(part(worker, "cpu")))
			table_cell(&table, "%" PRIu64, request_number(worker, "cpu"));
		else
			table_cell(&table, "any");
		table_cell(&table, "%s", request_text(worker, "state"));
		table_cell(&table, "%" PRIu64, request_number(worker, "rx_frames"));
		cell_busy(&table, worker, cycles_hz);
		table_cell(&table, "%" PRIu64, request_number(worker, "rx_not_ours"));
		table_cell(&table, "%" PRIu64, accepted);
		table_cell(&table, "%" PRIu64, sum(part(worker, "proved")) - accepted);
		table_cell(&table, "%" PRIu64, sum(part(worker, "unproved")));
		table_cell(&table, "%" PRIu64, request_number(worker, "replies_sent"));
		table_cell(&table, "%" PRIu64, request_number(worker, "handed_off"));
	}
	table_end(&table);
}

/* One verdict of all workers. */
static uint64_t
total(const json_t *workers, const char *set, const char *verdict)
{
	const json_t *worker;
	uint64_t count = 0;
	size_t i;

	json_array_foreach(workers, i, worker)
	{
		count += request_number(part(worker, set), verdict);
	}
	return count;
}

static void
print_verdicts(const struct cli *cli, const json_t *workers)
{
	static const struct table_column columns[] = {
		{"VERDICT", false}, {"PROVED", true}, {"UNPROVED", true}, {"MEANING", false}};
	struct table table;
	unsigned verdict;
	uint64_t proved, unproved;

	title("Verdicts (those that were given)");
	table_begin(&table, cli, COLUMNS(columns));
	for (verdict = VERDICT_ACCEPTED; verdict < VERDICT_COUNT; verdict++) {
		proved = total(workers, "proved", verdict_text(verdict));
		unproved = total(workers, "unproved", verdict_text(verdict));
		if (proved + unproved == 0)
			continue;
		table_cell(&table, "%s", verdict_text(verdict));
		table_cell(&table, "%" PRIu64, proved);
		table_cell(&table, "%" PRIu64, unproved);
		table_cell(&table, "%s", verdict_meaning(verdict));
	}
	table_end(&table);
}

static void
print_realms(const struct cli *cli, const json_t *realms)
{
	static const struct table_column columns[] = {{"REALM", false}, {"ID", true},
		{"NODES", true}, {"NODES MAX", true}, {"REVOKED", true}, {"MODE", false},
		{"FRESHNESS", false}, {"ORIGIN", false}, {"WINDOW", true}, {"MASTER", false}};
	struct table table;
	const json_t *realm;
	size_t i;

	title("Realms");
	table_begin(&table, cli, COLUMNS(columns));
	json_array_foreach(realms, i, realm)
	{
		table_cell(&table, "%s", request_text(realm, "name"));
		table_cell(&table, "%" PRIu64, request_number(realm, "id"));
		table_cell(&table, "%" PRIu64, request_number(realm, "nodes"));
		table_cell(&table, "%" PRIu64, request_number(realm, "nodes_max"));
		table_cell(&table, "%" PRIu64, request_number(realm, "revoked"));
		table_cell(&table, "%s%s", request_text(realm, "mode"),
			json_is_true(part(realm, "mode_live")) ? " (live)" : "");
		table_cell(&table, "%s", request_text(realm, "freshness"));
		table_cell(&table, "%s", request_text(realm, "origin"));
		table_cell(&table, "%" PRIu64, request_number(realm, "window_bits"));
		table_cell(&table, "%s", request_text(realm, "master"));
	}
	table_end(&table);
}

/* Refusals that an operator would look for elsewhere: the floor after an unclean end. */
static void
print_floors(const json_t *realms)
{
	char until[PRINT_TIME_SIZE];
	const json_t *realm;
	uint64_t floor_us;
	size_t i;

	json_array_foreach(realms, i, realm)
	{
		floor_us = request_number(realm, "floor_us");
		if (floor_us <= clock_real_us())
			continue;
		print_date_time(until, floor_us);
		printf("realm %s: whatever was issued before %s gets floor\n",
			request_text(realm, "name"), until);
	}
}

/* Who may speak at all, and loudly what is wrong with the file that should say so. */
static void
print_whitelists(const json_t *realms)
{
	const json_t *realm, *list;
	size_t i;

	json_array_foreach(realms, i, realm)
	{
		list = part(realm, "whitelist");
		if (!json_is_object(list))
			continue;
		printf("realm %s: only the %" PRIu64 " names of %s may speak\n",
			request_text(realm, "name"), request_number(list, "names"),
			request_text(list, "file"));
		if (json_is_string(part(list, "fault")))
			printf("  BAD WHITE LIST, the last good one is in force: %s\n",
				request_text(list, "fault"));
	}
}

static void
print_groups(const struct cli *cli, const json_t *groups)
{
	static const struct table_column columns[] = {{"GROUP", false}, {"CONSUMERS", true},
		{"READER", false}, {"REALMS", false}, {"AUDIENCES", false}};
	const json_t *group, *reader;
	struct table table;
	size_t i;

	title("Groups");
	table_begin(&table, cli, COLUMNS(columns));
	json_array_foreach(groups, i, group)
	{
		reader = part(group, "reader");
		table_cell(&table, "%s", request_text(group, "name"));
		table_cell(&table, "%" PRIu64, request_number(group, "consumers"));
		table_cell(&table, "%" PRIu64 ":%" PRIu64, request_number(reader, "uid"),
			request_number(reader, "gid"));
		cell_list(&table, part(group, "realms"));
		cell_list(&table, part(group, "audiences"));
	}
	table_end(&table);
}

/* Said only when there is something to do about it. */
static void
print_unwritten(const json_t *table)
{
	uint64_t count = request_number(table, "revocations_unwritten");

	if (count)
		printf("unwritten  %" PRIu64 " revocation%s in force but not yet on disk: make "
		       "room\n",
			count, count == 1 ? "" : "s");
}

/* Only what is wrong: a good log is nothing to look at. */
static void
print_audit(const json_t *audit)
{
	const char *alarm = json_string_value(json_object_get(audit, "alarm"));
	uint64_t waiting = request_number(audit, "waiting");
	char text[512];

	if (alarm != NULL) {
		print_escape(text, sizeof(text), alarm, strlen(alarm));
		printf("AUDIT LOG  %s\n", text);
	}
	if (waiting > 0)
		printf("           %" PRIu64 " lines wait for room; changes but revocations are "
		       "refused\n",
			waiting);
}

static void
print_status(const struct cli *cli, const json_t *status)
{
	print_gateway(part(status, "gateway"));
	print_dataplane(part(status, "dataplane"));
	print_memory(part(status, "memory"), part(status, "table"));
	print_unwritten(part(status, "table"));
	print_audit(part(status, "audit"));
	print_ports(cli, part(status, "ports"));
	print_workers(cli, part(status, "workers"),
		request_number(part(status, "dataplane"), "cycles_hz"));
	print_verdicts(cli, part(status, "workers"));
	print_realms(cli, part(status, "realms"));
	print_floors(part(status, "realms"));
	print_whitelists(part(status, "realms"));
	print_groups(cli, part(status, "groups"));
	printf("\nObservers of refusals: %" PRIu64 "\n", request_number(status, "observers"));
}

static int
status_run(struct cli *cli)
{
	json_t *result;
	int code = cli_parse(cli, NULL, NULL);

	if (code != CLI_GO)
		return code;
	result = request_once(cli, "status", NULL);
	if (!result)
		return CLI_FAILED;
	if (cli->has_json)
		request_print_json(result);
	else
		print_status(cli, result);
	json_decref(result);
	return cli_finish(cli, CLI_DONE);
}

const struct cli_verb verb_status = {
	.name = "status",
	.operands = "",
	.summary = "Show how the gateway does: dataplane, workers, verdicts, realms, groups",
	.detail =
		"ACCEPTED and REFUSED count credentials whose tag was proved, UNPROVED those "
		"whose\n"
		"tag was wrong or not looked at. docs/admin-protocol.md names all members of the\n"
		"JSON.\n",
	.examples = "credgate status\n"
		    "credgate status --json | jq '.workers[].proved.accepted'\n",
	.common = CLI_TAKES_JSON | CLI_TAKES_TSV | CLI_TAKES_CONFIG | CLI_TAKES_RUN_DIR,
	.run = status_run,
};

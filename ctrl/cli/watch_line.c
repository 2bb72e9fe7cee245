/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include <credgate/credgate.h>

#include "ctrl/cli/print.h"
#include "ctrl/cli/watch.h"
#include "verdict/verdict.h"

#define WATCH_EXCERPT_SIZE 65 /* with the NUL: what is shown of a payload */
#define WATCH_CELL_SIZE    80

enum watch_column {
	WATCH_TIME,
	WATCH_VERDICT,
	WATCH_RING,
	WATCH_REALM,
	WATCH_NODE,
	WATCH_USER,
	WATCH_AUDIENCE,
	WATCH_SOURCE,
	WATCH_SERIAL,
	WATCH_SIZE,
	WATCH_PAYLOAD,
	WATCH_COLUMN_COUNT,
};

/* Lines come one by one, so widths are fixed: what is longer pushes the rest aside. */
static const struct {
	const char *title;
	int width;
} columns[WATCH_COLUMN_COUNT] = {
	[WATCH_TIME] = {"TIME", 15},
	[WATCH_VERDICT] = {"VERDICT", 14},
	[WATCH_RING] = {"RING", 10},
	[WATCH_REALM] = {"REALM", 8},
	[WATCH_NODE] = {"NODE", 6},
	[WATCH_USER] = {"UID:GID", 11},
	[WATCH_AUDIENCE] = {"AUDIENCE", 8},
	[WATCH_SOURCE] = {"SOURCE", 21},
	[WATCH_SERIAL] = {"SERIAL", 20},
	[WATCH_SIZE] = {"SIZE", 4},
	[WATCH_PAYLOAD] = {"PAYLOAD", 0},
};

static void
join(char line[WATCH_LINE_SIZE], char cells[WATCH_COLUMN_COUNT][WATCH_CELL_SIZE], bool is_aligned)
{
	size_t used = 0;
	int i;

	for (i = 0; i < WATCH_COLUMN_COUNT && used < WATCH_LINE_SIZE; i++)
		used += (size_t)snprintf(line + used, WATCH_LINE_SIZE - used, "%-*s%s",
			is_aligned ? columns[i].width : 0, cells[i],
			i + 1 == WATCH_COLUMN_COUNT ? ""
			: is_aligned                ? "  "
						    : "\t");
	/* What is empty at the end of an aligned line needs no blanks. */
	used = strlen(line);
	while (is_aligned && used > 0 && line[used - 1] == ' ')
		line[--used] = '\0';
}

void
watch_titles(char line[WATCH_LINE_SIZE], bool is_aligned)
{
	char cells[WATCH_COLUMN_COUNT][WATCH_CELL_SIZE];
	int i;

	for (i = 0; i < WATCH_COLUMN_COUNT; i++)
		snprintf(cells[i], WATCH_CELL_SIZE, "%s", columns[i].title);
	join(line, cells, is_aligned);
}

static void
cell_names(char cells[WATCH_COLUMN_COUNT][WATCH_CELL_SIZE], const struct cg_record *record,
	const char *source_name, const char *realm_name)
{
	const char *doubt = record->is_proved ? "" : "?";

	print_escape(cells[WATCH_RING], 32, source_name, strlen(source_name));
	if (realm_name)
		snprintf(cells[WATCH_REALM], WATCH_CELL_SIZE, "%.40s%s", realm_name, doubt);
	else
		snprintf(
			cells[WATCH_REALM], WATCH_CELL_SIZE, "%" PRIu32 "%s", record->realm, doubt);
	snprintf(cells[WATCH_NODE], WATCH_CELL_SIZE, "%" PRIu32 "%s", record->node, doubt);
}

void
watch_line(char line[WATCH_LINE_SIZE], const struct cg_record *record, const char *source_name,
	const char *realm_name, bool is_aligned)
{
	char cells[WATCH_COLUMN_COUNT][WATCH_CELL_SIZE];

	print_time(cells[WATCH_TIME], record->time_us);
	snprintf(cells[WATCH_VERDICT], WATCH_CELL_SIZE, "%s%s", verdict_text(record->verdict),
		record->advice == CG_ADVICE_PASS ? " (pass)" : "");
	cell_names(cells, record, source_name, realm_name);
	if (record->is_proved)
		snprintf(cells[WATCH_USER], WATCH_CELL_SIZE, "%" PRIu32 ":%" PRIu32, record->uid,
			record->gid);
	else
		memcpy(cells[WATCH_USER], "-", sizeof("-"));
	snprintf(cells[WATCH_AUDIENCE], WATCH_CELL_SIZE, "%" PRIu32, record->audience);
	print_endpoint(cells[WATCH_SOURCE], record->source, record->port);
	snprintf(cells[WATCH_SERIAL], WATCH_CELL_SIZE, "%" PRIu64, record->serial);
	snprintf(cells[WATCH_SIZE], WATCH_CELL_SIZE, "%zu", record->payload_size);
	print_escape(
		cells[WATCH_PAYLOAD], WATCH_EXCERPT_SIZE, record->payload, record->payload_size);
	join(line, cells, is_aligned);
}

/* As text with escapes, and byte by byte. */
static void
add_payload(json_t *object, const struct cg_record *record)
{
	char text[sodium_base64_ENCODED_LEN(CG_PAYLOAD_MAX, sodium_base64_VARIANT_ORIGINAL)];
	char escaped[4 * CG_PAYLOAD_MAX + 1];
	size_t size =
		record->payload_size <= CG_PAYLOAD_MAX ? record->payload_size : CG_PAYLOAD_MAX;

	print_escape(escaped, sizeof(escaped), record->payload, size);
	sodium_bin2base64(
		text, sizeof(text), record->payload, size, sodium_base64_VARIANT_ORIGINAL);
	json_object_set_new(object, "payload_size", json_integer((json_int_t)record->payload_size));
	json_object_set_new(object, "payload", json_string(escaped));
	json_object_set_new(object, "payload_base64", json_string(text));
}

json_t *
watch_json(const struct cg_record *record, const char *source_name, const char *realm_name)
{
	char source[PRINT_ADDRESS_SIZE], serial[24];
	json_t *object;

	print_address(source, record->source);
	snprintf(serial, sizeof(serial), "%" PRIu64, record->serial);
	object = json_pack(
		"{s:I, s:s, s:i, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:i, s:s, s:i}",
		"time_us", (json_int_t)record->time_us, "verdict", verdict_text(record->verdict),
		"number", (int)record->verdict, "proved", record->is_proved != 0, "ring",
		source_name, "worker", (json_int_t)record->worker, "realm",
		(json_int_t)record->realm, "node", (json_int_t)record->node, "epoch",
		(json_int_t)record->epoch, "uid", (json_int_t)record->uid, "gid",
		(json_int_t)record->gid, "audience", (json_int_t)record->audience, "source", source,
		"port", (int)record->port, "serial", serial, "kind", (int)record->kind);
	json_object_set_new(
		object, "advice", json_string(record->advice == CG_ADVICE_PASS ? "pass" : "obey"));
	if (realm_name)
		json_object_set_new(object, "realm_name", json_string(realm_name));
	add_payload(object, record);
	return object;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* How one verdict looks on a line. */

#include <credgate/consume.h>
#include <jansson.h>
#include <stdbool.h>

/* Room for any line: its payload is cut. */
#define WATCH_LINE_SIZE 512

/*
 * Columns for people: padded, or separated by tabs. `source_name` says which ring it came from,
 * `realm_name` may be NULL. What is not proved is only claimed: realm and node end in '?', and uid
 * and gid are not shown.
 */
void watch_line(char line[WATCH_LINE_SIZE], const struct cg_record *record, const char *source_name,
	const char *realm_name, bool is_aligned);
void watch_titles(char line[WATCH_LINE_SIZE], bool is_aligned);

/* The same as an object; the caller releases it. The payload is there as escaped
 * text and as base64; uid and gid are 0 unless proved. */
json_t *watch_json(const struct cg_record *record, const char *source_name, const char *realm_name);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Comma-separated values (RFC 4180): fields with commas, quotes or newlines stand in double quotes,
 * a quote in them is doubled. Lines end with LF or CR LF; empty lines are passed over.
 */

#include <stddef.h>
#include <stdio.h>

#define CSV_FIELDS_MAX 32
#define CSV_FAULT_SIZE 96

struct csv {
	char *next; /* what is still to be read; it is taken apart in place */
	char *end;
	unsigned line_next; /* number of the line that `next` is in, from 1 */
	unsigned line;      /* where the record begins that was read last */
	char *fields[CSV_FIELDS_MAX];
	size_t field_count;
	char fault[CSV_FAULT_SIZE];
};

/* Begins with `size` bytes of text that are followed by a byte of room. A byte order mark is skipped. */
void csv_begin(struct csv *csv, char *text, size_t size);

/* Reads the next record: 1, 0 at the end, -EINVAL with `fault` about `line`. */
int csv_read(struct csv *csv);

/* Writes one field, quoted if it must be. */
void csv_write(FILE *file, const char *field);

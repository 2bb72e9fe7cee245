/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctrl/cli/csv.h"

void
csv_begin(struct csv *csv, char *text, size_t size)
{
	static const char mark[] = "\xef\xbb\xbf";

	*csv = (struct csv){.next = text, .end = text + size, .line_next = 1};
	*csv->end = '\0';
	if (size >= sizeof(mark) - 1 && memcmp(text, mark, sizeof(mark) - 1) == 0)
		csv->next += sizeof(mark) - 1;
}

static int
fault(struct csv *csv, const char *what)
{
	snprintf(csv->fault, sizeof(csv->fault), "%s", what);
	return -EINVAL;
}

/* Up to the closing quote; what is read moves up over doubled quotes. */
static int
quoted_read(struct csv *csv, char **field)
{
	char *to = ++csv->next;

	*field = to;
	while (csv->next < csv->end) {
		if (*csv->next == '"' && *++csv->next != '"') {
			*to = '\0';
			return 0;
		}
		if (*csv->next == '\0')
			return fault(csv, "a byte of zero; the file is no text");
		csv->line_next += *csv->next == '\n';
		*to++ = *csv->next++;
	}
	return fault(csv, "a quote is not closed; write \" twice where a field has one");
}

/* One field; the separator behind it stays for the caller, in *separator. */
static int
field_read(struct csv *csv, char **field, char *separator)
{
	char *stop;
	int error = 0;

	if (*csv->next == '"') {
		error = quoted_read(csv, field);
		stop = csv->next;
	} else {
		*field = csv->next;
		stop = csv->next + strcspn(csv->next, ",\r\n");
	}
	if (error != 0)
		return error;
	if (stop < csv->end && *stop == '\0')
		return fault(csv, "a byte of zero; the file is no text");
	if (stop < csv->end && *stop == '\r' && stop[1] == '\n')
		*stop++ = '\0';
	if (stop < csv->end && *stop != ',' && *stop != '\n')
		return fault(csv, "something stands behind a closing quote; put a comma there");
	*separator = *stop;
	csv->line_next += *stop == '\n';
	*stop = '\0';
	csv->next = stop < csv->end ? stop + 1 : stop;
	return 0;
}

int
csv_read(struct csv *csv)
{
	char separator;
	int error;

	while (*csv->next == '\n' || (*csv->next == '\r' && csv->next[1] == '\n')) {
		csv->next += *csv->next == '\n' ? 1 : 2;
		csv->line_next++;
	}
	csv->line = csv->line_next;
	csv->field_count = 0;
	if (csv->next == csv->end)
		return 0;
	do {
		if (csv->field_count == CSV_FIELDS_MAX)
			return fault(csv, "more than 32 fields");
		error = field_read(csv, &csv->fields[csv->field_count++], &separator);
		if (error != 0)
			return error;
	} while (separator == ',');
	return 1;
}

void
csv_write(FILE *file, const char *field)
{
	if (field[strcspn(field, ",\"\r\n")] == '\0') {
		fputs(field, file);
		return;
	}
	fputc('"', file);
	for (; *field != '\0'; field++) {
		if (*field == '"')
			fputc('"', file);
		fputc(*field, file);
	}
	fputc('"', file);
}

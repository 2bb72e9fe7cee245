/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Rows and columns on standard output: aligned for people, separated by tabs for programs. Cells
 * are escaped (print_escape), so that neither a name nor a tab in it can break the table.
 */

#include <stdbool.h>
#include <stddef.h>

#include "ctrl/cli/cli.h"

struct table_column {
	const char *title;
	bool is_number; /* aligned to the right */
};

#define TABLE_COLUMNS_MAX 16

struct table {
	const struct table_column *columns;
	size_t column_count;
	size_t cell_count; /* cells so far, titles included */
	bool is_aligned;
	char *text; /* cells kept until widths are known, each NUL-terminated */
	size_t text_size;
	size_t text_room;
	int widths[TABLE_COLUMNS_MAX];
};

/* Begins with the row of titles. Aligned when standard output is a terminal and --tsv is absent. */
void table_begin(struct table *table, const struct cli *cli, const struct table_column *columns,
	size_t column_count);

/* The next cell; the last one of a row begins the next row by itself. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints what is kept and frees it. */
void table_end(struct table *table);

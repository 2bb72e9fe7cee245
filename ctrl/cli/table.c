/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/print.h"
#include "ctrl/cli/table.h"

#define TABLE_CELL_SIZE 512

static void
keep(struct table *table, const char *cell, size_t size)
{
	int *width = &table->widths[table->cell_count % table->column_count];
	size_t room = table->text_room;
	char *text;

	if (table->text_size + size + 1 > room) {
		room = 2 * (room + TABLE_CELL_SIZE);
		text = realloc(table->text, room);
		if (!text)
			abort();
		table->text = text;
		table->text_room = room;
	}
	memcpy(table->text + table->text_size, cell, size + 1);
	table->text_size += size + 1;
	if ((int)size > *width)
		*width = (int)size;
}

void
table_cell(struct table *table, const char *format, ...)
{
	char raw[TABLE_CELL_SIZE], cell[TABLE_CELL_SIZE];
	va_list arguments;
	size_t size;

	va_start(arguments, format);
	vsnprintf(raw, sizeof(raw), format, arguments);
	va_end(arguments);
	size = print_escape(cell, sizeof(cell), raw, strlen(raw));
	if (table->is_aligned)
		keep(table, cell, size);
	else
		printf("%s%c", cell,
			(table->cell_count + 1) % table->column_count == 0 ? '\n' : '\t');
	table->cell_count++;
}

void
table_begin(struct table *table, const struct cli *cli, const struct table_column *columns,
	size_t column_count)
{
	size_t i;

	*table = (struct table){
		.columns = columns,
		.column_count = column_count,
		.is_aligned = !cli->has_tsv && isatty(STDOUT_FILENO),
	};
	for (i = 0; i < column_count; i++)
		table_cell(table, "%s", columns[i].title);
}

void
table_end(struct table *table)
{
	const char *cell = table->text;
	size_t i, column;

	for (i = 0; table->is_aligned && i < table->cell_count; i++) {
		column = i % table->column_count;
		/* No blanks behind the last column of a line. */
		if (column + 1 == table->column_count && !table->columns[column].is_number)
			printf("%s\n", cell);
		else
			printf("%*s%s",
				table->columns[column].is_number ? table->widths[column]
								 : -table->widths[column],
				cell, column + 1 == table->column_count ? "\n" : "  ");
		cell += strlen(cell) + 1;
	}
	free(table->text);
	*table = (struct table){0};
}

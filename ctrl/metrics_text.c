/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/metrics_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct metrics_text {
	FILE *out;
	char *bytes;
	size_t size;
	const struct metrics_family *family;
};

static const char *const type_texts[] = {
	[METRICS_COUNTER] = "counter",
	[METRICS_GAUGE] = "gauge",
	[METRICS_INFO] = "info",
	[METRICS_STATESET] = "stateset",
};

static const char *const suffixes[] = {
	[METRICS_COUNTER] = "_total",
	[METRICS_GAUGE] = "",
	[METRICS_INFO] = "_info",
	[METRICS_STATESET] = "",
};

struct metrics_text *
metrics_text_create(void)
{
	struct metrics_text *text = calloc(1, sizeof(*text));

	if (text == NULL)
		return NULL;
	text->out = open_memstream(&text->bytes, &text->size);
	if (text->out != NULL)
		return text;
	free(text);
	return NULL;
}

void
metrics_text_destroy(struct metrics_text *text)
{
	if (text == NULL)
		return;
	if (text->out != NULL)
		fclose(text->out);
	free(text->bytes);
	free(text);
}

void
metrics_family(struct metrics_text *text, const struct metrics_family *family)
{
	text->family = family;
	fprintf(text->out, "# TYPE %s %s\n", family->name, type_texts[family->type]);
	if (family->unit != NULL)
		fprintf(text->out, "# UNIT %s %s\n", family->name, family->unit);
	fprintf(text->out, "# HELP %s %s\n", family->name, family->help);
}

/* Three characters would end a value too early or mean something else in it. */
static void
value_write(FILE *out, const char *value)
{
	for (; *value != '\0'; value++) {
		if (*value == '\n') {
			fputs("\\n", out);
			continue;
		}
		if (*value == '"' || *value == '\\')
			fputc('\\', out);
		fputc(*value, out);
	}
}

static void
sample_begin(struct metrics_text *text, va_list labels)
{
	const char *name = va_arg(labels, const char *);

	fprintf(text->out, "%s%s", text->family->name, suffixes[text->family->type]);
	if (name == NULL)
		return;
	for (char before = '{'; name != NULL; before = ',') {
		fprintf(text->out, "%c%s=\"", before, name);
		value_write(text->out, va_arg(labels, const char *));
		fputc('"', text->out);
		name = va_arg(labels, const char *);
	}
	fputc('}', text->out);
}

void
metrics_count(struct metrics_text *text, uint64_t value, ...)
{
	va_list labels;

	va_start(labels, value);
	sample_begin(text, labels);
	va_end(labels);
	fprintf(text->out, " %" PRIu64 "\n", value);
}

void
metrics_real(struct metrics_text *text, double value, ...)
{
	va_list labels;

	va_start(labels, value);
	sample_begin(text, labels);
	va_end(labels);
	fprintf(text->out, " %.6f\n", value);
}

char *
metrics_text_take(struct metrics_text *text, size_t *size)
{
	bool has_failed;
	char *bytes;

	fputs("# EOF\n", text->out);
	has_failed = ferror(text->out) != 0;
	/* Only then the bytes stay where they are. */
	has_failed |= fclose(text->out) != 0;
	text->out = NULL;
	if (has_failed)
		return NULL;
	bytes = text->bytes;
	*size = text->size;
	text->bytes = NULL;
	return bytes;
}

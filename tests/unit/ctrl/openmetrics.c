/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/ctrl/openmetrics.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABELS_MAX 16

struct label {
	char name[64];
	char value[OPENMETRICS_TEXT_SIZE];
};

struct sample {
	char name[128];
	char series[2 * OPENMETRICS_TEXT_SIZE]; /* name and labels as written */
	struct label labels[LABELS_MAX];
	size_t label_count;
	double value;
};

/* Where the reader is: the parts of a family come in one order. */
enum place {
	AT_START,
	AT_TYPE,
	AT_UNIT,
	AT_HELP,
	AT_SAMPLE,
	AT_END
};

struct reader {
	struct openmetrics *metrics;
	struct openmetrics_family *family;
	enum place place;
};

__attribute__((format(printf, 2, 3))) static bool
wrong(struct reader *reader, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reader->metrics->error, sizeof(reader->metrics->error), format, args);
	va_end(args);
	return false;
}

/* Length of the name that begins here; 0: none does. A colon is for recording rules only. */
static size_t
name_length(const char *text)
{
	size_t length = 0;

	if (isdigit((unsigned char)text[0]))
		return 0;
	while (isalnum((unsigned char)text[length]) || text[length] == '_')
		length++;
	return length;
}

static bool
ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), size = strlen(end);

	return length >= size && strcmp(text + length - size, end) == 0;
}

/* ---- samples ---- */

/* One label and its value; returns what is behind the closing quote, or NULL. */
static const char *
label_read(const char *text, struct label *label)
{
	size_t length = name_length(text), size = 0;

	if (length == 0 || length >= sizeof(label->name) || text[length] != '=' ||
		text[length + 1] != '"')
		return NULL;
	snprintf(label->name, sizeof(label->name), "%.*s", (int)length, text);
	for (text += length + 2; *text != '"'; text++) {
		char c = *text;

		if (c == '\0' || size + 1 >= sizeof(label->value))
			return NULL;
		if (c == '\\') {
			c = *++text;
			if (c != '\\' && c != '"' && c != 'n')
				return NULL;
			c = c == 'n' ? '\n' : c;
		}
		label->value[size++] = c;
	}
	label->value[size] = '\0';
	return text + 1;
}

/* Behind the closing brace, or NULL. */
static const char *
labels_read(const char *text, struct sample *sample)
{
	do {
		struct label *label = &sample->labels[sample->label_count];

		if (sample->label_count == LABELS_MAX)
			return NULL;
		text = label_read(text + 1, label);
		if (text == NULL)
			return NULL;
		for (size_t i = 0; i < sample->label_count; i++)
			if (strcmp(sample->labels[i].name, label->name) == 0)
				return NULL;
		sample->label_count++;
	} while (*text == ',');
	return *text == '}' ? text + 1 : NULL;
}

static bool
sample_read(const char *line, struct sample *sample)
{
	size_t length = name_length(line);
	const char *rest = line + length;
	char *end;

	memset(sample, 0, sizeof(*sample));
	if (length == 0 || length >= sizeof(sample->name))
		return false;
	snprintf(sample->name, sizeof(sample->name), "%.*s", (int)length, line);
	if (*rest == '{')
		rest = labels_read(rest, sample);
	if (rest == NULL || *rest != ' ' || isspace((unsigned char)rest[1]))
		return false;
	snprintf(sample->series, sizeof(sample->series), "%.*s", (int)(rest - line), line);
	sample->value = strtod(rest + 1, &end);
	return end != rest + 1 && *end == '\0';
}

static bool
sample_fits(struct reader *reader, const struct sample *sample)
{
	const struct openmetrics_family *family = reader->family;
	const char *type = family->type, *suffix = "";
	char name[sizeof(family->name) + 16];
	bool has_own = false;

	if (strcmp(type, "counter") == 0)
		suffix = "_total";
	else if (strcmp(type, "info") == 0)
		suffix = "_info";
	snprintf(name, sizeof(name), "%s%s", family->name, suffix);
	if (strcmp(sample->name, name) != 0)
		return wrong(reader, "%s is no sample of %s %s", sample->name, type, family->name);
	if (isnan(sample->value) || (suffix[0] == '_' && sample->value < 0))
		return wrong(reader, "%s: %f is no value", sample->series, sample->value);
	if (strcmp(type, "info") == 0 && sample->value != 1)
		return wrong(reader, "%s: info is 1", sample->series);
	for (size_t i = 0; i < sample->label_count; i++)
		has_own |= strcmp(sample->labels[i].name, family->name) == 0;
	if (strcmp(type, "stateset") == 0 &&
		(!has_own || (sample->value != 0 && sample->value != 1)))
		return wrong(reader, "%s: no state that is 0 or 1", sample->series);
	return true;
}

static void
labels_note(struct openmetrics_family *family, const struct sample *sample)
{
	for (size_t i = 0; i < sample->label_count; i++) {
		size_t length = strlen(family->labels);

		snprintf(family->labels + length, sizeof(family->labels) - length, "%s%s",
			i == 0 ? "" : ", ", sample->labels[i].name);
	}
}

static bool
labels_agree(const struct openmetrics_family *family, const struct sample *sample)
{
	struct openmetrics_family own = {.labels = ""};

	labels_note(&own, sample);
	return strcmp(own.labels, family->labels) == 0;
}

static bool
sample_take(struct reader *reader, const char *line)
{
	struct openmetrics *metrics = reader->metrics;
	struct sample sample;

	if (reader->place != AT_HELP && reader->place != AT_SAMPLE)
		return wrong(reader, "a sample without its family: %s", line);
	reader->place = AT_SAMPLE;
	if (!sample_read(line, &sample))
		return wrong(reader, "no sample: %s", line);
	if (!sample_fits(reader, &sample))
		return false;
	if (reader->family->samples++ == 0)
		labels_note(reader->family, &sample);
	else if (!labels_agree(reader->family, &sample))
		return wrong(reader, "other labels than its siblings: %s", line);
	metrics->series =
		realloc(metrics->series, (metrics->series_count + 1) * sizeof(*metrics->series));
	metrics->values =
		realloc(metrics->values, (metrics->series_count + 1) * sizeof(*metrics->values));
	metrics->series[metrics->series_count] = strdup(sample.series);
	metrics->values[metrics->series_count++] = sample.value;
	return true;
}

/* ---- what is said of a family ---- */

static bool
type_take(struct reader *reader, const char *name, const char *type)
{
	static const char *const types[] = {"counter", "gauge", "info", "stateset"};
	struct openmetrics *metrics = reader->metrics;
	bool is_known = false;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		is_known |= strcmp(types[i], type) == 0;
	if (!is_known || (reader->place != AT_START && reader->place < AT_HELP))
		return wrong(reader, "TYPE %s %s is none, or comes too early", name, type);
	if (openmetrics_find(metrics, name) != NULL)
		return wrong(reader, "family %s comes twice", name);
	if (metrics->family_count == OPENMETRICS_FAMILIES_MAX)
		return wrong(reader, "more families than the test has room for");
	if (ends_with(name, "_total") || ends_with(name, "_info"))
		return wrong(reader, "family %s is named like a sample", name);
	reader->family = &metrics->families[metrics->family_count++];
	snprintf(reader->family->name, sizeof(reader->family->name), "%s", name);
	snprintf(reader->family->type, sizeof(reader->family->type), "%.15s", type);
	reader->place = AT_TYPE;
	return true;
}

static bool
comment_take(struct reader *reader, const char *line)
{
	char what[16], name[128], rest[OPENMETRICS_TEXT_SIZE], suffix[64];

	if (sscanf(line, "# %15s %127s %511[^\n]", what, name, rest) != 3 ||
		name_length(name) != strlen(name))
		return wrong(reader, "no line of a family: %s", line);
	if (strcmp(what, "TYPE") == 0)
		return type_take(reader, name, rest);
	if (reader->family == NULL || strcmp(name, reader->family->name) != 0)
		return wrong(reader, "of another family than the last TYPE: %s", line);
	if (strcmp(what, "UNIT") == 0 && reader->place == AT_TYPE) {
		snprintf(suffix, sizeof(suffix), "_%.60s", rest);
		reader->place = AT_UNIT;
		return ends_with(name, suffix) || wrong(reader, "%s ends in no %s", name, suffix);
	}
	if (strcmp(what, "HELP") != 0 || reader->place > AT_UNIT)
		return wrong(reader, "out of order: %s", line);
	snprintf(reader->family->help, sizeof(reader->family->help), "%s", rest);
	reader->place = AT_HELP;
	return true;
}

static bool
line_take(struct reader *reader, const char *line)
{
	if (reader->place == AT_END)
		return wrong(reader, "behind the end: %s", line);
	if (strcmp(line, "# EOF") == 0) {
		reader->place = AT_END;
		return true;
	}
	return line[0] == '#' ? comment_take(reader, line) : sample_take(reader, line);
}

static int
text_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool
twins_check(struct reader *reader)
{
	struct openmetrics *metrics = reader->metrics;
	char **sorted = calloc(metrics->series_count + 1, sizeof(*sorted));
	bool is_good = true;

	memcpy(sorted, metrics->series, metrics->series_count * sizeof(*sorted));
	qsort(sorted, metrics->series_count, sizeof(*sorted), text_compare);
	for (size_t i = 1; is_good && i < metrics->series_count; i++)
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			is_good = wrong(reader, "comes twice: %s", sorted[i]);
	free(sorted);
	return is_good;
}

struct openmetrics *
openmetrics_read(const char *text)
{
	struct openmetrics *metrics = calloc(1, sizeof(*metrics));
	struct reader reader = {.metrics = metrics};
	char *copy = strdup(text), *line = copy, *end;

	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		if (!line_take(&reader, line))
			break;
		line = end + 1;
	}
	if (metrics->error[0] == '\0' && (*line != '\0' || reader.place != AT_END))
		wrong(&reader, "does not end with # EOF and a line feed");
	if (metrics->error[0] == '\0')
		twins_check(&reader);
	free(copy);
	return metrics;
}

void
openmetrics_free(struct openmetrics *metrics)
{
	for (size_t i = 0; i < metrics->series_count; i++)
		free(metrics->series[i]);
	free(metrics->series);
	free(metrics->values);
	free(metrics);
}

double
openmetrics_value(const struct openmetrics *metrics, const char *series)
{
	for (size_t i = 0; i < metrics->series_count; i++)
		if (strcmp(metrics->series[i], series) == 0)
			return metrics->values[i];
	return -1;
}

const struct openmetrics_family *
openmetrics_find(const struct openmetrics *metrics, const char *family)
{
	for (size_t i = 0; i < metrics->family_count; i++)
		if (strcmp(metrics->families[i].name, family) == 0)
			return &metrics->families[i];
	return NULL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/clock.h"

#define TEXT_SIZE   1024
#define OBJECT_SIZE 64
/* All of a text escaped, and as much again for fields. */
#define LINE_SIZE 16384
#define SECOND_US 1000000ull

struct bucket {
	char object[OBJECT_SIZE]; /* empty: free */
	uint64_t filled_us;
	unsigned tokens;
	uint64_t told_us;
	uint64_t left_out;
};

static struct {
	enum log_form form;
	bool is_journal;
	struct log_counts counts;
	struct bucket buckets[LOG_OBJECTS];
} state;

static const struct {
	const char *text;
	char priority; /* syslog's */
} levels[LOG_LEVELS] = {
	[LOG_ERROR] = {"error", '3'},
	[LOG_WARNING] = {"warning", '4'},
	[LOG_INFO] = {"info", '6'},
};

const char *
log_level_text(enum log_level level)
{
	return levels[level].text;
}

struct log_counts
log_counts(void)
{
	return state.counts;
}

/* systemd names the stream it gave us by device and inode; one that was redirected is another. */
static bool
is_journal(void)
{
	const char *given = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return given != NULL && sscanf(given, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

void
log_form_set(enum log_form form)
{
	state.form = form;
	state.is_journal = is_journal();
}

/* ---- how many lines of an object ---- */

/* Its place, or the last one, which further objects share. */
static struct bucket *
bucket_find(const char *object)
{
	unsigned i;

	for (i = 0; i < LOG_OBJECTS - 1 && state.buckets[i].object[0] != '\0'; i++)
		if (strncmp(state.buckets[i].object, object, OBJECT_SIZE - 1) == 0)
			return &state.buckets[i];
	if (state.buckets[i].object[0] == '\0') {
		snprintf(state.buckets[i].object, OBJECT_SIZE, "%s",
			i < LOG_OBJECTS - 1 ? object : "others");
		state.buckets[i].tokens = LOG_BURST;
		state.buckets[i].filled_us = clock_mono_us();
	}
	return &state.buckets[i];
}

static void
bucket_fill(struct bucket *bucket, uint64_t now_us)
{
	uint64_t seconds = (now_us - bucket->filled_us) / SECOND_US;

	if (seconds == 0)
		return;
	bucket->filled_us += seconds * SECOND_US;
	bucket->tokens = seconds < LOG_BURST - bucket->tokens ? bucket->tokens + (unsigned)seconds
							      : LOG_BURST;
}

static void
line_leave_out(const char *object)
{
	bucket_find(object)->left_out++;
	state.counts.left_out++;
}

/* May the object have another line? */
static bool
line_take(const char *object)
{
	struct bucket *bucket = bucket_find(object);

	bucket_fill(bucket, clock_mono_us());
	if (bucket->tokens == 0) {
		line_leave_out(object);
		return false;
	}
	bucket->tokens--;
	return true;
}

/* ---- a line ---- */

/* Bytes of the well-formed UTF-8 character that begins here; 0: none does. */
static unsigned
utf8_size(const unsigned char *c)
{
	static const struct {
		unsigned char mask, lead, second_min, second_max;
		unsigned size;
	} forms[] = {
		{0x80, 0x00, 0, 0, 1},
		{0xff, 0xe0, 0xa0, 0xbf, 3}, /* not shorter than needed */
		{0xff, 0xed, 0x80, 0x9f, 3}, /* no surrogates */
		{0xff, 0xf0, 0x90, 0xbf, 4},
		{0xff, 0xf4, 0x80, 0x8f, 4}, /* none above U+10FFFF */
		{0xf0, 0xe0, 0x80, 0xbf, 3},
		{0xfc, 0xf0, 0x80, 0xbf, 4},
		{0xe0, 0xc0, 0x80, 0xbf, 2},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if ((c[0] & forms[i].mask) != forms[i].lead)
			continue;
		if (forms[i].size > 1 &&
			(c[0] < 0xc2 || c[1] < forms[i].second_min || c[1] > forms[i].second_max))
			return 0;
		for (unsigned j = 2; j < forms[i].size; j++)
			if ((c[j] & 0xc0) != 0x80)
				return 0;
		return forms[i].size;
	}
	return 0;
}

/* Whatever bytes it was given, the text is UTF-8 without control characters. */
static void
text_clean(char *text)
{
	for (char *c = text; *c != '\0';) {
		unsigned size = utf8_size((const unsigned char *)c);
		bool is_control = iscntrl((unsigned char)*c) ||
				  ((unsigned char)c[0] == 0xc2 && (unsigned char)c[1] < 0xa0);

		if (size == 0 || is_control)
			*c = '?';
		if (size > 1 && is_control)
			c[1] = '?';
		c += size > 0 ? size : 1;
	}
}

/* A clean text as a JSON string. */
static void
json_string_write(FILE *out, const char *text)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void
time_write(FILE *out)
{
	uint64_t now_us = clock_real_us();
	const time_t now_s = (time_t)(now_us / SECOND_US);
	struct tm parts;
	char text[32];

	gmtime_r(&now_s, &parts);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
	fprintf(out, "\"%s.%06uZ\"", text, (unsigned)(now_us % SECOND_US));
}

static void
json_write(FILE *out, enum log_level level, const char *object, const struct log_field *field,
	const char *text)
{
	char value[OBJECT_SIZE * 4];

	fputs("{\"time\":", out);
	time_write(out);
	fprintf(out, ",\"level\":\"%s\",\"object\":", levels[level].text);
	json_string_write(out, object);
	fputs(",\"message\":", out);
	json_string_write(out, text);
	for (; field != NULL && field->name != NULL; field++) {
		fprintf(out, ",\"%s\":", field->name);
		if (field->text == NULL) {
			fprintf(out, "%llu", (unsigned long long)field->number);
			continue;
		}
		snprintf(value, sizeof(value), "%s", field->text);
		text_clean(value);
		json_string_write(out, value);
	}
	fputs("}\n", out);
}

/* One write per line, so that lines of credgated and of its dataplane do not mix. */
__attribute__((format(printf, 4, 0))) static void
line_write(enum log_level level, const char *given, const struct log_field *fields,
	const char *format, va_list args)
{
	char line[LINE_SIZE], text[TEXT_SIZE], object[OBJECT_SIZE];
	FILE *out = fmemopen(line, sizeof(line), "w");
	long size;

	if (out == NULL)
		return;
	snprintf(object, sizeof(object), "%s", given);
	vsnprintf(text, sizeof(text), format, args);
	text_clean(object);
	text_clean(text);
	if (state.is_journal)
		fprintf(out, "<%c>", levels[level].priority);
	if (state.form == LOG_JSON)
		json_write(out, level, object, fields, text);
	else
		fprintf(out, "%s: %s: %s\n", levels[level].text, object, text);
	size = ftell(out);
	fclose(out);
	if (size > 0)
		fwrite(line, 1, (size_t)size, stderr);
	fflush(stderr);
	state.counts.lines[level]++;
}

#define LINE_WRITE(level, object, fields)                              \
	do {                                                           \
		va_list args;                                          \
                                                                       \
		va_start(args, format);                                \
		line_write((level), (object), (fields), format, args); \
		va_end(args);                                          \
	} while (0)

void
log_error(const char *object, const char *format, ...)
{
	if (line_take(object))
		LINE_WRITE(LOG_ERROR, object, NULL);
}

void
log_warning(const char *object, const char *format, ...)
{
	if (line_take(object))
		LINE_WRITE(LOG_WARNING, object, NULL);
}

void
log_info(const char *object, const char *format, ...)
{
	if (line_take(object))
		LINE_WRITE(LOG_INFO, object, NULL);
}

void
log_fields(enum log_level level, const char *object, const struct log_field *fields,
	const char *format, ...)
{
	if (line_take(object))
		LINE_WRITE(level, object, fields);
}

void
log_limited(struct log_limit *limit, const char *object, const char *format, ...)
{
	uint64_t now_us = clock_mono_us();

	if (limit->lines == 0 || now_us - limit->second_us >= SECOND_US) {
		limit->second_us = now_us;
		limit->lines = 0;
	}
	if (limit->lines >= LOG_LIMIT_BURST)
		line_leave_out(object);
	else if (line_take(object))
		LINE_WRITE(LOG_WARNING, object, NULL);
	limit->lines += limit->lines < LOG_LIMIT_BURST;
}

__attribute__((format(printf, 3, 4))) static void
line_tell(const char *object, const struct log_field *fields, const char *format, ...)
{
	LINE_WRITE(LOG_WARNING, object, fields);
}

/* These lines are bounded by their own rarity. */
void
log_tell(bool is_end)
{
	uint64_t now_us = clock_mono_us();

	for (unsigned i = 0; i < LOG_OBJECTS; i++) {
		struct bucket *bucket = &state.buckets[i];

		if (bucket->left_out == 0 ||
			(!is_end && now_us - bucket->told_us < LOG_TELL_S * SECOND_US))
			continue;
		line_tell(bucket->object,
			(const struct log_field[]){
				LOG_NUMBER("left_out", bucket->left_out), LOG_END},
			"%llu more lines were left out", (unsigned long long)bucket->left_out);
		bucket->told_us = now_us;
		bucket->left_out = 0;
	}
}

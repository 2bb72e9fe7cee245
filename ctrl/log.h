/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Log lines on standard error, one write each, in the form that the configuration asks for: "level:
 * object: message", or one JSON object. Where standard error is the journal, each line begins with
 * its priority ("<3>"). Control characters of what others sent are shown as '?'. Nothing secret is
 * ever passed in.
 *
 * No input and no broken disk can fill a disk with lines: each object (a realm, or a part of the
 * gateway) has LOG_BURST lines at once and then one each second; the others are counted, and told
 * by log_tell. Control's one thread.
 */

#include <stdbool.h>
#include <stdint.h>

#define LOG_OBJECTS 128u /* further ones share one place */
#define LOG_BURST   64u
#define LOG_TELL_S  10u /* at most one line in so many seconds says how many were left out */

enum log_form {
	LOG_TEXT,
	LOG_JSON,
};

enum log_level {
	LOG_ERROR,
	LOG_WARNING,
	LOG_INFO,
	LOG_LEVELS
};

/* From now on, in this process and in those it forks. Looks where standard error leads, too. */
void log_form_set(enum log_form form);

void log_error(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warning(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *object, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * A value of a message by itself, for machines; the message says it to people. In the form LOG_TEXT
 * fields are not shown. A list ends with LOG_END.
 */
struct log_field {
	const char *name;
	const char *text; /* NULL: it is the number */
	uint64_t number;
};
#define LOG_NUMBER(name, value) ((struct log_field){(name), NULL, (uint64_t)(value)})
#define LOG_WORD(name, text)    ((struct log_field){(name), (text), 0})
#define LOG_END                 ((struct log_field){NULL, NULL, 0})

void log_fields(enum log_level level, const char *object, const struct log_field *fields,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/*
 * A closer bound for lines that a client can cause, as warnings: at most LOG_LIMIT_BURST in a
 * second. What is left out counts as the object's.
 */
#define LOG_LIMIT_BURST 5u

struct log_limit {
	uint64_t second_us; /* monotonic clock at the first line of this second */
	unsigned lines;
};

void log_limited(struct log_limit *limit, const char *object, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Says of each object how many of its lines were left out; each second, and at the end all. */
void log_tell(bool is_end);

struct log_counts {
	uint64_t lines[LOG_LEVELS]; /* written */
	uint64_t left_out;
};
struct log_counts log_counts(void);

/* "error", "warning", "info". */
const char *log_level_text(enum log_level level);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * OpenMetrics 1.0 text: families one after the other, each with its TYPE, UNIT and HELP and then its
 * samples, and "# EOF" at the end. Lack of memory is noted and told once, at the end.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum metrics_type {
	METRICS_COUNTER,  /* only grows; its samples are NAME_total */
	METRICS_GAUGE,    /* goes up and down */
	METRICS_INFO,     /* NAME_info 1: what counts are the labels */
	METRICS_STATESET, /* 1 for the state that holds, 0 for each other; its label is NAME */
};

struct metrics_family {
	const char *name; /* without _total and _info; ends in the unit, if it has one */
	enum metrics_type type;
	const char *unit; /* NULL: none */
	const char *help; /* one sentence without a full stop */
};

struct metrics_text;

/* An empty text, or NULL without memory. */
struct metrics_text *metrics_text_create(void);
void metrics_text_destroy(struct metrics_text *text);

/* Begins a family; what follows are its samples. `family` MUST outlive the text. */
void metrics_family(struct metrics_text *text, const struct metrics_family *family);

/*
 * One sample of the family begun last, with labels: pairs of name and value, then NULL. No set of
 * labels may be given twice, and none may be of a node: 100,000 nodes would be 100,000 series.
 */
void metrics_count(struct metrics_text *text, uint64_t value, ...) __attribute__((sentinel));
void metrics_real(struct metrics_text *text, double value, ...) __attribute__((sentinel));

/* Ends the text and takes its bytes, for free(). NULL if memory was short. */
char *metrics_text_take(struct metrics_text *text, size_t *size);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A strict reader of OpenMetrics 1.0 text, after the standard and not after what credgated writes. */

#include <stddef.h>

#define OPENMETRICS_FAMILIES_MAX 256
#define OPENMETRICS_TEXT_SIZE    512

struct openmetrics_family {
	char name[128];
	char type[16];
	char help[OPENMETRICS_TEXT_SIZE];
	char labels[OPENMETRICS_TEXT_SIZE]; /* names of the first sample's labels: "a, b" */
	size_t samples;
};

struct openmetrics {
	struct openmetrics_family families[OPENMETRICS_FAMILIES_MAX];
	size_t family_count;
	char **series; /* each sample: name and labels, as written */
	double *values;
	size_t series_count;
	char error[OPENMETRICS_TEXT_SIZE]; /* empty: well-formed */
};

/* NULL-terminated text in; release with openmetrics_free whatever it found. */
struct openmetrics *openmetrics_read(const char *text);
void openmetrics_free(struct openmetrics *metrics);

/* The value of a series as written, "name{a=\"b\"}"; -1 if it is not there. */
double openmetrics_value(const struct openmetrics *metrics, const char *series);

const struct openmetrics_family *openmetrics_find(
	const struct openmetrics *metrics, const char *family);

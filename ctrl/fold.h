/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Many node names as few ranges, for people and for the command line: n001, n002, n003 and login1
 * become "n[001-003] login1", which names_expand takes apart again.
 */

#include <stdbool.h>
#include <stddef.h>

#include "ctrl/names.h"

struct fold {
	char *text;
	size_t room;
	size_t length;
	size_t group;   /* where the group begins that is being written */
	bool is_open;   /* there is such a group */
	bool is_single; /* it has one name so far, of this number */
	unsigned long single;
	bool is_full;
	size_t left_out; /* names that found no room */
	/* The run that is not written yet. */
	bool has_run;
	char prefix[NAMES_NAME_SIZE];
	int width; /* of the number; 0: the name ends without one */
	unsigned long first;
	unsigned long last;
};

/* Writes into `text`, NUL-terminated at all times; `room` at least 64. */
void fold_begin(struct fold *fold, char *text, size_t room);

/* The next name; runs are found if numbers come in ascending order. */
void fold_add(struct fold *fold, const char *name);

/* Completes the text; what found no room is told as "and N more". */
void fold_end(struct fold *fold);

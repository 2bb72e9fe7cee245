/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Reading an audit log back: is every line the one that was written, and is none missing? */

#include "ctrl/audit_chain.h"

/* What is wrong, at which line (0: the file as a whole). */
typedef void audit_problem_t(void *context, const char *path, uint64_t line, const char *text);

struct audit_scan {
	/* The caller's. */
	struct audit_key key; /* of the first file, or an earlier one */
	audit_problem_t *on_problem;
	void *context;

	/* What was found. */
	uint64_t lines;
	uint64_t problems;
	uint32_t first_file;     /* 0: there is no file */
	uint32_t unchecked_file; /* files up to this one need an older key; 0: none */
	struct audit_place last; /* as the last line says */
	uint64_t last_time_us;
	uint64_t unknown; /* changes whose outcome nobody knows */
	size_t torn;      /* bytes behind the last newline of the last file */
	off_t whole;      /* bytes before them */
	bool has_anchor;

	/* On the way. */
	struct audit_place anchor;
	bool is_anchor_met;
	bool has_previous;     /* `last` is the line before */
	uint64_t asked;        /* without an outcome so far */
	uint32_t damaged_file; /* the newest that was begun because those before were damaged */
	uint32_t removed_file; /* newest whose removal is recorded */
	uint8_t removed_hash[AUDIT_HASH_SIZE];
	uint8_t first_previous[AUDIT_HASH_SIZE];
};

/* Numbers of the oldest and newest file; 0 and 0 without any. 0 or -errno. */
int audit_files(const char *state_dir, uint32_t *oldest, uint32_t *newest, struct reason *reason);

/* Reads one file; problems go to scan->on_problem. 0, or -errno if it cannot be read. */
int audit_scan_file(struct audit_scan *scan, const char *state_dir, uint32_t file, bool is_newest,
	struct reason *reason);

/*
 * The whole log and its anchor, before the first file to the last byte. The log may grow meanwhile.
 * 0 (scan->problems says more), or -errno if it cannot be read. Any thread.
 */
int audit_scan_all(struct audit_scan *scan, const char *state_dir, struct reason *reason);

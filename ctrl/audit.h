/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The audit log (docs/audit.md): one line for every change that somebody asks for, durable before
 * the change is made, and one for its outcome; one for every change credgated makes by itself. The
 * lines are chained (ctrl/audit_chain.h), `credgate audit verify` reads them back.
 *
 * Secrets are left out by construction: results are never written but for numbers and a few texts
 * named in audit_event.c, and arguments that may hold a secret are left out by their names. All
 * functions run in the thread of the event loop. Those that take a `struct audit *` do nothing
 * when it is NULL.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctrl/peer.h"
#include "ctrl/reason.h"

#define AUDIT_FILE_MB_DEFAULT 64u
#define AUDIT_FILE_MB_MAX     1024u
#define AUDIT_KEEP_DEFAULT    16u
#define AUDIT_KEEP_MIN        2u
#define AUDIT_KEEP_MAX        10000u
#define AUDIT_WAITING_MAX     4096u /* lines that wait for room on the disk; more are counted */

struct audit;

struct audit_limits {
	uint64_t file_bytes; /* a file does not grow beyond this */
	unsigned keep;       /* files; older ones are removed */
	bool forgets_keys;   /* keep the key of the newest file only */
};

/*
 * Opens the log of a state directory, or makes one. A line torn by a crash is cut off; a log that
 * somebody changed stays as it is and a new file is begun, with an alarm. NULL with the cure.
 * sodium_init() MUST have been called.
 */
struct audit *audit_open(
	const char *state_dir, const struct audit_limits *limits, struct reason *reason);
void audit_close(struct audit *audit);

/* Other limits, from the next file on. */
void audit_limits_set(struct audit *audit, const struct audit_limits *limits);

/* Somebody asks for something. */
struct audit_event {
	const char *verb;
	const struct peer *peer; /* NULL: credgated itself */
	const char *why;         /* or NULL */
	json_t *args;            /* an object, or NULL; stays the caller's */
	bool is_urgent;          /* is done even if it cannot be written first */
};

/*
 * Before the change: writes the line that it was asked for. 0: it is durable (an urgent one: at
 * least in the kernel), and *asked is for audit_outcome. -errno with the cure: it cannot be
 * written, so the change MUST NOT be made. Urgent events never fail: what cannot be written waits.
 */
int audit_asked(struct audit *audit, const struct audit_event *event, uint64_t *asked,
	struct reason *reason);

/* After it: `error` as the verb's, `reason` if it failed, `result` (may be NULL) if not. */
void audit_outcome(struct audit *audit, const struct audit_event *event, uint64_t asked, int error,
	const struct reason *reason, json_t *result);

/*
 * Something credgated does or sees by itself: an expiry, a suspended clone, start and stop.
 * `details` is an object whose reference is taken over, or NULL. What cannot be written waits.
 */
void audit_note(struct audit *audit, const char *verb, const char *why, json_t *details);

/* Each second: writes what waits, makes the rest durable. */
void audit_tick(struct audit *audit);

/* Lines that wait for room, so that a stop would lose them. */
unsigned audit_waiting(const struct audit *audit);

/* What metrics tell of it; zeros for NULL. */
struct audit_counts {
	uint64_t lines; /* the number of the last one */
	uint64_t waiting;
	uint64_t lost;
	uint64_t refused; /* changes that were not made because they could not be written first */
	bool has_alarm;
};
struct audit_counts audit_counts(const struct audit *audit);

/* The member `audit` of the status (docs/admin-protocol.md). */
json_t *audit_json(const struct audit *audit);

/* ---- audit_event.c: what a line says ---- */

/*
 * The members of a line as compact JSON without the braces, the caller's to free; NULL without
 * memory. `what` is asked, done, failed or note; `asked` 0: the line stands alone and says who.
 */
struct audit_outcome {
	int error;
	const struct reason *reason;
	json_t *result;
};

char *audit_asked_text(const struct audit_event *event);
char *audit_outcome_text(
	const struct audit_event *event, uint64_t asked, const struct audit_outcome *outcome);
char *audit_note_text(const char *verb, const char *why, json_t *details);

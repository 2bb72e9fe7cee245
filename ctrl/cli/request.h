/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Asking credgated over its admin socket (docs/admin-protocol.md). */

#include <jansson.h>
#include <stdint.h>

#include "ctrl/cli/cli.h"

/* One connection; several requests may follow each other. */
struct request {
	struct cli *cli;
	bool is_quiet;      /* failures are not told */
	const char *prefix; /* stands before what credgated has against something; or NULL */
	int fd;
	char *line; /* what came in */
	size_t line_room;
};

/* Connects, or says why not and what to do about it. Returns 0 or -errno. */
int request_open(struct request *request, struct cli *cli);
void request_close(struct request *request);

/*
 * Sends one verb with its arguments (a reference is taken over; NULL: none) and waits for the
 * answer. Returns the result, which the caller releases, or NULL after it said what credgated had
 * against it; *refused, if given, gets credgated's errno, or 0 if there was no answer at all. While
 * credgated says EAGAIN (an import of somebody else) it is asked again, for half a minute.
 */
json_t *request_ask(struct request *request, const char *verb, json_t *arguments, int *refused);

/* Adds --why, if it was given, to the arguments of a verb that changes something; returns them. */
json_t *request_why(const struct cli *cli, json_t *arguments);

/* The three of them for a single request. */
json_t *request_once(struct cli *cli, const char *verb, json_t *arguments);

/* As request_once without arguments, but says nothing: NULL if there is no answer. */
json_t *request_try(struct cli *cli, const char *verb);

/* Prints a value as JSON with a newline: over several lines, or one of many on its own. */
void request_print_json(const json_t *value);
void request_print_json_line(const json_t *value);

/* Members of an answer: what is not there, or of another type, is "-" or 0. */
const char *request_text(const json_t *object, const char *name);
uint64_t request_number(const json_t *object, const char *name);

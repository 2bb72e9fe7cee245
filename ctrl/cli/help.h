/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What --help and its relatives print, all of it made from the table of verbs. */

#include <stdio.h>

#include "ctrl/cli/cli.h"

#define HELP_LABEL_SIZE 80

/* "-o, --output FILE", with blanks where there is no letter. Returns the length, as snprintf. */
int help_option_label(char *label, size_t room, const struct cli_option *option);

/* Every verb with its line; with `noun` only those that begin with that word. */
void help_overview(FILE *out, const char *noun);

/* Usage, options, examples and exit codes of one verb. */
void help_verb(FILE *out, const struct cli_verb *verb);

/* The words a shell may complete: verbs if verb is NULL, else the verb's options. */
void help_words(FILE *out, const struct cli_verb *verb);

/* credgate(1), as Markdown for docs/ and as roff for man. */
void help_markdown(FILE *out);
void help_roff(FILE *out);

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The command line of credgated. */

#include <limits.h>
#include <stdbool.h>

#include "ctrl/reason.h"

struct options {
	const char *config;
	char dataplane[PATH_MAX]; /* absolute path of credgate-dataplane */
	bool is_check;
};

/* 0 to go on; 1 if all is done (--help, --version); -EINVAL after a usage error was told. */
int options_parse(struct options *options, int argc, char **argv);

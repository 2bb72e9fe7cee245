/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/config.h"
#include "ctrl/version.h"

#define DATAPLANE_NAME "credgate-dataplane"

static const char usage[] =
	"usage: credgated [--config FILE] [--check] [--dataplane PATH]\n"
	"\n"
	"The control process of a credgate gateway: holds the realms' secrets and the registry of\n"
	"nodes, starts and supervises the dataplane, serves `credgate` and consumers. Stays in "
	"the\n"
	"foreground and logs to standard error.\n"
	"\n"
	"  -c, --config FILE     configuration (default " CONFIG_PATH_DEFAULT ")\n"
	"      --check           check the configuration, print what it says, and exit\n"
	"      --foreground      accepted for clarity: there is no other way\n"
	"      --dataplane PATH  the dataplane's program (default: beside this one, then in\n"
	"                        " CREDGATE_LIBEXECDIR ")\n"
	"  -h, --help            this text\n"
	"      --version         the version\n"
	"\n"
	"signals: SIGTERM and SIGINT stop it; SIGHUP takes realms and groups from FILE again\n"
	"exit codes: 0 stopped as told, 1 could not start or go on, 2 wrong usage\n";

enum {
	OPTION_CHECK = 256,
	OPTION_FOREGROUND,
	OPTION_DATAPLANE,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, 'c'},
	{"check", no_argument, NULL, OPTION_CHECK},
	{"foreground", no_argument, NULL, OPTION_FOREGROUND},
	{"dataplane", required_argument, NULL, OPTION_DATAPLANE},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

/* Beside this program, as installed or in a build tree, or where packages put it. */
static void
dataplane_find(char path[PATH_MAX])
{
	static const char *const places[] = {"", "../dataplane/"};
	char own[PATH_MAX], candidate[PATH_MAX + 64];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
	char *slash;

	snprintf(path, PATH_MAX, "%s/%s", CREDGATE_LIBEXECDIR, DATAPLANE_NAME);
	if (length <= 0)
		return;
	own[length] = '\0';
	slash = strrchr(own, '/');
	*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(candidate, sizeof(candidate), "%s/%s%s", own, places[i], DATAPLANE_NAME);
		if (access(candidate, X_OK) == 0 && realpath(candidate, path) != NULL)
			return;
	}
}

static int
dataplane_set(struct options *options, const char *given)
{
	if (realpath(given, options->dataplane) != NULL && access(options->dataplane, X_OK) == 0)
		return 0;
	fprintf(stderr, "credgated: --dataplane %s: %s\n", given, strerror(errno));
	return -EINVAL;
}

static int
option_take(struct options *options, int option)
{
	switch (option) {
	case 'c':
		options->config = optarg;
		return 0;
	case OPTION_CHECK:
		options->is_check = true;
		return 0;
	case OPTION_FOREGROUND:
		return 0;
	case OPTION_DATAPLANE:
		return dataplane_set(options, optarg);
	case OPTION_VERSION:
		puts("credgated " CTRL_VERSION_TEXT);
		return 1;
	case 'h':
		fputs(usage, stdout);
		return 1;
	default:
		fputs("credgated: see --help\n", stderr);
		return -EINVAL;
	}
}

int
options_parse(struct options *options, int argc, char **argv)
{
	int option, result = 0;

	memset(options, 0, sizeof(*options));
	options->config = CONFIG_PATH_DEFAULT;
	dataplane_find(options->dataplane);
	while (result == 0 && (option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1)
		result = option_take(options, option);
	if (result == 0 && optind < argc) {
		fprintf(stderr, "credgated: \"%s\" is no option; see --help\n", argv[optind]);
		result = -EINVAL;
	}
	return result;
}

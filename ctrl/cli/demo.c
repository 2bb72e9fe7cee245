/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/program.h"
#include "ctrl/cli/verbs.h"

static const char *const places[] = {
	"%s/../share/credgate",
	CLI_DATADIR "/credgate",
	NULL,
};

/* The demo of the source tree, under either of its names. */
static int
find_in_source(char path[PATH_MAX])
{
	static const char *const names[] = {"demo", "demo.py"};
	char root[PATH_MAX];
	size_t i;
	int size;

	if (program_source_root(root) != 0)
		return -1;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size = snprintf(path, PATH_MAX, "%s/tests/smoke/%s", root, names[i]);
		if (size > 0 && size < PATH_MAX && access(path, X_OK) == 0)
			return 0;
	}
	return -1;
}

/* Programs out of a build tree are to be shown from it: BUILD/ctrl/cli/credgate. */
static const char *
build_of(const struct cli *cli, char own[PATH_MAX])
{
	ssize_t size = readlink("/proc/self/exe", own, PATH_MAX - 1);
	char *slash;
	int i;

	for (i = 1; i < cli->argc; i++)
		if (strncmp(cli->argv[i], "--build", 7) == 0)
			return NULL;
	if (size <= 0)
		return NULL;
	own[size] = '\0';
	for (i = 0; i < 3; i++) {
		slash = strrchr(own, '/');
		if (!slash)
			return NULL;
		*slash = '\0';
	}
	return own;
}

static int
demo_run(struct cli *cli)
{
	char path[PATH_MAX], own[PATH_MAX];

	if (find_in_source(path) == 0)
		return program_exec(cli, path, "--build", build_of(cli, own));
	if (program_find(places, "demo", path) == 0)
		return program_exec(cli, path, NULL, NULL);
	return cli_fail(cli, "the demo is not installed (looked in %s/credgate)", CLI_DATADIR);
}

const struct cli_verb verb_demo = {
	.name = "demo",
	.operands = "[ARGUMENT]...",
	.summary = "Show a gateway at work, in network namespaces of its own",
	.detail = "Runs the demo script with all arguments (as root): it starts a gateway between "
		  "two\n"
		  "network namespaces, sends it genuine and hostile datagrams, and shows each\n"
		  "verdict. Everything it makes, it removes.\n",
	.examples = "credgate demo\ncredgate demo --stay\n",
	.exits = "0\tthe demo went through\n"
		 "1\tit did not\n"
		 "2\twrong usage\n",
	.is_passed_over = true,
	.operands_max = CLI_OPERANDS_ANY,
	.run = demo_run,
};

/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctrl/cli/program.h"

/* The directory of this binary. */
static int
own_directory(char *path)
{
	ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
	char *slash;

	if (size <= 0)
		return -ENOENT;
	path[size] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

/* "%s" at the beginning of a place is our own directory. */
static bool
place_has(const char *place, const char *own, const char *name, char *path)
{
	bool is_relative = strncmp(place, "%s", 2) == 0;
	int size = snprintf(path, PATH_MAX, "%s%s/%s", is_relative ? own : "",
		is_relative ? place + 2 : place, name);

	return size > 0 && size < PATH_MAX && access(path, X_OK) == 0;
}

int
program_find(const char *const *places, const char *name, char path[PATH_MAX])
{
	char own[PATH_MAX];

	if (own_directory(own) != 0)
		return -ENOENT;
	for (; *places; places++)
		if (place_has(*places, own, name, path))
			return 0;
	return -ENOENT;
}

/* meson writes down where the sources are: BUILD/meson-info; we are BUILD/ctrl/cli/credgate. */
int
program_source_root(char path[PATH_MAX])
{
	static const char info[] = "/../../meson-info/meson-info.json";
	char file[PATH_MAX + sizeof(info)];
	const char *source = NULL;
	json_t *root;
	size_t size;

	if (own_directory(path) != 0)
		return -ENOENT;
	snprintf(file, sizeof(file), "%s%s", path, info);
	root = json_load_file(file, 0, NULL);
	json_unpack(root, "{s:{s:s}}", "directories", "source", &source);
	size = source ? strlen(source) : PATH_MAX;
	if (size < PATH_MAX)
		memcpy(path, source, size + 1);
	json_decref(root);
	return size < PATH_MAX ? 0 : -ENOENT;
}

int
program_exec(struct cli *cli, const char *path, const char *option, const char *value)
{
	char **argv = calloc((size_t)cli->argc + 3, sizeof(*argv));
	int count = 0, i;

	if (!argv)
		return cli_fail(cli, "out of memory");
	argv[count++] = strdup(path);
	if (value) {
		argv[count++] = strdup(option);
		argv[count++] = strdup(value);
	}
	for (i = 1; i < cli->argc; i++)
		argv[count++] = cli->argv[i];
	/* What cli_main ignores is not for others to inherit. */
	signal(SIGPIPE, SIG_DFL);
	execv(path, argv);
	return cli_fail(cli, "cannot execute %s: %m", path);
}

/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Stands in for libFuzzer where the compiler has none: gives the target every file of the
 * directories named on the command line, and every shorter piece of each from its start.
 */

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/wire/fuzz.h"

#define INPUT_SIZE_MAX 4096

static void
input_run(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size != 0 ? size : 1);

	FUZZ_MUST(copy != NULL);
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void
file_run(const char *directory, const char *name)
{
	uint8_t data[INPUT_SIZE_MAX];
	char path[4096];
	size_t size, part;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rbe");
	FUZZ_MUST(file != NULL);
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	for (part = 0; part <= size; part++)
		input_run(data, part);
}

static unsigned
directory_run(const char *directory)
{
	DIR *d = opendir(directory);
	struct dirent *entry;
	unsigned count = 0;

	if (d == NULL)
		return 0;
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		file_run(directory, entry->d_name);
		count++;
	}
	closedir(d);
	return count;
}

int
main(int argc, char **argv)
{
	unsigned count;
	int i;

	for (i = 1; i < argc; i++) {
		count = directory_run(argv[i]);
		if (count == 0) {
			fprintf(stderr, "%s: no corpus here\n", argv[i]);
			return 1;
		}
		printf("%s: %u inputs\n", argv[i], count);
	}
	return argc > 1 ? 0 : 1;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Calls the whole command line in a child and keeps what it printed. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctrl/cli/cli.h"

#define CALL_TEXT_SIZE 262144
#define CALL_WORDS_MAX 32

struct call {
	int code; /* exit code; 256 if it did not exit */
	char out[CALL_TEXT_SIZE];
	char err[CALL_TEXT_SIZE];
};

static inline void
call_read(int fd, char text[CALL_TEXT_SIZE])
{
	ssize_t size = pread(fd, text, CALL_TEXT_SIZE - 1, 0);

	text[size > 0 ? size : 0] = '\0';
	close(fd);
}

/* Words after the program's name, ending with NULL. */
static inline const struct call *
call_cli(const char *word, ...)
{
	static struct call call;
	char *argv[CALL_WORDS_MAX + 1] = {strdup("credgate")};
	int out = memfd_create("out", 0), err = memfd_create("err", 0), argc = 1, status, i;
	va_list words;
	pid_t child;

	va_start(words, word);
	for (; word && argc < CALL_WORDS_MAX; word = va_arg(words, const char *))
		argv[argc++] = strdup(word);
	va_end(words);
	fflush(NULL);
	child = fork();
	if (child == 0) {
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		status = cli_main(argc, argv);
		fflush(NULL);
		_exit(status);
	}
	waitpid(child, &status, 0);
	for (i = 0; i < argc; i++)
		free(argv[i]);
	call.code = WIFEXITED(status) ? WEXITSTATUS(status) : 256;
	call_read(out, call.out);
	call_read(err, call.err);
	return &call;
}

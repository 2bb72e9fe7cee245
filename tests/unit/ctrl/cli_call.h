/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Calls the whole command line in a child and keeps what it printed. Include it after cmocka.h. */

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctrl/cli/cli.h"

#define CALL_TEXT_SIZE 262144
#define CALL_WORDS_MAX 32

struct call {
	pid_t child;
	int out_fd;
	int err_fd;
	int code; /* exit code; 256 if it did not exit */
	char out[CALL_TEXT_SIZE];
	char err[CALL_TEXT_SIZE];
};

/*
 * The child is a copy of this process with one thread: what another one holds at that moment, the
 * allocator's lock for instance, stays held in it for ever. So a child is made under this lock; a
 * test's thread allocates under it only, and is on its feet before anything else happens.
 */
static pthread_mutex_t call_lock = PTHREAD_MUTEX_INITIALIZER;

struct call_thread {
	void (*run)(void);
	sem_t has_begun;
};

static inline void *
call_thread_main(void *arg)
{
	struct call_thread *thread = arg;
	void (*const run)(void) = thread->run;

	sem_post(&thread->has_begun);
	run();
	return NULL;
}

/* 0, or an error number. */
static inline int
call_thread_start(pthread_t *id, void (*run)(void))
{
	struct call_thread thread = {.run = run};
	int error;

	sem_init(&thread.has_begun, 0, 0);
	error = pthread_create(id, NULL, call_thread_main, &thread);
	while (error == 0 && sem_wait(&thread.has_begun) != 0)
		;
	sem_destroy(&thread.has_begun);
	return error;
}

static inline void
call_read(int fd, char text[CALL_TEXT_SIZE])
{
	ssize_t size = pread(fd, text, CALL_TEXT_SIZE - 1, 0);

	text[size > 0 ? size : 0] = '\0';
}

static inline void
call_start(struct call *call, const char *word, va_list words)
{
	char *argv[CALL_WORDS_MAX + 1] = {strdup("credgate")};
	int argc = 1, code;

	for (; word && argc < CALL_WORDS_MAX; word = va_arg(words, const char *))
		argv[argc++] = strdup(word);
	call->out_fd = memfd_create("out", 0);
	call->err_fd = memfd_create("err", 0);
	fflush(NULL);
	pthread_mutex_lock(&call_lock);
	call->child = fork();
	if (call->child != 0)
		pthread_mutex_unlock(&call_lock);
	if (call->child == 0) {
		dup2(call->out_fd, STDOUT_FILENO);
		dup2(call->err_fd, STDERR_FILENO);
		code = cli_main(argc, argv);
		fflush(NULL);
		_exit(code);
	}
	while (argc > 0)
		free(argv[--argc]);
}

/* Goes on while the child works: words after the program's name, ending with NULL. */
static inline void
call_begin(struct call *call, const char *word, ...)
{
	va_list words;

	va_start(words, word);
	call_start(call, word, words);
	va_end(words);
}

/* Waits (10 s) until the child has printed `part` on standard output or error. */
static inline bool
call_wait_for(struct call *call, const char *part)
{
	int tries;

	for (tries = 0; tries < 1000; tries++) {
		call_read(call->out_fd, call->out);
		call_read(call->err_fd, call->err);
		if (strstr(call->out, part) || strstr(call->err, part))
			return true;
		usleep(10000);
	}
	fprintf(stderr, "never printed '%s', but:\n%s%s", part, call->out, call->err);
	return false;
}

static inline const struct call *
call_end(struct call *call)
{
	int status;

	waitpid(call->child, &status, 0);
	call->code = WIFEXITED(status) ? WEXITSTATUS(status) : 256;
	call_read(call->out_fd, call->out);
	call_read(call->err_fd, call->err);
	close(call->out_fd);
	close(call->err_fd);
	return call;
}

/* The whole of it. */
static inline const struct call *
call_cli(const char *word, ...)
{
	static struct call call;
	va_list words;

	va_start(words, word);
	call_start(&call, word, words);
	va_end(words);
	return call_end(&call);
}

/* The printed text has this part. */
static inline void
call_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text);
}

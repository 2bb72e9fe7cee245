/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/thread_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "client/error_priv.h"

/* One page: a system call per thousand credentials. All zero, as a fork leaves it: none left. */
#define SALTS_SIZE 4096u

struct client_salts {
	uint32_t left;
	uint8_t bytes[SALTS_SIZE - sizeof(uint32_t)];
};
static_assert(sizeof(struct client_salts) == SALTS_SIZE, "the page that the kernel wipes");

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t ending;
static int ending_error;
static _Thread_local struct client_thread *own;

static void
thread_destroy(void *data)
{
	struct client_thread *thread = data;

	if (thread->engine != NULL)
		tag_engine_destroy(thread->engine);
	if (thread->salts != NULL)
		munmap(thread->salts, SALTS_SIZE);
	free(thread);
	own = NULL;
}

static void
ending_create(void)
{
	ending_error = pthread_key_create(&ending, thread_destroy);
}

/* NULL if the kernel cannot wipe it on fork: then each salt is a system call. */
static struct client_salts *
salts_create(void)
{
	void *page =
		mmap(NULL, SALTS_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, SALTS_SIZE, MADV_WIPEONFORK) != 0) {
		munmap(page, SALTS_SIZE);
		return NULL;
	}
	return page;
}

static struct client_thread *
thread_create(void)
{
	struct client_thread *thread;

	pthread_once(&once, ending_create);
	thread = calloc(1, sizeof(*thread));
	if (thread == NULL || ending_error != 0) {
		free(thread);
		errno = ENOMEM;
		return NULL;
	}
	thread->engine = tag_engine_create(TAG_KERNEL_AESNI);
	if (thread->engine == NULL || pthread_setspecific(ending, thread) != 0) {
		int error = thread->engine == NULL ? errno : ENOMEM;

		thread_destroy(thread);
		errno = error;
		return NULL;
	}
	thread->salts = salts_create();
	return thread;
}

struct client_thread *
client_thread_get(void)
{
	if (own != NULL)
		return own;
	own = thread_create();
	if (own == NULL && errno == ENOTSUP)
		client_fail(ENOTSUP, "this CPU has no AES instructions, which libcredgate needs");
	else if (own == NULL)
		client_fail(ENOMEM, "no memory for this thread's tag engine");
	return own;
}

static int
random_fill(void *bytes, size_t size)
{
	ssize_t got;

	do
		got = getrandom(bytes, size, 0);
	while (got < 0 && errno == EINTR);
	/* Up to 256 bytes come whole; more may be cut short by a signal. */
	if (got < (ssize_t)(size < 256 ? size : 256))
		return client_fail(EIO, "no random bytes from the kernel: %m");
	return (int)got;
}

int
client_thread_salt(struct client_thread *thread, uint8_t salt[4])
{
	struct client_salts *salts = thread->salts;
	int got;

	if (salts == NULL) {
		got = random_fill(salt, 4);
		return got < 0 ? got : 0;
	}
	if (salts->left < 4) {
		got = random_fill(salts->bytes, sizeof(salts->bytes));
		if (got < 0)
			return got;
		salts->left = (uint32_t)got;
	}
	salts->left -= 4;
	memcpy(salt, salts->bytes + salts->left, 4);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/waiter_priv.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A verdict waits at most this long for a consumer that cannot be woken. */
#define DOZE_NS 500000

static_assert(ATTACH_RINGS_MAX <= FUTEX_WAITV_MAX, "one call for all rings");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "a word's low half is at its address");

int64_t
waiter_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static struct timespec
timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static bool
has_changed(const struct waiter *waiter)
{
	unsigned i;

	for (i = 0; i < waiter->count; i++) {
		if (atomic_load_explicit(waiter->words[i], memory_order_acquire) != waiter->seen[i])
			return true;
	}
	return false;
}

int
waiter_doze(const struct waiter *waiter, int timeout_ms)
{
	const int64_t end_ns = waiter_now_ns() + (int64_t)timeout_ms * 1000000;
	const struct timespec nap = timespec_of(DOZE_NS);

	while (!has_changed(waiter) && waiter_now_ns() < end_ns) {
		if (clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL) == EINTR)
			return -EINTR;
	}
	return 0;
}

/* Not FUTEX_PRIVATE: the waker is another process, the key is the file behind the mapping. */
static long
futexes_wait(const struct waiter *waiter, int64_t end_ns)
{
	struct futex_waitv futexes[ATTACH_RINGS_MAX];
	struct timespec end = timespec_of(end_ns);
	unsigned i;

	for (i = 0; i < waiter->count; i++)
		futexes[i] = (struct futex_waitv){
			.val = (uint32_t)waiter->seen[i],
			.uaddr = (uintptr_t)waiter->words[i],
			.flags = FUTEX_32,
		};
	return syscall(SYS_futex_waitv, futexes, waiter->count, 0, &end, CLOCK_MONOTONIC);
}

int
waiter_sleep(const struct waiter *waiter, int timeout_ms)
{
	const int64_t end_ns = waiter_now_ns() + (int64_t)timeout_ms * 1000000;

	if (futexes_wait(waiter, end_ns) >= 0)
		return 0;
	if (errno == EINTR)
		return -EINTR;
	if (errno == EAGAIN || errno == ETIMEDOUT)
		return 0;
	return waiter_doze(waiter, timeout_ms);
}

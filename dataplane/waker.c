/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/waker.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the low half of head is its first word");

static void
ring_add(struct waker *waker, struct verdict_ring *ring)
{
	if (ring == NULL)
		return;
	waker->rings[waker->count] = ring;
	waker->heads[waker->count] = atomic_load_explicit(&ring->head, memory_order_relaxed);
	waker->count++;
}

void
waker_init(struct waker *waker, const struct setup *setup)
{
	waker->count = 0;
	for (unsigned worker = 0; worker < setup->config.worker_count; worker++) {
		for (unsigned group = 0; group < TABLE_GROUPS_MAX; group++)
			ring_add(waker, setup->delivery[group][worker]);
		ring_add(waker, setup->refusal[worker]);
	}
}

/*
 * A reader that looked before head moved and sleeps now is woken here; one that goes to sleep after
 * our look has the old value, which the kernel compares, and does not sleep.
 */
bool
waker_look(struct waker *waker)
{
	bool has_moved = false;

	for (unsigned i = 0; i < waker->count; i++) {
		uint64_t head = atomic_load_explicit(&waker->rings[i]->head, memory_order_acquire);

		if (head == waker->heads[i])
			continue;
		waker->heads[i] = head;
		has_moved = true;
		syscall(SYS_futex, &waker->rings[i]->head, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	}
	return has_moved;
}

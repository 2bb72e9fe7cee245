/* SPDX-License-Identifier: BSD-3-Clause */
#include "verdict/members.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A test writes between two loads of a copy here. */
#ifndef MEMBERS_LOAD_STEP
#define MEMBERS_LOAD_STEP() ((void)0)
#endif

/* A write takes some ten nanoseconds; its writer may lose its CPU in the middle of it. */
#define READ_TRIES 1000

#define ENTRY_WORDS (sizeof(struct members_entry) / 8)
#define EVENT_WORDS (sizeof(struct members_event) / 8)

static const char *const state_texts[MEMBERS_STATES] = {
	[MEMBERS_NONE] = "none",
	[MEMBERS_SILENT] = "silent",
	[MEMBERS_UP] = "up",
	[MEMBERS_LATE] = "late",
	[MEMBERS_LEFT] = "left",
	[MEMBERS_UNKNOWN] = "unknown",
	[MEMBERS_SUSPENDED] = "suspended",
	[MEMBERS_REVOKED] = "revoked",
};

const char *
members_state_text(unsigned state)
{
	return state < MEMBERS_STATES ? state_texts[state] : "unknown-state";
}

void
members_format(struct members_header *header, uint32_t entry_count, uint64_t started_us)
{
	header->version = MEMBERS_VERSION;
	header->size = members_size(entry_count);
	header->entry_count = entry_count;
	header->event_count = MEMBERS_EVENTS;
	header->events_offset = members_events_offset(entry_count);
	header->started_us = started_us;
	atomic_thread_fence(memory_order_release);
	header->magic = MEMBERS_MAGIC;
}

int
members_check(const struct members_header *header, uint64_t size)
{
	if (size < MEMBERS_ENTRIES_OFFSET || header->magic != MEMBERS_MAGIC ||
		header->version != MEMBERS_VERSION || header->event_count != MEMBERS_EVENTS ||
		header->realm_count > MEMBERS_REALMS_MAX ||
		header->events_offset != members_events_offset(header->entry_count) ||
		header->size != members_size(header->entry_count) || header->size != size)
		return -EBADMSG;
	return 0;
}

/* ---- both sides: word by word, so that no compiler makes two loads or a byte store of it ---- */

static void
words_store(void *to, const void *from, size_t first, size_t count)
{
	_Atomic uint64_t *words = to;
	uint64_t word;

	for (size_t i = first; i < count; i++) {
		memcpy(&word, (const char *)from + i * 8, 8);
		atomic_store_explicit(&words[i], word, memory_order_relaxed);
	}
}

static void
words_load(void *to, const void *from, size_t count)
{
	const _Atomic uint64_t *words = from;
	uint64_t word;

	for (size_t i = 0; i < count; i++) {
		MEMBERS_LOAD_STEP();
		word = atomic_load_explicit(&words[i], memory_order_relaxed);
		memcpy((char *)to + i * 8, &word, 8);
	}
}

/* ---- writer ---- */

static struct members_entry *
entry_at(struct members_header *header, uint32_t i)
{
	return (struct members_entry *)((char *)header + MEMBERS_ENTRIES_OFFSET) + i;
}

static struct members_event *
event_at(struct members_header *header, uint64_t position)
{
	return (struct members_event *)((char *)header + header->events_offset) +
	       position % MEMBERS_EVENTS;
}

void
members_entry_write(struct members_header *header, uint32_t i, const struct members_entry *entry)
{
	struct members_entry *to = entry_at(header, i);
	uint32_t sequence = atomic_load_explicit(&to->sequence, memory_order_relaxed);
	struct members_entry from = *entry;

	atomic_store_explicit(&to->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	/* The first word has the sequence in it: still odd. */
	from.sequence = sequence + 1;
	words_store(to, &from, 0, ENTRY_WORDS);
	atomic_store_explicit(&to->sequence, sequence + 2, memory_order_release);
}

void
members_event_write(
	struct members_header *header, uint64_t *position, const struct members_event *event)
{
	struct members_event *to = event_at(header, *position);

	atomic_store_explicit(&to->stamp, 0, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	words_store(to, event, 1, EVENT_WORDS);
	atomic_store_explicit(&to->stamp, ++*position, memory_order_release);
}

void
members_publish(struct members_header *header, uint64_t position)
{
	if (position == atomic_load_explicit(&header->head, memory_order_relaxed))
		return;
	atomic_store_explicit(&header->head, position, memory_order_release);
	syscall(SYS_futex, &header->head, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- readers ---- */

int
members_view_init(struct members_view *view, const struct members_header *header, uint64_t size)
{
	if (members_check(header, size) != 0)
		return -EBADMSG;
	*view = (struct members_view){
		.header = header,
		.entries = (const struct members_entry *)((const char *)header +
							  MEMBERS_ENTRIES_OFFSET),
		.entry_count = (uint32_t)((size - MEMBERS_ENTRIES_OFFSET -
						  MEMBERS_EVENTS * sizeof(struct members_event)) /
					  sizeof(struct members_entry)),
		.event_mask = MEMBERS_EVENTS - 1,
	};
	view->events = (const struct members_event *)(view->entries + view->entry_count);
	return 0;
}

bool
members_entry_read(const struct members_view *view, uint32_t i, struct members_entry *entry)
{
	const struct members_entry *from = &view->entries[i];

	for (unsigned tries = 0; tries < READ_TRIES; tries++) {
		uint32_t sequence = atomic_load_explicit(&from->sequence, memory_order_acquire);

		words_load(entry, from, ENTRY_WORDS);
		atomic_thread_fence(memory_order_acquire);
		if ((sequence & 1) == 0 &&
			sequence == atomic_load_explicit(&from->sequence, memory_order_relaxed)) {
			entry->name[MEMBERS_NAME_SIZE - 1] = '\0';
			return true;
		}
	}
	return false;
}

static int
events_lost(uint64_t *position, uint64_t head)
{
	*position = head;
	return -EOVERFLOW;
}

int
members_event_read(const struct members_view *view, uint64_t *position, struct members_event *event)
{
	const struct members_event *from = &view->events[*position & view->event_mask];
	uint64_t head = atomic_load_explicit(&view->header->head, memory_order_acquire);
	uint64_t stamp;

	if (head == *position)
		return 0;
	if (head - *position > MEMBERS_EVENTS)
		return events_lost(position, head);
	stamp = atomic_load_explicit(&from->stamp, memory_order_acquire);
	words_load(event, from, EVENT_WORDS);
	atomic_thread_fence(memory_order_acquire);
	if (stamp != *position + 1 ||
		atomic_load_explicit(&from->stamp, memory_order_relaxed) != stamp)
		return events_lost(
			position, atomic_load_explicit(&view->header->head, memory_order_acquire));
	++*position;
	return 1;
}

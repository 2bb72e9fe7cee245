/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Shared memory: memfds made by control, sealed against shrinking and growing, mode 0600 (a reader
 * could otherwise reopen a 0777 memfd writable through /proc), every page allocated before use.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctrl/reason.h"

enum memory_pages {
	MEMORY_PAGES_SMALL,
	MEMORY_PAGES_HUGE, /* if there are enough; else small ones */
};

struct memory_object {
	int fd;        /* read and write, for the dataplane */
	int reader_fd; /* O_RDONLY reopen, for consumers; -1 until asked for */
	void *mapping;
	uint64_t size; /* as asked for; a file of hugepages is rounded up to one */
	size_t mapped; /* bytes of the mapping */
	bool is_huge;
};

#define MEMORY_OBJECT_NONE                \
	(struct memory_object)            \
	{                                 \
		.fd = -1, .reader_fd = -1 \
	}

/* Makes, allocates, seals and maps (shared, writable, zeroed). 0, or -errno with the cure. */
int memory_object_create(struct memory_object *object, const char *name, uint64_t size,
	enum memory_pages pages, struct reason *reason);
void memory_object_destroy(struct memory_object *object);

/*
 * Forbids further seals; a dataplane gone bad could otherwise keep its successor from mapping. With
 * `is_readonly` nobody can map it writable any more either: the mapping that is there stays the
 * only one.
 */
int memory_object_seal(struct memory_object *object, bool is_readonly, struct reason *reason);

/* Opens reader_fd, which can never become writable. */
int memory_object_open_reader(struct memory_object *object, struct reason *reason);

/* Keeps what it holds out of core files and, if the limit allows, out of swap. False: not locked. */
bool memory_object_protect(struct memory_object *object);

/* Is there room for `bytes` more? 0, or -ENOMEM with a line that states both figures. */
int memory_check(uint64_t bytes, struct reason *reason);

/* Bytes in free hugepages of 2 MB; 0 if there are none. */
uint64_t memory_huge_free(void);

/* No core file and no look from outside into this process, for good. */
int memory_process_harden(struct reason *reason);

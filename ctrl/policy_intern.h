/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Strings of bytes, each kept once under a number: the first is 0, the next 1. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct policy_intern_item {
	uint32_t hash;
	uint32_t size;
	size_t offset; /* into bytes */
};

struct policy_intern {
	uint8_t *bytes;
	size_t size;
	size_t room;
	struct policy_intern_item *items;
	uint32_t item_count;
	uint32_t item_room;
	uint32_t *places; /* open addressing: number + 1; 0: free */
	uint32_t place_count;
};

/* A zeroed struct is an empty set. */
void policy_intern_fini(struct policy_intern *set);

/* The number of a string; *is_new tells whether it was put in now. -ENOMEM if there is no memory. */
int64_t policy_intern(struct policy_intern *set, const void *bytes, size_t size, bool *is_new);

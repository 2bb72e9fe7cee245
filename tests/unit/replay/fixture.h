/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* A formatted store in memory of its own, and a slow, obvious model of a window. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "replay/replay.h"

/* wire/cred.h says the same; replay/ does not know credentials. */
#define SERIAL_MAX (UINT64_MAX - UINT32_MAX - 1)

static const uint8_t fixture_key[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

struct fixture {
	void *mapping;
	uint64_t size;
	struct replay_store store;
};

static inline void
fixture_create(struct fixture *fixture, uint32_t slot_count,
	const struct replay_layout_range *ranges, size_t range_count)
{
	fixture->size = replay_store_size(slot_count, ranges, range_count, 0);
	assert_true(fixture->size != 0);
	/* Shared, so that a forked writer writes here. */
	fixture->mapping = mmap(
		NULL, fixture->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(fixture->mapping != MAP_FAILED);
	assert_int_equal(replay_store_format(fixture->mapping, fixture->size, slot_count, ranges,
				 range_count, 0, fixture_key),
		0);
	assert_int_equal(replay_store_open(&fixture->store, fixture->mapping, fixture->size), 0);
}

/* One slot with one window. */
static inline void
fixture_create_one(struct fixture *fixture, uint32_t window_bits)
{
	const struct replay_layout_range range = {0, 1, window_bits};

	fixture_create(fixture, 1, &range, 1);
}

static inline void
fixture_destroy(struct fixture *fixture)
{
	assert_int_equal(munmap(fixture->mapping, fixture->size), 0);
}

/* xorshift64*: the same numbers on every run. */
static inline uint64_t
random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static inline uint64_t
random_below(uint64_t *state, uint64_t limit)
{
	return random_next(state) % limit;
}

/* The set of all serials ever accepted, and the highest. */
struct model {
	uint64_t window_bits;
	uint64_t top;
	uint64_t *accepted; /* in the order of acceptance */
	size_t count;
	uint64_t *places; /* open hash of the same */
	size_t place_mask;
};

static inline void
model_init(struct model *model, uint64_t window_bits, size_t count_max)
{
	size_t places = 16;

	while (places < 2 * count_max)
		places *= 2;
	model->window_bits = window_bits;
	model->top = 0;
	model->count = 0;
	model->accepted = calloc(count_max, sizeof(*model->accepted));
	model->places = calloc(places, sizeof(*model->places));
	model->place_mask = places - 1;
	assert_non_null(model->accepted);
	assert_non_null(model->places);
}

static inline void
model_fini(struct model *model)
{
	free(model->accepted);
	free(model->places);
}

static inline uint64_t *
model_place(const struct model *model, uint64_t serial)
{
	size_t i = (serial * 0x9e3779b97f4a7c15ull >> 20) & model->place_mask;

	while (model->places[i] != 0 && model->places[i] != serial)
		i = (i + 1) & model->place_mask;
	return &model->places[i];
}

static inline bool
model_has(const struct model *model, uint64_t serial)
{
	return *model_place(model, serial) == serial;
}

static inline enum replay_result
model_peek(const struct model *model, uint64_t serial)
{
	if (serial <= model->top && model->top - serial >= model->window_bits)
		return REPLAY_STALE;
	return model_has(model, serial) ? REPLAY_SEEN : REPLAY_NEW;
}

static inline void
model_accept(struct model *model, uint64_t serial)
{
	*model_place(model, serial) = serial;
	model->accepted[model->count++] = serial;
	if (serial > model->top)
		model->top = serial;
}

/*
 * A serial of the kinds that find mistakes: the next one, a little out of order, the borders of
 * words, line and window, jumps below and above the window's length, something replayed.
 */
static inline uint64_t
model_pick(const struct model *model, uint64_t *random)
{
	const uint64_t window = model->window_bits;
	const uint64_t top = model->top;
	uint64_t back = 0;

	switch (random_below(random, 16)) {
	case 0:
	case 1:
		back = random_below(random, 8);
		break;
	case 2:
		back = random_below(random, 512);
		break;
	case 3:
		back = random_below(random, window + 2);
		break;
	case 4:
		back = window - 3 + random_below(random, 6);
		break;
	case 5:
		back = 64 * random_below(random, 8) + random_below(random, 3);
		break;
	case 6:
		return top + random_below(random, 64) + 1;
	case 7:
		return top + 64 * random_below(random, 8) + random_below(random, 3);
	case 8:
		if (random_below(random, 8) == 0)
			return top + window + random_below(random, 200) - 100 + 64;
		return top + 1;
	case 9:
		if (random_below(random, 16) == 0)
			return top + random_below(random, 3 * window);
		return top + 2;
	case 10:
		if (random_below(random, 64) == 0)
			return top + window * (1 + random_below(random, 1000));
		return top + 3;
	case 11:
		if (model->count != 0)
			return model->accepted[random_below(random, model->count)];
		return 1;
	default:
		return top + 1 + random_below(random, 2);
	}
	return back < top ? top - back : 1;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/parts_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "perf/peer_window.h"
#include "replay/replay.h"
#include "wire/wire.h"

#define RIG_BURST 64u
#define RIG_REALM 1u
/* In the ring pattern: how far the highest serial is ahead of the half in use. Out of the line. */
#define RIG_AHEAD 511u
/* Odd, so that its multiples meet every serial of a power of two once, far from the one before. */
#define RIG_STEP 0x9e3779b1u

/* Every page is written here, so that none is missing in the measurement. */
static void *
rig_memory(uint64_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("parts_rig: no memory");
		return NULL;
	}
	madvise(memory, size, MADV_HUGEPAGE);
	memset(memory, 0, size);
	return memory;
}

static void
rig_memory_free(void *memory, uint64_t size)
{
	if (memory != NULL)
		munmap(memory, size);
}

/* xorshift64*: which node comes next shall not be foreseen. */
static uint32_t
rig_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * 0x2545f4914f6cdd1dull >> 32);
}

/* ---- parse ---- */

struct parts_parse {
	uint8_t *bytes;
	uint64_t memory_size;
	uint32_t count;
	uint32_t size;
	uint32_t stride;
};

static bool
parse_fill(struct parts_parse *parse)
{
	static const uint8_t payload[CRED_PAYLOAD_SIZE_MAX];
	struct cred_fields fields = {
		.suite = CRED_SUITE_DEFAULT,
		.kind = CRED_KIND_ASSERT,
		.epoch = 1,
		.realm = RIG_REALM,
		.issued_us = 1,
		.payload = payload,
		.payload_size = parse->size - CRED_SIZE_MIN,
	};
	uint32_t i;

	for (i = 0; i < parse->count; i++) {
		fields.node = 1 + i;
		fields.serial = 1 + i;
		if (cred_build(parse->bytes + (uint64_t)i * parse->stride, parse->stride,
			    &fields) != parse->size)
			return false;
	}
	return true;
}

struct parts_parse *
parts_parse_create(uint32_t count, uint32_t size)
{
	struct parts_parse *parse = calloc(1, sizeof(*parse));

	if (parse == NULL)
		return NULL;
	parse->count = count;
	parse->size = size;
	parse->stride = (size + 63) / 64 * 64;
	parse->memory_size = (uint64_t)count * parse->stride;
	parse->bytes = rig_memory(parse->memory_size);
	if (parse->bytes != NULL && parse_fill(parse))
		return parse;
	fprintf(stderr, "parts_rig: no credentials of %u bytes\n", size);
	parts_parse_destroy(parse);
	return NULL;
}

void
parts_parse_destroy(struct parts_parse *parse)
{
	rig_memory_free(parse->bytes, parse->memory_size);
	free(parse);
}

void
parts_parse_break(struct parts_parse *parse, bool is_broken)
{
	uint32_t i;

	for (i = 0; i < parse->count; i++)
		store_be16(parse->bytes + (uint64_t)i * parse->stride + CRED_AT_LENGTH,
			(uint16_t)(parse->size + is_broken));
}

uint32_t
parts_parse_pass(const struct parts_parse *parse)
{
	uint32_t good = 0;
	uint32_t i;

	for (i = 0; i < parse->count; i++) {
		struct wire_cred cred;

		good += cred_parse_inline(parse->bytes + (uint64_t)i * parse->stride, parse->size,
				&cred) == WIRE_OK;
		/* The line is made, as for the stages that read it. */
		__asm__ volatile("" : : "r"(&cred) : "memory");
	}
	return good;
}

/* ---- windows ---- */

struct operation {
	uint64_t serial;
	uint32_t slot;
};

struct parts_window {
	struct parts_window_params params;
	struct replay_store store;
	void *mapping;
	uint64_t mapping_size;
	uint8_t *peers;
	uint64_t peers_size;
	uint64_t peer_words;
	uint64_t base; /* ring pattern: the first serial in use */
	uint64_t random;
	uint32_t *used; /* of each node, how many serials */
	struct operation *operations;
};

static struct peer_window *
window_peer(const struct parts_window *window, uint32_t slot)
{
	return (void *)(window->peers + slot * peer_window_size(window->params.window_bits));
}

/* The node's serial after `used` others. */
static uint64_t
window_serial(const struct parts_window *window, uint32_t used)
{
	switch (window->params.pattern) {
	case PARTS_IN_RING:
		return window->base +
		       (uint64_t)(used * RIG_STEP & (window->params.window_bits / 2 - 1));
	case PARTS_IN_LINE:
		return 64 + (used & ~63u) + ((used * 29 + 17) & 63);
	default:
		return 1 + (uint64_t)used;
	}
}

static bool
window_mark(struct parts_window *window, uint32_t slot, uint64_t serial)
{
	return replay_window_commit(&window->store, slot, serial, 1, 1) == REPLAY_NEW &&
	       peer_window_commit(window_peer(window, slot), window->peer_words, serial);
}

/* Ring pattern: every node's window moves on by its width, and is unused again. */
static bool
window_round(struct parts_window *window)
{
	const uint32_t bits = window->params.window_bits;
	uint32_t slot;

	window->base += bits;
	for (slot = 0; slot < window->params.nodes; slot++) {
		window->used[slot] = 0;
		if (!window_mark(window, slot, window->base + bits / 2 + RIG_AHEAD))
			return false;
	}
	return true;
}

/* Other patterns: every node has used some, so that not all change words at once. */
static bool
window_begin(struct parts_window *window)
{
	uint32_t slot;

	for (slot = 0; slot < window->params.nodes; slot++) {
		window->used[slot] = rig_random(&window->random) % 4096;
		if (!window_mark(window, slot, window_serial(window, window->used[slot]++)))
			return false;
	}
	return true;
}

static bool
window_format(struct parts_window *window)
{
	const struct replay_layout_range range = {
		.slot_count = window->params.nodes, .window_bits = window->params.window_bits};
	const uint8_t hash_key[16] = {0};
	uint32_t slot;

	window->mapping_size =
		replay_store_size(range.slot_count, &range, 1, REPLAY_CACHE_ENTRIES_MIN);
	window->mapping = rig_memory(window->mapping_size);
	if (window->mapping == NULL ||
		replay_store_format(window->mapping, window->mapping_size, range.slot_count, &range,
			1, REPLAY_CACHE_ENTRIES_MIN, hash_key) != 0 ||
		replay_store_open(&window->store, window->mapping, window->mapping_size) != 0)
		return false;
	for (slot = 0; slot < range.slot_count; slot++)
		replay_window_assign(&window->store, slot, RIG_REALM, slot + 1);
	return true;
}

static bool
window_make(struct parts_window *window)
{
	const struct parts_window_params *params = &window->params;

	window->peer_words = peer_window_words(params->window_bits);
	window->peers_size = params->nodes * peer_window_size(params->window_bits);
	window->peers = rig_memory(window->peers_size);
	window->used = calloc(params->nodes, sizeof(window->used[0]));
	window->operations = calloc(params->count, sizeof(window->operations[0]));
	if (window->peers == NULL || window->used == NULL || window->operations == NULL ||
		!window_format(window))
		return false;
	return params->pattern == PARTS_IN_RING ? window_round(window) : window_begin(window);
}

struct parts_window *
parts_window_create(const struct parts_window_params *params)
{
	struct parts_window *window = calloc(1, sizeof(*window));

	if (window == NULL)
		return NULL;
	window->params = *params;
	window->random = 0x9e3779b97f4a7c15ull;
	if (window_make(window))
		return window;
	fprintf(stderr, "parts_rig: no windows of %u bits for %u nodes\n", params->window_bits,
		params->nodes);
	parts_window_destroy(window);
	return NULL;
}

void
parts_window_destroy(struct parts_window *window)
{
	rig_memory_free(window->mapping, window->mapping_size);
	rig_memory_free(window->peers, window->peers_size);
	free(window->used);
	free(window->operations);
	free(window);
}

static uint32_t
window_node(struct parts_window *window)
{
	return (uint32_t)((uint64_t)rig_random(&window->random) * window->params.nodes >> 32);
}

static void
window_draw(struct parts_window *window, uint32_t step)
{
	const bool is_ring = window->params.pattern == PARTS_IN_RING;
	uint32_t i = 0;

	while (i < window->params.count) {
		const uint32_t slot = window_node(window);

		if (is_ring && window->used[slot] == window->params.window_bits / 2) {
			window_round(window);
			i = 0;
			continue;
		}
		window->operations[i].slot = slot;
		window->operations[i++].serial = window_serial(window, window->used[slot]);
		window->used[slot] += step;
	}
}

void
parts_window_draw_commits(struct parts_window *window)
{
	window_draw(window, 1);
}

/* A serial that is asked for stays new. In the ring the next one is, or its line would stay near. */
void
parts_window_draw_peeks(struct parts_window *window)
{
	window_draw(window, window->params.pattern == PARTS_IN_RING);
}

/* Past the last one the line is that of the pass's beginning: one load too many, never none. */
static uint32_t
window_slot_ahead(const struct parts_window *window, uint32_t i)
{
	return window->operations[(i + RIG_BURST) % window->params.count].slot;
}

uint32_t
parts_window_peek(const struct parts_window *window)
{
	uint32_t fresh = 0;
	uint32_t i;

	for (i = 0; i < window->params.count; i++) {
		const struct operation *operation = &window->operations[i];

		replay_window_prefetch(&window->store, window_slot_ahead(window, i));
		fresh += replay_window_peek(&window->store, operation->slot, operation->serial) ==
			 REPLAY_NEW;
	}
	return fresh;
}

uint32_t
parts_window_commit(struct parts_window *window)
{
	uint32_t fresh = 0;
	uint32_t i;

	for (i = 0; i < window->params.count; i++) {
		const struct operation *operation = &window->operations[i];

		replay_window_prefetch(&window->store, window_slot_ahead(window, i));
		fresh += replay_window_commit(&window->store, operation->slot, operation->serial, 1,
				 1) == REPLAY_NEW;
	}
	return fresh;
}

/* Its highest serial and its word, which are lines apart. */
static void
peer_prefetch(const struct parts_window *window, uint32_t i)
{
	const struct operation *ahead = &window->operations[(i + RIG_BURST) % window->params.count];
	const struct peer_window *peer = window_peer(window, ahead->slot);

	__builtin_prefetch(&peer->top, 1);
	__builtin_prefetch(&peer->words[ahead->serial / 64 & (window->peer_words - 1)], 1);
}

uint32_t
parts_window_peer_peek(const struct parts_window *window)
{
	uint32_t fresh = 0;
	uint32_t i;

	for (i = 0; i < window->params.count; i++) {
		const struct operation *operation = &window->operations[i];

		peer_prefetch(window, i);
		fresh += peer_window_is_new(window_peer(window, operation->slot),
			window->peer_words, operation->serial);
	}
	return fresh;
}

uint32_t
parts_window_peer_commit(struct parts_window *window)
{
	uint32_t fresh = 0;
	uint32_t i;

	for (i = 0; i < window->params.count; i++) {
		const struct operation *operation = &window->operations[i];

		peer_prefetch(window, i);
		fresh += peer_window_commit(window_peer(window, operation->slot),
			window->peer_words, operation->serial);
	}
	return fresh;
}

/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/parts_ring.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "verdict/ring.h"

#define RING_SLOTS          VERDICT_RING_SLOTS_DEFAULT
#define RING_PREFETCH_SLOTS 16u /* DELIVER_PREFETCH_SLOTS, dataplane/ */
/* An element of the peer: a record, and a payload in whole slots. */
#define ELEMENT_SIZE_MAX (VERDICT_SLOT_SIZE * (1 + VERDICT_PAYLOAD_SLOTS(256)))

/* Every page is written here, so that none is missing in the measurement. */
static void *
ring_memory(uint64_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("parts_ring: no memory");
		return NULL;
	}
	madvise(memory, size, MADV_HUGEPAGE);
	memset(memory, 0, size);
	return memory;
}

static void
ring_memory_free(void *memory, uint64_t size)
{
	if (memory != NULL)
		munmap(memory, size);
}

/* ---- a verdict ring with its two ends ---- */

struct channel {
	struct verdict_ring *ring;
	uint64_t size;
	_Alignas(128) struct verdict_writer writer;
	uint64_t written;
	_Alignas(128) struct verdict_reader reader;
	uint64_t read;
};

static bool
channel_init(struct channel *channel)
{
	*channel = (struct channel){.size = verdict_ring_size(RING_SLOTS)};
	channel->ring = ring_memory(channel->size);
	if (channel->ring == NULL)
		return false;
	verdict_ring_format(channel->ring, RING_SLOTS, VERDICT_RING_DELIVERY, 0, 0);
	verdict_writer_init(&channel->writer, channel->ring);
	atomic_store(&channel->ring->floor, 0);
	return verdict_reader_init(&channel->reader, channel->ring, channel->size, true) == 0;
}

static void
channel_fini(struct channel *channel)
{
	ring_memory_free(channel->ring, channel->size);
}

/* As the packet path does: the slot of some records later is on its way. */
static void
channel_prefetch(const struct channel *channel, uint32_t slots)
{
	const struct verdict_writer *writer = &channel->writer;
	uint64_t position = writer->position + RING_PREFETCH_SLOTS;

	for (; slots != 0; slots--, position++)
		__builtin_prefetch(&writer->slots[position & writer->mask], 1);
}

/* As the packet path does: a record that is made in registers. */
static void
channel_append(struct channel *channel, const uint8_t *payload, uint16_t payload_size)
{
	const uint64_t serial = ++channel->written;
	const verdict_quarter_t quarters[VERDICT_QUARTERS] = {
		{0, 1}, /* time_us */
		{serial, 0},
		{0, serial << 32 | 1}, /* node, realm */
		/* verdict, kind, epoch, payload_size */
		{0, UINT64_C(0x01010001) << 32 | (uint64_t)payload_size << 16},
	};
	uint8_t *to;

	channel_prefetch(channel, 1 + VERDICT_PAYLOAD_SLOTS(payload_size));
	to = verdict_writer_append_quarters(&channel->writer, quarters, payload_size);
	if (payload_size > 0)
		memcpy(to, payload, payload_size);
}

/* MUST have room. */
static void
channel_publish(
	struct channel *channel, uint32_t count, const uint8_t *payload, uint16_t payload_size)
{
	uint32_t i;

	verdict_writer_reserve(&channel->writer, count * (1 + VERDICT_PAYLOAD_SLOTS(payload_size)));
	for (i = 0; i < count; i++)
		channel_append(channel, payload, payload_size);
	verdict_writer_publish(&channel->writer);
}

/* What control does with a subscriber's cursor. */
static void
channel_release(struct channel *channel)
{
	atomic_store_explicit(
		&channel->ring->floor, channel->reader.position, memory_order_release);
}

/* Reads up to `max` records; returns how many, and counts those in order. */
static uint32_t
channel_consume(struct channel *channel, uint32_t max, uint32_t *right)
{
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
	struct verdict_record record;
	uint32_t count = 0;

	while (count < max && verdict_reader_next(&channel->reader, &record, payload) == 1) {
		*right += record.serial == ++channel->read;
		count++;
	}
	channel_release(channel);
	return count;
}

/* ---- the peer with its two ends ---- */

struct peer {
	struct rte_ring *ring;
	uint64_t size;
	uint32_t element_size;
	_Alignas(128) uint64_t written;
	_Alignas(128) uint64_t read;
};

static bool
peer_init(struct peer *peer, uint32_t element_size)
{
	*peer = (struct peer){
		.element_size = element_size,
		.size = (uint64_t)rte_ring_get_memsize_elem(element_size, RING_SLOTS),
	};
	peer->ring = ring_memory(peer->size);
	return peer->ring != NULL &&
	       rte_ring_init(peer->ring, "peer", RING_SLOTS, RING_F_SP_ENQ | RING_F_SC_DEQ) == 0;
}

static void
peer_fini(struct peer *peer)
{
	ring_memory_free(peer->ring, peer->size);
}

/* Returns how many there was room for. Records are made where the ring copies them from. */
static uint32_t
peer_publish(struct peer *peer, uint32_t count)
{
	_Alignas(64) uint8_t elements[PARTS_RING_BURST][ELEMENT_SIZE_MAX];
	uint8_t *at = elements[0];
	uint32_t i;

	for (i = 0; i < count; i++, at += peer->element_size) {
		const struct verdict_record record = {
			.time_us = 1,
			.serial = peer->written + i + 1,
			.realm = 1,
			.node = (uint32_t)i,
			.epoch = 1,
			.kind = 1,
			.verdict = 1,
		};

		memcpy(at, &record, sizeof(record));
		memset(at + sizeof(record), 0x5a, peer->element_size - sizeof(record));
	}
	count = rte_ring_sp_enqueue_burst_elem(
		peer->ring, elements, peer->element_size, count, NULL);
	peer->written += count;
	return count;
}

static uint32_t
peer_consume(struct peer *peer, uint32_t max, uint32_t *right)
{
	_Alignas(64) uint8_t elements[PARTS_RING_BURST][ELEMENT_SIZE_MAX];
	const uint8_t *at = elements[0];
	const uint32_t count =
		rte_ring_sc_dequeue_burst_elem(peer->ring, elements, peer->element_size, max, NULL);
	uint32_t i;

	for (i = 0; i < count; i++, at += peer->element_size) {
		struct verdict_record record;

		memcpy(&record, at, sizeof(record));
		*right += record.serial == ++peer->read;
	}
	return count;
}

/* ---- one thread ---- */

struct parts_ring {
	struct channel channel;
	struct peer peer;
	uint16_t payload_size;
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];
};

struct parts_ring *
parts_ring_create(uint32_t payload_size)
{
	const uint32_t slots = 1 + VERDICT_PAYLOAD_SLOTS(payload_size);
	struct parts_ring *ring = aligned_alloc(128, sizeof(*ring));

	if (ring == NULL)
		return NULL;
	memset(ring, 0, sizeof(*ring));
	ring->payload_size = (uint16_t)payload_size;
	memset(ring->payload, 0x5a, sizeof(ring->payload));
	if (slots * VERDICT_SLOT_SIZE <= ELEMENT_SIZE_MAX && channel_init(&ring->channel) &&
		peer_init(&ring->peer, slots * VERDICT_SLOT_SIZE))
		return ring;
	fprintf(stderr, "parts_ring: no rings for payloads of %u bytes\n", payload_size);
	parts_ring_destroy(ring);
	return NULL;
}

void
parts_ring_destroy(struct parts_ring *ring)
{
	channel_fini(&ring->channel);
	peer_fini(&ring->peer);
	free(ring);
}

void
parts_ring_publish(struct parts_ring *ring, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i += PARTS_RING_BURST)
		channel_publish(
			&ring->channel, PARTS_RING_BURST, ring->payload, ring->payload_size);
}

uint32_t
parts_ring_consume(struct parts_ring *ring, uint32_t count)
{
	uint32_t right = 0;
	uint32_t i;

	for (i = 0; i < count; i += PARTS_RING_BURST)
		channel_consume(&ring->channel, PARTS_RING_BURST, &right);
	return right;
}

void
parts_ring_peer_publish(struct parts_ring *ring, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i += PARTS_RING_BURST)
		peer_publish(&ring->peer, PARTS_RING_BURST);
}

uint32_t
parts_ring_peer_consume(struct parts_ring *ring, uint32_t count)
{
	uint32_t right = 0;
	uint32_t i;

	for (i = 0; i < count; i += PARTS_RING_BURST)
		peer_consume(&ring->peer, PARTS_RING_BURST, &right);
	return right;
}

/* ---- two threads ---- */

enum command {
	COMMAND_TRANSFER,
	COMMAND_PEER,
	COMMAND_ECHO,
	COMMAND_BOUNCE,
	COMMAND_END,
};

/*
 * This thread stores what is to be done and then a new `asked`; the second one does its half,
 * stores how much of it was right, and then the same number in `done`.
 */
struct parts_pair {
	struct channel there;
	struct channel back;
	struct peer peer;
	pthread_t thread;
	unsigned cpu;
	enum command command;
	uint32_t count;
	_Alignas(128) _Atomic uint64_t asked;
	_Alignas(128) _Atomic uint64_t done;
	uint32_t right;
	_Alignas(128) _Atomic uint64_t ping;
	_Alignas(128) _Atomic uint64_t pong;
};

static void
spin_until(const _Atomic uint64_t *word, uint64_t value)
{
	while (atomic_load_explicit(word, memory_order_acquire) != value)
		;
}

static uint32_t
far_transfer(struct parts_pair *pair)
{
	uint32_t right = 0;
	uint32_t count = 0;

	while (count < pair->count)
		count += channel_consume(&pair->there, PARTS_RING_BURST, &right);
	return right;
}

static uint32_t
far_peer(struct parts_pair *pair)
{
	uint32_t right = 0;
	uint32_t count = 0;

	while (count < pair->count)
		count += peer_consume(&pair->peer, PARTS_RING_BURST, &right);
	return right;
}

static uint32_t
far_echo(struct parts_pair *pair)
{
	uint32_t right = 0;
	uint32_t i;

	for (i = 0; i < pair->count; i++) {
		while (channel_consume(&pair->there, 1, &right) == 0)
			;
		channel_publish(&pair->back, 1, NULL, 0);
	}
	return right;
}

static uint32_t
far_bounce(struct parts_pair *pair)
{
	uint64_t round;

	for (round = 1; round <= pair->count; round++) {
		spin_until(&pair->ping, round);
		atomic_store_explicit(&pair->pong, round, memory_order_release);
	}
	return pair->count;
}

static uint32_t
far_do(struct parts_pair *pair)
{
	switch (pair->command) {
	case COMMAND_TRANSFER:
		return far_transfer(pair);
	case COMMAND_PEER:
		return far_peer(pair);
	case COMMAND_ECHO:
		return far_echo(pair);
	case COMMAND_BOUNCE:
		return far_bounce(pair);
	case COMMAND_END:
		break;
	}
	return 0;
}

static void *
far_run(void *argument)
{
	struct parts_pair *pair = argument;
	enum command command;
	cpu_set_t set;
	uint64_t asked = 0;

	CPU_ZERO(&set);
	CPU_SET(pair->cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		fprintf(stderr, "parts_ring: not on CPU %u\n", pair->cpu);
	do {
		spin_until(&pair->asked, ++asked);
		command = pair->command;
		pair->right = far_do(pair);
		atomic_store_explicit(&pair->done, asked, memory_order_release);
	} while (command != COMMAND_END);
	return NULL;
}

static void
pair_ask(struct parts_pair *pair, enum command command, uint32_t count)
{
	pair->command = command;
	pair->count = count;
	atomic_store_explicit(&pair->ping, 0, memory_order_relaxed);
	atomic_store_explicit(&pair->pong, 0, memory_order_relaxed);
	atomic_store_explicit(&pair->asked,
		atomic_load_explicit(&pair->asked, memory_order_relaxed) + 1, memory_order_release);
}

static uint32_t
pair_wait(struct parts_pair *pair)
{
	spin_until(&pair->done, atomic_load_explicit(&pair->asked, memory_order_relaxed));
	return pair->right;
}

static void
pair_free(struct parts_pair *pair)
{
	channel_fini(&pair->there);
	channel_fini(&pair->back);
	peer_fini(&pair->peer);
	free(pair);
}

struct parts_pair *
parts_pair_create(unsigned cpu)
{
	struct parts_pair *pair = aligned_alloc(128, sizeof(*pair));

	if (pair == NULL)
		return NULL;
	memset(pair, 0, sizeof(*pair));
	pair->cpu = cpu;
	if (channel_init(&pair->there) && channel_init(&pair->back) &&
		peer_init(&pair->peer, VERDICT_SLOT_SIZE) &&
		pthread_create(&pair->thread, NULL, far_run, pair) == 0)
		return pair;
	fprintf(stderr, "parts_ring: no second thread\n");
	pair_free(pair);
	return NULL;
}

void
parts_pair_destroy(struct parts_pair *pair)
{
	pair_ask(pair, COMMAND_END, 0);
	pthread_join(pair->thread, NULL);
	pair_free(pair);
}

uint32_t
parts_pair_transfer(struct parts_pair *pair, uint32_t count)
{
	uint32_t i;

	pair_ask(pair, COMMAND_TRANSFER, count);
	for (i = 0; i < count; i += PARTS_RING_BURST) {
		while (verdict_writer_room(&pair->there.writer) < PARTS_RING_BURST)
			;
		channel_publish(&pair->there, PARTS_RING_BURST, NULL, 0);
	}
	return pair_wait(pair);
}

uint32_t
parts_pair_peer_transfer(struct parts_pair *pair, uint32_t count)
{
	uint32_t sent = 0;

	pair_ask(pair, COMMAND_PEER, count);
	while (sent < count)
		sent += peer_publish(&pair->peer,
			count - sent < PARTS_RING_BURST ? count - sent : PARTS_RING_BURST);
	return pair_wait(pair);
}

uint32_t
parts_pair_echo(struct parts_pair *pair, uint32_t rounds)
{
	uint32_t right = 0;
	uint32_t there;
	uint32_t i;

	pair_ask(pair, COMMAND_ECHO, rounds);
	for (i = 0; i < rounds; i++) {
		channel_publish(&pair->there, 1, NULL, 0);
		while (channel_consume(&pair->back, 1, &right) == 0)
			;
	}
	there = pair_wait(pair);
	return right < there ? right : there;
}

void
parts_pair_bounce(struct parts_pair *pair, uint32_t rounds)
{
	uint64_t round;

	pair_ask(pair, COMMAND_BOUNCE, rounds);
	for (round = 1; round <= rounds; round++) {
		atomic_store_explicit(&pair->ping, round, memory_order_release);
		spin_until(&pair->pong, round);
	}
	pair_wait(pair);
}

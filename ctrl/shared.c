/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/shared.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "ctrl/windows.h"
#include "verdict/ring.h"

#define HUGE_PAGE (2ull << 20)

static void
objects_reset(struct shared *shared)
{
	shared->table = MEMORY_OBJECT_NONE;
	shared->stats = MEMORY_OBJECT_NONE;
	shared->replay = MEMORY_OBJECT_NONE;
	shared->meters = MEMORY_OBJECT_NONE;
	for (unsigned worker = 0; worker < TABLE_WORKERS_MAX; worker++) {
		shared->refusal[worker] = MEMORY_OBJECT_NONE;
		for (unsigned group = 0; group < TABLE_GROUPS_MAX; group++)
			shared->delivery[group][worker] = MEMORY_OBJECT_NONE;
	}
}

/* The table's header states its size, which the dataplane compares with the file's. */
static uint64_t
table_bytes(const struct shared *shared, bool has_hugepages)
{
	uint64_t bytes = keytable_size(&shared->shape);

	return has_hugepages ? (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE : bytes;
}

static int
replay_create(struct shared *shared, const struct config *config, uint32_t slot_count,
	struct reason *reason)
{
	struct replay_layout_range ranges[TABLE_REALMS_MAX];
	unsigned count = windows_ranges(config, ranges);
	uint32_t cache_entries = config->dataplane.retransmit_entries;
	uint64_t size = replay_store_size(slot_count, ranges, count, cache_entries);
	uint8_t hash_key[16];
	int error;

	error = memory_object_create(
		&shared->replay, "credgate-replay", size, MEMORY_PAGES_SMALL, reason);
	if (error != 0)
		return error;
	randombytes_buf(hash_key, sizeof(hash_key));
	error = replay_store_format(
		shared->replay.mapping, size, slot_count, ranges, count, cache_entries, hash_key);
	if (error == 0)
		error = replay_store_open(&shared->store, shared->replay.mapping, size);
	if (error != 0)
		return reason_set(
			reason, -error, "the replay windows cannot be laid out; report this");
	return memory_object_seal(&shared->replay, false, reason);
}

static int
stats_create(struct shared *shared, unsigned workers, struct reason *reason)
{
	struct stats_header *stats;
	int error;

	error = memory_object_create(
		&shared->stats, "credgate-stats", stats_size(workers), MEMORY_PAGES_SMALL, reason);
	if (error != 0)
		return error;
	stats = shared->stats.mapping;
	stats->magic = STATS_MAGIC;
	stats->version = STATS_VERSION;
	stats->worker_count = workers;
	return memory_object_seal(&shared->stats, false, reason);
}

/* Every page is written by memory_object_create; the magic comes last. */
static int
meters_create(struct shared *shared, uint32_t slot_count, struct reason *reason)
{
	struct meters_header *meters;
	int error;

	error = memory_object_create(&shared->meters, "credgate-meters", meters_size(slot_count),
		MEMORY_PAGES_SMALL, reason);
	if (error != 0)
		return error;
	meters = shared->meters.mapping;
	meters->version = METERS_VERSION;
	meters->slot_count = slot_count;
	meters->size = shared->meters.size;
	meters->magic = METERS_MAGIC;
	return memory_object_seal(&shared->meters, false, reason);
}

static int
ring_create(struct shared *shared, struct memory_object *object, const char *name,
	uint32_t capacity, enum verdict_ring_kind kind, unsigned group, unsigned worker,
	struct reason *reason)
{
	int error = memory_object_create(
		object, name, verdict_ring_size(capacity), MEMORY_PAGES_SMALL, reason);

	if (error != 0)
		return error;
	verdict_ring_format(object->mapping, capacity, kind, (uint16_t)group, (uint16_t)worker);
	shared->rings_bytes += object->size;
	error = memory_object_seal(object, false, reason);
	return error != 0 ? error : memory_object_open_reader(object, reason);
}

static int
rings_create(struct shared *shared, const struct config *config, struct reason *reason)
{
	uint32_t capacity = config->dataplane.ring_slots;
	int error = 0;

	for (unsigned worker = 0; error == 0 && worker < config->dataplane.workers; worker++) {
		error = ring_create(shared, &shared->refusal[worker], "credgate-refusals", capacity,
			VERDICT_RING_REFUSAL, 0, worker, reason);
		for (unsigned group = 0; error == 0 && group < config->group_count; group++)
			error = ring_create(shared, &shared->delivery[group][worker],
				"credgate-delivery", capacity, VERDICT_RING_DELIVERY, group, worker,
				reason);
	}
	return error;
}

/* Of ordinary memory: hugepages are set apart already. */
static uint64_t
bytes_needed(const struct shared *shared, const struct config *config, uint32_t slot_count,
	bool has_hugepages)
{
	struct replay_layout_range ranges[TABLE_REALMS_MAX];
	unsigned count = windows_ranges(config, ranges);
	uint64_t rings = (uint64_t)(config->group_count + 1) * config->dataplane.workers;

	return (has_hugepages ? 0 : keytable_size(&shared->shape)) +
	       stats_size(config->dataplane.workers) + meters_size(slot_count) +
	       rings * verdict_ring_size(config->dataplane.ring_slots) +
	       replay_store_size(slot_count, ranges, count, config->dataplane.retransmit_entries);
}

int
shared_create(struct shared *shared, const struct config *config, bool has_hugepages,
	struct reason *reason)
{
	uint32_t bases[TABLE_REALMS_MAX];
	uint32_t slot_count = windows_bases(config, bases);
	int error;

	memset(shared, 0, sizeof(*shared));
	objects_reset(shared);
	shared->shape = keytable_shape_for(slot_count);
	error = memory_check(bytes_needed(shared, config, slot_count, has_hugepages), reason);
	if (error == 0)
		error = memory_object_create(&shared->table, "credgate-keys",
			table_bytes(shared, has_hugepages),
			has_hugepages ? MEMORY_PAGES_HUGE : MEMORY_PAGES_SMALL, reason);
	if (error == 0)
		error = memory_object_seal(&shared->table, true, reason);
	if (error == 0)
		error = stats_create(shared, config->dataplane.workers, reason);
	if (error == 0)
		error = replay_create(shared, config, slot_count, reason);
	if (error == 0)
		error = meters_create(shared, slot_count, reason);
	if (error == 0)
		error = rings_create(shared, config, reason);
	if (error != 0) {
		shared_destroy(shared);
		return error;
	}
	shared->is_locked = memory_object_protect(&shared->table);
	return 0;
}

void
shared_destroy(struct shared *shared)
{
	for (unsigned worker = 0; worker < TABLE_WORKERS_MAX; worker++) {
		memory_object_destroy(&shared->refusal[worker]);
		for (unsigned group = 0; group < TABLE_GROUPS_MAX; group++)
			memory_object_destroy(&shared->delivery[group][worker]);
	}
	memory_object_destroy(&shared->meters);
	memory_object_destroy(&shared->replay);
	memory_object_destroy(&shared->stats);
	memory_object_destroy(&shared->table);
}

static struct supervise_object
object_of(const struct memory_object *object, enum setup_object_what what, unsigned group,
	unsigned worker)
{
	return (struct supervise_object){
		.what = what,
		.group = (uint16_t)group,
		.worker = (uint16_t)worker,
		.fd = object->fd,
		.size = object->size,
	};
}

unsigned
shared_objects(const struct shared *shared, const struct config *config,
	struct supervise_object objects[SHARED_OBJECTS_MAX])
{
	unsigned count = 0;

	objects[count++] = object_of(&shared->table, SETUP_OBJECT_TABLE, 0, 0);
	objects[count++] = object_of(&shared->stats, SETUP_OBJECT_STATS, 0, 0);
	objects[count++] = object_of(&shared->replay, SETUP_OBJECT_REPLAY, 0, 0);
	objects[count++] = object_of(&shared->meters, SETUP_OBJECT_METERS, 0, 0);
	for (unsigned worker = 0; worker < config->dataplane.workers; worker++) {
		objects[count++] =
			object_of(&shared->refusal[worker], SETUP_OBJECT_REFUSAL, 0, worker);
		for (unsigned group = 0; group < config->group_count; group++)
			objects[count++] = object_of(&shared->delivery[group][worker],
				SETUP_OBJECT_DELIVERY, group, worker);
	}
	return count;
}

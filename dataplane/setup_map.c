/* SPDX-License-Identifier: BSD-3-Clause */

/* Memory that control hands over: seals, sizes and magics are checked before anything is used. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "dataplane/setup_priv.h"

static const char *
object_name(uint32_t what)
{
	static const char *const names[] = {
		[SETUP_OBJECT_TABLE] = "key table",
		[SETUP_OBJECT_STATS] = "statistics",
		[SETUP_OBJECT_REPLAY] = "replay state",
		[SETUP_OBJECT_DELIVERY] = "delivery ring",
		[SETUP_OBJECT_REFUSAL] = "refusal ring",
		[SETUP_OBJECT_METERS] = "meters",
	};

	return what >= 1 && what <= SETUP_OBJECT_METERS ? names[what] : "unknown object";
}

static int
object_failure(
	struct failure *failure, int error, const struct setup_object *object, const char *what)
{
	return failure_set(failure, error, "set-up: %s (group %u, worker %u): %s",
		object_name(object->what), object->group, object->worker, what);
}

/* Without these seals a peer could shrink the file under us, and every access would be SIGBUS. */
static int
descriptor_check(const struct setup_object *object, int fd, struct failure *failure)
{
	const int need = F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat status;

	if (seals < 0 || (seals & need) != need)
		return object_failure(
			failure, EPERM, object, "is no memfd sealed against resizing");
	if (fstat(fd, &status) < 0 || (uint64_t)status.st_size != object->size || object->size == 0)
		return object_failure(failure, EPROTO, object, "has another size than announced");
	return 0;
}

/*
 * Every page is brought in now: a page fault on the packet path costs microseconds, and memory that
 * is not there must show at start. Kernels before 5.14 do not know MADV_POPULATE_*; there a read of
 * each page is enough, as control has written them all.
 */
static int
pages_populate(void *address, uint64_t size, bool is_writable)
{
	const volatile uint8_t *bytes = address;

	if (madvise(address, size, is_writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	for (uint64_t at = 0; at < size; at += 4096)
		(void)bytes[at];
	return 0;
}

static void *
object_map(struct setup *setup, const struct setup_object *object, int fd, struct failure *failure)
{
	bool is_writable = object->what != SETUP_OBJECT_TABLE;
	void *address = MAP_FAILED;
	int status = -ENOSPC;

	if (setup->mapping_count < SETUP_MAPPINGS_MAX) {
		address = mmap(NULL, object->size, PROT_READ | (is_writable ? PROT_WRITE : 0),
			MAP_SHARED, fd, 0);
		status = -errno;
	}
	if (address == MAP_FAILED) {
		object_failure(failure, -status, object, strerror(-status));
		return NULL;
	}
	setup->mappings[setup->mapping_count].address = address;
	setup->mappings[setup->mapping_count++].size = object->size;
	/* Keys and what applications sent stay out of core files. Huge pages where they are. */
	madvise(address, object->size, MADV_DONTDUMP);
	madvise(address, object->size, MADV_HUGEPAGE);
	status = pages_populate(address, object->size, is_writable);
	if (status < 0) {
		object_failure(failure, -status, object, "there is not enough memory for it");
		return NULL;
	}
	if (!is_writable && mlock(address, object->size) < 0)
		note("keys may be swapped to disk: %s; raise the limit of locked memory "
		     "(LimitMEMLOCK, ulimit -l)",
			strerror(errno));
	return address;
}

/* Does a part of `count` items of `item_size` bytes at `offset` lie within the table? */
static bool
part_fits(const struct table_header *table, uint64_t offset, uint64_t count, uint64_t item_size)
{
	if (count == 0)
		return true;
	return offset >= sizeof(*table) && offset % 64 == 0 && offset <= table->size &&
	       count * item_size <= table->size - offset;
}

static bool
half_fits(const struct table_header *table, const struct table_half *half)
{
	return part_fits(table, half->policy, 1, sizeof(struct table_policy)) &&
	       part_fits(table, half->slots, table->slot_count, sizeof(struct key_slot)) &&
	       part_fits(table, half->replies, table->slot_count, sizeof(struct key_slot)) &&
	       part_fits(table, half->extras, table->extra_count, sizeof(struct key_slot)) &&
	       part_fits(table, half->extra_replies, table->extra_count, sizeof(struct key_slot)) &&
	       part_fits(table, half->buckets, table->bucket_count, sizeof(struct table_bucket)) &&
	       part_fits(table, half->prefixes, table->prefix_count, sizeof(struct table_prefix)) &&
	       part_fits(table, half->rules, 1, sizeof(struct table_rules));
}

static bool
table_is_good(const struct table_header *table, uint64_t size)
{
	return size >= sizeof(*table) && table->magic == TABLE_MAGIC &&
	       table->version == TABLE_VERSION && table->size == size && table->slot_count > 0 &&
	       table->bucket_count > 0 && (table->bucket_count & (table->bucket_count - 1)) == 0 &&
	       half_fits(table, &table->halves[0]) && half_fits(table, &table->halves[1]);
}

static bool
stats_are_good(const struct setup *setup, const struct stats_header *stats, uint64_t size)
{
	return size >= stats_size(setup->config.worker_count) && stats->magic == STATS_MAGIC &&
	       stats->version == STATS_VERSION && stats->worker_count == setup->config.worker_count;
}

static bool
meters_are_good(const struct meters_header *meters, uint64_t size)
{
	return size >= sizeof(*meters) && meters->magic == METERS_MAGIC &&
	       meters->version == METERS_VERSION && meters->size == size &&
	       size >= meters_size(meters->slot_count);
}

static bool
ring_is_good(const struct setup *setup, const struct verdict_ring *ring,
	const struct setup_object *object)
{
	enum verdict_ring_kind kind = object->what == SETUP_OBJECT_DELIVERY ? VERDICT_RING_DELIVERY
									    : VERDICT_RING_REFUSAL;

	return object->group < TABLE_GROUPS_MAX && object->worker < setup->config.worker_count &&
	       verdict_ring_check(ring, object->size) == 0 && ring->kind == kind &&
	       ring->worker == object->worker &&
	       (kind == VERDICT_RING_REFUSAL || ring->group == object->group);
}

/* Puts a mapped object into its place, if it is what it says and comes for the first time. */
static bool
object_place(struct setup *setup, const struct setup_object *object, void *address)
{
	struct verdict_ring **ring;

	switch (object->what) {
	case SETUP_OBJECT_TABLE:
		if (setup->table || !table_is_good(address, object->size))
			return false;
		setup->table = address;
		return true;
	case SETUP_OBJECT_STATS:
		if (setup->stats || !stats_are_good(setup, address, object->size))
			return false;
		setup->stats = address;
		return true;
	case SETUP_OBJECT_REPLAY:
		return !setup->replay.header &&
		       replay_store_open(&setup->replay, address, object->size) == 0;
	case SETUP_OBJECT_METERS:
		if (setup->meters || !meters_are_good(address, object->size))
			return false;
		setup->meters = address;
		return true;
	case SETUP_OBJECT_DELIVERY:
	case SETUP_OBJECT_REFUSAL:
		if (!ring_is_good(setup, address, object))
			return false;
		ring = object->what == SETUP_OBJECT_REFUSAL
			       ? &setup->refusal[object->worker]
			       : &setup->delivery[object->group][object->worker];
		if (*ring)
			return false;
		*ring = address;
		return true;
	default:
		return false;
	}
}

int
setup_map_object(
	struct setup *setup, const struct setup_object *object, int fd, struct failure *failure)
{
	int status = descriptor_check(object, fd, failure);
	void *address;

	if (status < 0)
		return status;
	address = object_map(setup, object, fd, failure);
	if (address == NULL)
		return -failure->error;
	if (!object_place(setup, object, address))
		return object_failure(failure, EPROTO, object,
			"is not of this version, does not fit the configuration, or came twice");
	return 0;
}

/* A group in use has a ring for every worker: the owner of a node delivers, whoever received. */
static bool
group_is_complete(const struct setup *setup, unsigned group)
{
	unsigned count = 0;

	for (unsigned worker = 0; worker < setup->config.worker_count; worker++)
		count += setup->delivery[group][worker] != NULL;
	return count == 0 || count == setup->config.worker_count;
}

int
setup_map_check(const struct setup *setup, struct failure *failure)
{
	if (!setup->table || !setup->stats || !setup->replay.header || !setup->meters)
		return failure_set(failure, EPROTO,
			"set-up: control did not send key table, statistics, replay state and "
			"meters");
	if (setup->replay.slot_count < setup->table->slot_count)
		return failure_set(failure, EPROTO,
			"set-up: the replay state has %u slots, the key table %u",
			setup->replay.slot_count, setup->table->slot_count);
	if (setup->meters->slot_count < setup->table->slot_count)
		return failure_set(failure, EPROTO,
			"set-up: the meters have %u slots, the key table %u",
			setup->meters->slot_count, setup->table->slot_count);
	for (unsigned group = 0; group < TABLE_GROUPS_MAX; group++)
		if (!group_is_complete(setup, group))
			return failure_set(failure, EPROTO,
				"set-up: group %u has no delivery ring for some worker", group);
	return 0;
}

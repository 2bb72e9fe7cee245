/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The dispatcher: finds kernels, makes engines, and splits a batch by suite, so that a kernel sees
 * one suite per call. A batch of one suite, which is nearly every batch, is passed on as it is.
 */

#include <errno.h>
#include <sodium.h>
#include <sys/mman.h>

#include "crypto/tag_priv.h"

struct tag_engine {
	const struct tag_kernel *kernel;
	size_t map_size; /* of the mapping that holds this and the scratch */
	alignas(TAG_SCRATCH_ALIGN) uint8_t scratch[];
};

/* Numbers of a batch's inputs, those of one suite together; an unknown suite is number 0. */
struct suites {
	unsigned counts[CRED_SUITE_COUNT];
	uint8_t members[CRED_SUITE_COUNT][TAG_BATCH_MAX];
};

/* The inputs of one suite, picked out of a mixed batch. */
struct group {
	uint8_t suite;
	unsigned count;
	const uint8_t *members; /* numbers in the caller's arrays */
	const struct key_slot *slots[TAG_BATCH_MAX];
	uint16_t sizes[TAG_BATCH_MAX];
};

static const struct tag_kernel *const kernels[TAG_KERNEL_COUNT] = {
	[TAG_KERNEL_IPSECMB] = &tag_kernel_ipsecmb,
	[TAG_KERNEL_AESNI] = &tag_kernel_aesni,
	[TAG_KERNEL_VAES512] = &tag_kernel_vaes512,
};

static const struct tag_kernel *
kernel_of(enum tag_kernel_id id)
{
	return (unsigned)id < TAG_KERNEL_COUNT ? kernels[id] : NULL;
}

const char *
tag_kernel_name(enum tag_kernel_id id)
{
	if (id == TAG_KERNEL_AUTO)
		return "auto";
	return kernel_of(id) != NULL ? kernel_of(id)->name : NULL;
}

int
tag_kernel_find(const char *name)
{
	int id;

	for (id = 0; id < TAG_KERNEL_COUNT; id++) {
		if (strcmp(name, tag_kernel_name((enum tag_kernel_id)id)) == 0)
			return id;
	}
	return -1;
}

bool
tag_kernel_is_supported(enum tag_kernel_id id)
{
	return kernel_of(id) != NULL && kernel_of(id)->is_supported();
}

int
tag_kernel_choose(enum tag_kernel_id wanted, char *why, size_t why_size)
{
	return tag_check_choose(kernels + 1, TAG_KERNEL_COUNT - 1, wanted, why, why_size);
}

/*
 * A mapping of its own, not the heap: the scratch holds key schedules, which must not end up in a
 * core file, and page alignment suits every kernel.
 */
struct tag_engine *
tag_engine_create_from(const struct tag_kernel *kernel)
{
	const size_t size = sizeof(struct tag_engine) + kernel->scratch_size;
	struct tag_engine *engine;
	int rc;

	if (!kernel->is_supported()) {
		errno = ENOTSUP;
		return NULL;
	}
	engine = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (engine == MAP_FAILED)
		goto err_map;
	madvise(engine, size, MADV_DONTDUMP); /* advice: without it the engine works as well */
	engine->kernel = kernel;
	engine->map_size = size;
	rc = kernel->scratch_init(engine->scratch);
	if (rc != 0)
		goto err_scratch;
	return engine;

err_scratch:
	munmap(engine, size);
err_map:
	errno = ENOMEM;
	return NULL;
}

struct tag_engine *
tag_engine_create(enum tag_kernel_id id)
{
	if (kernel_of(id) == NULL) {
		errno = ENOTSUP;
		return NULL;
	}
	return tag_engine_create_from(kernel_of(id));
}

void
tag_engine_destroy(struct tag_engine *engine)
{
	size_t map_size;

	if (engine == NULL)
		return;
	map_size = engine->map_size;
	engine->kernel->scratch_fini(engine->scratch);
	sodium_memzero(engine, map_size);
	munmap(engine, map_size);
}

void *
tag_engine_scratch(struct tag_engine *engine)
{
	return engine->scratch;
}

const char *
tag_engine_name(const struct tag_engine *engine)
{
	return engine->kernel->name;
}

/* The suite that all share, or 0. Suites are public, and the branch is foreseen. */
static uint8_t
batch_suite(const struct key_slot *const *slots, unsigned count)
{
	const uint8_t suite = slots[0]->suite;
	unsigned i;

	for (i = 1; i < count; i++) {
		if (slots[i]->suite != suite)
			return 0;
	}
	return cred_suite_is_known(suite) ? suite : 0;
}

/* Without a branch on each suite: nothing foresees them in a mixed batch. */
static void
suites_sort(struct suites *suites, const struct key_slot *const *slots, unsigned count)
{
	unsigned i;

	memset(suites->counts, 0, sizeof(suites->counts));
	for (i = 0; i < count; i++) {
		const uint8_t suite = slots[i]->suite;
		const unsigned place = suite < CRED_SUITE_COUNT ? suite : 0;

		suites->members[place][suites->counts[place]++] = (uint8_t)i;
	}
}

/* Returns the count, 0 if no input has this suite. */
static unsigned
group_pick(struct group *group, const struct suites *suites, uint8_t suite,
	const struct key_slot *const *slots, const uint16_t *sizes)
{
	unsigned i;

	group->suite = suite;
	group->count = suites->counts[suite];
	group->members = suites->members[suite];
	for (i = 0; i < group->count; i++) {
		group->slots[i] = slots[group->members[i]];
		group->sizes[i] = sizes[group->members[i]];
	}
	return group->count;
}

static uint64_t
group_verify(struct tag_engine *engine, const struct group *group, const uint8_t *const *all_msgs,
	struct tag_identity *all_ids)
{
	const uint8_t *msgs[TAG_BATCH_MAX];
	struct tag_identity ids[TAG_BATCH_MAX];
	uint64_t proved, all_proved = 0;
	unsigned i;

	for (i = 0; i < group->count; i++)
		msgs[i] = all_msgs[group->members[i]];
	proved = engine->kernel->verify(
		engine->scratch, group->suite, group->slots, msgs, group->sizes, ids, group->count);
	for (i = 0; i < group->count; i++) {
		all_ids[group->members[i]] = ids[i];
		all_proved |= (proved >> i & 1) << group->members[i];
	}
	return all_proved;
}

static void
group_seal(struct tag_engine *engine, const struct group *group, uint8_t *const *all_msgs)
{
	uint8_t *msgs[TAG_BATCH_MAX];
	unsigned i;

	for (i = 0; i < group->count; i++)
		msgs[i] = all_msgs[group->members[i]];
	engine->kernel->seal(
		engine->scratch, group->suite, group->slots, msgs, group->sizes, group->count);
}

static void
group_unseal(struct tag_engine *engine, const struct group *group,
	const struct tag_counter *all_counters, const uint8_t *const *all_srcs,
	uint8_t *const *all_dsts)
{
	struct tag_counter counters[TAG_BATCH_MAX];
	const uint8_t *srcs[TAG_BATCH_MAX];
	uint8_t *dsts[TAG_BATCH_MAX];
	unsigned i;

	for (i = 0; i < group->count; i++) {
		counters[i] = all_counters[group->members[i]];
		srcs[i] = all_srcs[group->members[i]];
		dsts[i] = all_dsts[group->members[i]];
	}
	engine->kernel->ctr(engine->scratch, group->suite, group->slots, counters, srcs, dsts,
		group->sizes, group->count);
}

/* An unsealed payload is in clear already. */
static void
group_copy(const struct group *group, const uint8_t *const *srcs, uint8_t *const *dsts)
{
	unsigned i, at;

	for (i = 0; i < group->count; i++) {
		at = group->members[i];
		memmove(dsts[at], srcs[at], group->sizes[i]);
	}
}

uint64_t
tag_batch_verify(struct tag_engine *engine, const struct key_slot *const *slots,
	const uint8_t *const *msgs, const uint16_t *sizes, struct tag_identity *ids, unsigned count)
{
	struct suites suites;
	struct group group;
	uint64_t proved = 0;
	uint8_t suite;

	if (count == 0)
		return 0;
	suite = batch_suite(slots, count);
	if (suite != 0)
		return engine->kernel->verify(
			engine->scratch, suite, slots, msgs, sizes, ids, count);
	memset(ids, 0, count * sizeof(*ids)); /* an unknown suite proves nothing */
	suites_sort(&suites, slots, count);
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		if (group_pick(&group, &suites, suite, slots, sizes) > 0)
			proved |= group_verify(engine, &group, msgs, ids);
	}
	return proved;
}

void
tag_batch_seal(struct tag_engine *engine, const struct key_slot *const *slots, uint8_t *const *msgs,
	const uint16_t *sizes, unsigned count)
{
	struct suites suites;
	struct group group;
	uint8_t suite;

	if (count == 0)
		return;
	suite = batch_suite(slots, count);
	if (suite != 0) {
		engine->kernel->seal(engine->scratch, suite, slots, msgs, sizes, count);
		return;
	}
	suites_sort(&suites, slots, count);
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		if (group_pick(&group, &suites, suite, slots, sizes) > 0)
			group_seal(engine, &group, msgs);
	}
}

void
tag_batch_unseal(struct tag_engine *engine, const struct key_slot *const *slots,
	const uint64_t *serials, const uint32_t *salts, const uint8_t *const *srcs,
	uint8_t *const *dsts, const uint16_t *payload_sizes, unsigned count)
{
	struct tag_counter counters[TAG_BATCH_MAX];
	struct suites suites;
	struct group group;
	uint8_t suite;
	unsigned i;

	for (i = 0; i < count; i++)
		tag_counter_build(&counters[i], salts[i], serials[i], 1);
	suites_sort(&suites, slots, count);
	for (suite = 1; suite < CRED_SUITE_COUNT; suite++) {
		if (group_pick(&group, &suites, suite, slots, payload_sizes) == 0)
			continue;
		if (cred_suite_is_sealed(suite))
			group_unseal(engine, &group, counters, srcs, dsts);
		else
			group_copy(&group, srcs, dsts);
	}
}

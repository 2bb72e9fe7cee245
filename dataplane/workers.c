/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "dataplane/budget.h"
#include "dataplane/eal.h"

static uint64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Where the ring from one worker to another lies; NULL for a worker and itself. */
static struct handoff_ring *
handoff_ring_of(const struct workers *workers, size_t ring_size, unsigned from, unsigned to)
{
	size_t index = (size_t)from * workers->count + to;

	return from == to ? NULL : (void *)((uint8_t *)workers->handoff + index * ring_size);
}

/* Outside EAL memory, which a zero-copy peer may see, and out of core files, as payloads are. */
static int
handoff_create(struct workers *workers, uint32_t slots, struct failure *failure)
{
	size_t ring_size = handoff_ring_size(slots);

	if (workers->count == 1)
		return 0;
	workers->handoff_size = ring_size * workers->count * workers->count;
	workers->handoff = mmap(NULL, workers->handoff_size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (workers->handoff == MAP_FAILED) {
		workers->handoff = NULL;
		return failure_set(failure, ENOMEM,
			"no memory for the rings between %u workers: lower handoff_slots",
			workers->count);
	}
	madvise(workers->handoff, workers->handoff_size, MADV_DONTDUMP);
	madvise(workers->handoff, workers->handoff_size, MADV_HUGEPAGE);
	for (unsigned from = 0; from < workers->count; from++)
		for (unsigned to = 0; to < workers->count; to++)
			if (from != to)
				handoff_ring_format(
					handoff_ring_of(workers, ring_size, from, to), slots);
	return 0;
}

static void
config_fill(struct worker_config *config, const struct workers *workers, const struct setup *setup,
	unsigned index)
{
	size_t ring_size = workers->count > 1 ? handoff_ring_size(setup->config.handoff_slots) : 0;

	config->index = index;
	config->stats = stats_worker(setup->stats, index);
	for (unsigned group = 0; group < TABLE_GROUPS_MAX; group++)
		config->delivery[group] = setup->delivery[group][index];
	config->refusal = setup->refusal[index];
	for (unsigned peer = 0; peer < workers->count; peer++) {
		config->handoff_in[peer] = handoff_ring_of(workers, ring_size, peer, index);
		config->handoff_out[peer] = handoff_ring_of(workers, ring_size, index, peer);
	}
}

/* A worker's share of the answers a second; a small budget is not rounded to none. */
static uint32_t
ping_share(const struct setup_config *config)
{
	return (config->ping_per_s + config->worker_count - 1) / config->worker_count;
}

static int
loop_create(struct workers *workers, const struct worker_config *config,
	const struct setup_config *setup, struct failure *failure)
{
	struct loop *loop = &workers->loops[config->index];

	loop->worker = worker_create(config);
	if (loop->worker == NULL)
		return failure_set(failure, errno, "worker %u cannot be made: %s", config->index,
			strerror(errno));
	loop->stats = config->stats;
	loop->is_stopping = &workers->is_stopping;
	loop->sleep_us_max = setup->idle_sleep_us;
	loop->queue = (uint16_t)config->index;
	neighbour_budget_init(&loop->budget, ping_share(setup), clock_us(CLOCK_MONOTONIC));
	return 0;
}

static void
state_recover(struct setup *setup)
{
	struct verdict_ring *rings[(TABLE_GROUPS_MAX + 1) * TABLE_WORKERS_MAX];
	unsigned count = 0, published;

	for (unsigned worker = 0; worker < setup->config.worker_count; worker++) {
		for (unsigned group = 0; group < TABLE_GROUPS_MAX; group++)
			if (setup->delivery[group][worker])
				rings[count++] = setup->delivery[group][worker];
		if (setup->refusal[worker])
			rings[count++] = setup->refusal[worker];
	}
	published = worker_recover(&setup->replay, setup->table, rings, count);
	if (published > 0)
		note("published %u verdicts that a dataplane had promised before it died",
			published);
}

int
workers_create(struct workers *workers, struct setup *setup, const struct ports *ports,
	enum tag_kernel_id kernel, int wake_fd, struct failure *failure)
{
	struct worker_config config = {
		.worker_count = setup->config.worker_count,
		.kernel = kernel,
		.table = setup->table,
		.replay = &setup->replay,
		.meters = setup->meters,
		.refusals_per_s = setup->config.refusals_per_s,
		.failures_per_s = BUDGET_A_SECOND,
		.ports = ports->views,
		.port_count = ports->count,
		.start_us = clock_us(CLOCK_REALTIME),
	};
	int status;

	workers->count = config.worker_count;
	atomic_store(&workers->is_stopping, false);
	atomic_store(&setup->stats->cycles_hz, rte_get_tsc_hz());
	workers->loops = aligned_alloc(_Alignof(struct loop), sizeof(struct loop) * workers->count);
	if (workers->loops == NULL ||
		getrandom(config.reply_salt, sizeof(config.reply_salt), 0) !=
			(ssize_t)sizeof(config.reply_salt) ||
		getrandom(config.budget_key, sizeof(config.budget_key), 0) !=
			(ssize_t)sizeof(config.budget_key))
		return failure_set(failure, ENOMEM, "no memory for %u workers", workers->count);
	memset(workers->loops, 0, sizeof(struct loop) * workers->count);
	state_recover(setup);
	status = handoff_create(workers, setup->config.handoff_slots, failure);
	for (unsigned i = 0; i < workers->count && status == 0; i++) {
		config_fill(&config, workers, setup, i);
		workers->loops[i].ports = ports;
		workers->loops[i].wake_fd = wake_fd;
		status = loop_create(workers, &config, &setup->config, failure);
	}
	return status;
}

void
workers_destroy(struct workers *workers)
{
	for (unsigned i = 0; workers->loops && i < workers->count; i++)
		worker_destroy(workers->loops[i].worker);
	free(workers->loops);
	if (workers->handoff)
		munmap(workers->handoff, workers->handoff_size);
}

int
workers_launch(struct workers *workers, struct failure *failure)
{
	for (unsigned i = 0; i < workers->count; i++) {
		int status =
			rte_eal_remote_launch(loop_run, &workers->loops[i], EAL_WORKER_LCORE(i));

		if (status < 0)
			return failure_set(failure, -status, "worker %u does not start: %s", i,
				strerror(-status));
		workers->running = i + 1;
	}
	return 0;
}

void
workers_stop(struct workers *workers)
{
	atomic_store(&workers->is_stopping, true);
	while (workers->running > 0)
		rte_eal_wait_lcore(EAL_WORKER_LCORE(--workers->running));
}

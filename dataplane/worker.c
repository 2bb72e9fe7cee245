/* SPDX-License-Identifier: BSD-3-Clause */

/* A worker's life, and the map of the packet path. */

#include "dataplane/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "dataplane/burst.h"
#include "dataplane/parse_priv.h"

static bool
config_is_whole(const struct worker_config *config)
{
	unsigned peer;

	if (config->worker_count == 0 || config->worker_count > TABLE_WORKERS_MAX ||
		config->index >= config->worker_count || config->table == NULL ||
		config->stats == NULL || config->replay == NULL ||
		config->replay->slot_count == 0 || config->meters == NULL ||
		config->ports == NULL || config->port_count > SETUP_PORTS_MAX)
		return false;
	for (peer = 0; peer < config->worker_count; peer++)
		if (peer != config->index &&
			(config->handoff_in[peer] == NULL || config->handoff_out[peer] == NULL))
			return false;
	return true;
}

/* Who has chosen a kernel without AVX-512 wants none of it. */
static burst_parse_t *
parse_choose(enum tag_kernel_id kernel)
{
	return kernel == TAG_KERNEL_VAES512 && parse_avx512_is_supported() ? parse_avx512
									   : parse_portable;
}

struct worker *
worker_create(const struct worker_config *config)
{
	struct worker *worker;
	unsigned port;

	if (!config_is_whole(config)) {
		errno = EINVAL;
		return NULL;
	}
	worker = aligned_alloc(_Alignof(struct worker), sizeof(*worker));
	if (worker == NULL)
		return NULL;
	memset(worker, 0, sizeof(*worker)); /* and every page is there */
	worker->engine = tag_engine_create(config->kernel);
	if (worker->engine == NULL) {
		free(worker);
		return NULL;
	}
	worker->parse = parse_choose(config->kernel);
	worker->rules = worker->parse == parse_avx512 ? rules_avx512 : rules_portable;
	worker->config = *config;
	worker->stats = config->stats;
	worker->replay = config->replay;
	worker->ports = config->ports;
	worker->index = config->index;
	worker->worker_count = config->worker_count;
	worker->answers.serial_count = config->start_us;
	for (port = 0; port < config->port_count; port++)
		frame_shape_init(&worker->shapes[port], &config->ports[port]);
	budget_init(&worker->budget, config->budget_key, config->failures_per_s);
	deliver_init(worker);
	return worker;
}

void
worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	worker_offline(worker);
	tag_engine_destroy(worker->engine);
	free(worker);
}

void
worker_offline(struct worker *worker)
{
	atomic_store_explicit(&worker->stats->seen, 0, memory_order_release);
}

/*
 * Control either sees `seen` and leaves the half alone that it names, or has published before our
 * fence, and then the next burst's load finds the newer table (dataplane/table.h).
 */
void
worker_online(struct worker *worker)
{
	const uint64_t generation =
		atomic_load_explicit(&worker->config.table->generation, memory_order_acquire);

	atomic_store_explicit(&worker->stats->seen, generation, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

/* Shapes are of one generation, and of clocks that do not go back (claim_shape.serial_max). */
static void
shapes_forget(struct worker *worker)
{
	memset(worker->claims, 0, sizeof(worker->claims));
	memset(worker->packets, 0, sizeof(worker->packets));
}

static void
burst_open(
	struct worker *worker, const struct burst_frame *frames, uint64_t now_us, uint64_t mono_us)
{
	const uint64_t generation =
		atomic_load_explicit(&worker->config.table->generation, memory_order_acquire);
	struct burst *burst = &worker->burst;
	const uint64_t incarnation_max_before = burst->incarnation_max;

	view_open(
		&burst->view, worker->config.table, generation, worker->replay->slot_count, now_us);
	burst->frames = frames;
	burst->now_us = now_us;
	burst->mono_us = mono_us;
	burst->mono_ms = mono_us / 1000;
	burst->mono_ns = mono_us * 1000;
	burst->incarnation_max = (uint64_t)burst->view.now_s + BURST_INCARNATION_AHEAD_S;
	if (generation != worker->generation || burst->incarnation_max < incarnation_max_before)
		shapes_forget(worker);
	if (generation == worker->generation)
		return;
	worker->generation = generation;
	burst->groups = view_groups(&burst->view) & worker->deliver.present & DELIVER_GROUPS;
}

static void
burst_close(struct worker *worker)
{
	atomic_store_explicit(&worker->stats->seen, worker->generation, memory_order_release);
}

static void
count_frames(struct worker_stats *stats, const struct burst_frame *frames, unsigned count)
{
	uint64_t bytes = 0;
	unsigned i;

	for (i = 0; i < count; i++)
		bytes += frames[i].size;
	stat_add(&stats->rx_frames, count);
	stat_add(&stats->rx_bytes, bytes);
	stat_add(&stats->bursts, 1);
}

void
worker_burst_at(struct worker *worker, const struct burst_frame *frames, unsigned count,
	uint64_t now_us, uint64_t mono_us, struct burst_result *result)
{
	unsigned live;

	assert(count <= BURST_FRAMES_MAX);
	result->neighbours = 0;
	burst_open(worker, frames, now_us, mono_us);
	live = burst_parse(worker, count, result);
	live = burst_admit(worker, live);
	live = burst_verify(worker, live);
	burst_rules(worker, live);
	live = burst_handoff(worker, live);
	result->work = count + burst_own(worker, live);
	deliver_publish(worker);
	answer_flush(worker, result);
	burst_close(worker);
	if (result->work != 0)
		count_frames(worker->stats, frames, count);
}

static uint64_t
clock_us(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void
worker_burst(struct worker *worker, const struct burst_frame *frames, unsigned count,
	struct burst_result *result)
{
	worker_burst_at(
		worker, frames, count, clock_us(CLOCK_REALTIME), clock_us(CLOCK_MONOTONIC), result);
}

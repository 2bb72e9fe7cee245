/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/path_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "perf/path_rig_priv.h"
#include "perf/path_stages.h"

/* As control has them (docs/configuration.md). */
#define RIG_WINDOW_BITS       65536u
#define RIG_WINDOW_BITS_LARGE 8192u /* with more nodes than: */
#define RIG_NODES_LARGE       16384u
#define RIG_WINDOW_MEMORY_MAX (1ull << 30)
#define RIG_HANDOFF_SLOTS     4096u

#define RIG_AGREE_FRAMES 4096u
#define RIG_AGREE_ROUNDS 4u

void *
rig_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, size, MADV_HUGEPAGE);
	memset(memory, 0, size);
	return memory;
}

static uint32_t
window_bits(uint32_t nodes)
{
	uint32_t bits = nodes > RIG_NODES_LARGE ? RIG_WINDOW_BITS_LARGE : RIG_WINDOW_BITS;

	while ((uint64_t)(nodes + 1) * (bits / 8) > RIG_WINDOW_MEMORY_MAX)
		bits /= 2;
	return bits;
}

static uint8_t
node_suite(const struct path_rig *rig, uint32_t node)
{
	switch (rig->params.suites) {
	case PATH_SUITE_UNSEALED:
		return CRED_SUITE_CMAC128;
	case PATH_SUITES_ALL:
		return (uint8_t)(1 + node % (CRED_SUITE_COUNT - 1));
	default:
		return CRED_SUITE_DEFAULT;
	}
}

static uint32_t
epoch_count(const struct path_rig *rig)
{
	return rig->params.second_epoch || rig->params.is_draining ? 2 : 1;
}

static void
nodes_add(struct path_rig *rig)
{
	const uint32_t nodes = rig->params.nodes;
	uint32_t epoch, node;

	for (epoch = 1; epoch <= epoch_count(rig); epoch++)
		for (node = 1; node <= nodes; node++)
			rig->slots[(epoch - 1) * (nodes + 1) + node] =
				fixture_node_add(&rig->fixture, FIXTURE_REALM, node,
					(uint16_t)epoch, node_suite(rig, node));
	for (node = 1; node <= nodes; node++)
		rig->serials[node] = 1 + (rig_random(rig) & 63); /* not all change words at once */
}

static void
audiences_add(struct path_rig *rig)
{
	struct table_realm *realm = fixture_realm(&rig->fixture, FIXTURE_REALM);
	uint32_t i;

	static_assert(PATH_AUDIENCES <= TABLE_AUDIENCES_MAX, "a realm serves them all");
	realm->audience_count = PATH_AUDIENCES;
	for (i = 0; i < PATH_AUDIENCES; i++)
		realm->audiences[i] = (struct table_audience){
			.audience = FIXTURE_AUDIENCE + i,
			.groups = 1,
		};
}

/* Nodes are of so many classes, each with a program of its own: more than one stays in use. */
#define RIG_CLASSES 8u
#define RIG_COLUMNS (TABLE_RULE_KINDS * 2)

/* Each rule allows a range of uids; of these nobody but the last one's is sent. */
static void
program_add(struct table_rules *rules, uint32_t class, uint32_t rule_count)
{
	const uint32_t vector_count = (2 * rule_count + TABLE_LANES - 1) / TABLE_LANES;
	const uint32_t group_count = (vector_count + TABLE_SPAN_VECTORS - 1) / TABLE_SPAN_VECTORS;
	struct table_lane_group *groups = &rules->groups[class * group_count];
	uint32_t border;

	for (border = 0; border < group_count * TABLE_SPAN_VECTORS * TABLE_LANES; border++)
		table_span_borders(groups, border / TABLE_LANES)[border % TABLE_LANES] =
			border < 2 * rule_count ? 999 - 10 * (rule_count - 1) + 5 * border
						: UINT32_MAX;
	rules->programs[TABLE_OUTCOMES + class] = (struct table_program){
		.group = class * group_count,
		.group_count = (uint16_t)group_count,
		.otherwise = TABLE_OUTCOME_DENY,
		.form = TABLE_PROGRAM_UID_SPANS,
		.odd = TABLE_OUTCOME_ALLOW,
		.vector_count = (uint8_t)vector_count,
	};
}

static void
rules_add(struct path_rig *rig)
{
	struct table_rules *rules = rig->fixture.rules;
	uint32_t class, cell;

	rules->has_rules = rig->params.rules != 0;
	rules->has_limits = rig->params.is_limited;
	for (class = 0; class < RIG_CLASSES; class ++) {
		rules->classes[1 + class].cells = (1 + class) * RIG_COLUMNS;
		if (rig->params.is_limited) {
			rules->classes[1 + class].node_interval_ns = 1;
			rules->classes[1 + class].node_depth_ns = UINT64_C(1) << 40;
			rules->classes[1 + class].limit = 1;
		}
		program_add(rules, class, rig->params.rules);
		for (cell = 0; rig->params.rules != 0 && cell < RIG_COLUMNS; cell++)
			rules->cells[(1 + class) * RIG_COLUMNS + cell] =
				(uint16_t)(TABLE_OUTCOMES + class);
	}
	rig->fixture.meters->shares[1][0].depth_ns = UINT64_C(1) << 40;
	rig->fixture.meters->shares[1][0].interval_ns = 1;
}

/* Every epoch of a node has its class. */
static void
classes_add(struct path_rig *rig)
{
	const uint32_t nodes = rig->params.nodes;
	uint32_t epoch, node;

	for (epoch = 0; epoch < epoch_count(rig); epoch++)
		for (node = 1; node <= nodes; node++)
			rig->slots[epoch * (nodes + 1) + node]->policy =
				(uint16_t)(1 + node % RIG_CLASSES);
}

static bool
rig_fill(struct path_rig *rig)
{
	const uint32_t nodes = rig->params.nodes;

	rig->frames = rig_memory(rig->frame_count * sizeof(rig->frames[0]));
	rig->keys = calloc(rig->frame_count, sizeof(rig->keys[0]));
	rig->spans = calloc(rig->frame_count, sizeof(rig->spans[0]));
	rig->serials = calloc(nodes + 1, sizeof(rig->serials[0]));
	rig->slots = calloc((size_t)epoch_count(rig) * (nodes + 1), sizeof(rig->slots[0]));
	if (rig->frames == NULL || rig->keys == NULL || rig->spans == NULL ||
		rig->serials == NULL || rig->slots == NULL || !rig_frames_prepare(rig))
		return false;
	nodes_add(rig);
	if (rig->params.many_audiences)
		audiences_add(rig);
	if (rig->params.rules != 0 || rig->params.is_limited) {
		rules_add(rig);
		classes_add(rig);
	}
	return true;
}

/* The least power of two that holds them. */
static uint32_t
extras_max(const struct path_rig *rig)
{
	uint32_t max = 64;

	while (epoch_count(rig) > 1 && max < rig->params.nodes)
		max *= 2;
	return max;
}

static struct fixture_params
rig_fixture_params(const struct path_rig *rig)
{
	const struct path_rig_params *params = &rig->params;
	struct fixture_params fixture = fixture_params_default();

	fixture.worker_count = params->worker_count;
	fixture.nodes_max = params->nodes * (params->traffic == PATH_UNKNOWN ? 2 : 1);
	fixture.window_bits = rig->window_bits;
	fixture.ring_slots = VERDICT_RING_SLOTS_DEFAULT;
	fixture.handoff_slots = RIG_HANDOFF_SLOTS;
	fixture.cache_entries = REPLAY_CACHE_ENTRIES_DEFAULT;
	fixture.extras_max = extras_max(rig);
	fixture.use_hugepages = true;
	fixture.refusals_per_s = 1000;
	fixture.kernel = (enum tag_kernel_id)tag_kernel_find(params->kernel);
	return fixture;
}

struct path_rig *
path_rig_create(const struct path_rig_params *params)
{
	struct path_rig *rig = aligned_alloc(_Alignof(struct path_rig), sizeof(*rig));
	struct fixture_params fixture;

	if (rig == NULL)
		return NULL;
	memset(rig, 0, sizeof(*rig));
	rig->params = *params;
	if (rig->params.worker_count == 0)
		rig->params.worker_count = 1;
	rig->frame_count = params->frames * rig->params.worker_count;
	rig->window_bits = window_bits(params->nodes);
	rig->random = 0x9e3779b97f4a7c15ull + params->seed;
	fixture = rig_fixture_params(rig);
	fixture_init(&rig->fixture, &fixture);
	if (!rig_fill(rig)) {
		fprintf(stderr, "path_rig: no memory\n");
		path_rig_destroy(rig);
		return NULL;
	}
	return rig;
}

void
path_rig_destroy(struct path_rig *rig)
{
	if (rig == NULL)
		return;
	if (rig->memory != NULL)
		munmap(rig->memory, (size_t)rig->frame_count * rig->stride);
	if (rig->frames != NULL)
		munmap(rig->frames, rig->frame_count * sizeof(rig->frames[0]));
	free(rig->slots);
	free(rig->keys);
	free(rig->spans);
	free(rig->serials);
	fixture_fini(&rig->fixture);
	free(rig);
}

/* ---- walks ---- */

void
path_rig_claim(struct path_rig *rig, unsigned worker)
{
	const size_t size = (size_t)rig->params.frames * rig->stride;
	volatile uint8_t *at = rig->memory + worker * size;
	size_t i;

	for (i = 0; i < size; i += 64)
		at[i] = at[i];
}

static unsigned
rig_burst(struct path_rig *rig, unsigned worker, const struct burst_frame *frames, unsigned count)
{
	struct burst_result *result = &rig->results[worker];

	worker_burst_at(rig->fixture.workers[worker], frames, count, rig->fixture.now_us,
		rig->fixture.mono_us, result);
	return result->work;
}

/* What the others hand over, until they have nothing more to hand over. */
static void
rig_drain(struct path_rig *rig, unsigned worker)
{
	bool all_walked;

	atomic_fetch_add_explicit(&rig->walked, 1, memory_order_release);
	do
		all_walked = atomic_load_explicit(&rig->walked, memory_order_acquire) ==
			     rig->params.worker_count;
	while (rig_burst(rig, worker, NULL, 0) != 0 || !all_walked);
}

void
path_rig_walk(struct path_rig *rig, unsigned worker)
{
	const struct burst_frame *frames = rig->frames + worker * rig->params.frames;
	uint32_t i;

	for (i = 0; i < rig->params.frames; i += RIG_BURST)
		rig_burst(rig, worker, frames + i, RIG_BURST);
	if (rig->params.worker_count > 1)
		rig_drain(rig, worker);
}

uint32_t
path_rig_bursts(const struct path_rig *rig)
{
	return rig->params.frames / RIG_BURST;
}

void
path_rig_walk_stages(struct path_rig *rig, unsigned worker, uint32_t *cycles)
{
	const struct burst_frame *frames = rig->frames + worker * rig->params.frames;
	uint32_t i;

	for (i = 0; i < path_rig_bursts(rig); i++)
		path_stages_burst(rig->fixture.workers[worker], frames + i * RIG_BURST, RIG_BURST,
			rig->fixture.now_us, rig->fixture.mono_us, &rig->results[worker],
			cycles + i * PATH_STAGES);
	if (rig->params.worker_count > 1)
		rig_drain(rig, worker);
}

/* ---- checks ---- */

/* Two rigs that began alike have minted the same frames: have they come to the same? */
static bool
rigs_agree(const struct path_rig *a, const struct path_rig *b)
{
	const struct fixture *f = &a->fixture;

	return memcmp(stats_worker(f->stats, 0), stats_worker(b->fixture.stats, 0),
		       sizeof(struct worker_stats)) == 0 &&
	       memcmp(f->delivery[0][0], b->fixture.delivery[0][0], f->ring_size) == 0 &&
	       memcmp(f->refusal[0], b->fixture.refusal[0], f->ring_size) == 0 &&
	       memcmp(f->replay_mapping, b->fixture.replay_mapping, f->replay_size) == 0 &&
	       memcmp(f->meters, b->fixture.meters, meters_size(f->table->slot_count)) == 0;
}

static bool
rigs_walk(struct path_rig *plain, struct path_rig *staged)
{
	static uint32_t cycles[RIG_AGREE_FRAMES / RIG_BURST * PATH_STAGES];
	unsigned round;

	for (round = 0; round < RIG_AGREE_ROUNDS; round++) {
		path_rig_mint(plain);
		path_rig_walk(plain, 0);
		path_rig_mint(staged);
		path_rig_walk_stages(staged, 0, cycles);
	}
	return path_rig_is_right(plain) && rigs_agree(plain, staged);
}

bool
path_rig_stages_agree(const struct path_rig_params *params)
{
	struct path_rig_params few = *params;
	struct path_rig *plain, *staged;
	bool agree;

	few.frames = RIG_AGREE_FRAMES;
	few.worker_count = 1;
	if (few.nodes > RIG_AGREE_FRAMES)
		few.nodes = RIG_AGREE_FRAMES;
	plain = path_rig_create(&few);
	staged = path_rig_create(&few);
	agree = plain != NULL && staged != NULL && rigs_walk(plain, staged);
	path_rig_destroy(plain);
	path_rig_destroy(staged);
	return agree;
}

/* Has all that had to become `usual` become it, or `rare`? */
static bool
is_either(const struct path_rig *rig, enum verdict usual, enum verdict rare)
{
	return fixture_proved(&rig->fixture, usual) + fixture_proved(&rig->fixture, rare) ==
	       rig->proved[usual] + rig->proved[rare];
}

static bool
is_excused(unsigned verdict)
{
	return verdict == VERDICT_ACCEPTED || verdict == VERDICT_BUSY ||
	       verdict == VERDICT_DUPLICATE || verdict == VERDICT_REPLAYED;
}

/*
 * A full hand-off ring makes BUSY of what would be accepted, an eviction from the retransmission
 * cache REPLAYED of a proved duplicate; nothing else becomes anything else.
 */
bool
path_rig_is_right(const struct path_rig *rig)
{
	const struct fixture *f = &rig->fixture;
	bool is_right = is_either(rig, VERDICT_ACCEPTED, VERDICT_BUSY) &&
			is_either(rig, VERDICT_DUPLICATE, VERDICT_REPLAYED);
	unsigned verdict;

	for (verdict = 0; verdict < VERDICT_COUNTERS; verdict++) {
		is_right &= fixture_unproved(f, verdict) == rig->unproved[verdict];
		if (!is_excused(verdict))
			is_right &= fixture_proved(f, verdict) == rig->proved[verdict];
	}
	return is_right && (rig->params.worker_count > 1 || path_rig_busy(rig) == 0) &&
	       fixture_proved(f, VERDICT_REPLAYED) - rig->proved[VERDICT_REPLAYED] <=
		       rig->proved[VERDICT_DUPLICATE] / 100;
}

uint64_t
path_rig_busy(const struct path_rig *rig)
{
	return fixture_proved(&rig->fixture, VERDICT_BUSY);
}

/* ---- what there is ---- */

uint64_t
path_rig_memory(const struct path_rig *rig)
{
	const struct fixture *f = &rig->fixture;
	const uint32_t workers = f->params.worker_count;

	return f->table->size + f->replay_size + f->meters->size + 2 * workers * f->ring_size +
	       (uint64_t)workers * (workers - 1) * handoff_ring_size(f->params.handoff_slots);
}

uint32_t
path_rig_window_bits(const struct path_rig *rig)
{
	return rig->window_bits;
}

const char *
path_rig_kernel(const char *wanted, const char **why)
{
	static char line[160];
	int id = wanted == NULL ? (int)TAG_KERNEL_AUTO : tag_kernel_find(wanted);

	*why = line;
	snprintf(line, sizeof(line), "there is no tag kernel %s", wanted == NULL ? "" : wanted);
	if (id >= 0)
		id = tag_kernel_choose((enum tag_kernel_id)id, line, sizeof(line));
	return id < 0 ? NULL : tag_kernel_name((enum tag_kernel_id)id);
}

const uint8_t *
path_rig_msg(const struct path_rig *rig, uint32_t frame)
{
	return rig_msg(rig, frame);
}

uint16_t
path_rig_span_size(const struct path_rig *rig, uint32_t frame)
{
	return rig->spans[frame];
}

uint32_t
path_rig_key_index(const struct path_rig *rig, uint32_t frame)
{
	return rig->keys[frame];
}

uint32_t
path_rig_key_count(const struct path_rig *rig)
{
	return epoch_count(rig) * (rig->params.nodes + 1);
}

const uint8_t *
path_rig_key(const struct path_rig *rig, uint32_t index, unsigned *size)
{
	const struct key_slot *slot = rig->slots[index];

	*size = slot == NULL ? 0 : cred_suite_key_size(slot->suite);
	return slot == NULL ? NULL : slot->tag_key;
}

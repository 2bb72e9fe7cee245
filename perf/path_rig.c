/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/path_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "path_fixture.h"
#include "perf/path_stages.h"

#define RIG_BURST        64u
#define RIG_AGREE_FRAMES 4096u
#define RIG_AGREE_ROUNDS 4u

struct path_rig {
	struct path_rig_params params;
	struct fixture fixture;
	struct burst_result result;
	uint64_t random;
	uint64_t genuine; /* minted so far */
	uint32_t stride;
	uint16_t frame_size;
	uint16_t span_size;
	uint8_t *memory;
	uint32_t *nodes;   /* of each frame */
	uint64_t *serials; /* next one of each node */
	struct burst_frame *frames;
};

/* xorshift64*: which node comes next shall not be foreseen, by the prefetcher either. */
static uint64_t
rig_random(struct path_rig *rig)
{
	rig->random ^= rig->random >> 12;
	rig->random ^= rig->random << 25;
	rig->random ^= rig->random >> 27;
	return rig->random * 0x2545f4914f6cdd1dull;
}

static void *
rig_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	madvise(memory, size, MADV_HUGEPAGE);
	memset(memory, 0, size);
	return memory;
}

/* Headers and a credential that lacks only what is a round's own. */
static void
frame_prepare(struct path_rig *rig, uint32_t index)
{
	struct cred_fields fields = fixture_fields(&rig->fixture, 1);
	const uint8_t payload[CRED_PAYLOAD_SIZE_MAX] = {0};
	uint8_t *at = rig->memory + (size_t)index * rig->stride;
	struct fixture_frame frame;
	uint8_t msg[CRED_SIZE_MAX];

	fields.payload = payload;
	fields.payload_size = rig->params.payload_size;
	fixture_frame_init(&frame);
	fixture_frame_wrap(&frame, msg, cred_build(msg, sizeof(msg), &fields));
	memcpy(at, frame.data, frame.size);
	rig->frame_size = frame.size;
	rig->span_size = (uint16_t)(CRED_HEADER_SIZE + rig->params.payload_size);
	rig->frames[index] = (struct burst_frame){
		.data = at,
		.size = frame.size,
		.checksum =
			rig->params.verify_checksum ? BURST_CHECKSUM_UNKNOWN : BURST_CHECKSUM_GOOD,
	};
}

static bool
rig_fill(struct path_rig *rig)
{
	uint32_t i;

	rig->stride = (uint32_t)(14 + 20 + 8 + CRED_SIZE_MIN + rig->params.payload_size);
	rig->stride = (rig->stride + 63) / 64 * 64;
	rig->memory = rig_memory((size_t)rig->params.frames * rig->stride + 4096);
	rig->frames = rig_memory(rig->params.frames * sizeof(rig->frames[0]));
	rig->nodes = calloc(rig->params.frames, sizeof(rig->nodes[0]));
	rig->serials = calloc(rig->params.nodes + 1, sizeof(rig->serials[0]));
	if (rig->memory == NULL || rig->frames == NULL || rig->nodes == NULL ||
		rig->serials == NULL)
		return false;
	for (i = 0; i < rig->params.frames; i++)
		frame_prepare(rig, i);
	for (i = 1; i <= rig->params.nodes; i++) {
		fixture_node_add(&rig->fixture, FIXTURE_REALM, i, 1, CRED_SUITE_DEFAULT);
		rig->serials[i] = 1 + (rig_random(rig) & 63); /* not all change words at once */
	}
	return true;
}

struct path_rig *
path_rig_create(const struct path_rig_params *params)
{
	struct fixture_params fixture = fixture_params_default();
	struct path_rig *rig = calloc(1, sizeof(*rig));

	if (rig == NULL)
		return NULL;
	rig->params = *params;
	rig->random = 0x9e3779b97f4a7c15ull;
	fixture.nodes_max = params->nodes;
	fixture.window_bits = params->window_bits;
	fixture.ring_slots = VERDICT_RING_SLOTS_DEFAULT;
	fixture.use_hugepages = true;
	fixture.refusals_per_s = 1000;
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
		munmap(rig->memory, (size_t)rig->params.frames * rig->stride + 4096);
	if (rig->frames != NULL)
		munmap(rig->frames, rig->params.frames * sizeof(rig->frames[0]));
	free(rig->nodes);
	free(rig->serials);
	fixture_fini(&rig->fixture);
	free(rig);
}

static uint8_t *
rig_msg(const struct path_rig *rig, uint32_t frame)
{
	return rig->memory + (size_t)frame * rig->stride + 42;
}

/* What is the round's own in a credential, in clear. */
static void
msg_renew(struct path_rig *rig, uint8_t *msg, uint32_t node)
{
	store_be32(msg + CRED_AT_NODE, node);
	store_be64(msg + CRED_AT_SERIAL, rig->serials[node]++);
	store_be64(msg + CRED_AT_ISSUED, rig->fixture.now_us);
	store_be32(msg + CRED_AT_SALT, (uint32_t)rig_random(rig));
	store_be32(msg + CRED_AT_UID, 1000);
	store_be32(msg + CRED_AT_GID, 100);
	memset(msg + CRED_AT_AUTH_UID, 0xff, 8);
	memset(msg + CRED_AT_PAYLOAD, 0x5a, rig->params.payload_size);
}

static void
burst_mint(struct path_rig *rig, uint32_t first)
{
	const struct key_slot *slots[RIG_BURST];
	uint8_t *msgs[RIG_BURST];
	uint16_t sizes[RIG_BURST];
	uint32_t i;

	for (i = 0; i < RIG_BURST; i++) {
		const uint32_t node =
			1 + (uint32_t)((rig_random(rig) >> 32) * rig->params.nodes >> 32);

		rig->nodes[first + i] = node;
		slots[i] = &rig->fixture.slots[node];
		msgs[i] = rig_msg(rig, first + i);
		sizes[i] = rig->span_size;
		msg_renew(rig, msgs[i], node);
	}
	tag_batch_seal(rig->fixture.issuer, slots, msgs, sizes, RIG_BURST);
}

/* The UDP checksum, where a NIC would have it checked; else nobody looks. */
static void
frame_checksum(struct path_rig *rig, uint32_t index)
{
	struct fixture_frame frame;

	fixture_frame_init(&frame);
	frame.size = rig->frame_size;
	memcpy(frame.data, rig->memory + (size_t)index * rig->stride, frame.size);
	fixture_frame_checksum(&frame);
	memcpy(rig->memory + (size_t)index * rig->stride, frame.data, frame.size);
}

void
path_rig_mint(struct path_rig *rig)
{
	uint32_t i;

	rig->fixture.now_us += 1000;
	rig->fixture.mono_us += 1000;
	for (i = 0; i < rig->params.frames; i += RIG_BURST)
		burst_mint(rig, i);
	for (i = 0; i < rig->params.frames; i++) {
		if (rig_random(rig) % 100 < rig->params.forged_percent &&
			i + 1 < rig->params.frames)
			rig_msg(rig, i)[rig->span_size] ^= 1;
		else
			rig->genuine++;
		if (rig->params.verify_checksum)
			frame_checksum(rig, i);
	}
}

void
path_rig_walk(struct path_rig *rig)
{
	uint32_t i;

	for (i = 0; i < rig->params.frames; i += RIG_BURST)
		worker_burst_at(rig->fixture.workers[0], rig->frames + i, RIG_BURST,
			rig->fixture.now_us, rig->fixture.mono_us, &rig->result);
}

uint32_t
path_rig_bursts(const struct path_rig *rig)
{
	return rig->params.frames / RIG_BURST;
}

void
path_rig_walk_stages(struct path_rig *rig, uint32_t *cycles)
{
	uint32_t i;

	for (i = 0; i < path_rig_bursts(rig); i++)
		path_stages_burst(rig->fixture.workers[0], rig->frames + i * RIG_BURST, RIG_BURST,
			rig->fixture.now_us, rig->fixture.mono_us, &rig->result,
			cycles + i * PATH_STAGES);
}

/* Two rigs that began alike have minted the same frames: have they come to the same? */
static bool
rigs_agree(const struct path_rig *a, const struct path_rig *b)
{
	const struct fixture *f = &a->fixture;

	return memcmp(stats_worker(f->stats, 0), stats_worker(b->fixture.stats, 0),
		       sizeof(struct worker_stats)) == 0 &&
	       memcmp(f->delivery[0][0], b->fixture.delivery[0][0], f->ring_size) == 0 &&
	       memcmp(f->refusal[0], b->fixture.refusal[0], f->ring_size) == 0 &&
	       memcmp(f->replay_mapping, b->fixture.replay_mapping, f->replay_size) == 0;
}

bool
path_rig_stages_agree(const struct path_rig_params *params)
{
	static uint32_t cycles[RIG_AGREE_FRAMES / RIG_BURST * PATH_STAGES];
	struct path_rig_params few = *params;
	struct path_rig *rigs[2];
	bool agree = false;
	unsigned round;

	few.frames = RIG_AGREE_FRAMES;
	if (few.nodes > RIG_AGREE_FRAMES)
		few.nodes = RIG_AGREE_FRAMES;
	rigs[0] = path_rig_create(&few);
	rigs[1] = path_rig_create(&few);
	if (rigs[0] != NULL && rigs[1] != NULL) {
		for (round = 0; round < RIG_AGREE_ROUNDS; round++) {
			path_rig_mint(rigs[0]);
			path_rig_walk(rigs[0]);
			path_rig_mint(rigs[1]);
			path_rig_walk_stages(rigs[1], cycles);
		}
		agree = rigs_agree(rigs[0], rigs[1]) && path_rig_is_right(rigs[0]);
	}
	path_rig_destroy(rigs[0]);
	path_rig_destroy(rigs[1]);
	return agree;
}

bool
path_rig_is_right(const struct path_rig *rig)
{
	return fixture_proved(&rig->fixture, VERDICT_ACCEPTED) == rig->genuine;
}

const char *
path_rig_kernel(void)
{
	static char why[160];

	tag_kernel_choose(TAG_KERNEL_AUTO, why, sizeof(why));
	return why;
}

const uint8_t *
path_rig_msg(const struct path_rig *rig, uint32_t frame)
{
	return rig_msg(rig, frame);
}

uint16_t
path_rig_span_size(const struct path_rig *rig)
{
	return rig->span_size;
}

uint32_t
path_rig_node(const struct path_rig *rig, uint32_t frame)
{
	return rig->nodes[frame];
}

const uint8_t *
path_rig_key(const struct path_rig *rig, uint32_t node)
{
	return rig->fixture.slots[node].tag_key;
}

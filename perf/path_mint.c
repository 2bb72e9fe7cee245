/* SPDX-License-Identifier: BSD-3-Clause */

/* The rig's frames: made once, their credentials minted anew for each round. */

#include <stdlib.h>
#include <string.h>

#include "perf/path_rig_priv.h"

#define VLAN 7u

/* ---- once ---- */

/* Headers and a credential that lacks only what is a round's own. */
static void
frame_prepare(struct path_rig *rig, uint32_t index, uint32_t payload_size)
{
	const uint8_t payload[CRED_PAYLOAD_SIZE_MAX] = {0};
	struct cred_fields fields = fixture_fields(&rig->fixture, 1);
	uint8_t *at = rig->memory + (size_t)index * rig->stride;
	struct fixture_frame frame;
	uint8_t msg[CRED_SIZE_MAX];

	fixture_frame_init(&frame);
	if (rig->params.ipv6)
		memcpy(frame.source, fixture_ipv6, sizeof(frame.source));
	frame.vlan = rig->params.vlan ? VLAN : 0;
	memcpy(fields.origin, frame.source, sizeof(fields.origin));
	fields.payload = payload;
	fields.payload_size = (uint16_t)payload_size;
	fixture_frame_wrap(&frame, msg, cred_build(msg, sizeof(msg), &fields));
	memcpy(at, frame.data, frame.size);
	rig->spans[index] = (uint16_t)(CRED_HEADER_SIZE + payload_size);
	rig->frames[index] = (struct burst_frame){
		.data = at,
		.size = frame.size,
		.checksum =
			rig->params.verify_checksum ? BURST_CHECKSUM_UNKNOWN : BURST_CHECKSUM_GOOD,
	};
}

bool
rig_frames_prepare(struct path_rig *rig)
{
	const struct path_rig_params *params = &rig->params;
	uint32_t payload_max = params->payload_size;
	uint32_t i;

	if (params->long_percent != 0 && params->long_payload_size > payload_max)
		payload_max = params->long_payload_size;
	rig->cred_at = (uint16_t)(14 + (params->vlan ? 4 : 0) + (params->ipv6 ? 40 : 20) + 8);
	rig->stride = (rig->cred_at + CRED_SIZE_MIN + payload_max + 63) / 64 * 64;
	rig->memory = rig_memory((size_t)rig->frame_count * rig->stride);
	if (rig->memory == NULL)
		return false;
	for (i = 0; i < rig->frame_count; i++)
		frame_prepare(rig, i,
			rig_draw(rig, 100) < params->long_percent ? params->long_payload_size
								  : params->payload_size);
	return true;
}

/* ---- each round ---- */

static bool
is_owners(const struct path_rig *rig, uint32_t node, uint32_t worker)
{
	return table_shard_owner(rig->slots[node]->shard, rig->fixture.params.worker_count) ==
	       worker;
}

static uint32_t
node_draw(struct path_rig *rig, uint32_t worker)
{
	uint32_t node;

	do
		node = 1 + rig_draw(rig, rig->params.nodes);
	while (rig->params.is_steered && !is_owners(rig, node, worker));
	return node;
}

/* What is the round's own in a credential, in clear. */
static void
msg_renew(struct path_rig *rig, uint32_t frame, const struct key_slot *slot)
{
	uint8_t *msg = rig_msg(rig, frame);

	msg[CRED_AT_SUITE] = slot->suite;
	store_be16(msg + CRED_AT_LENGTH, (uint16_t)(rig->spans[frame] + CRED_TAG_SIZE));
	store_be32(msg + CRED_AT_NODE, slot->node);
	store_be16(msg + CRED_AT_EPOCH, slot->epoch);
	store_be16(msg + CRED_AT_FLAGS,
		rig_draw(rig, 100) < rig->params.reply_percent ? CRED_FLAG_REPLY : 0);
	store_be64(msg + CRED_AT_SERIAL, rig->serials[slot->node]++);
	store_be64(msg + CRED_AT_ISSUED, rig->fixture.now_us);
	store_be32(msg + CRED_AT_AUDIENCE,
		FIXTURE_AUDIENCE +
			(rig->params.many_audiences ? rig_draw(rig, PATH_AUDIENCES) : 0));
	store_be32(msg + CRED_AT_SALT, (uint32_t)rig_random(rig));
	store_be32(msg + CRED_AT_UID, 1000);
	store_be32(msg + CRED_AT_GID, 100);
	memset(msg + CRED_AT_AUTH_UID, 0xff, 8);
	memset(msg + CRED_AT_PAYLOAD, 0x5a, (size_t)(rig->spans[frame] - CRED_HEADER_SIZE));
}

static void
burst_mint(struct path_rig *rig, uint32_t first)
{
	const struct key_slot *slots[RIG_BURST];
	uint8_t *msgs[RIG_BURST];
	uint32_t i;

	for (i = 0; i < RIG_BURST; i++) {
		const uint32_t frame = first + i;
		uint32_t key = node_draw(rig, frame / rig->params.frames);

		if (rig->params.second_epoch && rig_random(rig) >> 63)
			key += rig->params.nodes + 1;
		if (rig->params.is_draining && key % 20 == 0)
			key += rig->params.nodes + 1;
		rig->keys[frame] = key;
		slots[i] = rig->slots[key];
		msgs[i] = rig_msg(rig, frame);
		msg_renew(rig, frame, slots[i]);
	}
	tag_batch_seal(rig->fixture.issuer, slots, msgs, rig->spans + first, RIG_BURST);
}

/* Spoils the frame, if that is what it is for, and counts what has to become of it. */
static void
frame_spoil(struct path_rig *rig, uint32_t frame)
{
	uint8_t *msg = rig_msg(rig, frame);

	if ((frame + 1) % rig->params.frames == 0) {
		rig->proved[VERDICT_ACCEPTED]++;
	} else if (rig_draw(rig, 100) < rig->params.forged_percent) {
		msg[rig->spans[frame]] ^= 1;
		rig->unproved[VERDICT_BAD_TAG]++;
	} else if (rig->params.traffic == PATH_UNKNOWN) {
		store_be32(msg + CRED_AT_NODE, load_be32(msg + CRED_AT_NODE) + rig->params.nodes);
		rig->unproved[VERDICT_UNKNOWN_NODE]++;
	} else if (rig->params.traffic == PATH_MALFORMED) {
		msg[CRED_AT_LENGTH + 1] ^= 1;
		rig->unproved[VERDICT_MALFORMED]++;
	} else {
		rig->proved[VERDICT_ACCEPTED]++;
	}
}

/* The UDP checksum, where a NIC would not have it checked; else nobody looks. */
static void
frame_checksum(struct path_rig *rig, uint32_t index)
{
	uint8_t *at = rig->memory + (size_t)index * rig->stride;
	struct fixture_frame frame;

	fixture_frame_init(&frame);
	if (rig->params.ipv6)
		memcpy(frame.source, fixture_ipv6, sizeof(frame.source));
	frame.vlan = rig->params.vlan ? VLAN : 0;
	frame.size = rig->frames[index].size;
	memcpy(frame.data, at, frame.size);
	fixture_frame_checksum(&frame);
	memcpy(at, frame.data, frame.size);
}

/* The first time; the walk that counts comes now. */
static void
round_replay(struct path_rig *rig)
{
	uint32_t i;

	path_rig_walk(rig, 0);
	for (i = 0; i < rig->frame_count; i++)
		if (load_be16(rig_msg(rig, i) + CRED_AT_FLAGS) & CRED_FLAG_REPLY)
			rig->proved[VERDICT_DUPLICATE]++;
		else
			rig->proved[VERDICT_REPLAYED]++;
}

void
path_rig_mint(struct path_rig *rig)
{
	uint32_t i;

	rig->fixture.now_us += 1000;
	rig->fixture.mono_us += 1000;
	for (i = 0; i < rig->frame_count; i += RIG_BURST)
		burst_mint(rig, i);
	for (i = 0; i < rig->frame_count; i++) {
		frame_spoil(rig, i);
		if (rig->params.verify_checksum)
			frame_checksum(rig, i);
	}
	if (rig->params.traffic == PATH_REPLAYED)
		round_replay(rig);
	atomic_store_explicit(&rig->walked, 0, memory_order_relaxed);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Key slot: what the dataplane knows of one (realm, node, epoch) in two cache lines. Raw keys, no
 * schedules: kernels expand round keys in registers, which is faster than loading expanded ones
 * from memory as soon as there are more nodes than L2 holds (docs/architecture.md, "Keys").
 *
 * Line 0 is what admit reads; line 1 is read by the tag kernels only. Control writes slots, the
 * dataplane maps them read-only. Wiped before reuse. Fields of line 0 except k1 are public.
 */

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum key_slot_state {
	KEY_SLOT_FREE = 0, /* no such node */
	KEY_SLOT_LIVE = 1,
	KEY_SLOT_REVOKED = 2, /* node known and thrown out; keys wiped */
};

struct key_slot {
	uint32_t realm;
	uint32_t node;
	uint16_t epoch;
	uint8_t state; /* enum key_slot_state */
	uint8_t suite; /* enum cred_suite */
	uint32_t not_before_s;
	uint32_t not_after_s; /* inclusive; UINT32_MAX: no end */
	uint32_t use_index;   /* stable (node, epoch) index of use counters */
	uint16_t policy;
	uint16_t shard;      /* hand-off shard of (realm, node): dataplane/table.h */
	uint8_t origin_bits; /* prefix length 0..128 of origin_prefix; ORIGIN_NONE: no prefix at all */
	uint8_t reserved;
	uint16_t origin_more; /* index of a list of further prefixes; 0: none */
	uint8_t origin_prefix[16];
	uint8_t k1[16]; /* CMAC subkey K1 of tag_key (RFC 4493 section 2.3); K2 is K1 doubled */
	uint8_t tag_key[32];  /* 16 or 32 bytes used */
	uint8_t seal_key[32]; /* suites 3 and 4 */
};

#define KEY_SLOT_ORIGIN_NONE 255

static_assert(sizeof(struct key_slot) == 128, "two lines");
static_assert(offsetof(struct key_slot, origin_prefix) == 32, "docs/shared-memory.md");
static_assert(offsetof(struct key_slot, k1) == 48, "docs/shared-memory.md");
static_assert(offsetof(struct key_slot, tag_key) == 64, "docs/shared-memory.md");
static_assert(offsetof(struct key_slot, seal_key) == 96, "docs/shared-memory.md");
